//! Distribution points: where a certificate says that its list is, and which certificates a list is for (RFC 5280
//! sections 4.2.1.13 and 5.2.5).

use super::der::{DerError, Element, Reader, tag};
use std::fmt;
use std::sync::Arc;

/// Distribution points that a certificate may have: one for each way to the list, some three in the field.
const MAX_POINTS: usize = 16;

/// Names of one distribution point: the same list by HTTP and LDAP.
const MAX_NAMES: usize = 16;

/// distributionPoint `[0]`, a CHOICE and so explicit.
const POINT: u8 = 0xa0;
/// fullName `[0]`.
const FULL_NAME: u8 = 0xa0;
/// nameRelativeToCRLIssuer `[1]`.
const RELATIVE_NAME: u8 = 0xa1;
/// uniformResourceIdentifier `[6]`.
const URI: u8 = 0x86;
/// directoryName `[4]`, explicit since Name is a CHOICE.
const DIRECTORY_NAME: u8 = 0xa4;
/// A SET.
const SET: u8 = 0x31;

/// One DistributionPoint of a certificate, at which its issuer's own list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionPoint {
    names: Box<[PointName]>,
    reasons: Reasons,
}

/// A name of a distribution point: the DER of a GeneralName, which names are compared by.
///
/// Scheme and host of a URI are kept in lower case (section 7.4); the rest of it is compared as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointName(Arc<[u8]>);

/// A set of reasons for revocation (ReasonFlags, section 4.2.1.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u16);

impl DistributionPoint {
    /// The point at a URI, for every reason.
    pub fn at_uri(uri: &str) -> Self {
        Self { names: Box::new([PointName::from_uri(uri)]), reasons: Reasons::ALL }
    }

    /// The names under which the list may be.
    pub fn names(&self) -> &[PointName] {
        &self.names
    }

    /// The reasons that a list found there speaks of, all when the point names none.
    pub const fn reasons(&self) -> Reasons {
        self.reasons
    }
}

impl PointName {
    /// The URI, if it is one.
    pub fn uri(&self) -> Option<&str> {
        let element = Reader::new(&self.0).element(URI, "a URI").ok()?;
        std::str::from_utf8(element.content).ok()
    }

    /// The name of a list at this URI.
    pub fn from_uri(uri: &str) -> Self {
        Self::of_element(URI, &wrap(URI, uri.as_bytes()))
    }

    fn of_element(tag: u8, whole: &[u8]) -> Self {
        let mut octets = whole.to_vec();
        if tag == URI {
            lower_case_host(&mut octets);
        }
        Self(octets.into())
    }
}

impl Reasons {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every reason: bits 1 to 8, keyCompromise to aACompromise.
    pub const ALL: Self = Self(0x01fe);

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn in_common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is no reason that is not in it.
    pub const fn is_all(self) -> bool {
        self.0 == Self::ALL.0
    }

    /// Whether it is empty.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// From the content of a BIT STRING.
    pub(super) fn from_bits(content: &[u8]) -> Result<Self, DerError> {
        let invalid = DerError::Value("ReasonFlags");
        let [unused, bits @ ..] = content else { return Err(invalid) };
        if *unused > 7 || (bits.is_empty() && *unused != 0) {
            return Err(invalid);
        }
        let set = |bit: usize| bits.get(bit / 8).is_some_and(|octet| octet & (0x80 >> (bit % 8)) != 0);
        Ok(Self((1..=8).filter(|bit| set(*bit)).fold(0, |mask, bit| mask | (1 << bit))))
    }
}

