//! Takes revocations that are known elsewhere back into a store that was set back: from published CRLs, and from what
//! gateways keep.

use super::audit::{ActResult, Entry};
use super::authorities::{Authorities, IssuingAuthority};
use super::publish::{PublishedCrl, PublishedEntry, WitnessError};
use super::store::{Ask, CertificateRow, Found, Status, StatusChange, Store, StoreError, Write, change};
use sekisho_ca::crl::PartIndex;
use sekisho_lifecycle::{ActorName, Certificate, ContractId, Revoked, Standing, Target, UserKey};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The contract under which a certificate is recorded of which the store knows nothing: it was issued after the backup.
const NO_CONTRACT: &str = "-";

/// What is known elsewhere.
#[derive(Debug, Default)]
pub struct Sources {
    /// CRLs beside those in `publish_folder`.
    pub crls: Vec<PathBuf>,
    /// What gateways keep: issuer, and what is known.
    pub gateways: Vec<(AuthorityKey, PublishedEntry)>,
}

/// What was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Revocations.
    pub revocations: usize,
    /// Holds.
    pub holds: usize,
    /// Of certificates that the store does not know at all.
    pub unknown: usize,
    /// What gateways keep of authorities that are not configured here.
    pub foreign: usize,
}

/// One authority's.
#[derive(Default)]
struct Known {
    entries: BTreeMap<SerialNumber, PublishedEntry>,
    /// The greatest published number of each part, and thisUpdate.
    numbers: BTreeMap<u16, (u64, Timestamp)>,
}

/// Takes over what the store lacks: each in its own transaction with its record, so that it may be repeated.
///
/// # Errors
/// In words: a CRL that cannot be used, or the store.
pub(super) async fn reconcile(
    store: &dyn Store,
    authorities: &Authorities,
    sources: &Sources,
) -> Result<Reconciled, String> {
    let mut done = Reconciled::default();
    let mut unused: Vec<&PathBuf> = sources.crls.iter().collect();
    for of in authorities.iter() {
        let key = of.authority.certificate().authority_key();
        let mut known = published(of)?;
        for file in &sources.crls {
            match PublishedCrl::read(file, of) {
                Ok(crl) => {
                    unused.retain(|other| *other != file);
                    // Which part it is of makes no difference: numbers may be left out.
                    known.add(PartIndex::all(of.config.parts).map(PartIndex::value), &crl);
                }
                Err(WitnessError::OtherKey) => {}
                Err(error) => return Err(format!("{}: {error}", file.display())),
            }
        }
        let kept = sources.gateways.iter().filter(|(issuer, _)| *issuer == key);
        kept.for_each(|(_, entry)| known.entry(entry));
        for entry in known.entries.values() {
            take_over(store, of, entry, &mut done).await.map_err(|error| error.to_string())?;
        }
        for (part, (number, this_update)) in known.numbers {
            let raised = store.raise_list_number(&of.name, part, number, this_update).await;
            raised.map_err(|error| error.to_string())?;
        }
    }
    let is_ours =
        |issuer: &AuthorityKey| authorities.iter().any(|of| of.authority.certificate().authority_key() == *issuer);
    done.foreign = sources.gateways.iter().filter(|(issuer, _)| !is_ours(issuer)).count();
    match unused.first() {
        Some(file) => Err(format!("{}: no configured authority signed it", file.display())),
        None => Ok(done),
    }
}

/// What lies in `publish_folder`.
fn published(of: &IssuingAuthority) -> Result<Known, String> {
    let mut known = Known::default();
    for part in PartIndex::all(of.config.parts) {
        match PublishedCrl::of_part(of, part) {
            Ok(Some((_, crl))) => known.add(std::iter::once(part.value()), &crl),
            Ok(None) | Err((_, WitnessError::OtherKey)) => {}
            Err((file, error)) => return Err(format!("{}: {error}", file.display())),
        }
    }
    Ok(known)
}

impl Known {
    fn add(&mut self, parts: impl Iterator<Item = u16>, crl: &PublishedCrl) {
        crl.entries.iter().for_each(|entry| self.entry(entry));
        for part in parts {
            let published = (crl.number, crl.this_update);
            let known = self.numbers.entry(part).or_insert(published);
            *known = (*known).max(published);
        }
    }

    /// A revocation counts before a hold.
    fn entry(&mut self, entry: &PublishedEntry) {
        let known = self.entries.entry(entry.serial).or_insert(*entry);
        if known.reason == RevocationReason::CertificateHold {
            *known = *entry;
        }
    }
}

async fn take_over(
    store: &dyn Store,
    of: &IssuingAuthority,
    entry: &PublishedEntry,
    done: &mut Reconciled,
) -> Result<(), StoreError> {
    if !entry.is_missing(store).await? {
        return Ok(());
    }
    let certificate = store.certificate(&entry.serial).await?;
    let is_held = entry.reason == RevocationReason::CertificateHold && certificate.is_some();
    let status = match (entry.reason, is_held) {
        (_, true) => Status::Held,
        // Nobody could ever release it: the store does not know whose it is.
        (RevocationReason::CertificateHold, false) => Status::Revoked(RevocationReason::Unspecified),
        (reason, false) => Status::Revoked(reason),
    };
    let authority = of.authority.certificate().not_after();
    let not_after = certificate.as_ref().map_or(authority, |row| row.intent.not_after);
    let change_of =
        StatusChange { authority: Arc::clone(&of.name), serial: entry.serial, status, at: entry.at, not_after };
    let user = certificate.map(|row: CertificateRow| row.user);
    done.unknown += usize::from(user.is_none());
    match status {
        Status::Held => done.holds += 1,
        _ => done.revocations += 1,
    }
    let ask = match &user {
        Some(user) => Ask::on(user),
        None => Ask::about(no_contract()?),
    };
    change(store, ask, move |found| (write(found, change_of, user), ())).await
}

fn write(found: &Found, change: StatusChange, user: Option<UserKey>) -> Write {
    let mut users = found.user.clone();
    if let Some(row) = &mut users {
        match (&row.user.certificate, change.status) {
            (Certificate::Held(held), Status::Revoked(reason)) if held.serial == change.serial => {
                let (serial, at, issue_number) = (change.serial, change.at, held.issue_number);
                row.user.certificate = Certificate::Revoked(Revoked { serial, at, reason, issue_number });
            }
            // So that it can be resumed.
            (Certificate::Held(held), Status::Held)
                if held.serial == change.serial && row.user.standing == Standing::Active =>
            {
                row.user.standing = Standing::Suspended;
            }
            _ => {}
        }
    }
    let target = match (user, ContractId::new(NO_CONTRACT)) {
        (Some(user), _) => Target::User(user),
        (None, Some(contract)) => Target::Unknown(contract),
        (None, None) => return Write::default(),
    };
    let entry = Entry {
        at: clock::now(),
        caller: "issuer".into(),
        actor: Some(ActorName::Service),
        command: "reconcile".into(),
        target,
        channel: None,
        screen: None,
        form: None,
        serial: Some(change.serial),
        address: None,
        reference: "reconcile".into(),
        result: ActResult::Done,
    };
    Write { users: users.into_iter().collect(), statuses: vec![change], audit: vec![entry], ..Write::default() }
}

/// The contract of certificates that the store does not know.
pub(super) fn no_contract() -> Result<ContractId, StoreError> {
    ContractId::new(NO_CONTRACT).ok_or_else(|| StoreError::Corrupt("no contract has such an ID".into()))
}
