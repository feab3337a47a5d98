//! A resumed session is checked like a new one (requirement G12): rustls alone does not.

use crate::common::{
    ClientRequest, Gateway, Setup, Signal, TestApp, TestPki, TlsClient, Version, alert, openssl_s_client, wait_until,
};
use rustls::AlertDescription;

const HOST: &str = "ib.localhost";

/// Waits until a new handshake of that client is refused: the new list is in force.
fn wait_until_revoked(setup: &Setup, client: &str) {
    wait_until("a new handshake is refused", || {
        TlsClient::new(&setup.pki, Some(client), Version::Tls13).get(&setup.gateway, HOST, "/echo").is_err()
    });
}

#[test]
fn a_session_resumes_in_both_versions_of_tls() {
    let setup = Setup::new();
    for version in [Version::Tls12, Version::Tls13] {
        let client = TlsClient::new(&setup.pki, Some("client-good"), version);
        let (_, first) = client.get(&setup.gateway, HOST, "/echo").unwrap();
        assert!(!first.resumed());
        let (response, second) = client.get(&setup.gateway, HOST, "/echo").unwrap();
        assert!(second.resumed() && response.status == 200, "{version:?}");
        assert_eq!(setup.app.request_of("/echo").headers["x-sekisho-user-id"], "riyousya");
    }
}

#[test]
fn one_ticket_comes_with_the_first_answer_and_each_resumption_brings_the_next() {
    let setup = Setup::new();
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    for resumed in [false, true, true] {
        let mut connection = client.connect(&setup.gateway, HOST).unwrap();
        assert_eq!((connection.resumed(), connection.get(HOST, "/echo").unwrap().status), (resumed, 200));
        assert_eq!(connection.tickets(), 1, "resumed: {resumed}");
        assert_eq!(connection.get(HOST, "/echo").unwrap().status, 200);
        assert_eq!(connection.tickets(), 1, "resumed: {resumed}");
    }
}

#[test]
fn a_revoked_certificate_is_refused_on_a_resumed_session() {
    let mut setup = Setup::new();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let clients = [Version::Tls12, Version::Tls13].map(|version| {
        let client = TlsClient::new(&setup.pki, Some("client-leaving"), version);
        client.get(&setup.gateway, HOST, "/echo").unwrap();
        assert!(client.get(&setup.gateway, HOST, "/echo").unwrap().1.resumed());
        client
    });
    setup.pki.revoke_client("client-leaving");
    wait_until_revoked(&setup, "client-leaving");
    setup.app.forget_requests();
    for client in clients {
        let error = client.get(&setup.gateway, HOST, "/echo").map(|(response, _)| response.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked), "{error:?}");
    }
    assert!(setup.app.requests().iter().all(|request| request.target == "/healthz"));
}

#[test]
fn a_session_is_not_resumed_once_the_lists_of_its_cas_are_stale() {
    let setup = Setup::new();
    let clients = [Version::Tls12, Version::Tls13].map(|version| {
        let client = TlsClient::new(&setup.pki, Some("client-good"), version);
        client.get(&setup.gateway, HOST, "/echo").unwrap();
        assert!(client.get(&setup.gateway, HOST, "/echo").unwrap().1.resumed());
        client
    });
    // Lists that are newer by a second and stale soon.
    let now = sekisho_runtime::clock::now();
    let lists = setup.pki.revocation_lists(now.plus_seconds(1), now.plus_seconds(4)).unwrap();
    std::fs::write(setup.pki.path("crl.pem"), lists).unwrap();
    wait_until("they are in force and stale", || setup.gateway.admin_get("/readyz").0 == 503);
    setup.app.forget_requests();
    for client in clients {
        let error = client.get(&setup.gateway, HOST, "/echo").map(|(response, _)| response.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::CertificateUnknown), "{error:?}");
    }
    assert!(setup.app.requests().iter().all(|request| request.target == "/healthz"));
}

