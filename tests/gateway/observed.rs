//! What is seen from outside: metrics, health, the access record (requirement O2).

use crate::common::{Setup, TlsClient, TlsConnection, Version, WebSocket, curl, wait_until};
use crate::support::{HOST, with_limits};
use std::collections::BTreeMap;
use std::process::Command;

fn connect(setup: &Setup) -> TlsConnection {
    TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap()
}

/// A metric's name, labels and value.
type Sample<'a> = (&'a str, Vec<(&'a str, String)>, f64);

/// Parses a line of Prometheus text format 0.0.4.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else { return Some((series, Vec::new(), value)) };
    let mut rest = labels.strip_suffix('}')?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut octets = quoted.char_indices();
        let end = loop {
            match octets.next()? {
                (_, '\\') => text.push(octets.next().filter(|(_, escaped)| "\\\"n".contains(*escaped))?.1),
                (at, '"') => break at,
                (_, other) => text.push(other),
            }
        };
        found.push((label, text));
        rest = quoted[end + 1..].strip_prefix(',').unwrap_or(&quoted[end + 1..]);
    }
    Some((name, found, value))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_' || octet.is_ascii_digit())
}

#[test]
fn every_line_of_the_exposition_is_valid_and_every_metric_has_help_and_type() {
    let setup = Setup::with(with_limits("request_header_bytes = \"4KiB\""));
    // Something for each of them.
    assert_eq!(connect(&setup).get(HOST, "/echo").unwrap().status, 200);
    let large = format!("GET / HTTP/1.1\r\nHost: ib.localhost\r\nX: {}\r\n\r\n", "x".repeat(5_000));
    connect(&setup).send(large.as_bytes()).unwrap();
    curl(&setup.gateway, &setup.pki, Some("client-revoked"), &[&setup.gateway.url("portal.localhost", "/")]);
    curl(&setup.gateway, &setup.pki, Some("client-revoked"), &[&setup.gateway.url(HOST, "/")]);
    setup.gateway.record("the large header", |record| record["status"] == 431);
    let (status, text) = setup.gateway.admin_get("/metrics");
    assert_eq!(status, 200);
    let (mut helped, mut types, mut samples) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && help.ends_with('.'), "{line}");
            helped.push(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert_eq!(helped.last(), Some(&name), "{line}");
            assert!(types.insert(name, kind).is_none(), "twice: {line}");
        } else {
            let (name, labels, value) = sample(line).unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && labels.iter().all(|(label, _)| is_name(label)), "{line}");
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|family| types.get(family) == Some(&"histogram")));
            let kind = types.get(family.unwrap_or(name)).unwrap_or_else(|| panic!("no TYPE: {line}"));
            assert!(*kind != "counter" || (name.ends_with("_total") && value >= 0.0), "{line}");
            assert!(samples.insert(line.rsplit_once(' ').unwrap().0, value).is_none(), "twice: {line}");
        }
    }
    let declared = sekisho::gateway::metric_declarations();
    for (name, kind) in &types {
        let declaration = declared.iter().find(|declaration| declaration.name == *name);
        assert_eq!(declaration.map(|declaration| declaration.kind.as_str()), Some(*kind), "{name}");
    }
    for name in [
        "sekisho_accept_errors_total",
        "sekisho_connections",
        "sekisho_cut_connections_total",
        "sekisho_dropped_log_records_total",
        "sekisho_handshake_duration_seconds",
        "sekisho_handshakes_total",
        "sekisho_limits_reached_total",
        "sekisho_refused_requests_total",
        "sekisho_reloads_total",
        "sekisho_request_duration_seconds",
        "sekisho_requests_total",
        "sekisho_crl_entries",
        "sekisho_crl_next_update_timestamp_seconds",
        "sekisho_crl_this_update_timestamp_seconds",
        "sekisho_snapshots_published_total",
        "sekisho_unenforced_refusals_total",
        "sekisho_upstream_errors_total",
        "sekisho_upstream_peer_healthy",
    ] {
        assert!(types.contains_key(name), "{name} is not there");
    }
    assert!(samples[r#"sekisho_refused_requests_total{reason="revoked",site="portal.localhost"}"#] > 0.5);
}

#[test]
fn the_admin_address_answers_what_it_has_and_takes_nothing() {
    let setup = Setup::new();
    assert_eq!(setup.gateway.admin_get("/livez"), (200, "alive\n".to_owned()));
    assert_eq!(setup.gateway.admin_get("/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(setup.gateway.admin_get("/nothing").0, 404);
    assert_eq!(setup.gateway.admin_get("/.well-known/jwks.json").0, 404, "no assertion is configured");
    for method in ["POST", "PUT", "DELETE"] {
        let url = setup.gateway.admin_url("/metrics");
        let status = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "-d", "x", &url];
        let output = Command::new("curl").args(status).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "405", "{method}");
    }
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &[&setup.gateway.url(HOST, "/metrics")]);
    assert!(!answer.body().contains("sekisho_requests_total"), "the sites show no metrics: {answer:?}");
}

