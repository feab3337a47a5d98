//! What was published last, as it lies in `publish_folder`: a witness of what the store had, outside of it.
//!
//! A store that was lost, restored, or taken over by a standby that had not everything, publishes less than was published
//! before, under greater numbers, and lets the revoked in everywhere. The published CRL tells.

use crate::authorities::IssuingAuthority;
use crate::store::{ListNumberRow, Status, Store, StoreError};
use sekisho_ca::crl::PartIndex;
use sekisho_pki::crl::{CertificateList, ListKind, RevocationReason};
use sekisho_pki::pem;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Bytes of a CRL that is read: ten million entries.
const MAX_CRL_BYTES: u64 = 512 << 20;

/// Seconds that the dates of CRLs may lie ahead of this node's clock, and its clock beside the database's: two machines
/// with a time service differ by less. Gateways refuse a CRL from further ahead.
const CLOCK_TOLERANCE: i64 = 60;

/// A CRL that was published.
#[derive(Debug)]
pub struct PublishedCrl {
    /// Its CRLNumber.
    pub number: u64,
    /// Its thisUpdate.
    pub this_update: Timestamp,
    /// What it has.
    pub entries: Vec<PublishedEntry>,
}

/// One of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedEntry {
    /// Which certificate.
    pub serial: SerialNumber,
    /// Why; on hold where the reason says so.
    pub reason: RevocationReason,
    /// When.
    pub at: Timestamp,
}

/// Why a file says nothing.
#[derive(Debug)]
pub enum WitnessError {
    /// It cannot be read.
    Io(io::Error),
    /// It is no CRL that can be understood.
    Malformed(String),
    /// Another key signed it.
    OtherKey,
}

/// What the store lacks of what was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// The file.
    pub file: PathBuf,
    /// Revocations that the store does not have.
    pub revocations: usize,
    /// Holds that it does not have.
    pub holds: usize,
    /// The published number, where the store has come to none so great.
    pub number: Option<u64>,
}

impl PublishedCrl {
    /// Reads the CRL of a part from an authority's `publish_folder`; `None` where there is none.
    ///
    /// # Errors
    /// [`WitnessError`] and the file.
    pub fn of_part(of: &IssuingAuthority, part: PartIndex) -> Result<Option<(PathBuf, Self)>, (PathBuf, WitnessError)> {
        let Some(folder) = &of.config.publish_folder else { return Ok(None) };
        let file = folder.value.join(format!("{}-{}.crl", of.name, part.value()));
        match Self::read(&file, of) {
            Err(WitnessError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err((file, error)),
            Ok(found) => Ok(Some((file, found))),
        }
    }

    /// Reads a full CRL of an authority, in DER or PEM.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn read(file: &Path, of: &IssuingAuthority) -> Result<Self, WitnessError> {
        let mut bytes = Vec::new();
        File::open(file).and_then(|file| file.take(MAX_CRL_BYTES).read_to_end(&mut bytes)).map_err(WitnessError::Io)?;
        let malformed = |why: &dyn fmt::Display| WitnessError::Malformed(why.to_string());
        let lists = pem::revocation_lists(&bytes).map_err(|error| malformed(&error))?;
        let der = match lists.as_slice() {
            [one] => one.as_ref(),
            _ => return Err(malformed(&"it has not one CRL")),
        };
        let list = CertificateList::parse(der).map_err(|error| malformed(&error))?;
        let certificate = of.authority.certificate();
        let is_ours = list.issuer_der() == certificate.subject().der()
            && list.verify_signature(certificate.subject_public_key_info()).is_ok();
        if !is_ours {
            return Err(WitnessError::OtherKey);
        }
        let header = list.header();
        if header.kind() != ListKind::Base {
            return Err(malformed(&"it is a delta CRL"));
        }
        let number = header.number.and_then(|number| number.to_string().parse().ok());
        let number = number.ok_or_else(|| malformed(&"its CRLNumber is none of ours"))?;
        let entry = |entry: Result<sekisho_pki::crl::Entry, _>| {
            entry.map(|entry| PublishedEntry { serial: entry.serial, reason: entry.reason, at: entry.revoked_at })
        };
        let entries = list.entries().map(entry).collect::<Result<_, _>>().map_err(|error| malformed(&error))?;
        Ok(Self { number, this_update: header.this_update, entries })
    }

