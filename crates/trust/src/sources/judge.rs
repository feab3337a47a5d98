//! Whether what was downloaded may take the place of what is kept.

use crate::accept::{Rejection, examine};
use crate::alarm::AlarmKind;
use crate::authority::AuthorityFacts;
use crate::files::MAX_LISTS_IN_FILE;
use crate::lists::RevocationList;
use crate::policy::ListPolicy;
use sekisho_pki::crl::{RevocationListHeader, Scope};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// What a kept file says, without its entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    lists: Vec<Known>,
}

/// One list of a file.
#[derive(Clone, Debug)]
struct Known {
    signer: AuthorityKey,
    header: RevocationListHeader,
    number: Option<String>,
    entries: usize,
    /// Of the CA that it was fetched for.
    is_own: bool,
}

/// What a source gave, for metrics and readiness: of several lists in one file, the newest that is the CA's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFacts {
    /// CRLNumber in decimal.
    pub number: Option<String>,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Option<Timestamp>,
    /// Revoked certificates.
    pub entries: usize,
}

/// Why a file may not take the place of the one before.
#[derive(Clone, Debug)]
pub(super) enum Unfit {
    /// One of its lists is refused, by [`AlarmKind`].
    Refused(Rejection),
    /// It speaks of other certificates than the list that is kept and still fresh.
    OtherScope(String),
}

/// The CA that asked, and what for.
pub(super) struct Asked<'a> {
    pub(super) ca: &'a str,
    pub(super) url: &'a Arc<str>,
    pub(super) ground: &'a Ground,
}

/// What lists are judged by.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    /// All CAs that are configured.
    pub(super) authorities: Vec<AuthorityFacts>,
    /// What the CA that asked takes.
    pub(super) policy: ListPolicy,
}

/// Judges the octets of a file: every list in it as [`examine`] does, one of them of the CA that asked, and nothing
/// older than `before`.
///
/// # Errors
/// [`Unfit`].
pub(super) fn judge(asked: &Asked<'_>, octets: &[u8], before: &Judged, now: Timestamp) -> Result<Judged, Unfit> {
    let refused = |kind, message: String| Unfit::Refused(Rejection { kind, ca: Some(asked.ca.into()), message });
    let lists = pem::revocation_lists(octets).map_err(|error| refused(AlarmKind::Malformed, error.to_string()))?;
    if lists.len() > MAX_LISTS_IN_FILE {
        let message = format!("it holds {} lists; at most {MAX_LISTS_IN_FILE} are accepted", lists.len());
        return Err(refused(AlarmKind::Unreadable, message));
    }
    let authorities = &asked.ground.authorities;
    let own = authorities.iter().find(|one| *one.name == *asked.ca);
    let own = own.ok_or_else(|| refused(AlarmKind::UnknownIssuer, "its CA is not configured any more".to_owned()))?;
    let mut judged = Judged::default();
    for der in &lists {
        let list = examine(der, asked.url, authorities, now).map_err(Unfit::Refused)?;
        let signer = authorities.iter().find(|one| one.key() == list.signer());
        let is_own = signer.is_some_and(|signer| signer.key() == own.key() || signer.may_sign_lists_for(own));
        if is_own {
            list.admitted_by(&asked.ground.policy).map_err(|(kind, message)| refused(kind, message.to_owned()))?;
        }
        judged.lists.push(Known::of(&list, is_own));
    }
    if !judged.lists.iter().any(|list| list.is_own) {
        return Err(refused(AlarmKind::UnknownIssuer, format!("it is not the list of ca {}", asked.ca)));
    }
    judged.may_follow(before, now).map_err(|unfit| match unfit {
        Some(message) => Unfit::OtherScope(message),
        None => refused(AlarmKind::RolledBack, "it is older than the list that is kept".to_owned()),
    })?;
    Ok(judged)
}

impl Judged {
    /// Whether it says the very same.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let identities = |judged: &Self| judged.lists.iter().map(|list| list.header.identity).collect::<Vec<_>>();
        identities(self) == identities(other)
    }

    /// What it says of the CA that asked.
    pub(super) fn facts(&self) -> Option<ListFacts> {
        let own = self.lists.iter().filter(|list| list.is_own);
        own.max_by_key(|list| list.header.this_update).map(|list| ListFacts {
            number: list.number.clone(),
            this_update: list.header.this_update,
            next_update: list.header.next_update,
            entries: list.entries,
        })
    }

    /// When the first of the CA's own lists grows stale.
    pub(super) fn next_update(&self) -> Option<Timestamp> {
        self.lists.iter().filter(|list| list.is_own).filter_map(|list| list.header.next_update).min()
    }

    /// `Err(None)` when it goes back, `Err(Some(why))` when it leaves something out that is kept and fresh.
    fn may_follow(&self, before: &Self, now: Timestamp) -> Result<(), Option<String>> {
        for old in before.lists.iter().filter(|old| old.is_own) {
            let mut successors = self.lists.iter().filter(|new| new.continues(old)).peekable();
            if successors.peek().is_none() {
                if old.header.next_update.is_some_and(|next_update| now <= next_update) {
                    let what = old.number.as_deref().unwrap_or("without number");
                    return Err(Some(format!(
                        "it speaks of other certificates than list {what}, which is kept and fresh"
                    )));
                }
                continue;
            }
            if successors.all(|new| new.header.steps_back_from(&old.header)) {
                return Err(None);
            }
        }
        Ok(())
    }
}

impl Known {
    fn of(list: &RevocationList, is_own: bool) -> Self {
        Self {
            signer: list.signer(),
            header: list.header().clone(),
            number: list.number().map(ToString::to_string),
            entries: list.entries(),
            is_own,
        }
    }

    /// Of the same signer, and of the same certificates as far as can be told. One that is not understood closes its
    /// CA, and takes the place of anything.
    fn continues(&self, old: &Self) -> bool {
        let unclear = |known: &Self| matches!(known.header.scope, Scope::NotUnderstood(_));
        let same_scope =
            self.header.scope == old.header.scope && self.header.base.is_some() == old.header.base.is_some();
        self.signer == old.signer && (same_scope || unclear(self) || unclear(old))
    }
}
