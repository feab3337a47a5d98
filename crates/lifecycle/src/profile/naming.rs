//! Which certificates name which user: no two users of the bank may have one common name (CN).
//!
//! A CN is read in words. Characters that no identifier of the profile may have part the words, so that a CN is parted in
//! one way only. Each word is a fixed text or has one identifier, and no identifier may be one of the fixed words.

use super::template::{Piece, Template};
use super::types::{IdentifierRule, Identifiers, Profile, RoleName, UniqueIn};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What scopes begin with. Profiles and contracts have no `/` in common: a profile's name has none.
const LOGIN: &str = "login/";
const ROLE: &str = "role/";

/// A name that one user may hold, of all users in its scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueName {
    /// Among whom: `login/PROFILE` or `role/CONTRACT`.
    pub scope: Arc<str>,
    /// The login ID or the role.
    pub name: Arc<str>,
}

impl UniqueName {
    /// A login ID of a product whose login IDs are unique in the bank.
    pub fn login(profile: &str, user_id: &str) -> Self {
        Self { scope: format!("{LOGIN}{profile}").into(), name: user_id.into() }
    }

    /// Returns `true` if it is a role.
    pub fn is_of_a_role(&self) -> bool {
        self.scope.starts_with(ROLE)
    }

    /// A role whose certificates do not name the user.
    pub fn role(contract_id: &str, role: &RoleName) -> Self {
        Self { scope: format!("{ROLE}{contract_id}").into(), name: Arc::clone(&role.0) }
    }
}

impl Profile {
    /// The names that a user takes when they are registered. While another holds one of them they cannot be.
    pub fn unique_names(&self, contract_id: &str, user_id: &str, role: &RoleName) -> Vec<UniqueName> {
        let login = self.identifiers.unique == UniqueIn::Profile;
        let login = login.then(|| UniqueName::login(&self.name, user_id));
        let sole = self.is_sole(role).then(|| UniqueName::role(contract_id, role));
        login.into_iter().chain(sole).collect()
    }

    /// Returns `true` if certificates of this role do not name the user: then one user of a contract has it at a time.
    pub fn is_sole(&self, role: &RoleName) -> bool {
        !self.common_name(role).has(&Piece::UserId)
    }

    /// Returns `true` if a contract may have this ID.
    pub fn accepts_contract_id(&self, text: &str) -> bool {
        self.identifiers.contract_id.accepts(text) && !self.reserved().contains(text)
    }

    /// Returns `true` if a user may have this ID.
    pub fn accepts_user_id(&self, text: &str) -> bool {
        self.identifiers.user_id.accepts(text) && !self.reserved().contains(text)
    }

    /// Returns `true` if one pattern reads the names of both profiles and no user of the one can have a name of the other:
    /// then one authority may sign for both.
    pub fn shares_names_with(&self, other: &Self) -> bool {
        let forms = |profile: &Self| -> Vec<Vec<Token>> {
            let mut forms: Vec<_> = profile.roles.iter().map(|role| profile.common_name(&role.name)).collect();
            forms.dedup();
            let mut forms: Vec<_> = forms.into_iter().map(|form| tokens(form, &profile.identifiers)).collect();
            forms.sort_by_key(Vec::len);
            forms
        };
        // Contract IDs are unique in the bank, login IDs in one product only.
        let by_contract = |profile: &Self| profile.identifiers.unique == UniqueIn::Contract;
        by_contract(self) && by_contract(other) && forms(self) == forms(other)
    }

    /// Identifiers that are fixed words of a CN: `1635` in `{contract_id} 1635`. A pattern that reads the CN could take such
    /// an ID for the word, or the word for an ID.
    fn reserved(&self) -> BTreeSet<String> {
        let templates = self.roles.iter().filter_map(|role| role.common_name.as_ref());
        let templates = templates.chain([&self.certificate.common_name]);
        let tokens = templates.flat_map(|template| tokens(template, &self.identifiers));
        tokens.filter_map(|token| token.fixed()).collect()
    }
}

