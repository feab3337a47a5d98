//! Name constraints: which names a CA's certificates may have (RFC 5280 section 4.2.1.10).
//!
//! DNS names, IP addresses and permitted directory names are compared. Of every other form a name is refused as soon as a
//! constraint of that form is there, which section 4.2.1.10 leaves as the one other choice: excluded directory names too,
//! since a name that is merely spelled in an unknown way would be let through.

use super::certificate::Certificate;
use super::der::{DerError, Reader, tag};
use super::name::DistinguishedName;
use std::fmt;

/// Comparisons of a name with a constraint that one path may cost: a leaf with three names below a CA with a thousand
/// constraints. A million of them would take a handshake's time a hundred times over.
pub const MAX_NAME_COMPARISONS: usize = 4096;

/// permittedSubtrees `[0]`.
const PERMITTED: u8 = 0xa0;
/// excludedSubtrees `[1]`.
const EXCLUDED: u8 = 0xa1;
/// rfc822Name `[1]`.
const RFC822_NAME: u8 = 0x81;
/// dNSName `[2]`.
const DNS_NAME: u8 = 0x82;
/// directoryName `[4]`, explicit since Name is a CHOICE.
const DIRECTORY_NAME: u8 = 0xa4;
/// iPAddress `[7]`.
const IP_ADDRESS: u8 = 0x87;

/// Why a certificate's names are not accepted under a CA's constraints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameConstraintError {
    /// The constraints cannot be read.
    Constraints(DerError),
    /// The certificate's subjectAltName cannot be read.
    Names(DerError),
    /// No permitted subtree has the name.
    NotPermitted(String),
    /// An excluded subtree has the name.
    Excluded(String),
    /// There is a constraint of this form of name, which is not compared here.
    NotCompared(String),
    /// More than [`MAX_NAME_COMPARISONS`].
    TooMany,
}

/// Counts the comparisons of one path.
#[derive(Debug, Default)]
pub struct Comparisons(usize);

/// A name of a certificate.
#[derive(Clone, Copy)]
enum Name<'a> {
    /// An entry of subjectAltName: tag and content.
    General(u8, &'a [u8]),
    /// The subject.
    Subject(&'a DistinguishedName),
}

/// What a constraint says of a name.
enum Compared {
    /// The constraint is of another form of name.
    OtherForm,
    Within,
    Outside,
}

/// Checks all names of a certificate against the constraints of a CA above it, if it has any.
///
/// # Errors
/// [`NameConstraintError`], also when constraints or names cannot be read.
pub fn check(
    ca: &Certificate,
    certificate: &Certificate,
    comparisons: &mut Comparisons,
) -> Result<(), NameConstraintError> {
    let Some(constraints) = ca.name_constraints() else { return Ok(()) };
    let [permitted, excluded] = subtrees(constraints).map_err(NameConstraintError::Constraints)?;
    let subject = certificate.subject();
    let mut check_name = |name: Name<'_>| {
        check_permitted(name, permitted, comparisons)?;
        check_excluded(name, excluded, comparisons)
    };
    if !subject.is_empty() {
        check_name(Name::Subject(subject))?;
    }
    if subject.has_email_address() {
        // Section 4.2.1.10: constraints of rfc822Name hold for the subject's emailAddress, too.
        check_name(Name::General(RFC822_NAME, b"the subject's emailAddress"))?;
    }
    let Some(alternative_names) = certificate.alternative_names() else { return Ok(()) };
    let mut names = sequence(alternative_names, "subjectAltName").map_err(NameConstraintError::Names)?;
    while !names.is_empty() {
        let name = names.any("a GeneralName").map_err(NameConstraintError::Names)?;
        check_name(Name::General(name.tag, name.content))?;
    }
    Ok(())
}

/// The permitted and the excluded subtrees. Both absent, and either of them empty, is what section 4.2.1.10 forbids.
fn subtrees(value: &[u8]) -> Result<[Option<Reader<'_>>; 2], DerError> {
    const WHAT: &str = "nameConstraints";
    let mut fields = sequence(value, WHAT)?;
    let permitted = fields.optional(PERMITTED, WHAT)?.map(|subtrees| Reader::new(subtrees.content));
    let excluded = fields.optional(EXCLUDED, WHAT)?.map(|subtrees| Reader::new(subtrees.content));
    fields.end(WHAT)?;
    let is_empty = |subtrees: &Option<Reader<'_>>| subtrees.is_some_and(|subtrees| subtrees.is_empty());
    if (permitted.is_none() && excluded.is_none()) || is_empty(&permitted) || is_empty(&excluded) {
        return Err(DerError::Value(WHAT));
    }
    Ok([permitted, excluded])
}

