use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn answer(status: u16, fields: &[(&'static str, &str)]) -> ResponseHeader {
    let mut head = ResponseHeader::build(status, None).unwrap();
    fields.iter().for_each(|(name, value)| {
        head.append_header(*name, *value).unwrap();
    });
    head
}

#[test]
fn a_header_ends_behind_its_first_empty_line_wherever_reading_stopped() {
    for head in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\n\r\n", "GET /\n\r\n"]
    {
        let bytes = [head.as_bytes(), b"rest\r\n\r\n"].concat();
        assert_eq!(head_end(&bytes, 0), Some(head.len()), "{head:?}");
        for end in 0..head.len() {
            assert_eq!(head_end(&bytes[..end], 0), None, "{head:?} to {end}");
            assert_eq!(head_end(&bytes[..head.len()], end), Some(head.len()), "{head:?} from {end}");
        }
    }
}

#[test]
fn a_request_line_has_three_parts_and_nothing_to_repair() {
    assert!(is_request_line(b"GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(is_request_line(b"M-SEARCH * HTTP/1.0\n\n"));
    for line in [
        "GET /a b HTTP/1.1",
        "GET  /a HTTP/1.1",
        "GET /a  HTTP/1.1",
        " GET /a HTTP/1.1",
        "GET /a HTTP/1.1 ",
        "GET /a",
        "GET /a\tb HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /a HTTP/2.0",
        "GET /a HTTP/1.2",
        "GET /a http/1.1",
        "G@T / HTTP/1.1",
        "",
    ] {
        assert!(!is_request_line(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()), "{line:?}");
    }
}

#[test]
fn what_is_told_twice_or_not_understood_is_no_answer() {
    for fields in [
        &[("content-length", "1"), ("content-length", "1")][..],
        &[("content-length", "1, 1")],
        &[("content-length", "+1")],
        &[("content-length", "")],
        &[("content-length", "99999999999999999999")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "gzip")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    ] {
        assert!(take_answer(&mut answer(200, fields), false).is_err(), "{fields:?}");
    }
}

#[test]
fn what_ends_at_this_hop_is_taken_and_what_the_message_hangs_on_is_not() {
    let mut head = answer(
        200,
        &[
            ("connection", "X-One, content-length"),
            ("connection", "close"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("keep-alive", "timeout=1"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("trailer", "x-late"),
            ("upgrade", "h2c"),
            ("content-length", "3"),
        ],
    );
    assert_eq!(take_answer(&mut head, false), Ok(Body::Length(3)));
    let names: BTreeSet<_> = head.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, BTreeSet::from(["content-length", "x-two"]));
    let mut head = answer(200, &[("transfer-encoding", "Chunked")]);
    assert_eq!(take_answer(&mut head, false), Ok(Body::Unknown));
    assert!(head.headers.is_empty());
}

#[test]
fn answers_without_a_body_have_none_whatever_they_say() {
    for (status, to_head, kept) in [(204, false, false), (304, false, true), (200, true, true), (103, false, false)] {
        let mut head = answer(status, &[("content-length", "3")]);
        assert_eq!(take_answer(&mut head, to_head), Ok(Body::None), "{status}");
        assert_eq!(head.headers.contains_key("content-length"), kept, "{status}");
    }
}

#[test]
fn crumbs_become_one_cookie() {
    let mut headers = HeaderMap::new();
    for crumb in ["a=b", "c=d", "e=f"] {
        headers.append("cookie", crumb.parse().unwrap());
    }
    join_cookies(&mut headers);
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=b; c=d; e=f"]);
    join_cookies(&mut headers);
    assert_eq!(headers["cookie"], "a=b; c=d; e=f");
}

#[test]
fn only_a_websocket_of_http_1_1_is_passed_on() {
    let headers = |upgrade: &str, connection: &str| {
        let fields = [("upgrade", upgrade), ("connection", connection)];
        fields.into_iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    };
    assert!(asks_for_websocket(Version::HTTP_11, &headers("WebSocket", "keep-alive, Upgrade")));
    assert!(!asks_for_websocket(Version::HTTP_10, &headers("websocket", "upgrade")));
    assert!(!asks_for_websocket(Version::HTTP_11, &headers("websocket", "keep-alive")));
    assert!(!asks_for_websocket(Version::HTTP_11, &headers("h2c", "upgrade")));
}

proptest! {
    /// However a body comes in pieces, empty ones among them, what is written is read as that body and has one end.
    #[test]
    fn a_chunked_body_is_what_came_and_ends_once(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2_000), 0..6)) {
        let mut framing = Framing::Chunked;
        let mut written = Vec::new();
        for piece in &pieces {
            framing.frame(&Bytes::from(piece.clone())).unwrap().iter().for_each(|bytes| written.extend_from_slice(bytes));
        }
        written.extend_from_slice(framing.end().unwrap());
        let (mut rest, mut read) = (&written[..], Vec::new());
        loop {
            let line = rest.windows(2).position(|window| window == b"\r\n").unwrap();
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            let (chunk, behind) = rest[line + 2..].split_at(size);
            read.extend_from_slice(chunk);
            prop_assert_eq!(&behind[..2], b"\r\n");
            rest = &behind[2..];
            if size == 0 {
                break;
            }
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(read, pieces.concat());
    }

    #[test]
    fn a_body_of_a_length_is_never_longer_nor_ends_shorter(length in 0_u64..100, pieces in prop::collection::vec(0_usize..60, 0..5)) {
        let mut framing = Framing::Length(length);
        let mut sum = 0;
        for piece in pieces {
            sum += u64::try_from(piece).unwrap();
            let framed = framing.frame(&Bytes::from(vec![0; piece]));
            prop_assert_eq!(framed.is_ok(), sum <= length);
            if framed.is_err() {
                return Ok(());
            }
        }
        prop_assert_eq!(framing.end().is_ok(), sum == length);
    }
}
