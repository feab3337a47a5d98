//! Who is refused, how, and that nothing of it reaches the application.

use crate::common::{Setup, TlsClient, Version, alert, curl, openssl_s_client};
use rustls::AlertDescription;

const REFUSED: [(Option<&str>, &str, AlertDescription); 6] = [
    (None, "no-certificate", AlertDescription::CertificateRequired),
    (Some("client-expired"), "expired", AlertDescription::CertificateExpired),
    (Some("client-not-yet-valid"), "not-yet-valid", AlertDescription::CertificateExpired),
    (Some("client-revoked"), "revoked", AlertDescription::CertificateRevoked),
    (Some("client-other-ca"), "unknown-ca", AlertDescription::UnknownCA),
    (Some("client-bad-cn"), "malformed-identity", AlertDescription::BadCertificate),
];

#[test]
fn each_bad_certificate_gets_the_alert_that_is_true_in_both_versions_of_tls_and_a_record() {
    let setup = Setup::new();
    for version in [Version::Tls12, Version::Tls13] {
        for (client, reason, expected) in REFUSED {
            let refused = TlsClient::new(&setup.pki, client, version).get(&setup.gateway, "ib.localhost", "/echo");
            let error = refused.map(|(response, _)| response.status).unwrap_err();
            // TLS 1.2 has no certificate_required (RFC 8446 section 6.2), but handshake_failure (RFC 5246 section 7.4.6).
            let expected = match (version, client) {
                (Version::Tls12, None) => AlertDescription::HandshakeFailure,
                _ => expected,
            };
            assert_eq!(alert(&error), Some(expected), "{client:?} {version:?}: {error:?}");
            setup.gateway.record(reason, |record| {
                record["kind"] == "authentication" && record["outcome"] == "refused" && record["reason"] == reason
            });
        }
    }
    let reached: Vec<_> = setup.app.requests().into_iter().filter(|request| request.target != "/healthz").collect();
    assert!(reached.is_empty(), "{reached:?}");
}

#[test]
fn a_refused_handshake_is_recorded_once_with_serial_subject_issuer_address_and_name() {
    let setup = Setup::new();
    curl(&setup.gateway, &setup.pki, Some("client-revoked"), &[&setup.gateway.url("ib.localhost", "/")]);
    let is_it = |record: &serde_json::Value| record["kind"] == "authentication" && record["reason"] == "revoked";
    let record = setup.gateway.record("the revoked handshake", is_it);
    let certificate = &record["certificate"];
    assert_eq!(certificate["serial"], setup.pki.serial("client-revoked").unwrap().to_string());
    assert!(certificate["subject"].as_str().unwrap().contains("00009876543 revoked 1635"), "{record}");
    assert!(certificate["issuer"].as_str().unwrap().contains("Issuing CA"), "{record}");
    assert_eq!(certificate["crl_number"], setup.pki.crl_number().to_string());
    assert_eq!((&record["server_name"], &record["resumed"]), (&"ib.localhost".into(), &false.into()));
    assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
    assert_eq!(setup.gateway.records(is_it).len(), 1);
    let counted = r#"sekisho_handshakes_total{outcome="refused",reason="revoked",resumed="false",site="ib.localhost"}"#;
    assert!((setup.gateway.metric(counted) - 1.0).abs() < f64::EPSILON, "{}", setup.gateway.admin_get("/metrics").1);
}

#[test]
fn a_page_names_the_reference_number_that_is_in_the_record() {
    let setup = Setup::new();
    let arguments = ["-H", "Accept: application/json", &setup.gateway.url("portal.localhost", "/")];
    let answer = curl(&setup.gateway, &setup.pki, Some("client-expired"), &arguments);
    assert_eq!(answer.status(), 403, "{answer:?}");
    let problem: serde_json::Value = serde_json::from_str(answer.body()).unwrap();
    let reference = problem["reference"].as_str().unwrap().to_owned();
    assert!(reference.len() >= 8, "{problem}");
    let record = setup.gateway.record("the refused request", |record| record["request_id"] == reference.as_str());
    assert_eq!((&record["refused"], &record["status"]), (&"expired".into(), &403.into()));
    assert!(setup.app.requests().iter().all(|request| request.target == "/healthz"));
}

#[test]
fn the_site_is_the_one_the_client_named_whatever_its_case_and_none_without_a_name() {
    let setup = Setup::new();
    let request = "GET /echo HTTP/1.1\r\nHost: IB.localhost.\r\nConnection: close\r\n\r\n";
    for name in ["ib.localhost", "IB.LocalHost"] {
        let arguments = ["-quiet", "-servername", name];
        let answer = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &arguments, request);
        assert!(answer.stdout.starts_with("HTTP/1.1 200"), "{name}: {answer:?}");
    }
    for arguments in [&["-quiet", "-noservername"][..], &["-quiet", "-servername", "other.localhost"]] {
        let answer = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), arguments, request);
        assert!(!answer.stdout.contains("HTTP/"), "{answer:?}");
        // OpenSSL leaves the word "alert" out of this one.
        assert!(answer.stderr.contains("tlsv1 unrecognized name"), "{answer:?}");
    }
}

/// RFC 6066 section 3: an address is no HostName. A client that sends one has no name, and no other site's.
#[test]
fn an_address_as_server_name_is_none() {
    let request = |host: &str| format!("GET /echo HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let arguments = ["-quiet", "-servername", "192.0.2.1"];
    let setup = Setup::new();
    let answer =
        openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &arguments, &request("ib.localhost"));
    assert!(answer.stderr.contains("tlsv1 unrecognized name"), "{answer:?}");
    let names = "server_names = [\"ib.localhost\"]";
    let setup = Setup::with(|config| config.replace(names, &format!("{names}\ndefault = true")));
    for (host, status) in [("ib.localhost", "200"), ("192.0.2.1", "421"), ("portal.localhost", "421")] {
        let answer = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &arguments, &request(host));
        assert!(answer.stdout.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer:?}");
    }
}

#[test]
fn a_host_of_another_site_is_misdirected_in_both_versions_of_http() {
    let setup = Setup::new();
    let url = setup.gateway.url("ib.localhost", "/echo");
    for version in ["--http1.1", "--http2"] {
        for host in ["Host: portal.localhost", "Host: unknown.localhost", "Host: ib.localhost.evil.example"] {
            let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &[version, "-H", host, &url]);
            assert_eq!(answer.status(), 421, "{host}: {answer:?}");
        }
    }
    assert!(setup.app.requests().iter().all(|request| request.target == "/healthz"));
}
