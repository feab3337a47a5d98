//! The framing matrix (requirement G9): whatever a client does with a request in either version of HTTP, an upstream of
//! either version gets exactly the well-formed requests that were admitted, and nobody else's answer changes.

use crate::common::{Gateway, TestPki, TlsClient, TlsConnection, Version};
use crate::strict::{SeenRequest, Strict};
use crate::support::{HOST, Pooled};
use bytes::Bytes;
use http::{HeaderMap, Request};
use rustls::pki_types::ServerName;
use std::fmt;
use std::future::poll_fn;
use tokio::runtime::Runtime;

/// What a client does with a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Length,
    Streamed,
    Empty,
    /// Nothing but its end, in a frame or chunk of its own.
    OnlyItsEnd,
    /// Something, and then its end in an empty frame (cloudflare/pingora#935).
    EndsInAnEmptyFrame,
    Trailers,
    Continue,
    ResetMidway,
    EarlyAnswer,
}

const SHAPES: [Shape; 9] = [
    Shape::Length,
    Shape::Streamed,
    Shape::Empty,
    Shape::OnlyItsEnd,
    Shape::EndsInAnEmptyFrame,
    Shape::Trailers,
    Shape::Continue,
    Shape::ResetMidway,
    Shape::EarlyAnswer,
];

impl Shape {
    fn target(self, number: usize) -> String {
        let kind = match self {
            Self::EarlyAnswer => "early",
            _ => "whole",
        };
        format!("/{kind}/{self}/{number}")
    }

