//! How a request's body is framed (RFC 9112 section 6), in the one way that every reader reads alike.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use std::fmt;

/// Why a request's framing is refused, although one reading of it may be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// Not exactly one Content-Length of digits without a leading zero: 400. RFC 9110 section 8.6 lets a list of equal
    /// lengths be repaired; an upstream may read another of the repeated values, or an octal number.
    ContentLength,
    /// Content-Length beside Transfer-Encoding, or `chunked` not exactly once: 400 (RFC 9112 section 6.1).
    TransferEncoding,
    /// A transfer coding other than `chunked`: 501 (RFC 9112 section 6.1).
    UnknownCoding,
}

/// The length of the body that a request's header announces: none if it announces none, or comes in chunks.
///
/// # Errors
/// [`FramingError`]: the request must not go on.
pub fn announced_length(headers: &HeaderMap) -> Result<Option<u64>, FramingError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let codings: Vec<&[u8]> =
        lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect();
    if !codings.is_empty() {
        if codings.iter().any(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
            return Err(FramingError::UnknownCoding);
        }
        let alone = codings.len() == 1 && lengths.next().is_none();
        return if alone { Ok(None) } else { Err(FramingError::TransferEncoding) };
    }
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(length), None) => decimal(length.as_bytes()).map(Some).ok_or(FramingError::ContentLength),
        (Some(_), Some(_)) => Err(FramingError::ContentLength),
    }
}

/// `0|[1-9][0-9]*`, as far as a `u64` goes.
fn decimal(text: &[u8]) -> Option<u64> {
    let has_one_spelling = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| has_one_spelling)?.parse().ok()
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContentLength => "Content-Length is not exactly one number without a leading zero",
            Self::TransferEncoding => "Transfer-Encoding is not exactly one \"chunked\", or comes with Content-Length",
            Self::UnknownCoding => "Transfer-Encoding has a coding other than \"chunked\"",
        })
    }
}

impl std::error::Error for FramingError {}

#[cfg(test)]
mod tests {
    use super::FramingError::{ContentLength, TransferEncoding, UnknownCoding};
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn of(lines: &[(HeaderName, &str)]) -> Result<Option<u64>, FramingError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        announced_length(&headers)
    }

    #[test]
    fn one_length_of_one_spelling_or_one_chunked_is_taken_and_nothing_else() {
        assert_eq!(of(&[]), Ok(None));
        for (text, length) in [("0", 0), ("3", 3), ("10", 10), ("18446744073709551615", u64::MAX)] {
            assert_eq!(of(&[(CONTENT_LENGTH, text)]), Ok(Some(length)));
        }
        for text in [
            "",
            " ",
            "+3",
            "-1",
            "03",
            "00",
            "0x3",
            "3,",
            "3, 3",
            "3,3",
            "3;",
            "3 3",
            "３",
            "1e1",
            "3.0",
            "18446744073709551616",
        ] {
            assert_eq!(of(&[(CONTENT_LENGTH, text)]), Err(ContentLength), "{text}");
        }
        assert_eq!(of(&[(CONTENT_LENGTH, "3"), (CONTENT_LENGTH, "3")]), Err(ContentLength));
        for text in ["chunked", "Chunked"] {
            assert_eq!(of(&[(TRANSFER_ENCODING, text)]), Ok(None));
        }
        for text in ["gzip, chunked", "identity", "xchunked", "", "chunked, identity", "chunked;q=1", "\"chunked\""] {
            assert_eq!(of(&[(TRANSFER_ENCODING, text)]), Err(UnknownCoding), "{text}");
        }
        for lines in [
            &[(TRANSFER_ENCODING, "chunked, chunked")][..],
            &[(TRANSFER_ENCODING, "chunked"), (TRANSFER_ENCODING, "chunked")],
            &[(TRANSFER_ENCODING, "chunked"), (CONTENT_LENGTH, "3")],
        ] {
            assert_eq!(of(lines), Err(TransferEncoding), "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_written_as_it_was_read(text in "[0-9+, -]{0,5}|[0-9]{1,21}") {
            if let Ok(Some(length)) = of(&[(CONTENT_LENGTH, &text)]) {
                prop_assert_eq!(length.to_string(), text);
            }
        }
    }
}
