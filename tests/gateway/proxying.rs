//! Requests and answers pass whole (requirements G2, G9), or end in a clear status.

use crate::common::{Setup, TestApp, TlsClient, Version, WebSocket, curl};

const HOST: &str = "ib.localhost";

#[test]
fn large_bodies_pass_both_ways_in_both_versions_of_http() {
    let setup = Setup::new();
    let body = setup.pki.path("body");
    // Not a multiple of any buffer.
    let octets: Vec<u8> = (0..5_000_003_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
    std::fs::write(&body, &octets).unwrap();
    let expected = sekisho::pki::fingerprint::Fingerprint::of(&octets).to_string();
    for version in ["--http1.1", "--http2"] {
        let upload = format!("@{}", body.display());
        let answer = curl(
            &setup.gateway,
            &setup.pki,
            Some("client-good"),
            &[version, "--data-binary", &upload, &setup.gateway.url(HOST, "/upload")],
        );
        assert!(answer.body().contains(&expected), "{version}: {answer:?}");
        for path in ["/download?bytes=7000001", "/download?bytes=7000001&chunked"] {
            let answer =
                curl(&setup.gateway, &setup.pki, Some("client-good"), &[version, &setup.gateway.url(HOST, path)]);
            assert_eq!((answer.status(), answer.body().len()), (200, 7_000_001), "{version} {path}: {}", answer.stderr);
        }
    }
}

#[test]
fn a_websocket_passes() {
    let setup = Setup::new();
    let connection =
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
    let mut socket = WebSocket::open(connection, HOST);
    for text in ["one", "two", "three"] {
        let echoed = socket.echo(text).unwrap_or_else(|error| panic!("{text}: {error}: {}", setup.gateway.output()));
        assert_eq!(echoed, text);
    }
    assert_eq!(setup.app.request_of("/ws").headers["x-sekisho-user-id"], "riyousya");
}

#[test]
fn statuses_of_the_application_pass_and_its_absence_is_502_or_503() {
    let setup = Setup::new();
    for code in ["204", "404", "500"] {
        let answer = curl(
            &setup.gateway,
            &setup.pki,
            Some("client-good"),
            &[&setup.gateway.url(HOST, &format!("/status?code={code}"))],
        );
        assert_eq!(answer.status().to_string(), code);
    }
    let Setup { gateway, app, pki } = setup;
    drop::<TestApp>(app);
    let answer = curl(&gateway, &pki, Some("client-good"), &[&gateway.url(HOST, "/echo")]);
    assert!(matches!(answer.status(), 502 | 503), "{answer:?}");
}

#[test]
fn an_application_that_does_not_answer_in_time_is_504() {
    let setup = Setup::with(|config| config.replacen("peers =", "read_timeout = \"1s\"\npeers =", 1));
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &[&setup.gateway.url(HOST, "/slow?seconds=60")]);
    assert_eq!(answer.status(), 504, "{answer:?}");
}

#[test]
fn a_body_or_header_over_its_limit_is_413_or_431_and_the_next_client_is_served() {
    let limits = "[gateway.limits]\nrequest_body_bytes = \"64KiB\"\nrequest_header_bytes = \"4KiB\"\n\n[[ca]]";
    let setup = Setup::with(|config| config.replacen("[[ca]]", limits, 1));
    let url = setup.gateway.url(HOST, "/upload");
    let body = "x".repeat(70_000);
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &["--data-binary", &body, &url]);
    assert_eq!(answer.status(), 413, "{answer:?}");
    let chunked = ["-H", "Transfer-Encoding: chunked", "--http1.1", "--data-binary", &body, &url];
    assert_eq!(curl(&setup.gateway, &setup.pki, Some("client-good"), &chunked).status(), 413);
    let header = format!("X-Large: {}", "x".repeat(8_000));
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &["--http1.1", "-H", &header, &url]);
    assert_eq!(answer.status(), 431, "{answer:?}");
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &["--data-binary", "x", &url]);
    assert_eq!(answer.status(), 200, "{answer:?}");
}
