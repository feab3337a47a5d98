//! Lower-case hex.

use std::fmt::{self, Write as _};

/// The digits of octets: several fingerprints and serial numbers are written for each connection, whole certificates for
/// each issuance, and `{:02x}` of an octet costs ten times as much.
pub fn digits(octets: &[u8]) -> impl Iterator<Item = char> {
    let halves = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    halves.filter_map(|half| char::from_digit(half.into(), 16))
}

/// Writes the digits of octets.
pub(super) fn write(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    digits(octets).try_for_each(|digit| f.write_char(digit))
}