/// The content of cRLDistributionPoints, of a certificate with this issuer (the content of its Name SEQUENCE).
///
/// Points of other lists than the issuer's own (cRLIssuer) and points without a name are left out: they name no list
/// that is taken here.
pub(super) fn of_certificate(value: &[u8], issuer: &[u8]) -> Result<Vec<DistributionPoint>, DerError> {
    const WHAT: &str = "cRLDistributionPoints";
    let mut outer = Reader::new(value);
    let mut points = outer.inside(tag::SEQUENCE, WHAT)?;
    outer.end(WHAT)?;
    let mut found = Vec::new();
    for count in 0.. {
        if points.is_empty() {
            break;
        }
        if count == MAX_POINTS {
            return Err(DerError::Value("the number of distribution points"));
        }
        let mut fields = points.inside(tag::SEQUENCE, "a DistributionPoint")?;
        let names = match fields.optional(POINT, "distributionPoint")? {
            Some(point) => names(point.content, issuer)?,
            None => Vec::new(),
        };
        let reasons = match fields.optional(0x81, "reasons")? {
            Some(reasons) => Reasons::from_bits(reasons.content)?,
            None => Reasons::ALL,
        };
        let other_issuer = fields.optional(0xa2, "cRLIssuer")?;
        fields.end("a DistributionPoint")?;
        if other_issuer.is_none() && !names.is_empty() {
            found.push(DistributionPoint { names: names.into(), reasons });
        }
    }
    Ok(found)
}

/// The content of a DistributionPointName; a relative name is completed with the content of its list's issuer's Name.
pub(super) fn names(point: &[u8], issuer: &[u8]) -> Result<Vec<PointName>, DerError> {
    const WHAT: &str = "a DistributionPointName";
    let mut outer = Reader::new(point);
    let choice = outer.any(WHAT)?;
    outer.end(WHAT)?;
    match choice.tag {
        FULL_NAME => full_names(&choice),
        RELATIVE_NAME => {
            let name = wrap(tag::SEQUENCE, &[issuer, &wrap(SET, choice.content)].concat());
            Ok(vec![PointName(wrap(DIRECTORY_NAME, &name).into())])
        }
        other => Err(DerError::UnexpectedTag(WHAT, other)),
    }
}

fn full_names(choice: &Element<'_>) -> Result<Vec<PointName>, DerError> {
    let mut rest = Reader::new(choice.content);
    let mut names = Vec::new();
    while !rest.is_empty() {
        if names.len() == MAX_NAMES {
            return Err(DerError::Value("the number of a distribution point's names"));
        }
        let name = rest.any("a GeneralName")?;
        names.push(PointName::of_element(name.tag, name.whole));
    }
    if names.is_empty() { Err(DerError::Value("a DistributionPointName")) } else { Ok(names) }
}

/// Puts scheme and host of a URI element into lower case: what is before the first `/` of `scheme://host/…`.
fn lower_case_host(element: &mut [u8]) {
    let Some(scheme) = element.windows(3).position(|window| window == b"://") else { return };
    let host = element.iter().skip(scheme + 3).position(|octet| matches!(octet, b'/' | b'?' | b'#'));
    let end = host.map_or(element.len(), |host| scheme + 3 + host);
    // Tag and length come first; the tag of a URI is no letter and a length that is one would have to stay.
    let start = element.len() - uri_octets(element);
    if let Some(part) = element.get_mut(start..end) {
        part.make_ascii_lowercase();
    }
}

fn uri_octets(element: &[u8]) -> usize {
    Reader::new(element).any("a URI").map_or(0, |element| element.content.len())
}

/// An element of this tag.
fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = vec![tag];
    let length = content.len().to_be_bytes();
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => whole.push(short),
        _ => {
            let octets: Vec<u8> = length.iter().copied().skip_while(|octet| *octet == 0).collect();
            // A usize has at most 8 octets.
            whole.push(0x80 | u8::try_from(octets.len()).unwrap_or(8));
            whole.extend(octets);
        }
    }
    whole.extend_from_slice(content);
    whole
}

impl fmt::Display for PointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uri() {
            Some(uri) => f.write_str(uri),
            None => f.write_str("a name that is no URI"),
        }
    }
}

