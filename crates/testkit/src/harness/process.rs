//! A gateway process under test.

use super::{PATIENCE, TestApp, TestPki, wait_until};
use crate::binaries;
use crate::configuration::{self, Addresses, IssuerPart};
use crate::process::{GatewayProcess, Output, Signal, StartError};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    process: GatewayProcess,
    config: PathBuf,
}

/// The usual arrangement: a PKI, an upstream, and a gateway with the demo's two sites before it.
#[derive(Debug)]
pub struct Setup {
    // The gateway goes first when this is dropped.
    pub gateway: Gateway,
    pub app: TestApp,
    pub pki: TestPki,
}

impl Setup {
    /// Starts it.
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// Starts it with a configuration that `change` makes of the demo's.
    pub fn with(change: impl FnOnce(String) -> String) -> Self {
        let (pki, app) = (TestPki::new(), TestApp::new());
        let gateway = Gateway::start(&pki, &change(Self::configuration(&app)));
        Self { gateway, app, pki }
    }

    /// The demo's configuration before `app`, on free ports, records on standard output.
    pub fn configuration(app: &TestApp) -> String {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let addresses = Addresses { listen: any, admin: any, upstream: app.address().unwrap() };
        let rendered = configuration::render(&addresses, &IssuerPart::default());
        let changed = rendered.replace("access_log = { file = \"access.log\" }", "access_log = \"stdout\"");
        assert_ne!(rendered, changed, "the demo's configuration has another access_log");
        changed
    }
}

impl Gateway {
    /// Starts the built binary with that configuration, written into the PKI's folder, and waits until it is ready.
    #[track_caller]
    pub fn start(pki: &TestPki, config: &str) -> Self {
        let path = write(pki, config);
        let process = GatewayProcess::start(binary(), &path, Output::Keep, PATIENCE);
        Self { process: process.unwrap_or_else(|error| panic!("{error}")), config: path }
    }

    /// Starts it and waits until it listens, ready or not.
    #[track_caller]
    pub fn listening(pki: &TestPki, config: &str) -> Self {
        let path = write(pki, config);
        let process = GatewayProcess::listening(binary(), &path, Output::Keep, PATIENCE);
        Self { process: process.unwrap_or_else(|error| panic!("{error}")), config: path }
    }

    /// As [`Self::start`], with environment variables whose values are paths in the PKI's folder.
    #[track_caller]
    pub fn start_with(pki: &TestPki, config: &str, environment: &[(&str, &str)]) -> Self {
        let values = environment.iter().map(|(name, file)| (*name, pki.path(file).display().to_string()));
        Self::start_in(pki, config, &values.collect::<Vec<_>>())
    }

