//! The queue and the thread that empties it.

use super::Weight;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Octets a buffer keeps after a burst.
const KEPT_OCTETS: usize = 256 << 10;

/// Where lines go.
pub(super) trait Sink: Send {
    /// Writes some of the octets and says how many, as [`Write::write`].
    fn write(&mut self, octets: &[u8]) -> io::Result<usize>;
    /// Opens the output again, where that means something.
    fn reopen(&mut self) -> io::Result<()>;
    /// Takes back the last octets that were written, where that can be done.
    fn take_back(&mut self, _octets: usize) -> bool {
        false
    }
    /// Whether what is there ends within a line.
    fn is_torn(&self) -> bool {
        false
    }
}

/// Standard output.
pub(super) fn stdout_sink() -> Box<dyn Sink> {
    Box::new(Stdout)
}

/// A file that is appended to.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn file_sink(path: &Path) -> io::Result<Box<dyn Sink>> {
    Ok(Box::new(Appended { file: append(path)?, path: path.to_path_buf() }))
}

/// What the log's users and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    something_to_do: Condvar,
    something_done: Condvar,
    dropped: AtomicU64,
    capacity: usize,
}

/// The lock is held to copy octets in or to swap the queue out, never while writing.
#[derive(Debug, Default)]
struct State {
    queue: Vec<u8>,
    /// What its lines weigh, and where those of one weight end.
    runs: Vec<(usize, Weight)>,
    reopen: bool,
    closed: bool,
    /// Records and requests given to the writer so far, and how many of them it has dealt with.
    given: u64,
    done: u64,
}

impl Shared {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            something_to_do: Condvar::new(),
            something_done: Condvar::new(),
            dropped: AtomicU64::new(0),
            capacity,
        }
    }

    /// Queues a line, or counts it as dropped; in its place, lighter ones that wait.
    pub(super) fn queue(&self, weight: Weight, line: &[u8]) {
        let mut state = self.state();
        let is_full = |state: &State| state.queue.len().saturating_add(line.len()) > self.capacity;
        if is_full(&state) {
            self.count_dropped(state.drop_lighter_than(weight));
        }
        if is_full(&state) {
            drop(state);
            self.count_dropped(1);
            return;
        }
        state.push(weight, line);
        state.given += 1;
        drop(state);
        self.something_to_do.notify_one();
    }

    pub(super) fn request_reopen(&self) {
        let mut state = self.state();
        state.reopen = true;
        state.given += 1;
        drop(state);
        self.something_to_do.notify_one();
    }

    /// Lets the writer end once the queue is empty.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.something_to_do.notify_one();
    }

    pub(super) fn count_dropped(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was given so far is done; false when the time runs out first.
    pub(super) fn wait_until_done(&self, timeout: Duration) -> bool {
        let state = self.state();
        let given = state.given;
        let waited = self.something_done.wait_timeout_while(state, timeout, |state| state.done < given);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// The writer's thread.
    pub(super) fn run(&self, mut sink: Box<dyn Sink>) {
        // Two buffers take turns, so that a busy log allocates nothing.
        let mut batch = Vec::new();
        let mut output = Output { torn: sink.is_torn(), failing: false };
        loop {
            let idle = |state: &mut State| state.queue.is_empty() && !state.reopen && !state.closed;
            let waited = self.something_to_do.wait_while(self.state(), idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            if state.queue.is_empty() && !state.reopen {
                return;
            }
            std::mem::swap(&mut state.queue, &mut batch);
            state.runs.clear();
            let reopen = std::mem::take(&mut state.reopen);
            let given = state.given;
            drop(state);
            self.count_dropped(output.write(sink.as_mut(), &batch));
            batch.clear();
            batch.shrink_to(KEPT_OCTETS);
            if reopen {
                match sink.reopen() {
                    Ok(()) => output.torn = sink.is_torn(),
                    Err(error) => {
                        tracing::error!(%error, "the record log cannot be opened again; the old file is kept");
                    }
                }
            }
            self.state().done = given;
            self.something_done.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, weight: Weight, line: &[u8]) {
        self.queue.extend_from_slice(line);
        let end = self.queue.len();
        match self.runs.last_mut() {
            Some((last, same)) if *same == weight => *last = end,
            _ => self.runs.push((end, weight)),
        }
    }

    /// Makes room; says how many lines that were.
    fn drop_lighter_than(&mut self, weight: Weight) -> u64 {
        if self.runs.iter().all(|(_, other)| *other >= weight) {
            return 0;
        }
        let (queue, runs) = (std::mem::take(&mut self.queue), std::mem::take(&mut self.runs));
        self.queue.reserve(queue.len());
        let (mut begin, mut dropped) = (0, 0);
        for (end, other) in runs {
            let run = queue.get(begin..end).unwrap_or_default();
            if other < weight {
                dropped += lines(run);
            } else {
                self.push(other, run);
            }
            begin = end;
        }
        dropped
    }
}

/// How the last write ended.
struct Output {
    /// A line was cut: the next one must not be joined to it.
    torn: bool,
    /// Told already: a full disk fails thousands of times.
    failing: bool,
}

impl Output {
    /// Writes whole lines; the number of those that were lost.
    fn write(&mut self, sink: &mut dyn Sink, batch: &[u8]) -> u64 {
        if batch.is_empty() {
            return 0;
        }
        if self.torn {
            if write_all(sink, b"\n").is_err() {
                return lines(batch);
            }
            self.torn = false;
        }
        match write_all(sink, batch) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the record log writes again");
                }
                0
            }
            Err((written, error)) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the record log cannot be written; records are lost and counted");
                }
                let (before, rest) = batch.split_at(written.min(batch.len()));
                let torn = before.iter().rev().take_while(|octet| **octet != b'\n').count();
                // Half a line is nothing that could be read.
                self.torn = torn > 0 && !sink.take_back(torn);
                lines(rest)
            }
        }
    }
}

/// As [`Write::write_all`], but says how far it came.
fn write_all(sink: &mut dyn Sink, octets: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while let Some(rest) = octets.get(written..).filter(|rest| !rest.is_empty()) {
        match sink.write(rest) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

fn lines(octets: &[u8]) -> u64 {
    octets.iter().map(|octet| u64::from(*octet == b'\n')).sum()
}

struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // Whole lines pass its line buffer at once.
        let mut stdout = io::stdout().lock();
        let count = stdout.write(octets)?;
        stdout.flush().map(|()| count)
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Appended {
    path: PathBuf,
    file: File,
}

impl Sink for Appended {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write(octets)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        Ok(())
    }

    /// On a full disk nobody else has appended meanwhile.
    fn take_back(&mut self, octets: usize) -> bool {
        let whole = self.file.metadata().ok().filter(std::fs::Metadata::is_file);
        let whole = whole.and_then(|file| file.len().checked_sub(octets as u64));
        whole.is_some_and(|length| self.file.set_len(length).is_ok())
    }

    /// Of an earlier process, which a full disk or the machine's end left no time for more.
    fn is_torn(&self) -> bool {
        let last = || {
            let file = File::open(&self.path)?;
            let metadata = file.metadata()?;
            let mut last = [b'\n'];
            if metadata.is_file() && metadata.len() > 0 {
                file.read_exact_at(&mut last, metadata.len() - 1)?;
            }
            io::Result::Ok(last != [b'\n'])
        };
        // A pipe is not opened a second time.
        std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.is_file()) && last().unwrap_or(false)
    }
}

/// Records name customers: not for every user of the machine.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}
