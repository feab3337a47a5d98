//! Long work that makes way for requests.
//!
//! A list of a million takes half a second of a core to read. Beside it, on a machine whose cores are busy, requests
//! would wait for their turn of the processor. So work that turns out to be long goes on at a lower priority, and all of
//! it offers the processor to whoever waits for it, some thousands of times a second: by itself Linux (6.6 and later)
//! lets a thread that has just got a processor keep it until its slice or a tick is over, which is up to 4 ms for a
//! request that comes meanwhile, whatever the priorities. To sleep instead makes it worse: who has slept has such a
//! slice to come, and each waking costs. What is short, such as the usual list of some thousands, is not lowered: a
//! revocation is to be in force within 100 ms however busy the machine is.

use rustix::process::{Pid, setpriority_process};
use rustix::thread::disable_transparent_huge_pages;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

/// Work is long when it takes longer than this: a list of ten thousand is read within it.
const LONG: Duration = Duration::from_millis(5);

/// The `nice` value of long work. The scheduler gives it a tenth of a core that others want all of, and all that
/// others leave: with 19 a gateway under attack would hardly come to read its new list.
const NICE: i32 = 10;

/// Items of a walk without offering the processor to others: of a list some tens of microseconds, a hundred times what
/// the offer costs.
const ITEMS_AT_ONCE: u32 = 256;

/// Octets read, hashed or made without such an offer, for the same reason.
pub(super) const OCTETS_AT_ONCE: usize = 64 * 1024;

/// Asks for memory in pages of their usual size, for this process and from now on.
///
/// The allocator would take huge ones where the system lets it, and a huge page is zeroed in one go at its first touch,
/// where nobody is made way for: 5 ms on the virtual machine where this was measured, whose host has to find the memory.
pub fn usual_pages() {
    // A system that cannot refuse them has none.
    let _ = disable_transparent_huge_pages(true);
}

/// Runs work on a thread of its own, and waits for it; panics if it does.
pub fn yielding<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let work = Mutex::new(Some(work));
    let take = || work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (tell, told) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        let run = || {
            // Dropped when the work is done: that is how the one who waits is told.
            let tell = tell;
            let work = take()?;
            let _ = tell.send(rustix::thread::gettid());
            Some(work())
        };
        let thread = Builder::new().name("background".into()).spawn_scoped(scope, run).ok()?;
        lower_if_long(&told);
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    // Where no thread could be had, the work is still there.
    match (outcome, take()) {
        (Some(outcome), _) => outcome,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("a thread that took the work has given its outcome or its panic"),
    }
}

/// Between two pieces of long work: whoever waits for this processor gets it now.
pub fn make_way() {
    thread::yield_now();
}

/// The items of a long walk; now and then, whoever waits for this processor gets it before the next.
pub(super) fn making_way<I: Iterator>(items: I) -> impl Iterator<Item = I::Item> {
    let mut given = 0_u32;
    items.inspect(move |_| {
        if given.is_multiple_of(ITEMS_AT_ONCE) {
            make_way();
        }
        given = given.wrapping_add(1);
    })
}

fn lower_if_long(told: &mpsc::Receiver<Pid>) {
    let Ok(thread) = told.recv() else { return };
    if told.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
        // Linux takes a thread's number where POSIX has a process's. It may have ended this moment; anybody may lower
        // what is their own.
        let _ = setpriority_process(Some(thread), NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;
    use rustix::thread::gettid;
    use std::time::Instant;

    fn own_priority() -> i32 {
        getpriority_process(Some(gettid())).unwrap()
    }

    #[test]
    fn long_work_is_lowered_and_nobody_elses() {
        let before = own_priority();
        let after = yielding(|| {
            let began = Instant::now();
            while own_priority() == before && began.elapsed() < Duration::from_secs(10) {
                thread::yield_now();
            }
            own_priority()
        });
        // A process that is itself lowered as far as can be goes no further.
        assert_eq!(after, NICE.max(before));
        assert_eq!(own_priority(), before);
    }

    #[test]
    fn short_work_keeps_its_priority_and_gives_what_it_made() {
        let before = own_priority();
        assert_eq!(yielding(own_priority), before);
        let borrowed = String::from("of the caller");
        assert_eq!(yielding(|| borrowed.len()), 13);
    }

    #[test]
    fn a_panic_is_the_callers() {
        let caught = std::panic::catch_unwind(|| yielding(|| panic!("in the work")));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"in the work"));
    }
}
