//! Keys that sign: of certification authorities and OCSP responders.

use super::der::{build, tag};
use super::oid;
use aws_lc_rs::digest::{self, Context};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Kinds of key an authority may have: what every client of the products verifies, at 128 and 192 bits of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256, signing with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384, signing with SHA-384.
    EcdsaP384,
}

/// A key that signs, wherever it is kept: in a file here, in a hardware module elsewhere.
pub trait SigningKey: Send + Sync {
    /// Its kind, which decides the signature algorithm.
    fn kind(&self) -> KeyKind;

    /// The whole DER subjectPublicKeyInfo.
    fn public_key_info(&self) -> &[u8];

    /// Signs the parts in a row, as one message: a long list need not be copied together first.
    ///
    /// # Errors
    /// [`SigningError`] when no signature could be made.
    fn sign(&self, parts: &[&[u8]]) -> Result<Vec<u8>, SigningError>;
}

/// A key that was read from a file or just made. Its private part is in the memory of the cryptographic library, which
/// clears it.
pub struct FileKey {
    kind: KeyKind,
    pair: EcdsaKeyPair,
    public_key_info: Vec<u8>,
}

/// No signature could be made, or it was not one by the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningError;

/// Octets that are not a private key of a [`KeyKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey;

impl KeyKind {
    fn algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::EcdsaP256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::EcdsaP384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::EcdsaP256 => &digest::SHA256,
            Self::EcdsaP384 => &digest::SHA384,
        }
    }

    fn curve(self) -> &'static [u8] {
        match self {
            Self::EcdsaP256 => oid::P256,
            Self::EcdsaP384 => oid::P384,
        }
    }

    /// The DER AlgorithmIdentifier of its signatures (RFC 5758 section 3.2: no parameters).
    pub(super) fn signature_algorithm(self) -> Vec<u8> {
        let oid = match self {
            Self::EcdsaP256 => oid::ECDSA_WITH_SHA256,
            Self::EcdsaP384 => oid::ECDSA_WITH_SHA384,
        };
        build(|w| w.sequence(|algorithm| algorithm.element(tag::OBJECT_IDENTIFIER, oid)))
    }
}

impl FromStr for KeyKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "p256" => Ok(Self::EcdsaP256),
            "p384" => Ok(Self::EcdsaP384),
            _ => Err("a key is p256 or p384".to_owned()),
        }
    }
}

impl FileKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SigningError`] when there is no randomness to be had.
    pub fn generate(kind: KeyKind) -> Result<Self, SigningError> {
        EcdsaKeyPair::generate(kind.algorithm()).map(|pair| Self::new(kind, pair)).map_err(|_| SigningError)
    }

    /// From PKCS#8 (RFC 5208), not encrypted.
    ///
    /// # Errors
    /// [`NotAKey`] when the octets are not a private key on P-256 or P-384.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, NotAKey> {
        [KeyKind::EcdsaP256, KeyKind::EcdsaP384]
            .into_iter()
            .find_map(|kind| EcdsaKeyPair::from_pkcs8(kind.algorithm(), pkcs8).ok().map(|pair| Self::new(kind, pair)))
            .ok_or(NotAKey)
    }

    fn new(kind: KeyKind, pair: EcdsaKeyPair) -> Self {
        let public_key_info = build(|w| {
            w.sequence(|info| {
                info.sequence(|algorithm| {
                    algorithm.element(tag::OBJECT_IDENTIFIER, oid::EC_PUBLIC_KEY);
                    algorithm.element(tag::OBJECT_IDENTIFIER, kind.curve());
                });
                info.bit_string(pair.public_key().as_ref());
            });
        });
        Self { kind, pair, public_key_info }
    }

    /// The private key as PKCS#8, cleared when dropped.
    ///
    /// # Errors
    /// [`SigningError`] when the library cannot encode it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| SigningError)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }
}

impl SigningKey for FileKey {
    fn kind(&self) -> KeyKind {
        self.kind
    }

    fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    fn sign(&self, parts: &[&[u8]]) -> Result<Vec<u8>, SigningError> {
        let mut context = Context::new(self.kind.digest());
        parts.iter().for_each(|part| context.update(part));
        let signature = self.pair.sign_digest(&context.finish()).map_err(|_| SigningError)?;
        Ok(signature.as_ref().to_vec())
    }
}

/// A key that several sign with: certificates and lists, and OCSP answers.
impl<K: SigningKey + ?Sized> SigningKey for Arc<K> {
    fn kind(&self) -> KeyKind {
        (**self).kind()
    }

    fn public_key_info(&self) -> &[u8] {
        (**self).public_key_info()
    }

    fn sign(&self, parts: &[&[u8]]) -> Result<Vec<u8>, SigningError> {
        (**self).sign(parts)
    }
}

/// Says the kind only.
impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKey({:?})", self.kind)
    }
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no signature could be made")
    }
}

impl std::error::Error for SigningError {}

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not an ECDSA private key on P-256 or P-384")
    }
}

impl std::error::Error for NotAKey {}
