//! When a named file has changed: the folders of all named files are watched, and the files' stamps compared when
//! something happens there and every few seconds, since not every file system reports changes (NFS, SMB, another hard
//! link).

use crate::gateway::base::cause::Cause;
use notify::{RecursiveMode, Watcher};
use sekisho_config::{self as config, Config, LogTarget};
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often stamps are compared without an event. NFS itself asks its server every three seconds at most (acregmin).
const COMPARE_EVERY: Duration = Duration::from_secs(2);

/// How long after a change a further one may not show in the stamps: as long as the coarsest tick of a file system (FAT).
const SETTLED: Duration = Duration::from_secs(2);

/// Events of a file within [`SETTLED`] that count as changes though its stamp is the same. Bounded, since on a machine
/// whose clock is behind a file is always young.
const MAX_UNSEEN: u32 = 3;

/// Paths of events that are kept until the next comparison: more than a deployment replaces at once.
const MAX_TOUCHED: usize = 1_024;

/// Files of a named folder that are looked at: as many as are read of one.
const MAX_FILES_IN_FOLDER: usize = 1_024;

/// Watches the folders of all named files: editors and deployment tools replace files rather than write into them.
pub(in crate::gateway) struct FileWatch {
    watcher: Option<notify::RecommendedWatcher>,
    followed: BTreeSet<PathBuf>,
    /// The paths of events since the last comparison.
    touched: Touched,
    seen: Stamps,
    /// After a change, until a further one shows for certain.
    young: Option<Young>,
    compare_at: Option<Instant>,
}

type Touched = Arc<Mutex<BTreeSet<PathBuf>>>;

/// A time in which the stamps may be the same though a file has changed again.
#[derive(Clone, Copy, Debug)]
struct Young {
    until: Instant,
    unseen: u32,
}

/// Whether folders came to be watched that were not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Follow {
    Same,
    More,
}

/// Whether anything is another than at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Since {
    /// Something is, or may be.
    Changed,
    Unchanged,
}

/// What tells one content of a file from another without reading it; no program can set the time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    octets: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The named files, links followed; none for one that is not there.
type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

impl FileWatch {
    /// Our logs may lie beside a watched file: their lines are no changes.
    pub(in crate::gateway) fn new(wake: &Sender<Cause>, log: &LogTarget) -> Self {
        let wake = wake.clone();
        let touched = Touched::default();
        let notes = Arc::clone(&touched);
        let logs = file_names_of_logs(log);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error may stand for lost events.
            let Ok(event) = event else {
                let _ = wake.send(Cause::Files);
                return;
            };
            let is_log = |path: &&PathBuf| logs.iter().any(|log| path.file_name() == Some(log));
            if !event.kind.is_access() && (event.paths.is_empty() || !event.paths.iter().all(|path| is_log(&path))) {
                let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_TOUCHED.saturating_sub(notes.len());
                notes.extend(event.paths.into_iter().take(room));
                // The gateway is stopping when nobody listens.
                let _ = wake.send(Cause::Files);
            }
        });
        let watcher = watcher.map_err(|error| tracing::error!(%error, "no file watch; stamps are compared")).ok();
        let (followed, seen) = (BTreeSet::new(), Stamps::new());
        Self { watcher, followed, touched, seen, young: None, compare_at: None }
    }

    /// Whether a named file is another than when this was asked last. In a watched folder others may write without end (a
    /// log, a database), and each reload would write a line of log.
    ///
    /// A change is read at once, and once more when a further one would show in the stamps for certain.
    pub(in crate::gateway) fn look(
        &mut self,
        config: &Config,
        config_path: &Path,
        now: Timestamp,
        at: Instant,
    ) -> Since {
        self.compare_at = config.gateway.watch_files.then(|| at + COMPARE_EVERY);
        self.compare(&named(config, config_path), now, at)
    }

    /// When [`Self::look`] is to be called without an event; never where files are not watched.
    pub(in crate::gateway) fn due(&self) -> Option<Instant> {
        let compare_at = self.compare_at?;
        Some(self.young.map_or(compare_at, |young| young.until.min(compare_at)))
    }

    fn compare(&mut self, files: &[&Path], now: Timestamp, at: Instant) -> Since {
        let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        let stamps: Stamps = files.iter().flat_map(|file| stamps_of(file)).collect();
        if stamps != self.seen {
            let settled = i64::try_from(SETTLED.as_secs()).unwrap_or(i64::MAX);
            let is_young = |stamp: &Stamp| stamp.changed.0.saturating_add(settled) > now.unix();
            let young = stamps.values().flatten().any(is_young);
            self.young = young.then(|| Young { until: at + SETTLED, unseen: 0 });
            self.seen = stamps;
            return Since::Changed;
        }
        match &mut self.young {
            Some(young) if young.until <= at => self.young = None,
            Some(young) if young.unseen < MAX_UNSEEN && is_touched(files, &touched) => young.unseen += 1,
            Some(_) | None => return Since::Unchanged,
        }
        Since::Changed
    }

    /// Follows just the folders of this configuration's files.
    pub(in crate::gateway) fn follow(&mut self, config: &Config, config_path: &Path) -> Follow {
        let Some(watcher) = &mut self.watcher else {
            return Follow::Same;
        };
        let wanted = if config.gateway.watch_files { folders(config, config_path) } else { BTreeSet::new() };
        for gone in self.followed.difference(&wanted) {
            // The folder may be gone too.
            let _ = watcher.unwatch(gone);
        }
        let mut follow = Follow::Same;
        for folder in wanted.difference(&self.followed) {
            follow = Follow::More;
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "cannot watch this folder; its files are compared");
            }
        }
        self.followed = wanted;
        follow
    }
}

