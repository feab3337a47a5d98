//! The block list (requirement R1): who is blocked by hand is refused on every path at once and nobody else is touched;
//! the list outlives a restart, ends by time, is changed by who may, and every change is on record.

use crate::blocks_desk::{
    STATE, TOKEN, TOKEN_FILE, Told, ask, ask_as_desk, block, listed, remove, start, start_with, with_blocks,
    write_secret,
};
use crate::common::{
    Gateway, Http2, Setup, Signal, TestPki, TlsClient, Version, alert, binary, curl, verified, wait_for, wait_until,
};
use crate::lapse::{ALERT, Closed, PAGE, Paths, REQUIRED, configuration};
use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sekisho_pki::fingerprint::Fingerprint;
use serde_json::{Value, json};
use std::process::{Command, Output};

const BLOCKED: Closed = Closed { alert: AlertDescription::AccessDenied, reason: "blocked" };

/// The CN of the one who goes, and a colleague's of the same contract.
const LEAVING: &str = "00001111111 leaving 1635";
const COLLEAGUE: &str = "00001111111 colleague 1635";

fn serial(pki: &TestPki, client: &str) -> Value {
    json!({"serial": pki.serial(client).unwrap().to_string(), "ca": "root-issuing"})
}

fn fingerprint(pki: &TestPki, client: &str) -> Value {
    let leaf = CertificateDer::from_pem_file(pki.path(&format!("{client}.pem"))).unwrap();
    json!({"fingerprint": Fingerprint::of(&leaf).to_string()})
}

fn in_time(seconds: i64) -> String {
    sekisho_runtime::clock::now().plus_seconds(seconds).to_string()
}

/// A GET on a new connection: the status.
fn status(setup: &Setup, client: &str, site: &str) -> std::io::Result<u16> {
    let client = TlsClient::new(&setup.pki, Some(client), Version::Tls13);
    client.get(&setup.gateway, site, "/echo").map(|(answer, _)| answer.status)
}

/// One kind of block against every path of who it names; `stays` is somebody it does not name.
fn closes_every_path(setup: &Setup, target: &Value, stays: &str) {
    let open = || setup.gateway.metric("sekisho_connections");
    let leaving = [ALERT, PAGE].map(|site| Paths::open(setup, Some("client-leaving"), site));
    let staying = [ALERT, PAGE].map(|site| Paths::open(setup, Some(stays), site));
    let count = f64::from(u32::try_from(4 * Paths::CONNECTIONS).unwrap());
    wait_until("closed connections are gone", || (open() - count).abs() < 0.5);
    let told = block(&setup.gateway, target);
    assert_eq!((&told["act"], &told["cut"]), (&json!("added"), &json!(Paths::CONNECTIONS + Paths::BUSY)), "{told}");
    leaving.into_iter().for_each(|paths| paths.are_closed(setup, &BLOCKED));
    staying.into_iter().for_each(|paths| paths.are_open(setup));
    let record = setup.gateway.record("the refusal", |record| {
        record["kind"] == "authentication" && record["reason"] == "blocked" && record["outcome"] == "refused"
    });
    let evidence = record["evidence"].as_str().unwrap();
    assert!(evidence.ends_with("by desk: laptop lost, ticket 4711"), "{record}");
    let told = remove(&setup.gateway, &told["block"]["id"]);
    assert_eq!((&told["act"], &told["cut"]), (&json!("removed"), &json!(0)), "{told}");
    for site in [ALERT, PAGE] {
        assert_eq!(status(setup, "client-leaving", site).unwrap(), 200, "{site} after the removal");
    }
}

fn with_people() -> Setup {
    let setup = start();
    setup.pki.client("client-leaving", LEAVING);
    setup.pki.client("client-colleague", COLLEAGUE);
    setup
}

#[test]
fn a_block_by_serial_closes_every_path_of_that_certificate_and_no_other() {
    let setup = with_people();
    closes_every_path(&setup, &serial(&setup.pki, "client-leaving"), "client-colleague");
}

#[test]
fn a_block_by_fingerprint_closes_every_path_of_that_certificate_and_no_other() {
    let setup = with_people();
    // Another certificate of the same person.
    setup.pki.client("client-second", LEAVING);
    closes_every_path(&setup, &fingerprint(&setup.pki, "client-leaving"), "client-second");
}

#[test]
fn a_block_by_user_closes_every_path_of_all_their_certificates_and_of_no_colleague() {
    let setup = with_people();
    setup.pki.client("client-second", LEAVING);
    let target = json!({"contract": "00001111111", "user": "leaving"});
    closes_every_path(&setup, &target, "client-colleague");
    block(&setup.gateway, &target);
    assert_eq!(alert(&status(&setup, "client-second", ALERT).unwrap_err()), Some(AlertDescription::AccessDenied));
}

