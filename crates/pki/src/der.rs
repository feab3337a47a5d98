//! A reader of DER (X.690) that borrows, allocates nothing and cannot panic.
//!
//! x509-parser allocates for each entry of a revocation list, which is too slow for a million of them.

use super::time::Timestamp;
use std::fmt;

/// Universal tags that revocation lists use.
#[allow(missing_docs, reason = "each is named as X.680 names its type")]
pub mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const ENUMERATED: u8 = 0x0a;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    /// Context-specific, constructed, number 0.
    pub const CONTEXT_0: u8 = 0xa0;
}

/// Octets an OBJECT IDENTIFIER may have here: the longest in use has about a dozen.
const MAX_OID_OCTETS: usize = 64;

/// Why octets are not the DER that was expected; the text names the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerError {
    /// The octets end inside the element.
    Truncated(&'static str),
    /// Another tag than the one that belongs here.
    UnexpectedTag(&'static str, u8),
    /// A length that is indefinite, not minimal or above 2^32 - 1 (BER, not DER).
    Length(&'static str),
    /// Octets after the end.
    TrailingBytes(&'static str),
    /// The right tag and a content that its type does not allow.
    Value(&'static str),
}

/// One element: its tag, its content, and the two with the length between them.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Its identifier octet.
    pub tag: u8,
    /// Its content alone.
    pub content: &'a [u8],
    /// Tag, length and content.
    pub whole: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of them.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns `true` when no element is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    #[inline]
    pub fn any(&mut self, what: &'static str) -> Result<Element<'a>, DerError> {
        let [tag, first_length, after @ ..] = self.rest else {
            return Err(DerError::Truncated(what));
        };
        if tag & 0x1f == 0x1f {
            // Tag numbers above 30: none in RFC 5280.
            return Err(DerError::UnexpectedTag(what, *tag));
        }
        let (length, header) = if *first_length < 0x80 {
            (usize::from(*first_length), 2)
        } else {
            long_length(*first_length, after, what)?
        };
        let end = header + length;
        let (Some(whole), Some(rest)) = (self.rest.get(..end), self.rest.get(end..)) else {
            return Err(DerError::Truncated(what));
        };
        let content = whole.get(header..).unwrap_or_default();
        self.rest = rest;
        Ok(Element { tag: *tag, content, whole })
    }

    /// The next element, which has this tag.
    #[inline]
    pub fn element(&mut self, tag: u8, what: &'static str) -> Result<Element<'a>, DerError> {
        let element = self.any(what)?;
        if element.tag == tag { Ok(element) } else { Err(DerError::UnexpectedTag(what, element.tag)) }
    }

    /// A reader of the content of the next element, which has this tag.
    #[inline]
    pub fn inside(&mut self, tag: u8, what: &'static str) -> Result<Reader<'a>, DerError> {
        Ok(Reader::new(self.element(tag, what)?.content))
    }

    /// The next element if it has this tag.
    #[inline]
    pub fn optional(&mut self, tag: u8, what: &'static str) -> Result<Option<Element<'a>>, DerError> {
        if self.peek() == Some(tag) { self.any(what).map(Some) } else { Ok(None) }
    }

    /// Nothing may follow.
    #[inline]
    pub fn end(&self, what: &'static str) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::TrailingBytes(what)) }
    }
}

/// The length that begins with an octet of 0x80 or more, and the octets of tag and length together.
fn long_length(first: u8, after: &[u8], what: &'static str) -> Result<(usize, usize), DerError> {
    let octets = usize::from(first & 0x7f);
    // 0x80 is the indefinite length; four octets reach 4 GiB.
    if octets == 0 || octets > 4 {
        return Err(DerError::Length(what));
    }
    let bytes = after.get(..octets).ok_or(DerError::Truncated(what))?;
    let length = bytes.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet));
    let minimal = bytes.first().is_some_and(|octet| *octet != 0) && length >= 0x80;
    if minimal { Ok((length, 2 + octets)) } else { Err(DerError::Length(what)) }
}

/// A DER BOOLEAN's value: 00 or FF.
pub fn boolean(content: &[u8], what: &'static str) -> Result<bool, DerError> {
    match content {
        [0] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(DerError::Value(what)),
    }
}

/// A UTCTime or GeneralizedTime in the one form RFC 5280 section 4.1.2.5 allows: to the second, ending in `Z`.
#[inline]
pub fn time(element: Element<'_>, what: &'static str) -> Result<Timestamp, DerError> {
    let invalid = DerError::Value(what);
    let (year, rest) = match (element.tag, element.content) {
        (tag::UTC_TIME, [a, b, rest @ ..]) => {
            let year = i64::from(two_digits(*a, *b).ok_or(invalid)?);
            // RFC 5280 section 4.1.2.5.1: 50 to 99 are 19xx.
            (if year >= 50 { 1900 + year } else { 2000 + year }, rest)
        }
        (tag::GENERALIZED_TIME, [a, b, c, d, rest @ ..]) => {
            let century = i64::from(two_digits(*a, *b).ok_or(invalid)?);
            (century * 100 + i64::from(two_digits(*c, *d).ok_or(invalid)?), rest)
        }
        (tag::UTC_TIME | tag::GENERALIZED_TIME, _) => return Err(invalid),
        (other, _) => return Err(DerError::UnexpectedTag(what, other)),
    };
    let [m1, m2, d1, d2, h1, h2, n1, n2, s1, s2, b'Z'] = rest else {
        return Err(invalid);
    };
    let pair = |a: &u8, b: &u8| two_digits(*a, *b).ok_or(invalid);
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let (hour, minute, second) = (pair(h1, h2)?, pair(n1, n2)?, pair(s1, s2)?);
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return Err(invalid);
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Ok(Timestamp::from_unix(days_from_civil(year, month.into(), day.into()) * 86_400 + seconds))
}

fn two_digits(a: u8, b: u8) -> Option<u8> {
    (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'))
}

const fn days_in(year: i64, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day number of a proleptic Gregorian date, from 1970-01-01 (Howard Hinnant, as in [`super::time`]).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// An OBJECT IDENTIFIER's content as dotted numbers, for messages; `?` when it is none.
pub fn oid_text(content: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut arc: u64 = 0;
    for octet in content.iter().take(MAX_OID_OCTETS) {
        arc = (arc << 7) | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            if text.is_empty() {
                let first = (arc / 40).min(2);
                let _ = write!(text, "{first}.{}", arc - first * 40);
            } else {
                let _ = write!(text, ".{arc}");
            }
            arc = 0;
        }
    }
    if text.is_empty() { "?".to_owned() } else { text }
}

impl fmt::Display for DerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(what) => write!(f, "the octets end inside {what}"),
            Self::UnexpectedTag(what, tag) => write!(f, "tag {tag:#04x} where {what} belongs"),
            Self::Length(what) => write!(f, "the length of {what} is not DER"),
            Self::TrailingBytes(what) => write!(f, "octets after the end of {what}"),
            Self::Value(what) => write!(f, "{what} has an impossible value"),
        }
    }
}

impl std::error::Error for DerError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Result<Element<'_>, DerError> {
        Reader::new(bytes).any("it")
    }

    #[test]
    fn lengths_that_are_not_der_are_refused() {
        for bytes in [
            &[0x30, 0x80, 0, 0][..],            // indefinite
            &[0x04, 0x81, 0x05, 1, 2, 3, 4, 5], // long form for a short length
            &[0x04, 0x82, 0x00, 0x80],          // leading zero
            &[0x04, 0x85, 1, 0, 0, 0, 0],       // five octets
        ] {
            assert_eq!(first(bytes).unwrap_err(), DerError::Length("it"), "{bytes:x?}");
        }
    }

    #[test]
    fn an_element_that_runs_past_the_end_is_truncated() {
        for bytes in [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x82, 1], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(first(bytes).unwrap_err(), DerError::Truncated("it"), "{bytes:x?}");
        }
    }

    #[test]
    fn times_are_read_to_the_second_and_nothing_else_is() {
        let read = |tag, text: &str| time(Element { tag, content: text.as_bytes(), whole: &[] }, "t");
        for (tag, text, expected) in [
            (tag::UTC_TIME, "700101000000Z", "1970-01-01T00:00:00Z"),
            (tag::UTC_TIME, "491231235959Z", "2049-12-31T23:59:59Z"),
            (tag::UTC_TIME, "500101000000Z", "1950-01-01T00:00:00Z"),
            (tag::GENERALIZED_TIME, "20000229120000Z", "2000-02-29T12:00:00Z"),
            (tag::GENERALIZED_TIME, "20501231235959Z", "2050-12-31T23:59:59Z"),
        ] {
            assert_eq!(read(tag, text).unwrap().to_string(), expected);
        }
        for (tag, text) in [
            (tag::UTC_TIME, "7001010000Z"),
            (tag::UTC_TIME, "700101000000+0900"),
            (tag::UTC_TIME, "700230000000Z"),
            (tag::UTC_TIME, "19700101000000Z"),
            (tag::GENERALIZED_TIME, "20010229120000Z"),
            (tag::GENERALIZED_TIME, "20000229120000.5Z"),
            (tag::GENERALIZED_TIME, "20000229240000Z"),
        ] {
            assert_eq!(read(tag, text), Err(DerError::Value("t")), "{text}");
        }
    }
}