/// Returns `true` if one of these paths is a named file or in a named folder.
fn is_touched(files: &[&Path], touched: &BTreeSet<PathBuf>) -> bool {
    let real = |file: &&Path| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if file.is_dir() { file.canonicalize().ok() } else { Some(folder.canonicalize().ok()?.join(file.file_name()?)) }
    };
    !touched.is_empty() && files.iter().filter_map(real).any(|file| touched.iter().any(|path| path.starts_with(&file)))
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            octets: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// The names of the files that we write to: the records' and, where they are files, standard output and error.
fn file_names_of_logs(log: &LogTarget) -> Vec<OsString> {
    let records = match log {
        LogTarget::File(path) => Some(path.clone()),
        LogTarget::Stdout | LogTarget::Off => None,
    };
    // A pipe's or a socket's is no path.
    let streams =
        ["/proc/self/fd/1", "/proc/self/fd/2"].into_iter().filter_map(|stream| std::fs::read_link(stream).ok());
    let paths = records.into_iter().chain(streams.filter(|path| path.is_absolute()));
    paths.filter_map(|path| path.file_name().map(OsString::from)).collect()
}

/// A file's own, and of a folder also what is in it.
fn stamps_of(path: &Path) -> Vec<(PathBuf, Option<Stamp>)> {
    let inside = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok).take(MAX_FILES_IN_FOLDER);
    let all = std::iter::once(path.to_owned()).chain(inside.map(|entry| entry.path()));
    all.map(|path| (path.clone(), Stamp::of(&path))).collect()
}

/// The folders of every file a configuration names.
fn folders(config: &Config, config_path: &Path) -> BTreeSet<PathBuf> {
    named(config, config_path).into_iter().flat_map(folders_of).collect()
}

/// Every file a configuration names, and itself.
fn named<'a>(config: &'a Config, config_path: &'a Path) -> Vec<&'a Path> {
    let mut files: Vec<&Path> = vec![config_path];
    files.extend(config.tickets.secret_file.iter().map(|file| &*file.value));
    files.extend(config.gateway.admin_token_file.iter().map(|file| &*file.value));
    files.extend(config.assertion.iter().flat_map(|assertion| {
        std::iter::once(&*assertion.key_file.value).chain(assertion.previous_key_files.iter().map(|file| &*file.value))
    }));
    files.extend(config.feed.iter().flat_map(|feed| {
        [&feed.ca, &feed.certificate, &feed.key].into_iter().chain(&feed.public_keys).map(|file| &*file.value)
    }));
    for ca in &config.cas {
        files.push(&ca.certificate.value);
        if let config::RevocationSource::From(sources) = &ca.revocation {
            files.extend(sources.files.iter().map(|path| &*path.value));
        }
    }
    for site in &config.sites {
        files.extend([&*site.certificate.value, &*site.key.value]);
    }
    for tls in config.pools.iter().filter_map(|pool| pool.tls.as_ref()) {
        files.push(&tls.ca.value);
        files.extend(tls.client.iter().flat_map(|(certificate, key)| [&*certificate.value, &*key.value]));
    }
    files
}

