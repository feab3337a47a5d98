//! Tools from the Python package index, each in an environment of its own below the target folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the programs of a package are; installed once. `None` when the package index cannot be reached.
pub fn environment(name: &str, requirement: &str, program: &str) -> Option<PathBuf> {
    // The requirement is in the folder's name: another version gets another environment.
    let version = requirement.rsplit('=').next().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{version}"));
    let programs = folder.join("bin");
    if !programs.join(program).exists() {
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        assert!(made.status.success(), "{}", text(&made));
        let installed = run(Command::new(programs.join("pip")).args(["install", "--quiet", requirement]));
        if !installed.status.success() {
            let message = text(&installed);
            let unreachable = message.contains("NewConnectionError") || message.contains("Could not find a version");
            assert!(unreachable, "pip: {message}");
            return None;
        }
    }
    Some(programs)
}

fn run(command: &mut Command) -> Output {
    command.stdin(std::process::Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
