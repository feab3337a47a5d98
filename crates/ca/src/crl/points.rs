//! Distribution points: where lists are, and in which of them a certificate stands.

use super::super::authority::PublicUrl;
use super::super::der::{Writer, more, tag};
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::serial::SerialNumber;
use std::num::NonZeroU16;
use std::str::FromStr as _;

/// The name of the placeholder in URLs of lists in parts.
const PART: &str = "{part}";

/// Into how many parts an authority's list is cut. It stands in every certificate, so it never changes: a new number
/// needs a new authority.
pub type PartCount = NonZeroU16;

/// Which part, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartIndex(u16);

/// URLs of an authority's lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionPoints {
    template: String,
    delta: Option<String>,
    parts: PartCount,
}

impl DistributionPoints {
    /// One list at a URL.
    ///
    /// # Errors
    /// Says what is wrong with the URLs.
    pub fn whole(url: &str, delta: Option<&str>) -> Result<Self, String> {
        Self::new(url, delta, PartCount::MIN)
    }

    /// Lists in parts; with more than one, each URL has `{part}`.
    ///
    /// # Errors
    /// Says what is wrong with the URLs.
    pub fn new(template: &str, delta: Option<&str>, parts: PartCount) -> Result<Self, String> {
        for text in std::iter::once(template).chain(delta) {
            PublicUrl::from_str(&text.replace(PART, &u16::MAX.to_string()))?;
            if text.contains(PART) != (parts.get() > 1) {
                return Err(format!("{text:?}: {PART} belongs in the URLs of lists in parts, and only there"));
            }
        }
        if delta == Some(template) {
            return Err("the delta list needs another URL than the full one".to_owned());
        }
        Ok(Self { template: template.to_owned(), delta: delta.map(str::to_owned), parts })
    }

    /// How many parts there are.
    pub const fn parts(&self) -> PartCount {
        self.parts
    }

    /// The part whose lists speak of a certificate: by a hash, so that the parts grow alike.
    pub fn part_of(&self, serial: &SerialNumber) -> PartIndex {
        PartIndex::of(serial, self.parts)
    }

    /// The URL of a part's full list.
    pub fn url(&self, part: PartIndex) -> String {
        self.template.replace(PART, &part.0.to_string())
    }

    /// Whether deltas are published.
    pub const fn has_deltas(&self) -> bool {
        self.delta.is_some()
    }

    /// The URL of a part's delta list, when deltas are published.
    pub fn delta_url(&self, part: PartIndex) -> Option<String> {
        self.delta.as_ref().map(|delta| delta.replace(PART, &part.0.to_string()))
    }
}

impl PartIndex {
    /// The part of a serial number.
    pub fn of(serial: &SerialNumber, parts: PartCount) -> Self {
        let [first, second, third, fourth, ..] = sha256(&[serial.as_bytes()]);
        let hash = u32::from_be_bytes([first, second, third, fourth]);
        // Below `parts`, which is 16 bits.
        Self(u16::try_from(hash % u32::from(parts.get())).unwrap_or_default())
    }

    /// Every part of so many.
    pub fn all(parts: PartCount) -> impl Iterator<Item = Self> {
        (0..parts.get()).map(Self)
    }

    /// From 0.
    pub const fn value(self) -> u16 {
        self.0
    }
}

/// CRLDistributionPoints with one URL (RFC 5280 section 4.2.1.13); freshestCRL has the same syntax.
pub(in super::super) fn write_points(value: &mut Writer, url: &str) {
    value.sequence(|points| points.sequence(|point| write_name(point, url)));
}

/// distributionPoint `[0]` with a fullName `[0]`, as IssuingDistributionPoint has it too.
pub(super) fn write_name(point: &mut Writer, url: &str) {
    point.nest(tag::CONTEXT_0, |name| name.nest(tag::CONTEXT_0, |full| full.element(more::URI, url.as_bytes())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_alike() {
        let parts = PartCount::new(16).unwrap();
        let mut counts = [0_u32; 16];
        for _ in 0..16_000 {
            let serial = super::super::super::serial::random().unwrap();
            counts[usize::from(PartIndex::of(&serial, parts).value())] += 1;
        }
        assert!(counts.iter().all(|count| (800..=1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn urls_that_cannot_tell_parts_apart_are_refused() {
        let sixteen = PartCount::new(16).unwrap();
        assert!(DistributionPoints::new("http://a/x.crl", None, sixteen).is_err());
        assert!(DistributionPoints::new("http://a/{part}.crl", Some("http://a/delta.crl"), sixteen).is_err());
        assert!(DistributionPoints::whole("http://a/{part}.crl", None).is_err());
        assert!(DistributionPoints::whole("http://a/x.crl", Some("http://a/x.crl")).is_err());
        assert!(DistributionPoints::whole("https://a/x.crl", None).is_err());
        assert!(DistributionPoints::whole("http:///x.crl", None).is_err());
        assert!(DistributionPoints::whole("http://a/x y.crl", None).is_err());
        let good = DistributionPoints::new("http://a/{part}.crl", Some("http://a/{part}-delta.crl"), sixteen).unwrap();
        assert_eq!(good.url(PartIndex(3)), "http://a/3.crl");
        assert_eq!(good.delta_url(PartIndex(3)).as_deref(), Some("http://a/3-delta.crl"));
    }
}