    /// As [`Self::start`], with environment variables.
    #[track_caller]
    pub fn start_in(pki: &TestPki, config: &str, environment: &[(&str, String)]) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let path = write(pki, config);
        let exports: String = environment.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
        let script = pki.path("gateway.sh");
        std::fs::write(&script, format!("#!/bin/sh\n{exports}exec '{}' \"$@\"\n", binary().display())).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let process = GatewayProcess::start(&script, &path, Output::Keep, PATIENCE);
        Self { process: process.unwrap_or_else(|error| panic!("{error}")), config: path }
    }

    /// As [`Self::start`], from a shell that has run these lines.
    #[track_caller]
    pub fn start_with_shell(pki: &TestPki, config: &str, lines: &str) -> Self {
        let path = write(pki, config);
        let script = pki.path("gateway.sh");
        std::fs::write(&script, format!("#!/bin/sh\n{lines}\nexec '{}' \"$@\"\n", binary().display())).unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let process = GatewayProcess::start(&script, &path, Output::Keep, PATIENCE);
        Self { process: process.unwrap_or_else(|error| panic!("{error}")), config: path }
    }

    /// Starts it and waits until it listens, ready or not, or until it ends: then its exit status and what it said.
    #[track_caller]
    pub fn try_listening(pki: &TestPki, config: &str) -> Result<Self, (ExitStatus, String)> {
        let path = write(pki, config);
        match GatewayProcess::listening(binary(), &path, Output::Keep, PATIENCE) {
            Ok(process) => Ok(Self { process, config: path }),
            Err(StartError { status: Some(status), output }) => Err((status, output)),
            Err(StartError { status: None, output }) => panic!("neither up nor ended: {output}"),
        }
    }

    /// Starts one that should not come up: its exit status and everything it said.
    #[track_caller]
    pub fn refused(pki: &TestPki, config: &str) -> (ExitStatus, String) {
        match GatewayProcess::start(binary(), &write(pki, config), Output::Keep, PATIENCE) {
            Err(StartError { status: Some(status), output }) => (status, output),
            Err(StartError { status: None, output }) => panic!("neither up nor ended: {output}"),
            Ok(_) => panic!("it came up"),
        }
    }

    /// The TLS address.
    pub fn tls(&self) -> SocketAddr {
        self.process.tls()
    }

    /// The port of the TLS address.
    pub fn port(&self) -> u16 {
        self.tls().port()
    }

    /// `https://SITE:PORT/PATH`.
    pub fn url(&self, site: &str, path: &str) -> String {
        format!("https://{site}:{}{path}", self.port())
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// GET on the admin address: status and body.
    #[track_caller]
    pub fn admin_get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.process.admin());
        let output =
            Command::new("curl").args(["-sS", "--max-time", "10", "-w", "\n%{http_code}", &url]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// `http://ADMIN/PATH`.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.admin())
    }

    /// The value of a metric's line that begins with `name{labels}` as written; 0 when there is none yet.
    #[track_caller]
    pub fn metric(&self, name_and_labels: &str) -> f64 {
        let (_, text) = self.admin_get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits for a JSON record on either stream that `wanted` is true of.
    #[track_caller]
    pub fn record(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = self.process.wait_for_line(PATIENCE, |line| serde_json::from_str(line).ok().filter(&wanted));
        found.unwrap_or_else(|| panic!("no record of {what} in:\n{}", self.output()))
    }

    /// Every JSON record so far that `wanted` is true of.
    pub fn records(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.output().lines().filter_map(|line| serde_json::from_str(line).ok()).filter(&wanted).collect()
    }

    /// Everything it wrote.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The most memory it ever had resident (VmHWM), in octets.
    #[track_caller]
    pub fn memory_high_water(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Has it take up another configuration, and waits until that is in force. A reload that a change of files had asked
    /// for before may be published meanwhile: it is the signal's own that is waited for.
    #[track_caller]
    pub fn reload(&self, config: &str) {
        let of_signal = |record: &Value| record["message"] == "reloaded" && record["cause"] == "signal";
        let count = || self.records(of_signal).len();
        let before = count();
        self.write_config(config);
        self.signal(Signal::Reload);
        wait_until("the reload was published", || count() > before);
    }

    /// Writes another configuration over its file.
    pub fn write_config(&self, config: &str) {
        std::fs::write(&self.config, config).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        self.process.wait_for_end(PATIENCE).expect("it did not end")
    }
}

/// `sekisho verify` on a client of the PKI, by the running gateway's own configuration: the exit code and what was said.
pub fn verified(gateway: &Gateway, pki: &TestPki, site: &str, client: &str) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .args(["verify", "--site", site, "--config"])
        .arg(gateway.config())
        .arg("--chain")
        .arg(pki.path(&format!("{client}.pem")))
        .output()
        .unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// The gateway's program.
pub fn binary() -> &'static Path {
    static FOUND: LazyLock<PathBuf> = LazyLock::new(|| binaries::gateway().unwrap());
    &FOUND
}

/// The issuance service's program.
pub fn issuer_binary() -> &'static Path {
    static FOUND: LazyLock<PathBuf> = LazyLock::new(|| binaries::issuer().unwrap());
    &FOUND
}

/// The demo's program.
pub fn demo_binary() -> &'static Path {
    static FOUND: LazyLock<PathBuf> = LazyLock::new(|| binaries::demo().unwrap());
    &FOUND
}

fn write(pki: &TestPki, config: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    // What a test has written there is as secret as it is to be.
    for entry in std::fs::read_dir(pki.folder()).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "key" || extension == "secret") {
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    let path = pki.path(configuration::FILE);
    std::fs::write(&path, config).unwrap();
    path
}
