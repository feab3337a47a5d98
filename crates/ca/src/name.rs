//! Subject names: templates of a profile, filled with values of a contract and its user.

use super::der::{Writer, build, more, tag};
use super::oid;
use std::fmt;

/// Attributes a name may have here: the products' have four.
pub const MAX_ATTRIBUTES: usize = 10;

/// One attribute type (RFC 5280 appendix A.1), in capitals as certificate viewers show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// C, two letters.
    Country,
    /// O.
    Organization,
    /// OU.
    OrganizationalUnit,
    /// CN.
    CommonName,
}

/// A name that can be written into a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    attributes: Vec<(AttributeType, String)>,
    der: Vec<u8>,
}

/// A text with `{placeholders}`: `{login_id} A{channel} {acquired_at}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(String),
}

/// Why a name cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No commonName, or two.
    CommonNames(usize),
    /// More than [`MAX_ATTRIBUTES`].
    TooManyAttributes(usize),
    /// No text, or space around it.
    Blank(AttributeType),
    /// More characters than the attribute's upper bound.
    TooLong(AttributeType, usize),
    /// A control character, or not two capital letters for a country.
    Character(AttributeType),
    /// Braces that do not pair or are empty.
    Template,
    /// The template has a placeholder for which there is no value.
    NoValue(String),
    /// A value is empty, or has a character that would let it pass for other fields: only letters, digits and `-._@`.
    Value(String),
}

impl Name {
    /// From attributes in the order of the DER, the most general first.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(attributes: Vec<(AttributeType, String)>) -> Result<Self, NameError> {
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(NameError::TooManyAttributes(attributes.len()));
        }
        attributes.iter().try_for_each(|(kind, text)| check(*kind, text))?;
        match attributes.iter().filter(|(kind, _)| *kind == AttributeType::CommonName).count() {
            1 => {}
            other => return Err(NameError::CommonNames(other)),
        }
        let der = build(|w| {
            w.sequence(|name| attributes.iter().for_each(|(kind, text)| write_attribute(name, *kind, text)));
        });
        Ok(Self { attributes, der })
    }

    /// The whole DER Name.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The commonName.
    pub fn common_name(&self) -> &str {
        let found = self.attributes.iter().find(|(kind, _)| *kind == AttributeType::CommonName);
        found.map_or("", |(_, text)| text)
    }
}

impl Template {
    /// Parses a template; `{{` and `}}` are not escapes, no name needs braces.
    ///
    /// # Errors
    /// [`NameError::Template`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, behind) = after.split_once('}').ok_or(NameError::Template)?;
            let is_name = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
            if before.contains('}') || placeholder.is_empty() || !placeholder.bytes().all(is_name) {
                return Err(NameError::Template);
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Placeholder(placeholder.to_owned()));
            rest = behind;
        }
        if rest.contains('}') {
            return Err(NameError::Template);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The placeholders' names, in their order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with values for the placeholders. Who reads the commonName splits it at its spaces, so no value may
    /// have one: the user ID `a A001 2026` would be somebody else.
    ///
    /// # Errors
    /// [`NameError::NoValue`] or [`NameError::Value`].
    pub fn fill(&self, values: &[(&str, &str)]) -> Result<String, NameError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Placeholder(name) => {
                    let value = values.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
                    let value = value.ok_or_else(|| NameError::NoValue(name.clone()))?;
                    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._@".contains(character);
                    if value.is_empty() || !value.chars().all(is_plain) {
                        return Err(NameError::Value(name.clone()));
                    }
                    text.push_str(value);
                }
            }
        }
        Ok(text)
    }
}

fn check(kind: AttributeType, text: &str) -> Result<(), NameError> {
    // RFC 5280 appendix A.1: ub-common-name, ub-organization-name and ub-organizational-unit-name are all 64.
    let bound = if kind == AttributeType::Country { 2 } else { 64 };
    let length = text.chars().count();
    if length == 0 || text.trim() != text {
        return Err(NameError::Blank(kind));
    }
    if length > bound {
        return Err(NameError::TooLong(kind, length));
    }
    let is_country = text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase());
    if text.chars().any(char::is_control) || (kind == AttributeType::Country && !is_country) {
        return Err(NameError::Character(kind));
    }
    Ok(())
}

