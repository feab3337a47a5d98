//! `sekisho gateway`, `check` and `verify` as a newcomer meets them: what is missing or wrong is told in one line that
//! names file, line and key, nothing listens, and nothing weaker takes its place.

use crate::common::{Gateway, PkiDir, Setup, TestApp, TestPki, TlsClient, Version, alert, binary, wait_until};
use std::path::Path;
use std::process::{Command, Output};

type Make = fn(&Path);

/// What a file may be instead of itself.
const WRONG: [(&str, Make); 4] = [
    ("missing", |_| {}),
    ("empty", |path| std::fs::write(path, "").unwrap()),
    ("garbage", |path| std::fs::write(path, "garbage").unwrap()),
    ("a folder", |path| std::fs::create_dir(path).unwrap()),
];

#[test]
fn a_file_that_is_missing_empty_garbage_or_a_folder_is_named_with_line_and_key_by_gateway_and_check_alike() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    for (file, key, line) in [
        ("root-ca.pem", "ca[0].certificate", "certificate = \"root-ca.pem\""),
        ("issuing-ca.pem", "ca[1].certificate", "certificate = \"issuing-ca.pem\""),
        ("crl.pem", "ca[0].revocation.crl[0]", "revocation = { crl = [\"crl.pem\"] }"),
        ("ib.localhost.pem", "site[0].certificate", "certificate = \"ib.localhost.pem\""),
        ("ib.localhost.key", "site[0].key", "key = \"ib.localhost.key\""),
    ] {
        let line = 1 + config.lines().position(|candidate| candidate == line).unwrap();
        let place = format!("sekisho.toml:{line}: {key}: ");
        let (path, kept) = (pki.path(file), pki.path("kept"));
        std::fs::rename(&path, &kept).unwrap();
        for (what, make) in WRONG {
            make(&path);
            let (status, said) = Gateway::refused(&pki, &config);
            assert_eq!(status.code(), Some(1), "{file} {what}: {said}");
            assert!(said.lines().any(|line| line.contains(&place) && line.contains(file)), "{what} at {place}: {said}");
            assert!(!said.contains("listening"), "{file} {what}: {said}");
            assert!(said.lines().all(|line| line.starts_with("sekisho: ")), "nothing but errors: {said}");
            let check = sekisho(&pki, &["check", "--config", "sekisho.toml"]);
            assert_eq!(check.status.code(), Some(1), "{file} {what}: {check:?}");
            assert!(text(&check).contains(&place), "{what} at {place}: {check:?}");
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
        std::fs::rename(&kept, &path).unwrap();
    }
    assert!(app.requests().is_empty(), "a start that is refused asked after the application's health");
    // Everything is in its place again.
    let gateway = Gateway::start(&pki, &config);
    wait_until("the application's health is asked after", || !app.requests().is_empty());
    drop(gateway);
}

#[test]
fn what_cannot_be_read_or_does_not_belong_together_is_told() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    let extract = "openssl pkey -in client-good.key -pubout -out public.pem";
    assert!(Command::new("sh").args(["-c", extract]).current_dir(pki.folder()).status().unwrap().success());
    for (from, to, key) in [
        // A path below a file cannot be read, by root neither.
        ("\"ib.localhost.key\"", "\"ib.localhost.key/key\"", "site[0].key"),
        ("\"root-ca.pem\"", "\"root-ca.pem/ca\"", "ca[0].certificate"),
        ("{ crl = [\"crl.pem\"] }", "{ crl = [\"crl.pem/crl\"] }", "ca[0].revocation.crl[0]"),
        ("\"ib.localhost.key\"", "\"portal.localhost.key\"", "site[0].key"),
        ("\"ib.localhost.key\"", "\"public.pem\"", "site[0].key"),
        ("\"ib.localhost.key\"", "\"ib.localhost.pem\"", "site[0].key"),
        ("\"root-ca.pem\"", "\"client-good.pem\"", "ca[0].certificate"),
        ("\"issuing-ca.pem\"", "\"other-issuing-ca.pem\"", "ca[1].certificate"),
        // Lists of nobody here are no lists.
        ("\"crl.pem\"", "\"root-ca.pem\"", "ca[0].revocation.crl[0]"),
    ] {
        let wrong = config.replacen(from, to, 1);
        assert_ne!(wrong, config);
        let (status, said) = Gateway::refused(&pki, &wrong);
        assert_eq!(status.code(), Some(1), "{to}: {said}");
        let line = 1 + wrong.lines().zip(config.lines()).position(|(wrong, right)| wrong != right).unwrap();
        assert!(said.contains(&format!("sekisho.toml:{line}: {key}: ")), "{to}: {said}");
        assert!(!said.contains("listening"), "{to}: {said}");
    }
}

