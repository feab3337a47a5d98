//! Certificate serial numbers (RFC 5280 section 4.1.2.2).

use super::hex;
use std::fmt;

/// Octets a serial may have: RFC 5280 allows 20; two more tolerate the sign octet and one careless issuer.
pub const MAX_SERIAL_OCTETS: usize = 22;

/// A serial number: the content octets of its DER INTEGER, two's complement, minimal.
///
/// Two serials are equal when their integers are; a negative serial (seen in the field, PKITS 4.4.14) is kept as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialNumber {
    length: u8,
    octets: [u8; MAX_SERIAL_OCTETS],
}

/// Why octets are not a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialError {
    /// No content octets.
    Empty,
    /// More than [`MAX_SERIAL_OCTETS`].
    TooLong(usize),
}

impl SerialNumber {
    /// From the content octets of a DER INTEGER; surplus leading octets (BER) are dropped.
    ///
    /// # Errors
    /// [`SerialError`] when there is no octet or more than [`MAX_SERIAL_OCTETS`].
    pub fn from_der_content(content: &[u8]) -> Result<Self, SerialError> {
        let mut content = content;
        while let [first, second, ..] = content {
            if (*first == 0 && second & 0x80 == 0) || (*first == 0xff && second & 0x80 != 0) {
                content = &content[1..];
            } else {
                break;
            }
        }
        if content.is_empty() {
            return Err(SerialError::Empty);
        }
        let mut octets = [0; MAX_SERIAL_OCTETS];
        let Some(kept) = octets.get_mut(..content.len()) else {
            return Err(SerialError::TooLong(content.len()));
        };
        kept.copy_from_slice(content);
        // Bounded by MAX_SERIAL_OCTETS above.
        #[allow(clippy::cast_possible_truncation)]
        Ok(Self { length: content.len() as u8, octets })
    }

    /// Returns `true` if it is above zero, as RFC 5280 section 4.1.2.2 asks.
    pub fn is_positive(&self) -> bool {
        !matches!(self.as_bytes(), [0x80..=0xff, ..] | [0])
    }

    /// The content octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

/// Lower-case hex of the content octets, as `openssl x509 -serial` has it but for the case
/// (a leading sign octet `00` is not shown).
impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = match self.as_bytes() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            octets => octets,
        };
        hex::write(octets, f)
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

impl fmt::Display for SerialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the serial number has no octets"),
            Self::TooLong(octets) => {
                write!(f, "the serial number has {octets} octets; at most {MAX_SERIAL_OCTETS} are accepted")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_leading_octets_do_not_make_another_serial() {
        let serial = |content: &[u8]| SerialNumber::from_der_content(content).unwrap();
        assert_eq!(serial(&[0, 0, 0x7f]), serial(&[0x7f]));
        assert_eq!(serial(&[0xff, 0xff, 0x80]), serial(&[0x80]));
        assert_ne!(serial(&[0, 0x80]), serial(&[0x80]), "128 is not -128");
        assert_eq!(serial(&[0, 0x80, 1]).to_string(), "8001");
    }

    #[test]
    fn empty_and_over_long_serials_are_refused() {
        assert_eq!(SerialNumber::from_der_content(&[]), Err(SerialError::Empty));
        assert!(SerialNumber::from_der_content(&[1; MAX_SERIAL_OCTETS]).is_ok());
        assert_eq!(
            SerialNumber::from_der_content(&[1; MAX_SERIAL_OCTETS + 1]),
            Err(SerialError::TooLong(MAX_SERIAL_OCTETS + 1))
        );
    }
}
