//! Serial numbers: 128 random bits, so that none can be foretold and none comes twice (RFC 5280 section 4.1.2.2).

use super::key::SigningError;
use sekisho_pki::serial::SerialNumber;

/// Octets of randomness.
const RANDOM_OCTETS: usize = 16;

/// A new serial number, positive. The caller records it before anything is signed; two alike never occur, and a store
/// that refuses doubles makes sure.
///
/// # Errors
/// [`SigningError`] when there is no randomness to be had.
pub fn random() -> Result<SerialNumber, SigningError> {
    // The sign octet goes before; `SerialNumber` drops it when it is not needed.
    let mut content = [0; RANDOM_OCTETS + 1];
    let [_sign, random @ ..] = &mut content;
    aws_lc_rs::rand::fill(random).map_err(|_| SigningError)?;
    from_content(&content)
}

/// Zero is not positive (section 4.1.2.2).
fn from_content(content: &[u8; RANDOM_OCTETS + 1]) -> Result<SerialNumber, SigningError> {
    if content.iter().all(|octet| *octet == 0) {
        return Err(SigningError);
    }
    SerialNumber::from_der_content(content).map_err(|_| SigningError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_positive_of_128_bits_and_differ() {
        let serials: std::collections::BTreeSet<_> = (0..1_000).map(|_| random().unwrap()).collect();
        assert_eq!(serials.len(), 1_000);
        for serial in &serials {
            assert_eq!(serial.as_bytes()[0] & 0x80, 0, "negative: {serial}");
            assert!((14..=17).contains(&serial.as_bytes().len()), "{serial}");
        }
        // The top bit is as random as the others.
        let signed = serials.iter().filter(|serial| serial.as_bytes().len() == 17).count();
        assert!((400..=600).contains(&signed), "{signed} of 1,000 have the top bit");
    }

    #[test]
    fn zero_is_not_a_serial() {
        assert_eq!(from_content(&[0; 17]), Err(SigningError));
    }
}
