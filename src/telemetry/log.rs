//! JSON-lines records, written by a thread of their own: a slow disk delays nobody.

use crate::config::LogTarget;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Records that wait for the writer; beyond it they are dropped and counted, never waited for.
const WAITING_RECORDS: usize = 8192;

/// Where records go. Dropping it writes what is left.
#[derive(Debug)]
pub struct RecordLog {
    sender: Option<SyncSender<Message>>,
    dropped: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
}

impl RecordLog {
    /// Opens the target and starts its writer.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(target: &LogTarget) -> io::Result<Self> {
        let output = match target {
            LogTarget::Off => return Ok(Self { sender: None, dropped: Arc::default(), writer: Mutex::default() }),
            LogTarget::Stdout => Output::Stdout(io::stdout()),
            LogTarget::File(path) => Output::File { path: path.clone(), file: open(path)? },
        };
        let (sender, receiver) = sync_channel(WAITING_RECORDS);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = dropped.clone();
        let writer =
            std::thread::Builder::new().name("records".into()).spawn(move || write_all(output, &receiver, &lost))?;
        Ok(Self { sender: Some(sender), dropped, writer: Mutex::new(Some(writer)) })
    }

    /// Writes one record as a line of JSON. Never waits: when the writer is behind by too much, the record is dropped and counted.
    pub fn write<T: Serialize>(&self, record: &T) {
        let Some(sender) = &self.sender else {
            return;
        };
        let written = serde_json::to_vec(record).ok().map(|mut line| {
            line.push(b'\n');
            sender.try_send(Message::Line(line))
        });
        if !matches!(written, Some(Ok(()))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file anew, after it was rotated away. When that fails, the old one is written on.
    pub fn reopen(&self) {
        if let Some(sender) = &self.sender {
            // The writer ends only with this value.
            let _ = sender.send(Message::Reopen);
        }
    }

    /// Records dropped so far: the writer was behind or the disk refused.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns when everything written so far has reached the operating system.
    pub fn flush(&self) {
        if let Some(sender) = &self.sender {
            let (done, wait) = sync_channel(1);
            if sender.send(Message::Flush(done)).is_ok() {
                // An error means that the writer has gone, after writing.
                let _ = wait.recv();
            }
        }
    }
}

impl Drop for RecordLog {
    fn drop(&mut self) {
        self.sender = None;
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A panic in the writer has nothing left to save.
            let _ = writer.join();
        }
    }
}

enum Output {
    Stdout(io::Stdout),
    File { path: PathBuf, file: BufWriter<File> },
}

impl Output {
    fn stream(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(stdout) => stdout,
            Self::File { file, .. } => file,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File { path, file } => {
                file.flush()?;
                *file = open(path)?;
                Ok(())
            }
        }
    }
}

fn open(path: &Path) -> io::Result<BufWriter<File>> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    file.map(BufWriter::new).map_err(named)
}

/// The writer: one flush for all that is waiting.
fn write_all(mut output: Output, receiver: &Receiver<Message>, lost: &AtomicU64) {
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            handle(&mut output, message, lost);
            next = match receiver.try_recv() {
                Ok(message) => Some(message),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
            };
        }
        flush(&mut output, lost);
    }
}

fn handle(output: &mut Output, message: Message, lost: &AtomicU64) {
    match message {
        Message::Line(line) => {
            if output.stream().write_all(&line).is_err() {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        Message::Reopen => {
            if let Err(error) = output.reopen() {
                tracing::error!(%error, "the record log could not be opened anew; the old file is written on");
            }
        }
        Message::Flush(done) => {
            flush(output, lost);
            // Nobody waits any more.
            let _ = done.send(());
        }
    }
}

fn flush(output: &mut Output, lost: &AtomicU64) {
    if output.stream().flush().is_err() {
        lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn records_are_lines_of_json_whatever_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = RecordLog::open(&LogTarget::File(path.clone())).unwrap();
        log.write(&serde_json::json!({ "subject": "a\nb\"\u{0}" }));
        log.write(&1);
        log.flush();
        assert_eq!(lines(&path), [r#"{"subject":"a\nb\"\u0000"}"#, "1"]);
        assert_eq!(log.dropped(), 0);
    }

    #[test]
    fn a_rotated_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let log = RecordLog::open(&LogTarget::File(path.clone())).unwrap();
        log.write(&1);
        log.flush();
        std::fs::rename(&path, &rotated).unwrap();
        log.reopen();
        log.write(&2);
        drop(log);
        assert_eq!((lines(&rotated), lines(&path)), (vec!["1".to_owned()], vec!["2".to_owned()]));
    }

    #[test]
    fn a_full_disk_is_counted_and_stops_nobody() {
        let log = RecordLog::open(&LogTarget::File("/dev/full".into())).unwrap();
        log.write(&"x".repeat(100_000));
        log.flush();
        assert!(log.dropped() > 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = RecordLog::open(&LogTarget::File("/no/such/folder/access.log".into())).unwrap_err();
        assert!(error.to_string().starts_with("/no/such/folder/access.log: "), "{error}");
    }
}