#[test]
fn a_configuration_that_is_no_toml_or_missing_is_told_with_its_line() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    for (wrong, line) in [("[[site\n", 1), ("[gateway]\nlisten = \n", 2), ("\u{0}", 1)] {
        let (status, said) = Gateway::refused(&pki, wrong);
        assert_eq!(status.code(), Some(1), "{wrong:?}: {said}");
        assert!(said.contains(&format!("sekisho.toml:{line}:")), "{wrong:?}: {said}");
    }
    let (status, said) = Gateway::refused(&pki, "");
    assert!(!status.success() && said.contains("listen"), "{said}");
    let without = config.replace("revocation = { crl = [\"crl.pem\"] }\n", "");
    let (status, said) = Gateway::refused(&pki, &without);
    assert!(!status.success(), "{said}");
    assert!(
        said.contains("ca[0].revocation") && said.contains("ca[1].revocation"),
        "a CA must say what it does: {said}"
    );
    let missing = sekisho(&pki, &["gateway", "--config", "nowhere.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing).contains("nowhere.toml"), "{missing:?}");
}

/// Were system roots asked, this environment would make the other CA one.
#[test]
fn system_roots_are_never_trusted() {
    let app = TestApp::new();
    let pki = TestPki::new();
    let config = Setup::configuration(&app);
    let gateway = Gateway::start_with(&pki, &config, &[("SSL_CERT_FILE", "other-root-ca.pem"), ("SSL_CERT_DIR", "")]);
    for version in [Version::Tls12, Version::Tls13] {
        let client = TlsClient::new(&pki, Some("client-other-ca"), version);
        let error = client.get(&gateway, "ib.localhost", "/echo").map(|(response, _)| response.status).unwrap_err();
        assert_eq!(alert(&error), Some(rustls::AlertDescription::UnknownCA), "{error:?}");
    }
}

/// As the guide has it: the demo's PKI in `certs/dev`, the reference configuration beside it.
#[test]
fn check_and_verify_decide_on_the_demo_pki_as_the_guide_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/config/sekisho.toml");
    std::fs::copy(reference, folder.path().join("config/sekisho.toml")).unwrap();
    PkiDir::create(&folder.path().join("certs/dev"), sekisho_runtime::clock::now()).unwrap();
    let run = |arguments: &[&str]| Command::new(binary()).args(arguments).current_dir(folder.path()).output().unwrap();
    let check = run(&["check", "--config", "config/sekisho.toml"]);
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    assert!(text(&check).contains("config/sekisho.toml is right."), "{check:?}");
    for (client, code, said) in [
        ("client-good", 0, "accepted: CN=00009876543 riyousya 1635"),
        ("client-no-user-id", 0, "accepted: CN=00009876543 1635"),
        ("client-rsa", 0, "accepted: CN=00009876543 rsauser 1635"),
        ("client-expired", 1, "refused: expired"),
        ("client-not-yet-valid", 1, "refused: not-yet-valid"),
        ("client-revoked", 1, "refused: revoked"),
        ("client-other-ca", 1, "refused: unknown-ca"),
        ("client-bad-cn", 1, "refused: malformed-identity"),
        ("ib.localhost", 1, "refused: unknown-ca"),
    ] {
        let chain = format!("certs/dev/{client}.pem");
        let by_config = ["verify", "--config", "config/sekisho.toml", "--site", "ib", "--chain", &chain];
        let output = run(&by_config);
        assert_eq!(output.status.code(), Some(code), "{client}: {output:?}");
        assert!(text(&output).contains(said), "{client}: {output:?}");
        if client == "client-bad-cn" {
            // Without a pattern any CN is one.
            continue;
        }
        let by_files = ["verify", "--ca", "certs/dev/root-ca.pem", "--crl", "certs/dev/crl.pem", "--chain", &chain];
        let output = run(&by_files);
        assert_eq!(output.status.code(), Some(code), "{client}: {output:?}");
        assert!(text(&output).contains(said), "{client}: {output:?}");
    }
}

fn sekisho(pki: &TestPki, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).current_dir(pki.folder()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
