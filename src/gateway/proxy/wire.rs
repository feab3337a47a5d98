//! HTTP/1.1 as it is written, and what of a request is looked at before pingora parses it. Pure.

use bytes::{BufMut as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use pingora_http::ResponseHeader;

/// How the end of a body is told (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    /// By its length: what is left of it.
    Length(u64),
    /// By its last chunk.
    Chunked,
    /// By the connection's end, or not at all (after an upgrade).
    Close,
}

/// What is known of a body before it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Unknown,
}

/// A body that does not keep to what was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrongLength {
    TooLong,
    TooShort,
}

/// Chunks up to this size are copied, so that they go out in one write.
const COPIED: usize = 16 * 1024;

/// Fields that end at the next hop (RFC 9110 section 7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl Framing {
    /// What of the next piece is written before, in place of, and behind it.
    pub(super) fn frame(&mut self, piece: &Bytes) -> Result<[Bytes; 3], WrongLength> {
        match self {
            Self::Empty => Err(WrongLength::TooLong),
            Self::Length(left) => {
                let taken = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(taken).ok_or(WrongLength::TooLong)?;
                Ok([Bytes::new(), piece.clone(), Bytes::new()])
            }
            // An empty chunk would be the last one.
            Self::Chunked if piece.is_empty() => Ok([const { Bytes::new() }; 3]),
            Self::Chunked => {
                let size = format!("{:x}\r\n", piece.len());
                if piece.len() <= COPIED {
                    return Ok([Bytes::new(), [size.as_bytes(), piece, b"\r\n"].concat().into(), Bytes::new()]);
                }
                Ok([size.into(), piece.clone(), Bytes::from_static(b"\r\n")])
            }
            Self::Close => Ok([Bytes::new(), piece.clone(), Bytes::new()]),
        }
    }

    /// What ends the body: to be written once.
    pub(super) fn end(self) -> Result<&'static [u8], WrongLength> {
        match self {
            Self::Length(1..) => Err(WrongLength::TooShort),
            Self::Empty | Self::Length(0) | Self::Close => Ok(b""),
            Self::Chunked => Ok(b"0\r\n\r\n"),
        }
    }
}

/// Where a request's header ends, if it is whole: behind the first empty line. `from` is where to look on.
pub(super) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(3);
    let rest = bytes.get(start..)?;
    let mut line = 0;
    // Lines may end in LF alone (RFC 9112 section 2.2).
    for (index, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let text = rest.get(line..index).unwrap_or_default();
        if line > 0 && (text.is_empty() || text == b"\r") {
            return Some(start + index + 1);
        }
        line = index + 1;
    }
    None
}

/// Whether a request line is one: a method, a target without blanks or anything that would have to be encoded, and a
/// version, each behind one space. pingora would repair it, and pass on another target than the client's.
pub(super) fn is_request_line(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !method.is_empty()
        && method.iter().all(is_token)
        && !target.is_empty()
        // A fragment is never sent (RFC 9112 section 3.2).
        && target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#')
        && matches!(version, b"HTTP/1.1" | b"HTTP/1.0")
}

/// A response's status line and fields, to their end.
pub(super) fn response_head(head: &ResponseHeader) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.put_slice(b"HTTP/1.1 ");
    bytes.put_slice(head.status.as_str().as_bytes());
    bytes.put_u8(b' ');
    let reason = head.get_reason_phrase().unwrap_or_default();
    if reason.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic()) {
        bytes.put_slice(reason.as_bytes());
    }
    bytes.put_slice(b"\r\n");
    head.header_to_h1_wire(&mut bytes);
    bytes.put_slice(b"\r\n");
    bytes
}

/// Takes from an upstream's answer what ends here, and tells what body it has.
///
/// # Errors
/// What is wrong with it: its length or coding is told in a way that readers differ on.
pub(super) fn take_answer(head: &mut ResponseHeader, to_head: bool) -> Result<Body, &'static str> {
    let chunked = match field(&head.headers, &header::TRANSFER_ENCODING)? {
        None => false,
        Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        Some(_) => return Err("an unknown transfer coding"),
    };
    let length = field(&head.headers, &header::CONTENT_LENGTH)?.map(content_length).transpose()?;
    take_hop_by_hop(head);
    let has_none = to_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // RFC 9110 section 8.6: neither of them has a length.
    if head.status == StatusCode::NO_CONTENT || head.status.is_informational() || chunked {
        head.remove_header(&header::CONTENT_LENGTH);
    }
    Ok(match length {
        _ if has_none || head.status.is_informational() => Body::None,
        Some(length) if !chunked => Body::Length(length),
        _ => Body::Unknown,
    })
}

/// Removes the fields that concern this hop only, and those that `Connection` names but for what the message hangs on.
fn take_hop_by_hop(head: &mut ResponseHeader) {
    let named: Vec<HeaderName> = head
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| *name != header::CONTENT_LENGTH)
        .collect();
    // A client is told what to upgrade to (RFC 9110 section 15.5.22), or that it may.
    let kept = head.status == StatusCode::UPGRADE_REQUIRED || head.status == StatusCode::SWITCHING_PROTOCOLS;
    for name in HOP_BY_HOP.iter().chain(&named).filter(|name| !(kept && **name == header::UPGRADE)) {
        head.remove_header(name);
    }
}

/// Removes them from a request, which [`strip`](crate::gateway::request::headers::strip()) has relieved of what `Connection` names.
pub(super) fn take_request_hop_by_hop(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove(header::PROXY_AUTHENTICATE);
    headers.remove(header::PROXY_AUTHORIZATION);
}

/// One field line of that name, or none.
fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, &'static str> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (line, None) => Ok(line),
        (_, Some(_)) => Err("a length or coding that is told twice"),
    }
}

/// RFC 9110 section 8.6, and in one spelling only.
fn content_length(value: &HeaderValue) -> Result<u64, &'static str> {
    let text = value.to_str().map_err(|_| "a length that is no number")?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or("a length that is no number")
}

/// RFC 9113 section 8.2.3: crumbs of a cookie become one field again.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Values joined by what a value may have are a value.
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, cookie);
    }
}

/// Whether a request asks for an upgrade that is passed on: to WebSocket, over HTTP/1.1, without a body before it.
pub(super) fn asks_for_websocket(version: Version, headers: &HeaderMap) -> bool {
    let names_upgrade = |line: &HeaderValue| {
        line.as_bytes().split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    version == Version::HTTP_11
        && headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.get_all(header::CONNECTION).iter().any(names_upgrade)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