fn check_permitted(
    name: Name<'_>,
    subtrees: Option<Reader<'_>>,
    comparisons: &mut Comparisons,
) -> Result<(), NameConstraintError> {
    let Some(mut subtrees) = subtrees else { return Ok(()) };
    let mut is_constrained = false;
    while !subtrees.is_empty() {
        match compare(name, &mut subtrees, comparisons, false)? {
            Compared::OtherForm => {}
            // The rest is read for its form only once it decides something.
            Compared::Within => return Ok(()),
            Compared::Outside => is_constrained = true,
        }
    }
    if is_constrained { Err(NameConstraintError::NotPermitted(name.to_string())) } else { Ok(()) }
}

fn check_excluded(
    name: Name<'_>,
    subtrees: Option<Reader<'_>>,
    comparisons: &mut Comparisons,
) -> Result<(), NameConstraintError> {
    let Some(mut subtrees) = subtrees else { return Ok(()) };
    while !subtrees.is_empty() {
        if matches!(compare(name, &mut subtrees, comparisons, true)?, Compared::Within) {
            return Err(NameConstraintError::Excluded(name.to_string()));
        }
    }
    Ok(())
}

/// Compares a name with the next subtree. A minimum other than 0 and a maximum are not used (section 4.2.1.10).
fn compare(
    name: Name<'_>,
    subtrees: &mut Reader<'_>,
    comparisons: &mut Comparisons,
    is_excluding: bool,
) -> Result<Compared, NameConstraintError> {
    comparisons.0 += 1;
    if comparisons.0 > MAX_NAME_COMPARISONS {
        return Err(NameConstraintError::TooMany);
    }
    let malformed = NameConstraintError::Constraints;
    let mut subtree = subtrees.inside(tag::SEQUENCE, "a GeneralSubtree").map_err(malformed)?;
    let base = subtree.any("a GeneralSubtree").map_err(malformed)?;
    subtree.end("a GeneralSubtree").map_err(malformed)?;
    let is_within = match (name, base.tag) {
        (Name::General(DNS_NAME, name), DNS_NAME) => {
            let name = host_name(name).ok_or(NameConstraintError::Names(DerError::Value("a dNSName")))?;
            let constraint = base.content.strip_prefix(b".").unwrap_or(base.content);
            let constraint = match constraint {
                [] => "",
                some => host_name(some).ok_or(malformed(DerError::Value("a dNSName constraint")))?,
            };
            let subdomains_only = base.content.first() == Some(&b'.');
            dns_within(name, constraint, subdomains_only, is_excluding)
        }
        (Name::General(IP_ADDRESS, address), IP_ADDRESS) => {
            if !matches!(address.len(), 4 | 16) {
                return Err(NameConstraintError::Names(DerError::Value("an iPAddress")));
            }
            address_within(address, base.content).ok_or(malformed(DerError::Value("an iPAddress constraint")))?
        }
        (Name::Subject(_) | Name::General(DIRECTORY_NAME, _), DIRECTORY_NAME) if is_excluding => {
            return Err(NameConstraintError::NotCompared("an excluded directoryName".to_owned()));
        }
        (Name::Subject(subject), DIRECTORY_NAME) => subject.is_within(&directory_name(base.content, malformed)?),
        (Name::General(DIRECTORY_NAME, name), DIRECTORY_NAME) => {
            directory_name(name, NameConstraintError::Names)?.is_within(&directory_name(base.content, malformed)?)
        }
        (Name::General(form, _), constrained) if form & 0x1f == constrained & 0x1f => {
            return Err(NameConstraintError::NotCompared(name.to_string()));
        }
        _ => return Ok(Compared::OtherForm),
    };
    Ok(if is_within { Compared::Within } else { Compared::Outside })
}

fn directory_name(
    content: &[u8],
    error: fn(DerError) -> NameConstraintError,
) -> Result<DistinguishedName, NameConstraintError> {
    DistinguishedName::parse(content).map_err(|_| error(DerError::Value("a directoryName")))
}

/// A host name of at least one label, with `*` at most as the whole first.
fn host_name(octets: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(octets).ok()?;
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    text.strip_prefix("*.").unwrap_or(text).split('.').all(is_label).then_some(text)
}

/// A wildcard stands for many names: it is permitted if all of them are, and excluded if one of them is.
fn dns_within(name: &str, constraint: &str, subdomains_only: bool, is_excluding: bool) -> bool {
    let is_below = |name: &str, parent: &str| {
        let start = name.len().checked_sub(parent.len());
        let parts = start.and_then(|start| name.as_bytes().split_at_checked(start));
        let ends_so =
            |(head, tail): (&[u8], &[u8])| head.ends_with(b".") && tail.eq_ignore_ascii_case(parent.as_bytes());
        parent.is_empty() || parts.is_some_and(ends_so)
    };
    let within = is_below(name, constraint) || (!subdomains_only && name.eq_ignore_ascii_case(constraint));
    let covers = || name.strip_prefix("*.").is_some_and(|parent| is_below(constraint, parent));
    within || (is_excluding && covers())
}

