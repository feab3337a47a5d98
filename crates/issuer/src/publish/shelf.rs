//! What anybody may fetch now. Readers never wait: a list is exchanged in one step.

use crate::authorities::Authorities;
use arc_swap::ArcSwapOption;
use sekisho_ca::crl::{SignedFacts, SignedList};
use sekisho_ca::download::Kept;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds a cache may hide a new list: revocations do not wait for nextUpdate, and asking anew costs a 304.
const LIST_MAX_AGE_SECONDS: u32 = 10;

/// Which list of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Full,
    Delta,
}

/// Everything, by the authority's name.
#[derive(Debug)]
pub(super) struct Shelf(BTreeMap<Arc<str>, Shown>);

#[derive(Debug)]
struct Shown {
    /// Its own certificate, then those above it.
    certificates: Vec<Arc<Item>>,
    parts: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    full: ArcSwapOption<Item>,
    delta: ArcSwapOption<Item>,
}

/// One thing to fetch.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kept: Kept,
    pub(super) dated: Dated,
    facts: Option<SignedFacts>,
}

/// Whether the date of an item tells it from the one before: within a second there may be several lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dated {
    Alone,
    LikeTheOneBefore,
}

impl Shelf {
    /// With the certificates, and no lists yet.
    pub(super) fn new(authorities: &Authorities) -> Self {
        let shown = |authority: &Arc<crate::authorities::IssuingAuthority>| {
            let certificates = std::iter::once(authority.authority.certificate()).chain(&authority.chain);
            let item =
                |certificate| Arc::new(Item { kept: Kept::certificate(certificate), dated: Dated::Alone, facts: None });
            let parts = std::iter::repeat_with(Part::default).take(usize::from(authority.config.parts.get()));
            (
                Arc::clone(&authority.name),
                Shown { certificates: certificates.map(item).collect(), parts: parts.collect() },
            )
        };
        Self(authorities.iter().map(shown).collect())
    }

    /// Puts a list in the place of the one before.
    pub(super) fn put(&self, authority: &str, which: Which, list: &SignedList) {
        let Some(slot) = self.slot(authority, list.facts.part.value(), which) else { return };
        // The first since the start may follow one of the same second from before it.
        let differs =
            |before: &Arc<Item>| before.facts.is_some_and(|facts| facts.this_update != list.facts.this_update);
        let dated = if slot.load().as_ref().is_some_and(differs) { Dated::Alone } else { Dated::LikeTheOneBefore };
        let kept = Kept::revocation_list(list, LIST_MAX_AGE_SECONDS);
        slot.store(Some(Arc::new(Item { kept, dated, facts: Some(list.facts) })));
    }

    /// A list; none where there is no such authority or part, or no delta.
    pub(super) fn list(&self, authority: &str, part: u16, which: Which) -> Option<Arc<Item>> {
        self.slot(authority, part, which)?.load_full()
    }

    /// A certificate: 0 is the authority's own, then those above it.
    pub(super) fn certificate(&self, authority: &str, place: usize) -> Option<Arc<Item>> {
        self.0.get(authority)?.certificates.get(place).map(Arc::clone)
    }

    /// What each full list is.
    pub(super) fn lists(&self) -> Vec<(Arc<str>, SignedFacts)> {
        let of = |(name, shown): (&Arc<str>, &Shown)| {
            let facts = |part: &Part| part.full.load().as_ref().and_then(|item| item.facts);
            shown.parts.iter().filter_map(facts).map(|facts| (Arc::clone(name), facts)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    fn slot(&self, authority: &str, part: u16, which: Which) -> Option<&ArcSwapOption<Item>> {
        let part = self.0.get(authority)?.parts.get(usize::from(part))?;
        Some(match which {
            Which::Full => &part.full,
            Which::Delta => &part.delta,
        })
    }
}
