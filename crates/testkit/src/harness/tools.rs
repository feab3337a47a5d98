//! curl, openssl and promtool, the real ones.

use super::{Gateway, TestPki};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a tool came to.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs curl against the gateway: server CA and addresses are given; `client` is the name of a client of the PKI.
/// Standard output ends with a line `HTTP/VERSION STATUS`.
pub fn curl(gateway: &Gateway, pki: &TestPki, client: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30", "-w", "\nHTTP/%{http_version} %{http_code}"]);
    command.args(["--resolve", &format!("*:{}:{}", gateway.port(), gateway.tls().ip())]);
    command.arg("--cacert").arg(pki.path("server-ca.pem"));
    if let Some(client) = client {
        command.arg("--cert").arg(pki.path(&format!("{client}.pem")));
        command.arg("--key").arg(pki.path(&format!("{client}.key")));
    }
    run(command.args(arguments), "")
}

/// Runs `openssl s_client` against the gateway with `stdin` as what it sends, until either end closes.
pub fn openssl_s_client(
    gateway: &Gateway,
    pki: &TestPki,
    client: Option<&str>,
    arguments: &[&str],
    stdin: &str,
) -> Output {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &gateway.tls().to_string()]).arg("-CAfile").arg(pki.path("server-ca.pem"));
    if let Some(client) = client {
        let chain = pki.path(&format!("{client}.pem"));
        command.arg("-cert").arg(&chain).arg("-cert_chain").arg(&chain);
        command.arg("-key").arg(pki.path(&format!("{client}.key")));
    }
    run(command.args(arguments), stdin)
}

/// Runs `promtool check metrics` over an exposition, and panics with what it finds fault with.
#[track_caller]
pub fn promtool_finds_no_fault_in(exposition: &str) {
    let mut command = Command::new("promtool");
    let Output { code, stdout, stderr } = run(command.args(["check", "metrics"]), exposition);
    assert!(code == 0 && stdout.is_empty() && stderr.is_empty(), "{code}\n{stdout}\n{stderr}\nin\n{exposition}");
}

fn run(command: &mut Command, stdin: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    // A tool that has ended already does not read: its output says why.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Output {
    /// The status of the answer; 0 without one.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let last_line = self.stdout.rsplit('\n').next().unwrap();
        last_line.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("no status in {self:?}"))
    }

    /// The answer's body.
    pub fn body(&self) -> &str {
        self.stdout.rsplit_once('\n').map_or("", |(body, _)| body)
    }

    /// Whether the peer's TLS alert was this one, in OpenSSL's words: `certificate revoked`.
    pub fn has_alert(&self, alert: &str) -> bool {
        self.stderr.contains(&format!("alert {alert}"))
    }
}