#[test]
fn a_block_by_contract_closes_every_path_of_all_its_users_and_of_no_other_contract() {
    let setup = with_people();
    setup.pki.client("client-administrator", "00001111111 1635");
    let target = json!({"contract": "00001111111"});
    closes_every_path(&setup, &target, "client-good");
    block(&setup.gateway, &target);
    for client in ["client-leaving", "client-colleague", "client-administrator"] {
        assert_eq!(status(&setup, client, PAGE).unwrap(), 403, "{client}");
    }
}

#[test]
fn sekisho_verify_refuses_who_is_blocked() {
    let setup = with_people();
    let decided = |client: &str| verified(&setup.gateway, &setup.pki, ALERT, client);
    assert_eq!(decided("client-leaving").0, Some(0));
    let told = block(&setup.gateway, &json!({"contract": "00001111111", "user": "leaving"}));
    let (code, said) = decided("client-leaving");
    assert!(code == Some(1) && said.contains("refused: blocked") && said.contains("ticket 4711"), "{said}");
    assert_eq!(decided("client-colleague").0, Some(0));
    remove(&setup.gateway, &told["block"]["id"]);
    assert_eq!(decided("client-leaving").0, Some(0));
    std::fs::write(setup.pki.path(STATE).join("blocks.json"), "{").unwrap();
    let (code, said) = decided("client-colleague");
    assert!(code == Some(2) && said.contains("gateway.state_folder") && said.contains("blocks.json"), "{said}");
}

#[test]
fn a_block_by_serial_of_an_issuing_ca_refuses_everybody_below_it() {
    let setup = start();
    let issuing = CertificateDer::from_pem_file(setup.pki.path("issuing-ca.pem")).unwrap();
    let serial = sekisho_pki::certificate::Certificate::parse(&issuing).unwrap().serial().to_string();
    let told = block(&setup.gateway, &json!({"serial": serial, "ca": "root"}));
    for version in [Version::Tls12, Version::Tls13] {
        let good = TlsClient::new(&setup.pki, Some("client-good"), version);
        let error = good.get(&setup.gateway, ALERT, "/echo").map(|(answer, _)| answer.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::AccessDenied), "{error:?}");
    }
    remove(&setup.gateway, &told["block"]["id"]);
    assert_eq!(status(&setup, "client-good", ALERT).unwrap(), 200);
}

#[test]
fn the_page_tells_who_is_blocked_to_call_the_bank_in_both_languages_and_not_why() {
    let setup = with_people();
    block(&setup.gateway, &serial(&setup.pki, "client-leaving"));
    let url = setup.gateway.url(PAGE, "/echo");
    for (language, words) in [
        ("ja", ["この電子証明書のご利用を停止しています", "銀行のお問い合わせ窓口へご連絡ください"]),
        ("en", ["Access with this certificate has been stopped", "Contact the bank and quote the reference number."]),
    ] {
        let accept = format!("Accept-Language: {language}");
        let arguments = ["-H", &accept, "-H", "Accept: text/html", &url];
        let answer = curl(&setup.gateway, &setup.pki, Some("client-leaving"), &arguments);
        assert_eq!(answer.status(), 403);
        assert!(words.iter().all(|words| answer.body().contains(words)), "{}", answer.body());
        assert!(!answer.body().contains("4711") && !answer.body().contains("desk"), "{}", answer.body());
    }
    let json = curl(&setup.gateway, &setup.pki, Some("client-leaving"), &["-H", "Accept: application/json", &url]);
    let problem: Value = serde_json::from_str(json.body()).unwrap();
    assert_eq!(problem["type"], "urn:sekisho:refusal:blocked", "{problem}");
}

#[test]
fn the_list_outlives_a_restart_and_a_kill() {
    let mut setup = with_people();
    let told = block(&setup.gateway, &json!({"contract": "00001111111", "user": "leaving"}));
    let kept = told["block"].clone();
    let config = std::fs::read_to_string(setup.gateway.config()).unwrap();
    for signal in [Signal::Kill, Signal::Terminate] {
        setup.gateway.signal(signal);
        setup.gateway.wait_for_end();
        setup.gateway = Gateway::start(&setup.pki, &config);
        let error = status(&setup, "client-leaving", ALERT).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::AccessDenied), "{error:?}");
        assert_eq!(status(&setup, "client-colleague", ALERT).unwrap(), 200);
        let list = ask_as_desk(&setup.gateway, "GET", "/blocks", None).json;
        assert_eq!(list, json!({ "blocks": [kept] }));
        assert!((setup.gateway.metric("sekisho_blocks") - 1.0).abs() < 0.5);
    }
    remove(&setup.gateway, &kept["id"]);
    setup.gateway.signal(Signal::Kill);
    setup.gateway.wait_for_end();
    setup.gateway = Gateway::start(&setup.pki, &config);
    assert_eq!(listed(&setup.gateway), [] as [Value; 0], "a removal outlives it too");
    assert_eq!(status(&setup, "client-leaving", ALERT).unwrap(), 200);
}

