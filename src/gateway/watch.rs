//! When a named file has changed: the folders of all named files are watched, and what a change there comes to is looked at.

use super::reload::Cause;
use crate::config::{self, Config, LogTarget};
use crate::pki::time::Timestamp;
use notify::{RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

/// Seconds that must have passed since a file's last change before it counts as unchanged: a second change within the
/// file system's clock tick would not show.
const SETTLED_SECONDS: i64 = 2;

/// Files of a named folder that are looked at: as many as are read of one.
const MAX_FILES_IN_FOLDER: usize = 1_024;

/// Watches the folders of all named files: editors and deployment tools replace files rather than write into them.
pub(super) struct FileWatch {
    watcher: Option<notify::RecommendedWatcher>,
    followed: BTreeSet<PathBuf>,
    seen: Stamps,
}

/// Whether folders came to be watched that were not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Same,
    More,
}

/// Whether anything is another than at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
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
    /// The log may lie beside a watched file: its lines are no changes.
    pub(super) fn new(wake: &Sender<Cause>, log: &LogTarget) -> Self {
        let wake = wake.clone();
        let log = match log {
            LogTarget::File(path) => path.file_name().map(std::ffi::OsStr::to_owned),
            LogTarget::Stdout | LogTarget::Off => None,
        };
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let concerns_us = |event: notify::Event| {
                !event.kind.is_access()
                    && event.paths.iter().any(|path| log.is_none() || path.file_name() != log.as_deref())
            };
            if event.is_ok_and(concerns_us) {
                // The gateway is stopping when nobody listens.
                let _ = wake.send(Cause::Files);
            }
        });
        let watcher = watcher.map_err(|error| tracing::error!(%error, "no file watch; only SIGHUP reloads")).ok();
        Self { watcher, followed: BTreeSet::new(), seen: Stamps::new() }
    }

    /// Whether a named file is another than when this was asked last. In a watched folder others may write without end (a
    /// log, a database), and each reload would write a line of log.
    pub(super) fn look(&mut self, config: &Config, config_path: &Path, now: Timestamp) -> Since {
        self.compare(&named(config, config_path), now)
    }

    fn compare(&mut self, files: &[&Path], now: Timestamp) -> Since {
        let stamps: Stamps = files.iter().flat_map(|file| stamps_of(file)).collect();
        let is_settled = |stamp: &Stamp| stamp.changed.0.saturating_add(SETTLED_SECONDS) <= now.unix();
        let is_same = stamps == self.seen && stamps.values().flatten().all(is_settled);
        self.seen = stamps;
        if is_same { Since::Unchanged } else { Since::Changed }
    }

    /// Follows just the folders of this configuration's files.
    pub(super) fn follow(&mut self, config: &Config, config_path: &Path) -> Follow {
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
                tracing::warn!(folder = %folder.display(), %error, "this folder is not watched; SIGHUP reloads it");
            }
        }
        self.followed = wanted;
        follow
    }
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
    use crate::clock;

    /// A watch, and later than any file of the test is young.
    fn watch() -> (FileWatch, Timestamp) {
        let (wake, _causes) = std::sync::mpsc::channel();
        (FileWatch::new(&wake, &LogTarget::Off), clock::now().plus_seconds(3_600))
    }

    #[test]
    fn what_others_write_beside_the_named_files_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let (file, beside) = (folder.path().join("crl.pem"), folder.path().join("gateway.log"));
        std::fs::write(&file, "a list").unwrap();
        let (mut watch, later) = watch();
        let mut look = || watch.compare(&[&file], later);
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
        let (mut watch, later) = watch();
        let mut look = || watch.compare(&[folder.path()], later);
        assert_eq!((look(), look()), (Since::Changed, Since::Unchanged));
        for content in ["one", "two"] {
            std::fs::write(folder.path().join("0.crl"), content).unwrap();
            assert_eq!((look(), look()), (Since::Changed, Since::Unchanged), "{content}");
        }
    }

    #[test]
    fn a_file_that_changed_just_now_may_change_again_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crl.pem");
        std::fs::write(&file, "a list").unwrap();
        let (mut watch, later) = watch();
        let now = clock::now();
        assert_eq!((watch.compare(&[&file], now), watch.compare(&[&file], now)), (Since::Changed, Since::Changed));
        assert_eq!(watch.compare(&[&file], later), Since::Unchanged);
    }
}