impl fmt::Debug for PointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PointName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of the extension with one point at a URI, and these further fields of it.
    fn one_point(uri: &str, more: &[u8]) -> Vec<u8> {
        let name = wrap(POINT, &wrap(FULL_NAME, &wrap(URI, uri.as_bytes())));
        wrap(tag::SEQUENCE, &wrap(tag::SEQUENCE, &[name, more.to_vec()].concat()))
    }

    #[test]
    fn a_point_says_where_and_of_which_reasons() {
        let points = of_certificate(&one_point("http://crl.example.jp/A.crl", &[0x81, 2, 5, 0x60]), &[]).unwrap();
        let [point] = points.as_slice() else { panic!("{points:?}") };
        assert_eq!(point.names()[0].uri(), Some("http://crl.example.jp/A.crl"));
        assert_eq!(point.reasons(), Reasons(0b110));
        let all = of_certificate(&one_point("http://crl.example.jp/A.crl", &[]), &[]).unwrap();
        assert!(all[0].reasons().is_all());
    }

    #[test]
    fn host_and_scheme_are_compared_without_case_and_the_path_with_it() {
        let name = PointName::from_uri;
        assert_eq!(name("HTTP://CRL.Example.JP/A.crl"), name("http://crl.example.jp/A.crl"));
        assert_ne!(name("http://crl.example.jp/a.crl"), name("http://crl.example.jp/A.crl"));
        assert_eq!(name("HTTP://CRL.Example.JP"), name("http://crl.example.jp"));
        assert_eq!(name("http://h?A").uri(), Some("http://h?A"));
        // A length octet that is a letter stays as it is.
        let long = format!("HTTP://h/{}", "A".repeat(0x41 - 9));
        assert_eq!(name(&long).uri().map(str::len), Some(0x41));
    }

    #[test]
    fn a_relative_name_is_completed_with_the_issuers() {
        let issuer = wrap(SET, b"issuer");
        let relative = names(&wrap(RELATIVE_NAME, b"point"), &issuer).unwrap();
        let full = wrap(DIRECTORY_NAME, &wrap(tag::SEQUENCE, &[issuer, wrap(SET, b"point")].concat()));
        assert_eq!(relative, names(&wrap(FULL_NAME, &full), &[]).unwrap());
    }

    #[test]
    fn points_of_another_issuers_list_and_points_without_a_name_are_left_out() {
        assert_eq!(of_certificate(&one_point("http://a/", &[0xa2, 2, 0xa4, 0]), &[]), Ok(Vec::new()));
        let nameless = wrap(tag::SEQUENCE, &wrap(tag::SEQUENCE, &[0x81, 2, 5, 0x60]));
        assert_eq!(of_certificate(&nameless, &[]), Ok(Vec::new()));
    }

    #[test]
    fn points_and_names_have_a_largest_number() {
        let point = &one_point("http://a/", &[])[2..];
        let with = |count: usize| of_certificate(&wrap(tag::SEQUENCE, &point.repeat(count)), &[]);
        assert_eq!(with(MAX_POINTS).map(|points| points.len()), Ok(MAX_POINTS));
        assert_eq!(with(MAX_POINTS + 1), Err(DerError::Value("the number of distribution points")));
        let name = wrap(URI, b"http://a/");
        let named = |count: usize| names(&wrap(FULL_NAME, &name.repeat(count)), &[]);
        assert_eq!(named(MAX_NAMES).map(|names| names.len()), Ok(MAX_NAMES));
        assert!(named(MAX_NAMES + 1).is_err());
        assert!(named(0).is_err());
    }

    #[test]
    fn octets_behind_or_missing_are_refused() {
        let good = one_point("http://a/", &[]);
        assert!(of_certificate(&[good.clone(), vec![0]].concat(), &[]).is_err());
        for length in 0..good.len() {
            assert!(of_certificate(&good[..length], &[]).is_err(), "{length}");
        }
        assert!(Reasons::from_bits(&[]).is_err());
        assert!(Reasons::from_bits(&[8, 0]).is_err());
        assert!(Reasons::from_bits(&[1]).is_err());
        assert_eq!(Reasons::from_bits(&[0, 0xff, 0xff]), Ok(Reasons::ALL), "bit 0 is unused, 9 and more undefined");
    }
}