#[test]
fn another_state_folder_waits_for_a_restart_which_is_told_and_nothing_is_kept_in_two() {
    let mut setup = with_people();
    let config = std::fs::read_to_string(setup.gateway.config()).unwrap();
    let key = format!("state_folder = {STATE:?}");
    let line = 1 + config.lines().position(|line| line == key).unwrap();
    let reloads = || setup.gateway.metric(r#"sekisho_reloads_total{outcome="published"}"#);
    let moved = config.replacen(&key, "state_folder = \"elsewhere\"", 1);
    for round in 1..=2_usize {
        let before = reloads();
        setup.gateway.write_config(&moved);
        setup.gateway.signal(Signal::Reload);
        wait_until("it is reloaded", || reloads() > before);
        let warned = || {
            setup.gateway.records(|record| {
                record["message"]
                    .as_str()
                    .is_some_and(|it| it.starts_with("the state folder changes with a restart only"))
            })
        };
        wait_until("each reload says so", || warned().len() >= round);
        let warning = &warned()[0];
        let place = warning["place"].as_str().unwrap();
        assert!(place.ends_with(&format!("sekisho.toml:{line}: gateway.state_folder")), "{warning}");
        assert!(warning["in_use"].as_str().unwrap().ends_with(STATE), "{warning}");
        assert_eq!(warning["level"], "WARN", "{warning}");
    }
    let target = json!({"contract": "00001111111", "user": "leaving"});
    let kept = block(&setup.gateway, &target)["block"].clone();
    assert!(!setup.pki.path("elsewhere").exists());
    // Who obeys, and moves what is kept, loses nothing.
    setup.gateway.signal(Signal::Terminate);
    setup.gateway.wait_for_end();
    std::fs::rename(setup.pki.path(STATE), setup.pki.path("elsewhere")).unwrap();
    setup.gateway = Gateway::start(&setup.pki, &moved);
    assert_eq!(listed(&setup.gateway), [kept["id"].clone()]);
}

#[test]
fn a_reload_keeps_the_list() {
    let setup = with_people();
    block(&setup.gateway, &json!({"contract": "00001111111"}));
    let reloads = || setup.gateway.metric(r#"sekisho_reloads_total{outcome="published"}"#);
    let before = reloads();
    setup.gateway.signal(Signal::Reload);
    wait_until("the reload was published", || reloads() > before);
    assert_eq!(listed(&setup.gateway).len(), 1);
    assert!(status(&setup, "client-leaving", ALERT).is_err());
}

#[test]
fn a_block_ends_by_time_without_a_reload_on_live_connections_too() {
    let setup = start_with(|config| config.replace("watch_files = true", "watch_files = false"));
    setup.pki.client("client-leaving", LEAVING);
    let reloads = || setup.gateway.metric(r#"sekisho_reloads_total{outcome="published"}"#);
    let client = TlsClient::new(&setup.pki, Some("client-leaving"), Version::Tls13);
    let (_, mut live) = client.get(&setup.gateway, PAGE, "/echo").unwrap();
    let mut live_http2 = Http2::connect(&client, &setup.gateway, PAGE).unwrap();
    let before = reloads();
    let target = json!({"contract": "00001111111", "user": "leaving", "expires": in_time(6)});
    let told = block(&setup.gateway, &target);
    // The connection of HTTP/1.1 is idle meanwhile: a refusal would end it.
    assert_eq!(live_http2.get(PAGE, "/echo").unwrap().0, 403);
    assert!(status(&setup, "client-leaving", ALERT).is_err());
    wait_until("a new handshake is let in", || status(&setup, "client-leaving", ALERT).is_ok());
    let record = setup.gateway.record("the end", |record| record["kind"] == "block" && record["act"] == "expired");
    assert_eq!(live.get(PAGE, "/echo").unwrap().status, 200);
    assert_eq!(live_http2.get(PAGE, "/echo").unwrap().0, 200);
    assert_eq!(record["block"], told["block"], "{record}");
    assert!(record["client"].is_null(), "nobody did it: {record}");
    assert!(listed(&setup.gateway).is_empty() && setup.gateway.metric("sekisho_blocks") < 0.5);
    let kept = std::fs::read_to_string(setup.pki.path(STATE).join("blocks.json")).unwrap();
    assert_eq!(kept, r#"{"version":1,"blocks":[]}"#);
    assert!((reloads() - before).abs() < 0.5, "nothing was reloaded");
}

#[test]
fn a_disk_that_hangs_when_a_block_ends_holds_up_no_other_limit() {
    let setup = start_with(|config| format!("{config}\n[gateway.limits]\nidle_timeout = \"1s\"\n"));
    let (expires, over) = (in_time(2), sekisho_runtime::clock::now().plus_seconds(3));
    block(&setup.gateway, &json!({"contract": "00009999999", "expires": expires}));
    // Whoever opens it to write waits until somebody reads it, which nobody does.
    let unfinished = setup.pki.path(STATE).join(".blocks.json.new");
    assert!(Command::new("mkfifo").arg(unfinished).status().unwrap().success());
    wait_until("the block has ended", || sekisho_runtime::clock::now() > over);
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let mut idle = client.connect(&setup.gateway, ALERT).unwrap();
    idle.read_to_its_end();
    assert!(setup.gateway.metric(r#"sekisho_limits_reached_total{limit="idle_timeout"}"#) > 0.5);
}

#[test]
fn the_same_target_again_replaces_the_block_and_keeps_its_number() {
    let setup = with_people();
    let first = block(&setup.gateway, &serial(&setup.pki, "client-leaving"));
    let mut again = serial(&setup.pki, "client-leaving");
    again["expires"] = in_time(3600).into();
    // As openssl writes it.
    again["serial"] = again["serial"].as_str().unwrap().to_uppercase().into();
    let second = block(&setup.gateway, &again);
    assert_eq!((&first["act"], &second["act"]), (&json!("added"), &json!("replaced")));
    assert_eq!(first["block"]["id"], second["block"]["id"]);
    assert_eq!(second["block"]["expires"], again["expires"]);
    assert_eq!(listed(&setup.gateway).len(), 1);
}

#[test]
fn every_change_is_on_record_with_who_from_where_what_and_why() {
    let setup = with_people();
    let target = json!({"contract": "00001111111", "user": "leaving"});
    let added = block(&setup.gateway, &target);
    block(&setup.gateway, &target);
    remove(&setup.gateway, &added["block"]["id"]);
    for (act, by_and_reason, cut) in [
        ("added", ("desk", "laptop lost, ticket 4711"), Some(0)),
        ("replaced", ("desk", "laptop lost, ticket 4711"), Some(0)),
        ("removed", ("desk", "found again"), None),
    ] {
        let record = setup.gateway.record(act, |record| record["kind"] == "block" && record["act"] == act);
        assert_eq!((record["by"].as_str().unwrap(), record["reason"].as_str().unwrap()), by_and_reason);
        assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
        assert!(record["time"].as_str().unwrap().ends_with('Z'), "{record}");
        let block = &record["block"];
        assert_eq!((&block["id"], &block["user"]), (&added["block"]["id"], &json!("leaving")), "{record}");
        assert_eq!(record["cut"].as_u64(), cut, "{record}");
        let counted = setup.gateway.metric(&format!("sekisho_block_changes_total{{act=\"{act}\"}}"));
        assert!((counted - 1.0).abs() < 0.5, "{act}: {counted}");
    }
}

#[test]
fn nobody_without_the_token_reads_or_changes_the_list() {
    let setup = with_people();
    let url = setup.gateway.admin_url("/blocks");
    let body = json!({"contract": "00001111111", "reason": "r", "by": "b"}).to_string();
    let json = ["-H", "Content-Type: application/json", "--data-binary", "@-"];
    let mut denied = 0;
    let wrong = [
        vec![],
        vec![String::new()],
        vec!["Bearer ".to_owned()],
        vec!["Bearer x".to_owned()],
        vec![format!("Basic {TOKEN}")],
        vec![TOKEN.to_owned()],
        vec![format!("Bearer {}", &TOKEN[1..])],
        vec![format!("Bearer {}", TOKEN.to_uppercase())],
        vec![format!("Bearer {TOKEN}"), format!("Bearer {TOKEN}")],
    ];
    for shown in &wrong {
        let headers: Vec<_> = shown.iter().map(|value| format!("Authorization: {value}")).collect();
        let headers: Vec<_> = headers.iter().flat_map(|header| ["-H", header.as_str()]).collect();
        for (method, path) in [("GET", ""), ("POST", ""), ("DELETE", "/0123456789abcdef"), ("PUT", "/x")] {
            let told = ask(&format!("{url}{path}"), &[&["-X", method], &headers[..], &json].concat(), body.as_bytes());
            assert_eq!(told.status, 401, "{method} with {shown:?}: {told:?}");
            assert_eq!(told.detail(), "show the token: Authorization: Bearer TOKEN");
            assert!(told.headers.contains("\r\nwww-authenticate: bearer\r\n"), "{told:?}");
            denied += 1;
        }
    }
    assert!(listed(&setup.gateway).is_empty());
    wait_until("each try is on record", || {
        setup.gateway.records(|record| record["kind"] == "block" && record["act"] == "denied").len() == denied
    });
    let record = setup.gateway.record("a try", |record| record["kind"] == "block" && record["act"] == "denied");
    assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
    assert!(!setup.gateway.output().contains(&TOKEN[1..]), "no token is in a log");
    assert_eq!(status(&setup, "client-leaving", ALERT).unwrap(), 200);
}

#[test]
fn without_a_token_file_there_is_no_list_to_change() {
    let setup = Setup::new();
    for method in ["GET", "POST", "DELETE"] {
        let told = ask_as_desk(&setup.gateway, method, "/blocks", Some(&json!({})));
        assert_eq!(told.status, 404, "{told:?}");
        assert!(told.detail().starts_with("gateway.admin_token_file is not configured"), "{told:?}");
    }
    // Its absence is no error in itself: the rest of the admin address is there.
    assert_eq!(setup.gateway.admin_get("/readyz").0, 200);
}

/// An address of this machine that is not a loopback one; none when it has no network.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.250:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn the_token_is_taken_over_the_network_only_where_the_configuration_says_so() {
    let Some(address) = own_address() else {
        // Without a network there is nobody to refuse; the rule itself has a test beside it.
        return;
    };
    let setup = start();
    let anywhere = |config: &str| config.replacen("127.0.0.1:0", &format!("{address}:0"), 2);
    let config = anywhere(&std::fs::read_to_string(setup.gateway.config()).unwrap());
    let gateway = Gateway::start(&setup.pki, &config);
    let told = ask_as_desk(&gateway, "GET", "/blocks", None);
    assert_eq!(told.status, 403, "{told:?}");
    let why = "the token is taken from this machine only; gateway.admin_token_from says from where";
    assert_eq!(told.detail(), why);
    let record = gateway.record("the try", |record| record["kind"] == "block" && record["act"] == "denied");
    assert_eq!(record["error"], "not from this machine", "{record}");
    drop(gateway);
    let open = config.replacen("[gateway]\n", "[gateway]\nadmin_token_from = \"anywhere\"\n", 1);
    let gateway = Gateway::start(&setup.pki, &open);
    assert_eq!(ask_as_desk(&gateway, "GET", "/blocks", None).status, 200);
}

#[test]
fn a_new_token_is_in_force_with_the_next_reload_and_a_bad_one_changes_nothing() {
    let setup = start();
    let new = "another-token-of-thirty-two-characters";
    let list = |token: &str| {
        let authorization = format!("Authorization: Bearer {token}");
        ask(&setup.gateway.admin_url("/blocks"), &["-H", &authorization], b"").status
    };
    write_secret(&setup.pki.path(TOKEN_FILE), "short");
    let refused = r#"sekisho_reloads_total{outcome="refused"}"#;
    wait_until("the short one is refused", || setup.gateway.metric(refused) > 0.5);
    assert_eq!((list(TOKEN), list("short")), (200, 401));
    write_secret(&setup.pki.path(TOKEN_FILE), new);
    wait_until("the new one is taken", || list(new) == 200);
    assert_eq!(list(TOKEN), 401);
}

#[test]
fn what_is_asked_wrongly_is_refused_with_what_is_wrong_and_changes_nothing() {
    let setup = with_people();
    let post = |body: &str| -> Told {
        let authorization = format!("Authorization: Bearer {TOKEN}");
        let json = ["-H", "Content-Type: application/json", "--data-binary", "@-"];
        ask(&setup.gateway.admin_url("/blocks"), &[&["-H", &authorization][..], &json].concat(), body.as_bytes())
    };
    let with = |rest: &str| format!(r#"{{"reason": "r", "by": "b", {rest}}}"#);
    for (body, detail) in [
        (String::new(), "send a JSON object"),
        ("[]".into(), "send a JSON object"),
        (r#"[null, "1", "root", null, null, null, null, "r", "b", null, null]"#.into(), "send a JSON object"),
        ("{}".into(), "missing field `reason` at line 1 column 2"),
        (with(r#""contrat": "1""#), "unknown field `contrat`, expected one of "),
        (with(r#""contract": 1"#), "invalid type: integer `1`, expected a string"),
        (with(r#""contract": "1", "user": "u", "user": "v""#), "duplicate field `user`"),
        (format!("{} x", with(r#""contract": "1""#)), "trailing characters"),
        (with(r#""serial": "1""#), "serial needs ca: the name of the CA that issued it"),
        (
            with(r#""serial": "1", "ca": "nobody""#),
            r#"ca "nobody" is not configured here; there are root, root-issuing"#,
        ),
        (with(r#""serial": "0x1", "ca": "root""#), r#"serial "0x1" is not a serial number in hex"#),
        (with(r#""fingerprint": "00""#), r#"fingerprint "00" is not the 64 hex digits of a SHA-256"#),
        (with(r#""user": "leaving""#), "user needs contract: a user ID is one of a contract"),
        (
            with(r#""contract": "1", "fingerprint": "00""#),
            "write exactly one of serial with ca, fingerprint, contract, or contract with user",
        ),
        (
            with(r#""contract": "1", "expires": "2020-01-01T00:00:00Z""#),
            "expires 2020-01-01T00:00:00Z has passed; it is 20",
        ),
        (with(r#""contract": "1", "expires": "soon""#), r#"expires "soon" is not a time in UTC"#),
        (with(r#""contract": "1", "id": "0123456789abcdef""#), "id is not for you to choose; leave it out"),
        (r#"{"reason": " ", "by": "b", "contract": "1"}"#.into(), "reason begins or ends with a space"),
        (format!(r#"{{"reason": "{}", "by": "b", "contract": "1"}}"#, "r".repeat(501)), "reason has 501 octets"),
        (r#"{"reason": "r", "by": "b\n", "contract": "1"}"#.into(), "by begins or ends with a space, or has a control"),
    ] {
        let told = post(&body);
        assert_eq!(told.status, 400, "{body}: {told:?}");
        assert!(told.detail().starts_with(detail), "{body}: {told:?}");
        assert!(told.headers.contains("content-type: application/problem+json"), "{told:?}");
    }
    let far = with(&format!(r#""contract": "{}""#, "1".repeat(9_000)));
    assert_eq!((post(&far).status, post(&far).detail()), (413, "a body has at most 8192 octets"));
    assert!(listed(&setup.gateway).is_empty());
    assert_eq!(status(&setup, "client-leaving", ALERT).unwrap(), 200);
}

#[test]
fn other_methods_paths_and_types_are_told_what_there_is() {
    let setup = start();
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let json = ["-H", "Content-Type: application/json"];
    let act = r#"{"reason": "r", "by": "b"}"#;
    let asked = |method: &str, path: &str, more: &[&str], body: &str| {
        let arguments = [&["-X", method, "-H", &authorization][..], more, &["--data-binary", "@-"]].concat();
        ask(&setup.gateway.admin_url(path), &arguments, body.as_bytes())
    };
    for (method, path, status, detail) in [
        ("PUT", "/blocks", 405, "this path takes GET, POST"),
        ("DELETE", "/blocks", 405, "this path takes GET, POST"),
        ("GET", "/blocks/0123456789abcdef", 405, "this path takes DELETE"),
        ("DELETE", "/blocks/0123456789abcdef", 404, "there is no block 0123456789abcdef"),
        ("DELETE", "/blocks/0123456789ABCDEF", 404, "there is no block \"0123456789ABCDEF\""),
        ("DELETE", "/blocks/", 404, "there is no block \"\""),
        ("POST", "/blocks?expires=never", 400, "this path takes no query"),
    ] {
        let told = asked(method, path, &json, act);
        assert_eq!((told.status, told.detail()), (status, detail), "{method} {path}");
    }
    assert!(asked("PUT", "/blocks", &json, act).headers.contains("\r\nallow: get, post\r\n"));
    for more in [&["-H", "Content-Type: text/plain"][..], &["-H", "Content-Type:"]] {
        let told = asked("POST", "/blocks", more, act);
        assert_eq!((told.status, told.detail()), (415, "send Content-Type: application/json"));
    }
    // As long as it likes and of unknown length: it is read no further than it may be, and answered.
    let chunked = [&json[..], &["-H", "Transfer-Encoding: chunked"]].concat();
    assert_eq!(asked("POST", "/blocks", &chunked, &"x".repeat(1 << 20)).status, 413);
    assert_eq!(setup.gateway.admin_get("/blocksmith").0, 404);
}

#[test]
fn a_state_file_that_is_not_whole_stops_the_start_and_is_named() {
    let mut setup = with_people();
    block(&setup.gateway, &json!({"contract": "00001111111"}));
    let config = std::fs::read_to_string(setup.gateway.config()).unwrap();
    setup.gateway.signal(Signal::Kill);
    setup.gateway.wait_for_end();
    let file = setup.pki.path(STATE).join("blocks.json");
    let whole = std::fs::read_to_string(&file).unwrap();
    let line = 1 + config.lines().position(|line| line.starts_with("state_folder")).unwrap();
    for (content, why) in [
        ("", "is not a block list that was kept: EOF"),
        (&whole[..whole.len() / 2], "is not a block list that was kept: EOF"),
        (&whole.replace("\"00001111111\"", "\"00002222222\""), "is not a block list that was kept: block 0: id "),
        (&whole.replace("\"version\":1", "\"version\":2"), "is of version 2, which this program does not know"),
        ("{}", "is not a block list that was kept: missing field"),
    ] {
        std::fs::write(&file, content).unwrap();
        let (status, said) = Gateway::refused(&setup.pki, &config);
        assert_eq!(status.code(), Some(1), "{said}");
        let place = format!("sekisho.toml:{line}: gateway.state_folder: ");
        let named = |line: &str| line.contains(&place) && line.contains(&format!("{STATE}/blocks.json: {why}"));
        assert!(said.lines().any(named), "{why}: {said}");
        let check = Command::new(binary()).arg("check").arg("--config").arg(setup.gateway.config()).output().unwrap();
        let said = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
        assert!(check.status.code() == Some(1) && said.lines().any(named), "{said}");
    }
    std::fs::write(&file, &whole).unwrap();
    setup.gateway = Gateway::start(&setup.pki, &config);
    assert!(status(&setup, "client-leaving", ALERT).is_err());
}

#[test]
fn a_disk_that_fails_keeps_a_new_block_in_force_and_an_old_one_too() {
    let setup = with_people();
    let told = block(&setup.gateway, &json!({"contract": "00001111111", "user": "colleague"}));
    // A folder in the place of the file that is written first: as root, permissions would not stop it.
    let in_the_way = setup.pki.path(STATE).join(".blocks.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let wanted = json!({"contract": "00001111111", "user": "leaving", "reason": "r", "by": "b"});
    let added = ask_as_desk(&setup.gateway, "POST", "/blocks", Some(&wanted));
    assert_eq!((added.status, &added.json["type"]), (500, &json!("urn:sekisho:admin:not-kept")));
    assert!(added.detail().contains("is in force, but could not be kept and ends with this process"), "{added:?}");
    assert!(status(&setup, "client-leaving", ALERT).is_err(), "it is in force");
    let id = told["block"]["id"].as_str().unwrap();
    let act = json!({"reason": "r", "by": "b"});
    let removed = ask_as_desk(&setup.gateway, "DELETE", &format!("/blocks/{id}"), Some(&act));
    assert_eq!((removed.status, &removed.json["type"]), (500, &json!("urn:sekisho:admin:not-removed")));
    assert!(status(&setup, "client-colleague", ALERT).is_err(), "it stays in force");
    let record = setup.gateway.record("what was not kept", |record| record["kind"] == "block" && record["by"] == "b");
    assert!(record["error"].is_string() && record["act"] == "added", "{record}");
    std::fs::remove_dir(&in_the_way).unwrap();
    remove(&setup.gateway, &told["block"]["id"]);
    let kept = std::fs::read_to_string(setup.pki.path(STATE).join("blocks.json")).unwrap();
    assert!(kept.contains("\"leaving\"") && !kept.contains("\"colleague\""), "the next change keeps all: {kept}");
}

fn sekisho_block(pki: &TestPki, arguments: &[&str]) -> Output {
    Command::new(binary()).arg("block").args(arguments).current_dir(pki.folder()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn several_gateways_are_told_at_once_and_the_exit_code_says_whether_all_have_it() {
    let setup = with_people();
    let second_state = configuration(&setup.app, &["root"], &REQUIRED);
    let second = with_blocks(&second_state).replace(&format!("\"{STATE}\""), "\"second\"");
    let config = std::fs::read_to_string(setup.gateway.config()).unwrap();
    let second = Gateway::start(&setup.pki, &second);
    // The second wrote over the first's file, which that took up.
    setup.gateway.write_config(&config);
    let url = |gateway: &Gateway| gateway.admin_url("").trim_end_matches('/').to_owned();
    let (one, two, nobody) = (url(&setup.gateway), url(&second), "http://127.0.0.1:1".to_owned());
    let both = ["--gateway", &one, "--gateway", &two, "--token-file", TOKEN_FILE];
    let and_nobody = [&both[..], &["--gateway", &nobody]].concat();
    let act = ["--reason", "laptop lost", "--by", "desk"];
    let target = ["--contract", "00001111111", "--user", "leaving"];

    let added = sekisho_block(&setup.pki, &[&["add"], &both[..], &act, &target, &["--for", "2h"]].concat());
    let said = text(&added);
    assert_eq!(added.status.code(), Some(0), "{said}");
    let id = said.split("added ").nth(1).unwrap()[..16].to_owned();
    let line = |gateway: &str| format!("{gateway}: added {id}, connections cut: 0\n");
    assert_eq!(said, format!("{}{}2 of 2 gateways have it\n", line(&one), line(&two)));
    for gateway in [&setup.gateway, &second] {
        assert_eq!(listed(gateway), [json!(id)]);
        let client = TlsClient::new(&setup.pki, Some("client-leaving"), Version::Tls13);
        assert!(client.get(gateway, ALERT, "/echo").is_err());
    }
    let list = sekisho_block(&setup.pki, &[&["list"], &both[..]].concat());
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let said = text(&list);
    assert!(said.starts_with(&format!("{id}  user leaving of contract 00001111111  since 20")), "{said}");
    assert!(said.ends_with("by desk: laptop lost\n1 blocks on 2 of 2 gateways\n"), "{said}");

    // One that does not answer: the others have it, and the exit code is another.
    let added = sekisho_block(&setup.pki, &[&["add"], &and_nobody[..], &act, &["--contract", "00002222222"]].concat());
    let said = text(&added);
    assert_eq!(added.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{nobody}: FAILED: failed: ")) && said.ends_with("2 of 3 gateways have it\n"));

    // Removed from one only: the list tells who lacks it.
    let only_one = ["--gateway", &one, "--token-file", TOKEN_FILE];
    let removed = sekisho_block(&setup.pki, &[&["remove", &id], &only_one[..], &act].concat());
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    assert_eq!(text(&removed), format!("{one}: removed {id}, connections cut: 0\n1 of 1 gateways have it\n"));
    let list = sekisho_block(&setup.pki, &[&["list"], &both[..]].concat());
    assert_eq!(list.status.code(), Some(1));
    assert!(text(&list).contains(&format!("\n{id}  NOT ON {one}\n")), "{list:?}");
    let again = sekisho_block(&setup.pki, &[&["remove", &id], &both[..], &act].concat());
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains(&format!("{one}: FAILED: 404: there is no block {id}\n")), "{again:?}");
}

#[test]
fn the_command_refuses_wrong_usage_and_tokens_that_others_can_read() {
    let setup = start();
    let gateway = setup.gateway.admin_url("").trim_end_matches('/').to_owned();
    let at = ["--gateway", &gateway, "--token-file", TOKEN_FILE];
    let act = ["--reason", "r", "--by", "b"];
    for wrong in [
        &["--serial", "01"][..],
        &["--user", "leaving"],
        &["--fingerprint", "00", "--contract", "1"],
        &["--contract", "1", "--expires", "2030-01-01T00:00:00Z", "--for", "1h"],
        &["--contract", "1", "--for", "1 hour"],
        &[],
    ] {
        let output = sekisho_block(&setup.pki, &[&["add"], &at[..], &act, wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
    write_secret(&setup.pki.path("wrong.token"), "wrong-token-of-thirty-two-characters");
    std::fs::write(setup.pki.path("open.token"), TOKEN).unwrap();
    for (gateway, token, code, said) in [
        (&*gateway, "wrong.token", 1, "FAILED: 401: show the token: Authorization: Bearer TOKEN"),
        (&gateway, "open.token", 2, "open.token: its mode is 0644: others can read it; make it 0600"),
        (&gateway, "no.token", 2, "no.token: cannot be read: No such file or directory"),
        ("https://127.0.0.1:1", TOKEN_FILE, 2, "the admin address speaks no TLS; write http://ADDRESS:PORT"),
    ] {
        let at = ["--gateway", gateway, "--token-file", token];
        let output = sekisho_block(&setup.pki, &[&["add"], &at[..], &act, &["--contract", "1"]].concat());
        assert_eq!(output.status.code(), Some(code), "{token}: {output:?}");
        assert!(text(&output).contains(said), "{output:?}");
    }
    assert!(listed(&setup.gateway).is_empty());
    let told = wait_for("a denied try", || {
        let denied = setup.gateway.metric(r#"sekisho_block_changes_total{act="denied"}"#);
        (denied > 0.5).then_some(denied)
    });
    assert!((told - 1.0).abs() < 0.5, "{told}");
}

#[test]
fn a_block_list_that_is_gone_is_told_of_and_one_that_never_was_is_not() {
    let mut setup = with_people();
    let is_told = |record: &Value| {
        record["level"] == "ERROR"
            && record["message"].as_str().is_some_and(|text| text.contains("the block list is gone"))
    };
    assert!(setup.gateway.records(is_told).is_empty(), "a first start");
    block(&setup.gateway, &json!({"contract": "00001111111"}));
    let config = std::fs::read_to_string(setup.gateway.config()).unwrap();
    setup.gateway.signal(Signal::Kill);
    setup.gateway.wait_for_end();
    let file = setup.pki.path(STATE).join("blocks.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(setup.pki.path(STATE).join("withdrawn"), "").unwrap();
    setup.gateway = Gateway::start(&setup.pki, &config);
    assert_eq!(setup.gateway.records(is_told).len(), 1);
    assert!(file.exists(), "it is missed again, should it be gone again");
}
