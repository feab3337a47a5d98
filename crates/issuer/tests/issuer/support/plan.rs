//! What is to be started, and what runs.

use super::authority_of;
use super::client::Client;
use super::gateway_key::{GatewayKey, USER_AUDIENCE};
use super::people::Bank;
use super::pki::{self, Pki};
use crate::common::{PATIENCE, Signal, issuer_binary, wait_until};
use sekisho_testkit::process::{Output, ServerProcess, StartError};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

/// The kinds of address an issuer tells.
const KINDS: [&str; 3] = ["api", "public", "admin"];

/// An issuer that is to be: its folder with everything in it.
pub struct Plan {
    folder: tempfile::TempDir,
    pub pki: Arc<Pki>,
    pub gateway: Arc<GatewayKey>,
    config: String,
    days_ahead: u32,
}

/// A running issuer; killed when dropped.
pub struct Issuer {
    process: ServerProcess,
    pub plan: Plan,
}

impl Plan {
    /// An issuer of these profiles over SQLite, with lists in files, the services of [`Pki::new`] and a gateway.
    pub fn new(profiles: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (pki, gateway) = (Arc::new(Pki::new()), Arc::new(GatewayKey::new()));
        let config = configuration(profiles, &pki);
        let plan = Self { config, folder, pki, gateway, days_ahead: 0 };
        for profile in profiles {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../config/profiles/{profile}.toml"));
            plan.write(&format!("{profile}.toml"), &std::fs::read_to_string(shipped).unwrap());
        }
        std::os::unix::fs::symlink(pki::authorities(), plan.path("ca")).unwrap();
        std::fs::create_dir(plan.path("lists")).unwrap();
        pki::write_secret(&plan.path("issuer.secret"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
        plan.write("api.pem", &plan.pki.api.0);
        plan.write("api.key", &plan.pki.api.1);
        plan.write("services-ca.pem", &plan.pki.ca);
        plan.write("gateway.jwks", &plan.gateway.jwks());
        plan
    }

    /// With a feed, its key in `feed.key`, and gateways that may follow it.
    pub fn with_feed(mut self, gateways: &[&str]) -> Self {
        pki::write_secret(&self.path("feed.key"), &rcgen::KeyPair::generate().unwrap().serialize_pem());
        let pki = Arc::get_mut(&mut self.pki).expect("no sibling has it yet");
        for name in gateways {
            let service = pki.add_service(name, &["feed"]);
            let (fingerprint, rights) = (&service.fingerprint, &service.rights);
            self.config +=
                &format!("\n[[service]]\nname = \"{name}\"\nfingerprint = \"{fingerprint}\"\nrights = {rights:?}\n");
        }
        self.and("[feed]\nkey_file = \"feed.key\"")
    }

    /// Another node of the same issuer: the same configuration, keys and certificates in a folder of its own.
    pub fn sibling(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-a").arg(self.path(".")).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        let (pki, gateway) = (Arc::clone(&self.pki), Arc::clone(&self.gateway));
        Self { folder, pki, gateway, config: self.config.clone(), days_ahead: self.days_ahead }
    }

    /// Changes the configuration; something must have changed.
    #[track_caller]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.config.contains(from), "the configuration lacks {from:?}");
        self.config = self.config.replacen(from, to, 1);
        self
    }

    /// Puts something at the configuration's end.
    pub fn and(mut self, more: &str) -> Self {
        self.config = format!("{}\n{more}\n", self.config);
        self
    }

    /// Changes a copy of a profile.
    #[track_caller]
    pub fn with_profile(self, profile: &str, from: &str, to: &str) -> Self {
        let file = format!("{profile}.toml");
        let text = std::fs::read_to_string(self.path(&file)).unwrap();
        assert!(text.contains(from), "profile {profile} lacks {from:?}");
        self.write(&file, &text.replacen(from, to, 1));
        self
    }

    /// Over PostgreSQL instead of SQLite.
    pub fn on_postgres(self, url: &str) -> Self {
        self.with("url = \"sqlite:issuer.db\"", &format!("url = {url:?}"))
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into its folder.
    pub fn write(&self, name: &str, content: &str) {
        pki::write_secret(&self.path(name), content);
    }

    /// The configuration, written down.
    pub fn write_config(&self) -> PathBuf {
        self.write("issuer.toml", &self.config);
        self.path("issuer.toml")
    }

    /// A copy of the authorities of its own, to be spoilt.
    pub fn own_authorities(&self) {
        std::fs::remove_file(self.path("ca")).unwrap();
        let copied = Command::new("cp").arg("-r").arg(pki::authorities()).arg(self.path("ca")).status().unwrap();
        assert!(copied.success());
    }

    /// With every clock so many days ahead: the issuer's by libfaketime, ours by [`GatewayKey::now`].
    pub fn days_ahead(mut self, days: u32) -> Self {
        self.gateway.set_days_ahead(days);
        self.days_ahead = days;
        self
    }

    /// The environment of a process whose clock is as far ahead as the issuer's.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        if self.days_ahead == 0 {
            return Vec::new();
        }
        vec![
            // Not the wrapper of that name: it stays between us and the issuer, and signals end it alone.
            ("LD_PRELOAD", libfaketime().display().to_string()),
            ("FAKETIME", format!("+{}d", self.days_ahead)),
            // Only the calendar: what is measured stays as it is.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn command(&self) -> Command {
        let mut command = Command::new(issuer_binary());
        command.envs(self.environment());
        command.args(["serve", "--config"]).arg(self.write_config());
        command
    }

    /// With the store made, where it is not there already; what else is wrong the issuer says.
    fn prepared(&self) -> Command {
        let _ = self.store_command(&["init"]);
        self.command()
    }

    /// `sekisho-issuer store`: exit status, standard output and error.
    pub fn store_command(&self, arguments: &[&str]) -> (ExitStatus, String, String) {
        let mut command = Command::new(issuer_binary());
        command.arg("store").args(arguments).arg("--config").arg(self.write_config());
        let output = command.output().unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status, text(&output.stdout), text(&output.stderr))
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Issuer {
        let process = ServerProcess::start(&mut self.prepared(), &KINDS, Output::Keep, PATIENCE);
        Issuer { process: process.unwrap_or_else(|error| panic!("{error}")), plan: self }
    }

    /// Starts it with an environment variable.
    #[track_caller]
    pub fn start_with_variable(self, name: &str, value: &str) -> Issuer {
        let process = ServerProcess::start(self.prepared().env(name, value), &KINDS, Output::Keep, PATIENCE);
        Issuer { process: process.unwrap_or_else(|error| panic!("{error}")), plan: self }
    }

    /// Starts it with a limit on the size of each file it writes: to it that is a disk that is full.
    #[track_caller]
    pub fn start_with_little_room(self, kibibytes: u32) -> Issuer {
        // Files over the limit are an error of the write and not a signal; the hard limit stays, so that the soft one
        // can be lifted again.
        let script = format!("trap '' XFSZ; ulimit -S -f {kibibytes}; exec \"$0\" \"$@\"");
        let plain = self.prepared();
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).arg(plain.get_program()).args(plain.get_args());
        let process = ServerProcess::start(&mut command, &KINDS, Output::Keep, PATIENCE);
        Issuer { process: process.unwrap_or_else(|error| panic!("{error}")), plan: self }
    }

