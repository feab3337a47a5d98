use crate::support::{fails, succeeds};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

fn secret(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Runs `sekisho-issuer ca` in a folder; gives success and what it printed.
fn ca(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-issuer"));
    command.arg("ca").args(arguments).current_dir(folder).env("SEKISHO_TEST_PASSPHRASE", "from the environment");
    let output = command.output().unwrap();
    assert!(output.status.success() || output.status.code() == Some(1), "{:?}", output.status);
    (output.status.success(), crate::support::text(&output))
}

const INIT: &[&str] = &[
    "init",
    "--folder",
    "pki",
    "--country",
    "JP",
    "--organization",
    "Test Bank",
    "--root-name",
    "Test Root",
    "--issuing-name",
    "Test Issuing",
    "--root-passphrase-file",
    "root-passphrase",
    "--passphrase-variable",
    "SEKISHO_TEST_PASSPHRASE",
    "--crl-url",
    "http://pki.example.jp/root.crl",
    "--ca-issuers-url",
    "http://pki.example.jp/root.cer",
];

/// INIT with one value exchanged.
fn with<'a>(option: &str, value: &'a str) -> Vec<&'a str> {
    let place = INIT.iter().position(|word| *word == option).unwrap() + 1;
    let mut words = INIT.to_vec();
    words[place] = value;
    words
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn init_makes_a_root_and_an_issuing_ca_and_never_writes_over_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    secret(&folder.join("root-passphrase"), "a passphrase of a file\n");
    let (made, shown) = ca(folder, INIT);
    assert!(made, "{shown}");
    assert_eq!(names(folder), ["pki", "root-passphrase"]);
    assert_eq!(names(&folder.join("pki/root")), ["root.cer", "root.key", "root.pem"]);
    assert_eq!(names(&folder.join("pki/issuing")), ["chain.pem", "issuing.cer", "issuing.key", "issuing.pem"]);
    for key in ["pki/root/root.key", "pki/issuing/issuing.key"] {
        assert_eq!(folder.join(key).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(folder.join(key)).unwrap().contains("BEGIN ENCRYPTED PRIVATE KEY"));
    }
    succeeds(folder, "openssl pkey -in pki/root/root.key -passin file:root-passphrase -noout");
    succeeds(folder, "openssl verify -x509_strict -CAfile pki/root/root.pem pki/issuing/issuing.pem");
    let shown = succeeds(folder, "openssl x509 -in pki/issuing/issuing.pem -noout -text -nameopt RFC2253");
    for expected in [
        "Subject: CN=Test Issuing,O=Test Bank,C=JP",
        "Issuer: CN=Test Root,O=Test Bank,C=JP",
        "CA:TRUE, pathlen:0",
        "Certificate Sign, CRL Sign",
        "ecdsa-with-SHA384",
        "URI:http://pki.example.jp/root.crl",
        "CA Issuers - URI:http://pki.example.jp/root.cer",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }

    let before = std::fs::read(folder.join("pki/root/root.key")).unwrap();
    let (made, shown) = ca(folder, INIT);
    assert!(!made && shown.contains("it is there and not empty"), "{shown}");
    assert_eq!(std::fs::read(folder.join("pki/root/root.key")).unwrap(), before);
    assert_eq!(names(folder), ["pki", "root-passphrase"]);
}

