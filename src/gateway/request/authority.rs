//! Host names: the SNI, `Host` and `:authority` in one normal form, and the site each belongs to (requirement G1).

use http::{HeaderMap, Uri, Version, header};
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;

/// Octets of a host name (RFC 1035 section 2.3.4).
const MAX_NAME_OCTETS: usize = 253;

/// Octets of one label (RFC 1035 section 2.3.4).
const MAX_LABEL_OCTETS: usize = 63;

/// A host name in normal form: lower case, no port, no trailing dot; an IPv6 address in brackets, as RFC 5952 writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Name, and port where one was written.
    text: String,
    /// Octets of the name.
    name: usize,
    port: Option<u16>,
}

/// Why a request has no host that could be relied on: 400 (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// No `Host` in HTTP/1, neither it nor `:authority` in HTTP/2.
    Missing,
    /// More than one `Host`.
    Several,
    /// `Host` and the request target (or `:authority`) differ.
    Disagreeing,
    /// Not a host name with an optional port.
    Malformed,
    /// Another scheme than https.
    Scheme,
}

impl Host {
    /// From the text of an SNI, a `Host` or an `:authority`.
    ///
    /// Host names are letters, digits, hyphens and underscores in labels; an internationalised name comes as its
    /// A-labels (RFC 5890). User information and percent-encoding are refused: two readers could differ on them.
    ///
    /// # Errors
    /// [`AuthorityError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let (mut text, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']').ok_or(AuthorityError::Malformed)?;
            let address: Ipv6Addr = address.parse().map_err(|_| AuthorityError::Malformed)?;
            let port =
                if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(AuthorityError::Malformed)?) };
            (format!("[{address}]"), port)
        } else {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            (dns_name(name)?, port)
        };
        let (name, port) = (text.len(), port.map(parse_port).transpose()?.flatten());
        if let Some(port) = port {
            // Writing to a String does not fail.
            let _ = write!(text, ":{port}");
        }
        Ok(Self { text, name, port })
    }

    /// The name, without port.
    pub fn name(&self) -> &str {
        self.text.get(..self.name).unwrap_or_default()
    }

    /// Name, and port where one was written: safe in a header.
    pub fn authority(&self) -> &str {
        &self.text
    }

    /// The port, where one was written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The one host that a request is for.
///
/// `authority` is the request target's, when it has one: HTTP/2's `:authority`, HTTP/1's absolute-form
/// ([`crate::gateway::request::access::Target`]). HTTP/1.0 is held to the rules of HTTP/1.1.
///
/// # Errors
/// [`AuthorityError`]: answer 400. RFC 9112 lets the absolute-form win over a different `Host`; an upstream might not,
/// so it is refused.
pub fn request_host(version: Version, authority: Option<&str>, headers: &HeaderMap) -> Result<Host, AuthorityError> {
    let mut lines = headers.get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(AuthorityError::Several);
    }
    let line =
        line.map(|line| line.to_str().map_err(|_| AuthorityError::Malformed).and_then(Host::parse)).transpose()?;
    let authority = authority.map(Host::parse).transpose()?;
    match (authority, line) {
        (Some(authority), Some(line)) if authority != line => Err(AuthorityError::Disagreeing),
        (_, Some(host)) => Ok(host),
        (Some(host), None) if version >= Version::HTTP_2 => Ok(host),
        (_, None) => Err(AuthorityError::Missing),
    }
}

/// Checks the scheme of a request: HTTP/2's `:scheme` must be that of the connection, which is TLS (RFC 9113 section
/// 8.3.1). An application that believed `http` would build links without TLS, or serve what is for inside only.
/// HTTP/1.1 has one in an absolute-form only ([`crate::gateway::request::access::Target`]).
///
/// # Errors
/// [`AuthorityError::Scheme`]: answer 400.
pub fn request_scheme(uri: &Uri) -> Result<(), AuthorityError> {
    match uri.scheme_str() {
        None => Ok(()),
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => Ok(()),
        Some(_) => Err(AuthorityError::Scheme),
    }
}

