//! Gateway and issuer as child processes: started from this same binary, ready when they say so, gone when dropped.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines of output kept: a test's whole run; a demo of days keeps its last ones.
const KEPT_LINES: usize = 100_000;

/// Between two looks at something that cannot tell us by itself.
const POLL: Duration = Duration::from_millis(10);

/// Where the child's output goes beside our memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nowhere.
    Keep,
    /// To a file's end.
    File(PathBuf),
}

/// Signals a server understands, and one that it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: reload.
    Reload,
    /// SIGTERM: drain and end.
    Terminate,
    /// Another one, by its name without SIG, or its number.
    Other(&'static str),
    /// SIGKILL: no more time for anything.
    Kill,
}

/// A running server that tells its addresses as JSON log lines with message `listening` and fields `kind` and
/// `address`.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    lines: Arc<Lines>,
    addresses: Vec<(String, SocketAddr)>,
}

/// A running gateway process.
#[derive(Debug)]
pub struct GatewayProcess(ServerProcess);

/// The server did not come up: why, with everything it said.
#[derive(Debug)]
pub struct StartError {
    /// Its exit status, if it ended.
    pub status: Option<ExitStatus>,
    /// Its output.
    pub output: String,
}

/// Lines a child wrote on either stream.
#[derive(Debug, Default)]
struct Lines {
    written: Mutex<Written>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    open_streams: usize,
}

impl ServerProcess {
    /// Starts the command and waits until it listens on an address of each kind, `admin` among them, and `/readyz`
    /// there answers 200.
    ///
    /// # Errors
    /// [`StartError`] when it ends, or is not ready within `patience`.
    pub fn start(
        command: &mut Command,
        kinds: &[&str],
        output: Output,
        patience: Duration,
    ) -> Result<Self, StartError> {
        let started = Self::listening(command, kinds, output, patience)?;
        let deadline = Instant::now() + patience;
        while http_status(started.address("admin"), "/readyz") != Some(200) {
            if Instant::now() > deadline {
                return Err(StartError { status: None, output: started.output() + "\n/readyz never answered 200" });
            }
            pause();
        }
        Ok(started)
    }

    /// As [`Self::start`], but content with a server that listens and is not ready.
    ///
    /// # Errors
    /// [`StartError`] when it ends, or does not listen within `patience`.
    pub fn listening(
        command: &mut Command,
        kinds: &[&str],
        output: Output,
        patience: Duration,
    ) -> Result<Self, StartError> {
        let failed = |error: std::io::Error| StartError { status: None, output: error.to_string() };
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().map_err(failed)?;
        let lines = Arc::new(Lines::default());
        Lines::follow(&lines, child.stdout.take(), &output).map_err(failed)?;
        Lines::follow(&lines, child.stderr.take(), &output).map_err(failed)?;
        let mut started = Self { child, lines, addresses: Vec::new() };
        let listens = |kind: &&str| {
            let address_of_kind = |line: &str| listening_address(line).filter(|(known, _)| known == kind);
            started.lines.wait_for(patience, address_of_kind).is_some()
        };
        if !kinds.iter().all(listens) {
            // One that closed its streams is about to end, which takes as long as the machine lets it.
            let closed = started.lines.lock().open_streams == 0;
            let status = started.wait_for_end(if closed { patience } else { Duration::ZERO });
            return Err(StartError { status, output: started.output() });
        }
        started.addresses = started.lines.lock().lines.iter().filter_map(|line| listening_address(line)).collect();
        Ok(started)
    }

    /// The first address of a kind that it was waited for.
    pub fn address(&self, kind: &str) -> SocketAddr {
        let found = self.addresses.iter().find(|(known, _)| known == kind);
        found.map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |(_, address)| *address)
    }

    /// Everything it wrote, both streams.
    pub fn output(&self) -> String {
        self.lines.lock().lines.join("\n")
    }

    /// The last lines it wrote.
    pub fn last_lines(&self, count: usize) -> String {
        let written = self.lines.lock();
        let first = written.lines.len().saturating_sub(count);
        written.lines.iter().skip(first).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Waits for a line, among those already written too, of which `find` makes something.
    pub fn wait_for_line<T>(&self, patience: Duration, find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        self.lines.wait_for(patience, find)
    }

    /// Sends a signal, by `kill`.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Reload => "HUP",
            Signal::Terminate => "TERM",
            Signal::Other(name) => name,
            Signal::Kill => "KILL",
        };
        // The shell's own `kill`: a machine without procps has it too.
        let _ = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, and until what it wrote last has been read: what a program says as it ends is the reason of its
    /// end, and must not be missing from [`Self::output`] because a busy machine reads it later.
    pub fn wait_for_end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        let status = poll(patience, || self.child.try_wait().ok().flatten())?;
        self.lines.wait_for_all(deadline);
        Some(status)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl GatewayProcess {
    /// Starts `BINARY gateway --config CONFIG` and waits until it listens and `/readyz` answers 200.
    ///
    /// # Errors
    /// [`StartError`] when it ends, or is not ready within `patience`.
    pub fn start(binary: &Path, config: &Path, output: Output, patience: Duration) -> Result<Self, StartError> {
        ServerProcess::start(&mut Self::command(binary, config), &["admin", "tls"], output, patience).map(Self)
    }

    /// As [`Self::start`], but content with a gateway that listens and is not ready.
    ///
    /// # Errors
    /// [`StartError`] when it ends, or does not listen within `patience`.
    pub fn listening(binary: &Path, config: &Path, output: Output, patience: Duration) -> Result<Self, StartError> {
        ServerProcess::listening(&mut Self::command(binary, config), &["admin", "tls"], output, patience).map(Self)
    }

    fn command(binary: &Path, config: &Path) -> Command {
        let mut command = Command::new(binary);
        command.args(["gateway", "--config"]).arg(config);
        command
    }

    /// The first TLS address.
    pub fn tls(&self) -> SocketAddr {
        self.0.address("tls")
    }

    /// The admin address.
    pub fn admin(&self) -> SocketAddr {
        self.0.address("admin")
    }
}

