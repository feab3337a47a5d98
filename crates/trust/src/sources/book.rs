//! Which distribution points were asked for, so that a client waits for a list once, and nobody for one that failed.

use super::target;
use crate::{Authority, Need, Question};
use sekisho_config::PointPlace;
use sekisho_pki::points::PointName;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Points that are remembered: those of all CAs. Beyond it nobody waits, and who has no list is refused.
const MAX_TRIED: usize = 8_192;

/// What came of a point is in force, or nothing came: by the CA's name and the URL.
#[derive(Debug, Default)]
pub struct PointBook {
    tried: Mutex<BTreeSet<(Arc<str>, Arc<str>)>>,
}

impl PointBook {
    /// The lists at a certificate's distribution points that may be fetched for its CA and were not asked for yet.
    pub(crate) fn need(&self, authority: &Authority, question: &Question<'_>) -> Option<Need> {
        let places = &authority.facts.points;
        let names = question.points?.iter().flat_map(|point| point.names());
        let urls = self.untried(authority.name(), places, names.filter_map(PointName::uri));
        (!urls.is_empty()).then_some(Need::Lists { issuer: *question.issuer, urls })
    }

    fn untried<'a>(&self, ca: &Arc<str>, places: &[PointPlace], urls: impl Iterator<Item = &'a str>) -> Vec<Arc<str>> {
        let tried = self.lock();
        if tried.len() >= MAX_TRIED {
            return Vec::new();
        }
        let mut untried: Vec<Arc<str>> = urls
            .filter(|url| target::allowed(places, url).is_ok())
            .map(Arc::from)
            .filter(|url| !tried.contains(&(Arc::clone(ca), Arc::clone(url))))
            .collect();
        // One question, in whatever order the points stand.
        untried.sort_unstable();
        untried.dedup();
        untried
    }

    /// Nobody waits for this point any more.
    pub fn tried(&self, ca: &Arc<str>, url: &Arc<str>) {
        self.lock().insert((Arc::clone(ca), Arc::clone(url)));
    }

    /// The next client that names it waits for it again.
    pub(super) fn forget(&self, ca: &Arc<str>, url: &Arc<str>) {
        self.lock().remove(&(Arc::clone(ca), Arc::clone(url)));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Arc<str>, Arc<str>)>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_config::PointPort;

    #[test]
    fn as_many_points_as_may_be_are_remembered_and_beyond_them_nobody_waits() {
        let (book, ca) = (PointBook::default(), Arc::from("a"));
        let places = [PointPlace { host: "h".to_owned(), port: PointPort::Default, path: String::new() }];
        let waits = || !book.untried(&ca, &places, ["http://h/new"].into_iter()).is_empty();
        (1..MAX_TRIED).for_each(|number| book.tried(&ca, &format!("http://h/{number}").into()));
        assert!(waits());
        book.tried(&ca, &"http://h/0".into());
        assert!(!waits());
        book.forget(&ca, &"http://h/0".into());
        assert!(waits());
    }
}
