//! CRLNumber (RFC 5280 section 5.2.3).

use crate::der::DerError;
use std::fmt;
use std::str::FromStr;

/// Octets a number may have: section 5.2.3 allows 20.
const MAX_OCTETS: usize = 20;

/// The number of a revocation list; a later list of the same issuer and scope has a greater one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrlNumber([u8; MAX_OCTETS]);

impl CrlNumber {
    /// From the content octets of a DER INTEGER.
    pub(super) fn from_der_content(content: &[u8]) -> Result<Self, DerError> {
        let invalid = DerError::Value("CRLNumber");
        let magnitude = match content {
            [] => return Err(invalid),
            [first, ..] if first & 0x80 != 0 => return Err(invalid),
            [0, rest @ ..] => rest,
            all => all,
        };
        let start = MAX_OCTETS.checked_sub(magnitude.len()).ok_or(invalid)?;
        let mut octets = [0; MAX_OCTETS];
        octets.get_mut(start..).ok_or(invalid)?.copy_from_slice(magnitude);
        Ok(Self(octets))
    }
}

/// From decimal digits, as [`fmt::Display`] writes them.
impl FromStr for CrlNumber {
    type Err = DerError;

    fn from_str(text: &str) -> Result<Self, DerError> {
        let invalid = DerError::Value("CRLNumber");
        // 2^160 has 49 digits; a leading zero would be a second spelling.
        if text.is_empty() || text.len() > 49 || (text.len() > 1 && text.starts_with('0')) {
            return Err(invalid);
        }
        let mut octets = [0; MAX_OCTETS];
        for digit in text.bytes() {
            let mut carry = match digit {
                b'0'..=b'9' => u16::from(digit - b'0'),
                _ => return Err(invalid),
            };
            for octet in octets.iter_mut().rev() {
                let value = u16::from(*octet) * 10 + carry;
                *octet = (value & 0xff) as u8;
                carry = value >> 8;
            }
            if carry != 0 {
                return Err(invalid);
            }
        }
        Ok(Self(octets))
    }
}

impl From<u64> for CrlNumber {
    fn from(value: u64) -> Self {
        let mut octets = [0; MAX_OCTETS];
        octets[MAX_OCTETS - 8..].copy_from_slice(&value.to_be_bytes());
        Self(octets)
    }
}

/// Decimal.
impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 2^160 has 49 decimal digits: each round takes one off, so 49 rounds are enough.
        let mut octets = self.0;
        let mut digits = Vec::with_capacity(49);
        loop {
            let mut remainder = 0_u16;
            for octet in &mut octets {
                let value = (remainder << 8) | u16::from(*octet);
                *octet = u8::try_from(value / 10).unwrap_or(u8::MAX);
                remainder = value % 10;
            }
            digits.push(char::from(b'0' + u8::try_from(remainder).unwrap_or_default()));
            if octets.iter().all(|octet| *octet == 0) {
                break;
            }
        }
        f.write_str(&digits.iter().rev().collect::<String>())
    }
}

impl fmt::Debug for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrlNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_as_decimal_and_orders_as_an_integer() {
        for value in [0, 1, 9, 10, 255, 256, u64::MAX] {
            assert_eq!(CrlNumber::from(value).to_string(), value.to_string());
        }
        let largest = [[0x7f].as_slice(), &[0xff; 19]].concat();
        let number = CrlNumber::from_der_content(&largest).unwrap();
        assert_eq!(number.to_string(), "730750818665451459101842416358141509827966271487", "2^159 - 1");
        assert!(number > CrlNumber::from(u64::MAX));
        assert_eq!(CrlNumber::from_der_content(&[0, 200]).unwrap(), CrlNumber::from(200));
    }

    #[test]
    fn a_number_reads_back_from_its_decimal_digits() {
        for value in [0, 1, 9, 10, 255, 256, u64::MAX] {
            assert_eq!(value.to_string().parse(), Ok(CrlNumber::from(value)));
        }
        let most = CrlNumber([0xff; MAX_OCTETS]);
        assert_eq!(most.to_string().parse(), Ok(most));
        let beyond = "1461501637330902918203684832716283019655932542976";
        for wrong in ["", "-1", "+1", "01", "1 ", "1a", "\u{ff11}", beyond, &"9".repeat(50)] {
            assert_eq!(wrong.parse::<CrlNumber>(), Err(DerError::Value("CRLNumber")), "{wrong:?}");
        }
    }

    #[test]
    fn negative_empty_and_over_long_numbers_are_refused() {
        for content in [&[][..], &[0x80], &[1; 21]] {
            assert_eq!(CrlNumber::from_der_content(content), Err(DerError::Value("CRLNumber")));
        }
    }
}
