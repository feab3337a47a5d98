//! Headers to the upstream: every claim of the client's is removed, then what was verified is set.
//!
//! Invariant 4: identity headers have one source, a [`crate::gateway::verify::VerifiedClient`], and are stripped before set.
//!
//! # How values are written
//! Printable ASCII stands as it is, but for `%`; a space stands as it is inside a value and not at its ends, where
//! HTTP would lose it. Every other octet of the value's UTF-8 is `%` and two upper-case hex digits. So one
//! percent-decoding gives the value back, whatever it was: see [`encode`].

mod forwarded;
mod framing;
mod names;
mod set;
mod strip;

pub use forwarded::Forwarding;
pub use framing::{FramingError, announced_length};
pub use names::StripSet;
pub use set::{IdentityHeaders, MAX_CERTIFICATE_HEADER_OCTETS, RequestFacts, SessionKind};
pub use strip::strip;

use std::borrow::Cow;
use std::fmt::Write as _;

/// A value as a header carries it (the module's documentation has the rule).
pub fn encode(value: &str) -> Cow<'_, str> {
    let plain = |octet: u8| matches!(octet, b' '..=b'~') && octet != b'%';
    let at_an_end = |octet: Option<&u8>| octet == Some(&b' ');
    let octets = value.as_bytes();
    if octets.iter().copied().all(plain) && !at_an_end(octets.first()) && !at_an_end(octets.last()) {
        return Cow::Borrowed(value);
    }
    let mut encoded = String::with_capacity(octets.len() * 3);
    for (place, octet) in octets.iter().enumerate() {
        let space_at_an_end = *octet == b' ' && (place == 0 || place + 1 == octets.len());
        if plain(*octet) && !space_at_an_end {
            encoded.push(char::from(*octet));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{octet:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_values_stand_as_they_are_and_others_are_percent_encoded() {
        for (value, encoded) in [
            ("00009876543", "00009876543"),
            ("CN=Sekisho CA,O=(9999)Bank\\, Ltd", "CN=Sekisho CA,O=(9999)Bank\\, Ltd"),
            ("", ""),
            ("100%", "100%25"),
            ("山田", "%E5%B1%B1%E7%94%B0"),
            (" a b ", "%20a b%20"),
            (" ", "%20"),
            ("  ", "%20%20"),
            ("a\r\nx-evil: 1", "a%0D%0Ax-evil: 1"),
            ("nul\0tab\t", "nul%00tab%09"),
            ("\u{7f}", "%7F"),
        ] {
            assert_eq!(encode(value), encoded);
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_by_one_percent_decoding(value in any::<String>()) {
            let encoded = encode(&value);
            let header = http::HeaderValue::from_str(&encoded).unwrap();
            prop_assert!(header.to_str().unwrap().trim() == encoded.as_ref());
            prop_assert_eq!(percent_decode(&encoded), value.as_bytes());
        }
    }

    fn percent_decode(text: &str) -> Vec<u8> {
        let (mut octets, mut rest) = (Vec::new(), text.as_bytes());
        while let [first, tail @ ..] = rest {
            if *first == b'%' {
                octets.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
                rest = &tail[2..];
            } else {
                octets.push(*first);
                rest = tail;
            }
        }
        octets
    }
}
