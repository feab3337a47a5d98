//! Calls of the issuer's API by curl: directly with the IB application's certificate, or through the gateway with a
//! user's.

use super::SERVER;
use serde_json::Value;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A client of the API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    name: String,
    address: SocketAddr,
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// What was answered, and what was done for it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status; 0: none came.
    pub(crate) status: u16,
    /// The body; null where it is not JSON.
    pub(crate) body: Value,
    /// The command line, as one types it.
    pub(crate) command: String,
    /// What curl said.
    pub(crate) errors: String,
}

impl Api {
    /// As the IB application.
    pub(crate) fn new(address: SocketAddr, certificates: &Path) -> Self {
        let file = |name: &str| certificates.join(name);
        Self {
            name: SERVER.to_owned(),
            address,
            authority: file("server-ca.pem"),
            certificate: file("service-ib.pem"),
            key: file("service-ib.key"),
        }
    }

    /// As a user with that certificate, through the gateway.
    pub(crate) fn through(&self, gateway: SocketAddr, site: &str, certificate: PathBuf, key: PathBuf) -> Self {
        let authority = self.authority.clone();
        Self { name: site.to_owned(), address: gateway, authority, certificate, key }
    }

    /// GET.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.run(&[], path, None)
    }

    /// POST or PUT of JSON; `once` is the idempotency key.
    pub(crate) fn send(&self, method: &str, path: &str, once: Option<&str>, body: &Value) -> Answer {
        let key = once.map(|once| format!("Idempotency-Key: {once}"));
        let mut arguments = vec!["--request", method, "--header", "Content-Type: application/json"];
        if let Some(key) = &key {
            arguments.extend(["--header", key]);
        }
        self.run(&arguments, path, Some(body.to_string()))
    }

    /// The command line of a POST or PUT, not run.
    pub(crate) fn command(&self, method: &str, path: &str, body: &Value) -> String {
        let more = ["--request", method, "--header", "Content-Type: application/json"];
        self.line(&more, path, Some(&body.to_string())).1
    }

    /// Arguments, and the line as one types it.
    fn line(&self, more: &[&str], path: &str, body: Option<&str>) -> (Vec<String>, String) {
        let port = self.address.port();
        let text = |path: &Path| path.display().to_string();
        let mut arguments = vec!["--resolve".to_owned(), format!("{}:{port}:{}", self.name, self.address.ip())];
        arguments.extend(["--cacert".to_owned(), text(&self.authority)]);
        arguments.extend(["--cert".to_owned(), text(&self.certificate), "--key".to_owned(), text(&self.key)]);
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        let url = format!("https://{}:{port}{path}", self.name);
        let shown = body.map_or(String::new(), |body| format!(" --data '{body}'"));
        let quoted = arguments.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() });
        let command = format!("curl {}{shown} {url}", quoted.collect::<Vec<_>>().join(" "));
        arguments.push(url);
        (arguments, command)
    }

    fn run(&self, more: &[&str], path: &str, body: Option<String>) -> Answer {
        let (arguments, command) = self.line(more, path, body.as_deref());
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}"]).args(&arguments);
        if body.is_some() {
            // By standard input: what users type is not for the list of processes.
            curl.args(["--data-binary", "@-"]);
        }
        let output =
            curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().and_then(|mut child| {
                if let (Some(mut input), Some(body)) = (child.stdin.take(), &body) {
                    input.write_all(body.as_bytes())?;
                }
                child.wait_with_output()
            });
        match output {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                let (body, status) = said.rsplit_once('\n').unwrap_or(("", &said));
                Answer {
                    status: status.trim().parse().unwrap_or_default(),
                    body: serde_json::from_str(body).unwrap_or_default(),
                    command,
                    errors: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                }
            }
            Err(error) => Answer { status: 0, body: Value::Null, command, errors: error.to_string() },
        }
    }
}

impl Answer {
    /// The answer where it is a good one.
    pub(crate) fn done(self) -> Result<Self, String> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.seen()) }
    }

    /// A text field of the body.
    pub(crate) fn text(&self, pointer: &str) -> Result<String, String> {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.map(str::to_owned).ok_or_else(|| format!("no {pointer} in it: {}", self.seen()))
    }

    /// What was seen, on one line.
    pub(crate) fn seen(&self) -> String {
        format!("{} {} {}", self.status, self.body, self.errors)
    }
}