impl Deref for GatewayProcess {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.0
    }
}

impl DerefMut for GatewayProcess {
    fn deref_mut(&mut self) -> &mut ServerProcess {
        &mut self.0
    }
}

/// Looks until there is something, at most for `patience`.
pub fn poll<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        pause();
    }
}

/// The status of a GET over plain HTTP/1.1, or `None` when there was no answer.
pub fn http_status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut status_line = String::new();
    BufReader::new(stream).take(1024).read_line(&mut status_line).ok()?;
    status_line.split(' ').nth(1)?.parse().ok()
}

#[allow(clippy::disallowed_methods, reason = "the one place that polls, a step at a time under a deadline")]
fn pause() {
    thread::sleep(POLL);
}

/// Kind and address of a `listening` line; fields flattened or below `fields`.
fn listening_address(line: &str) -> Option<(String, SocketAddr)> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| record.get(name).or_else(|| record.get("fields")?.get(name))?.as_str();
    if field("message") != Some("listening") {
        return None;
    }
    Some((field("kind")?.to_owned(), field("address")?.parse().ok()?))
}

impl Lines {
    fn follow(lines: &Arc<Self>, stream: Option<impl Read + Send + 'static>, output: &Output) -> std::io::Result<()> {
        let Some(stream) = stream else { return Ok(()) };
        let mut file = match output {
            Output::Keep => None,
            Output::File(path) => Some(std::fs::OpenOptions::new().create(true).append(true).open(path)?),
        };
        lines.lock().open_streams += 1;
        let lines = Arc::clone(lines);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(file) = &mut file {
                    // In one piece: both streams are written to one file. A full disk loses what memory still keeps.
                    let _ = file.write_all(format!("{line}\n").as_bytes());
                }
                let mut written = lines.lock();
                if written.lines.len() == KEPT_LINES {
                    written.lines.drain(..KEPT_LINES / 2);
                }
                written.lines.push(line);
                lines.grown.notify_all();
            }
            lines.lock().open_streams -= 1;
            lines.grown.notify_all();
        });
        Ok(())
    }

    /// Looks at every line, and at each new one, until `find` makes something of one; `None` at the end of the
    /// streams or of patience.
    fn wait_for<T>(&self, patience: Duration, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut written = self.lock();
        loop {
            if let Some(found) = written.lines.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || written.open_streams == 0 {
                return None;
            }
            written = self.grown.wait_timeout(written, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until both streams are closed and read.
    fn wait_for_all(&self, deadline: Instant) {
        let mut written = self.lock();
        while written.open_streams > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            written = self.grown.wait_timeout(written, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "it ended ({status}):\n{}", self.output),
            None => write!(f, "it did not come up:\n{}", self.output),
        }
    }
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_line_is_read_in_both_shapes_of_log_and_no_other_line() {
        let address = Some(("tls".to_owned(), SocketAddr::from(([127, 0, 0, 1], 8443))));
        let flat = r#"{"level":"INFO","message":"listening","kind":"tls","address":"127.0.0.1:8443"}"#;
        let nested = r#"{"fields":{"message":"listening","kind":"tls","address":"127.0.0.1:8443"}}"#;
        assert_eq!(listening_address(flat), address);
        assert_eq!(listening_address(nested), address);
        assert_eq!(listening_address(&flat.replace("listening", "resting")), None);
        assert_eq!(listening_address("listening 127.0.0.1:8443"), None);
    }

    #[test]
    fn a_process_that_ends_at_once_is_an_error_with_its_status_and_words() {
        // `sh gateway --config F` cannot open a script of the name "gateway".
        let error = GatewayProcess::start(Path::new("sh"), Path::new("F"), Output::Keep, Duration::from_secs(20));
        let error = error.unwrap_err();
        assert!(error.output.contains("gateway"), "{error}");
    }
    /// The last word comes from another process that has the stream, as late as a busy machine would read it.
    #[test]
    fn who_has_waited_for_the_end_has_read_the_last_word() {
        let patience = Duration::from_secs(30);
        let address = r#"{"message":"listening","kind":"admin","address":"127.0.0.1:1"}"#;
        let script = format!("echo '{address}'; (sleep 0.2; echo last) & exit 3");
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let mut server = ServerProcess::listening(&mut command, &["admin"], Output::Keep, patience).unwrap();
        assert_eq!(server.wait_for_end(patience).and_then(|status| status.code()), Some(3));
        assert!(server.output().ends_with("last"), "{}", server.output());
    }
}
