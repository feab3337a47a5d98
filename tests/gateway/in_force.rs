//! Newer revocation data is in force whatever else is broken, or its absence is seen (requirement R7).

use crate::blocks_desk::{STATE, TOKEN, TOKEN_FILE, block, with_blocks, write_secret};
use crate::common::neighbours::{NEIGHBOURS, with_broken};
use crate::common::{Gateway, Setup, Signal, TestApp, TestPki, curl, wait_until};
use crate::lists::{ListBuilder, pem};
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho_pki::certificate::Certificate;
use std::fs;
use std::net::TcpStream;
use std::path::Path;

const HOST: &str = "ib.localhost";

fn status(gateway: &Gateway, pki: &TestPki, client: &str) -> u16 {
    let answer = curl(gateway, pki, Some(client), &[&gateway.url(HOST, "/echo")]);
    if answer.code == 0 { answer.status() } else { 0 }
}

/// The CRL file with a further CRL of the issuing CA behind the others, which revokes these clients.
pub fn with_next(pki: &TestPki, number: u64, clients: &[&str]) -> Vec<u8> {
    let serials: Vec<_> = clients.iter().map(|client| pki.serial(client).unwrap().as_bytes().to_vec()).collect();
    with_entries(pki, number, &serials)
}

/// The same of these serial numbers.
fn with_entries(pki: &TestPki, number: u64, serials: &[Vec<u8>]) -> Vec<u8> {
    let key = KeyPair::from_pem(&fs::read_to_string(pki.path("issuing-ca.key")).unwrap()).unwrap();
    let issuer = CertificateDer::from_pem_file(pki.path("issuing-ca.pem")).unwrap();
    let issuer = Certificate::parse(&issuer).unwrap();
    let now = sekisho_runtime::clock::now();
    let next = ListBuilder::new(&key, issuer.subject().der()).number(number);
    let next = next.this_update(now).next_update(now.plus_seconds(3_600));
    let next = serials.iter().fold(next, |next, serial| next.revoke(serial));
    [fs::read(pki.path("crl.pem")).unwrap(), pem(&next.sign()).into_bytes()].concat()
}

/// Issues a client that is served.
#[track_caller]
fn joins(gateway: &Gateway, pki: &TestPki, client: &str) {
    pki.client(client, &format!("00009876543 {} 1635", client.replace('-', "")));
    assert_eq!(status(gateway, pki, client), 200, "{client}");
}

fn is_ready(gateway: &Gateway) -> bool {
    gateway.admin_get("/readyz").0 == 200
}

#[test]
fn a_crl_file_is_in_force_whatever_is_broken_beside_it() {
    let Setup { gateway, app: _app, pki } = Setup::new();
    let original = fs::read(pki.path("crl.pem")).unwrap();
    for (number, neighbour) in (1_000..).zip(&NEIGHBOURS) {
        let client = format!("client-{number}");
        joins(&gateway, &pki, &client);
        fs::write(pki.path("crl.new"), with_next(&pki, number, &[&client])).unwrap();
        with_broken(neighbour, &pki, &gateway, || {
            assert_eq!(status(&gateway, &pki, &client), 200, "{}", neighbour.what);
            fs::rename(pki.path("crl.new"), pki.path("crl.pem")).unwrap();
            wait_until(&format!("the CRL is in force beside {}", neighbour.what), || {
                status(&gateway, &pki, &client) == 0
            });
            assert_eq!(status(&gateway, &pki, "client-good"), 200, "{}", neighbour.what);
        });
        assert!(fs::read(pki.path("crl.pem")).unwrap().len() > original.len());
    }
}

