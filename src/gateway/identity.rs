//! The one identity of a client, from its certificate's one CN.
//!
//! A CN is taken whole or refused: never trimmed, folded, normalised or cut, since each of those makes two
//! certificates one identity.

use crate::config::ContractRange;
use crate::gateway::verify::{Reason, Refusal};
use crate::pki::name::{AttributeValue, DistinguishedName, StringType};
use regex::Regex;

/// Octets a CN may have. X.520 says 64 characters (`ub-common-name`), which some banks exceed; every identity header
/// and log record repeats it, so it stays short.
pub const MAX_COMMON_NAME_BYTES: usize = 256;

/// Name of the capture that is the contract.
const CONTRACT_ID: &str = "contract_id";
/// Name of the capture that is the user.
const USER_ID: &str = "user_id";

/// A client's identity: a CN that matched its CA's pattern, and the pattern's named captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    common_name: String,
    captures: Vec<(String, String)>,
}

impl Identity {
    /// The whole CN.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The capture `contract_id`: the corporate customer's contract.
    pub fn contract_id(&self) -> Option<&str> {
        self.capture(CONTRACT_ID)
    }

    /// The capture `user_id`: the person or terminal within the contract.
    pub fn user_id(&self) -> Option<&str> {
        self.capture(USER_ID)
    }

    /// A named capture; one that took no part in the match or is empty is absent.
    pub fn capture(&self, name: &str) -> Option<&str> {
        self.captures.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Every capture that is there, name and value, in the pattern's order.
    pub fn captures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.captures.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What the CN of certificates from one CA must look like and for which contracts that CA may speak.
#[derive(Clone, Debug)]
pub struct IdentityRule {
    pattern: Regex,
    /// Limits of the CA and of each CA above it: every one must admit the contract.
    contracts: Vec<Vec<ContractRange>>,
}

impl IdentityRule {
    /// A rule; `pattern` is matched whole whether or not it is anchored.
    ///
    /// # Errors
    /// The pattern cannot be anchored (a verbose-mode comment that runs to its end) or grows too big.
    pub fn new(pattern: &Regex, contracts: Vec<Vec<ContractRange>>) -> Result<Self, regex::Error> {
        Ok(Self { pattern: Regex::new(&format!(r"\A(?:{})\z", pattern.as_str()))?, contracts })
    }

    /// The pattern as it is matched.
    pub(super) fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// The contract limits.
    pub(super) fn contracts(&self) -> &[Vec<ContractRange>] {
        &self.contracts
    }
}

/// The identity of a subject under a rule.
///
/// # Errors
/// [`Reason::MalformedIdentity`] when there is not exactly one CN, in one of the three string types whose octets are
/// characters without doubt, safe to repeat, and matching; [`Reason::NotPermitted`] when the CA may not speak for it.
pub fn extract(subject: &DistinguishedName, rule: &IdentityRule) -> Result<Identity, Refusal> {
    let common_name = safe_text(the_one_common_name(subject)?)?;
    let identity = match_whole(common_name, rule)?;
    check_contract(&identity, rule)?;
    Ok(identity)
}

/// Two CNs would let a client choose which one the upstream reads; where they stand makes no difference.
fn the_one_common_name(subject: &DistinguishedName) -> Result<&AttributeValue, Refusal> {
    let mut common_names = subject.common_names();
    match (common_names.next(), common_names.count()) {
        (Some(common_name), 0) => Ok(common_name),
        (Some(_), more) => malformed(format!("the subject has {} CNs; exactly one is accepted", more + 1)),
        (None, _) => malformed("the subject has no CN".into()),
    }
}

fn safe_text(value: &AttributeValue) -> Result<&str, Refusal> {
    if value.bytes.len() > MAX_COMMON_NAME_BYTES {
        let length = value.bytes.len();
        return malformed(format!("the CN has {length} octets; at most {MAX_COMMON_NAME_BYTES} are accepted"));
    }
    let text = match value.string_type {
        StringType::Utf8 => std::str::from_utf8(&value.bytes).ok(),
        StringType::Printable | StringType::Ia5 if value.bytes.is_ascii() => std::str::from_utf8(&value.bytes).ok(),
        // BMPString, TeletexString and UniversalString: what their octets mean differs from reader to reader.
        StringType::Bmp | StringType::Teletex | StringType::Universal | StringType::Other(_) => {
            return malformed(format!(
                "the CN is a {}; UTF8String, PrintableString or IA5String are accepted",
                value.string_type
            ));
        }
        StringType::Printable | StringType::Ia5 => None,
    };
    let Some(text) = text else {
        return malformed(format!("the CN's octets are not a {}", value.string_type));
    };
    if let Some(unsafe_one) = text.chars().find(|character| is_unsafe(*character)) {
        return malformed(format!("the CN holds U+{:04X}, a control or invisible character", u32::from(unsafe_one)));
    }
    if text.is_empty() {
        return malformed("the CN is empty".into());
    }
    if text.trim() != text {
        return malformed("the CN begins or ends with a space".into());
    }
    Ok(text)
}

/// Control characters split headers and log lines; invisible ones make two names look like one
/// (Unicode general category Cf and the line and paragraph separators).
const fn is_unsafe(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn match_whole(common_name: &str, rule: &IdentityRule) -> Result<Identity, Refusal> {
    let Some(found) = rule.pattern.captures(common_name) else {
        return malformed(format!("the CN {common_name:?} does not match {}", rule.pattern));
    };
    let captures: Vec<(String, String)> = rule
        .pattern
        .capture_names()
        .flatten()
        .filter_map(|name| found.name(name).map(|value| (name.to_owned(), value.as_str().to_owned())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    // `\d` in a pattern is every script's digits; an upstream that reads them as numbers would see another contract.
    for (name, value) in captures.iter().filter(|(name, _)| name == CONTRACT_ID || name == USER_ID) {
        if value.chars().any(|character| character.is_numeric() && !character.is_ascii_digit()) {
            return malformed(format!("the {name} {value:?} has digits other than 0 to 9"));
        }
    }
    Ok(Identity { common_name: common_name.to_owned(), captures })
}

fn check_contract(identity: &Identity, rule: &IdentityRule) -> Result<(), Refusal> {
    for ranges in &rule.contracts {
        let Some(contract_id) = identity.contract_id() else {
            return Err(Refusal::new(Reason::NotPermitted, "the CA is limited to contracts and the CN names none"));
        };
        if !ranges.iter().any(|range| contains(range, contract_id)) {
            return Err(Refusal::new(
                Reason::NotPermitted,
                format!("the CA may not issue for contract {contract_id:?}"),
            ));
        }
    }
    Ok(())
}

/// Compared as text of one length, so that `9` is not between `10` and `99`.
fn contains(range: &ContractRange, contract_id: &str) -> bool {
    contract_id.len() == range.first.len() && (range.first.as_str()..=range.last.as_str()).contains(&contract_id)
}

fn malformed<T>(evidence: String) -> Result<T, Refusal> {
    Err(Refusal::new(Reason::MalformedIdentity, evidence))
}
