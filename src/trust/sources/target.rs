//! What is fetched, and for whom.

use crate::config::{Ca, RevocationSource, RevocationSources};
use reqwest::Url;
use std::fmt;
use std::sync::Arc;

/// Octets of a URL that a certificate may name: real ones have about a hundred.
const MAX_URL_OCTETS: usize = 1_024;

/// One list to fetch: a URL, for a CA. Two CAs that share a URL are two targets, each judged for its own CA.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The CA's configured name.
    pub ca: Arc<str>,
    /// The URL as it was written.
    pub url: Arc<str>,
    /// Who named it.
    pub kind: Kind,
}

/// Who named a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The configuration: `crl_urls`.
    Configured,
    /// A certificate: its CRL distribution point.
    Point,
}

/// Why a distribution point is not fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointError {
    /// It is not an `http://` or `https://` URL of ordinary length without user and password.
    NotAUrl,
    /// Its host is not in `distribution_points`.
    HostNotAllowed,
    /// It is `https://`, and no CA of its server is configured.
    NoServerCa,
    /// As many points of this CA are known as may be.
    TooMany,
}

impl Kind {
    /// The stable name: `url`, `point`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "url",
            Self::Point => "point",
        }
    }
}

/// What a CA's `crl_urls` name.
pub(super) fn configured(ca: &Ca) -> impl Iterator<Item = Target> {
    let urls = sources(ca).map(|sources| sources.urls.as_slice()).unwrap_or_default();
    urls.iter().map(|url| Target { ca: Arc::clone(&ca.name), url: url.value.as_str().into(), kind: Kind::Configured })
}

/// The URL of a distribution point, if it may be fetched for this CA.
///
/// # Errors
/// As [`allowed`].
pub(super) fn point(ca: &Ca, url: &str) -> Result<Url, PointError> {
    allowed(&hosts(&ca.revocation), url)
}

/// The hosts of the distribution points that may be fetched for a CA: names in lower case, addresses without brackets.
pub(in crate::trust) fn hosts(source: &RevocationSource) -> Arc<[String]> {
    let hosts = match source {
        RevocationSource::None => &[][..],
        RevocationSource::From(sources) => &sources.point_hosts,
    };
    hosts.iter().map(|host| bare(&host.value)).collect()
}

fn bare(host: &str) -> String {
    host.trim_matches(['[', ']']).to_ascii_lowercase()
}

/// The URL of a distribution point, if its host is one of these.
///
/// # Errors
/// [`PointError`]; a certificate must not make the gateway talk to any host.
pub(super) fn allowed(hosts: &[String], url: &str) -> Result<Url, PointError> {
    if url.len() > MAX_URL_OCTETS {
        return Err(PointError::NotAUrl);
    }
    let parsed = Url::parse(url).map_err(|_| PointError::NotAUrl)?;
    let is_plain = parsed.username().is_empty() && parsed.password().is_none();
    if !matches!(parsed.scheme(), "http" | "https") || !is_plain {
        return Err(PointError::NotAUrl);
    }
    let host = parsed.host_str().ok_or(PointError::NotAUrl)?;
    if !hosts.contains(&bare(host)) {
        return Err(PointError::HostNotAllowed);
    }
    Ok(parsed)
}

fn sources(ca: &Ca) -> Option<&RevocationSources> {
    match &ca.revocation {
        RevocationSource::None => None,
        RevocationSource::From(sources) => Some(sources),
    }
}

impl fmt::Display for PointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "it is not an http:// or https:// URL",
            Self::HostNotAllowed => "its host is not in distribution_points",
            Self::NoServerCa => "it is https:// and [gateway.fetch] names no ca",
            Self::TooMany => "too many distribution points of this CA are known",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_as_many_octets_as_may_be_is_taken_and_one_octet_more_is_not() {
        let hosts = ["h".to_owned()];
        let url = |octets: usize| format!("http://h/{}", "x".repeat(octets - "http://h/".len()));
        assert!(allowed(&hosts, &url(MAX_URL_OCTETS)).is_ok());
        assert_eq!(allowed(&hosts, &url(MAX_URL_OCTETS + 1)), Err(PointError::NotAUrl));
    }
}
