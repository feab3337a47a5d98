//! Reads `[gateway.headers]`: names that cannot break a request or be each other.

use super::reader::{Item, Section, Unique};
use super::types::HeaderNames;
use super::values::list;
use http::HeaderName;

/// Fields that frame a message, name its target or belong to one connection (RFC 9110 sections 7.2, 7.6 and 8.6,
/// RFC 9112 section 6). Neither set nor stripped: removing one would change what the upstream reads as the request.
/// The gateway lets none of them through in another spelling than its own.
pub const MESSAGE_FIELDS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields with a meaning of their own, which an identity header would overwrite (RFC 9110, RFC 6265, RFC 7239).
const MEANINGFUL: [&str; 26] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "forwarded",
    "from",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "user-agent",
    "via",
];

/// Fields that the gateway writes with the client's address (requirement G13).
const FORWARDED: &str = "x-forwarded-";

/// `[gateway.headers]`.
pub(super) fn read(mut section: Section<'_>) -> HeaderNames {
    let default = HeaderNames::default();
    let mut names = Unique::new("the name of another header");
    let mut header = |key: &'static str, default: Option<HeaderName>| {
        let place = section.place_of(key);
        let name = section.or(key, default, identity_header);
        if let Some(name) = &name {
            names.check(section.document, &place, &as_cgi_sees_it(name));
        }
        name
    };
    let headers = HeaderNames {
        contract_id: header("contract_id", default.contract_id),
        user_id: header("user_id", default.user_id),
        common_name: header("common_name", default.common_name),
        serial: header("serial", default.serial),
        issuer: header("issuer", default.issuer),
        ca: header("ca", default.ca),
        not_before: header("not_before", default.not_before),
        not_after: header("not_after", default.not_after),
        days_left: header("days_left", default.days_left),
        fingerprint: header("fingerprint", default.fingerprint),
        verification: header("verification", default.verification),
        resumed: header("resumed", default.resumed),
        authenticated_at: header("authenticated_at", default.authenticated_at),
        client_cert: header("client_cert", default.client_cert),
        client_cert_chain: header("client_cert_chain", default.client_cert_chain),
        assertion: header("assertion", default.assertion),
        ca_draining: header("ca_draining", default.ca_draining),
        request_id: header("request_id", default.request_id),
        strip: section.or("strip", default.strip, |item| list(item, stripped_header)),
    };
    section.finish();
    headers
}

/// A name for a header of ours; the empty string turns it off.
fn identity_header(item: &Item<'_>) -> Option<Option<HeaderName>> {
    if item.as_str() == Some("") {
        return Some(None);
    }
    let name = header_name(item, "letters, digits and hyphens, or \"\" for none")?;
    let taken = MESSAGE_FIELDS.contains(&name.as_str())
        || MEANINGFUL.contains(&name.as_str())
        || name.as_str().starts_with(FORWARDED);
    if taken {
        item.refuse(format!("\"{name}\" has a meaning of its own in HTTP; choose another name, such as one in x-"));
        return None;
    }
    Some(Some(name))
}

fn stripped_header(item: &Item<'_>) -> Option<HeaderName> {
    let name = header_name(item, "letters, digits and hyphens")?;
    if MESSAGE_FIELDS.contains(&name.as_str()) {
        item.refuse(format!("\"{name}\" frames the request and cannot be stripped; remove it from the list"));
        return None;
    }
    Some(name)
}

fn header_name(item: &Item<'_>, right: &str) -> Option<HeaderName> {
    /// Application servers and CGI environments cut longer ones.
    const LONGEST_NAME: usize = 128;
    let name = item.as_str().filter(|text| text.len() <= LONGEST_NAME);
    // HeaderName makes it lower case; RFC 9110 section 5.1.
    let name = name.and_then(|text| HeaderName::from_bytes(text.as_bytes()).ok());
    if name.is_none() {
        item.refuse_type("a header name (RFC 9110)", right);
    }
    name
}

/// CGI, WSGI and servlet containers read `-`, `_` and `.` alike, so names that differ in these only are one name.
fn as_cgi_sees_it(name: &HeaderName) -> String {
    name.as_str().replace(['_', '.'], "-")
}