    /// What is to arrive of the body; none: not all of it.
    fn body(self) -> Option<&'static [u8]> {
        match self {
            Self::Empty | Self::OnlyItsEnd => Some(b""),
            Self::ResetMidway | Self::EarlyAnswer => None,
            _ => Some(b"hello"),
        }
    }

    fn is_regular(self) -> bool {
        self.body().is_some()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What the client was told; none: nothing, for it went away.
type Told = Option<(u16, String)>;

fn http1(connection: &mut TlsConnection, shape: Shape, target: &str, upstream: &Strict, waits: bool) -> Told {
    let head = |fields: &str| format!("POST {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n\r\n");
    let chunked = |rest: &str| head("Transfer-Encoding: chunked") + rest;
    let request = match shape {
        Shape::Length => head("Content-Length: 5") + "hello",
        Shape::Streamed => chunked("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        Shape::Empty => head("Content-Length: 0"),
        Shape::OnlyItsEnd => chunked("0\r\n\r\n"),
        Shape::EndsInAnEmptyFrame => chunked("5\r\nhello\r\n"),
        Shape::Trailers => chunked("5\r\nhello\r\n0\r\nX-Trailer: 1\r\nX-Sekisho-User-Id: 1\r\n\r\n"),
        Shape::Continue => head("Expect: 100-continue\r\nContent-Length: 5"),
        Shape::ResetMidway | Shape::EarlyAnswer => head("Content-Length: 100000") + "hello",
    };
    connection.send(request.as_bytes()).unwrap();
    match shape {
        Shape::EndsInAnEmptyFrame => {
            upstream.wait_for(target);
            connection.send(b"0\r\n\r\n").unwrap();
        }
        Shape::Continue => {
            if waits {
                assert_eq!(connection.receive().unwrap().status, 100);
            }
            connection.send(b"hello").unwrap();
        }
        Shape::ResetMidway => {
            upstream.wait_for(target);
            return None;
        }
        _ => {}
    }
    let answer = connection.receive().unwrap();
    if shape == Shape::EarlyAnswer {
        assert_eq!(answer.header("connection"), Some("close"));
    }
    Some((answer.status, answer.text()))
}

/// A connection of HTTP/2, the driver of which runs on.
struct Http2 {
    requests: h2::client::SendRequest<Bytes>,
}

impl Http2 {
    async fn connect(gateway: &Gateway, client: TlsClient) -> Self {
        let client = client.with(|config| config.alpn_protocols = vec![b"h2".to_vec()]);
        let tcp = tokio::net::TcpStream::connect(gateway.tls()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(client.config());
        let tls = connector.connect(ServerName::try_from(HOST).unwrap(), tcp).await.unwrap();
        let (requests, connection) = h2::client::handshake(tls).await.unwrap();
        tokio::spawn(connection);
        Self { requests }
    }

    async fn get(&mut self, target: &str) -> (u16, String) {
        let request = Request::get(format!("https://{HOST}{target}")).body(()).unwrap();
        let (answer, _) = self.requests.send_request(request, true).unwrap();
        told(answer.await.unwrap()).await
    }

    async fn send(&mut self, shape: Shape, target: &str, upstream: &Strict, waits: bool) -> Told {
        let request = Request::post(format!("https://{HOST}{target}"));
        let request = match shape {
            Shape::Length | Shape::EndsInAnEmptyFrame => request.header("content-length", "5"),
            Shape::Continue => request.header("content-length", "5").header("expect", "100-continue"),
            _ => request,
        };
        // The frame at the end has a request of unannounced length behind it, as well as one of a known one.
        let request = if shape == Shape::EndsInAnEmptyFrame && target.ends_with('1') {
            Request::post(format!("https://{HOST}{target}"))
        } else {
            request
        };
        let request = request.body(()).unwrap();
        let (mut answer, mut body) = self.requests.send_request(request, shape == Shape::Empty).unwrap();
        match shape {
            Shape::Empty => {}
            Shape::Length => body.send_data("hello".into(), true).unwrap(),
            Shape::OnlyItsEnd => body.send_data(Bytes::new(), true).unwrap(),
            Shape::Streamed => {
                body.send_data("he".into(), false).unwrap();
                upstream_has(upstream, target).await;
                body.send_data("llo".into(), true).unwrap();
            }
            Shape::EndsInAnEmptyFrame => {
                body.send_data("hello".into(), false).unwrap();
                upstream_has(upstream, target).await;
                // By its length the request is whole: the answer may have ended the stream before this frame does
                // (RFC 9113 section 8.1).
                let ended = body.send_data(Bytes::new(), true);
                assert!(ended.is_ok() || !target.ends_with('1'), "{ended:?}");
            }
            Shape::Trailers => {
                body.send_data("hello".into(), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sekisho-user-id", "1".parse().unwrap());
                body.send_trailers(trailers).unwrap();
            }
            Shape::Continue => {
                if waits {
                    let interim = poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
                    assert_eq!(interim.status(), 100);
                }
                body.send_data("hello".into(), true).unwrap();
            }
            Shape::ResetMidway => {
                body.send_data("hello".into(), false).unwrap();
                upstream_has(upstream, target).await;
                body.send_reset(h2::Reason::CANCEL);
                return None;
            }
            Shape::EarlyAnswer => body.send_data("hello".into(), false).unwrap(),
        }
        Some(told(answer.await.unwrap()).await)
    }
}

async fn told(answer: http::Response<h2::RecvStream>) -> (u16, String) {
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend_from_slice(&piece.unwrap());
    }
    (status, String::from_utf8(text).unwrap())
}

async fn upstream_has(upstream: &Strict, target: &str) {
    let (upstream, target) = (upstream.clone(), target.to_owned());
    tokio::task::spawn_blocking(move || upstream.wait_for(&target)).await.unwrap();
}

fn matrix(client_http2: bool, pool_http2: bool) {
    let runtime = Runtime::new().unwrap();
    let pki = TestPki::new();
    let upstream = if pool_http2 { Strict::http2(&pki, &runtime) } else { Strict::http1() };
    let tls = "tls = { server_name = \"ib.localhost\", ca = \"server-ca.pem\" }\nhttp = \"2\"";
    let pool = format!("peers = [\"{}\"]\n{}", upstream.address, if pool_http2 { tls } else { "" });
    let pooled = Pooled::on(pki, &pool);
    let mut innocent = pooled.connect_as("client-rsa");
    for shape in SHAPES {
        // Twice, so that the second comes over a connection that others were on, and somebody else behind each; and until
        // a connection was used again: it is kept a moment after its answer was told, when the next may have another.
        let mut used_again = !shape.is_regular();
        for number in 0.. {
            if number >= 2 && used_again {
                break;
            }
            assert!(number < 20, "no connection is used again after {shape}");
            let target = shape.target(number);
            let told = if client_http2 {
                let client = TlsClient::new(&pooled.pki, Some("client-good"), Version::Tls13);
                runtime.block_on(async {
                    let mut connection = Http2::connect(&pooled.gateway, client).await;
                    let told = connection.send(shape, &target, &upstream, !pool_http2).await;
                    // The connection itself goes on, whatever became of the stream.
                    let after = format!("/after{target}");
                    assert_eq!(connection.get(&after).await, (200, format!("{after} 0")), "{shape}");
                    told
                })
            } else {
                let mut connection = pooled.connect();
                let told = http1(&mut connection, shape, &target, &upstream, !pool_http2);
                if shape.is_regular() {
                    let after = format!("/after{target}");
                    assert_eq!(connection.get(HOST, &after).unwrap().text(), format!("{after} 0"), "{shape}");
                }
                told
            };
            let expected = match (shape, shape.body()) {
                (Shape::EarlyAnswer, _) => Some((413, format!("{target} 0"))),
                (_, Some(body)) => Some((200, format!("{target} {}", body.len()))),
                (_, None) => None,
            };
            assert_eq!(told, expected, "{shape}");
            for guest in 0..3 {
                let own = format!("/innocent/{shape}/{number}/{guest}");
                let answer = innocent.get(HOST, &own).unwrap();
                assert_eq!((answer.status, answer.text()), (200, format!("{own} 0")), "{shape}");
            }
            let seen = upstream.requests(&target);
            assert_eq!(seen.len(), 1, "{shape}: {seen:?}");
            assert_eq!((seen[0].method.as_str(), seen[0].whole), ("POST", shape.is_regular()), "{shape}: {seen:?}");
            if let Some(body) = shape.body() {
                assert_eq!(seen[0].body, body, "{shape}");
            }
            used_again |= !is_last_of_its_connection(&upstream, &seen[0]);
        }
    }
    for shape in SHAPES.into_iter().filter(|shape| !shape.is_regular()) {
        for request in (0..2).flat_map(|number| upstream.requests(&shape.target(number))) {
            assert!(is_last_of_its_connection(&upstream, &request), "{shape}: used again after an irregular end");
        }
    }
    let seen = upstream.seen();
    assert!(seen.strays.is_empty(), "{:#?}", seen.strays);
    for request in seen.requests.iter().filter(|request| request.target.starts_with("/whole/Trailers")) {
        let users: Vec<_> = request.headers.iter().filter(|(name, _)| name == "x-sekisho-user-id").collect();
        assert!(users.iter().all(|(_, value)| value == "riyousya"), "{request:?}");
    }
}

fn is_last_of_its_connection(upstream: &Strict, request: &SeenRequest) -> bool {
    upstream.seen().requests.iter().rfind(|other| other.connection == request.connection) == Some(request)
}

#[test]
fn http1_to_http1() {
    matrix(false, false);
}

#[test]
fn http2_to_http1() {
    matrix(true, false);
}

#[test]
fn http1_to_http2() {
    matrix(false, true);
}

#[test]
fn http2_to_http2() {
    matrix(true, true);
}
