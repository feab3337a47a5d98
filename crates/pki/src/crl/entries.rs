//! The entries of a revocation list (RFC 5280 sections 5.1.2.6 and 5.3).

use super::extensions::entry_extensions;
use super::{CrlError, Extended};
use crate::der::{self, Reader, tag};
use crate::serial::{MAX_SERIAL_OCTETS, SerialError, SerialNumber};
use crate::time::Timestamp;
use std::fmt;

/// One revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its serial number.
    pub serial: SerialNumber,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// CRLReason (section 5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "RFC 5280 section 5.3.1 defines them")]
#[repr(u8)]
pub enum RevocationReason {
    /// Also what a value that the RFC does not define reads as: the certificate is revoked all the same.
    #[default]
    Unspecified = 0,
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    RemoveFromCrl = 8,
    PrivilegeWithdrawn = 9,
    AaCompromise = 10,
}

/// The serial number of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedSerial {
    /// A positive number, as RFC 5280 section 4.1.2.2 asks.
    Positive(SerialNumber),
    /// Zero, negative or too long: no certificate that is accepted has it. What a negative one was meant for cannot be told;
    /// the positive number of the same octets is another certificate's (PKITS 4.4.14).
    Odd {
        /// The number; none of one that is too long.
        number: Option<SerialNumber>,
        /// Its first octets, for a message.
        octets: Vec<u8>,
    },
}

impl ListedSerial {
    fn number(&self) -> Option<SerialNumber> {
        match self {
            Self::Positive(serial) => Some(*serial),
            Self::Odd { number, .. } => *number,
        }
    }
}

/// The serials of a list's entries in their order, and nothing else of them read: for who only counts. Ends at the
/// first error.
pub(super) fn serials(revoked: &[u8]) -> impl Iterator<Item = Result<ListedSerial, CrlError>> {
    let mut rest = Reader::new(revoked);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let serial = serial(&mut rest).map(|(serial, _)| serial);
        if serial.is_err() {
            rest = Reader::new(&[]);
        }
        Some(serial)
    })
}

/// The next entry's serial, and what follows it.
fn serial<'a>(rest: &mut Reader<'a>) -> Result<(ListedSerial, Reader<'a>), CrlError> {
    let mut entry = rest.inside(tag::SEQUENCE, "an entry")?;
    let content = entry.element(tag::INTEGER, "userCertificate")?.content;
    let serial = match SerialNumber::from_der_content(content) {
        Ok(serial) if serial.is_positive() => ListedSerial::Positive(serial),
        Err(SerialError::Empty) => return Err(CrlError::Serial),
        odd => {
            ListedSerial::Odd { number: odd.ok(), octets: content.iter().copied().take(MAX_SERIAL_OCTETS).collect() }
        }
    };
    Ok((serial, entry))
}

/// The walk over a list's entries; ends at the first error.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: Reader<'a>,
    extended: Extended,
    kind: ListKind,
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Whatever is revoked.
    Base,
    /// What changed since another list, so that removeFromCRL may stand in it (section 5.3.1).
    Delta,
}

impl<'a> Entries<'a> {
    pub(super) fn new(revoked: &'a [u8], extended: Extended, kind: ListKind) -> Self {
        Self { rest: Reader::new(revoked), extended, kind }
    }

    /// The next entry; none of one whose serial number no certificate has.
    fn read(&mut self) -> Result<Option<Entry>, CrlError> {
        let (serial, mut entry) = serial(&mut self.rest)?;
        let revoked_at = der::time(entry.any("revocationDate")?, "revocationDate")?;
        let reason = match entry.optional(tag::SEQUENCE, "crlEntryExtensions")? {
            None => RevocationReason::Unspecified,
            Some(_) if self.extended == Extended::Version1 => return Err(CrlError::ExtensionsInVersion1),
            Some(extensions) => entry_extensions(extensions.content)?,
        };
        entry.end("an entry")?;
        if reason == RevocationReason::RemoveFromCrl && self.kind == ListKind::Base {
            return Err(CrlError::RemoveFromCrl);
        }
        Ok(serial.number().map(|serial| Entry { serial, revoked_at, reason }))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, CrlError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.read() {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(error) => {
                    self.rest = Reader::new(&[]);
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl RevocationReason {
    /// From the value of the ENUMERATED.
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            8 => Self::RemoveFromCrl,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            _ => Self::Unspecified,
        }
    }

    /// The value of the ENUMERATED, 0 to 10.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The RFC's name, `keyCompromise`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
