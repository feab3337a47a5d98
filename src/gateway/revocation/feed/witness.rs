//! Heads of the issuer's audit log, kept by gateways: who rewrites the log, or cuts it, cannot rewrite these.

use super::apply::Applied;
use sekisho_pki::time::Timestamp;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// Name of the file in the feed's folder: a line each, when, and `sequence:hash` for `sekisho-issuer audit verify --head`.
const NAME: &str = "audit-heads";

/// Seconds between two that are kept: 100 bytes each.
const APART: i64 = 60;

/// Bytes of the file, about a week of heads; then it becomes `audit-heads.1`, in the place of the one before.
const MAX_BYTES: u64 = 1 << 20;

/// Keeps them.
#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
    last: Option<(Timestamp, Box<str>)>,
}

impl Witness {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { path: folder.join(NAME), last: None }
    }

    /// Keeps the head that a message says, if it is another one and a while has passed.
    pub(super) fn keep(&mut self, applied: &Applied) {
        let (Some(head), now) = (&applied.message.audit, applied.heard) else { return };
        let is_due = self
            .last
            .as_ref()
            .is_none_or(|(at, last)| **last != **head && !(0..APART).contains(&now.unix().saturating_sub(at.unix())));
        if !is_due {
            return;
        }
        self.last = Some((now, Box::from(&**head)));
        tracing::info!(feed = &*applied.message.feed, head = &**head, "the issuer's audit log has come to here");
        if let Err(error) = self.append(&format!("{now} {head}\n")) {
            tracing::error!(%error, file = %self.path.display(), "the head of the issuer's audit log cannot be kept");
        }
    }

    fn append(&self, line: &str) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() >= MAX_BYTES) {
            fs::rename(&self.path, self.path.with_extension("1"))?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        file.write_all(line.as_bytes())
    }
}
