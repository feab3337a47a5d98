//! Where the client is, as the gateway saw it (requirement G13).

use http::header::MaxSizeReached;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, SocketAddr};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// A connection's `Forwarded` (RFC 7239) and `X-Forwarded-*` headers, but for the host, which a request names.
#[derive(Clone, Debug)]
pub struct Forwarding {
    address: HeaderValue,
    /// `for=192.0.2.1;proto=https;host="`
    forwarded: String,
}

impl Forwarding {
    /// Of a connection from `client` (its PROXY-protocol address, where a listed peer gave one).
    ///
    /// An IPv4 address in IPv6 form (`::ffff:192.0.2.1`, of a dual-stack listener) is told as IPv4.
    pub fn new(client: SocketAddr) -> Self {
        let (plain, node) = match client.ip().to_canonical() {
            IpAddr::V4(address) => (address.to_string(), address.to_string()),
            // RFC 7239 section 6: in brackets, and therefore quoted.
            IpAddr::V6(address) => (address.to_string(), format!("\"[{address}]\"")),
        };
        // The text of an address is ASCII; were it not, an empty value claims nothing.
        let address = HeaderValue::try_from(plain).unwrap_or(HeaderValue::from_static(""));
        Self { address, forwarded: format!("for={node};proto=https;host=\"") }
    }

    /// Sets them on a request, after [`super::strip()`]; `host` is the request's authority as the client wrote it,
    /// already found to be one ([`crate::gateway::request::authority`]).
    ///
    /// # Errors
    /// There is no room for them: the request must not go on.
    pub fn apply(&self, headers: &mut HeaderMap, host: &str) -> Result<(), MaxSizeReached> {
        headers.try_insert(X_FORWARDED_FOR, self.address.clone())?;
        headers.try_insert(X_REAL_IP, self.address.clone())?;
        headers.try_insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"))?;
        let quotable = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet);
        if host.bytes().all(quotable)
            && let Ok(host_value) = HeaderValue::try_from(host)
            && let Ok(forwarded) = HeaderValue::try_from([&*self.forwarded, host, "\""].concat())
        {
            headers.try_insert(X_FORWARDED_HOST, host_value)?;
            headers.try_insert(FORWARDED, forwarded)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(client: &str, host: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
        Forwarding::new(client.parse().unwrap()).apply(&mut headers, host).unwrap();
        headers
    }

    #[test]
    fn the_true_address_is_told_in_every_form() {
        for (client, plain, forwarded) in [
            ("192.0.2.7:5000", "192.0.2.7", r#"for=192.0.2.7;proto=https;host="ib.example.jp:8443""#),
            ("[2001:db8::1]:5000", "2001:db8::1", r#"for="[2001:db8::1]";proto=https;host="ib.example.jp:8443""#),
            ("[::ffff:192.0.2.7]:5000", "192.0.2.7", r#"for=192.0.2.7;proto=https;host="ib.example.jp:8443""#),
        ] {
            let headers = applied(client, "ib.example.jp:8443");
            assert_eq!(headers.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), [plain]);
            assert_eq!(headers["x-real-ip"], plain);
            assert_eq!(headers["x-forwarded-proto"], "https");
            assert_eq!(headers["x-forwarded-host"], "ib.example.jp:8443");
            assert_eq!(headers["forwarded"], forwarded);
        }
    }

    #[test]
    fn a_host_cannot_end_the_quoted_string() {
        let headers = applied("192.0.2.7:5000", "a\";for=10.0.0.1;x=\"");
        assert_eq!((headers.get("forwarded"), headers.get("x-forwarded-host")), (None, None));
    }
}