#[test]
fn a_crl_that_cannot_be_read_is_not_ready_named_counted_and_taken_up_when_it_can() {
    let Setup { gateway, app: _app, mut pki } = Setup::new();
    let good = fs::read(pki.path("crl.pem")).unwrap();
    for (what, content, kind) in [
        ("garbage", b"garbage".to_vec(), "malformed"),
        ("empty", Vec::new(), "unreadable"),
        ("half", good[..good.len() / 2].to_vec(), "malformed"),
    ] {
        fs::write(pki.path("crl.pem"), content).unwrap();
        wait_until(&format!("the {what} CRL is told"), || {
            let (status, told) = gateway.admin_get("/readyz");
            status == 503 && told.contains("crl.pem") && told.contains(kind)
        });
        assert!(gateway.metric("sekisho_crl_current{ca=\"issuing\"}").abs() < f64::EPSILON, "{what}");
        assert_eq!(status(&gateway, &pki, "client-good"), 200, "{what}: the one before serves on");
        fs::write(pki.path("crl.pem"), &good).unwrap();
        wait_until(&format!("the {what} CRL is repaired"), || is_ready(&gateway));
    }
    joins(&gateway, &pki, "client-leaving");
    pki.revoke_client("client-leaving");
    wait_until("the next CRL is in force", || status(&gateway, &pki, "client-leaving") == 0);
}

/// It may revoke whoever is not on the one before.
#[test]
fn a_newer_crl_that_is_signed_and_malformed_lets_nobody_of_its_ca_in_until_the_next_one() {
    let Setup { gateway, app: _app, pki } = Setup::new();
    joins(&gateway, &pki, "client-leaving");
    let serial = pki.serial("client-leaving").unwrap().as_bytes().to_vec();
    let put = |content: Vec<u8>| {
        fs::write(pki.path("crl.new"), content).unwrap();
        fs::rename(pki.path("crl.new"), pki.path("crl.pem")).unwrap();
    };
    let good = fs::read(pki.path("crl.pem")).unwrap();
    put(with_entries(&pki, 1_000, &[serial.clone(), vec![]]));
    wait_until("it is told", || {
        let (status, told) = gateway.admin_get("/readyz");
        status == 503 && told.contains("crl.pem") && told.contains("an entry's serial number is empty")
    });
    assert!(gateway.metric("sekisho_crl_current{ca=\"issuing\"}").abs() < f64::EPSILON);
    assert!(gateway.metric("sekisho_crl_problems_total{ca=\"issuing\",kind=\"malformed\"}") > 0.5);
    for client in ["client-leaving", "client-good", "client-revoked"] {
        wait_until("nobody is let in", || status(&gateway, &pki, client) == 0);
    }
    // To go back to the one before is no cure.
    put(good);
    wait_until("it is told", || gateway.admin_get("/readyz").1.contains("still not understood"));
    assert_eq!(status(&gateway, &pki, "client-good"), 0);
    put(with_entries(&pki, 1_001, &[serial]));
    wait_until("the next one ends it", || is_ready(&gateway));
    let statuses = ["client-leaving", "client-good"].map(|client| status(&gateway, &pki, client));
    assert_eq!(statuses, [0, 200]);
}

#[test]
fn what_is_not_ready_is_configured() {
    let setup = Setup::with(|config| config.replacen("watch_files", "not_ready_when = []\nwatch_files", 1));
    fs::write(setup.pki.path("crl.pem"), "garbage").unwrap();
    setup.gateway.write_config("lissten = 1");
    wait_until("both are seen", || {
        setup.gateway.metric("sekisho_config_last_reload_successful") < 0.5
            && setup.gateway.metric("sekisho_crl_current{ca=\"issuing\"}") < 0.5
    });
    assert!(is_ready(&setup.gateway));
    let (_, told) = setup.gateway.admin_get("/status/revocation");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["refused_reload"]["errors"].to_string().contains("lissten"), "{told}");
    assert!(told["not_in_force"].as_array().unwrap().len() > 1, "{told}");
}

/// A cause that passes (no descriptors, an error of the disk) changes no file, so that no event tells of its end.
#[test]
fn a_reload_that_was_refused_is_tried_again_without_any_event() {
    let setup = Setup::with(|config| config.replacen("watch_files = true", "watch_files = false", 1));
    let key = setup.pki.path("portal.localhost.key");
    let whole = fs::read(&key).unwrap();
    fs::write(&key, "garbage").unwrap();
    setup.gateway.signal(Signal::Reload);
    wait_until("it is refused", || !is_ready(&setup.gateway));
    fs::write(&key, whole).unwrap();
    wait_until("it is tried again", || is_ready(&setup.gateway));
}

