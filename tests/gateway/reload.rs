//! New files are taken up without dropping a connection; bad ones change nothing (requirements G10, R2).

use crate::common::{Setup, Signal, TestApp, TestPki, TlsClient, Version, curl, wait_until};
use crate::lists::{ListBuilder, pem};
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho_pki::certificate::Certificate;

const HOST: &str = "ib.localhost";

fn status(setup: &Setup, client: &str, path: &str) -> u16 {
    let answer = curl(&setup.gateway, &setup.pki, Some(client), &[&setup.gateway.url(HOST, path)]);
    if answer.code == 0 { answer.status() } else { 0 }
}

#[test]
fn a_new_configuration_is_in_force_without_dropping_a_connection() {
    let setup = Setup::new();
    let mut open =
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
    assert_eq!(open.get(HOST, "/echo").unwrap().status, 200);
    let users = "[[site.route]]\npath = \"/users\"";
    let route = "[[site.route]]\npath = \"/echo/closed\"\npool = \"ib\"\nrequire = [\"!user_id\"]\n\n";
    let closed = Setup::configuration(&setup.app).replacen(users, &format!("{route}{users}"), 1);
    setup.gateway.write_config(&closed);
    setup.gateway.signal(Signal::Reload);
    wait_until("the new route refuses", || status(&setup, "client-good", "/echo/closed") == 403);
    assert!(open.get(HOST, "/healthz").is_ok(), "the open connection was dropped");
}

