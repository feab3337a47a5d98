//! A real PostgreSQL for tests: its own cluster in a temporary folder, on a Unix socket only, gone with the process.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long it may take to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its superuser.
const USER: &str = "sekisho";

/// The cluster of this process: under nextest of one test, otherwise of all tests of a binary.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// A new, empty database: its URL.
pub fn new_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    sql("postgres", &format!("CREATE DATABASE {name}"));
    CLUSTER.url(&name)
}

/// Runs SQL in a database by psql: what it printed, a line a row.
#[track_caller]
pub fn sql(database: &str, statements: &str) -> String {
    CLUSTER.psql(database, statements)
}

/// `pg_dump` of a database into a file.
#[track_caller]
pub fn dump(database: &str, file: &Path) {
    CLUSTER.program("pg_dump", &["-Fc", "-d", database, "-f"], file);
}

/// Drops a database and makes it again from a dump.
#[track_caller]
pub fn restore(database: &str, file: &Path) {
    sql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
    sql("postgres", &format!("CREATE DATABASE {database}"));
    CLUSTER.program("pg_restore", &["--exit-on-error", "-d", database], file);
}

/// The database's name in a URL of [`new_database`].
pub fn name(url: &str) -> &str {
    let before_query = url.split('?').next().unwrap();
    before_query.rsplit('/').next().unwrap()
}

struct Cluster {
    /// Its standard input is the leash: the server ends when it is closed, also when this process is killed.
    _leash: Child,
    folder: PathBuf,
    programs: PathBuf,
}

/// Starts the server, waits for the end of its standard input, stops it and cleans up.
const LEASH: &str = r#"
folder=$1; shift
"$@" >"$folder/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT "$server"
wait "$server"
rm -rf "$folder"
"#;

impl Cluster {
    fn start() -> Self {
        let programs = programs();
        let template = template(&programs);
        let folder = tempfile::tempdir().unwrap().keep();
        copy(&template, &folder.join("data"));
        give(&folder);
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "sh"]).arg(&folder).args(as_server_user()).arg(programs.join("postgres"));
        command.arg("-D").arg(folder.join("data")).arg("-k").arg(&folder);
        for setting in ["listen_addresses=", "shared_buffers=64MB", "max_connections=100", "logging_collector=off"] {
            command.args(["-c", setting]);
        }
        // Output of another would keep the test runner waiting.
        // A group of its own: a test runner that kills the test's group leaves the leash to clean up.
        let command = command.process_group(0);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let cluster = Self { _leash: child, folder, programs };
        let answers = || {
            let mut command = Command::new(cluster.programs.join("pg_isready"));
            let status = command.arg("-q").arg("-h").arg(&cluster.folder).status();
            status.is_ok_and(|status| status.success()).then_some(())
        };
        if crate::process::poll(PATIENCE, answers).is_none() {
            panic!("PostgreSQL: {}", std::fs::read_to_string(cluster.folder.join("log")).unwrap_or_default());
        }
        cluster
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host={}", self.folder.display())
    }

    #[track_caller]
    fn program(&self, name: &str, arguments: &[&str], file: &Path) {
        let mut command = Command::new(self.programs.join(name));
        let output = command.args(["-U", USER, "-h"]).arg(&self.folder).args(arguments).arg(file).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[track_caller]
    fn psql(&self, database: &str, statements: &str) -> String {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database, "-h"]).arg(&self.folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

/// Where the server's programs are: not in the PATH on Debian.
fn programs() -> PathBuf {
    let in_path: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    let mut folders = debian.into_iter().rev().chain(in_path);
    let found = folders.find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists());
    found.expect("PostgreSQL is not installed: scripts/install-system-packages.sh")
}

/// An initialised cluster to copy: initdb takes a second, a copy a tenth of it. Made once, by whoever comes first.
fn template(programs: &Path) -> PathBuf {
    let tmp = PathBuf::from(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("/tmp"));
    let version = Command::new(programs.join("postgres")).arg("--version").output().unwrap().stdout;
    let version: String = String::from_utf8(version).unwrap().chars().filter(char::is_ascii_alphanumeric).collect();
    let template = tmp.join(format!("{version}-template-ja"));
    let lock = std::fs::File::create(tmp.join(format!("{version}.lock"))).unwrap();
    lock.lock().unwrap();
    if !template.exists() {
        let folder = tempfile::tempdir().unwrap();
        give(folder.path());
        let made = folder.path().join("data");
        let [first, rest @ ..] = &[as_server_user(), vec![programs.join("initdb").display().to_string()]].concat()[..]
        else {
            unreachable!()
        };
        let mut command = Command::new(first);
        // Texts in the order of a language, as in a bank's database: nothing may depend on another.
        command.args(rest).args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=ja-JP"]);
        command.args(["--no-sync", "--auth=trust", "-U", USER, "--encoding=UTF8", "-D"]);
        let output = command.arg(&made).current_dir("/").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let part = tmp.join(format!("{version}.part"));
        let _ = std::fs::remove_dir_all(&part);
        copy(&made, &part);
        std::fs::rename(&part, &template).unwrap();
    }
    template
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// PostgreSQL does not run as root: then it runs as the user its package made.
fn as_server_user() -> Vec<String> {
    let words: &[&str] =
        if is_root() { &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] } else { &[] };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn give(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    if is_root() {
        assert!(Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder).status().unwrap().success());
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
