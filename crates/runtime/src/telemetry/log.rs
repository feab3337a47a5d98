//! JSON-lines records (accesses, authentications) that never make a request wait for a disk.

mod writer;

use super::bounded;
use sekisho_config::LogTarget;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use writer::{Shared, Sink, file_sink, stdout_sink};

/// Octets that may wait for the writer: half a minute of records at 1,000 requests a second. Over this a record is
/// dropped and counted, since a gateway that waits for its log is a gateway that is down: of those that wait and of the
/// new one, what weighs least.
const QUEUE_OCTETS: usize = 16 << 20;

/// How long [`RecordLog::flush`] waits for a disk or a pipe that does not take anything.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How much it matters that a record is kept while the output does not take what it is given. Lighter ones make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// What a stranger can make any number of: handshakes and requests that were refused.
    Refusal,
    /// What a verified client did.
    Access,
    /// Who was accepted, blocked or cut.
    Decision,
}

/// One line of a log.
pub trait Record: Serialize {
    /// What it weighs.
    fn weight(&self) -> Weight;
}

/// A log of records, one JSON object a line. A thread of its own writes; everyone else only leaves the octets there.
#[derive(Debug)]
pub struct RecordLog {
    /// Absent when nothing is to be written.
    shared: Option<Arc<Shared>>,
}

impl RecordLog {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not started.
    pub fn open(target: &LogTarget) -> io::Result<Self> {
        match target {
            LogTarget::Off => Ok(Self { shared: None }),
            LogTarget::Stdout => Self::start(stdout_sink(), QUEUE_OCTETS),
            LogTarget::File(path) => Self::start(file_sink(path)?, QUEUE_OCTETS),
        }
    }

    /// Whether records go anywhere: without it whoever makes one need not begin.
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Queues a record. Never waits: a record that finds the queue full, or that does not serialise, is counted in
    /// [`RecordLog::dropped`].
    pub fn write(&self, record: &impl Record) {
        self.queue(record.weight(), record);
    }

    fn queue<T: Serialize>(&self, weight: Weight, record: &T) {
        let Some(shared) = &self.shared else { return };
        match bounded::to_json(record) {
            Ok(mut line) => {
                // JSON has no raw line feed, so this is the only one.
                line.push(b'\n');
                shared.queue(weight, &line);
            }
            Err(_) => shared.count_dropped(1),
        }
    }

    /// Asks the writer to open its file again, for a log that was renamed; what was queued before goes to the old one.
    /// When that fails the old file is kept and the failure logged.
    pub fn reopen(&self) {
        if let Some(shared) = &self.shared {
            shared.request_reopen();
        }
    }

    /// Records that were not written, since the start: queue full, output failing, not serialisable.
    pub fn dropped(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.dropped())
    }

    /// Waits until everything asked for so far is done, for at most 5 seconds.
    pub fn flush(&self) {
        let Some(shared) = &self.shared else { return };
        if !shared.wait_until_done(FLUSH_TIMEOUT) {
            tracing::warn!(seconds = FLUSH_TIMEOUT.as_secs(), "the record log does not take what it is given");
        }
    }

    fn start(sink: Box<dyn Sink>, capacity: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(capacity));
        let of_writer = shared.clone();
        // Detached: it ends when the log is dropped, and a blocked output must not keep the process from ending.
        std::thread::Builder::new().name("record-log".to_owned()).spawn(move || of_writer.run(sink))?;
        Ok(Self { shared: Some(shared) })
    }
}

impl Drop for RecordLog {
    fn drop(&mut self) {
        self.flush();
        if let Some(shared) = &self.shared {
            shared.close();
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