#[test]
fn what_others_write_beside_the_files_makes_no_reload() {
    let setup = Setup::new();
    let folder = setup.gateway.config().parent().unwrap().to_owned();
    let published = || setup.gateway.metric("sekisho_reloads_total{outcome=\"published\"}");
    // Younger files might have changed again within the file system's clock tick.
    // They are read once more when one would show.
    let settled = sekisho_runtime::clock::now().plus_seconds(5);
    wait_until("the files are old enough", || sekisho_runtime::clock::now() > settled || published() > 0.5);
    let before = published();
    for line in 0..20 {
        std::fs::write(folder.join("somebody.log"), line.to_string()).unwrap();
        assert_eq!(status(&setup, "client-good", "/echo"), 200);
    }
    setup.gateway.signal(Signal::Reload);
    wait_until("the signal's reload is there", || published() > before);
    assert!((published() - before - 1.0).abs() < f64::EPSILON, "{} reloads", published() - before);
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_told() {
    let setup = Setup::new();
    for wrong in ["[[site", "no_such_key = 1", "[gateway]\nlisten = [\"127.0.0.1:0\"]"] {
        let before = failures(&setup);
        setup.gateway.write_config(wrong);
        setup.gateway.signal(Signal::Reload);
        wait_until("the failure is counted", || failures(&setup) > before);
        assert_eq!(status(&setup, "client-good", "/echo"), 200);
        assert_eq!(status(&setup, "client-revoked", "/echo"), 0);
    }
    assert!(setup.gateway.output().contains("no_such_key"), "{}", setup.gateway.output());
}

#[test]
fn a_list_that_is_garbage_truncated_forged_or_older_leaves_the_old_one_in_force() {
    let mut setup = Setup::new();
    let old = std::fs::read(setup.pki.path("crl.pem")).unwrap();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    setup.pki.revoke_client("client-leaving");
    wait_until("the new list is in force", || status(&setup, "client-leaving", "/echo") == 0);
    let newest = std::fs::read(setup.pki.path("crl.pem")).unwrap();
    // Of a higher number than the one in force and revoking a good client: only the signature speaks against them.
    let with_newer = |list: Vec<u8>| [newest.as_slice(), pem(&list).as_bytes()].concat();
    let mut tampered = list_revoking_client_good(&setup, "issuing-ca");
    *tampered.last_mut().unwrap() ^= 1;
    for (what, list) in [
        ("garbage", b"garbage".to_vec()),
        ("empty", Vec::new()),
        ("truncated", newest[..newest.len() / 2].to_vec()),
        ("tampered with", with_newer(tampered)),
        ("another key's", with_newer(list_revoking_client_good(&setup, "other-issuing-ca"))),
        ("older", old),
    ] {
        std::fs::write(setup.pki.path("crl.new"), list).unwrap();
        let alarms = alarms(&setup);
        std::fs::rename(setup.pki.path("crl.new"), setup.pki.path("crl.pem")).unwrap();
        setup.gateway.signal(Signal::Reload);
        wait_until(&format!("the {what} list is reported"), || self::alarms(&setup) > alarms);
        assert_eq!(status(&setup, "client-leaving", "/echo"), 0, "{what}");
        assert_eq!(status(&setup, "client-good", "/echo"), 200, "{what}");
    }
}

/// The issuing CA's next list but many, signed by `signer`.
fn list_revoking_client_good(setup: &Setup, signer: &str) -> Vec<u8> {
    let key = KeyPair::from_pem(&std::fs::read_to_string(setup.pki.path(&format!("{signer}.key"))).unwrap()).unwrap();
    let issuer = CertificateDer::from_pem_file(setup.pki.path("issuing-ca.pem")).unwrap();
    let issuer = Certificate::parse(&issuer).unwrap();
    let now = sekisho_runtime::clock::now();
    ListBuilder::new(&key, issuer.subject().der())
        .number(1_000)
        .this_update(now)
        .next_update(now.plus_seconds(3_600))
        .revoke(setup.pki.serial("client-good").unwrap().as_bytes())
        .sign()
}

#[test]
fn the_list_that_only_its_signature_spoils_would_revoke() {
    let setup = Setup::new();
    let newest = std::fs::read(setup.pki.path("crl.pem")).unwrap();
    let list = list_revoking_client_good(&setup, "issuing-ca");
    std::fs::write(setup.pki.path("crl.new"), [newest.as_slice(), pem(&list).as_bytes()].concat()).unwrap();
    std::fs::rename(setup.pki.path("crl.new"), setup.pki.path("crl.pem")).unwrap();
    wait_until("the list is in force", || status(&setup, "client-good", "/echo") == 0);
}

/// Failed reloads so far.
fn failures(setup: &Setup) -> u64 {
    sum(setup, "sekisho_reloads_total{", |line| line.contains("refused"))
}

/// Lists refused so far, by a reload that goes on or by one that fails whole.
fn alarms(setup: &Setup) -> u64 {
    sum(setup, "sekisho_crl_problems_total{", |_| true) + failures(setup)
}

fn sum(setup: &Setup, name: &str, wanted: impl Fn(&str) -> bool) -> u64 {
    let (_, metrics) = setup.gateway.admin_get("/metrics");
    let lines = metrics.lines().filter(|line| line.starts_with(name) && wanted(line));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[test]
fn the_gateway_ends_in_order_when_told_to() {
    let mut setup = Setup::new();
    setup.gateway.signal(Signal::Terminate);
    assert!(setup.gateway.wait_for_end().success(), "{}", setup.gateway.output());
}

#[test]
fn what_the_gateway_logs_beside_its_configuration_is_no_change() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let (config, log) = (pki.path("sekisho.toml"), pki.path("stderr.log"));
    std::fs::write(&config, Setup::configuration(&app)).unwrap();
    let mut command = std::process::Command::new(crate::common::binary());
    command.args(["gateway", "--config"]).arg(&config).stdout(std::process::Stdio::null());
    let mut gateway = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let count = |message: &str| std::fs::read_to_string(&log).unwrap().matches(message).count();
    wait_until("it listens", || count("\"kind\":\"tls\"") > 0);
    std::fs::write(&config, Setup::configuration(&app) + "\n# changed\n").unwrap();
    wait_until("it is reloaded", || count("\"reloaded\"") > 0);
    // As long as a file that was just changed counts as changing still.
    let over = sekisho_runtime::clock::now().plus_seconds(4);
    wait_until("the change is over", || sekisho_runtime::clock::now() > over);
    let reloads = count("\"reloaded\"");
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert!(reloads < 8, "{reloads} reloads of one change");
}
