//! Reads `[credentials]`.

use super::callers::{is_loopback, plain_http_host};
use super::defaults;
use super::types::CredentialsConfig;
use crate::reader::{Item, Section};
use crate::values::{duration, one_of, placed_path, text};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    BuiltIn,
    Delegated,
}

/// Keys that only `kind = "delegated"` has.
const DELEGATED: [&str; 4] = ["url", "timeout", "authorization_file", "ca"];

/// `[credentials]`.
pub(super) fn read(mut section: Section<'_>) -> CredentialsConfig {
    let kinds = [("built-in", Kind::BuiltIn), ("delegated", Kind::Delegated)];
    let kind = section.or("kind", Kind::BuiltIn, |item| one_of(item, "a kind of credentials", &kinds));
    let address = section.optional("url", url);
    let timeout = section.or("timeout", defaults::CREDENTIALS_TIMEOUT, |item| {
        duration(item, Duration::from_millis(100)..=Duration::from_secs(60))
    });
    let authorization = section.optional("authorization_file", placed_path);
    let ca = section.optional("ca", placed_path);
    let credentials = match kind {
        Kind::BuiltIn => {
            for key in DELEGATED.into_iter().filter(|key| section.has(key)) {
                let message = "is only for kind = \"delegated\"; remove it";
                section.document.refuse(&section.place_of(key), message);
            }
            CredentialsConfig::BuiltIn
        }
        Kind::Delegated => {
            if !section.has("url") {
                section.refuse_missing("url", "write the IB system's address that checks passwords and OTPs");
            }
            let is_https = address.as_ref().is_some_and(|url| url.starts_with("https://"));
            if is_https && !section.has("ca") {
                section.refuse_missing("ca", "write the PEM file of its server's CAs; system roots are never used");
            }
            CredentialsConfig::Delegated { url: address.unwrap_or_default(), timeout, authorization, ca }
        }
    };
    section.finish();
    credentials
}

/// `https://…`, or `http://` on a loopback address: passwords are in the request.
fn url(item: &Item<'_>) -> Option<String> {
    let url = text(item)?;
    let uri = url.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let Some(scheme) = uri.as_ref().and_then(http::Uri::scheme_str).filter(|scheme| ["http", "https"].contains(scheme))
    else {
        item.refuse_type("a web address", "an absolute URL: \"https://ib.example.internal/credentials\"");
        return None;
    };
    if scheme == "http" && !plain_http_host(&url).is_some_and(|host| is_loopback(&host)) {
        item.refuse("would send passwords over the network in clear; write https://, or http:// on a loopback address");
        return None;
    }
    Some(url)
}