#[test]
fn a_request_leaves_one_record_with_every_field() {
    let setup = Setup::new();
    for (version, protocol) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        let url = setup.gateway.url(HOST, "/upload?secret=1");
        curl(&setup.gateway, &setup.pki, Some("client-good"), &[version, "-d", "abc", &url]);
        let is_it = |record: &serde_json::Value| record["kind"] == "access" && record["protocol"] == protocol;
        let record = setup.gateway.record("the access", is_it);
        for (field, expected) in [
            ("method", "POST".into()),
            ("site", HOST.into()),
            ("host", HOST.into()),
            ("path", "/upload".into()),
            ("status", 200.into()),
            ("resumed", false.into()),
            ("contract_id", "00009876543".into()),
            ("user_id", "riyousya".into()),
            ("serial", setup.pki.serial("client-good").unwrap().to_string().into()),
            ("upstream", setup.app.peer().into()),
        ] {
            let expected: serde_json::Value = expected;
            assert_eq!(record[field], expected, "{field} in {record}");
        }
        assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
        assert!(record["request_id"].as_str().unwrap().len() >= 16, "{record}");
        assert!(record["microseconds"].as_u64().unwrap() > 0 && record["response_octets"].as_u64().unwrap() > 50);
        assert!(record["time"].is_string() && record["connection"].is_u64(), "{record}");
        assert!(!record.to_string().contains("secret"), "a query may hold what no log should: {record}");
        assert_eq!(setup.gateway.records(is_it).len(), 1);
    }
}

#[test]
fn hostile_targets_leave_records_that_are_one_line_of_json_each() {
    let setup = Setup::new();
    let targets = [
        "/a\"b",
        "/a\\b",
        "/%0a%0d{\"kind\":\"cut\"}",
        "/\u{7f}",
        "/\u{e9}\u{1b}[31m",
        "/%ff%fe",
        "/<script>",
        "/a\u{2028}b",
    ];
    for target in targets {
        let mut connection = connect(&setup);
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").as_bytes()).unwrap();
        let _ = connection.receive();
    }
    assert_eq!(connect(&setup).get(HOST, "/echo").unwrap().status, 200);
    setup.gateway.record("the last", |record| record["path"] == "/echo");
    let output = setup.gateway.output();
    let access: Vec<_> = output.lines().filter(|line| line.contains("\"kind\":\"access\"")).collect();
    assert!(access.len() > 3, "{output}");
    for line in &access {
        let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(record["kind"], "access", "{line}");
        assert!(line.bytes().all(|octet| octet >= 0x20), "{line:?}");
    }
    assert!(setup.gateway.records(|record| record["kind"] == "cut").is_empty());
}

#[test]
fn a_websocket_is_one_record_when_it_ends() {
    let setup = Setup::new();
    let mut socket = WebSocket::open(connect(&setup), HOST);
    assert_eq!(socket.echo("hello").unwrap(), "hello");
    drop(socket.into_inner());
    let record = setup.gateway.record("the WebSocket", |record| record["path"] == "/ws");
    assert_eq!(record["status"], 101, "{record}");
    wait_until("its connection is gone", || setup.gateway.metric("sekisho_connections") < 0.5);
}
