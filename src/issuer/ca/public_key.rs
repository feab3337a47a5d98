//! Public keys of users: which are strong enough to be certified.

use super::der::{DerError, Reader, tag};
use super::oid;
use crate::pki::fingerprint::sha256;
use std::fmt;

/// Shortest RSA modulus: 112 bits of strength (NIST SP 800-57).
pub const MIN_RSA_BITS: usize = 2048;

/// Longest RSA modulus: a longer one costs every handshake and protects nothing more.
pub const MAX_RSA_BITS: usize = 4096;

/// Octets an RSA exponent may have: real ones are 65537; long ones make each verification slow.
const MAX_RSA_EXPONENT_OCTETS: usize = 4;

/// Primes by which the keys of Infineon's RSALib (ROCA, CVE-2017-15361) show: the modulus is a power of 65537 modulo
/// each. Another key passes for one of them once in 2^27.
const ROCA_PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// A user's public key that is strong enough. Only a request whose signature was checked or a key made here yields one
/// outside of this module's siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectKey {
    info: Vec<u8>,
    identifier: [u8; 20],
}

/// What tells two keys apart: SHA-256 of the subjectPublicKeyInfo, of which a key has but one form here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFingerprint(pub [u8; 32]);

/// Why a key is not certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeakKey {
    /// Not the DER of a subjectPublicKeyInfo, or not in the one form that is taken.
    Der(DerError),
    /// Not RSA, ECDSA or Ed25519.
    Algorithm,
    /// A curve other than P-256 and P-384.
    Curve,
    /// RSA of this many bits.
    RsaBits(usize),
    /// An RSA exponent that is even, below 65537 or above 2^32.
    RsaExponent,
    /// An even RSA modulus, or one of Infineon's (CVE-2017-15361).
    RsaModulus,
}

impl SubjectKey {
    /// From a whole subjectPublicKeyInfo. That somebody has the private key is the caller's to prove.
    pub(super) fn from_info(info: &[u8]) -> Result<Self, WeakKey> {
        let what = "subjectPublicKeyInfo";
        let mut outer = Reader::new(info);
        let mut fields = outer.inside(tag::SEQUENCE, what)?;
        outer.end(what)?;
        let mut algorithm = fields.inside(tag::SEQUENCE, what)?;
        let key = match fields.element(tag::BIT_STRING, what)?.content {
            [0, key @ ..] => key,
            _ => return Err(DerError::Value(what).into()),
        };
        fields.end(what)?;
        match algorithm.element(tag::OBJECT_IDENTIFIER, what)?.content {
            oid::RSA_ENCRYPTION => {
                // RFC 3279 section 2.3.1: NULL, so that one key has one form.
                if !algorithm.element(super::der::more::NULL, what)?.content.is_empty() {
                    return Err(DerError::Value(what).into());
                }
                check_rsa(key)?;
            }
            oid::EC_PUBLIC_KEY => {
                let octets = match algorithm.element(tag::OBJECT_IDENTIFIER, what).map_err(|_| WeakKey::Curve)?.content
                {
                    oid::P256 => 65,
                    oid::P384 => 97,
                    _ => return Err(WeakKey::Curve),
                };
                // Uncompressed (RFC 5480 section 2.2): not every client reads the other form.
                if key.len() != octets || key.first() != Some(&4) {
                    return Err(DerError::Value("the point of an elliptic curve").into());
                }
            }
            oid::ED25519 if key.len() == 32 => {}
            _ => return Err(WeakKey::Algorithm),
        }
        algorithm.end(what)?;
        let mut identifier = [0; 20];
        // RFC 7093 section 2, method 1: the leftmost 160 bits of SHA-256 over the key's octets.
        identifier.copy_from_slice(sha256(&[key]).get(..20).unwrap_or_default());
        Ok(Self { info: info.to_vec(), identifier })
    }

    /// The whole DER subjectPublicKeyInfo.
    pub fn public_key_info(&self) -> &[u8] {
        &self.info
    }

    /// For subjectKeyIdentifier.
    pub const fn identifier(&self) -> &[u8; 20] {
        &self.identifier
    }

    /// For the caller's check that no key is certified twice.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint(sha256(&[&self.info]))
    }
}

fn check_rsa(key: &[u8]) -> Result<(), WeakKey> {
    let what = "RSAPublicKey";
    let mut outer = Reader::new(key);
    let mut fields = outer.inside(tag::SEQUENCE, what)?;
    outer.end(what)?;
    let modulus = positive(fields.element(tag::INTEGER, what)?.content)?;
    let exponent = positive(fields.element(tag::INTEGER, what)?.content)?;
    fields.end(what)?;
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(WeakKey::RsaBits(bits));
    }
    let value = exponent.iter().fold(0_u64, |value, octet| (value << 8) | u64::from(*octet));
    if exponent.len() > MAX_RSA_EXPONENT_OCTETS || value < 65_537 || value % 2 == 0 {
        return Err(WeakKey::RsaExponent);
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) || is_roca(modulus) {
        return Err(WeakKey::RsaModulus);
    }
    Ok(())
}

