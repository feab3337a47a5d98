//! `sekisho load` against a gateway (requirement O5): what it counts is what the gateway saw.

use sekisho_testkit::harness as common;

use common::{Setup, TestPki, binary};
use serde_json::Value;
use std::process::{Command, Output};

/// Runs the load for a second and gives what it printed.
fn load(setup: &Setup, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("load").arg(setup.gateway.url("ib.localhost", "/statement"));
    command.args(["--ca".as_ref(), setup.pki.path("server-ca.pem").as_os_str()]);
    command.args(["--warm-up", "0", "--json", "--quiet"]);
    for (option, usual) in [("--duration", "1"), ("--concurrency", "2")] {
        if !arguments.contains(&option) {
            command.args([option, usual]);
        }
    }
    command.args(arguments).output().unwrap()
}

/// The same at a rate. A busy machine may begin less than is due, which the report counts; nothing else may go wrong.
fn at_a_rate(setup: &Setup, client: Option<&str>, arguments: &[&str], due: u64) -> Value {
    let ran = load(setup, &with_client(&setup.pki, client, arguments));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let not_begun = report.pointer("/whole/errors/not-begun").and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(ran.status.success(), not_begun == 0, "{report}{}", text(&ran.stderr));
    assert_eq!(report["whole"]["errors"].as_object().unwrap().len(), usize::from(not_begun > 0), "{report}");
    assert_eq!(number(&report, "/whole/operations") + not_begun, due, "{report}");
    report
}

/// The same as a client of the development PKI; everything must come out as asked.
fn clean(setup: &Setup, client: Option<&str>, arguments: &[&str]) -> Value {
    let ran = load(setup, &with_client(&setup.pki, client, arguments));
    assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn with_client<'a>(pki: &TestPki, client: Option<&str>, arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = arguments.to_vec();
    if let Some(client) = client {
        let file = |kind: &str| &*pki.path(&format!("{client}.{kind}")).display().to_string().leak();
        all.extend(["--cert", file("pem"), "--key", file("key")]);
    }
    all
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {value}"))
}

fn handshakes(setup: &Setup, outcome: &str, reason: &str, resumed: &str) -> u64 {
    let labels = format!("{{outcome=\"{outcome}\",reason=\"{reason}\",resumed=\"{resumed}\",site=\"ib.localhost\"}}");
    setup.gateway.metric(&format!("sekisho_handshakes_total{labels}")) as u64
}

/// Requests of the load that the application saw.
fn reached(setup: &Setup) -> u64 {
    setup.app.requests().iter().filter(|request| request.target == "/statement").count() as u64
}

#[test]
fn full_handshakes_are_full_and_each_is_an_operation() {
    let setup = Setup::new();
    let report = clean(&setup, Some("client-good"), &[]);
    let operations = number(&report, "/whole/operations");
    assert!(operations > 0);
    assert_eq!(number(&report, "/whole/outcomes/200"), operations);
    assert_eq!(number(&report, "/whole/full_handshakes"), operations);
    assert_eq!(number(&report, "/whole/resumed_handshakes"), 0);
    assert_eq!(handshakes(&setup, "accepted", "", "false"), operations);
    assert_eq!(reached(&setup), operations);
}

#[test]
fn resumed_handshakes_are_resumed_in_both_versions_of_tls() {
    for version in ["1.2", "1.3"] {
        let setup = Setup::new();
        let report = clean(&setup, Some("client-good"), &["--kind", "resumed", "--tls", version]);
        let operations = number(&report, "/whole/operations");
        assert!(operations > 0);
        assert_eq!(number(&report, "/whole/resumed_handshakes"), operations, "{version}");
        assert_eq!(handshakes(&setup, "accepted", "", "true"), operations);
        // Each worker began with one.
        assert_eq!(handshakes(&setup, "accepted", "", "false"), 2);
    }
}

#[test]
fn a_kept_connection_is_kept_and_streams_share_one() {
    for (http, arguments, connections) in [("1.1", vec![], 2), ("2", vec!["--streams", "4", "--concurrency", "8"], 2)] {
        let setup = Setup::new();
        // Below the requests after which the gateway closes a connection in good order.
        let mut all = vec!["--kind", "keep-alive", "--http", http, "--rate", "200"];
        all.extend(arguments);
        let report = at_a_rate(&setup, Some("client-good"), &all, 200);
        assert!(number(&report, "/whole/operations") > 0);
        assert_eq!(handshakes(&setup, "accepted", "", "false"), connections, "{http}");
    }
}

#[test]
fn a_rate_is_kept_and_everything_due_is_counted() {
    let setup = Setup::new();
    // Due at 0, 25, … 975 ms.
    at_a_rate(&setup, Some("client-good"), &["--rate", "40"], 40);
}

