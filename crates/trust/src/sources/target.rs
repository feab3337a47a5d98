//! What is fetched, and for whom.

use reqwest::Url;
use sekisho_config::{Ca, PointPlace, PointPort, RevocationSource, RevocationSources};
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
    /// It is at no place in `distribution_points`.
    NotAllowed,
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
    allowed(&places(&ca.revocation), url)
}

/// Where the distribution points of a CA's certificates may be.
pub(crate) fn places(source: &RevocationSource) -> Arc<[PointPlace]> {
    match source {
        RevocationSource::None => Arc::default(),
        RevocationSource::From(sources) => sources.points.iter().map(|point| point.value.clone()).collect(),
    }
}

/// The URL of a distribution point, if it is at one of these places.
///
/// # Errors
/// [`PointError`]; a certificate must not make the gateway talk to any host, or to any port or path of one.
pub(super) fn allowed(places: &[PointPlace], url: &str) -> Result<Url, PointError> {
    if url.len() > MAX_URL_OCTETS {
        return Err(PointError::NotAUrl);
    }
    let parsed = Url::parse(url).map_err(|_| PointError::NotAUrl)?;
    let is_plain = parsed.username().is_empty() && parsed.password().is_none();
    if !matches!(parsed.scheme(), "http" | "https") || !is_plain {
        return Err(PointError::NotAUrl);
    }
    let host = parsed.host_str().ok_or(PointError::NotAUrl)?.trim_matches(['[', ']']);
    if !places.iter().any(|place| place.host == host && is_within(place, &parsed)) {
        return Err(PointError::NotAllowed);
    }
    Ok(parsed)
}

/// Returns `true` if port and path of a URL are those of a place.
fn is_within(place: &PointPlace, url: &Url) -> bool {
    let is_port = match place.port {
        PointPort::Any => true,
        // The parser leaves the scheme's own port out.
        PointPort::Default => url.port().is_none(),
        PointPort::Only(port) => url.port_or_known_default() == Some(port),
    };
    // Dot segments are resolved by the parser; an encoded slash or backslash may be one to the server.
    let is_encoded = || ["%2f", "%5c"].iter().any(|slash| url.path().to_ascii_lowercase().contains(slash));
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    is_port && (place.path.is_empty() || (url.path().strip_prefix(&*place.path).is_some_and(below) && !is_encoded()))
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
            Self::NotAllowed => "its host, port or path is not in distribution_points",
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
        let places = [PointPlace { host: "h".to_owned(), port: PointPort::Default, path: String::new() }];
        let url = |octets: usize| format!("http://h/{}", "x".repeat(octets - "http://h/".len()));
        assert!(allowed(&places, &url(MAX_URL_OCTETS)).is_ok());
        assert_eq!(allowed(&places, &url(MAX_URL_OCTETS + 1)), Err(PointError::NotAUrl));
    }

    #[test]
    fn a_url_is_allowed_by_host_port_and_path() {
        let place = |port, path: &str| [PointPlace { host: "h".to_owned(), port, path: path.to_owned() }];
        let is_allowed = |places: &[PointPlace], url: &str| allowed(places, url).is_ok();
        for (places, right, wrong) in [
            (
                place(PointPort::Default, ""),
                &["http://h/", "http://H:80/a?b", "https://h:443/a"][..],
                &["http://h:8080/", "https://h:80/", "http://g/", "http://h.g/", "http://h@g/", "ftp://h/"][..],
            ),
            (
                place(PointPort::Only(8080), ""),
                &["http://h:8080/a", "https://h:8080/"],
                &["http://h/", "http://h:8081/"],
            ),
            (place(PointPort::Any, ""), &["http://h:1/", "http://h/"], &["http://g:1/"]),
            (
                place(PointPort::Default, "/crl"),
                &["http://h/crl", "http://h/crl/a.crl", "http://h/x/../crl/a", "http://h/crl?a"],
                &[
                    "http://h/",
                    "http://h/crlx",
                    "http://h/crl/../admin",
                    "http://h/crl/%2e%2e/admin",
                    "http://h/crl/..%2fadmin",
                ],
            ),
        ] {
            right.iter().for_each(|url| assert!(is_allowed(&places, url), "{places:?} {url}"));
            wrong.iter().for_each(|url| assert!(!is_allowed(&places, url), "{places:?} {url}"));
        }
    }
}
