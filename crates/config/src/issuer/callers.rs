//! Reads `[[service]]` and `[gateway]`: who may call.

use super::must;
use super::types::{GatewayKeys, IssuerConfig, JwksSource, ServiceConfig};
use crate::defaults as gateway_defaults;
use crate::issuer::defaults;
use crate::reader::{Document, Item, Section, Unique};
use crate::types::Placed;
use crate::values::{list, name, one_of, path, placed, placed_path, some_of, text};
use std::net::IpAddr;

/// `[[service]]`.
pub(super) fn services(document: &Document, sections: Vec<Section<'_>>) -> Vec<ServiceConfig> {
    let mut names = Unique::new("the name of a service");
    let mut fingerprints = Unique::new("the certificate of a service");
    let mut read_one = |mut section: Section<'_>| {
        let service_name = section.required("name", "write a short name for audit records", |item| {
            let name = name(item)?;
            names.check(document, &item.place, &name);
            Some(name)
        });
        let advice = "write the SHA-256 of its certificate: openssl x509 -in FILE -noout -fingerprint -sha256";
        let service = ServiceConfig {
            name: service_name.into(),
            fingerprint: must(&mut section, "fingerprint", advice, [0; 32], |item| {
                let fingerprint = fingerprint(item)?;
                let text = fingerprint.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
                fingerprints.check(document, &item.place, &text);
                Some(fingerprint)
            }),
            rights: rights(&mut section),
        };
        section.finish();
        service
    };
    sections.into_iter().map(&mut read_one).collect()
}

fn rights(section: &mut Section<'_>) -> Vec<String> {
    const ADVICE: &str = "write what it may do: [\"online\"], [\"desk\"], [\"read\"], [\"feed\"]";
    let mut once = Unique::new("a right of this service");
    section.required("rights", ADVICE, |item| {
        some_of(item, "it could do nothing; remove the service or give it a right", |element| {
            let words = [("online", "online"), ("desk", "desk"), ("read", "read"), ("feed", "feed")];
            let word = one_of(element, "a right", &words)?.to_owned();
            once.check(element.document, &element.place, &word);
            Some(word)
        })
    })
}

/// 32 octets in hex, plain or with colons between them.
fn fingerprint(item: &Item<'_>) -> Option<[u8; 32]> {
    let parse = |text: &str| {
        let digits = if text.contains(':') {
            let octets: Vec<&str> = text.split(':').collect();
            if octets.iter().any(|octet| octet.len() != 2) {
                return None;
            }
            octets.concat()
        } else {
            text.to_owned()
        };
        if digits.len() != 64 || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return None;
        }
        let mut fingerprint = [0; 32];
        for (octet, pair) in fingerprint.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(fingerprint)
    };
    let fingerprint = item.as_str().and_then(parse);
    if fingerprint.is_none() {
        item.refuse_type("a SHA-256 fingerprint", "64 hex digits, plain or with a colon between octets");
    }
    fingerprint
}

/// `[gateway]`.
pub(super) fn gateway(mut section: Section<'_>) -> GatewayKeys {
    let audience_advice = "write the gateway's site that leads here, as assertions name it in aud";
    let gateway = GatewayKeys {
        header: section.or("header", defaults::ASSERTION_HEADER.to_owned(), header_name),
        user_header: section.or("user_header", defaults::USER_ASSERTION_HEADER.to_owned(), header_name),
        issuer: section.or("issuer", gateway_defaults::ASSERTION_ISSUER.to_owned(), text),
        audience: section.required("audience", audience_advice, text),
        user_audiences: section.or("user_audiences", Vec::new(), |item| list(item, text)),
        jwks: jwks(&mut section),
        jwks_ca: section.optional("jwks_ca", placed_path),
    };
    let is_https = matches!(&gateway.jwks.value, JwksSource::Url(url) if url.starts_with("https://"));
    match (is_https, section.has("jwks_ca")) {
        (true, false) => {
            section.refuse_missing("jwks_ca", "write the PEM file of its server's CAs; system roots are never used");
        }
        (false, true) => {
            let message = "is only for a jwks_url of https; remove it";
            section.document.refuse(&section.place_of("jwks_ca"), message);
        }
        _ => {}
    }
    if gateway.header == gateway.user_header {
        let message = "is also header; the caller's own assertion and one it hands on must not be confused";
        section.document.refuse(&section.place_of("user_header"), message);
    }
    section.finish();
    gateway
}

fn header_name(item: &Item<'_>) -> Option<String> {
    let name = item.as_str().and_then(|text| text.parse::<http::HeaderName>().ok());
    if name.is_none() {
        item.refuse_type("the name of a header", "letters, digits and hyphens: \"x-sekisho-assertion\"");
    }
    name.map(|name| name.as_str().to_owned())
}

/// `jwks_file` or `jwks_url`.
fn jwks(section: &mut Section<'_>) -> Placed<JwksSource> {
    let file = section.optional("jwks_file", |item| Some(placed(item, JwksSource::File(path(item)?))));
    let url = section.optional("jwks_url", |item| {
        let url = text(item)?;
        let is_safe = if url.starts_with("https://") {
            url.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
        } else {
            plain_http_host(&url).is_some_and(|host| is_loopback(&host))
        };
        if !is_safe {
            item.refuse(format!(
                "{url:?} is neither an https:// URL nor an http:// one on a loopback address: whoever can change the \
                 keys on their way is believed to be anybody"
            ));
            return None;
        }
        Some(placed(item, JwksSource::Url(url)))
    });
    match (section.has("jwks_file"), section.has("jwks_url")) {
        (false, false) => section.refuse_missing("jwks_file", "write where the gateway's public keys are, or jwks_url"),
        (true, true) => section.document.refuse(&section.place_of("jwks_url"), "stands beside jwks_file; keep one"),
        _ => {}
    }
    let stand_in = || Placed { value: JwksSource::Url(String::new()), place: section.place.clone() };
    file.or(url).unwrap_or_else(stand_in)
}

/// The host of an `http://` URL; a bracketed IPv6 address without its brackets.
pub(super) fn plain_http_host(url: &str) -> Option<String> {
    let uri = url.parse::<http::Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"))?;
    // Credentials before an @ would be sent, and could be mistaken for the host.
    uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let host = uri.host()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// Whether a host is this machine, said as an address: what a name means is a resolver's to say.
pub(super) fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// That somebody can call, and each service by a way that exists.
pub(super) fn check(root: &Section<'_>, config: &IssuerConfig) {
    let follows = |service: &ServiceConfig| service.rights.iter().any(|right| right == "feed");
    if !root.has("feed") && config.services.iter().any(follows) {
        root.refuse_missing("feed", "a [[service]] has the right \"feed\"; add a [feed] table with its key_file");
    }
    let gateway = root.has("gateway");
    let advice = "add a [[service]] table with the IB system's certificate, or [gateway]";
    match (root.has("service"), gateway) {
        (false, false) => root.refuse_missing("service", advice),
        (true, false) if config.issuer.tls.is_none() && !root.has_below("issuer", "tls") => {
            let message = "could not show its certificate: there is neither [issuer.tls] nor a [gateway] in between";
            root.document.refuse(&root.place_of("service"), message);
        }
        _ => {}
    }
}
