//! CPU time from the scheduler's account, in nanoseconds: it holds on a machine that has other work, where wall time does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Of this thread so far.
pub fn of_thread() -> Duration {
    // The account is brought up to date by the timer, every few milliseconds, and when a thread gives its core away.
    std::thread::park_timeout(Duration::from_nanos(1));
    spent(Path::new("/proc/thread-self/schedstat"))
}

/// Of this process so far, with threads that have ended; in steps of a hundredth of a second.
pub fn of_this_process() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Of all threads of a process that have not ended.
pub fn of_process(process: u32) -> Duration {
    of_threads(process, |_| true)
}

/// Of the threads of this process whose name begins so.
pub fn of_threads_named(name: &str) -> Duration {
    of_threads(std::process::id(), |thread| {
        fs::read_to_string(thread.join("comm")).is_ok_and(|found| found.starts_with(name))
    })
}

/// Of all processes below this one that have not ended.
pub fn of_descendants() -> Duration {
    let parents: BTreeMap<u32, u32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let process: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // The name in parentheses may hold anything.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((process, parent))
        })
        .collect();
    let this = std::process::id();
    let is_below = |process: u32| {
        std::iter::successors(parents.get(&process), |parent| parents.get(parent)).any(|parent| *parent == this)
    };
    parents.keys().filter(|process| is_below(**process)).map(|process| of_process(*process)).sum()
}

/// CPU time of this thread for each of so many operations.
pub fn each<T>(operations: usize, mut operation: impl FnMut(usize) -> T) -> Duration {
    let before = of_thread();
    (0..operations).for_each(|index| drop(std::hint::black_box(operation(index))));
    (of_thread() - before).div_f64(operations as f64)
}

fn of_threads(process: u32, counts: impl Fn(&Path) -> bool) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Duration::ZERO };
    let threads = threads.filter_map(|thread| Some(thread.ok()?.path()));
    threads.filter(|thread| counts(thread)).map(|thread| spent(&thread.join("schedstat"))).sum()
}

fn spent(account: &Path) -> Duration {
    let account = fs::read_to_string(account).unwrap_or_default();
    Duration::from_nanos(account.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0))
}