#[test]
fn an_intermediate_is_made_below_a_ca_whose_key_opens() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    secret(&folder.join("root-passphrase"), "a passphrase of a file");
    secret(&folder.join("wrong"), "another passphrase");
    secret(&folder.join("short"), "short");
    assert!(ca(folder, INIT).0);
    let issue = |passphrase: &str, more: &[&str]| {
        let line =
            [
                &[
                    "issue-intermediate",
                    "--issuer-certificate",
                    "pki/root/root.pem",
                    "--issuer-key",
                    "pki/root/root.key",
                ][..],
                &["--root-passphrase-file", passphrase, "--folder", "second", "--organization", "Test Bank"],
                &["--name", "Second Issuing", "--passphrase-variable", "SEKISHO_TEST_PASSPHRASE"],
                more,
            ]
            .concat();
        ca(folder, &line)
    };
    for (passphrase, more, expected) in [
        ("wrong", &[][..], "the passphrase is wrong or the file is damaged"),
        ("short", &[], "fewer than 12 octets"),
        ("none", &[], "No such file"),
        ("root-passphrase", &["--path-length", "1"], "pathLenConstraint"),
        ("root-passphrase", &["--years", "30"], "valid when its issuer is not"),
        ("root-passphrase", &["--crl-url", "https://x/y"], "not an http:// URL"),
    ] {
        let (made, shown) = issue(passphrase, more);
        assert!(!made && shown.contains(expected) && shown.trim_end().lines().count() == 1, "{shown}");
        assert!(!folder.join("second").exists(), "nothing is left behind");
    }
    std::fs::set_permissions(folder.join("pki/root/root.key"), Permissions::from_mode(0o640)).unwrap();
    let (made, shown) = issue("root-passphrase", &[]);
    assert!(!made && shown.contains("its mode is 0640: others can read it"), "{shown}");
    std::fs::set_permissions(folder.join("pki/root/root.key"), Permissions::from_mode(0o400)).unwrap();

    let (made, shown) = issue("root-passphrase", &["--key", "p384"]);
    assert!(made, "{shown}");
    succeeds(folder, "openssl verify -x509_strict -CAfile pki/root/root.pem second/issuing.pem");
    fails(folder, "openssl verify -x509_strict -CAfile pki/issuing/issuing.pem second/issuing.pem");
    assert_eq!(names(folder), ["pki", "root-passphrase", "second", "short", "wrong"]);
}

#[test]
fn an_init_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    secret(&folder.join("root-passphrase"), "a passphrase of a file");
    std::fs::write(folder.join("open"), "a passphrase of a file").unwrap();
    std::fs::set_permissions(folder.join("open"), Permissions::from_mode(0o644)).unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    let too_long = "x".repeat(65);
    for (line, expected) in [
        (with("--root-passphrase-file", "open"), "its mode is 0644: others can read it"),
        (with("--passphrase-variable", "SEKISHO_NO_SUCH_VARIABLE"), "is not set"),
        (with("--country", "Japan"), "Country"),
        (with("--root-name", " "), "CommonName is empty"),
        // The root is made by then.
        (with("--issuing-name", &too_long), "65 characters"),
        (with("--issuing-name", "Test Root"), "the issuer's own"),
        (with("--folder", "file"), "file: "),
        (with("--folder", "no/such/folder"), "No such file"),
        (with("--folder", ".."), "not the name of a folder"),
        ([INIT, &["--issuing-years", "21"]].concat(), "valid when its issuer is not"),
    ] {
        let (made, shown) = ca(folder, &line);
        assert!(!made && shown.contains(expected), "{expected}: {shown}");
        assert_eq!(shown.trim_end().lines().count(), 1, "{shown}");
        assert_eq!(names(folder), ["file", "open", "root-passphrase"], "{expected}");
    }
}

