//! ES256 public keys and signatures (RFC 7518 section 3.4), as compact JWS carry them.

use super::fingerprint::sha256;
use super::pem;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use std::fmt;

/// Octets of a signature: r and s.
pub const SIGNATURE_OCTETS: usize = 64;

/// What precedes the 65 octets of an uncompressed point in a P-256 SubjectPublicKeyInfo (RFC 5480 section 2).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A P-256 public key that signatures are checked with.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    key_id: String,
}

/// Why a file holds no such key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeyError {
    /// Not PEM.
    Pem(String),
    /// No `PUBLIC KEY` block.
    Absent,
    /// More than one.
    Several,
    /// A private key: whoever reads it can sign, and here nobody needs to.
    Private,
    /// Another kind of key than EC P-256, or no point of that curve.
    NotP256,
}

impl PublicKey {
    /// From the one `PUBLIC KEY` block of a PEM file.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, PublicKeyError> {
        let mut found = None;
        for (label, der) in pem::labelled(text).map_err(|error| PublicKeyError::Pem(error.to_string()))? {
            match &*label {
                "PUBLIC KEY" if found.is_some() => return Err(PublicKeyError::Several),
                "PUBLIC KEY" => found = Some(Self::from_spki(&der)?),
                "RSA PUBLIC KEY" => return Err(PublicKeyError::NotP256),
                other if other.ends_with("PRIVATE KEY") => return Err(PublicKeyError::Private),
                _ => {}
            }
        }
        found.ok_or(PublicKeyError::Absent)
    }

    /// From a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`PublicKeyError::NotP256`].
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        let point = der.strip_prefix(&P256_SPKI_PREFIX).ok_or(PublicKeyError::NotP256)?;
        let point: &[u8; 65] = point.try_into().map_err(|_| PublicKeyError::NotP256)?;
        // The library checks that the point is on the curve.
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| PublicKeyError::NotP256)?;
        Ok(Self { key, key_id: thumbprint(point) })
    }

    /// The `kid`: the key's thumbprint (RFC 7638).
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether a signature, r and s of 32 octets each, is this key's over the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == SIGNATURE_OCTETS && self.key.verify_sig(message, signature).is_ok()
    }
}

/// RFC 7638 section 3: SHA-256 of the required members in lexicographic order, without spaces.
fn thumbprint(point: &[u8; 65]) -> String {
    let (x, y) = point[1..].split_at(32);
    let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(sha256(&[members.as_bytes()]))
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.key_id)
    }
}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(error) => write!(f, "not PEM: {error}"),
            Self::Absent => f.write_str("no PUBLIC KEY block; `openssl pkey -in key.pem -pubout` makes one"),
            Self::Several => f.write_str("more than one key; each has a file of its own"),
            Self::Private => f.write_str("a private key, which belongs on the issuer only; write its public key"),
            Self::NotP256 => f.write_str("not an EC P-256 public key"),
        }
    }
}

impl std::error::Error for PublicKeyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64::prelude::BASE64_STANDARD;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
    }

    fn spki(pair: &EcdsaKeyPair) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    #[test]
    fn a_signature_is_one_keys_over_one_message() {
        let [pair, other] = [0, 1].map(|_| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
        let key = PublicKey::from_pem(pem("PUBLIC KEY", &spki(&pair)).as_bytes()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        assert!(key.verifies(b"message", signature.as_ref()));
        assert!(!key.verifies(b"messagf", signature.as_ref()));
        assert!(!key.verifies(b"message", &signature.as_ref()[..63]));
        assert!(!key.verifies(b"message", &[0; 64]), "CVE-2022-21449");
        assert!(!PublicKey::from_spki(&spki(&other)).unwrap().verifies(b"message", signature.as_ref()));
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_7638() {
        // RFC 7517 appendix A.1's EC key; its thumbprint computed with Python's hashlib.
        let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let (x, y) = ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");
        let spki = [&P256_SPKI_PREFIX[..], &[4], &decode(x), &decode(y)].concat();
        assert_eq!(PublicKey::from_spki(&spki).unwrap().key_id(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    #[test]
    fn only_one_public_key_of_p_256_is_a_key_file() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let good = pem("PUBLIC KEY", &spki(&pair));
        let refused = |pem: &str| PublicKey::from_pem(pem.as_bytes()).unwrap_err();
        assert_eq!(refused(""), PublicKeyError::Absent);
        assert_eq!(refused(&format!("{good}{good}")), PublicKeyError::Several);
        assert_eq!(refused(&pem("PRIVATE KEY", b"x")), PublicKeyError::Private);
        assert_eq!(refused(&format!("{good}{}", pem("EC PRIVATE KEY", b"x"))), PublicKeyError::Private);
        assert_eq!(refused(&pem("PUBLIC KEY", &[&P256_SPKI_PREFIX[..], &[4; 65]].concat())), PublicKeyError::NotP256);
        assert_eq!(refused(&pem("PUBLIC KEY", b"0")), PublicKeyError::NotP256);
        assert!(matches!(refused("-----BEGIN PUBLIC KEY-----\n!"), PublicKeyError::Pem(_)));
    }
}
