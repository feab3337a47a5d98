//! Files are replaced in every way that deployment tools know, under load (invariants 2 and 3): nobody good is
//! refused, nobody revoked is let in, and a bad or missing list changes nothing.

use crate::common::{Http2, Setup, Signal, TestPki, TlsClient, Version, wait_until};
use crate::lists::{ListBuilder, many_entries, pem, sequential_serial};
use crate::support::with_limits;
use sekisho_pki::certificate::Certificate;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const HOST: &str = "ib.localhost";
const PUBLISHED: &str = r#"sekisho_reloads_total{outcome="published"}"#;

/// A gateway whose connections live as long as the test: none ends for having had its requests.
fn set_up() -> Setup {
    Setup::with(with_limits("requests_per_connection = 1000000"))
}

/// Makes requests of a good client in every way until `done`; panics with the first that fails. Gives their number.
fn serve_until(done: &AtomicBool, setup: &Setup, way: usize) -> usize {
    let version = if way.is_multiple_of(2) { Version::Tls13 } else { Version::Tls12 };
    let client = TlsClient::new(&setup.pki, Some("client-good"), version);
    let (_, mut kept) = client.get(&setup.gateway, HOST, "/echo").unwrap();
    let mut http2 = Http2::connect(&client, &setup.gateway, HOST).unwrap();
    let mut served = 0;
    while !done.load(Ordering::SeqCst) {
        assert_eq!(kept.get(HOST, "/echo").unwrap().status, 200, "kept-alive");
        assert_eq!(http2.get(HOST, "/echo").unwrap().0, 200, "HTTP/2");
        assert_eq!(client.get(&setup.gateway, HOST, "/echo").unwrap().0.status, 200, "new connection");
        served += 3;
    }
    served
}

/// Runs `change` while good clients make requests, of which none may fail.
fn under_load(setup: &Setup, change: impl FnOnce()) {
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for way in 0..2 {
            let (done, served) = (&done, &served);
            scope.spawn(move || served.fetch_add(serve_until(done, setup, way), Ordering::SeqCst));
        }
        // The threads end, and the failure shows, even if it panics.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(change));
        done.store(true, Ordering::SeqCst);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert!(served.load(Ordering::SeqCst) > 0);
}

/// A second hand on the PKI's folder: the load borrows the set-up meanwhile.
fn second_hand(setup: &Setup) -> sekisho_testkit::pki::PkiDir {
    sekisho_testkit::pki::PkiDir::ensure(setup.pki.folder(), sekisho_runtime::clock::now()).unwrap().0
}

/// The same PKI in another folder.
fn copied(pki: &TestPki, folder: &Path) -> sekisho_testkit::pki::PkiDir {
    for entry in std::fs::read_dir(pki.folder()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    sekisho_testkit::pki::PkiDir::ensure(folder, sekisho_runtime::clock::now()).unwrap().0
}

#[test]
fn two_hundred_lists_are_swapped_under_load_and_no_good_request_fails() {
    let setup = set_up();
    let mut pki = second_hand(&setup);
    under_load(&setup, || {
        for round in 0..200 {
            let before = setup.gateway.metric(PUBLISHED);
            pki.issue_revocation_lists(sekisho_runtime::clock::now()).unwrap();
            wait_until(&format!("list {round} is in force"), || setup.gateway.metric(PUBLISHED) > before);
        }
    });
    assert!((setup.gateway.metric("sekisho_cut_connections_total") - 0.0).abs() < f64::EPSILON);
    assert!(!setup.gateway.output().contains("panicked"));
}

/// The lists of the PKI and a newer one of the issuing CA with these many serials and one more.
fn long_list(pki: &TestPki, entries: usize, also: &[u8]) -> String {
    let certificate = std::fs::read(pki.path("issuing-ca.pem")).unwrap();
    let certificate = sekisho_pki::pem::certificates(&certificate).unwrap().remove(0);
    let issuer = Certificate::parse(&certificate).unwrap();
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(pki.path("issuing-ca.key")).unwrap()).unwrap();
    let now = sekisho_runtime::clock::now();
    let list = ListBuilder::new(&key, issuer.subject().der())
        .number(pki.crl_number() + 1)
        .this_update(now)
        .next_update(now.plus_seconds(86_400))
        .entries(many_entries(entries, sequential_serial))
        .revoke(also)
        .sign();
    pki.revocation_lists(now, now.plus_seconds(86_400)).unwrap() + &pem(&list)
}