/// A part of a CN template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Characters that no identifier has.
    Separator(String),
    /// What stands between them.
    Word(Vec<Piece>),
}

impl Token {
    /// The word, where it is the same in every certificate.
    fn fixed(&self) -> Option<String> {
        match self {
            Self::Word(pieces) => match pieces.as_slice() {
                [Piece::Text(text)] => Some(text.clone()),
                _ => None,
            },
            Self::Separator(_) => None,
        }
    }
}

/// Parts a template at every character that no identifier has.
fn tokens(template: &Template, identifiers: &Identifiers) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut push = |piece: Piece, separates: bool| match (tokens.last_mut(), piece, separates) {
        (Some(Token::Separator(before)), Piece::Text(text), true) => before.push_str(&text),
        (_, Piece::Text(text), true) => tokens.push(Token::Separator(text)),
        (Some(Token::Word(pieces)), piece, _) => match (pieces.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
            (_, piece) => pieces.push(piece),
        },
        (_, piece, _) => tokens.push(Token::Word(vec![piece])),
    };
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => text.chars().for_each(|character| {
                push(Piece::Text(character.to_string()), separates(character, identifiers));
            }),
            other => push(other.clone(), false),
        }
    }
    tokens
}

/// Returns `true` if no identifier, number or time may have this character.
fn separates(character: char, identifiers: &Identifiers) -> bool {
    let may_have = |rule: &IdentifierRule| rule.characters.contains(character);
    !(character.is_ascii_digit() || may_have(&identifiers.contract_id) || may_have(&identifiers.user_id))
}

/// What is wrong with a CN template by itself, if anything is.
pub(super) fn wrong_alone(template: &Template, identifiers: &Identifiers) -> Option<String> {
    let varies = |piece: &Piece| match piece {
        Piece::ContractId => identifiers.contract_id.least != identifiers.contract_id.most,
        Piece::UserId => identifiers.user_id.least != identifiers.user_id.most,
        Piece::Text(_) | Piece::IssueNumber | Piece::IssuedAt => false,
    };
    let has_contract = template.has(&Piece::ContractId);
    let has_login = template.has(&Piece::UserId) && identifiers.unique == UniqueIn::Profile;
    if !has_contract && !has_login {
        return Some(
            "has no {contract_id}: two customers' users of one ID would have one name; write {contract_id}, or \
             {user_id} and identifiers.user_id.unique = \"profile\""
                .to_owned(),
        );
    }
    let tokens = tokens(template, identifiers);
    let runs_together = tokens.iter().any(|token| match token {
        Token::Word(pieces) => pieces.iter().filter(|piece| varies(piece)).count() > 1,
        Token::Separator(_) => false,
    });
    runs_together.then(|| {
        "has two identifiers of any length in one word: two users could have one name; part them by a space".to_owned()
    })
}

/// Returns `true` if no certificate of the one template can have a name of the other, for two different users.
pub(super) fn are_apart(one: &Template, other: &Template, identifiers: &Identifiers) -> bool {
    let (one, other) = (tokens(one, identifiers), tokens(other, identifiers));
    one == other || one.len() != other.len() || one.iter().zip(&other).any(|(one, other)| differ(one, other))
}

/// Returns `true` if the two can never be the same text.
fn differ(one: &Token, other: &Token) -> bool {
    let identifier = |token: &Token| match token {
        Token::Word(pieces) => matches!(pieces.as_slice(), [Piece::ContractId | Piece::UserId]),
        Token::Separator(_) => false,
    };
    match (one, other) {
        (Token::Separator(one), Token::Separator(other)) => one != other,
        (Token::Separator(_), Token::Word(_)) | (Token::Word(_), Token::Separator(_)) => true,
        (Token::Word(_), Token::Word(_)) => match (one.fixed(), other.fixed()) {
            (Some(one), Some(other)) => one != other,
            // A fixed word is no identifier.
            (Some(_), None) => identifier(other),
            (None, Some(_)) => identifier(one),
            (None, None) => false,
        },
    }
}