#[test]
fn a_session_of_a_ca_that_is_no_longer_configured_is_refused() {
    let setup = Setup::new();
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    client.get(&setup.gateway, HOST, "/echo").unwrap();
    assert!(client.get(&setup.gateway, HOST, "/echo").unwrap().1.resumed());
    // The impostor of the same names takes the place of the CAs: another key, so another authority.
    for (from, to) in [("other-root-ca.pem", "root-ca.pem"), ("other-issuing-ca.pem", "issuing-ca.pem")] {
        std::fs::copy(setup.pki.path(from), setup.pki.path(to)).unwrap();
    }
    let config =
        Setup::configuration(&setup.app).replace(r#"revocation = { crl = ["crl.pem"] }"#, r#"revocation = "none""#);
    setup.gateway.write_config(&config);
    setup.gateway.signal(Signal::Reload);
    wait_until("the other CA's client is let in", || {
        TlsClient::new(&setup.pki, Some("client-other-ca"), Version::Tls13).get(&setup.gateway, HOST, "/echo").is_ok()
    });
    let error = client.get(&setup.gateway, HOST, "/echo").map(|(response, _)| response.status).unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::UnknownCA), "{error:?}");
}

/// Two gateways with the same files before the same application, with these ticket secrets.
fn two_gateways(secrets: [u8; 2]) -> (Setup, Gateway, TestPki) {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = Setup::configuration(&app);
    let with_secret =
        |file: &str| config.replacen("[[ca]]", &format!("[gateway.tickets]\nsecret_file = \"{file}\"\n\n[[ca]]"), 1);
    for (file, secret) in ["one.secret", "two.secret"].into_iter().zip(secrets) {
        let secret: Vec<u8> = (0..48).map(|byte| byte ^ secret).collect();
        std::fs::write(pki.path(file), secret).unwrap();
    }
    let first = Gateway::start(&pki, &with_secret("one.secret"));
    // Its configuration file is the first one's, written over; neither reloads it before the test is over.
    let elsewhere = TestPki::new();
    for entry in std::fs::read_dir(pki.folder()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, elsewhere.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    let second = Gateway::start(&elsewhere, &with_secret("two.secret"));
    (Setup { gateway: first, app, pki }, second, elsewhere)
}

#[test]
fn gateways_with_one_secret_resume_each_others_sessions_and_others_do_not() {
    for (secrets, resumes) in [([7, 7], true), ([7, 8], false)] {
        let (setup, second, _folder) = two_gateways(secrets);
        for version in [Version::Tls12, Version::Tls13] {
            let client = TlsClient::new(&setup.pki, Some("client-good"), version);
            client.get(&setup.gateway, HOST, "/echo").unwrap();
            let (response, connection) = client.get(&second, HOST, "/echo").unwrap();
            assert_eq!((response.status, connection.resumed()), (200, resumes), "{secrets:?} {version:?}");
        }
    }
}

#[test]
fn a_session_of_a_client_with_another_certificate_stays_that_of_the_certificate_that_authenticated() {
    let setup = Setup::new();
    setup.pki.client("client-second", "00001111111 second 1635");
    for version in [Version::Tls12, Version::Tls13] {
        let first = TlsClient::new(&setup.pki, Some("client-good"), version);
        first.get(&setup.gateway, HOST, "/echo").unwrap();
        let (sessions, second) = (first.config().resumption.clone(), Some("client-second"));
        let second = TlsClient::new(&setup.pki, second, version).with(|config| config.resumption = sessions);
        let (_, connection) = second.get(&setup.gateway, HOST, "/echo").unwrap();
        let told = setup.app.request_of("/echo").headers["x-sekisho-user-id"].clone();
        // rustls's client does not offer a session of another certificate's; whichever way, header and proof agree.
        assert_eq!(told, if connection.resumed() { "riyousya" } else { "second" }, "{version:?}");
    }
}

#[test]
fn a_session_of_one_site_is_none_at_another() {
    let setup = Setup::with(|config| {
        let (ib, portal) = config.split_once("# A bad certificate gets a page").unwrap();
        format!("{ib}#{}", portal.replace("\"required\"", "\"optional\"").replace("require = [\"certificate\"]\n", ""))
    });
    for (version, protocol) in [(Version::Tls12, "-tls1_2"), (Version::Tls13, "-tls1_3")] {
        let session = setup.pki.path(&format!("session{protocol}"));
        let session = session.to_str().unwrap();
        let request = |host: &str| format!("GET /echo HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let portal = "portal.localhost";
        // A client without a certificate gets a session of the site where it is optional ...
        let arguments = [protocol, "-ign_eof", "-servername", portal, "-sess_out", session];
        let given = openssl_s_client(&setup.gateway, &setup.pki, None, &arguments, &request(portal));
        assert!(given.stdout.contains("HTTP/1.1 200"), "{given:?}");
        let arguments = [protocol, "-ign_eof", "-servername", portal, "-sess_in", session];
        let again = openssl_s_client(&setup.gateway, &setup.pki, None, &arguments, &request(portal));
        assert!(again.stdout.contains("Reused, TLS") && again.stdout.contains("HTTP/1.1 200"), "{again:?}");
        // ... and brings it to the one where it is required.
        let arguments = [protocol, "-ign_eof", "-servername", HOST, "-sess_in", session];
        let refused = openssl_s_client(&setup.gateway, &setup.pki, None, &arguments, &request(HOST));
        assert!(!refused.stdout.contains("HTTP/1.1") && !refused.stdout.contains("Reused"), "{version:?} {refused:?}");
        assert!(refused.stderr.contains("alert"), "{refused:?}");
    }
}

#[test]
fn early_data_is_neither_offered_nor_taken() {
    let setup = Setup::new();
    let session = setup.pki.path("session");
    let session = session.to_str().unwrap();
    let request = "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nConnection: close\r\n\r\n";
    let arguments = ["-tls1_3", "-ign_eof", "-servername", HOST, "-sess_out", session];
    let given = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &arguments, request);
    assert!(
        given.stdout.contains("Max Early Data: 0") && !given.stdout.contains("Early data was accepted"),
        "{given:?}"
    );
    let early = setup.pki.path("early");
    std::fs::write(&early, request.replace("/echo", "/echo?early")).unwrap();
    let arguments =
        ["-tls1_3", "-ign_eof", "-servername", HOST, "-sess_in", session, "-early_data", early.to_str().unwrap()];
    let resumed = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &arguments, request);
    assert!(!resumed.stdout.contains("Early data was accepted"), "{resumed:?}");
    assert!(setup.app.requests().iter().all(|request| !request.target.contains("early")));
}

