//! Removes what a client may not say (requirement G8).

use super::names::StripSet;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Connection options that are no field names (RFC 9110 section 7.6.1).
const CONNECTION_OPTIONS: &[&str] = &["close", "keep-alive", "upgrade"];

/// Fields that a client cannot have removed by naming them in `Connection`: the message's framing and target hang on them.
const FRAMING: &[HeaderName] = &[HOST, CONTENT_LENGTH, TRANSFER_ENCODING];

/// Removes from a request's header or trailer section:
/// every field of `names`; every field that `Connection` names, and those names from `Connection`
/// (RFC 9110 section 7.6.1; a later hop must not be made to drop what the gateway sets); `TE` but for `trailers`, which
/// is all that RFC 9113 section 8.2.2 leaves of it; an `Upgrade` to another
/// version of HTTP or to TLS, whose tunnel would carry requests past the gateway.
///
/// To be called before anything is set.
pub fn strip(headers: &mut HeaderMap, names: &StripSet) {
    // Allocates only when there is something to remove.
    let forbidden: Vec<HeaderName> = headers.keys().filter(|name| names.contains(name.as_str())).cloned().collect();
    for name in &forbidden {
        headers.remove(name);
    }
    if list_elements(headers, &TE).any(|coding| !coding.eq_ignore_ascii_case(b"trailers")) {
        headers.remove(TE);
    }
    if asks_for_a_tunnel(headers) {
        headers.remove(UPGRADE);
    }
    if headers.contains_key(CONNECTION) {
        strip_connection(headers);
    }
}

/// Whether an `Upgrade` field asks for HTTP or TLS (`h2c`, `HTTP/2.0`, `TLS/1.0`).
fn asks_for_a_tunnel(headers: &HeaderMap) -> bool {
    list_elements(headers, &UPGRADE).any(|protocol| {
        let name = protocol.split(|octet| *octet == b'/').next().unwrap_or_default().to_ascii_lowercase();
        matches!(&*name, b"h2" | b"h2c" | b"h3" | b"http" | b"https" | b"tls" | b"ssl")
    })
}

fn strip_connection(headers: &mut HeaderMap) {
    let (mut kept, mut named) = (Vec::new(), Vec::new());
    for element in list_elements(headers, &CONNECTION) {
        match CONNECTION_OPTIONS.iter().find(|option| element.eq_ignore_ascii_case(option.as_bytes())) {
            Some(&"upgrade") if !headers.contains_key(UPGRADE) => {}
            Some(option) if kept.contains(option) => {}
            Some(option) => kept.push(*option),
            None => named.extend(HeaderName::from_bytes(element)),
        }
    }
    for name in named.iter().filter(|name| !FRAMING.contains(name)) {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
    if let Ok(value) = HeaderValue::try_from(kept.join(", "))
        && !kept.is_empty()
    {
        // There is room: the field was just removed. Were there none, no `Connection` is a safe one.
        let _ = headers.try_insert(CONNECTION, value);
    }
}

/// The elements of a comma-separated list field (RFC 9110 section 5.6.1), over all its lines.
fn list_elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|value| value.as_bytes().split(|octet| *octet == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
#[path = "strip_tests.rs"]
mod tests;