/// Whether an address is in a network of address and mask; none when it is no network.
fn address_within(address: &[u8], network: &[u8]) -> Option<bool> {
    if !matches!(network.len(), 8 | 32) {
        return None;
    }
    let (base, mask) = network.split_at(network.len() / 2);
    // RFC 4632: ones, then zeros.
    let bits: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let leading = mask.iter().take_while(|octet| **octet == 0xff).count();
    let ones = u32::try_from(leading).unwrap_or(0) * 8 + mask.get(leading).map_or(0, |octet| octet.leading_ones());
    if bits != ones {
        return None;
    }
    let same = |((a, b), mask): ((&u8, &u8), &u8)| a & mask == b & mask;
    Some(address.len() == base.len() && address.iter().zip(base).zip(mask).all(same))
}

fn sequence<'a>(value: &'a [u8], what: &'static str) -> Result<Reader<'a>, DerError> {
    let mut outer = Reader::new(value);
    let content = outer.inside(tag::SEQUENCE, what)?;
    outer.end(what)?;
    Ok(content)
}

/// For messages; octets that are no plain text are not repeated.
impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN_BYTES: usize = 256;
        match self {
            Self::Subject(subject) => write!(f, "the subject {}", bounded(&subject.to_string(), MAX_SHOWN_BYTES)),
            Self::General(tag @ (RFC822_NAME | DNS_NAME | 0x86), content) if content.is_ascii() => {
                let text: String = content.iter().take(MAX_SHOWN_BYTES).map(|octet| char::from(*octet)).collect();
                write!(f, "the name {text:?} of form {}", tag & 0x1f)
            }
            Self::General(tag, _) => write!(f, "a name of form {}", tag & 0x1f),
        }
    }
}

fn bounded(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

impl fmt::Display for NameConstraintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constraints(error) => write!(f, "nameConstraints cannot be read: {error}"),
            Self::Names(error) => write!(f, "the certificate's alternative names cannot be read: {error}"),
            Self::NotPermitted(name) => write!(f, "{name} is in no permitted subtree"),
            Self::Excluded(name) => write!(f, "{name} is in an excluded subtree"),
            Self::NotCompared(name) => write!(f, "constraints on {name} are not supported"),
            Self::TooMany => {
                write!(f, "names times constraints are more than {MAX_NAME_COMPARISONS}; the product is limited")
            }
        }
    }
}

impl std::error::Error for NameConstraintError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_name_is_within_its_own_and_its_parents_subtree() {
        let permitted = |name, constraint| dns_within(name, constraint, false, false);
        for (name, constraint) in [
            ("bank.example", "bank.example"),
            ("PC.Bank.Example", "bank.example"),
            ("a.b.bank.example", "bank.example"),
            ("x", ""),
            ("*.bank.example", "bank.example"),
        ] {
            assert!(permitted(name, constraint), "{name} {constraint}");
        }
        for (name, constraint) in [
            ("evilbank.example", "bank.example"),
            ("bank.example.jp", "bank.example"),
            ("example", "bank.example"),
            ("*.example", "bank.example"),
        ] {
            assert!(!permitted(name, constraint), "{name} {constraint}");
        }
        assert!(!dns_within("bank.example", "bank.example", true, false), "a leading dot is for subdomains");
        assert!(dns_within("pc.bank.example", "bank.example", true, false));
        assert!(dns_within("*.example", "bank.example", false, true), "one of the wildcard's names is excluded");
        assert!(!dns_within("*.other", "bank.example", false, true));
    }

    #[test]
    fn only_host_names_are_compared() {
        for name in ["a", "a.b", "*.b", "a_b.c-d"] {
            assert!(host_name(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["", ".", "a.", ".a", "a..b", "a b", "a.*.b", "a*.b", "*", "日本"] {
            assert!(host_name(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn an_address_is_within_its_network() {
        let network = [10, 1, 0, 0, 255, 255, 0, 0];
        assert_eq!(address_within(&[10, 1, 2, 3], &network), Some(true));
        assert_eq!(address_within(&[10, 2, 2, 3], &network), Some(false));
        assert_eq!(address_within(&[0; 16], &network), Some(false), "another family");
        assert_eq!(address_within(&[10, 1, 2, 3], &[0; 8]), Some(true), "all of them");
        assert_eq!(address_within(&[10, 1, 2, 3], &[10, 1, 0, 0, 255, 0, 255, 0]), None, "no mask");
        assert_eq!(address_within(&[10, 1, 2, 3], &[10, 1, 0, 0]), None);
    }

    #[test]
    fn empty_and_absent_subtrees_are_refused() {
        for value in [&[0x30, 0][..], &[0x30, 2, PERMITTED, 0], &[0x30, 2, EXCLUDED, 0], &[0x30, 2, 5, 0], &[]] {
            assert!(subtrees(value).is_err(), "{value:?}");
        }
        assert!(subtrees(&[0x30, 6, PERMITTED, 4, 0x30, 2, DNS_NAME, 0]).is_ok());
    }
}
