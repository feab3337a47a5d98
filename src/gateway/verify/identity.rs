//! The one identity of a client, from its certificate's one CN.
//!
//! A CN is taken whole or refused: never trimmed, folded, normalised or cut, since each of those makes two
//! certificates one identity.

use crate::gateway::verify::{Reason, Refusal};
use regex::Regex;
use sekisho_config::ContractRange;
use sekisho_pki::name::{AttributeValue, DistinguishedName, StringType, is_hidden};

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
    pub(in crate::gateway) fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// The contract limits.
    pub(in crate::gateway) fn contracts(&self) -> &[Vec<ContractRange>] {
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
    rule.contracts.iter().try_for_each(|ranges| check_contract(&identity, ranges))?;
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
    if let Some(unsafe_one) = text.chars().find(|character| is_hidden(*character)) {
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
    if let Some(user) =
        found.name(USER_ID).filter(|user| !user.is_empty() && stands_for_absence(user, common_name, rule))
    {
        let user = user.as_str();
        return malformed(format!("the user_id {user:?} is what the CN of a client without a user has in its place"));
    }
    // `\d` in a pattern is every script's digits; an upstream that reads them as numbers would see another contract.
    for (name, value) in captures.iter().filter(|(name, _)| name == CONTRACT_ID || name == USER_ID) {
        if value.chars().any(|character| character.is_numeric() && !character.is_ascii_digit()) {
            return malformed(format!("the {name} {value:?} has digits other than 0 to 9"));
        }
    }
    Ok(Identity { common_name: common_name.to_owned(), captures })
}

/// Checks that the contract is one of those that a CA may issue for.
///
/// # Errors
/// [`Reason::NotPermitted`], also when the CN names no contract.
pub(in crate::gateway) fn check_contract(identity: &Identity, ranges: &[ContractRange]) -> Result<(), Refusal> {
    let Some(contract_id) = identity.contract_id() else {
        return Err(Refusal::new(Reason::NotPermitted, "the CA is limited to contracts and the CN names none"));
    };
    if ranges.iter().any(|range| range.contains(contract_id)) {
        return Ok(());
    }
    Err(Refusal::new(Reason::NotPermitted, format!("the CA may not issue for contract {contract_id:?}")))
}

/// Returns `true` if a user ID is also the fixed text that follows where there is no user: with
/// `… (?:(?<user_id>…) )?1635` the user ID `1635`. Whoever reads such a name in another form (`CONTRACT USER`) takes the
/// user for none, who may be an administrator.
fn stands_for_absence(user: &regex::Match<'_>, common_name: &str, rule: &IdentityRule) -> bool {
    let (before, after) = (common_name.get(..user.start()), common_name.get(user.end()..));
    let (Some(before), Some(after)) = (before, after) else { return false };
    let is_word = |text: &str| text.split(' ').any(|word| word == user.as_str());
    if !is_word(before) && !is_word(after) {
        return false;
    }
    let without = [
        format!("{before}{after}"),
        format!("{before}{}", after.strip_prefix(' ').unwrap_or(after)),
        format!("{}{after}", before.strip_suffix(' ').unwrap_or(before)),
    ];
    without.iter().any(|name| {
        let outside_contract = |found: regex::Captures<'_>| {
            let contract = found.name(CONTRACT_ID).map_or(0..0, |contract| contract.range());
            let rest = [name.get(..contract.start), name.get(contract.end..)];
            found.name(USER_ID).is_none_or(|user| user.is_empty()) && rest.into_iter().flatten().any(is_word)
        };
        rule.pattern.captures(name).is_some_and(outside_contract)
    })
}

fn malformed<T>(evidence: String) -> Result<T, Refusal> {
    Err(Refusal::new(Reason::MalformedIdentity, evidence))
}

