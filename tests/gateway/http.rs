//! HTTP/1.1 as an attacker speaks it: no octet of one request becomes another (requirement G9).

use crate::common::{Response, Setup, TlsClient, TlsConnection, Version};
use crate::support::{HOST, Pooled, raw_upstream, reached};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

fn connect(setup: &Setup) -> TlsConnection {
    TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap()
}

/// Sends octets and reads every answer until the connection ends; answers to nothing do not come.
fn answers(connection: &mut TlsConnection, request: &str) -> Vec<u16> {
    connection.send(request.as_bytes()).unwrap();
    let mut statuses = Vec::new();
    while let Ok(Response { status, .. }) = connection.receive() {
        statuses.push(status);
    }
    statuses
}

#[test]
fn malformed_and_ambiguous_requests_are_400_and_reach_no_application() {
    let setup = Setup::new();
    for (what, request) in [
        (
            "two lengths",
            "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        ),
        ("two lengths in one", "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 3, 4\r\n\r\nabcd"),
        ("a length with a sign", "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: +3\r\n\r\nabc"),
        (
            "the same length twice",
            "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        ),
        (
            "the same length twice in one",
            "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 3, 3\r\n\r\nabc",
        ),
        (
            "a length with a zero before it",
            "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 03\r\n\r\nabc",
        ),
        (
            "chunked twice",
            "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a length in hex", "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 0x3\r\n\r\nabc"),
        (
            "chunked not last",
            "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "an unknown coding",
            "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "HTTP/1.0 in chunks",
            "POST /upload HTTP/1.0\r\nHost: ib.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "HTTP/1.0 in chunks and a length",
            "POST /upload HTTP/1.0\r\nHost: ib.localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a folded line", "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nX-Folded: one\r\n two\r\n\r\n"),
        ("a blank before the colon", "GET /echo HTTP/1.1\r\nHost : ib.localhost\r\n\r\n"),
        ("NUL in a value", "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nX-Nul: a\0b\r\n\r\n"),
        ("a bare CR in a value", "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nX-Cr: a\rb\r\n\r\n"),
        ("no host", "GET /echo HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nHost: portal.localhost\r\n\r\n"),
        ("the same host twice", "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nHost: ib.localhost\r\n\r\n"),
        ("another host in the target", "GET https://portal.localhost/echo HTTP/1.1\r\nHost: ib.localhost\r\n\r\n"),
        ("no version", "GET /echo\r\n\r\n"),
        ("a version of tomorrow", "GET /echo HTTP/3.0\r\nHost: ib.localhost\r\n\r\n"),
        ("a fragment of TLS", "\u{16}\u{3}\u{1}\r\n\r\n"),
    ] {
        let statuses = answers(&mut connect(&setup), request);
        assert!(statuses == [400] || statuses == [421], "{what}: {statuses:?}");
    }
    assert_eq!((reached(&setup.app, "/echo"), reached(&setup.app, "/upload")), (0, 0));
}

#[test]
fn a_transfer_coding_that_is_not_known_is_501() {
    let setup = Setup::new();
    let request =
        "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(answers(&mut connect(&setup), request), [501]);
    assert_eq!(reached(&setup.app, "/upload"), 0);
}

/// An application that folds `_` and `.` to `-` would read a second length, coding or host.
#[test]
fn no_look_alike_of_what_frames_a_message_reaches_the_application() {
    let setup = Setup::new();
    let mut connection = connect(&setup);
    let forged = "Content_Length: 99\r\ncontent.length: 99\r\nContent-Length_: 99\r\nTransfer_Encoding: chunked\r\n\
                  Transfer.Encoding: chunked\r\nHost_: evil\r\n_Host: evil\r\nCONNECTION_: close\r\nUp~grade: h2c\r\n";
    let request = format!("POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 3\r\n{forged}\r\nabc");
    connection.send(request.as_bytes()).unwrap();
    assert_eq!(connection.receive().unwrap().status, 200);
    let headers = setup.app.request_of("/upload").headers;
    let letters =
        |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    for known in ["contentlength", "transferencoding", "host", "connection", "upgrade"] {
        let spellings: Vec<_> =
            headers.keys().map(|name| name.as_str()).filter(|name| letters(name) == known).collect();
        assert!(spellings.iter().all(|name| ["content-length", "host", "connection"].contains(name)), "{spellings:?}");
    }
    assert_eq!(
        (&headers["content-length"], &headers["host"]),
        (&"3".parse().unwrap(), &"ib.localhost".parse().unwrap())
    );
}

#[test]
fn head_goes_where_get_goes() {
    let setup = Setup::with(|config| config.replacen("path = \"/\"", "path = \"/\"\nmethods = [\"GET\"]", 1));
    let mut connection = connect(&setup);
    connection.send(b"HEAD /echo HTTP/1.1\r\nHost: ib.localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let refused =
        answers(&mut connect(&setup), "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(refused, [405]);
}

#[test]
fn a_page_for_users_is_for_users_in_every_spelling_that_an_application_may_fold() {
    let setup = Setup::new();
    let status = |client: &str, path: &str| {
        let mut connection =
            TlsClient::new(&setup.pki, Some(client), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
        connection.get(HOST, path).unwrap().status
    };
    for path in [
        "/users",
        "/USERS",
        "/users.json",
        "/users::$DATA",
        "/%EF%BD%95sers",
        "/us%C2%ADers",
        "/users%3a%3a$DATA",
        "/(S(abc))/users",
        "/%E2%88%95users",
    ] {
        assert_eq!(status("client-no-user-id", path), 403, "{path}");
        let before = setup.app.requests().len();
        assert_ne!(status("client-good", path), 403, "{path}");
        assert_eq!(
            setup.app.requests().iter().skip(before).filter(|request| request.target == path).count(),
            1,
            "{path}"
        );
    }
}

#[test]
fn what_could_be_the_short_name_of_a_page_for_users_is_refused_and_reaches_nobody() {
    let setup = Setup::new();
    for path in ["/users~1", "/USERS~1.ASP", "/(S(abc))users"] {
        assert_eq!(connect(&setup).get(HOST, path).unwrap().status, 400, "{path}");
        assert_eq!(reached(&setup.app, path), 0, "{path}");
    }
}

#[test]
fn connect_and_trace_open_nothing() {
    let setup = Setup::new();
    let statuses = answers(&mut connect(&setup), "CONNECT ib.localhost:443 HTTP/1.1\r\nHost: ib.localhost:443\r\n\r\n");
    assert!(matches!(statuses[..], [400..=499]), "{statuses:?}");
    // The answer to a TRACE is the request, with what the gateway tells the application of the client.
    assert_eq!(answers(&mut connect(&setup), "TRACE /echo HTTP/1.1\r\nHost: ib.localhost\r\n\r\n"), [405]);
    assert!(setup.app.requests().iter().all(|request| request.method == http::Method::GET));
}

/// CVE-2025-4366: what is left of a request's body is not the next request.
#[test]
fn a_body_that_nobody_read_is_not_the_next_request() {
    let setup = Setup::new();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: ib.localhost\r\n\r\n";
    for (path, expected) in [("/nowhere/%00", 400), ("/users/../administrators/..%2f", 400), ("/status?code=204", 204)]
    {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: {}\r\n\r\n{smuggled}",
            smuggled.len()
        );
        let mut connection = connect(&setup);
        connection.send(request.as_bytes()).unwrap();
        assert_eq!(connection.receive().unwrap().status, expected, "{path}");
        // The connection may live on or not; what comes next is answered as what it is, or not at all.
        if let Ok(response) = connection.get(HOST, "/echo") {
            assert_eq!(response.json()["target"], "/echo", "{path}");
        }
    }
    assert_eq!(reached(&setup.app, "/smuggled"), 0);
}

/// CVE-2026-2833: what follows a request for an upgrade that the upstream refuses is not passed on as if it were not.
#[test]
fn octets_after_an_upgrade_that_is_refused_are_no_request() {
    let seen = Arc::new(Mutex::new(String::new()));
    let record = seen.clone();
    let upstream = raw_upstream(move |mut stream, head| {
        record.lock().unwrap().push_str(&head);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno").unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        record.lock().unwrap().push_str(&String::from_utf8_lossy(&rest));
    });
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]"));
    let mut connection = pooled.connect();
    let request = "GET /ws HTTP/1.1\r\nHost: ib.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
                   GET /smuggled HTTP/1.1\r\nHost: ib.localhost\r\nX-Sekisho-Contract-Id: 1\r\n\r\n";
    let statuses = answers(&mut connection, request);
    assert_eq!(statuses.first(), Some(&200), "{statuses:?}");
    assert!(!seen.lock().unwrap().contains("X-Sekisho-Contract-Id: 1"), "{}", seen.lock().unwrap());
    assert!(!seen.lock().unwrap().contains("/smuggled"), "{}", seen.lock().unwrap());
}

/// CVE-2026-2835: length and chunks together are chunks to both sides, and the connection ends.
#[test]
fn length_and_chunks_together_carry_no_second_request() {
    let setup = Setup::new();
    let request = "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ib.localhost\r\n\r\n";
    let statuses = answers(&mut connect(&setup), request);
    assert!(statuses == [200] || statuses == [400], "{statuses:?}");
    for seen in setup.app.requests().iter().filter(|request| request.target == "/upload") {
        assert!(!seen.headers.contains_key("content-length"), "{seen:?}");
    }
    assert_eq!(reached(&setup.app, "/smuggled"), 0);
}

#[test]
fn a_request_line_ended_by_a_bare_lf_hides_nothing() {
    let setup = Setup::new();
    let request = "GET /echo HTTP/1.1\nHost: ib.localhost\nX-Sekisho-Contract-Id: 1\n\n";
    let mut connection = connect(&setup);
    connection.send(request.as_bytes()).unwrap();
    let response = connection.receive().unwrap();
    if response.status == 200 {
        assert_eq!(setup.app.request_of("/echo").headers["x-sekisho-contract-id"], "00009876543");
    } else {
        assert_eq!(response.status, 400);
    }
}

#[test]
fn a_whole_target_is_told_the_upstream_as_path_and_its_host_as_host() {
    let setup = Setup::new();
    let mut connection = connect(&setup);
    connection.send(b"GET https://ib.localhost/echo?a=b HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    assert_eq!(connection.receive().unwrap().status, 200);
    let seen = setup.app.request_of("/echo");
    assert_eq!((seen.target.as_str(), &seen.headers["host"]), ("/echo?a=b", &HOST.parse().unwrap()));
}

#[test]
fn an_upgrade_to_http2_in_the_clear_is_not_passed_on() {
    let setup = Setup::new();
    let mut connection = connect(&setup);
    let request = "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    connection.send(request.as_bytes()).unwrap();
    let response = connection.receive().unwrap();
    assert_ne!(response.status, 101);
    if response.status == 200 {
        let headers = setup.app.request_of("/echo").headers;
        assert!(!headers.contains_key("upgrade") && !headers.contains_key("http2-settings"), "{headers:?}");
    }
}

#[test]
fn hop_by_hop_headers_stop_here() {
    let setup = Setup::new();
    let mut connection = connect(&setup);
    let request = "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\n\
                   Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\r\n";
    connection.send(request.as_bytes()).unwrap();
    assert_eq!(connection.receive().unwrap().status, 200);
    let headers = setup.app.request_of("/echo").headers;
    for name in ["x-secret", "keep-alive", "proxy-connection", "te"] {
        assert!(!headers.contains_key(name), "{name} in {headers:?}");
    }
}
