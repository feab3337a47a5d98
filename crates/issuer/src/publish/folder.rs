//! Lists in files: whoever reads one sees a whole list, the old or the new.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Everybody may read them; they are public.
const MODE: u32 = 0o644;

/// Puts a file in the place of what was there. When it returns, that is on the disk too. The folder is this process's
/// alone: the hidden file that it writes first has always the same name, so that a crash leaves one at most.
///
/// # Errors
/// When it cannot be written; what was there stays.
pub(super) fn put(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}.new"));
    let written = write(&unfinished, content).and_then(|()| fs::rename(&unfinished, folder.join(name)));
    if let Err(error) = written {
        // On a full disk the half of a list would only take room.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    // The name is in the folder's own octets.
    File::open(folder)?.sync_all()
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path)?;
    // Whatever the umask is, and whatever a file of before had.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(content)?;
    file.sync_all()
}