/// As of a network file system: the change comes by another name, and no event from the folder that is watched.
#[test]
fn a_crl_that_changes_without_an_event_is_taken_up() {
    let Setup { gateway, app: _app, pki } = Setup::new();
    let elsewhere = tempfile::tempdir_in(pki.folder().parent().unwrap()).unwrap();
    let link = elsewhere.path().join("crl.pem");
    fs::hard_link(pki.path("crl.pem"), &link).unwrap();
    joins(&gateway, &pki, "client-leaving");
    let next = with_next(&pki, 1_000, &["client-leaving"]);
    // The link made an event, and a young file is looked at once more.
    let settled = sekisho_runtime::clock::now().plus_seconds(6);
    wait_until("nothing is looked at any more for its event", || sekisho_runtime::clock::now() > settled);
    fs::write(&link, next).unwrap();
    wait_until("the CRL is in force", || status(&gateway, &pki, "client-leaving") == 0);
}

#[test]
fn a_byte_order_mark_hides_no_crl() {
    let Setup { gateway, app: _app, pki } = Setup::new();
    joins(&gateway, &pki, "client-leaving");
    // The newest first, behind a mark, and older ones after it.
    let old = fs::read(pki.path("crl.pem")).unwrap();
    let next = with_next(&pki, 1_000, &["client-leaving"]);
    let marked = ["\u{feff}".as_bytes(), &next[old.len()..], &old].concat();
    fs::write(pki.path("crl.new"), marked).unwrap();
    fs::rename(pki.path("crl.new"), pki.path("crl.pem")).unwrap();
    wait_until("the CRL is in force", || status(&gateway, &pki, "client-leaving") == 0);
    assert!(is_ready(&gateway));
}

#[test]
fn a_folder_of_too_many_files_is_not_ready_and_named() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    let config = config.replacen(r#"{ crl = ["crl.pem"] }"#, r#"{ crl = ["crl.pem", "crls"] }"#, 1);
    // No folder yet: named, too.
    let gateway = Gateway::listening(&pki, &config);
    wait_until("it is told", || {
        let (status, told) = gateway.admin_get("/readyz");
        status == 503 && told.contains("crls") && told.contains("No such file")
    });
    fs::create_dir(pki.path("crls")).unwrap();
    fs::copy(pki.path("crl.pem"), pki.path("crls/0.crl")).unwrap();
    wait_until("it is read", || is_ready(&gateway));
    for number in 1..=1_024 {
        fs::hard_link(pki.path("crls/0.crl"), pki.path(&format!("crls/{number}.crl"))).unwrap();
    }
    wait_until("it is told", || {
        let (status, told) = gateway.admin_get("/readyz");
        status == 503 && told.contains("crls") && told.contains("more than 1024 files")
    });
    fs::remove_file(pki.path("crls/1.crl")).unwrap();
    wait_until("as many as may be are read", || is_ready(&gateway));
}

/// A line of log is written with each reload, and is a change in the folder of the configuration.
#[test]
fn a_log_beside_the_configuration_makes_no_reload_of_itself() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    let log = pki.path("gateway.err");
    let (file, pipe) = (log.display(), pki.path("gateway.pipe"));
    let pipe = pipe.display();
    let lines = format!("mkfifo '{pipe}'; tee '{file}' <'{pipe}' >&2 & exec 2>'{pipe}'");
    let gateway = Gateway::start_with_shell(&pki, &config, &lines);
    let published = || gateway.metric("sekisho_reloads_total{outcome=\"published\"}");
    let lines = || fs::read_to_string(&log).unwrap().lines().filter(|line| line.contains("\"reloaded\"")).count();
    joins(&gateway, &pki, "client-leaving");
    fs::write(pki.path("crl.new"), with_next(&pki, 1_000, &["client-leaving"])).unwrap();
    fs::rename(pki.path("crl.new"), pki.path("crl.pem")).unwrap();
    wait_until("the CRL is in force", || status(&gateway, &pki, "client-leaving") == 0);
    // By then a storm would have made some forty.
    let later = sekisho_runtime::clock::now().plus_seconds(4);
    wait_until("the file is no longer young", || sekisho_runtime::clock::now() > later);
    assert!(lines() >= 1 && published() < 10.0, "{} reloads", published());
}

