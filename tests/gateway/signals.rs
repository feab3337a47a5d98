//! Signals: what each does to a gateway, and that none sent by mistake ends it.

use crate::common::{Setup, Signal, TlsClient, Version, wait_until};
use serde_json::Value;

const HOST: &str = "ib.localhost";

fn with_log_file() -> Setup {
    Setup::with(|config| config.replacen("\"stdout\"", "{ file = \"access.log\" }", 1))
}

fn status(setup: &Setup) -> u16 {
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    client.get(&setup.gateway, HOST, "/echo").unwrap().0.status
}

fn logged(setup: &Setup, message: &str, signal: &str) -> bool {
    let is_it = |line: &str| {
        serde_json::from_str::<Value>(line).is_ok_and(|line| line["message"] == message && line["signal"] == signal)
    };
    setup.gateway.output().lines().any(is_it)
}

#[test]
fn usr1_opens_the_log_again() {
    let setup = with_log_file();
    let (log, old) = (setup.pki.path("access.log"), setup.pki.path("access.log.1"));
    assert_eq!(status(&setup), 200);
    std::fs::rename(&log, &old).unwrap();
    setup.gateway.signal(Signal::Other("USR1"));
    wait_until("the log is there again", || log.exists());
    assert_eq!(status(&setup), 200);
    wait_until("records go to the new file", || std::fs::read_to_string(&log).unwrap().contains("authentication"));
}

#[test]
fn signals_that_mean_nothing_are_ignored_and_logged() {
    let setup = Setup::new();
    for name in ["USR2", "ALRM", "PIPE", "VTALRM", "PROF", "PWR", "XCPU", "XFSZ"] {
        setup.gateway.signal(Signal::Other(name));
        wait_until(name, || logged(&setup, "signal ignored", name));
    }
    // Not every shell knows the names of these.
    for (number, name) in [("16", "STKFLT"), ("29", "IO"), ("34", "RT34"), ("63", "RT63")] {
        setup.gateway.signal(Signal::Other(number));
        wait_until(name, || logged(&setup, "signal ignored", name));
    }
    assert_eq!(status(&setup), 200);
}

#[test]
fn quit_drains_as_term_does() {
    for signal in [Signal::Other("QUIT"), Signal::Terminate, Signal::Other("INT")] {
        let mut setup = Setup::new();
        let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
        let mut slow = client.connect(&setup.gateway, HOST).unwrap();
        slow.send(b"GET /slow?seconds=1 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
        wait_until("it is under way", || setup.app.requests().iter().any(|request| request.target.contains("/slow")));
        setup.gateway.signal(signal);
        assert_eq!(slow.receive().unwrap().status, 200, "{signal:?}");
        assert!(setup.gateway.wait_for_end().success(), "{signal:?}");
    }
}

#[test]
fn no_core_dump_has_the_keys_in_it() {
    let setup = Setup::new();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", setup.gateway.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

#[test]
fn a_log_that_nobody_reads_any_more_keeps_no_gateway_from_its_end() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let (pki, app) = (crate::common::TestPki::new(), crate::common::TestApp::new());
    let config = pki.path("sekisho.toml");
    std::fs::write(&config, Setup::configuration(&app)).unwrap();
    let mut command = Command::new(crate::common::binary());
    command.args(["gateway", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut gateway = command.spawn().unwrap();
    let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"kind\":\"admin\"")));
    // From here on every line fails.
    drop(lines);
    let kill =
        |name: &str| Command::new("sh").args(["-c", &format!("kill -{name} {}", gateway.id())]).status().unwrap();
    // Installed once the gateway listens.
    assert!(kill("USR1").success() && kill("TERM").success());
    let mut ended = None;
    wait_until("it ends", || {
        ended = gateway.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success(), "{ended:?}");
}
