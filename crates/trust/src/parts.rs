//! Snapshots from octets in memory: for `sekisho verify`, tests and benches. The same checks as from files.

use super::accept::examine;
use super::alarm::Alarm;
use super::authority::{Authority, Candidate, ListsAt, check};
use super::files::FileMemory;
use super::load::LoadOutcome;
use super::policy::ListPolicy;
use super::select::{Offer, Selection};
use super::snapshot::TrustSnapshot;
use super::withdrawn::WithdrawnBook;
use sekisho_config::AnchorExpiry;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One CA.
#[derive(Clone, Debug)]
pub struct AuthorityParts {
    /// Its name; each once.
    pub name: Arc<str>,
    /// Its certificate.
    pub certificate: Certificate,
    /// The name of the CA above; none for a trust anchor.
    pub issued_by: Option<Arc<str>>,
    /// Whether its own validity counts, if it is a trust anchor.
    pub anchor_expiry: AnchorExpiry,
    /// What its certificates are looked up in.
    pub revocation: RevocationParts,
}

/// Where its revocation data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationParts {
    /// `revocation = "none"`.
    None,
    /// The lists given beside the CAs: any of them that is its own.
    Lists(ListPolicy),
}

/// One list in DER.
#[derive(Clone, Debug)]
pub struct ListParts<'a> {
    /// What alarms call it.
    pub file: Arc<str>,
    /// Its octets.
    pub der: &'a [u8],
}

/// What is wrong with the CAs: each name and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsError(pub Vec<(Arc<str>, String)>);

impl TrustSnapshot {
    /// From CA certificates and lists in memory.
    ///
    /// A list that is refused gives an alarm; a CA whose list is missing is there, and its certificates'
    /// revocation is [`super::RevocationStatus::Unavailable`].
    ///
    /// # Errors
    /// [`PartsError`] when a CA certificate is wrong.
    pub fn from_parts(
        authorities: &[AuthorityParts],
        lists: &[ListParts<'_>],
        previous: Option<&Self>,
        now: Timestamp,
    ) -> Result<LoadOutcome, PartsError> {
        Self::from_parts_remembering(authorities, lists, &WithdrawnBook::new(), previous, now)
    }

    /// The same, with what a state folder has of revocations that were withdrawn.
    ///
    /// # Errors
    /// As [`Self::from_parts`].
    pub fn from_parts_remembering(
        authorities: &[AuthorityParts],
        lists: &[ListParts<'_>],
        remembered: &WithdrawnBook,
        previous: Option<&Self>,
        now: Timestamp,
    ) -> Result<LoadOutcome, PartsError> {
        let named = |(place, message): (usize, String)| {
            (authorities.get(place).map_or_else(|| "?".into(), |parts| Arc::clone(&parts.name)), message)
        };
        let candidates: Vec<_> = authorities
            .iter()
            .map(|parts| Candidate {
                name: &parts.name,
                certificate: parts.certificate.clone(),
                issued_by: parts.issued_by.as_ref(),
                anchor_expiry: parts.anchor_expiry,
                ocsp: None,
                points: Arc::default(),
                lists_at: ListsAt::default(),
            })
            .collect();
        let facts = check(&candidates).map_err(|errors| PartsError(errors.into_iter().map(named).collect()))?;
        let policies: Vec<_> = authorities
            .iter()
            .map(|parts| match parts.revocation {
                RevocationParts::None => None,
                RevocationParts::Lists(policy) => Some(policy),
            })
            .collect();
        let sources_of: Vec<_> =
            (0..policies.len()).filter(|place| matches!(policies.get(*place), Some(Some(_)))).collect();
        let mut alarms = Vec::new();
        let mut offers = Vec::new();
        for list in lists {
            match examine(list.der, &list.file, &facts, now) {
                Ok(accepted) => offers.push(Offer { list: Arc::new(accepted), sources_of: sources_of.clone() }),
                Err(rejection) => alarms.push(Alarm {
                    ca: rejection.ca,
                    file: Arc::clone(&list.file),
                    kind: rejection.kind,
                    message: rejection.message,
                }),
            }
        }
        let (offers, recalled) = (&offers, &BTreeMap::new());
        let selection =
            Selection { authorities: &facts, policies: &policies, offers, previous, recalled, remembered, now };
        let revocation = selection.run(&mut alarms);
        let authorities =
            facts.into_iter().zip(revocation).map(|(facts, revocation)| Authority { facts, revocation }).collect();
        let snapshot = Self::assemble(authorities, FileMemory::default(), previous)
            .map_err(|error| PartsError(vec![named(error)]))?;
        Ok(LoadOutcome { snapshot: Arc::new(snapshot), alarms })
    }
}

impl fmt::Display for PartsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, message)) in self.0.iter().enumerate() {
            write!(f, "{}ca {name}: {message}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for PartsError {}
