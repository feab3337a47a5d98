//! A client that sends a forged CA certificate along, to be looked up at another CA of the same name: through a handshake,
//! a resumed session and a live connection.
//!
//! The second hierarchy of the development PKI has the names of the first and other keys, as after a re-key in place.

use crate::common::{ClientRequest, Setup, TestPki, TlsClient, Version, alert, wait_until};
use rcgen::{BasicConstraints, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::AlertDescription;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_pki::certificate::Certificate;

const HOST: &str = "ib.localhost";

/// A gateway that accepts both hierarchies; the second one's certificates are never revoked.
fn setup() -> Setup {
    Setup::with(|config| {
        let identity = config.lines().find(|line| line.starts_with("identity = ")).unwrap();
        let second = format!(
            "[[ca]]\nname = \"second-root\"\ncertificate = \"other-root-ca.pem\"\nrevocation = \"none\"\n\n\
             [[ca]]\nname = \"second-issuing\"\nissued_by = \"second-root\"\ncertificate = \"other-issuing-ca.pem\"\n\
             revocation = \"none\"\n{identity}\n\n[[pool]]"
        );
        let headers = "[gateway.headers]\nclient_cert_chain = \"client-cert-chain\"\n\n[[ca]]";
        let config = config.replacen("[[ca]]", headers, 1);
        config.replacen("[[pool]]", &second, 1).replace("ca = [\"root\"]", "ca = [\"root\", \"second-root\"]")
    })
}

/// A CA certificate that nobody signed: the issuing CA's name as subject and issuer, the second hierarchy's key.
fn forged(pki: &TestPki) -> CertificateDer<'static> {
    let second = CertificateDer::from_pem_file(pki.path("other-issuing-ca.pem")).unwrap();
    let key = KeyPair::from_pem(&std::fs::read_to_string(pki.path("other-issuing-ca.key")).unwrap()).unwrap();
    let attacker = Issuer::from_ca_cert_der(&second, KeyPair::generate().unwrap()).unwrap();
    let mut parameters =
        ClientRequest::good("Sekisho Development Issuing CA", sekisho_runtime::clock::now()).parameters().unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.extended_key_usages.clear();
    let forged = parameters.signed_by(&key, &attacker).unwrap().der().clone();
    let (made, meant) = (Certificate::parse(&forged).unwrap(), Certificate::parse(&second).unwrap());
    assert_eq!((made.subject().der(), made.issuer().der()), (meant.subject().der(), meant.subject().der()));
    assert_eq!(made.authority_key(), meant.authority_key());
    forged
}

fn client(pki: &TestPki, name: &str, link: &CertificateDer<'static>, version: Version) -> TlsClient {
    let leaf = CertificateDer::from_pem_file(pki.path(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(pki.path(&format!("{name}.key"))).unwrap();
    TlsClient::with_chain(pki, Some((vec![leaf, link.clone()], key)), version)
}

#[test]
fn a_revoked_client_is_refused_whatever_it_sends_along() {
    let setup = setup();
    let link = forged(&setup.pki);
    for version in [Version::Tls12, Version::Tls13] {
        let result = client(&setup.pki, "client-revoked", &link, version).get(&setup.gateway, HOST, "/echo");
        let error = result.map(|(response, _)| response.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked), "{error:?}");
    }
    let record = setup.gateway.record("the refusal", |record| record["reason"] == "revoked");
    assert_eq!(record["outcome"], "refused", "{record}");
}

#[test]
fn a_client_that_sent_it_from_the_start_is_cut_and_not_resumed_once_it_is_revoked() {
    let mut setup = setup();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let link = forged(&setup.pki);
    let clients = [Version::Tls12, Version::Tls13].map(|version| client(&setup.pki, "client-leaving", &link, version));
    let mut streams = Vec::new();
    for client in &clients {
        let (response, _) = client.get(&setup.gateway, HOST, "/echo").unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(client.get(&setup.gateway, HOST, "/echo").unwrap().1.resumed());
        let mut stream = client.connect(&setup.gateway, HOST).unwrap();
        stream.send(b"GET /stream?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
        streams.push(stream);
    }
    setup.pki.revoke_client("client-leaving");
    for stream in &mut streams {
        // Panics when the connection does not end.
        stream.read_to_its_end();
    }
    wait_until("both cuts were counted", || {
        setup.gateway.metric(r#"sekisho_cut_connections_total{reason="revoked"}"#) >= 2.0
    });
    for client in &clients {
        let error = client.get(&setup.gateway, HOST, "/echo").map(|(response, _)| response.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked), "{error:?}");
    }
}

#[test]
fn the_application_gets_the_verified_path_and_not_what_the_client_sent() {
    let setup = setup();
    let link = forged(&setup.pki);
    let issuing = CertificateDer::from_pem_file(setup.pki.path("issuing-ca.pem")).unwrap();
    let leaf = CertificateDer::from_pem_file(setup.pki.path("client-good.pem")).unwrap();
    let key = || PrivateKeyDer::from_pem_file(setup.pki.path("client-good.key")).unwrap();
    for sent in [vec![], vec![link], vec![issuing.clone()]] {
        setup.app.forget_requests();
        let chain = std::iter::once(leaf.clone()).chain(sent).collect();
        let client = TlsClient::with_chain(&setup.pki, Some((chain, key())), Version::Tls13);
        let (response, _) = client.get(&setup.gateway, HOST, "/echo").unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
        let headers = setup.app.request_of("/echo").headers;
        assert_eq!(headers["client-cert"], byte_sequence(&leaf));
        assert_eq!(headers["client-cert-chain"], byte_sequence(&issuing), "the anchor is left out (RFC 9440)");
    }
}

fn byte_sequence(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    format!(":{}:", base64::engine::general_purpose::STANDARD.encode(der))
}
