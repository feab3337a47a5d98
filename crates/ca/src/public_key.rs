//! Public keys of users: which are strong enough to be certified.

use super::der::{DerError, Reader, tag};
use super::oid;
use super::rsa_modulus;
use sekisho_pki::fingerprint::sha256;
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
    /// This small prime divides the RSA modulus.
    RsaFactor(u32),
    /// The RSA modulus is a prime.
    RsaPrime,
    /// The RSA modulus' primes are close together.
    RsaClosePrimes,
    /// An Ed25519 key for which anybody can sign.
    SmallOrder,
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
            oid::ED25519 if key.len() == 32 => {
                if is_of_small_order(key) {
                    return Err(WeakKey::SmallOrder);
                }
            }
            _ => return Err(WeakKey::Algorithm),
        }
        algorithm.end(what)?;
        let mut identifier = [0; 20];
        // RFC 7093 section 2, method 1: the leftmost 160 bits of SHA-256 over the key's octets.
        identifier.copy_from_slice(sha256(&[key]).get(..20).unwrap_or_default());
        Ok(Self { info: info.to_vec(), identifier })
    }

    /// Checks what takes milliseconds, and tens of them for the longest keys: only for who would get the certificate.
    ///
    /// # Errors
    /// [`WeakKey::RsaPrime`], [`WeakKey::RsaClosePrimes`].
    pub fn check_thoroughly(&self) -> Result<(), WeakKey> {
        let Some(modulus) = self.rsa_modulus() else { return Ok(()) };
        if rsa_modulus::has_close_factors(modulus) {
            return Err(WeakKey::RsaClosePrimes);
        }
        if rsa_modulus::is_prime(modulus) { Err(WeakKey::RsaPrime) } else { Ok(()) }
    }

    fn rsa_modulus(&self) -> Option<&[u8]> {
        let what = "subjectPublicKeyInfo";
        let mut fields = Reader::new(&self.info).inside(tag::SEQUENCE, what).ok()?;
        let mut algorithm = fields.inside(tag::SEQUENCE, what).ok()?;
        let is_rsa = algorithm.element(tag::OBJECT_IDENTIFIER, what).ok()?.content == oid::RSA_ENCRYPTION;
        let key = fields.element(tag::BIT_STRING, what).ok()?.content.get(1..)?;
        is_rsa.then(|| check_rsa(key).ok()).flatten()
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

/// The modulus of a key that is not seen to be weak at once.
fn check_rsa(key: &[u8]) -> Result<&[u8], WeakKey> {
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
    // No program makes such keys, and some clients cannot use them.
    if !bits.is_multiple_of(8) {
        return Err(WeakKey::RsaBits(bits));
    }
    rsa_modulus::small_factor(modulus).map_or(Ok(modulus), |factor| Err(WeakKey::RsaFactor(factor)))
}

/// The magnitude of a positive INTEGER in its one form.
fn positive(content: &[u8]) -> Result<&[u8], WeakKey> {
    match content {
        [0, rest @ ..] if rest.first().is_some_and(|octet| octet & 0x80 != 0) => Ok(rest),
        [first, ..] if (1..0x80).contains(first) => Ok(content),
        _ => Err(DerError::Value("an INTEGER of RSAPublicKey").into()),
    }
}

/// The points of order 1, 2, 4 and 8 (RFC 8032 section 5.1), in every encoding that a verifier may take: a signature holds
/// for them without any private key. The sign of x is not looked at.
fn is_of_small_order(key: &[u8]) -> bool {
    /// Encodings of y: 0, 1, the two of order 8, p-1, p and p+1.
    const SMALL: [&str; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let mut y = key.to_vec();
    y.last_mut().into_iter().for_each(|last| *last &= 0x7f);
    let y: String = sekisho_pki::hex::digits(&y).collect();
    SMALL.contains(&y.as_str())
}

fn is_roca(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|prime| {
        let remainder = rsa_modulus::remainder(modulus, *prime);
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
            Self::RsaBits(bits) => {
                write!(f, "the RSA key has {bits} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS} and a multiple of 8")
            }
            Self::RsaExponent => f.write_str("the RSA key's exponent is not an odd number from 65537 to 2^32"),
            Self::RsaModulus => {
                f.write_str("the RSA key's modulus is even or of a library with a known fault (CVE-2017-15361)")
            }
            Self::RsaFactor(factor) => write!(f, "the RSA key's modulus is a multiple of {factor}"),
            Self::RsaPrime => f.write_str("the RSA key's modulus is a prime, not a product of two"),
            Self::RsaClosePrimes => f.write_str("the primes of the RSA key are so close that the key can be factored"),
            Self::SmallOrder => f.write_str("the Ed25519 key is a point of small order: anybody can sign for it"),
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
        let first = num_bigint::BigUint::from_bytes_be(&vec![0xc5; octets]);
        let mut all = (0_u32..).map(|step| (&first + step * 2).to_bytes_be());
        all.find(|modulus| rsa_modulus::small_factor(modulus).is_none()).unwrap()
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

    /// The prime of the 2048-bit group of RFC 3526 section 3.
    const PRIME: &str = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
        EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5\
        AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
        9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9\
        DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF";

    #[test]
    fn moduli_that_anybody_can_factor_are_refused() {
        use num_bigint::BigUint;
        let usual = [1, 0, 1];
        let prime = BigUint::parse_bytes(PRIME.as_bytes(), 16).unwrap();
        let key = |modulus: &BigUint| SubjectKey::from_info(&rsa(&modulus.to_bytes_be(), &usual));
        assert_eq!(key(&prime).unwrap().check_thoroughly(), Err(WeakKey::RsaPrime));
        // Two odd factors without small ones, close together and as far apart as chance has them.
        let free = |from: BigUint| {
            (0_u32..)
                .map(|step| &from + step * 2)
                .find(|one| rsa_modulus::small_factor(&one.to_bytes_be()).is_none())
                .unwrap()
        };
        let one = free((BigUint::from(3_u32) << 1022_u32) + 1_u32);
        let close = free(&one + 2_u32);
        assert_eq!(key(&(&one * &close)).unwrap().check_thoroughly(), Err(WeakKey::RsaClosePrimes));
        let apart = free((BigUint::from(7_u32) << 1021_u32) + 1_u32);
        assert_eq!(key(&(&one * &apart)).unwrap().check_thoroughly(), Ok(()));
        let other = free((BigUint::from(3_u32) << 2046_u32) / 134_u32 * 2_u32 + 1_u32);
        assert_eq!(key(&(other * 67_u32)), Err(WeakKey::RsaFactor(67)));
        // Of 2,049 bits.
        assert!(matches!(key(&(&prime * 2_u32 + 1_u32)), Err(WeakKey::RsaBits(2_049))));
    }

    #[test]
    fn points_of_small_order_are_refused_in_every_encoding() {
        let info = |key: [u8; 32]| {
            build(|w| {
                w.sequence(|info| {
                    info.sequence(|algorithm| algorithm.element(tag::OBJECT_IDENTIFIER, oid::ED25519));
                    info.bit_string(&key);
                });
            })
        };
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        for mut key in [[0; 32], one, minus_one] {
            for sign in [0, 0x80] {
                key[31] = key[31] & 0x7f | sign;
                assert_eq!(SubjectKey::from_info(&info(key)), Err(WeakKey::SmallOrder), "{key:?}");
            }
        }
        assert!(SubjectKey::from_info(&info([0x17; 32])).is_ok());
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
