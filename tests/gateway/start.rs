//! What is missing or wrong at start: an exit code and a line that names file and key, never a weaker gateway.

use crate::blocks_desk::STATE;
use crate::common::{Gateway, Setup, TestApp, TestPki, TlsClient, Version, wait_until};
use crate::feed_server::{Plan, Signer, configuration};
use crate::support::HOST;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

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

#[test]
fn a_state_folder_of_another_user_is_refused_with_the_cure() {
    const SOMEBODY: u32 = 65_534;
    let (pki, app) = (TestPki::new(), TestApp::new());
    let keys = format!("[gateway]\nstate_folder = \"{STATE}\"\n");
    let config = Setup::configuration(&app).replacen("[gateway]\n", &keys, 1);
    let folder = pki.path(STATE);
    std::fs::create_dir(&folder).unwrap();
    if let Err(error) = std::os::unix::fs::chown(&folder, Some(SOMEBODY), None) {
        println!("skipped: only root can give a folder to another user ({error})");
        return;
    }
    let (status, said) = Gateway::refused(&pki, &config);
    assert!(!status.success(), "{said}");
    let line = config.lines().position(|line| line.starts_with("state_folder")).unwrap() + 1;
    let told = said
        .lines()
        .find(|line| line.contains("sekisho.toml:") && line.contains("belongs"))
        .unwrap_or_else(|| panic!("{said}"));
    for part in [&format!("sekisho.toml:{line}: gateway.state_folder"), "belongs to user 65534", "chown"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    std::os::unix::fs::chown(&folder, Some(pki.folder().metadata().unwrap().uid()), None).unwrap();
    drop(Gateway::start(&pki, &config));
}

/// Accepts whoever comes and never says a word.
fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).collect::<Vec<_>>());
    address
}

/// As much as a first start waits for lists, and a slow machine.
const STARTED_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn a_first_start_with_servers_that_never_answer_is_up_in_its_time_and_says_what_it_lacks() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    pki.client("gateway-1", "00001111111 gateway 1635");
    std::fs::write(pki.path("feed.pub.pem"), Signer::new().public_pem()).unwrap();
    let (list, responder, feed) = (silent(), silent(), silent());
    let config = configuration(&app, &[format!("https://localhost:{}", feed.port())], &Plan::default());
    let sources = format!(
        "crl_urls = [\"http://{list}/issuing.crl\"], ocsp = {{ url = \"http://{responder}/\", timeout = \"1s\" }}, feed"
    );
    let config = config.replacen("crl = [\"crl.pem\"], feed", &sources, 1);
    // Longer than the start may wait.
    let config = config.replacen("[[ca]]", "[gateway.fetch]\ntimeout = \"60s\"\n\n[[ca]]", 1);
    assert!(config.contains("issuing.crl"), "{config}");
    let began = Instant::now();
    let gateway = Gateway::listening(&pki, &config);
    assert!(began.elapsed() < STARTED_WITHIN, "{:?}", began.elapsed());
    gateway
        .record("that it went on", |record| record["message"].to_string().contains("take too long to be waited for"));
    assert_eq!(gateway.admin_get("/livez").0, 200);
    let (_, told) = gateway.admin_get("/status/revocation");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["feed"]["connected"], false, "{told}");
    // Nobody is let in whose status nobody has told; and the first who asks shows that the responder does not answer.
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    wait_until("it is told what is lacking", || {
        let answer = client.get(&gateway, HOST, "/echo");
        assert!(answer.as_ref().map_or(true, |(answer, _)| answer.status == 403), "{answer:?}");
        let (status, told) = gateway.admin_get("/readyz");
        status == 503 && told.contains("issuing: the OCSP responder") && told.contains("has not answered since")
    });
    assert!(app.requests().iter().all(|request| request.target == "/healthz"));
}
