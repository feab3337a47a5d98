//! The host that a request is for, as the gateway writes it into `htu`.

use http::header::HOST;
use http::request::Parts;
use std::net::Ipv6Addr;

/// Octets of a host name (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 253;

/// The name of the one host in normal form: lower case, no port, no trailing dot, an IPv6 address in brackets as
/// RFC 5952 writes it. `None` where there is no host, more than one, or another text than a host's; nothing is believed
/// about such a request.
pub(super) fn requested(head: &Parts) -> Option<String> {
    let mut lines = head.headers.get_all(HOST).iter();
    let line = lines.next().map(|line| line.to_str());
    if lines.next().is_some() {
        return None;
    }
    match (head.uri.authority(), line) {
        (None, None) => None,
        (None, Some(line)) => normal(line.ok()?),
        (Some(authority), None) => normal(authority.as_str()),
        (Some(authority), Some(line)) => {
            let (authority, line) = (normal(authority.as_str())?, normal(line.ok()?)?);
            (authority == line).then_some(line)
        }
    }
}

fn normal(text: &str) -> Option<String> {
    let (name, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        (format!("[{address}]"), if rest.is_empty() { "" } else { rest.strip_prefix(':')? })
    } else {
        let (name, port) = text.split_once(':').unwrap_or((text, ""));
        let name = name.strip_suffix('.').unwrap_or(name);
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(fits) {
            return None;
        }
        (name.to_ascii_lowercase(), port)
    };
    (port.is_empty() || (port.bytes().all(|octet| octet.is_ascii_digit()) && port.parse::<u16>().is_ok()))
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(uri: &str, hosts: &[&str]) -> Option<String> {
        let mut request = http::Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        requested(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn spellings_of_one_host_have_one_normal_form() {
        for (uri, hosts, expected) in [
            ("/", &["api.bank.example"][..], "api.bank.example"),
            ("/", &["API.Bank.Example.:8443"], "api.bank.example"),
            ("/", &["127.0.0.1:80"], "127.0.0.1"),
            ("/", &["[2001:DB8:0::1]:8443"], "[2001:db8::1]"),
            ("https://api.bank.example:8443/a", &[], "api.bank.example"),
            ("https://api.bank.example/a", &["API.bank.example"], "api.bank.example"),
            ("/", &["api.bank.example:"], "api.bank.example"),
        ] {
            assert_eq!(host_of(uri, hosts).as_deref(), Some(expected), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn a_request_without_one_clear_host_has_none() {
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &[""]),
            ("/", &["a.example", "a.example"]),
            ("https://a.example/", &["b.example"]),
            ("/", &["a.example/b"]),
            ("/", &["user@a.example"]),
            ("/", &["a.example:http"]),
            ("/", &["a.example:+80"]),
            ("/", &["a.example:65536"]),
            ("/", &["[::1"]),
            ("/", &["[::1]80"]),
            ("/", &["a.example, b.example"]),
        ] {
            assert_eq!(host_of(uri, hosts), None, "{uri} {hosts:?}");
        }
    }
}
