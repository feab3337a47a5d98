//! A writer of DER (X.690): the counterpart of the reader in `pki`.

use sekisho_pki::time::Timestamp;

pub(super) use sekisho_pki::der::{DerError, Reader, boolean, tag};

/// Tags that only writing needs.
pub(super) mod more {
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const SET: u8 = 0x31;
    /// Context-specific, primitive, number 0.
    pub(crate) const IMPLICIT_0: u8 = 0x80;
    /// Context-specific, primitive, number 2.
    pub(crate) const IMPLICIT_2: u8 = 0x82;
    /// Context-specific, primitive, number 6: uniformResourceIdentifier of a GeneralName.
    pub(crate) const URI: u8 = 0x86;
    pub(crate) const CONTEXT_1: u8 = 0xa1;
    pub(crate) const CONTEXT_2: u8 = 0xa2;
    pub(crate) const CONTEXT_3: u8 = 0xa3;
}

/// 2050-01-01T00:00:00Z: from here on RFC 5280 section 4.1.2.5 wants GeneralizedTime.
const GENERALIZED_FROM: i64 = 2_524_608_000;
/// 1950-01-01T00:00:00Z: before it too.
const UTC_FROM: i64 = -631_152_000;

/// Whether an extension must be understood by who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criticality {
    Critical,
    NotCritical,
}

/// Writes elements one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Octets that are DER already.
    pub(super) fn raw(&mut self, der: &[u8]) {
        self.0.extend_from_slice(der);
    }

    /// One element with this content.
    pub(super) fn element(&mut self, tag: u8, content: &[u8]) {
        self.0.extend_from_slice(&header(tag, content.len()));
        self.0.extend_from_slice(content);
    }

    /// One element whose content `write` writes.
    pub(super) fn nest(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        self.element(tag, &build(write));
    }

    pub(super) fn sequence(&mut self, write: impl FnOnce(&mut Self)) {
        self.nest(tag::SEQUENCE, write);
    }

    /// A non-negative INTEGER from its magnitude, big end first; surplus zeros are dropped.
    pub(super) fn unsigned(&mut self, magnitude: &[u8]) {
        let start = magnitude.iter().position(|octet| *octet != 0).unwrap_or(magnitude.len());
        let significant = magnitude.get(start..).unwrap_or_default();
        let mut content = Vec::with_capacity(significant.len() + 1);
        if significant.first().is_none_or(|octet| octet & 0x80 != 0) {
            content.push(0);
        }
        content.extend_from_slice(significant);
        self.element(tag::INTEGER, &content);
    }

    /// A BIT STRING of whole octets.
    pub(super) fn bit_string(&mut self, octets: &[u8]) {
        let mut content = Vec::with_capacity(octets.len() + 1);
        content.push(0);
        content.extend_from_slice(octets);
        self.element(tag::BIT_STRING, &content);
    }

    /// UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
    pub(super) fn time(&mut self, at: Timestamp) {
        if (UTC_FROM..GENERALIZED_FROM).contains(&at.unix()) {
            let digits = digits(at);
            self.element(tag::UTC_TIME, digits.get(2..).unwrap_or_default().as_bytes());
        } else {
            self.generalized_time(at);
        }
    }

    /// GeneralizedTime, as OCSP has all its times.
    pub(super) fn generalized_time(&mut self, at: Timestamp) {
        self.element(tag::GENERALIZED_TIME, digits(at).as_bytes());
    }

    /// An Extension (RFC 5280 section 4.1); `write` writes the DER that extnValue wraps.
    pub(super) fn extension(&mut self, oid: &[u8], criticality: Criticality, write: impl FnOnce(&mut Self)) {
        self.sequence(|extension| {
            extension.element(tag::OBJECT_IDENTIFIER, oid);
            // DEFAULT FALSE is not encoded.
            if criticality == Criticality::Critical {
                extension.element(tag::BOOLEAN, &[0xff]);
            }
            extension.nest(tag::OCTET_STRING, write);
        });
    }
}

/// What `write` writes.
pub(super) fn build(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer);
    writer.finish()
}

/// Tag and length of an element whose content is written elsewhere.
pub(super) fn header(tag: u8, length: usize) -> Vec<u8> {
    let octets = length.to_be_bytes();
    let significant = octets.iter().position(|octet| *octet != 0).map_or(&[0_u8][..], |start| &octets[start..]);
    match significant {
        [short] if *short < 0x80 => vec![tag, *short],
        long => {
            let mut header = vec![tag, 0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX)];
            header.extend_from_slice(long);
            header
        }
    }
}

/// `YYYYMMDDHHMMSSZ`.
fn digits(at: Timestamp) -> String {
    at.to_string().chars().filter(|character| character.is_ascii_digit() || *character == 'Z').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_the_reader_reads() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let der = build(|w| w.element(tag::OCTET_STRING, &content));
            let mut reader = Reader::new(&der);
            assert_eq!(reader.element(tag::OCTET_STRING, "it").unwrap().content, content);
            reader.end("it").unwrap();
        }
    }

    #[test]
    fn integers_are_minimal_and_never_negative() {
        for (magnitude, expected) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0x7f], &[2, 1, 0x7f]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[0, 0, 0x80, 1], &[2, 3, 0, 0x80, 1]),
        ] {
            assert_eq!(build(|w| w.unsigned(magnitude)), expected, "{magnitude:x?}");
        }
    }

    #[test]
    fn times_change_their_form_in_2050() {
        let written = |text: &str| build(|w| w.time(Timestamp::from_rfc_3339(text).unwrap()));
        assert_eq!(written("2049-12-31T23:59:59Z"), b"\x17\x0d491231235959Z");
        assert_eq!(written("2050-01-01T00:00:00Z"), b"\x18\x0f20500101000000Z");
    }
}