#[test]
fn with_every_descriptor_for_clients_taken_admin_answers_and_a_crl_is_taken_up() {
    let (mut pki, app) = (TestPki::new(), TestApp::new());
    write_secret(&pki.path(TOKEN_FILE), TOKEN);
    fs::create_dir(pki.path(STATE)).unwrap();
    let limits = "[gateway.limits]\nhandshake_timeout = \"300s\"\nconnections_per_address = 20000\n\n[[ca]]";
    let config = with_blocks(&Setup::configuration(&app)).replacen("[[ca]]", limits, 1);
    let gateway = Gateway::start_with_shell(&pki, &config, "ulimit -n 256");
    let warned = gateway.record("the limit", |record| record["limit"] == 256);
    assert!(warned["needed"].as_u64() > Some(40_000) && warned["accepted"].as_u64() > Some(10), "{warned}");
    // More than the process may open, each of them silent.
    let held: Vec<_> = (0..400).map(|_| TcpStream::connect(gateway.tls()).unwrap()).collect();
    let open = || fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count();
    wait_until("the gateway has taken or refused them all", || {
        let refused = gateway.metric("sekisho_limits_reached_total{limit=\"connections\"}")
            + gateway.metric("sekisho_accept_errors_total");
        refused > 200.0
    });
    assert!(open() < 256, "{}", open());
    for path in ["/livez", "/readyz", "/metrics", "/status/revocation"] {
        assert_eq!(gateway.admin_get(path).0, 200, "{path}");
    }
    block(&gateway, &serde_json::json!({"user": "somebody", "contract": "00009876543"}));
    let loaded = || gateway.metric("sekisho_crl_entries{ca=\"issuing\"}");
    let before = loaded();
    pki.client("client-leaving", "00009876543 leaving 1635");
    pki.revoke_client("client-leaving");
    wait_until("the CRL is in force", || loaded() > before);
    assert!(is_ready(&gateway));
    drop(held);
    wait_until("clients are served again", || status(&gateway, &pki, "client-good") == 200);
    assert_eq!(status(&gateway, &pki, "client-leaving"), 0);
}

/// Sets how many files the gateway may open; those that it has stay open.
fn limit_files(gateway: &Gateway, limit: u32) {
    let limit = format!("--nofile={limit}:1024");
    let done = std::process::Command::new("prlimit").args(["--pid", &gateway.pid().to_string(), &limit]).status();
    assert!(done.unwrap().success(), "prlimit (util-linux) sets a limit of our own process");
}

/// The error of the system itself, where a reload opens its files: neither a list nor the configuration is lost by it.
#[test]
fn a_reload_without_descriptors_is_refused_with_its_cause_and_taken_up_once_there_are_some() {
    let (mut pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    let gateway = Gateway::start_with_shell(&pki, &config, "ulimit -n 1024");
    joins(&gateway, &pki, "client-leaving");
    let refused = || gateway.metric("sekisho_reloads_total{outcome=\"refused\"}");
    let before = refused();
    limit_files(&gateway, 3);
    pki.revoke_client("client-leaving");
    gateway.signal(Signal::Reload);
    let told = gateway.record("the refused reload", |record| {
        record["message"].to_string().contains("reload refused") && record["error"].is_string()
    });
    assert!(told["error"].as_str().unwrap().contains("Too many open files"), "{told}");
    gateway.record("another try", |record| record["attempt"].as_u64() > Some(1));
    limit_files(&gateway, 1_024);
    assert!(refused() > before + 1.5, "{} of {before}", refused());
    wait_until("the CRL is in force", || status(&gateway, &pki, "client-leaving") == 0);
    wait_until("it is ready", || is_ready(&gateway));
    assert_eq!(status(&gateway, &pki, "client-good"), 200);
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_and_a_limit_too_low_is_refused() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    let gateway = Gateway::start_with_shell(&pki, &config, "ulimit -Sn 300; ulimit -Hn 2000");
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["2000", "2000"]);
    drop(gateway);
    let folder: &Path = pki.folder();
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" gateway --config \"$1\""])
        .arg(crate::common::binary())
        .arg(folder.join("sekisho.toml"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && told.contains("may open 64 files") && told.contains("LimitNOFILE"), "{told}");
}