/// To zero a huge page takes milliseconds on some machines, in one go.
#[test]
fn no_memory_comes_in_huge_pages() {
    let setup = set_up();
    let status = std::fs::read_to_string(format!("/proc/{}/status", setup.gateway.pid())).unwrap();
    assert!(status.lines().any(|line| line.split_whitespace().eq(["THP_enabled:", "0"])), "{status}");
}

#[test]
fn a_list_of_a_hundred_thousand_is_taken_up_while_requests_run() {
    let setup = set_up();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let (_, mut leaving) =
        TlsClient::new(&setup.pki, Some("client-leaving"), Version::Tls13).get(&setup.gateway, HOST, "/echo").unwrap();
    let serial = setup.pki.serial("client-leaving").unwrap();
    let list = long_list(&setup.pki, 100_000, serial.as_bytes());
    under_load(&setup, || {
        replace(&setup.pki.path("crl.pem"), list.as_bytes());
        let began = Instant::now();
        leaving.read_to_its_end();
        println!("a list of 100,000 entries: cut {:?} after its file was renamed", began.elapsed());
        let entries = r#"sekisho_crl_entries{ca="issuing"}"#;
        assert!((setup.gateway.metric(entries) - 100_001.0).abs() < f64::EPSILON);
    });
}

/// Puts a file in its place as a careful tool does: whole, by rename.
fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Whether a new handshake of the client is let in.
fn is_let_in(setup: &Setup, client: &str) -> bool {
    TlsClient::new(&setup.pki, Some(client), Version::Tls13).get(&setup.gateway, HOST, "/echo").is_ok()
}

#[test]
fn a_list_written_in_place_in_two_steps_is_taken_up_when_it_is_whole() {
    let setup = Setup::new();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let serial = setup.pki.serial("client-leaving").unwrap();
    let list = long_list(&setup.pki, 10, serial.as_bytes());
    let half = list.len() / 2;
    let path = setup.pki.path("crl.pem");
    let alarms = || {
        setup.gateway.admin_get("/metrics").1.lines().filter(|it| it.starts_with("sekisho_crl_problems_total{")).count()
    };
    std::fs::write(&path, &list.as_bytes()[..half]).unwrap();
    wait_until("the half is reported", || alarms() > 0);
    assert!(is_let_in(&setup, "client-good") && !is_let_in(&setup, "client-revoked"), "the old list is in force");
    std::fs::write(&path, &list).unwrap();
    wait_until("the whole is in force", || !is_let_in(&setup, "client-leaving"));
    assert!(is_let_in(&setup, "client-good"));
}

#[test]
fn a_list_that_is_deleted_stays_in_force() {
    let setup = Setup::new();
    std::fs::remove_file(setup.pki.path("crl.pem")).unwrap();
    setup.gateway.record("the alarm", |record| record["kind"] == "missing");
    assert!(is_let_in(&setup, "client-good") && !is_let_in(&setup, "client-revoked"));
    assert!(setup.gateway.output().contains("crl.pem"));
}

#[test]
fn a_swapped_symbolic_link_is_followed_as_kubernetes_and_release_folders_swap_it() {
    for named in ["mounted/crl.pem", "mounted/..data/crl.pem"] {
        let pki = TestPki::new();
        let app = crate::common::TestApp::new();
        let folder = pki.path("mounted");
        let list = std::fs::read(pki.path("crl.pem")).unwrap();
        // mounted/crl.pem -> ..data/crl.pem, mounted/..data -> ..1
        let version = |name: &str, list: &[u8]| {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            std::fs::write(folder.join(name).join("crl.pem"), list).unwrap();
            std::os::unix::fs::symlink(name, folder.join("..new")).unwrap();
            std::fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
        };
        version("..1", &list);
        std::os::unix::fs::symlink("..data/crl.pem", folder.join("crl.pem")).unwrap();
        for name in ["client-first", "client-second"] {
            pki.client(name, "00009876543 leaving 1635");
        }
        // The lists are made where nobody watches: the swap alone tells.
        let unwatched = tempfile::tempdir().unwrap();
        let mut elsewhere = copied(&pki, unwatched.path());
        let config = Setup::configuration(&app).replace("[\"crl.pem\"]", &format!("[\"{named}\"]"));
        let gateway = crate::common::Gateway::start(&pki, &config);
        let setup = Setup { gateway, app, pki };
        // Twice: the second swap is in folders that were not there at the start.
        for (round, name) in [(1, "client-first"), (2, "client-second")] {
            assert!(is_let_in(&setup, name));
            elsewhere.revoke(&[elsewhere.serial(name).unwrap()], sekisho_runtime::clock::now()).unwrap();
            version(&format!("..{}", round + 1), &std::fs::read(elsewhere.path("crl.pem")).unwrap());
            wait_until(&format!("{named}, swap {round}, is in force"), || !is_let_in(&setup, name));
            std::fs::remove_dir_all(folder.join(format!("..{round}"))).unwrap();
        }
        assert!(is_let_in(&setup, "client-good"));
    }
}

