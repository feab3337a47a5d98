//! Fetched lists on disk: a file each in the state folder, and beside it what the server said of it.
//!
//! A list is written beside its place, judged there, and renamed; then its note. A death in between leaves the note of
//! the list before, with which the server is asked in vain and no worse.

use super::download::Validators;
use super::target::{self, Kind, Target};
use crate::folder;
use sekisho_config::{Ca, ConfigError, Placed};
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Octets of a note: a URL, an ETag, two dates.
const MAX_NOTE_OCTETS: u64 = 16 * 1024;

/// Files of fetched lists that are looked at: more than all targets of a gateway.
const MAX_FILES: usize = 8_192;

const LIST: &str = "crl";
const NOTE: &str = "json";
/// What a file begins with that is not a list yet.
const UNFINISHED: &str = ".new-";

/// The folder of fetched lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLists {
    folder: PathBuf,
}

/// What is known of a kept list beside its octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) ca: String,
    pub(super) url: String,
    point: bool,
    /// When the server last said that this is its list, seconds since 1970.
    pub(super) asked_at: i64,
    pub(super) validators: Validators,
}

impl Note {
    pub(super) fn new(target: &Target, validators: Validators, now: Timestamp) -> Self {
        Self {
            ca: target.ca.to_string(),
            url: target.url.to_string(),
            point: target.kind == Kind::Point,
            asked_at: now.unix(),
            validators,
        }
    }

    pub(super) fn target(&self) -> Target {
        let kind = if self.point { Kind::Point } else { Kind::Configured };
        Target { ca: self.ca.as_str().into(), url: self.url.as_str().into(), kind }
    }
}

impl KeptLists {
    /// In a state folder that need not be there: then nothing is kept.
    pub fn at(state_folder: &Path) -> Self {
        Self { folder: state_folder.join("lists") }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// In a state folder that is made if it is not there, and can be written to.
    ///
    /// # Errors
    /// At `gateway.state_folder`: it cannot be made or written to, or others may write to it. What lies in it decides
    /// who is let in after a restart.
    pub fn open(state_folder: &Placed<PathBuf>) -> Result<Self, ConfigError> {
        let kept = Self::at(&state_folder.value);
        let refuse = |message: String| ConfigError {
            place: state_folder.place.clone(),
            message: format!("{}: {message}", state_folder.value.display()),
        };
        for folder in [&state_folder.value, &kept.folder] {
            folder::make(folder).map_err(refuse)?;
        }
        let probe = kept.unfinished();
        File::create_new(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|error| refuse(error.to_string()))?;
        Ok(kept)
    }

    /// Where the list of a target is, if it is kept.
    pub fn path(&self, target: &Target) -> PathBuf {
        let digest = sha256(&[target.url.as_bytes()]);
        let hash: String = digest.iter().take(16).map(|octet| format!("{octet:02x}")).collect();
        // The names of CAs are of letters, digits, '.', '_' and '-'.
        self.folder.join(format!("{}-{hash}.{LIST}", target.ca))
    }

    /// The files of the lists that are kept for a CA and are still sources of it.
    pub fn files(&self, ca: &Ca) -> Vec<PathBuf> {
        let configured: Vec<_> = target::configured(ca).collect();
        let points = self.points(ca);
        configured.iter().chain(&points).map(|target| self.path(target)).filter(|path| path.is_file()).collect()
    }

    /// The distribution points whose lists are kept for a CA, as far as its configuration still allows them.
    pub(super) fn points(&self, ca: &Ca) -> Vec<Target> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.take(MAX_FILES).filter_map(Result::ok).map(|entry| entry.path());
        let notes = names.filter(|path| path.extension().is_some_and(|extension| extension == NOTE));
        let mut points: Vec<_> = notes
            .filter_map(|path| read_note(&path))
            .filter(|note| *note.ca == *ca.name && note.point && target::point(ca, &note.url).is_ok())
            .map(|note| note.target())
            .collect();
        points.sort_unstable();
        points
    }

    /// What is known of a target's list, if that is kept.
    pub(super) fn note(&self, target: &Target) -> Option<Note> {
        let path = self.path(target);
        // Without its list a note would have the server say that there is nothing new.
        read_note(&path.with_extension(NOTE)).filter(|note| path.is_file() && *note.url == *target.url)
    }

    /// A path for a list that is not finished; each time another.
    pub(super) fn unfinished(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{UNFINISHED}{}-{count}", std::process::id()))
    }

    /// Puts a finished list in the place of the one before.
    pub(super) fn replace(&self, target: &Target, finished: &Path, note: &Note) -> io::Result<()> {
        fs::rename(finished, self.path(target))?;
        self.write_note(target, note)
    }

    /// Puts what the server now says in the place of what it said.
    pub(super) fn write_note(&self, target: &Target, note: &Note) -> io::Result<()> {
        let unfinished = self.unfinished();
        let written = write_whole(&unfinished, note)
            .and_then(|()| fs::rename(&unfinished, self.path(target).with_extension(NOTE)))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Forgets a target's list.
    pub(super) fn forget(&self, target: &Target) {
        let path = self.path(target);
        let _ = fs::remove_file(path.with_extension(NOTE));
        let _ = fs::remove_file(path);
    }

    /// Removes what a death left. Only for a start: later, what is not finished is being written.
    pub(super) fn forget_unfinished(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().take(MAX_FILES).filter_map(Result::ok);
        for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes())) {
            // One that stays is in nobody's way: the next names are others.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn read_note(path: &Path) -> Option<Note> {
    let octets = crate::files::read(path, MAX_NOTE_OCTETS).ok()?;
    serde_json::from_slice(&octets).ok()
}

fn write_whole(path: &Path, note: &Note) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(&serde_json::to_vec(note)?)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { ca: "a".into(), url: "http://h/".into(), kind: Kind::Point }
    }

    #[test]
    fn a_note_of_as_many_octets_as_may_be_is_read_and_one_octet_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = Placed { value: folder.path().join("state"), ..Placed::default() };
        let kept = KeptLists::open(&state).unwrap();
        fs::write(kept.path(&target()), "a list").unwrap();
        let mut note =
            serde_json::to_vec(&Note::new(&target(), Validators::default(), Timestamp::from_unix(0))).unwrap();
        for (octets, is_read) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
            note.resize(octets, b' ');
            fs::write(kept.path(&target()).with_extension(NOTE), &note).unwrap();
            assert_eq!(kept.note(&target()).is_some(), is_read, "{octets}");
        }
    }

    #[test]
    fn as_many_files_as_may_be_are_looked_at_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let state = Placed { value: folder.path().join("state"), ..Placed::default() };
        let kept = KeptLists::open(&state).unwrap();
        (0..=MAX_FILES).for_each(|_| drop(File::create_new(kept.unfinished()).unwrap()));
        let left = || fs::read_dir(&kept.folder).unwrap().count();
        assert_eq!(left(), MAX_FILES + 1);
        kept.forget_unfinished();
        assert_eq!(left(), 1);
        kept.forget_unfinished();
        assert_eq!(left(), 0);
    }
}
