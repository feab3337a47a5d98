//! A resumed session is checked like a new one (requirement G12): rustls alone does not.

use crate::common::{Setup, Signal, TlsClient, Version, alert, wait_until};
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
