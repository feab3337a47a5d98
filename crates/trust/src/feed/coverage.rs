//! Which sequence numbers the list with a certain number has, as far as the feed told.

use super::message::PublishedList;
use sekisho_pki::crl::CrlNumber;
use std::sync::Arc;

/// Publications of one part that are remembered: that of the list in force, which is the first, and the newest.
const MOST_TOLD: usize = 32;

/// One part of a CA's lists and what was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub(super) part: u32,
    pub(super) parts: u32,
    pub(super) point: Option<Arc<str>>,
    /// Numbers of lists and the sequence number up to which each has every change; both ascend.
    pub(super) told: Vec<(CrlNumber, u64)>,
}

impl Part {
    pub(super) fn new(list: &PublishedList) -> Self {
        let mut part = Self { part: list.part, parts: list.parts, point: list.point.clone(), told: Vec::new() };
        part.hear(list);
        part
    }

    pub(super) fn is_of(&self, list: &PublishedList) -> bool {
        self.part == list.part && self.parts == list.parts && self.point == list.point
    }

    /// Remembers a publication.
    pub(super) fn hear(&mut self, list: &PublishedList) {
        match self.told.last_mut() {
            // A node that is behind tells of a list that was already followed by another.
            Some((number, _)) if list.number < *number => return,
            // The list still has everything: nothing of its CA has changed since.
            Some((number, to)) if list.number == *number => *to = (*to).max(list.to),
            // A later list has no less, or the issuer's store was restored from a backup: then nothing that was told
            // before says anything of what its lists have.
            Some((_, to)) if list.to < *to => self.told = vec![(list.number, list.to)],
            Some(_) | None => self.told.push((list.number, list.to)),
        }
        if self.told.len() > MOST_TOLD {
            // Not the first: a list may be in force for an hour in which hundreds are published, and were it not known
            // what it has, nobody of its CA would be let in. Those between say nothing that their neighbours do not
            // bound.
            self.told.remove(1);
        }
    }

    /// The list with this number is in force: what was told of older ones is of no more use.
    pub(super) fn in_force(&mut self, number: &CrlNumber) {
        let older = self.told.iter().filter(|(told, _)| told <= number).count();
        self.told.drain(..older.saturating_sub(1));
    }

    /// The list of this number has at least every change up to here; `None`: nothing is known of it.
    pub(super) fn at_least(&self, number: &CrlNumber) -> Option<u64> {
        self.told.iter().rev().find(|(told, _)| told <= number).map(|(_, to)| *to)
    }

    /// The list of this number has no change after this one; `None`: nothing is known of it.
    pub(super) fn at_most(&self, number: &CrlNumber) -> Option<u64> {
        self.told.iter().find(|(told, _)| told >= number).map(|(_, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_pki::fingerprint::AuthorityKey;

    fn list(number: u64, to: u64) -> PublishedList {
        let issuer = AuthorityKey::from_bytes([0; 32]);
        PublishedList { issuer, part: 0, parts: 1, point: None, number: number.into(), to }
    }

    #[test]
    fn a_list_has_what_was_told_of_it_and_what_lies_between_is_bounded() {
        let mut part = Part::new(&list(10, 40));
        [list(12, 60), list(11, 50), list(12, 70), list(14, 70)].iter().for_each(|list| part.hear(list));
        let bounds = |number: u64| (part.at_least(&number.into()), part.at_most(&number.into()));
        assert_eq!(bounds(9), (None, Some(40)));
        assert_eq!(bounds(10), (Some(40), Some(40)));
        assert_eq!(bounds(11), (Some(40), Some(70)));
        assert_eq!(bounds(12), (Some(70), Some(70)));
        assert_eq!(bounds(13), (Some(70), Some(70)));
        assert_eq!(bounds(14), (Some(70), Some(70)));
        assert_eq!(bounds(15), (Some(70), None));
    }

    #[test]
    fn a_later_list_that_has_less_makes_everything_before_it_unknown() {
        let mut part = Part::new(&list(10, 40));
        part.hear(&list(11, 39));
        assert_eq!((part.at_least(&CrlNumber::from(10)), part.at_least(&CrlNumber::from(11))), (None, Some(39)));
    }

    #[test]
    fn the_list_in_force_is_known_however_many_are_published_after_it() {
        let mut part = Part::new(&list(1, 1));
        (2..1000).for_each(|number| part.hear(&list(number, number)));
        let at_least = |part: &Part, number: u64| part.at_least(&number.into());
        assert_eq!(part.told.len(), MOST_TOLD);
        assert_eq!((at_least(&part, 1), at_least(&part, 900)), (Some(1), Some(1)));
        assert_eq!(at_least(&part, 999), Some(999));
        // One of the newest comes to be in force, and stays while hundreds come after it.
        part.in_force(&CrlNumber::from(990));
        assert_eq!(at_least(&part, 989), None);
        (1000..2000).for_each(|number| part.hear(&list(number, number)));
        assert_eq!((part.told.len(), at_least(&part, 990)), (MOST_TOLD, Some(990)));
    }
}
