//! The arrangement for tests of the block list: a gateway that keeps one, and somebody who may change it.

use crate::common::{Gateway, Setup, TestApp, TestPki};
use crate::lapse::{REQUIRED, STAYS, configuration};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The token of every gateway here.
pub const TOKEN: &str = "0123456789abcdefghijklmnopqrstuv-._~+/=";

/// Names of the files in the PKI's folder.
pub const TOKEN_FILE: &str = "admin.token";
pub const STATE: &str = "state";

/// A configuration with a block list.
pub fn with_blocks(config: &str) -> String {
    let keys = format!("[gateway]\nstate_folder = \"{STATE}\"\nadmin_token_file = \"{TOKEN_FILE}\"\n");
    let changed = config.replacen("[gateway]\n", &keys, 1);
    assert_ne!(config, changed);
    changed
}

/// A file that only its owner can read.
pub fn write_secret(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Sites of both refusal styles before one application, and a block list.
pub fn start() -> Setup {
    start_with(|config| config)
}

/// As [`start`], with another configuration.
pub fn start_with(change: impl FnOnce(String) -> String) -> Setup {
    let (pki, app) = (TestPki::new(), TestApp::new());
    pki.issue_server(STAYS, &[STAYS], sekisho_runtime::clock::now()).unwrap();
    write_secret(&pki.path(TOKEN_FILE), TOKEN);
    std::fs::create_dir(pki.path(STATE)).unwrap();
    let config = with_blocks(&configuration(&app, &["root"], &REQUIRED));
    let gateway = Gateway::start(&pki, &change(config));
    Setup { gateway, app, pki }
}

/// An answer of the admin address.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    /// Names in lower case.
    pub headers: String,
    /// Null when it is no JSON.
    pub json: Value,
}

impl Told {
    /// What a problem says.
    #[track_caller]
    pub fn detail(&self) -> &str {
        self.json["detail"].as_str().unwrap_or_else(|| panic!("no problem: {self:?}"))
    }
}

/// Asks with curl; `arguments` are curl's own, `body` its standard input (`--data-binary @-`).
#[track_caller]
pub fn ask(url: &str, arguments: &[&str], body: &[u8]) -> Told {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "-i"]).args(arguments).arg(url);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The gateway may answer before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(body);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {output:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    Told { status, headers: head.to_ascii_lowercase(), json: serde_json::from_str(body).unwrap_or_default() }
}

/// Asks with the token, and with a JSON body if there is one.
#[track_caller]
pub fn ask_as_desk(gateway: &Gateway, method: &str, path: &str, body: Option<&Value>) -> Told {
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let mut arguments = vec!["-X", method, "-H", &authorization];
    let body = body.map(Value::to_string);
    if body.is_some() {
        arguments.extend(["-H", "Content-Type: application/json", "--data-binary", "@-"]);
    }
    ask(&gateway.admin_url(path), &arguments, body.unwrap_or_default().as_bytes())
}

/// Blocks a target, given as a JSON object; the answer.
#[track_caller]
pub fn block(gateway: &Gateway, target: &Value) -> Value {
    let mut wanted = serde_json::json!({"reason": "laptop lost, ticket 4711", "by": "desk"});
    wanted.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    let told = ask_as_desk(gateway, "POST", "/blocks", Some(&wanted));
    assert!(told.status == 201 || told.status == 200, "{told:?}");
    told.json
}

/// Removes a block.
#[track_caller]
pub fn remove(gateway: &Gateway, id: &Value) -> Value {
    let act = serde_json::json!({"reason": "found again", "by": "desk"});
    let told = ask_as_desk(gateway, "DELETE", &format!("/blocks/{}", id.as_str().unwrap()), Some(&act));
    assert_eq!(told.status, 200, "{told:?}");
    told.json
}

/// The numbers of all blocks.
#[track_caller]
pub fn listed(gateway: &Gateway) -> Vec<Value> {
    let told = ask_as_desk(gateway, "GET", "/blocks", None);
    assert_eq!(told.status, 200, "{told:?}");
    told.json["blocks"].as_array().unwrap().iter().map(|block| block["id"].clone()).collect()
}
