//! How many requests of a connection were admitted and are under way: what a cut would cut.
//!
//! A request is judged and counted in one step, and whoever takes a client's right away looks between such steps. So a
//! request is either counted when that look is taken, or judged by what was in force before it: none slips between the
//! two, and none is counted that will be refused.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests admitted and not ended.
#[derive(Debug, Default)]
pub(super) struct Admissions(Mutex<usize>);

impl Admissions {
    /// Judges a request and counts it if it is admitted. What it is judged by must be looked up within `judge`.
    ///
    /// # Errors
    /// What `judge` refuses with; nothing is counted then.
    pub(super) fn admit<A, R>(&self, judge: impl FnOnce() -> Result<A, R>) -> Result<A, R> {
        let mut admitted = self.lock();
        let judged = judge();
        *admitted += usize::from(judged.is_ok());
        judged
    }

    /// A request that was admitted has ended.
    pub(super) fn end(&self) {
        let mut admitted = self.lock();
        *admitted = admitted.saturating_sub(1);
    }

    /// Looks at how many there are, while none is judged. What is to hold for later requests must be in force before.
    pub(super) fn look<T>(&self, look: impl FnOnce(usize) -> T) -> T {
        look(*self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn what_is_refused_or_has_ended_is_not_counted() {
        let admissions = Admissions::default();
        assert_eq!(admissions.admit(|| Ok::<_, ()>("served")), Ok("served"));
        assert_eq!(admissions.admit(|| Err::<(), _>("revoked")), Err("revoked"));
        assert_eq!(admissions.look(|admitted| admitted), 1);
        admissions.end();
        assert_eq!(admissions.look(|admitted| admitted), 0);
    }

    /// Two requests of one connection, and a revocation at the same time, over and over.
    #[test]
    fn whatever_the_order_who_was_admitted_is_cut_and_who_was_refused_is_not() {
        for _ in 0..20_000 {
            let (admissions, revoked, begin) = (Admissions::default(), AtomicBool::new(false), Barrier::new(3));
            let ask = || {
                begin.wait();
                admissions.admit(|| if revoked.load(Ordering::Relaxed) { Err(()) } else { Ok(()) }).is_ok()
            };
            let (admitted, seen) = std::thread::scope(|scope| {
                let asking = [scope.spawn(ask), scope.spawn(ask)];
                begin.wait();
                revoked.store(true, Ordering::Relaxed);
                let seen = admissions.look(|admitted| admitted);
                (asking.map(|asked| usize::from(asked.join().unwrap())).into_iter().sum::<usize>(), seen)
            });
            assert_eq!(seen, admitted, "the cut saw {seen}, and {admitted} were admitted");
        }
    }
}
