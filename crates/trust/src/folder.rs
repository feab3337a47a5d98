//! Folders whose contents decide who is let in after a restart: ours alone to write to.

use sekisho_runtime::process::secret_file;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

/// Write permission for others than the owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Makes a folder where it is not there, and refuses one that is not ours.
///
/// # Errors
/// As [`check`], or it cannot be made.
pub(super) fn make(folder: &Path) -> Result<(), String> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| error.to_string())?;
    check(folder)
}

/// Refuses a folder that others may write to: they could put their own files in the place of ours.
///
/// # Errors
/// In words: it is not there, no folder, or others may write to it.
pub(super) fn check(folder: &Path) -> Result<(), String> {
    let metadata = fs::metadata(folder).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("it is not a folder".to_owned());
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(format!("others may write to it (mode {:o}); chmod 700", metadata.mode() & 0o777));
    }
    secret_file::refuse_foreign(&metadata, folder).map_err(|error| error.to_string())
}
