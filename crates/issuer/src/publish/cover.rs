//! Up to which change of status the lists of a part say everything, so that who follows the changes one by one knows
//! what a list makes superfluous.
//!
//! A list says everything that was committed before its number was taken, and so does every list of a greater number, of
//! whatever node: each node reads the store after it took its number. What a list has beyond that, a greater number of
//! another node need not have yet.

use crate::authorities::IssuingAuthority;
use crate::store::{Settled, SettledList};
use sekisho_ca::crl::{CrlNumber, PartIndex};
use sekisho_pki::fingerprint::AuthorityKey;

/// From which list on a part has every change up to a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredList {
    /// Whose list: as it stands above the certificates.
    pub issuer: AuthorityKey,
    /// Which part, from 0.
    pub part: u16,
    /// Of how many.
    pub parts: u16,
    /// The list's issuingDistributionPoint, where it has one.
    pub point: Option<String>,
    /// Each list of this number or a greater one …
    pub number: u64,
    /// … has every change up to this sequence number.
    pub to: u64,
}

/// How far the lists of one part reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cover {
    /// The last list, and what was committed before its number was taken.
    published: Option<(CrlNumber, u64)>,
    /// The last change that made a list due.
    touched: u64,
    /// What is kept of it in the store.
    settled: Option<Settled>,
    /// How far that reaches.
    to: u64,
}

/// Whether a list reaches as far as what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Whole,
    Short,
}

impl Cover {
    pub(super) fn touch(&mut self, sequence: u64) {
        self.touched = self.touched.max(sequence);
    }

    pub(super) fn publish(&mut self, number: CrlNumber, before: u64) -> Reach {
        self.published = Some((number, before));
        if self.touched > before { Reach::Short } else { Reach::Whole }
    }

    /// The list to be noted in the store, if it says more than what is noted.
    pub(super) fn unsettled<'a>(&self, authority: &'a str, part: PartIndex) -> Option<SettledList<'a>> {
        let (number, covers) = self.published?;
        let is_known = self.settled.is_some_and(|settled| self.touched <= settled.sequence);
        (self.touched <= covers && !is_known).then(|| SettledList {
            authority,
            part: part.value(),
            number: number.value(),
            covers,
            touched: self.touched,
        })
    }

    pub(super) fn settle(&mut self, settled: Settled) {
        self.settled = Some(settled);
    }

    /// What can be told once everything up to `seen` was read. A part that nothing touched since is as good as new.
    pub(super) fn covered(&mut self, of: &IssuingAuthority, part: PartIndex, seen: u64) -> Option<CoveredList> {
        let settled = self.settled?;
        let reaches = if self.touched <= settled.sequence { seen } else { settled.sequence };
        self.to = self.to.max(reaches);
        let parts = of.config.parts.get();
        let points = of.authority.points().revocation_lists.as_ref();
        Some(CoveredList {
            issuer: of.authority.certificate().authority_key(),
            part: part.value(),
            parts,
            // As the lists are written: only where there are parts.
            point: points.filter(|_| parts > 1).map(|points| points.url(part)),
            number: settled.number,
            to: self.to,
        })
    }
}
