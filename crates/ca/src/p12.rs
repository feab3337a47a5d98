//! Keys made by the service for those whose browser cannot: delivered as PKCS#12 (RFC 7292) and not kept.

use super::key::{FileKey, KeyKind, SigningError, SigningKey as _};
use super::public_key::{SubjectKey, WeakKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use p12_keystore::{EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain};
use sekisho_pki::certificate::Certificate;
use std::fmt;
use zeroize::Zeroizing;

/// Rounds of the key derivations. More protect nothing where the password is empty; where it is the 16-digit one, the
/// file goes over TLS to its owner and is imported at once.
const ITERATIONS: u32 = 10_000;

/// Rounds for readers of the older dialect, some of which take minutes for more.
const OLDER_ITERATIONS: u32 = 2_048;

/// Octets a password may have.
const MAX_PASSWORD_BYTES: usize = 128;

/// Characters a friendly name may have.
const MAX_FRIENDLY_NAME: usize = 64;

/// How the file is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// AES-256-CBC with PBKDF2-HMAC-SHA-256, and HMAC-SHA-256: OpenSSL 1.1+, NSS, Windows 10 1709+, macOS 15+.
    Aes256Sha256,
    /// pbeWithSHAAnd3-KeyTripleDES-CBC and HMAC-SHA-1: everything older.
    TripleDesSha1,
}

/// Kinds of key that the service makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveredKey {
    /// ECDSA on P-256.
    EcdsaP256,
    /// RSA of 2048 bits, for clients that import nothing else.
    Rsa2048,
}

/// A user's key that was made here. It is in memory until the file is made, which takes it, and is never stored.
pub struct UserKey {
    pkcs8: Zeroizing<Vec<u8>>,
    key: SubjectKey,
}

/// Why there is no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum P12Error {
    /// The certificate is another key's.
    OtherKey,
    /// The password is longer than 128 octets or has characters beyond the Basic Multilingual Plane.
    Password,
    /// The friendly name is empty, too long, or has control characters or ones beyond the Basic Multilingual Plane.
    FriendlyName,
    /// The encoder's word for it.
    Encoding(String),
}

impl UserKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`SigningError`] when there is no randomness to be had.
    pub fn generate(kind: DeliveredKey) -> Result<Self, SigningError> {
        let (pkcs8, info) = match kind {
            DeliveredKey::EcdsaP256 => ecdsa(),
            DeliveredKey::Rsa2048 => rsa_2048(),
        }?;
        let key = SubjectKey::from_info(&info).map_err(|_: WeakKey| SigningError)?;
        Ok(Self { pkcs8, key })
    }

    /// The public part, to be certified.
    pub const fn public_key(&self) -> &SubjectKey {
        &self.key
    }

    /// The file with key, certificate and the authorities above it. The key is gone afterwards.
    ///
    /// # Errors
    /// [`P12Error`].
    pub fn into_p12(
        self,
        certificate: &Certificate,
        authorities: &[&Certificate],
        dialect: Dialect,
        friendly_name: &str,
        password: &str,
    ) -> Result<Vec<u8>, P12Error> {
        if certificate.subject_public_key_info() != self.key.public_key_info() {
            return Err(P12Error::OtherKey);
        }
        let in_bmp = |text: &str| text.chars().all(|character| u32::from(character) <= 0xffff);
        if password.len() > MAX_PASSWORD_BYTES || !in_bmp(password) || password.contains('\0') {
            return Err(P12Error::Password);
        }
        let length = friendly_name.chars().count();
        let is_control = friendly_name.chars().any(char::is_control);
        if !(1..=MAX_FRIENDLY_NAME).contains(&length) || !in_bmp(friendly_name) || is_control {
            return Err(P12Error::FriendlyName);
        }
        let failed = |error: p12_keystore::error::Error| P12Error::Encoding(error.to_string());
        let key = PrivateKey::from_der(&self.pkcs8).map_err(failed)?;
        let chain = std::iter::once(certificate).chain(authorities.iter().copied());
        let chain: Vec<_> = chain
            .map(|one| p12_keystore::Certificate::from_der(one.der()))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let mut store = KeyStore::new();
        let entry = PrivateKeyChain::new(&self.key.identifier()[..], key, chain);
        store.add_entry(friendly_name, KeyStoreEntry::PrivateKeyChain(entry));
        let (encryption, mac, iterations) = match dialect {
            Dialect::Aes256Sha256 => {
                (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256, ITERATIONS)
            }
            Dialect::TripleDesSha1 => {
                (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1, OLDER_ITERATIONS)
            }
        };
        store
            .writer(password)
            .encryption_algorithm(encryption)
            .encryption_iterations(iterations)
            .mac_algorithm(mac)
            .mac_iterations(iterations)
            .write()
            .map_err(failed)
    }
}

type PrivateAndPublic = (Zeroizing<Vec<u8>>, Vec<u8>);

fn ecdsa() -> Result<PrivateAndPublic, SigningError> {
    let key = FileKey::generate(KeyKind::EcdsaP256)?;
    Ok((key.to_pkcs8()?, key.public_key_info().to_vec()))
}

fn rsa_2048() -> Result<PrivateAndPublic, SigningError> {
    let pair = rsa::KeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningError)?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SigningError)?;
    let info: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| SigningError)?;
    Ok((Zeroizing::new(pkcs8.as_ref().to_vec()), info.as_ref().to_vec()))
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey(…)")
    }
}

impl fmt::Display for P12Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey => f.write_str("the certificate is another key's"),
            Self::Password => f.write_str("the password is too long or has characters that PKCS#12 has not"),
            Self::FriendlyName => f.write_str("the friendly name is empty, too long or has unfit characters"),
            Self::Encoding(error) => write!(f, "the file cannot be made: {error}"),
        }
    }
}

impl std::error::Error for P12Error {}