#[test]
fn what_a_server_is_too_slow_for_is_an_error_and_the_run_ends_all_the_same() {
    let setup = Setup::new();
    let arguments = with_client(&setup.pki, Some("client-good"), &["--kind", "keep-alive", "--rate", "200000"]);
    let ran = load(&setup, &arguments);
    assert_eq!(ran.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let (done, not_begun) = (number(&report, "/whole/operations"), number(&report, "/whole/errors/not-begun"));
    assert!(done > 0 && not_begun > 0, "{report}");
    assert_eq!(done + not_begun, 200_000, "all that was due, and nothing else: {report}");
    assert!(report.pointer("/whole/rate").and_then(Value::as_f64).unwrap() < 200_000.0, "{report}");
    // Half of it had no turn within the second: that is what a client would have seen.
    assert!(number(&report, "/whole/latency_us/p50") > 100_000, "{report}");
}

#[test]
fn who_must_be_refused_is_refused_with_the_alert_that_is_true() {
    let setup = Setup::with(|config| config.replace("refusal = \"page\"", "refusal = \"alert\""));
    let report = clean(&setup, None, &["--kind", "no-certificate", "--tls", "1.3"]);
    let operations = number(&report, "/whole/operations");
    assert_eq!(number(&report, "/whole/outcomes/alert: certificate_required"), operations);
    let report = clean(&setup, Some("client-revoked"), &["--kind", "refused"]);
    let operations = number(&report, "/whole/operations");
    assert_eq!(number(&report, "/whole/outcomes/alert: certificate_revoked"), operations);
    assert_eq!(reached(&setup), 0);
}

#[test]
fn a_client_that_should_be_refused_and_is_not_makes_the_run_fail() {
    let setup = Setup::new();
    let ran = load(&setup, &with_client(&setup.pki, Some("client-good"), &["--kind", "refused"]));
    assert_eq!(ran.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(number(&report, "/whole/operations"), 0);
    assert!(number(&report, "/whole/errors/200") > 0);
}

#[test]
fn version_group_and_certificates_in_rotation_are_what_was_asked_for() {
    let setup = Setup::new();
    let folder = tempfile::tempdir().unwrap();
    for client in ["client-good", "client-rsa"] {
        for kind in ["pem", "key"] {
            let name = format!("{client}.{kind}");
            std::fs::copy(setup.pki.path(&name), folder.path().join(&name)).unwrap();
        }
    }
    let folder = folder.path().display().to_string();
    for (tls, group, wanted) in
        [("1.3", "x25519mlkem768", "X25519MLKEM768"), ("1.3", "p256", "secp256r1"), ("1.2", "x25519", "X25519")]
    {
        at_a_rate(&setup, None, &["--clients", &folder, "--tls", tls, "--group", group, "--rate", "20"], 20);
        let version = format!("TLSv{tls}");
        for serial in ["client-good", "client-rsa"].map(|client| setup.pki.serial(client).unwrap().to_string()) {
            let record = setup.gateway.record("an authentication with that version, group and certificate", |record| {
                record["tls"]["version"] == version.as_str()
                    && record["tls"]["key_exchange"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
                    && record["certificate"]["serial"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(&serial))
            });
            assert_eq!(record["resumed"], false);
        }
    }
}

#[test]
fn a_revocation_during_the_load_shows_in_its_phase_and_a_reload_in_none() {
    let mut setup = Setup::with(|config| config.replace("refusal = \"page\"", "refusal = \"alert\""));
    let list = setup.pki.path("crl.pem");
    let (good, revoked) = (setup.pki.path("good.kept"), setup.pki.path("revoked.kept"));
    std::fs::copy(&list, &good).unwrap();
    setup.pki.client("client-other", "00009876543 other 1635");
    setup.pki.revoke_client("client-other");
    std::fs::rename(&list, &revoked).unwrap();
    std::fs::rename(&good, &list).unwrap();
    let other = with_client(&setup.pki, Some("client-other"), &["--rate", "50", "--duration", "8", "--at", ""]);
    let put = format!("1s=mv {} {}", revoked.display(), list.display());
    let arguments: Vec<&str> =
        other.iter().map(|argument| if argument.is_empty() { put.as_str() } else { argument }).collect();
    let ran = load(&setup, &arguments);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let mut errors = report["phases"][0]["errors"].as_object().unwrap().clone();
    let not_begun = errors.remove("not-begun").and_then(|count| count.as_u64()).unwrap_or(0);
    assert!(errors.is_empty(), "{report}");
    assert_eq!(number(&report, "/phases/0/operations") + not_begun, 50);
    assert!(number(&report, "/phases/1/errors/alert: certificate_revoked") > 0);
    let hang_up = format!("0.5s=kill -HUP {}", setup.gateway.pid());
    at_a_rate(&setup, Some("client-good"), &["--rate", "50", "--at", &hang_up], 50);
}

#[test]
fn wrong_usage_is_told_in_one_line_and_loads_nothing() {
    let setup = Setup::new();
    let empty = tempfile::tempdir().unwrap();
    let empty = empty.path().display().to_string();
    for (arguments, wanted) in [
        (vec!["--kind", "resumed"], "--kind resumed needs --cert and --key, or --clients"),
        (vec!["--clients", &empty], "it has no NAME.pem with a NAME.key beside it"),
        (
            with_client(&setup.pki, Some("client-good"), &["--kind", "no-certificate"]),
            "--kind no-certificate shows none",
        ),
        (vec!["--at", "5s=true"], "the run ends after 1s"),
        (vec!["--at", "5m=true"], "is not a number of seconds"),
        (vec!["--rate", "0"], "write a number above 0, at most 1000000"),
        (vec!["--rate", "1000001"], "write a number above 0, at most 1000000"),
    ] {
        let ran = load(&setup, &arguments);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
    assert_eq!(reached(&setup), 0);
}