    /// What the store lacks of it; `None`: nothing. `is_revoked` says of whom the store has read as revoked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn lacking(
        &self,
        file: PathBuf,
        store: &dyn Store,
        last: Option<&ListNumberRow>,
        is_revoked: impl Fn(&SerialNumber) -> bool,
    ) -> Result<Option<SetBack>, StoreError> {
        let mut known = HashMap::new();
        for entry in self.entries.iter().filter(|entry| !is_revoked(&entry.serial)) {
            if let Some(row) = store.status(&entry.serial).await? {
                known.insert(entry.serial, row.change.status);
            }
        }
        Ok(self.compared(file, last.map(|last| last.number), |serial| {
            let status = Status::Revoked(RevocationReason::Unspecified);
            if is_revoked(serial) { Some(status) } else { known.get(serial).copied() }
        }))
    }

    /// What a store lacks of it whose last number is `last` and which has these statuses; `None`: nothing.
    pub fn compared(
        &self,
        file: PathBuf,
        last: Option<u64>,
        status: impl Fn(&SerialNumber) -> Option<Status>,
    ) -> Option<SetBack> {
        let number = Some(self.number).filter(|number| last.is_none_or(|last| last < *number));
        let missing = self.entries.iter().filter(|entry| entry.is_missing_beside(status(&entry.serial)));
        let (holds, revocations): (Vec<&PublishedEntry>, Vec<&PublishedEntry>) =
            missing.partition(|entry| entry.reason == RevocationReason::CertificateHold);
        let (revocations, holds) = (revocations.len(), holds.len());
        let is_whole = number.is_none() && revocations == 0 && holds == 0;
        (!is_whole).then_some(SetBack { file, revocations, holds, number })
    }
}

impl PublishedEntry {
    /// Returns `true` if the store does not say as much of the certificate: a hold may have been released since, a
    /// revocation may not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_missing(&self, store: &dyn Store) -> Result<bool, StoreError> {
        Ok(self.is_missing_beside(store.status(&self.serial).await?.map(|row| row.change.status)))
    }

    fn is_missing_beside(&self, known: Option<Status>) -> bool {
        match (self.reason, known) {
            (_, Some(Status::Revoked(_))) => false,
            (RevocationReason::CertificateHold, known) => known.is_none(),
            (_, _) => true,
        }
    }
}

/// Why nothing may be dated now, if that is so: a CRL from the future is refused by every gateway until its time has
/// come, and so are those after it.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn wrong_clock(store: &dyn Store, last: Option<Timestamp>) -> Result<Option<String>, StoreError> {
    Ok(why_not_now(clock::now(), store.clock().await?, last))
}

/// Why nothing may be dated `now`, by the database's clock and the last CRL's date.
pub fn why_not_now(now: Timestamp, by_database: Timestamp, last: Option<Timestamp>) -> Option<String> {
    let ahead = now.unix().saturating_sub(by_database.unix());
    if ahead.abs() > CLOCK_TOLERANCE {
        return Some(format!(
            "this node's clock says {now} and the database's {by_database}: nothing is published until they agree; set \
             the clocks right"
        ));
    }
    last.filter(|last| *last > now.plus_seconds(CLOCK_TOLERANCE)).map(|last| {
        format!(
            "the last CRL is of {last} and this node's clock says {now}: nothing is published into the future. Set the \
             clock right; if it is, and the last CRL was made by one that was not: sekisho-issuer store accept-clock"
        )
    })
}

impl fmt::Display for WitnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Malformed(why) => f.write_str(why),
            Self::OtherKey => f.write_str("another key signed it"),
        }
    }
}

impl fmt::Display for SetBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, revocations, holds, number } = self;
        write!(f, "{}: the store lacks what was published there", file.display())?;
        if *revocations + *holds > 0 {
            write!(f, ": {revocations} revocations, {holds} holds")?;
        }
        if let Some(number) = number {
            write!(f, "; its number {number} is greater than any of the store's")?;
        }
        f.write_str(
            ". The store was lost, restored or set back, or it is another one. Nothing is published, since the revoked \
             would be let in again. If it is the right store: sekisho-issuer store reconcile (docs/guide/backup-and-restore.md)",
        )
    }
}
