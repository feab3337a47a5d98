//! Revocations that no CRL has any more, in the state folder: what was refused stays refused after a restart.

use crate::gateway::Gateway;
use crate::gateway::snapshot::site::Snapshot;
use sekisho_config::{Config, ConfigError};
use sekisho_trust::withdrawn::{path, read, write};
use sekisho_trust::{Withdrawn, WithdrawnBook};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What the disk has.
#[derive(Debug, Default)]
pub(in crate::gateway) struct KeptWithdrawn(Mutex<WithdrawnBook>);

/// What the state folder has. It counts for CAs whose lists the snapshot before does not have: all, at a start, and one
/// that comes back with a key or a source of before.
///
/// # Errors
/// At `gateway.state_folder`: the file cannot be relied on, and who was revoked is not known.
pub(in crate::gateway) fn remembered(config: &Config) -> Result<WithdrawnBook, ConfigError> {
    let Some(folder) = &config.gateway.state_folder else { return Ok(WithdrawnBook::new()) };
    read(&folder.value).map_err(|why| ConfigError {
        place: folder.place.clone(),
        message: format!("{}: {why}", path(&folder.value).display()),
    })
}

/// Writes what has changed, and has the CRLs kept that are in force. What cannot be written is in force all the same, and
/// is tried again at the next load; until then the CRLs of before stay on the disk, which have it.
pub(in crate::gateway) fn keep(gateway: &Gateway) {
    let snapshot = gateway.snapshot();
    let Some(folder) = &snapshot.config.gateway.state_folder else { return };
    if write_changes(gateway, &snapshot, &folder.value) {
        gateway.last_in_force.keep(snapshot);
    } else {
        gateway.last_in_force.put_off(&snapshot.trust);
    }
}

/// Returns `true` when everything is on the disk.
fn write_changes(gateway: &Gateway, snapshot: &Snapshot, folder: &Path) -> bool {
    let now = snapshot.trust.withdrawn();
    let mut on_disk = gateway.withdrawn.0.lock().unwrap_or_else(PoisonError::into_inner);
    let nothing = Withdrawn::default();
    if now.iter().all(|(key, withdrawn)| withdrawn.is_same(on_disk.get(key).unwrap_or(&nothing))) {
        return true;
    }
    // Those of CAs that a reload took out stay, for when they come back; and what a CRL has again, until a load that finds
    // that CRL kept: a start leaves out by itself what a CRL has.
    let is_kept = gateway.last_in_force.has(&snapshot.trust);
    let kept = read(folder).map(|mut book| {
        for (key, withdrawn) in now {
            let before = book.remove(&key).filter(|_| !is_kept).unwrap_or_default();
            book.insert(key, withdrawn.and(&before));
        }
        book
    });
    let written = kept.and_then(|book| write(folder, &book).map(|()| book).map_err(|error| error.to_string()));
    match written {
        Ok(book) => {
            *on_disk = book;
            true
        }
        Err(error) => {
            tracing::error!(
                error,
                file = %path(folder).display(),
                "cannot write revocations that are missing from the new CRLs; they are in force, and until they are written \
                 the previous CRLs stay in the state folder"
            );
            false
        }
    }
}
