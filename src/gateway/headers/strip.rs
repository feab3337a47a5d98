//! Removes what a client may not say (requirement G8).

use crate::config::HeaderNames;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Names no client may set, whatever the configuration. In normal form: lower case, each separator a hyphen.
const ALWAYS: &[&str] = &[
    // Where the client says it is, and by which scheme and host it came: the gateway sets the true ones.
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-remote-user",
    "remote-user",
    // Another path or method than the one the route was chosen by.
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    // CGI programs read it as their own proxy setting (CVE-2016-5385).
    "proxy",
    // Hop-by-hop; with `Upgrade: h2c` it opens a tunnel past these rules.
    "http2-settings",
];

/// Beginnings of names no client may set: ours, RFC 9440's, and those by which other gateways tell of a client
/// certificate (nginx, Apache, Envoy, Traefik), which an upstream may still believe after a migration.
const ALWAYS_BEGINNING: &[&str] =
    &["x-sekisho-", "client-cert", "x-client-cert", "x-forwarded-", "x-ssl-", "ssl-", "x-tls-"];

/// Connection options that are no field names (RFC 9110 section 7.6.1).
const CONNECTION_OPTIONS: &[&str] = &["close", "keep-alive", "upgrade"];

/// Fields that a client cannot have removed by naming them in `Connection`: the message's framing and target hang on them.
const FRAMING: &[HeaderName] = &[HOST, CONTENT_LENGTH, TRANSFER_ENCODING];

/// The names to remove from every request, whatever their spelling.
///
/// Upstreams fold names together: CGI and WSGI make `X_User-Id` and `X-User-Id` one variable, PHP does so with `.` too.
/// So names are compared in a normal form: lower case, everything but letters and digits a hyphen.
#[derive(Clone, Debug)]
pub struct StripSet {
    /// Names in normal form, at the index of their length: most request headers meet no name of their length.
    by_length: Vec<Vec<Box<[u8]>>>,
}

impl StripSet {
    /// Every header the configuration gives a meaning to, its `strip` list, and the names no client may ever set.
    pub fn new(names: &HeaderNames) -> Self {
        let mut set = Self { by_length: Vec::new() };
        ALWAYS.iter().for_each(|name| set.add(name));
        set_by_gateway(names).into_iter().flatten().chain(&names.strip).for_each(|name| set.add(name.as_str()));
        set
    }

    /// Whether a field of this name is removed.
    pub fn contains(&self, name: &str) -> bool {
        let name = name.as_bytes();
        ALWAYS_BEGINNING.iter().any(|beginning| {
            name.get(..beginning.len()).is_some_and(|start| same_in_normal_form(start, beginning.as_bytes()))
        }) || self
            .by_length
            .get(name.len())
            .is_some_and(|names| names.iter().any(|known| same_in_normal_form(name, known)))
    }

    fn add(&mut self, name: &str) {
        let name: Box<[u8]> = name.bytes().map(normal_form).collect();
        if self.by_length.len() <= name.len() {
            self.by_length.resize(name.len() + 1, Vec::new());
        }
        if let Some(names) = self.by_length.get_mut(name.len())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
}

/// Removes from a request's header or trailer section:
/// every field of `names`; every field that `Connection` names, and those names from `Connection`
/// (RFC 9110 section 7.6.1; a later hop must not be made to drop what the gateway sets); an `Upgrade` to another
/// version of HTTP or to TLS, whose tunnel would carry requests past the gateway.
///
/// To be called before anything is set.
pub fn strip(headers: &mut HeaderMap, names: &StripSet) {
    // Allocates only when there is something to remove.
    let forbidden: Vec<HeaderName> = headers.keys().filter(|name| names.contains(name.as_str())).cloned().collect();
    for name in &forbidden {
        headers.remove(name);
    }
    if asks_for_a_tunnel(headers) {
        headers.remove(UPGRADE);
    }
    if headers.contains_key(CONNECTION) {
        strip_connection(headers);
    }
}

/// The headers that the gateway itself sets, in no order.
fn set_by_gateway(names: &HeaderNames) -> [Option<&HeaderName>; 17] {
    // Taken apart whole: a header added to the configuration and not here does not compile.
    let HeaderNames {
        contract_id,
        user_id,
        common_name,
        serial,
        issuer,
        not_before,
        not_after,
        days_left,
        fingerprint,
        verification,
        resumed,
        authenticated_at,
        client_cert,
        client_cert_chain,
        assertion,
        ca_draining,
        request_id,
        strip: _,
    } = names;
    [
        contract_id,
        user_id,
        common_name,
        serial,
        issuer,
        not_before,
        not_after,
        days_left,
        fingerprint,
        verification,
        resumed,
        authenticated_at,
        client_cert,
        client_cert_chain,
        assertion,
        ca_draining,
        request_id,
    ]
    .map(Option::as_ref)
}

const fn normal_form(octet: u8) -> u8 {
    if octet.is_ascii_alphanumeric() { octet.to_ascii_lowercase() } else { b'-' }
}

fn same_in_normal_form(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len() && name.iter().zip(known).all(|(octet, known)| normal_form(*octet) == *known)
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
