//! Request targets and paths that every reader reads alike.

use std::borrow::Cow;
use std::fmt;

/// Octets of a path: what RFC 9110 section 4.1 recommends a server to support for a whole URI, and as much as the
/// assertion can carry to an upstream that takes 16 KiB of headers. Longer: 414.
pub const MAX_PATH_OCTETS: usize = 8_000;

/// A request target, taken apart (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Of an absolute-form.
    pub authority: Option<&'a str>,
    /// As it came, still encoded, without query.
    pub path: &'a str,
    /// Path and query: the origin-form for the upstream, also of an absolute-form.
    pub origin_form: &'a str,
}

/// A path whose routes no reading of it could dodge.
///
/// Gateway and upstream must agree on what a path means, or a request could be checked as one page and served as
/// another. Upstreams differ in what they normalise, so what one of them would is refused rather than normalised:
/// dot segments, empty segments, encoded slashes, backslashes, control characters, double encoding, and segments
/// that end in a dot or a space (dropped by Windows). Other percent-encodings are decoded to find the route.
/// Path parameters (`;jsessionid=…`) are cut by Java upstreams and kept by others: both readings must lead to the same route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePath<'a> {
    decoded: Cow<'a, str>,
    without_parameters: Option<String>,
}

/// Why a request target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Neither `/…` nor `https://host/…`: 400.
    Form,
    /// More than [`MAX_PATH_OCTETS`]: 414.
    TooLong,
    /// `.`, `..`, or one that ends in a dot or a space.
    DotSegment,
    /// `//`.
    EmptySegment,
    /// `%2F`, `\` or `%5C`.
    EncodedSeparator,
    /// Control characters, spaces, `#`, `?` or octets beyond ASCII where they must be encoded.
    Character,
    /// `%` without two hex digits, encodings that are not UTF-8, or encodings of encodings.
    Encoding,
    /// A path parameter that would lead to another route.
    Parameter,
    /// `(S(…))` with more behind it in its segment.
    Cookieless,
    /// What could be the DOS short name of a page that is not everybody's.
    ShortName,
}

impl<'a> Target<'a> {
    /// Takes a raw request target apart.
    ///
    /// # Errors
    /// [`PathError::Form`] for authority-form (`CONNECT`), asterisk-form and other schemes; [`PathError::Character`]
    /// for what is not ASCII or has a fragment; [`PathError::TooLong`].
    pub fn parse(raw: &'a [u8]) -> Result<Self, PathError> {
        let raw = std::str::from_utf8(raw).map_err(|_| PathError::Character)?;
        if raw.bytes().any(|octet| !octet.is_ascii_graphic() || octet == b'#') {
            return Err(PathError::Character);
        }
        let (authority, origin_form) = if raw.starts_with('/') {
            (None, raw)
        } else {
            let (scheme, rest) = raw.split_once("://").ok_or(PathError::Form)?;
            if !scheme.eq_ignore_ascii_case("https") {
                return Err(PathError::Form);
            }
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, origin_form) = rest.split_at_checked(end).ok_or(PathError::Form)?;
            // `https://host?query` would need a slash put in; no client of ours sends it.
            if origin_form.starts_with('?') {
                return Err(PathError::Form);
            }
            (Some(authority), if origin_form.is_empty() { "/" } else { origin_form })
        };
        let path = origin_form.split_once('?').map_or(origin_form, |(path, _)| path);
        if path.len() > MAX_PATH_OCTETS {
            return Err(PathError::TooLong);
        }
        Ok(Self { authority, path, origin_form })
    }

    /// The query without its `?`; of a target that has none, empty.
    pub fn query(&self) -> &'a str {
        self.origin_form.split_once('?').map_or("", |(_, query)| query)
    }
}

impl<'a> RoutePath<'a> {
    /// Of an absolute path without query.
    ///
    /// # Errors
    /// [`PathError`]: answer 400, or 414 for [`PathError::TooLong`].
    pub fn parse(path: &'a str) -> Result<Self, PathError> {
        if !path.starts_with('/') {
            return Err(PathError::Form);
        }
        if path.len() > MAX_PATH_OCTETS {
            return Err(PathError::TooLong);
        }
        let decoded = decode(path)?;
        check_segments(&decoded)?;
        let without_parameters = decoded.contains(';').then(|| {
            let segments = decoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
            segments.collect::<Vec<_>>().join("/")
        });
        without_parameters.as_deref().map_or(Ok(()), check_segments)?;
        Ok(Self { decoded, without_parameters })
    }

    /// Decoded, parameters as they are.
    pub fn literal(&self) -> &str {
        &self.decoded
    }

    /// Decoded, with each segment's parameters cut.
    pub fn without_parameters(&self) -> &str {
        self.without_parameters.as_deref().unwrap_or(&self.decoded)
    }
}

fn decode(path: &str) -> Result<Cow<'_, str>, PathError> {
    if path.bytes().any(|octet| !octet.is_ascii_graphic() || matches!(octet, b'#' | b'?')) {
        return Err(PathError::Character);
    }
    if path.contains('\\') {
        return Err(PathError::EncodedSeparator);
    }
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(PathError::Encoding) };
        let octet = hex(*high)? << 4 | hex(*low)?;
        rest = tail;
        match octet {
            b'/' | b'\\' => return Err(PathError::EncodedSeparator),
            0..0x20 | 0x7f => return Err(PathError::Character),
            octet => decoded.push(octet),
        }
    }
    if decoded.windows(3).any(|three| matches!(three, [b'%', rest @ ..] if rest.iter().all(u8::is_ascii_hexdigit))) {
        return Err(PathError::Encoding);
    }
    // Over-long forms of `/` and `.` are not UTF-8 either.
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| PathError::Encoding)
}

fn check_segments(path: &str) -> Result<(), PathError> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathError::EmptySegment);
        }
        if segment.ends_with(['.', ' ']) {
            return Err(PathError::DotSegment);
        }
    }
    Ok(())
}

fn hex(digit: u8) -> Result<u8, PathError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(PathError::Encoding),
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "the request target is neither a path nor an https URL",
            Self::TooLong => "the path is too long",
            Self::DotSegment => "a path segment is, or ends in, a dot or a space",
            Self::EmptySegment => "a path segment is empty",
            Self::EncodedSeparator => "the path has an encoded slash or a backslash",
            Self::Character => "the path has a character that must be encoded",
            Self::Encoding => "the path's percent-encoding is not UTF-8, or is double",
            Self::Parameter => "a path parameter would lead to another route",
            Self::Cookieless => "a path segment begins with what ASP.NET leaves out",
            Self::ShortName => "a path segment could be the DOS short name of a page with requirements",
        })
    }
}

impl std::error::Error for PathError {}
