//! What anybody may fetch: authorities' certificates, lists and OCSP answers, with the headers to serve them under.

use super::crl::SignedList;
use super::ocsp::{Answer, ResponseError};
use base64::Engine as _;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

/// Seconds a CA certificate may be cached: a day, so that a renewed one is seen the next.
const CERTIFICATE_MAX_AGE: i64 = 86_400;

/// Octets of a digest that an ETag shows.
const ETAG_OCTETS: usize = 16;

/// Media types (RFC 2585 section 4, RFC 6960 appendix C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// A certificate in DER.
    Certificate,
    /// A revocation list in DER.
    RevocationList,
    /// An OCSP answer.
    OcspResponse,
}

/// A body and its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Content-Type.
    pub media_type: MediaType,
    /// The body.
    pub body: Arc<[u8]>,
    /// The others.
    pub cache: CacheHeaders,
}

/// What is served again and again: its digest is computed once, its headers for each request.
#[derive(Clone, Debug)]
pub struct Kept {
    media_type: MediaType,
    body: Arc<[u8]>,
    etag: String,
    made: Timestamp,
    until: Timestamp,
    max_age_seconds: i64,
}

/// Values of the headers of RFC 5019 section 6.2, and of ETag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheHeaders {
    /// Cache-Control.
    pub cache_control: String,
    /// Last-Modified: when it was made. None for what is not kept.
    pub last_modified: Option<String>,
    /// Expires.
    pub expires: Option<String>,
    /// ETag, quoted.
    pub etag: Option<String>,
}

impl MediaType {
    /// Content-Type's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "application/pkix-cert",
            Self::RevocationList => "application/pkix-crl",
            Self::OcspResponse => "application/ocsp-response",
        }
    }
}

impl Kept {
    /// An authority's certificate.
    pub fn certificate(certificate: &Certificate) -> Self {
        let body: Arc<[u8]> = certificate.der().as_ref().into();
        let (made, until) = (certificate.not_before(), certificate.not_after());
        let etag = etag(&body);
        Self { media_type: MediaType::Certificate, body, etag, made, until, max_age_seconds: CERTIFICATE_MAX_AGE }
    }

    /// A list; see [`Download::revocation_list`].
    pub fn revocation_list(list: &SignedList, max_age_seconds: u32) -> Self {
        let body: Arc<[u8]> = list.der.as_slice().into();
        let (made, until) = (list.facts.this_update, list.facts.next_update);
        let etag = etag(&body);
        let max_age_seconds = i64::from(max_age_seconds);
        Self { media_type: MediaType::RevocationList, body, etag, made, until, max_age_seconds }
    }

    /// The body.
    pub const fn body(&self) -> &Arc<[u8]> {
        &self.body
    }

    /// It and its headers as of now.
    pub fn at(&self, now: Timestamp) -> Download {
        let until = now.plus_seconds(self.max_age_seconds).min(self.until);
        let cache = CacheHeaders::until(self.etag.clone(), self.made, until, now);
        Download { media_type: self.media_type, body: Arc::clone(&self.body), cache }
    }
}

impl Download {
    /// An authority's certificate.
    pub fn certificate(certificate: &Certificate, now: Timestamp) -> Self {
        Kept::certificate(certificate).at(now)
    }

    /// A list. A new one may come before nextUpdate, as revocations do: `max_age_seconds` bounds how long a cache may
    /// hide it.
    pub fn revocation_list(list: &SignedList, max_age_seconds: u32, now: Timestamp) -> Self {
        Kept::revocation_list(list, max_age_seconds).at(now)
    }

    /// An OCSP answer or the error that there is instead of one. Both have status 200: the error is in the body. One with a
    /// nonce is not cached on the way.
    pub fn ocsp(answer: Result<&Answer, ResponseError>, max_age_seconds: u32, now: Timestamp) -> Self {
        let media_type = MediaType::OcspResponse;
        match answer {
            Ok(answer) if answer.has_nonce => {
                Self { media_type, body: Arc::clone(&answer.der), cache: CacheHeaders::no_store() }
            }
            Ok(answer) => {
                let until = now.plus_seconds(i64::from(max_age_seconds)).min(answer.next_update);
                let cache = CacheHeaders::until(etag(&answer.der), answer.this_update, until, now);
                Self { media_type, body: Arc::clone(&answer.der), cache }
            }
            Err(error) => Self { media_type, body: error.der().into(), cache: CacheHeaders::no_store() },
        }
    }
}

