//! Programs from the Python package index, each in a virtual environment of its own below the target folder.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// The folder with a package's programs and its `python3`; installed once, whichever test comes first. `None` when the
/// package index cannot be reached: the test says that it was skipped.
///
/// `requirement` is `name==version`, `module` what it is imported as.
pub fn programs(requirement: &str, module: &str) -> Option<PathBuf> {
    let folders = crate::binaries::shared_folder().unwrap();
    let folder = folders.join(module);
    let programs = folder.join("bin");
    let installed = folder.join("installed");
    // Tests are processes of their own, at the same time.
    let lock = File::create(folders.join(format!("{module}.lock"))).unwrap();
    lock.lock().unwrap();
    if !std::fs::read_to_string(&installed).is_ok_and(|found| found == requirement) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).output().unwrap();
        assert!(made.status.success(), "python3 -m venv: {}", String::from_utf8_lossy(&made.stderr));
        let pip = Command::new(programs.join("pip")).args(["install", "--quiet", requirement]).output().unwrap();
        if !pip.status.success() {
            let message = String::from_utf8_lossy(&pip.stderr) + String::from_utf8_lossy(&pip.stdout);
            let unreachable = message.contains("NewConnectionError") || message.contains("Could not find a version");
            assert!(unreachable, "pip: {message}");
            eprintln!("SKIPPED: {requirement} is not installed and the package index cannot be reached");
            return None;
        }
        std::fs::write(&installed, requirement).unwrap();
    }
    Some(programs)
}