/// The real folders in which a change can make a path mean another file: its own, that of every symbolic link on the
/// way, and the one it leads to. A deployment tool may replace any of them (Kubernetes swaps the link `..data`).
///
/// Real ones, since a watch stays with the folder it was put on, whatever takes its name later.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let own = if file.is_dir() { Some(file) } else { file.parent() };
    let links = file.ancestors().filter(|path| path.is_symlink()).filter_map(Path::parent);
    let target = file.canonicalize().ok().and_then(|target| target.parent().map(Path::to_owned));
    let named =
        own.into_iter().chain(links).map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    named.filter_map(|folder| folder.canonicalize().ok()).chain(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_runtime::clock;

    /// A watch, later than any file of the test is young, and a moment.
    fn watch() -> (FileWatch, Timestamp, Instant) {
        let (wake, _causes) = std::sync::mpsc::channel();
        (FileWatch::new(&wake, &LogTarget::Off), clock::now().plus_seconds(3_600), Instant::now())
    }

    #[test]
    fn what_others_write_beside_the_named_files_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let (file, beside) = (folder.path().join("crl.pem"), folder.path().join("gateway.log"));
        std::fs::write(&file, "a list").unwrap();
        let (mut watch, later, at) = watch();
        let mut look = || watch.compare(&[&file], later, at);
        assert_eq!((look(), look()), (Since::Changed, Since::Unchanged));
        std::fs::write(&beside, "a line").unwrap();
        assert_eq!(look(), Since::Unchanged);
        std::fs::write(&file, "b list").unwrap();
        assert_eq!((look(), look()), (Since::Changed, Since::Unchanged));
        std::fs::remove_file(&file).unwrap();
        assert_eq!((look(), look()), (Since::Changed, Since::Unchanged));
        std::os::unix::fs::symlink(&beside, &file).unwrap();
        assert_eq!((look(), look()), (Since::Changed, Since::Unchanged));
        // Where a link leads to counts.
        std::fs::write(&beside, "two lines").unwrap();
        assert_eq!((look(), look()), (Since::Changed, Since::Unchanged));
    }

    #[test]
    fn a_file_of_a_named_folder_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (mut watch, later, at) = watch();
        let mut look = || watch.compare(&[folder.path()], later, at);
        assert_eq!((look(), look()), (Since::Changed, Since::Unchanged));
        for content in ["one", "two"] {
            std::fs::write(folder.path().join("0.crl"), content).unwrap();
            assert_eq!((look(), look()), (Since::Changed, Since::Unchanged), "{content}");
        }
    }

    #[test]
    fn a_file_that_changed_just_now_is_looked_at_once_more_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crl.pem");
        std::fs::write(&file, "a list").unwrap();
        // Of this second, and of an hour behind the file's time.
        for now in [clock::now(), clock::now().plus_seconds(-3_600)] {
            let (mut watch, _, at) = watch();
            let mut look = |seconds| watch.compare(&[&file], now, at + Duration::from_secs(seconds));
            assert_eq!((look(0), look(0), look(1)), (Since::Changed, Since::Unchanged, Since::Unchanged));
            assert_eq!((look(2), look(2), look(100)), (Since::Changed, Since::Unchanged, Since::Unchanged));
        }
    }

    #[test]
    fn events_of_a_young_file_count_a_few_times_and_those_of_others_never() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let file = folder.join("crl.pem");
        std::fs::write(&file, "a list").unwrap();
        let (mut watch, _, at) = watch();
        let now = clock::now();
        let mut look = |path: &Path| {
            watch.touched.lock().unwrap().insert(path.to_owned());
            watch.compare(&[&file], now, at)
        };
        assert_eq!(look(&file), Since::Changed);
        for _ in 0..10 {
            assert_eq!(look(&folder.join("gateway.err")), Since::Unchanged);
        }
        let counted = (0..10).filter(|_| look(&file) == Since::Changed).count();
        assert_eq!(counted, MAX_UNSEEN as usize);
    }
}
