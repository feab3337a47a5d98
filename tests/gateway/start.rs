//! What is missing or wrong at start: an exit code and a line that names file and key, never a weaker gateway.

use crate::common::{Gateway, Setup, TestApp, TestPki};

#[test]
fn a_file_that_is_missing_or_wrong_is_named_with_its_key() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    for (file, key) in [
        ("root-ca.pem", "ca[0].certificate"),
        ("issuing-ca.pem", "ca[1].certificate"),
        ("crl.pem", "crl"),
        ("ib.localhost.pem", "site[0].certificate"),
        ("ib.localhost.key", "site[0].key"),
    ] {
        let (path, kept) = (pki.path(file), pki.path("kept"));
        std::fs::rename(&path, &kept).unwrap();
        for wrong in [None, Some("garbage")] {
            if let Some(content) = wrong {
                std::fs::write(&path, content).unwrap();
            }
            let (status, said) = Gateway::refused(&pki, &config);
            assert!(!status.success(), "{file} {wrong:?}: {said}");
            assert!(said.lines().any(|line| line.contains(file) && line.contains(key)), "{file} {wrong:?}: {said}");
        }
        std::fs::rename(&kept, &path).unwrap();
    }
}

#[test]
fn a_configuration_with_errors_tells_all_of_them_with_their_lines() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app)
        .replace("refusal = \"page\"", "refusal = \"shrug\"")
        .replace("watch_files", "watch_flies");
    let (status, said) = Gateway::refused(&pki, &config);
    assert!(!status.success());
    let line_of = |needle: &str| config.lines().position(|line| line.contains(needle)).unwrap() + 1;
    for needle in ["watch_flies", "shrug"] {
        let place = format!("sekisho.toml:{}", line_of(needle));
        assert!(said.lines().any(|line| line.contains(&place)), "{needle} at {place}: {said}");
    }
}