#[test]
fn a_client_refused_in_words_comes_back_with_a_good_certificate_and_is_asked_for_it() {
    const PORTAL: &str = "portal.localhost";
    for client_auth in ["required", "optional"] {
        let setup = Setup::with(|config| {
            config.replace("client_auth = \"required\"", &format!("client_auth = \"{client_auth}\""))
        });
        for (version, refused) in [
            (Version::Tls12, None),
            (Version::Tls12, Some("client-expired")),
            (Version::Tls13, None),
            (Version::Tls13, Some("client-expired")),
        ] {
            if refused.is_none() && client_auth == "optional" {
                continue;
            }
            let first = TlsClient::new(&setup.pki, refused, version);
            for _ in 0..2 {
                let (response, connection) = first.get(&setup.gateway, PORTAL, "/echo").unwrap();
                assert_eq!(response.status, 403);
                assert!(!connection.resumed(), "{version:?} {refused:?}: a refused session was resumed");
            }
            let sessions = first.config().resumption.clone();
            let good =
                TlsClient::new(&setup.pki, Some("client-good"), version).with(|config| config.resumption = sessions);
            assert_eq!(good.get(&setup.gateway, PORTAL, "/echo").unwrap().0.status, 200, "{version:?} {refused:?}");
        }
    }
}

#[test]
fn a_changed_policy_refuses_a_resumed_session_with_the_alert_that_is_true() {
    let setup = Setup::new();
    let now = sekisho_runtime::clock::now();
    setup.pki.issue_client("client-second", &ClientRequest::good("00001111111 second 1635", now)).unwrap();
    let client = TlsClient::new(&setup.pki, Some("client-second"), Version::Tls13);
    client.get(&setup.gateway, HOST, "/echo").unwrap();
    assert!(client.get(&setup.gateway, HOST, "/echo").unwrap().1.resumed());
    let config = Setup::configuration(&setup.app).replace("[0-9]{11}", "0000987[0-9]{4}");
    setup.gateway.write_config(&config);
    wait_until("it is refused", || client.get(&setup.gateway, HOST, "/echo").is_err());
    let error = client.get(&setup.gateway, HOST, "/echo").map(|(response, _)| response.status).unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::BadCertificate), "{error:?}");
}
