//! How many requests of a connection were admitted and are under way: what a cut would cut.
//!
//! A request is judged and counted in one step, and whoever takes a client's right away looks between such steps. So a
//! request is either counted when that look is taken, or judged by what was in force before it: none slips between the
//! two, and none is counted that will be refused.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests admitted and not ended.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Admissions(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    admitted: usize,
    /// Of those that may finish, how long.
    finishing: Vec<Duration>,
}

/// What a look finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Admitted {
    /// Requests admitted and not ended.
    pub(in crate::gateway) requests: usize,
    /// Those of them that may finish, and the longest time that one may take.
    pub(in crate::gateway) finishing: usize,
    pub(in crate::gateway) longest: Duration,
}

/// What a request of a connection may still do when the connection's client loses its right.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Permit(AtomicU8);

const NOT_ADMITTED: u8 = 0;
const ADMITTED: u8 = 1;
const MAY_FINISH: u8 = 2;

impl Permit {
    /// Whether the request was admitted, and is to end with its client's right.
    pub(in crate::gateway) fn ends_at_once(&self) -> bool {
        self.0.load(Ordering::Acquire) == ADMITTED
    }
}

impl Admissions {
    /// Judges a request and counts it if it is admitted. What it is judged by must be looked up within `judge`.
    ///
    /// # Errors
    /// What `judge` refuses with; nothing is counted then.
    pub(in crate::gateway) fn admit<A, R>(
        &self,
        permit: &Permit,
        judge: impl FnOnce() -> Result<A, R>,
    ) -> Result<A, R> {
        let mut under_way = self.lock();
        let judged = judge();
        if judged.is_ok() {
            under_way.admitted += 1;
            permit.0.store(ADMITTED, Ordering::Release);
        }
        judged
    }

    /// An admitted request is with the upstream as a whole: from here on it may finish its answer within `time`, unless
    /// its client has lost its right already, which `still_open` tells. Says whether it may.
    pub(in crate::gateway) fn sent(&self, permit: &Permit, time: Duration, still_open: impl FnOnce() -> bool) -> bool {
        let mut under_way = self.lock();
        let may = permit.ends_at_once() && still_open();
        if may {
            under_way.finishing.push(time);
            permit.0.store(MAY_FINISH, Ordering::Release);
        }
        may
    }

    /// A request that was admitted has ended; `finishing` is the time that [`Self::sent`] gave it.
    pub(in crate::gateway) fn end(&self, permit: &Permit, finishing: Option<Duration>) {
        let mut under_way = self.lock();
        under_way.admitted = under_way.admitted.saturating_sub(1);
        permit.0.store(NOT_ADMITTED, Ordering::Release);
        if let Some(time) = finishing
            && let Some(place) = under_way.finishing.iter().position(|other| *other == time)
        {
            under_way.finishing.swap_remove(place);
        }
    }

    /// Looks at how many there are, while none is judged. What is to hold for later requests must be in force before.
    pub(in crate::gateway) fn look<T>(&self, look: impl FnOnce(Admitted) -> T) -> T {
        let under_way = self.lock();
        look(Admitted {
            requests: under_way.admitted,
            finishing: under_way.finishing.len(),
            longest: under_way.finishing.iter().max().copied().unwrap_or_default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicBool;

    fn admitted(admissions: &Admissions) -> usize {
        admissions.look(|admitted| admitted.requests)
    }

    #[test]
    fn what_is_refused_or_has_ended_is_not_counted() {
        let (admissions, permit) = (Admissions::default(), Permit::default());
        assert_eq!(admissions.admit(&permit, || Ok::<_, ()>("served")), Ok("served"));
        assert_eq!(admissions.admit(&Permit::default(), || Err::<(), _>("revoked")), Err("revoked"));
        assert_eq!(admitted(&admissions), 1);
        admissions.end(&permit, None);
        assert_eq!(admitted(&admissions), 0);
    }

    #[test]
    fn only_who_was_sent_whole_before_may_finish_and_each_for_its_own_time() {
        let admissions = Admissions::default();
        let [first, second, late, refused] = [(); 4].map(|()| Permit::default());
        for permit in [&first, &second, &late] {
            admissions.admit(permit, || Ok::<_, ()>(())).unwrap();
        }
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(2));
        assert!(admissions.sent(&first, short, || true) && admissions.sent(&second, long, || true));
        assert!(!admissions.sent(&late, long, || false), "its connection is closing already");
        assert!(!admissions.sent(&refused, long, || true), "it was never admitted");
        assert_eq!([&first, &second, &late, &refused].map(Permit::ends_at_once), [false, false, true, false]);
        let look = || admissions.look(|admitted| admitted);
        assert_eq!(look(), Admitted { requests: 3, finishing: 2, longest: long });
        admissions.end(&second, Some(long));
        assert_eq!(look(), Admitted { requests: 2, finishing: 1, longest: short });
        admissions.end(&first, Some(short));
        assert_eq!(look(), Admitted { requests: 1, ..Admitted::default() });
    }

    /// Two requests of one connection, and a revocation at the same time, over and over.
    #[test]
    fn whatever_the_order_who_was_admitted_is_cut_and_who_was_refused_is_not() {
        for _ in 0..20_000 {
            let (admissions, revoked, begin) = (Admissions::default(), AtomicBool::new(false), Barrier::new(3));
            let ask = || {
                begin.wait();
                let judge = || if revoked.load(Ordering::Relaxed) { Err(()) } else { Ok(()) };
                admissions.admit(&Permit::default(), judge).is_ok()
            };
            let (admitted, seen) = std::thread::scope(|scope| {
                let asking = [scope.spawn(ask), scope.spawn(ask)];
                begin.wait();
                revoked.store(true, Ordering::Relaxed);
                let seen = admitted(&admissions);
                (asking.map(|asked| usize::from(asked.join().unwrap())).into_iter().sum::<usize>(), seen)
            });
            assert_eq!(seen, admitted, "the cut saw {seen}, and {admitted} were admitted");
        }
    }
}