impl CacheHeaders {
    fn until(etag: String, made: Timestamp, until: Timestamp, now: Timestamp) -> Self {
        let age = until.unix().saturating_sub(now.unix()).max(0);
        if age == 0 {
            return Self::no_store();
        }
        Self {
            cache_control: format!("max-age={age}, public, no-transform, must-revalidate"),
            last_modified: Some(HttpDate(made).to_string()),
            expires: Some(HttpDate(until).to_string()),
            etag: Some(etag),
        }
    }

    fn no_store() -> Self {
        Self { cache_control: "no-store".to_owned(), last_modified: None, expires: None, etag: None }
    }
}

/// An entity tag (RFC 9110 section 8.8.3), quoted.
fn etag(body: &[u8]) -> String {
    let digits = sha256(&[body]).iter().take(ETAG_OCTETS).fold(String::new(), |mut digits, octet| {
        let _ = write!(digits, "{octet:02x}");
        digits
    });
    format!("\"{digits}\"")
}

/// A date of HTTP in its one form that is sent today (RFC 9110 section 5.6.7); `None` for another form, or a date that
/// does not exist.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let (_, date) = text.split_once(", ")?;
    let mut words = date.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let at = Timestamp::from_rfc_3339(&format!("{year}-{month:02}-{day}T{time}Z"))?;
    // The weekday, `GMT` and nothing after it.
    (HttpDate(at).to_string() == text).then_some(at)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// One PEM block (RFC 7468: lines of 64).
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    let _ = writeln!(pem, "\n-----END {label}-----");
    pem
}

/// IMF-fixdate (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
struct HttpDate(Timestamp);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        // 1970-01-01 was a Thursday.
        let weekday = usize::try_from(self.0.unix().div_euclid(86_400).rem_euclid(7)).unwrap_or_default();
        let weekday = DAYS.get(weekday).unwrap_or(&"Thu");
        let text = self.0.to_string();
        let field = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
        let month = field(5..7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
        let (day, month, year, time) = (field(8..10), month.unwrap_or(&"Jan"), field(0..4), field(11..19));
        write!(f, "{weekday}, {day} {month} {year} {time} GMT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        for (at, expected) in [
            ("1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("2026-11-22T03:00:00Z", "Sun, 22 Nov 2026 03:00:00 GMT"),
        ] {
            let at = Timestamp::from_rfc_3339(at).unwrap();
            assert_eq!(HttpDate(at).to_string(), expected);
            assert_eq!(http_date(expected), Some(at));
        }
    }

    #[test]
    fn what_is_no_date_of_http_is_none() {
        for wrong in [
            "",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
        ] {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_is_cached_beyond_the_time_it_holds() {
        let now = Timestamp::from_unix(1_800_000_000);
        let answer =
            Answer { der: Arc::from(&b"x"[..]), this_update: now, next_update: now.plus_seconds(60), has_nonce: false };
        let fresh = Download::ocsp(Ok(&answer), 3_600, now.plus_seconds(20));
        assert!(fresh.cache.cache_control.starts_with("max-age=40,"), "{}", fresh.cache.cache_control);
        assert_eq!(fresh.media_type.as_str(), "application/ocsp-response");
        let over = Download::ocsp(Ok(&answer), 3_600, now.plus_seconds(60));
        assert_eq!(over.cache.cache_control, "no-store");
        let error = Download::ocsp(Err(ResponseError::TryLater), 3_600, now);
        assert_eq!((error.cache.cache_control.as_str(), &*error.body), ("no-store", &[0x30, 3, 10, 1, 3][..]));
    }
}
