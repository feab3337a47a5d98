//! Lower-case hex.

use std::fmt::{self, Write as _};

/// Writes octets digit by digit: several fingerprints and serial numbers are written for each connection, and `{:02x}` of
/// an octet costs ten times as much.
pub(super) fn write(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).try_for_each(|digit| f.write_char(digit))
}
