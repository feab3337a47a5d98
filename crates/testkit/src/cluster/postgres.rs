//! A PostgreSQL of one's own: Debian's programs over a temporary folder, reached by a Unix socket only, gone with us.

use crate::process::poll;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long it may take to start, after a crash too, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its superuser.
const USER: &str = "sekisho";

/// Runs the server until a line comes, or until whoever holds the other end of standard input is gone, killed or not;
/// then nobody needs the folder any more. SIGQUIT: the server stops as in a crash, and recovers at its next start.
const LEASH: &str = r#"
folder=$1; shift
"$@" >>"$folder/log" 2>&1 &
server=$!
read -r keep || rm=yes
kill -QUIT "$server"
wait "$server"
[ -z "$rm" ] || rm -rf "$folder"
"#;

/// A database server, or one that was stopped; stopped for good and removed when dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    leash: Option<Child>,
}

impl Postgres {
    /// Makes an empty database and serves it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up: what it said.
    pub fn start(folder: PathBuf) -> Result<Self, Box<dyn Error>> {
        let programs = programs().ok_or("PostgreSQL is not installed: scripts/install-system-packages.sh")?;
        std::fs::create_dir(&folder)?;
        let mut made = Self { folder, programs, leash: None };
        give(&made.folder)?;
        made.initialise()?;
        made.start_again()?;
        Ok(made)
    }

    /// What the issuers' `[store] url` says.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@localhost/postgres?host={}", self.folder.display())
    }

    /// Stops it at once, as a crash would.
    pub fn stop(&mut self) {
        if let Some(mut leash) = self.leash.take() {
            // A leash that is gone has taken the server with it.
            let _ = leash.stdin.take().map(|mut input| input.write_all(b"keep\n"));
            let _ = leash.wait();
        }
    }

    /// Starts it after [`Self::stop`], and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up: what it said.
    pub fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
        self.stop();
        let mut leash = Command::new("sh");
        leash.args(["-c", LEASH, "sh"]).arg(&self.folder).args(self.server_program("postgres"));
        leash.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        for setting in ["listen_addresses=", "shared_buffers=64MB", "logging_collector=off"] {
            leash.args(["-c", setting]);
        }
        // A group of its own: Ctrl-C at the terminal is for us, who end it afterwards.
        let leash = leash.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.leash = Some(leash.current_dir("/").spawn()?);
        let answers = || {
            let ready = Command::new(self.programs.join("pg_isready")).arg("-q").arg("-h").arg(&self.folder).status();
            ready.is_ok_and(|status| status.success()).then_some(())
        };
        poll(PATIENCE, answers).ok_or_else(|| self.complaint("it does not answer"))
    }

    /// Data folder and superuser; the database `postgres` is there from the beginning.
    fn initialise(&self) -> Result<(), Box<dyn Error>> {
        let mut command = Command::new("env");
        command.args(self.server_program("initdb")).args(["--no-sync", "--auth=trust", "--encoding=UTF8"]);
        let output = command.args(["--locale=C.UTF-8", "-U", USER, "-D"]).arg(self.folder.join("data"));
        let output = output.current_dir("/").output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(self.complaint(&said)) }
    }

    /// The words that run a program of the server. It refuses to run as root: then it runs as its package's user.
    fn server_program(&self, name: &str) -> Vec<OsString> {
        let as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];
        let mut words: Vec<OsString> = if is_root() { as_user.map(OsString::from).into() } else { Vec::new() };
        words.push(self.programs.join(name).into());
        words
    }

    fn complaint(&self, what: &str) -> Box<dyn Error> {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        format!("PostgreSQL: {what}\n{log}").into()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where the server's programs are: not in the PATH on Debian. The newest version is taken.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = debian.into_iter().rev().chain(std::env::split_paths(&path));
    folders.find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// A folder that the server's user may use, and nobody else.
fn give(folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    if is_root() && !Command::new("chown").arg("postgres:postgres").arg(folder).status()?.success() {
        return Err("the user postgres of PostgreSQL's package is not there".into());
    }
    Ok(())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
