//! `distribution_points`: where CRLs may be fetched from that certificates themselves name.

use super::reader::Item;
use super::types::{Placed, PointPlace, PointPort};
use super::values::placed;

/// `"crl.example.jp"`, `"crl.example.jp:8080"`, `"crl.example.jp:*"`, each also with a path: `"crl.example.jp/crl"`.
pub(super) fn point_place(item: &Item<'_>) -> Option<Placed<PointPlace>> {
    let Some(place) = item.as_str().and_then(parse) else {
        let right = "a host with the port and path that it needs: \"crl.example.jp\", \"crl.example.jp:8080/crl\"";
        item.refuse_type("a place of distribution points", right);
        return None;
    };
    Some(placed(item, place))
}

fn parse(text: &str) -> Option<PointPlace> {
    let (authority, path) = match text.find('/') {
        Some(slash) => text.split_at_checked(slash)?,
        None => (text, ""),
    };
    let (host, port) = split_port(authority)?;
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
    };
    let is_path = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%' | b'\\'))
        && !path.split('/').any(|segment| matches!(segment, "." | ".."));
    if !is_host || !is_path {
        return None;
    }
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    Some(PointPlace { host, port, path: path.trim_end_matches('/').to_owned() })
}

fn split_port(authority: &str) -> Option<(&str, PointPort)> {
    // The colons of an IPv6 address are inside its brackets.
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority.get(after_host..)?.find(':').map(|colon| colon + after_host) else {
        return Some((authority, PointPort::Default));
    };
    let (host, port) = (authority.get(..colon)?, authority.get(colon + 1..)?);
    let port = match port {
        "*" => PointPort::Any,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            PointPort::Only(digits.parse().ok().filter(|port| *port != 0)?)
        }
        _ => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_with_what_bounds_it() {
        let place =
            |host: &str, port, path: &str| Some(PointPlace { host: host.to_owned(), port, path: path.to_owned() });
        for (text, right) in [
            ("crl.example.jp", place("crl.example.jp", PointPort::Default, "")),
            ("CRL.example.jp/", place("crl.example.jp", PointPort::Default, "")),
            ("crl.example.jp:8080", place("crl.example.jp", PointPort::Only(8080), "")),
            ("crl.example.jp:*/a/b/", place("crl.example.jp", PointPort::Any, "/a/b")),
            ("10.0.0.1:80/crl", place("10.0.0.1", PointPort::Only(80), "/crl")),
            ("[2001:db8::1]", place("2001:db8::1", PointPort::Default, "")),
            ("[2001:db8::1]:8080/x", place("2001:db8::1", PointPort::Only(8080), "/x")),
        ] {
            assert_eq!(parse(text), right, "{text}");
        }
        for wrong in [
            "",
            ":80",
            "/crl",
            "crl.example.jp:",
            "crl.example.jp:0",
            "crl.example.jp:65536",
            "crl.example.jp:http",
            "a:1:2",
            "http://crl.example.jp",
            "user@crl.example.jp",
            "2001:db8::1",
            "[2001:db8::1",
            "[x]:80",
            "a/../b",
            "a/%2e",
            "a/?b",
            "a b",
            "a/b c",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
