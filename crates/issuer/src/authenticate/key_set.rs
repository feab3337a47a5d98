//! The gateway's public keys: a JWK Set (RFC 7517) of ES256 keys.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;
use std::fmt;

/// Octets of a key set: a hundred keys fit, and the gateway publishes one and its predecessors.
pub(super) const MOST_OCTETS: usize = 64 * 1024;

/// Keys of a set: each assertion's `kid` is looked for among them.
const MOST_KEYS: usize = 100;

/// Octets of a `kid`; the gateway's are thumbprints of 43.
pub(super) const LONGEST_KEY_ID: usize = 128;

/// Keys that may have signed an assertion.
#[derive(Debug)]
pub(super) struct KeySet(Vec<PublicKey>);

/// One P-256 key.
#[derive(Clone)]
pub(super) struct PublicKey {
    id: String,
    key: ParsedPublicKey,
}

/// Why a key set is not used. One line, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeySetError {
    /// Not a JWK Set.
    Json(String),
    /// More than 64 KiB or 100 keys.
    TooLarge,
    /// A private or symmetric key is in it: it was published, and whoever read it can sign.
    Secret,
    /// A P-256 key has no usable point: its coordinates are not base64url of 32 octets each, or not on the curve.
    Point,
    /// A key has no `kid`, or one that is too long.
    KeyId,
    /// Two keys have one `kid`.
    SameKeyId,
    /// It has no ES256 key.
    Empty,
}

#[derive(Deserialize)]
struct Jwks<'a> {
    #[serde(borrow)]
    keys: Vec<Jwk<'a>>,
}

/// What is read of a key; anything else in it is ignored (RFC 7517 section 4).
#[derive(Deserialize)]
struct Jwk<'a> {
    kty: &'a str,
    crv: Option<&'a str>,
    kid: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<&'a str>,
    alg: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    /// The private part of an EC or RSA key.
    d: Option<serde::de::IgnoredAny>,
    /// A symmetric key.
    k: Option<serde::de::IgnoredAny>,
}

impl KeySet {
    /// Reads a JWK Set. Keys of other kinds than ES256 signature keys are passed over (RFC 7517 section 5).
    ///
    /// # Errors
    /// [`KeySetError`].
    pub(super) fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        if json.len() > MOST_OCTETS {
            return Err(KeySetError::TooLarge);
        }
        let jwks: Jwks<'_> = serde_json::from_slice(json).map_err(|error| KeySetError::Json(error.to_string()))?;
        if jwks.keys.len() > MOST_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for jwk in jwks.keys {
            if jwk.d.is_some() || jwk.k.is_some() {
                return Err(KeySetError::Secret);
            }
            if !jwk.signs_es256() {
                continue;
            }
            let key = jwk.public_key()?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeySetError::SameKeyId);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(keys)) }
    }

    /// The key of that `kid`.
    pub(super) fn find(&self, key_id: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.id == key_id)
    }
}

impl PublicKey {
    /// Whether the signature, r and s of 32 octets each (RFC 7518 section 3.4), is this key's over the message.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> Signed {
        match self.key.verify_sig(message, signature) {
            Ok(()) => Signed::Yes,
            Err(_) => Signed::No,
        }
    }
}

/// Whether a signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl Jwk<'_> {
    /// An EC P-256 key that is not said to be for something else.
    fn signs_es256(&self) -> bool {
        self.kty == "EC"
            && self.crv == Some("P-256")
            && self.used_for.is_none_or(|used_for| used_for == "sig")
            && self.alg.is_none_or(|alg| alg == "ES256")
    }

    fn public_key(self) -> Result<PublicKey, KeySetError> {
        let (x, y) = (coordinate(self.x)?, coordinate(self.y)?);
        // An uncompressed point (SEC 1 section 2.3.3); the library checks that it is on the curve.
        let point = [&[4], &x[..], &y[..]].concat();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeySetError::Point)?;
        let id = self.kid.filter(|id| (1..=LONGEST_KEY_ID).contains(&id.len())).ok_or(KeySetError::KeyId)?;
        Ok(PublicKey { id, key })
    }
}

fn coordinate(text: Option<&str>) -> Result<[u8; 32], KeySetError> {
    let octets = BASE64_URL_SAFE_NO_PAD.decode(text.unwrap_or_default()).map_err(|_| KeySetError::Point)?;
    octets.try_into().map_err(|_| KeySetError::Point)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.id)
    }
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "not a JWK Set: {error}"),
            Self::TooLarge => write!(f, "more than {MOST_OCTETS} octets or {MOST_KEYS} keys"),
            Self::Secret => f.write_str("it publishes a private key; replace that key at the gateway"),
            Self::Point => f.write_str("a key is not a point of P-256"),
            Self::KeyId => write!(f, "a key has no kid of 1 to {LONGEST_KEY_ID} octets"),
            Self::SameKeyId => f.write_str("two keys have one kid"),
            Self::Empty => f.write_str("it has no ES256 key"),
        }
    }
}

impl std::error::Error for KeySetError {}