fn write_attribute(name: &mut Writer, kind: AttributeType, text: &str) {
    let oid = match kind {
        AttributeType::Country => oid::COUNTRY,
        AttributeType::Organization => oid::ORGANIZATION,
        AttributeType::OrganizationalUnit => oid::ORGANIZATIONAL_UNIT,
        AttributeType::CommonName => oid::COMMON_NAME,
    };
    // RFC 5280 section 4.1.2.4: a country is a PrintableString, the others PrintableString or UTF8String.
    let is_printable = |octet: u8| octet.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&octet);
    let string = if text.bytes().all(is_printable) { more::PRINTABLE_STRING } else { more::UTF8_STRING };
    name.nest(more::SET, |set| {
        set.sequence(|attribute| {
            attribute.element(tag::OBJECT_IDENTIFIER, oid);
            attribute.element(string, text.as_bytes());
        });
    });
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommonNames(count) => write!(f, "a name has one commonName, this one {count}"),
            Self::TooManyAttributes(count) => write!(f, "a name has at most {MAX_ATTRIBUTES} attributes, not {count}"),
            Self::Blank(kind) => write!(f, "{kind:?} is empty or has space around it"),
            Self::TooLong(kind, length) => write!(f, "{kind:?} has {length} characters, more than its upper bound"),
            Self::Character(kind) => write!(f, "{kind:?} has a character that it may not have"),
            Self::Template => f.write_str("braces that do not pair, or no lower-case name in them"),
            Self::NoValue(name) => write!(f, "there is no value for {{{name}}}"),
            Self::Value(name) => write!(f, "the value for {{{name}}} is empty or not letters, digits and -._@"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_pki::name::DistinguishedName;

    fn name(attributes: &[(AttributeType, &str)]) -> Result<Name, NameError> {
        Name::new(attributes.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect())
    }

    #[test]
    fn the_products_names_come_out_as_their_seeds_show_them() {
        let common_name = Template::parse("{login_id} {applicant} {acquired_at}").unwrap();
        let values = [("login_id", "logid031"), ("applicant", "A001"), ("acquired_at", "20200304153656560435")];
        let bizsol = name(&[
            (AttributeType::Organization, "(9999)NTT DATA CORPORATION"),
            (AttributeType::OrganizationalUnit, "(9999)ANSER-WEB(BizSOL) CA - G4"),
            (AttributeType::CommonName, &common_name.fill(&values).unwrap()),
        ])
        .unwrap();
        assert_eq!(
            DistinguishedName::parse(bizsol.der()).unwrap().to_string(),
            "CN=logid031 A001 20200304153656560435,OU=(9999)ANSER-WEB(BizSOL) CA - G4,O=(9999)NTT DATA CORPORATION"
        );
        let shinkin = Template::parse("{account} {user_id} {branch}").unwrap();
        let values = [("account", "00009876543"), ("user_id", "riyousya"), ("branch", "1635")];
        assert_eq!(shinkin.fill(&values).unwrap(), "00009876543 riyousya 1635");
    }

    #[test]
    fn a_value_cannot_pass_for_other_fields_of_the_name() {
        let template = Template::parse("{user_id} {branch}").unwrap();
        for value in ["", "a 1635", "a,CN=b", "a\u{3000}b", "a\u{0}", "ａ", "a=b", "a/b", "a+b"] {
            let filled = template.fill(&[("user_id", value), ("branch", "1")]);
            assert_eq!(filled, Err(NameError::Value("user_id".to_owned())), "{value:?}");
        }
        assert_eq!(template.fill(&[("user_id", "a")]), Err(NameError::NoValue("branch".to_owned())));
    }

    #[test]
    fn templates_with_broken_braces_are_refused() {
        for text in ["{", "}", "{a", "a}", "{}", "{{a}}", "{A}", "a}{b}", "{a b}"] {
            assert_eq!(Template::parse(text), Err(NameError::Template), "{text}");
        }
    }

    #[test]
    fn names_beyond_the_standard_are_refused() {
        use AttributeType::{CommonName, Country, Organization};
        for (attributes, expected) in [
            (vec![(Organization, "o")], NameError::CommonNames(0)),
            (vec![(CommonName, "a"), (CommonName, "b")], NameError::CommonNames(2)),
            (vec![(CommonName, "a"); 11], NameError::TooManyAttributes(11)),
            (vec![(CommonName, "")], NameError::Blank(CommonName)),
            (vec![(CommonName, " a")], NameError::Blank(CommonName)),
            (vec![(CommonName, &*"x".repeat(65))], NameError::TooLong(CommonName, 65)),
            (vec![(CommonName, "a\u{0}b")], NameError::Character(CommonName)),
            (vec![(Country, "jp"), (CommonName, "a")], NameError::Character(Country)),
            (vec![(Country, "J"), (CommonName, "a")], NameError::Character(Country)),
        ] {
            assert_eq!(name(&attributes), Err(expected));
        }
        assert!(name(&[(CommonName, &"関".repeat(64))]).is_ok());
    }
}