    /// Starts one that should not come up: its exit status and everything it said but its own log records.
    #[track_caller]
    pub fn refused(&self) -> (ExitStatus, String) {
        match ServerProcess::start(&mut self.command(), &KINDS, Output::Keep, PATIENCE) {
            Err(StartError { status: Some(status), output }) => (status, output),
            Err(StartError { status: None, output }) => panic!("neither up nor ended: {output}"),
            Ok(_) => panic!("it came up"),
        }
    }

    /// `sekisho-issuer serve --check`: exit status, standard output and error.
    pub fn check(&self) -> (ExitStatus, String, String) {
        let output = self.command().arg("--check").output().unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status, text(&output.stdout), text(&output.stderr))
    }
}

impl Issuer {
    /// Starts one of these profiles.
    #[track_caller]
    pub fn of(profiles: &[&str]) -> Self {
        Plan::new(profiles).start()
    }

    /// A service of the configuration: `ib`, `desk` or `reader`.
    #[track_caller]
    pub fn service(&self, name: &str) -> Client {
        let service = self.plan.pki.service_named(name);
        self.client(Some((&service.certificate, &service.key)))
    }

    /// Whoever has a certificate of the services' CA, or none.
    pub fn client(&self, certificate: Option<(&str, &str)>) -> Client {
        Client::new(self.address("api"), &self.plan.pki.ca, certificate)
    }

    /// The bank's desk and its IB system.
    pub fn bank(&self) -> Bank {
        Bank::new(self)
    }

    /// Lifts the limit of [`Plan::start_with_little_room`].
    #[track_caller]
    pub fn give_room(&self) {
        let process = self.process.id().to_string();
        let given = Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited:"]).status().unwrap();
        assert!(given.success());
    }

    /// `api`, `public` or `admin`.
    pub fn address(&self, kind: &str) -> SocketAddr {
        self.process.address(kind)
    }

    /// GET on the admin address by curl: status and body.
    #[track_caller]
    pub fn admin_get(&self, path: &str) -> (u16, String) {
        let (status, body) = self.plain_get("admin", path);
        (status, String::from_utf8(body).unwrap())
    }

    /// GET on the public address by curl.
    #[track_caller]
    pub fn public_get(&self, path: &str) -> (u16, Vec<u8>) {
        self.plain_get("public", path)
    }

    #[track_caller]
    fn plain_get(&self, kind: &str, path: &str) -> (u16, Vec<u8>) {
        let url = format!("http://{}{path}", self.address(kind));
        let output =
            Command::new("curl").args(["-sS", "--max-time", "20", "-w", "\n%{http_code}", &url]).output().unwrap();
        let end = output.stdout.iter().rposition(|octet| *octet == b'\n').expect("curl's status");
        let status = std::str::from_utf8(&output.stdout[end + 1..]).unwrap().parse().unwrap();
        (status, output.stdout[..end].to_vec())
    }

