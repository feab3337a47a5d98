//! A new folder that appears whole or not at all, and never in the place of another.

use sekisho_ca::serial;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A folder that is being filled beside its place. Dropped before it is finished, it is removed.
pub(super) struct NewFolder {
    unfinished: PathBuf,
    place: PathBuf,
    parent: PathBuf,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Unfinished,
    Finished,
}

impl NewFolder {
    pub(super) fn begin(place: &Path) -> Result<Self, String> {
        let about = |error: &dyn std::fmt::Display| format!("{}: {error}", place.display());
        let name = place.file_name().ok_or_else(|| about(&"it is not the name of a folder"))?;
        match fs::read_dir(place).map(|mut found| found.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(about(&"it is there and not empty")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(about(&error)),
        }
        let parent = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let random = serial::random().map_err(|error| about(&error))?;
        let unfinished = parent.join(format!(".{}.{random}", name.to_string_lossy()));
        DirBuilder::new().mode(0o700).create(&unfinished).map_err(|error| about(&error))?;
        Ok(Self { unfinished, place: place.to_owned(), parent, state: State::Unfinished })
    }

    /// Writes a file that its owner alone may read.
    pub(super) fn secret(&self, within: &str, name: &str, content: &[u8]) -> Result<(), String> {
        self.write(within, name, content, 0o600)
    }

    /// Writes a file that anybody may read.
    pub(super) fn public(&self, within: &str, name: &str, content: &[u8]) -> Result<(), String> {
        self.write(within, name, content, 0o644)
    }

    fn write(&self, within: &str, name: &str, content: &[u8], mode: u32) -> Result<(), String> {
        let folder = self.unfinished.join(within);
        let about = |error: std::io::Error| format!("{}: {error}", self.place.join(within).join(name).display());
        DirBuilder::new().mode(0o700).recursive(true).create(&folder).map_err(about)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(folder.join(name)).map_err(about)?;
        file.write_all(content).and_then(|()| file.sync_all()).map_err(about)?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(about)
    }

    /// Puts it in its place. rename(2) refuses a place that is not an empty folder, whatever happened since the start.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let about = |error: std::io::Error| format!("{}: {error}", self.place.display());
        fs::rename(&self.unfinished, &self.place).map_err(about)?;
        self.state = State::Finished;
        File::open(&self.parent).and_then(|parent| parent.sync_all()).map_err(about)
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if self.state == State::Unfinished {
            // There is nobody left to tell.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}