#[test]
fn a_busy_folder_does_not_put_a_revocation_off() {
    let mut setup = Setup::new();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let done = AtomicBool::new(false);
    let noise = setup.pki.path("noise.log");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (_never, ticks) = std::sync::mpsc::channel::<()>();
            while !done.load(Ordering::SeqCst) {
                std::fs::write(&noise, b"noise").unwrap();
                // The pace of a busy log, which never leaves the folder quiet.
                let _ = ticks.recv_timeout(Duration::from_millis(3));
            }
        });
        let client = TlsClient::new(&setup.pki, Some("client-leaving"), Version::Tls13);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut open = client.get(&setup.gateway, HOST, "/echo").unwrap().1;
            setup.pki.revoke_client("client-leaving");
            open.read_to_its_end();
        }));
        done.store(true, Ordering::SeqCst);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn a_hang_up_signal_opens_the_log_anew() {
    let setup =
        Setup::with(|config| config.replace("access_log = \"stdout\"", "access_log = { file = \"access.log\" }"));
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let has =
        |file: &str, path: &str| std::fs::read_to_string(setup.pki.path(file)).is_ok_and(|log| log.contains(path));
    client.get(&setup.gateway, HOST, "/echo").unwrap();
    wait_until("the first request is logged", || has("access.log", "/echo"));
    std::fs::rename(setup.pki.path("access.log"), setup.pki.path("access.log.1")).unwrap();
    setup.gateway.signal(Signal::Reload);
    wait_until("the log is opened anew", || setup.pki.path("access.log").exists());
    client.get(&setup.gateway, HOST, "/status?code=204").unwrap();
    wait_until("the second request is in the new file", || has("access.log", "/status"));
    assert!(!has("access.log.1", "/status"));
}

#[test]
fn a_cut_follows_the_new_list_at_once() {
    let mut setup = Setup::new();
    let mut took = Vec::new();
    for round in 0..20 {
        let name = format!("client-{round}");
        setup.pki.client(&name, "00009876543 leaving 1635");
        let mut open = TlsClient::new(&setup.pki, Some(&name), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
        open.send(b"GET /stream?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
        assert!(open.read(&mut [0; 16]).unwrap() > 0);
        setup.pki.revoke_client(&name);
        let began = Instant::now();
        open.read_to_its_end();
        took.push(began.elapsed());
    }
    took.sort();
    println!("cut after the list's rename: median {:?}, longest {:?}", took[took.len() / 2], took[took.len() - 1]);
    let reloads = setup.gateway.records(|record| record["message"] == "reloaded");
    let longest = reloads.iter().filter_map(|record| record["milliseconds"].as_u64()).max();
    println!("{} reloads, of which the longest took {longest:?} milliseconds, cuts and all", reloads.len());
}

#[test]
fn an_upload_that_the_application_does_not_take_is_cut_too() {
    let mut setup = Setup::new();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let client = TlsClient::new(&setup.pki, Some("client-leaving"), Version::Tls13);
    let mut upload = client.connect(&setup.gateway, HOST).unwrap();
    upload.send(b"POST /slow?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 60000000\r\n\r\n").unwrap();
    wait_until("the request reached the application", || {
        setup.app.requests().iter().any(|request| request.target.starts_with("/slow"))
    });
    // Far more than a body nobody reads fills on its way: the gateway is stuck writing to the application.
    let stuck = std::thread::spawn(move || {
        while upload.send(&[b'a'; 16 * 1024]).is_ok() {}
        upload
    });
    setup.pki.revoke_client("client-leaving");
    wait_until("the upload was cut", || stuck.is_finished());
}
