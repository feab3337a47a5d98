//! Where the programs are that the demo and the tests start.

use std::io;
use std::path::PathBuf;

/// The gateway's program, `sekisho`.
///
/// # Errors
/// It is not beside the program that runs.
pub fn gateway() -> io::Result<PathBuf> {
    beside("sekisho")
}

/// The issuance service's program, `sekisho-issuer`.
///
/// # Errors
/// As [`gateway`].
pub fn issuer() -> io::Result<PathBuf> {
    beside("sekisho-issuer")
}

/// The demo's program, `sekisho-demo`.
///
/// # Errors
/// As [`gateway`].
pub fn demo() -> io::Result<PathBuf> {
    beside("sekisho-demo")
}

/// A folder for what tests install once for all of them, below the build's folder.
///
/// # Errors
/// The running program is in no build's folder.
pub fn shared_folder() -> io::Result<PathBuf> {
    let running = std::env::current_exe()?;
    // Cargo marks the build's folder by that file.
    let build = running.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let folder = build.ok_or_else(|| io::Error::other("not below a build's folder"))?.join("tmp");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A program of the build that the running one is part of. Cargo puts programs in one folder and tests one below it.
fn beside(name: &str) -> io::Result<PathBuf> {
    let running = std::env::current_exe()?;
    let found = running.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let cure = "build the programs first: cargo build --workspace --bins";
        io::Error::new(io::ErrorKind::NotFound, format!("no {name} beside {}; {cure}", running.display()))
    })
}