#[cfg(test)]
impl Identity {
    /// An identity that no certificate was read for.
    pub(crate) fn for_test(common_name: &str, captures: &[(&str, &str)]) -> Self {
        let captures = captures.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { common_name: common_name.to_owned(), captures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reason::{MalformedIdentity, NotPermitted};

    /// SHK's CN: contract, user, fixed suffix. An administrator's has no user.
    const SHINKIN: &str = "(?<contract_id>[0-9]{11}) (?:(?<user_id>[a-z]+) )?1635";
    /// BSL's CN: login ID, user number, issue number.
    const ANSER: &str = "(?<contract_id>[a-z0-9]+) (?<user_id>[A-Z][0-9]{3}) (?<issue>[0-9]{20})";
    const UTF8: u8 = 0x0c;

    fn element(identifier: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let header = match content.len() {
            0..=0x7f => vec![identifier, length[1]],
            0x80..=0xff => vec![identifier, 0x81, length[1]],
            _ => vec![identifier, 0x82, length[0], length[1]],
        };
        [header, content.to_vec()].concat()
    }

    /// An attribute 2.5.4.`arc`.
    fn attribute(arc: u8, string_type: u8, value: &[u8]) -> Vec<u8> {
        element(0x30, &[element(0x06, &[0x55, 0x04, arc]), element(string_type, value)].concat())
    }

    /// A name of these relative names, each of these attributes.
    fn name(relative_names: &[&[&[u8]]]) -> DistinguishedName {
        let sets: Vec<u8> = relative_names.iter().flat_map(|attributes| element(0x31, &attributes.concat())).collect();
        DistinguishedName::parse(&element(0x30, &sets)).unwrap()
    }

    fn rule(pattern: &str) -> IdentityRule {
        IdentityRule::new(&Regex::new(pattern).unwrap(), Vec::new()).unwrap()
    }

    fn identity_of(string_type: u8, value: impl AsRef<[u8]>, pattern: &str) -> Result<Identity, Refusal> {
        extract(&name(&[&[&attribute(3, string_type, value.as_ref())]]), &rule(pattern))
    }

    #[track_caller]
    fn assert_refused(result: Result<Identity, Refusal>, reason: Reason, evidence: &str) {
        let refusal = result.expect_err("it must be refused");
        assert_eq!(refusal.reason, reason, "{refusal}");
        assert!(refusal.evidence.contains(evidence), "{refusal}");
    }

    #[test]
    fn the_products_names_give_their_contract_and_user() {
        let user = identity_of(UTF8, "00009876543 riyousya 1635", SHINKIN).unwrap();
        assert_eq!((user.contract_id(), user.user_id()), (Some("00009876543"), Some("riyousya")));
        let administrator = identity_of(UTF8, "00009876543 1635", SHINKIN).unwrap();
        assert_eq!((administrator.contract_id(), administrator.user_id()), (Some("00009876543"), None));
        let anser = identity_of(UTF8, "logid031 A001 20200304153656560435", ANSER).unwrap();
        assert_eq!(anser.common_name(), "logid031 A001 20200304153656560435");
        assert_eq!(anser.capture("issue"), Some("20200304153656560435"));
        assert_eq!(anser.captures().count(), 3);
    }

    #[test]
    fn a_user_id_that_is_the_fixed_text_of_names_without_a_user_is_refused() {
        for user in ["1635", "a1635", "16350", "9876"] {
            let result = identity_of(UTF8, format!("00009876543 {user} 1635"), &SHINKIN.replace("[a-z]+", "[a-z0-9]+"));
            if user == "1635" {
                assert_refused(result, MalformedIdentity, "what the CN of a client without a user has in its place");
            } else {
                assert_eq!(result.unwrap().user_id(), Some(user));
            }
        }
        // Fixed text, and no name without a user.
        let required = "(?<contract_id>[0-9]{11}) (?<user_id>[a-z0-9]+) 1635";
        assert_eq!(identity_of(UTF8, "00009876543 1635 1635", required).unwrap().user_id(), Some("1635"));
        let login = "(?<user_id>[A-Z0-9]+) A[0-9]{3} [0-9]+";
        assert_eq!(identity_of(UTF8, "A001 A001 2020", login).unwrap().user_id(), Some("A001"));
    }

    #[test]
    fn a_name_without_a_contract_gives_none() {
        let login =
            identity_of(UTF8, "logid031 A001 20200304153656560435", "(?<user_id>[a-z0-9]+) A[0-9]{3} [0-9]{20}");
        let login = login.unwrap();
        assert_eq!((login.contract_id(), login.user_id()), (None, Some("logid031")));
    }

    #[test]
    fn a_common_name_matches_whole_or_not_at_all() {
        for more in ["00009876543 riyousya 1635 ", "x00009876543 riyousya 1635", "00009876543 riyousya 16350"] {
            assert!(identity_of(UTF8, more, SHINKIN).is_err(), "{more:?}");
        }
        assert!(identity_of(UTF8, "ab", "a|ab").is_ok(), "the longer alternative is the whole name");
        assert_refused(identity_of(UTF8, "abc", "a|ab"), MalformedIdentity, "does not match");
        assert_refused(identity_of(UTF8, "a\nb", "(?m)^b$"), MalformedIdentity, "U+000A");
    }

    #[test]
    fn exactly_one_common_name_is_accepted_wherever_it_stands() {
        let (one, two) = (attribute(3, UTF8, b"1 1635"), attribute(3, UTF8, b"2 1635"));
        let unit = attribute(11, UTF8, b"3 1635");
        let decide = |subject: DistinguishedName| extract(&subject, &rule(".*"));
        assert!(decide(name(&[&[&unit], &[&one]])).is_ok());
        assert!(decide(name(&[&[&unit, &one]])).is_ok());
        assert_refused(decide(name(&[&[&one], &[&two]])), MalformedIdentity, "has 2 CNs");
        assert_refused(decide(name(&[&[&one, &two]])), MalformedIdentity, "has 2 CNs");
        assert_refused(decide(name(&[&[&one], &[&unit], &[&one]])), MalformedIdentity, "has 2 CNs");
        assert_refused(decide(name(&[&[&unit]])), MalformedIdentity, "has no CN");
        assert_refused(decide(name(&[])), MalformedIdentity, "has no CN");
    }

    #[test]
    fn only_three_string_types_are_characters_without_doubt() {
        for (identifier, named) in
            [(0x1e, "BMPString"), (0x14, "TeletexString"), (0x1c, "UniversalString"), (0x12, "0x12"), (0x04, "0x04")]
        {
            assert_refused(identity_of(identifier, "1 1635", ".*"), MalformedIdentity, named);
        }
        for identifier in [UTF8, 0x13, 0x16] {
            assert!(identity_of(identifier, "1 1635", ".*").is_ok());
        }
        assert_refused(identity_of(UTF8, [b'a', 0xff], ".*"), MalformedIdentity, "are not a UTF8String");
        assert_refused(identity_of(0x13, "日本", ".*"), MalformedIdentity, "are not a PrintableString");
        assert_refused(identity_of(0x16, "日本", ".*"), MalformedIdentity, "are not a IA5String");
    }

    #[test]
    fn characters_that_split_lines_or_hide_are_refused_whatever_the_pattern() {
        for bad in [
            "\0",
            "\r",
            "\n",
            "\u{7f}",
            "\u{85}",
            "\t",
            "\u{1b}",
            "\u{202e}",
            "\u{200b}",
            "\u{feff}",
            "\u{2028}",
            "\u{115f}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{34f}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{e0100}",
            "\u{180b}",
        ] {
            for text in [format!("1{bad} 1635"), format!("{bad}1635"), format!("1635{bad}")] {
                let evidence = format!("U+{:04X}", u32::from(bad.chars().next().unwrap()));
                assert_refused(identity_of(UTF8, text, "(?s).*"), MalformedIdentity, &evidence);
            }
        }
        for spaced in [" 1 1635", "1 1635 ", "\u{3000}1 1635", "1 1635\u{a0}"] {
            assert_refused(identity_of(UTF8, spaced, ".*"), MalformedIdentity, "begins or ends with a space");
        }
        assert_refused(identity_of(UTF8, "", ".*"), MalformedIdentity, "the CN is empty");
    }

    #[test]
    fn a_common_name_has_a_longest_length_and_is_not_cut() {
        assert!(identity_of(UTF8, "a".repeat(MAX_COMMON_NAME_BYTES), ".*").is_ok());
        let long = identity_of(UTF8, "a".repeat(MAX_COMMON_NAME_BYTES + 1), ".*");
        assert_refused(long, MalformedIdentity, "257 octets; at most 256");
    }

    #[test]
    fn commas_and_quotes_are_kept_as_they_are() {
        let name = r#"a,"b"=c+d;<e>\#"#;
        assert_eq!(identity_of(UTF8, name, ".*").unwrap().common_name(), name);
        assert_refused(identity_of(UTF8, "1,CN=2 1635", SHINKIN), MalformedIdentity, "does not match");
    }

    #[test]
    fn an_identity_is_never_trimmed_folded_or_normalised() {
        let (composed, decomposed) = ("\u{30ac}", "\u{30ab}\u{3099}");
        assert_eq!(identity_of(UTF8, decomposed, ".*").unwrap().common_name(), decomposed);
        assert_refused(identity_of(UTF8, decomposed, composed), MalformedIdentity, "does not match");
        assert_refused(identity_of(UTF8, "RIYOUSYA", "riyousya"), MalformedIdentity, "does not match");
    }

    #[test]
    fn digits_of_another_script_are_no_contract() {
        let pattern = r"(?<contract_id>\d+) (?<name>.+)";
        assert!(identity_of(UTF8, "123 １丁目", pattern).is_ok());
        assert_refused(identity_of(UTF8, "１２３ a", pattern), MalformedIdentity, "digits other than 0 to 9");
        assert_refused(identity_of(UTF8, "12٣ a", pattern), MalformedIdentity, "digits other than 0 to 9");
    }

    #[test]
    fn an_empty_capture_is_absent() {
        let identity = identity_of(UTF8, "1-", "(?<contract_id>[0-9]+)-(?<user_id>[a-z]*)").unwrap();
        assert_eq!(identity.user_id(), None);
        assert_eq!(identity.captures().collect::<Vec<_>>(), [("contract_id", "1")]);
    }

    #[test]
    fn a_ca_speaks_for_its_contracts_only() {
        let range = |first: &str, last: &str| ContractRange { first: first.into(), last: last.into() };
        let limited = |limits: Vec<Vec<ContractRange>>, contract: &str| {
            let rule = IdentityRule::new(&Regex::new("(?<contract_id>[0-9]*)x").unwrap(), limits).unwrap();
            extract(&name(&[&[&attribute(3, UTF8, format!("{contract}x").as_bytes())]]), &rule)
        };
        let own = || vec![range("100", "199"), range("500", "500")];
        for contract in ["100", "150", "199", "500"] {
            assert!(limited(vec![own()], contract).is_ok(), "{contract}");
        }
        for contract in ["099", "200", "499", "501", "15", "1500", "0150"] {
            assert_refused(limited(vec![own()], contract), NotPermitted, "may not issue for contract");
        }
        assert_refused(limited(vec![own()], ""), NotPermitted, "the CN names none");
        assert_refused(limited(vec![Vec::new()], "150"), NotPermitted, "may not issue");
        assert!(limited(vec![own(), vec![range("140", "160")]], "150").is_ok());
        assert_refused(limited(vec![own(), vec![range("140", "160")]], "170"), NotPermitted, "may not issue");
    }

    #[test]
    fn a_pattern_that_cannot_be_anchored_is_an_error() {
        assert!(IdentityRule::new(&Regex::new("(?x)a # comment").unwrap(), Vec::new()).is_err());
        assert!(IdentityRule::new(&Regex::new("^a$").unwrap(), Vec::new()).is_ok());
    }
}
