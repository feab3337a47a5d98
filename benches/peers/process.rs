//! Servers as processes: pinned to a core, asked for their CPU time and memory, gone when dropped.

use crate::measure::server::memory;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to serve: nginx and HAProxy need five seconds for a list of a million.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// The servers'.
    Servers,
    /// The client's and the upstream's.
    Clients,
}

/// A running server.
pub struct Server {
    process: Child,
    /// Where it serves.
    pub address: SocketAddr,
    /// Its own folder.
    pub folder: PathBuf,
    /// From its start to the first connection that `served` found good.
    pub start: Duration,
}

/// What the scheduler has given each thread.
pub struct Account {
    threads: BTreeMap<u32, Spent>,
}

/// Time on a CPU, and time in which it could have run and had to wait for one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub running: Duration,
    pub waiting: Duration,
}

impl Core {
    fn number(self) -> &'static str {
        match self {
            Self::Servers => "0",
            Self::Clients => "1",
        }
    }

    /// A command of a program on that core, ended when the bench is killed. setpriv and taskset replace themselves by it.
    pub fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "taskset", "-c", self.number()]).arg(program);
        command
    }
}

impl Server {
    /// Starts it, its output into a file of its folder, and waits until `served` says that it serves at `address`.
    pub fn start(
        mut command: Command,
        folder: &Path,
        address: SocketAddr,
        served: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let output = folder.join("output");
        let file = File::create(&output).unwrap();
        command.stdin(Stdio::null()).stderr(file.try_clone().unwrap()).stdout(file);
        let began = Instant::now();
        let mut process = command.spawn().unwrap();
        // No pause in between: this core has nothing else to do, and a pause would be added to what is measured.
        while !served(address) {
            let said = || std::fs::read_to_string(&output).unwrap_or_default();
            assert!(process.try_wait().unwrap().is_none(), "the server has ended: {}", said());
            assert!(began.elapsed() < PATIENCE, "the server does not serve: {}", said());
        }
        Self { process, address, folder: folder.to_owned(), start: began.elapsed() }
    }

    /// The process that was started: of nginx the master.
    pub fn master(&self) -> u32 {
        self.process.id()
    }

    /// Of all threads that serve now.
    pub fn account(&self) -> Account {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.serving())).unwrap();
        let threads = tasks.filter_map(|task| {
            let task = task.ok()?;
            // Nanoseconds on a CPU and on a run queue (Linux, Documentation/scheduler/sched-stats.rst).
            let account = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            let mut words = account.split_whitespace().map(|word| word.parse().map(Duration::from_nanos));
            let spent = Spent { running: words.next()?.ok()?, waiting: words.next()?.ok()? };
            Some((task.file_name().to_str()?.parse().ok()?, spent))
        });
        Account { threads: threads.collect() }
    }

    /// Resident memory in MB, and the most that it ever was.
    pub fn memory(&self) -> (f64, f64) {
        (memory(self.serving(), "VmRSS"), memory(self.serving(), "VmHWM"))
    }

    /// Sends SIGHUP.
    pub fn reload(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.master().to_string()]).status().unwrap().success());
    }

    /// The process that serves: nginx's worker, of others the process itself.
    fn serving(&self) -> u32 {
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().next().map_or(id, |child| child.parse().unwrap())
    }
}

impl Account {
    /// What was spent since an earlier account.
    pub fn since(&self, earlier: &Self) -> Spent {
        let ended = earlier.threads.keys().filter(|thread| !self.threads.contains_key(thread)).count();
        if ended > 0 {
            eprintln!("{ended} threads ended while it was measured: what they did since the last look is not counted");
        }
        let mut spent = Spent::default();
        for (thread, now) in &self.threads {
            let before = earlier.threads.get(thread).copied().unwrap_or_default();
            spent.running += now.running.saturating_sub(before.running);
            spent.waiting += now.waiting.saturating_sub(before.waiting);
        }
        spent
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that nginx's master stops its worker.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// Puts this process, the client, on its core. To be called before there are threads.
pub fn pin_this_process() {
    let id = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-cp", Core::Clients.number(), &id]).stdout(Stdio::null()).status();
    assert!(pinned.unwrap().success(), "two cores are needed");
}

/// An address of this machine that is free now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