/// The magnitude of a positive INTEGER in its one form.
fn positive(content: &[u8]) -> Result<&[u8], WeakKey> {
    match content {
        [0, rest @ ..] if rest.first().is_some_and(|octet| octet & 0x80 != 0) => Ok(rest),
        [first, ..] if (1..0x80).contains(first) => Ok(content),
        _ => Err(DerError::Value("an INTEGER of RSAPublicKey").into()),
    }
}

fn is_roca(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|prime| {
        let remainder = modulus.iter().fold(0_u32, |remainder, octet| ((remainder << 8) | u32::from(*octet)) % prime);
        let generator = 65_537 % prime;
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * generator % prime;
            power == remainder
        })
    })
}

impl From<DerError> for WeakKey {
    fn from(error: DerError) -> Self {
        Self::Der(error)
    }
}

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Der(error) => write!(f, "the public key cannot be read: {error}"),
            Self::Algorithm => f.write_str("the public key is not RSA, ECDSA or Ed25519"),
            Self::Curve => f.write_str("the public key's curve is not P-256 or P-384"),
            Self::RsaBits(bits) => write!(f, "the RSA key has {bits} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}"),
            Self::RsaExponent => f.write_str("the RSA key's exponent is not an odd number from 65537 to 2^32"),
            Self::RsaModulus => f.write_str("the RSA key's modulus is of a weak kind"),
        }
    }
}

impl std::error::Error for WeakKey {}

#[cfg(test)]
mod tests {
    use super::super::der::{build, more};
    use super::*;

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        build(|w| {
            w.sequence(|info| {
                info.sequence(|algorithm| {
                    algorithm.element(tag::OBJECT_IDENTIFIER, oid::RSA_ENCRYPTION);
                    algorithm.element(more::NULL, &[]);
                });
                info.bit_string(&build(|w| {
                    w.sequence(|key| {
                        key.unsigned(modulus);
                        key.unsigned(exponent);
                    });
                }));
            });
        })
    }

    fn modulus(octets: usize) -> Vec<u8> {
        let mut modulus = vec![0xc5; octets];
        *modulus.last_mut().unwrap() |= 1;
        modulus
    }

    #[test]
    fn weak_rsa_keys_are_refused() {
        let usual = [1, 0, 1];
        for (info, expected) in [
            (rsa(&modulus(128), &usual), WeakKey::RsaBits(1024)),
            (rsa(&[&[0x7f][..], &modulus(255)].concat(), &usual), WeakKey::RsaBits(2047)),
            (rsa(&[&[1][..], &modulus(512)].concat(), &usual), WeakKey::RsaBits(4097)),
            (rsa(&modulus(256), &[3]), WeakKey::RsaExponent),
            (rsa(&modulus(256), &[1, 0, 0]), WeakKey::RsaExponent),
            (rsa(&modulus(256), &[1, 0, 0, 0, 1]), WeakKey::RsaExponent),
            (rsa(&[&[0xc0; 255][..], &[2]].concat(), &usual), WeakKey::RsaModulus),
        ] {
            assert_eq!(SubjectKey::from_info(&info), Err(expected));
        }
        assert!(SubjectKey::from_info(&rsa(&modulus(256), &usual)).is_ok());
        assert!(SubjectKey::from_info(&rsa(&modulus(512), &usual)).is_ok());
    }

    #[test]
    fn keys_of_infineons_library_are_refused() {
        // 65537^128 has 2049 bits and is, like those keys, a power of 65537 modulo every prime.
        let mut power = vec![1_u8];
        for _ in 0..128 {
            // Little end first: n * 65537 = n * 65536 + n.
            let mut next = [&[0, 0][..], &power].concat();
            let mut carry = 0_u16;
            for (index, octet) in next.iter_mut().enumerate() {
                let sum = u16::from(*octet) + u16::from(power.get(index).copied().unwrap_or(0)) + carry;
                (*octet, carry) = (sum as u8, sum >> 8);
            }
            power = next;
        }
        power.reverse();
        assert_eq!(SubjectKey::from_info(&rsa(&power, &[1, 0, 1])), Err(WeakKey::RsaModulus));
    }

    #[test]
    fn a_key_has_one_form_only() {
        let good = rsa(&modulus(256), &[1, 0, 1]);
        let without_null = build(|w| {
            w.sequence(|info| {
                info.sequence(|algorithm| algorithm.element(tag::OBJECT_IDENTIFIER, oid::RSA_ENCRYPTION));
                info.bit_string(&[]);
            });
        });
        assert!(matches!(SubjectKey::from_info(&without_null), Err(WeakKey::Der(_))));
        assert!(matches!(SubjectKey::from_info(&[&good[..], &[0]].concat()), Err(WeakKey::Der(_))));
    }
}