    /// The value of a metric's line that begins with `name{labels}` as written; 0 when there is none yet.
    #[track_caller]
    pub fn metric(&self, name_and_labels: &str) -> f64 {
        let (_, text) = self.admin_get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// The full list of an authority as the public address serves it now: serials in hex and their reason codes.
    #[track_caller]
    pub fn list(&self, authority: &str) -> Vec<(String, Option<u8>)> {
        let (status, der) = self.public_get(&format!("/crl/{authority}/0.crl"));
        assert_eq!(status, 200);
        super::people::entries_of(&der)
    }

    /// Waits until the list says of a serial what is wanted: its reason code, or that it is not there.
    #[track_caller]
    pub fn wait_for_list(&self, authority: &str, serial: &str, wanted: Option<u8>) {
        wait_until(&format!("the list of {authority} says {wanted:?} of {serial}"), || {
            let found = self.list(authority).into_iter().find(|(listed, _)| listed == serial);
            found.map(|(_, reason)| reason.unwrap_or(0)) == wanted
        });
    }

    /// Everything it wrote.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Every JSON record so far that `wanted` is true of.
    pub fn records(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.output().lines().filter_map(|line| serde_json::from_str(line).ok()).filter(&wanted).collect()
    }

    /// Waits for a JSON record that `wanted` is true of.
    #[track_caller]
    pub fn record(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = self.process.wait_for_line(PATIENCE, |line| serde_json::from_str(line).ok().filter(&wanted));
        found.unwrap_or_else(|| panic!("no record of {what} in:\n{}", self.output()))
    }

    /// SIGTERM, and what it ended with.
    #[track_caller]
    pub fn stop(mut self) -> (ExitStatus, Plan) {
        self.process.signal(Signal::Terminate);
        let status = self.process.wait_for_end(PATIENCE).expect("it did not end");
        (status, self.plan)
    }

    /// Any signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        self.process.signal(Signal::Terminate);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        self.process.wait_for_end(PATIENCE).expect("it did not end")
    }

    /// What is left of one that has ended.
    pub fn plan_of_ended(mut self) -> Plan {
        self.wait_for_end();
        self.plan
    }

    /// SIGKILL: what is left of it is its folder.
    #[track_caller]
    pub fn kill(mut self) -> Plan {
        self.process.signal(Signal::Kill);
        self.process.wait_for_end(PATIENCE).expect("it did not end");
        self.plan
    }

    /// SIGKILL, for a test that still needs what it has of it; [`Self::plan_of_ended`] comes after.
    pub fn kill_and_keep(&self) {
        self.process.signal(Signal::Kill);
    }

    /// Stops it and starts it again so many days after the true date.
    #[track_caller]
    pub fn days_ahead(self, days: u32) -> Self {
        let (status, plan) = self.stop();
        assert!(status.success(), "{status}");
        plan.days_ahead(days).start()
    }

    /// Stops it and starts it again.
    #[track_caller]
    pub fn restart(self) -> Self {
        let (status, plan) = self.stop();
        assert!(status.success(), "{status}");
        plan.start()
    }
}

/// Where Debian's package faketime puts its library, whatever the machine's architecture.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|library| library.exists());
    found.next().expect("the package faketime; scripts/install-system-packages.sh installs it")
}

fn configuration(profiles: &[&str], pki: &Pki) -> String {
    let mut config = format!(
        r#"[issuer]
listen = "127.0.0.1:0"
public_listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
secret_file = "issuer.secret"
log = "stdout"
drain_timeout = "10s"

[issuer.tls]
certificate = "api.pem"
key = "api.key"
client_ca = "services-ca.pem"

[store]
url = "sqlite:issuer.db"

[gateway]
audience = "issuer"
user_audiences = ["{USER_AUDIENCE}"]
jwks_file = "gateway.jwks"

[limits]
requests_per_second = 10000
burst = 10000
"#
    );
    for profile in profiles {
        let name = authority_of(profile);
        config.push_str(&format!(
            r#"
[[profile]]
file = "{profile}.toml"

[[authority]]
name = "{name}"
profiles = ["{profile}"]
certificate = "ca/{name}/issuing.pem"
chain = "ca/{name}/chain.pem"
key = "ca/{name}/issuing.key"
passphrase_file = "ca/passphrase"
crl_url = "http://pki.example.jp/crl/{name}/0.crl"
ocsp_url = "http://pki.example.jp/ocsp/{name}"
ca_issuers_url = "http://pki.example.jp/ca/{name}.cer"
publish_folder = "lists"
"#
        ));
    }
    for service in pki.services() {
        config.push_str(&format!(
            "\n[[service]]\nname = \"{}\"\nfingerprint = \"{}\"\nrights = {:?}\n",
            service.name, service.fingerprint, service.rights
        ));
    }
    config
}