/// Which site a host name belongs to: the same table for the SNI and for every request's host.
///
/// A whole name wins over a wildcard, for both uses. So a connection to a site `*.example.jp` is not let at
/// `admin.example.jp` when that name has a site of its own, with requirements of its own.
#[derive(Clone, Debug, Default)]
pub struct SiteNames<T> {
    whole: HashMap<String, T>,
    /// What follows `*.`
    below: HashMap<String, T>,
}

impl<T: Copy> SiteNames<T> {
    /// From server names of the configuration (lower case, no trailing dot, `*.` as the whole first label) and the
    /// site of each. Of a name given twice the first stands; the configuration has each once.
    pub fn new<'a>(names: impl IntoIterator<Item = (&'a str, T)>) -> Self {
        let mut table = Self { whole: HashMap::new(), below: HashMap::new() };
        for (name, site) in names {
            match name.strip_prefix("*.") {
                Some(parent) => table.below.entry(parent.to_owned()).or_insert(site),
                None => table.whole.entry(name.to_owned()).or_insert(site),
            };
        }
        table
    }

    /// The site of a host. A wildcard stands for exactly one label (RFC 9525 section 6.3).
    pub fn find(&self, host: &Host) -> Option<T> {
        let whole = self.whole.get(host.name());
        whole.or_else(|| self.below.get(host.name().split_once('.')?.1)).copied()
    }
}

fn dns_name(name: &str) -> Result<String, AuthorityError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = |label: &str| {
        (1..=MAX_LABEL_OCTETS).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
    };
    if name.len() <= MAX_NAME_OCTETS && name.split('.').all(fits) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(AuthorityError::Malformed)
    }
}

/// RFC 3986 section 3.2.3 lets a port be empty: `host:`.
fn parse_port(port: &str) -> Result<Option<u16>, AuthorityError> {
    match port {
        "" => Ok(None),
        port if port.bytes().all(|octet| octet.is_ascii_digit()) => {
            port.parse().map(Some).map_err(|_| AuthorityError::Malformed)
        }
        _ => Err(AuthorityError::Malformed),
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the request names no host",
            Self::Several => "the request has several Host headers",
            Self::Disagreeing => "the request target and the Host header name different hosts",
            Self::Malformed => "the host is not a name with an optional port",
            Self::Scheme => "the request's scheme is not https",
        })
    }
}