#[test]
fn a_successor_has_a_new_key_and_another_name_below_the_same_root() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    secret(&folder.join("root-passphrase"), "a passphrase of a file");
    assert!(ca(folder, INIT).0);
    assert!(ca(folder, &with("--folder", "another")).0);
    let rotate = |current: &str, name: &str| {
        let line = [
            &["rotate", "--current", current, "--name", name][..],
            &["--issuer-certificate", "pki/root/root.pem", "--issuer-key", "pki/root/root.key"],
            &["--root-passphrase-file", "root-passphrase", "--folder", "next"],
            &["--country", "JP", "--organization", "Test Bank"],
            &["--passphrase-variable", "SEKISHO_TEST_PASSPHRASE"],
        ]
        .concat();
        ca(folder, &line)
    };
    for (current, name, expected) in [
        ("pki/issuing/issuing.pem", "Test Issuing", "needs another name"),
        ("another/issuing/issuing.pem", "Test Issuing G2", "not issued by the CA that is to sign its successor"),
        ("none.pem", "Test Issuing G2", "No such file"),
    ] {
        let (made, shown) = rotate(current, name);
        assert!(!made && shown.contains(expected) && shown.trim_end().lines().count() == 1, "{shown}");
        assert!(!folder.join("next").exists(), "nothing is left behind");
    }
    let (made, shown) = rotate("pki/issuing/issuing.pem", "Test Issuing G2");
    assert!(made && shown.contains("to succeed"), "{shown}");
    let (_, next) = shown.split_once("next:\n").unwrap();
    let steps =
        ["1. gateways: add a [[ca]]", "2. issuer: add an [[authority]]", "3. gateways: write state = \"draining\""];
    let steps = steps.map(|step| next.find(step).unwrap_or_else(|| panic!("{step}: {next}")));
    assert!(
        steps.is_sorted() && next.find("4. ").zip(next.find("sekisho ca plan")).is_some_and(|(a, b)| a < b),
        "{next}"
    );
    succeeds(folder, "openssl verify -x509_strict -CAfile pki/root/root.pem next/issuing.pem");
    let key = |file: &str| succeeds(folder, &format!("openssl x509 -in {file} -noout -pubkey"));
    assert_ne!(key("pki/issuing/issuing.pem"), key("next/issuing.pem"));
}

#[test]
fn a_roots_list_goes_on_from_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    secret(&folder.join("root-passphrase"), "a passphrase of a file");
    assert!(ca(folder, INIT).0);
    assert!(ca(folder, &with("--folder", "another")).0);
    let list = |more: &[&str]| {
        let line = [
            &["issue-crl", "--issuer-certificate", "pki/root/root.pem", "--issuer-key", "pki/root/root.key"][..],
            &["--root-passphrase-file", "root-passphrase"],
            more,
        ]
        .concat();
        ca(folder, &line)
    };
    let (made, shown) = list(&["--first", "--out", "1.crl"]);
    assert!(made && shown.contains("number 1, 0 revoked"), "{shown}");
    let revoke = &["--revoke", "pki/issuing/issuing.pem", "--reason", "ca-compromise"];
    let (made, shown) = list(&[&["--previous", "1.crl", "--out", "2.crl"], &revoke[..]].concat());
    assert!(made && shown.contains("number 2, 1 revoked"), "{shown}");
    let (made, shown) = list(&["--previous", "2.crl", "--out", "3.crl"]);
    assert!(made && shown.contains("number 3, 1 revoked"), "{shown}");
    let text = succeeds(folder, "openssl crl -in 3.crl -inform DER -noout -text -CAfile pki/root/root.pem");
    assert!(text.contains("CA Compromise"), "{text}");
    succeeds(folder, "openssl crl -in 3.crl -inform DER -out 3.pem");
    let check = "openssl verify -crl_check -CAfile pki/root/root.pem -CRLfile";
    fails(folder, &format!("{check} 3.pem pki/issuing/issuing.pem"));
    succeeds(folder, "openssl crl -in 1.crl -inform DER -out 1.pem");
    succeeds(folder, &format!("{check} 1.pem pki/issuing/issuing.pem"));

    for (more, expected) in [
        (vec!["--out", "4.crl"], "--previous"),
        (vec!["--previous", "3.crl", "--out", "3.crl"], "File exists"),
        (vec!["--previous", "pki/root/root.pem", "--out", "4.crl"], "root.pem"),
        ([&["--previous", "3.crl", "--out", "4.crl"], &revoke[..]].concat(), "issuing.pem"),
        (vec!["--first", "--revoke", "another/issuing/issuing.pem", "--out", "4.crl"], "not issued by this CA"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-issuer"));
        command.args(["ca", "issue-crl", "--issuer-certificate", "pki/root/root.pem"]).current_dir(folder);
        command.args(["--issuer-key", "pki/root/root.key", "--root-passphrase-file", "root-passphrase"]).args(&more);
        let output = command.output().unwrap();
        let shown = crate::support::text(&output);
        assert!(!output.status.success() && shown.contains(expected), "{expected}: {shown}");
        assert!(!folder.join("4.crl").exists(), "nothing is left behind");
    }
}
