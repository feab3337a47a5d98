//! Files with secrets in them: keys, tokens, passwords. One check for all of them.

use rustix::process::geteuid;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Permissions that a file of our own may not give: any to group and others.
const OF_OTHERS: u32 = 0o077;
/// Permissions that a file of root's may not give when we are not root: root may let our group read it, as systemd and
/// Kubernetes do.
const BEYOND_GROUP_READ: u32 = 0o037;

/// Why a file cannot be relied on to be secret.
#[derive(Debug)]
pub enum SecretFileError {
    /// It cannot be opened or read.
    Unreadable(io::Error),
    /// A folder, a pipe, a device.
    NotAFile,
    /// Others than its owner may read or change it.
    TooOpen {
        /// Its permissions.
        mode: u32,
        /// Where it is.
        path: PathBuf,
    },
    /// It belongs to another user, who may change it.
    Foreign {
        /// The user.
        owner: u32,
        /// Who we are.
        ours: u32,
        /// Where it is.
        path: PathBuf,
    },
    /// It is longer than any such secret.
    TooLong {
        /// The most bytes.
        limit: u64,
    },
    /// It has no entropy.
    AllAlike,
}

/// Reads a file that only we, or root, may read and change.
///
/// # Errors
/// [`SecretFileError`].
pub fn read(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    // Looked at before it is opened, since to open a pipe waits for its writer, and again once it is open, since it may
    // have been exchanged in between.
    is_regular(&std::fs::metadata(path).map_err(SecretFileError::Unreadable)?)?;
    let file = File::open(path).map_err(SecretFileError::Unreadable)?;
    check(&file.metadata().map_err(SecretFileError::Unreadable)?, geteuid().as_raw(), path)?;
    // As much at once as there will be: what grows leaves copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or_default().saturating_add(1)));
    file.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(SecretFileError::Unreadable)?;
    if content.len() as u64 > limit { Err(SecretFileError::TooLong { limit }) } else { Ok(content) }
}

/// Refuses a secret whose bytes are all alike: a file made of zeros, or of one letter.
///
/// # Errors
/// [`SecretFileError::AllAlike`].
pub fn refuse_without_entropy(secret: &[u8]) -> Result<(), SecretFileError> {
    let first = secret.first();
    if secret.iter().all(|byte| Some(byte) == first) { Err(SecretFileError::AllAlike) } else { Ok(()) }
}

/// Refuses a folder or file that does not belong to us.
///
/// # Errors
/// [`SecretFileError::Foreign`].
pub fn refuse_foreign(metadata: &Metadata, path: &Path) -> Result<(), SecretFileError> {
    let (owner, ours) = (metadata.uid(), geteuid().as_raw());
    if owner == ours { Ok(()) } else { Err(SecretFileError::Foreign { owner, ours, path: path.to_owned() }) }
}

fn is_regular(metadata: &Metadata) -> Result<(), SecretFileError> {
    if metadata.is_file() { Ok(()) } else { Err(SecretFileError::NotAFile) }
}

fn check(metadata: &Metadata, ours: u32, path: &Path) -> Result<(), SecretFileError> {
    is_regular(metadata)?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let forbidden = match owner {
        _ if owner == ours => OF_OTHERS,
        0 => BEYOND_GROUP_READ,
        _ => return Err(SecretFileError::Foreign { owner, ours, path: path.to_owned() }),
    };
    if mode & forbidden == 0 { Ok(()) } else { Err(SecretFileError::TooOpen { mode, path: path.to_owned() }) }
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::NotAFile => f.write_str("is not a regular file"),
            Self::TooOpen { mode, path } => {
                let path = path.display();
                write!(f, "its mode is {mode:04o}: others can read it; make it 0600: chmod 600 {path}")
            }
            Self::Foreign { owner, ours, path } => {
                let path = path.display();
                write!(f, "it belongs to user {owner}, and this process runs as user {ours}: chown {ours} {path}")
            }
            Self::TooLong { limit } => write!(f, "it is longer than {limit} bytes, which no such secret is"),
            Self::AllAlike => {
                f.write_str("all its bytes are alike, so that anybody could guess it; make one: openssl rand")
            }
        }
    }
}

impl std::error::Error for SecretFileError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn what_others_may_read_or_change_is_refused_with_the_cure() {
        for mode in [0o600, 0o400, 0o700] {
            let (_folder, path) = file(mode);
            assert_eq!(&**read(&path, 6).unwrap(), b"secret");
        }
        for mode in [0o640, 0o620, 0o604, 0o602, 0o644, 0o666] {
            let (_folder, path) = file(mode);
            let told = read(&path, 6).unwrap_err().to_string();
            assert!(told.contains(&format!("{mode:04o}")), "{told}");
            assert!(told.ends_with(&format!("chmod 600 {}", path.display())), "{told}");
        }
    }

    #[test]
    fn who_owns_it_decides_what_it_may_allow() {
        let refused = |mode: u32, ours_is_owner: bool| {
            let (_folder, path) = file(mode);
            let metadata = std::fs::metadata(&path).unwrap();
            let ours = if ours_is_owner { metadata.uid() } else { metadata.uid() + 1 };
            check(&metadata, ours, &path).err()
        };
        assert!(refused(0o600, true).is_none());
        // The tests may run as root, whose files our group may read.
        match refused(0o640, false) {
            None => assert!(matches!(refused(0o660, false), Some(SecretFileError::TooOpen { .. }))),
            Some(refused) => assert!(matches!(refused, SecretFileError::Foreign { .. }), "{refused}"),
        }
        assert!(refused(0o604, false).is_some());
    }

    #[test]
    fn what_is_no_file_or_longer_than_a_secret_is_refused() {
        let (folder, path) = file(0o600);
        assert!(matches!(read(&path, 5).unwrap_err(), SecretFileError::TooLong { limit: 5 }));
        assert!(matches!(read(folder.path(), 5).unwrap_err(), SecretFileError::NotAFile));
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
        assert!(matches!(read(&pipe, 5).unwrap_err(), SecretFileError::NotAFile));
        assert!(matches!(read(&folder.path().join("none"), 5).unwrap_err(), SecretFileError::Unreadable(_)));
    }

    #[test]
    fn bytes_that_are_all_alike_are_no_secret() {
        assert!(refuse_without_entropy(&[0; 32]).is_err() && refuse_without_entropy(b"").is_err());
        assert!(refuse_without_entropy(b"aaaaaaab").is_ok());
    }
}