impl std::error::Error for AuthorityError {}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn host_of(version: Version, authority: Option<&str>, hosts: &[&str]) -> Result<String, AuthorityError> {
        let mut headers = HeaderMap::new();
        hosts.iter().for_each(|host| {
            headers.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
        });
        request_host(version, authority, &headers).map(|host| host.to_string())
    }

    #[test]
    fn a_request_s_scheme_is_https_or_none() {
        for (uri, right) in [
            ("/a", true),
            ("https://ib.jp/a", true),
            ("HTTPS://ib.jp/a", true),
            ("http://ib.jp/a", false),
            ("ftp://ib.jp/", false),
        ] {
            assert_eq!(request_scheme(&uri.parse().unwrap()).is_ok(), right, "{uri}");
        }
    }

    #[test]
    fn spellings_of_one_host_have_one_normal_form() {
        for (text, name, port) in [
            ("ib.example.jp", "ib.example.jp", None),
            ("IB.Example.JP.", "ib.example.jp", None),
            ("ib.example.jp:8443", "ib.example.jp", Some(8443)),
            ("ib.example.jp.:443", "ib.example.jp", Some(443)),
            ("ib.example.jp:", "ib.example.jp", None),
            ("xn--fiqs8s.jp", "xn--fiqs8s.jp", None),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("[2001:DB8:0::1]:8443", "[2001:db8::1]", Some(8443)),
            ("[::1]", "[::1]", None),
        ] {
            let host = Host::parse(text).unwrap();
            assert_eq!((host.name(), host.port()), (name, port), "{text}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_no_host() {
        let long_label = "a".repeat(64);
        let long_name = ["abcdefghi"; 26].join(".");
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a b",
            "a/b",
            "user@ib.example.jp",
            "ib.example.jp:80:80",
            "ib:+80",
            "ib:65536",
            "ib:http",
            "ib%2eexample.jp",
            "ib.example.jp,evil.jp",
            "ib\u{ff0e}jp",
            "日本.jp",
            "[::1",
            "::1",
            "[::1]80",
            "[::1]x:80",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "*.example.jp",
            "ib\\evil",
            "ib?x",
            "ib#x",
            &long_label,
            &long_name,
        ] {
            assert_eq!(Host::parse(text), Err(AuthorityError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        use AuthorityError::{Disagreeing, Malformed, Missing, Several};
        const H1: Version = Version::HTTP_11;
        const H2: Version = Version::HTTP_2;
        for (version, authority, hosts, expected) in [
            (H1, None, &["ib.example.jp"][..], Ok("ib.example.jp")),
            (H1, Some("IB.example.jp"), &["ib.example.jp."], Ok("ib.example.jp")),
            (H2, Some("ib.example.jp"), &[], Ok("ib.example.jp")),
            (H2, None, &["ib.example.jp"], Ok("ib.example.jp")),
            (H2, Some("ib.example.jp:1"), &["ib.example.jp:1"], Ok("ib.example.jp:1")),
            (H1, None, &[], Err(Missing)),
            (Version::HTTP_10, None, &[], Err(Missing)),
            (H1, Some("ib.example.jp"), &[], Err(Missing)),
            (H2, None, &[], Err(Missing)),
            (H1, None, &["ib.example.jp", "ib.example.jp"], Err(Several)),
            (H1, None, &["ib.example.jp", "evil.jp"], Err(Several)),
            (H2, Some("ib.example.jp"), &["ib.example.jp", "evil.jp"], Err(Several)),
            (H1, Some("evil.jp"), &["ib.example.jp"], Err(Disagreeing)),
            (H2, Some("ib.example.jp"), &["evil.jp"], Err(Disagreeing)),
            (H1, Some("ib.example.jp:1"), &["ib.example.jp:2"], Err(Disagreeing)),
            (H1, None, &[""], Err(Malformed)),
            (H1, None, &["ib.example.jp, evil.jp"], Err(Malformed)),
            (H1, None, &["日本"], Err(Malformed)),
            (H2, Some("a@ib.example.jp"), &["ib.example.jp"], Err(Malformed)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(host_of(version, authority, hosts), expected, "{version:?} {authority:?} {hosts:?}");
        }
    }

    #[test]
    fn a_wildcard_is_one_label_and_a_whole_name_wins_over_it() {
        let table = SiteNames::new([("*.example.jp", 1), ("admin.example.jp", 2), ("[2001:db8::1]", 3)]);
        let site = |host| table.find(&Host::parse(host).unwrap());
        for (host, expected) in [
            ("ib.example.jp", Some(1)),
            ("IB.EXAMPLE.JP.:8443", Some(1)),
            ("admin.example.jp", Some(2)),
            ("Admin.Example.Jp.", Some(2)),
            ("[2001:DB8::0001]:443", Some(3)),
            ("example.jp", None),
            ("a.b.example.jp", None),
            ("x.admin.example.jp", None),
            ("example.jp.evil", None),
            ("evilexample.jp", None),
            ("jp", None),
        ] {
            assert_eq!(site(host), expected, "{host}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_a_normal_form_is_its_own(text in "\\PC{0,80}|[a-zA-Z0-9.:_\\[\\]-]{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()));
                prop_assert!(host.name().len() <= MAX_NAME_OCTETS);
                prop_assert_eq!(host.name(), host.name().to_ascii_lowercase());
            }
        }

        #[test]
        fn case_port_and_trailing_dot_never_change_the_site(
            labels in proptest::collection::vec("[a-z0-9]{1,10}", 1..5), upper in any::<u64>(), dot in any::<bool>(), port in any::<u16>()
        ) {
            let name = labels.join(".");
            let table = SiteNames::new([(name.as_str(), ())]);
            let spelled: String = name.chars().enumerate()
                .map(|(place, letter)| if upper >> (place % 64) & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
                .collect();
            let spelled = format!("{spelled}{}:{port}", if dot { "." } else { "" });
            prop_assert_eq!(table.find(&Host::parse(&spelled).unwrap()), Some(()));
        }
    }
}
