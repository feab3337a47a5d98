//! The metrics that every Prometheus client has of its process: memory, CPU time, descriptors, start.

use super::registered::Registered;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use std::fs;

crate::metrics! {
    /// Metrics of a process, by the names that all Prometheus clients use.
    pub struct ProcessMetrics in "process" {
        /// Total user and system CPU time spent in seconds.
        cpu_seconds_total: FloatCounter,
        /// Number of open file descriptors.
        open_fds: Reading,
        /// Maximum number of open file descriptors.
        max_fds: Reading,
        /// Virtual memory size in bytes.
        virtual_memory_bytes: Reading,
        /// Resident memory size in bytes.
        resident_memory_bytes: Reading,
        /// Start time of the process since unix epoch in seconds.
        start_time_seconds: Reading,
        /// Number of OS threads in the process.
        threads: Reading,
    }
}

/// Fields of `/proc/self/stat` (proc(5)), in the units that the kernel counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl ProcessMetrics {
    /// Returns the metrics of this process now. What the system does not tell is absent.
    ///
    /// # Errors
    /// Those of [`super::MetricSet::register`].
    pub fn read() -> prometheus::Result<Registered<Self>> {
        let metrics = Registered::<Self>::new()?;
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
            let ticks = clock_ticks_per_second().max(1);
            #[allow(clippy::cast_precision_loss, reason = "centuries of CPU time keep their hundredths")]
            metrics.cpu_seconds_total().inc_by(stat.cpu_ticks as f64 / ticks as f64);
            metrics.threads().set(sample(stat.threads));
            metrics.virtual_memory_bytes().set(sample(stat.virtual_bytes));
            metrics.resident_memory_bytes().set(sample(stat.resident_pages.saturating_mul(page_size() as u64)));
            if let Some(boot) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time) {
                metrics.start_time_seconds().set(sample(boot.saturating_add(stat.start_ticks / ticks)));
            }
        }
        if let Some(open) = open_descriptors() {
            metrics.open_fds().set(sample(open));
        }
        // Without a limit there is no number.
        if let Some(most) = getrlimit(Resource::Nofile).current {
            metrics.max_fds().set(sample(most));
        }
        Ok(metrics)
    }
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold both spaces and parentheses.
        let (_, after_name) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // `number` is the field's number in proc(5), whose third is the first here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// `btime` of `/proc/stat`: seconds since 1970.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Since Linux 6.2 the folder's size is their number; before, they are counted.
fn open_descriptors() -> Option<u64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        0 => fs::read_dir(folder).ok().map(|open| open.count() as u64),
        open => Some(open),
    }
}

fn sample(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_does_not_shift_the_fields() {
        let text = "7 (a) (b c) S 1 7 7 0 -1 4194560 2 3 0 0 250 50 0 0 20 0 5 0 1234 8192 42 18446744073709551615 1";
        let expected = Stat { cpu_ticks: 300, threads: 5, start_ticks: 1234, virtual_bytes: 8192, resident_pages: 42 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1 7"), None);
        assert_eq!(Stat::parse(""), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3\n"), Some(1_700_000_000));
    }

    #[test]
    fn the_values_are_those_of_this_process() {
        let metrics = ProcessMetrics::read().unwrap();
        let before = metrics.open_fds().get();
        let held: Vec<_> = (0..200).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        // Other tests may close some of theirs meanwhile.
        assert!(ProcessMetrics::read().unwrap().open_fds().get() > before + 100, "{before}");
        drop(held);
        assert!(metrics.resident_memory_bytes().get() > 100_000, "{metrics:?}");
        assert!(metrics.virtual_memory_bytes().get() >= metrics.resident_memory_bytes().get(), "{metrics:?}");
        assert!(metrics.threads().get() >= 1 && metrics.max_fds().get() > 8, "{metrics:?}");
        let now = crate::clock::now().unix();
        let age = now - metrics.start_time_seconds().get();
        assert!((-2..3_600).contains(&age), "started {age} s ago");
    }
}
