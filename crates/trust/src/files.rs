//! Reading files and folders within limits, and remembering what did not change.

use super::accept::{Rejection, examine};
use super::alarm::AlarmKind;
use super::authority::AuthorityFacts;
use super::background::{OCTETS_AT_ONCE, make_way};
use super::lists::RevocationList;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Octets a revocation list file may have: five times the list of a million certificates. A greater one is a mistake,
/// and reading it whole would take the gateway's memory.
pub(super) const MAX_LIST_FILE_OCTETS: u64 = 256 << 20;

/// Octets a CA certificate file may have: a hundred times a real one with its text.
pub(super) const MAX_CERTIFICATE_FILE_OCTETS: u64 = 1 << 20;

/// Files a folder may hold: one a CA and partition is some dozens; beyond that it is the wrong folder.
const MAX_FILES_IN_FOLDER: usize = 1_024;

/// Lists a file may hold: as many as a folder may files, so that a file of a million scraps gives no million alarms.
pub(super) const MAX_LISTS_IN_FILE: usize = 1_024;

/// Seconds that must have passed since a file's last change before its stamp counts: a second change within the
/// file system's clock tick would not show.
const SETTLED_SECONDS: i64 = 2;

/// What was read from the files of a snapshot.
#[derive(Debug, Default)]
pub(super) struct FileMemory {
    files: Vec<Remembered>,
}

/// One file all of whose lists are in force.
#[derive(Debug)]
struct Remembered {
    path: PathBuf,
    stamp: Stamp,
    lists: Vec<Arc<RevocationList>>,
}

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    octets: u64,
    modified: (i64, i64),
    /// Cannot be set by a program, unlike the time of modification.
    changed: (i64, i64),
}

/// One file's lists.
pub(super) struct ReadFile {
    pub(super) path: PathBuf,
    stamp: Option<Stamp>,
    pub(super) lists: Vec<Result<Arc<RevocationList>, Rejection>>,
}

impl FileMemory {
    /// Keeps what need not be read again: settled files all of whose lists are in force, so that no superseded list
    /// stays in memory.
    pub(super) fn remember(
        files: Vec<ReadFile>,
        now: Timestamp,
        in_force: impl Fn(&Arc<RevocationList>) -> bool,
    ) -> Self {
        let keep = |file: ReadFile| {
            let stamp = file.stamp.filter(|stamp| stamp.changed.0.saturating_add(SETTLED_SECONDS) <= now.unix())?;
            let lists = file.lists.into_iter().map(Result::ok).collect::<Option<Vec<_>>>()?;
            lists.iter().all(&in_force).then_some(Remembered { path: file.path, stamp, lists })
        };
        Self { files: files.into_iter().filter_map(keep).collect() }
    }

    fn find(&self, path: &Path, stamp: &Stamp) -> Option<&[Arc<RevocationList>]> {
        let file = self.files.iter().find(|file| file.path == path && file.stamp == *stamp)?;
        Some(&file.lists)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            octets: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The files that a source means: itself, or what a folder holds (not its sub-folders nor hidden files), in order.
pub(super) fn expand(source: &Path) -> Result<Vec<PathBuf>, String> {
    let metadata = fs::metadata(source).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Ok(vec![source.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(source).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // Through symbolic links, as mounted secrets have them.
        if hidden || fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir()) {
            continue;
        }
        if files.len() == MAX_FILES_IN_FOLDER {
            return Err(format!("the folder holds more than {MAX_FILES_IN_FOLDER} files"));
        }
        files.push(entry.path());
    }
    if files.is_empty() {
        return Err("the folder is empty".to_owned());
    }
    files.sort_unstable();
    Ok(files)
}

/// A whole file, if it is a file and within the limit.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    read_stamped(path, limit).map(|(bytes, _)| bytes)
}

/// The lists of one file, judged; from `memory` if the file is as it was then.
pub(super) fn read_lists(
    path: PathBuf,
    memory: Option<&FileMemory>,
    authorities: &[AuthorityFacts],
    now: Timestamp,
) -> ReadFile {
    if let Some(stamp) = fs::metadata(&path).ok().map(|metadata| Stamp::of(&metadata))
        && let Some(lists) = memory.and_then(|memory| memory.find(&path, &stamp))
    {
        return ReadFile { path, stamp: Some(stamp), lists: lists.iter().cloned().map(Ok).collect() };
    }
    let file: Arc<str> = path.display().to_string().into();
    let refused = |kind, message| Err(Rejection { kind, ca: None, message });
    let (bytes, stamp) = match read_stamped(&path, MAX_LIST_FILE_OCTETS) {
        Ok(read) => read,
        Err(message) => return ReadFile { path, stamp: None, lists: vec![refused(AlarmKind::Unreadable, message)] },
    };
    let lists = match pem::revocation_lists(&bytes) {
        Ok(lists) if lists.len() > MAX_LISTS_IN_FILE => {
            let message = format!("it holds {} lists; at most {MAX_LISTS_IN_FILE} are accepted", lists.len());
            vec![refused(AlarmKind::Unreadable, message)]
        }
        Ok(lists) => lists.iter().map(|der| examine(der, &file, authorities, now).map(Arc::new)).collect(),
        Err(error) => vec![refused(AlarmKind::Malformed, error.to_string())],
    };
    ReadFile { path, stamp: Some(stamp), lists }
}

fn read_stamped(path: &Path, limit: u64) -> Result<(Vec<u8>, Stamp), String> {
    // Before it is opened: opening a pipe would wait for a writer.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let octets = metadata.len();
    if octets > limit {
        return Err(format!("it has {octets} octets; at most {limit} are accepted"));
    }
    if octets == 0 {
        return Err("it is empty".to_owned());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(octets).unwrap_or_default());
    // One more than the file had, so that one that grows meanwhile shows.
    let mut rest = (&file).take(octets + 1);
    while (&mut rest).take(OCTETS_AT_ONCE as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())? > 0 {
        make_way();
    }
    let after = file.metadata().map_err(|error| error.to_string())?;
    if Stamp::of(&after) != Stamp::of(&metadata) {
        return Err("it changed while it was read".to_owned());
    }
    Ok((bytes, Stamp::of(&metadata)))
}
