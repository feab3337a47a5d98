//! Private keys in files: PKCS#8 EncryptedPrivateKeyInfo (RFC 5958) under a passphrase, as `openssl pkey` reads it.
//!
//! PBES2 (RFC 8018) with PBKDF2-HMAC-SHA-256 and AES-256-CBC. A file that others than its owner can reach is refused:
//! the passphrase is often not far from it.

use super::der::{DerError, Reader, build, more, tag};
use super::key::FileKey;
use super::oid;
use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{pbkdf2, rand};
use base64::Engine as _;
use sekisho_runtime::process::secret_file::{self, SecretFileError};
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use zeroize::Zeroizing;

/// Rounds of PBKDF2 for new files: OWASP's figure of 2023 for HMAC-SHA-256; a fifth of a second.
pub const PBKDF2_ITERATIONS: u32 = 600_000;

/// Rounds a file must at least have: OpenSSL's 2,048 cost an attacker nothing.
pub const MIN_PBKDF2_ITERATIONS: u32 = 100_000;

/// Rounds a file may at most have, so that a file cannot stop the start: half a minute.
pub const MAX_PBKDF2_ITERATIONS: u32 = 100_000_000;

/// Octets of a key file that are read: a P-384 key's has 600.
pub const MAX_KEY_FILE_BYTES: u64 = 16_384;

/// Octets a passphrase must at least have: it protects the whole bank's client certificates.
pub const MIN_PASSPHRASE_BYTES: usize = 12;

/// Octets of a passphrase file that are read.
const MAX_PASSPHRASE_BYTES: u64 = 1_024;

const SALT_BYTES: usize = 16;
const IV_BYTES: usize = 16;
const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// A passphrase, cleared when dropped and never shown.
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// Why a key file or passphrase cannot be used. Its text is one line and has nothing of the secrets.
#[derive(Debug)]
pub enum KeyFileError {
    /// It cannot be read, or is open to others.
    File(SecretFileError),
    /// Not one PEM block `ENCRYPTED PRIVATE KEY`.
    NotEncryptedPem,
    /// Not the DER of an EncryptedPrivateKeyInfo.
    Der(DerError),
    /// Encrypted otherwise than with PBES2, PBKDF2-HMAC-SHA-256 and AES-256-CBC.
    Algorithm,
    /// PBKDF2 iterations outside [`MIN_PBKDF2_ITERATIONS`] to [`MAX_PBKDF2_ITERATIONS`].
    Iterations,
    /// The passphrase is another one, or the file is damaged: the two cannot be told apart.
    WrongPassphrase,
    /// The passphrase is shorter than [`MIN_PASSPHRASE_BYTES`].
    ShortPassphrase,
    /// The named environment variable is not set.
    NoVariable(String),
    /// The cryptographic library failed.
    Cryptography,
}

impl Passphrase {
    /// From octets; a line end at the end is not part of it.
    ///
    /// # Errors
    /// [`KeyFileError::ShortPassphrase`].
    pub fn new(octets: Vec<u8>) -> Result<Self, KeyFileError> {
        let mut octets = Zeroizing::new(octets);
        while matches!(octets.last(), Some(b'\n' | b'\r')) {
            octets.pop();
        }
        if octets.len() < MIN_PASSPHRASE_BYTES { Err(KeyFileError::ShortPassphrase) } else { Ok(Self(octets)) }
    }

    /// From a file with the same care as a key file.
    ///
    /// # Errors
    /// [`KeyFileError`] when it is missing, too open or too short.
    pub fn from_file(path: &Path) -> Result<Self, KeyFileError> {
        Self::new(secret_file::read(path, MAX_PASSPHRASE_BYTES).map_err(KeyFileError::File)?.to_vec())
    }

    /// From the environment variable of this name.
    ///
    /// # Errors
    /// [`KeyFileError::NoVariable`] or [`KeyFileError::ShortPassphrase`].
    pub fn from_variable(name: &str) -> Result<Self, KeyFileError> {
        match std::env::var(name) {
            Ok(value) => Self::new(value.into_bytes()),
            Err(_) => Err(KeyFileError::NoVariable(name.to_owned())),
        }
    }
}

/// Reads and decrypts the key in a file.
///
/// # Errors
/// [`KeyFileError`] says what is wrong with it.
pub fn load(path: &Path, passphrase: &Passphrase) -> Result<FileKey, KeyFileError> {
    let pem = secret_file::read(path, MAX_KEY_FILE_BYTES).map_err(KeyFileError::File)?;
    let pkcs8 = decrypt(&unwrap_pem(&pem)?, passphrase)?;
    // Wrong keys give right padding once in 256.
    FileKey::from_pkcs8(&pkcs8).map_err(|_| KeyFileError::WrongPassphrase)
}

/// The content of a key file: PEM.
///
/// # Errors
/// [`KeyFileError::Cryptography`] when there is no randomness.
pub fn to_pem(key: &FileKey, passphrase: &Passphrase) -> Result<String, KeyFileError> {
    let pkcs8 = key.to_pkcs8().map_err(|_| KeyFileError::Cryptography)?;
    let der = encrypt(&pkcs8, passphrase, PBKDF2_ITERATIONS)?;
    Ok(super::download::pem(LABEL, &der))
}

fn unwrap_pem(pem: &[u8]) -> Result<Vec<u8>, KeyFileError> {
    let text = std::str::from_utf8(pem).map_err(|_| KeyFileError::NotEncryptedPem)?;
    let begin = format!("-----BEGIN {LABEL}-----");
    let end = format!("-----END {LABEL}-----");
    let body = text.trim().strip_prefix(&begin).and_then(|rest| rest.strip_suffix(&end));
    let body: String = body.ok_or(KeyFileError::NotEncryptedPem)?.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).map_err(|_| KeyFileError::NotEncryptedPem)
}

fn encrypt(pkcs8: &[u8], passphrase: &Passphrase, iterations: u32) -> Result<Vec<u8>, KeyFileError> {
    let (mut salt, mut iv) = ([0; SALT_BYTES], [0; IV_BYTES]);
    rand::fill(&mut salt).and_then(|()| rand::fill(&mut iv)).map_err(|_| KeyFileError::Cryptography)?;
    let key = derive(passphrase, &salt, iterations)?;
    let key = UnboundCipherKey::new(&AES_256, key.as_slice()).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
    let mut text = Zeroizing::new(Vec::with_capacity(pkcs8.len() + IV_BYTES));
    text.extend_from_slice(pkcs8);
    key.and_then(|key| key.less_safe_encrypt(&mut *text, EncryptionContext::Iv128(FixedLength::from(iv))))
        .map_err(|_| KeyFileError::Cryptography)?;
    Ok(build(|w| {
        w.sequence(|info| {
            info.sequence(|algorithm| {
                algorithm.element(tag::OBJECT_IDENTIFIER, oid::PBES2);
                algorithm.sequence(|parameters| {
                    parameters.sequence(|derivation| {
                        derivation.element(tag::OBJECT_IDENTIFIER, oid::PBKDF2);
                        derivation.sequence(|parameters| {
                            parameters.element(tag::OCTET_STRING, &salt);
                            parameters.unsigned(&iterations.to_be_bytes());
                            parameters.sequence(|prf| {
                                prf.element(tag::OBJECT_IDENTIFIER, oid::HMAC_WITH_SHA256);
                                prf.element(more::NULL, &[]);
                            });
                        });
                    });
                    parameters.sequence(|cipher| {
                        cipher.element(tag::OBJECT_IDENTIFIER, oid::AES_256_CBC);
                        cipher.element(tag::OCTET_STRING, &iv);
                    });
                });
            });
            info.element(tag::OCTET_STRING, &text);
        });
    }))
}

/// What an EncryptedPrivateKeyInfo says.
struct Encrypted<'a> {
    salt: &'a [u8],
    iterations: u32,
    iv: [u8; IV_BYTES],
    text: &'a [u8],
}

fn decrypt(der: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let encrypted = Encrypted::parse(der)?;
    let key = derive(passphrase, encrypted.salt, encrypted.iterations)?;
    let key = UnboundCipherKey::new(&AES_256, key.as_slice())
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .map_err(|_| KeyFileError::Cryptography)?;
    let mut text = Zeroizing::new(encrypted.text.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(encrypted.iv));
    let plain = key.decrypt(&mut text, context).map_err(|_| KeyFileError::WrongPassphrase)?;
    Ok(Zeroizing::new(plain.to_vec()))
}

impl<'a> Encrypted<'a> {
    fn parse(der: &'a [u8]) -> Result<Self, KeyFileError> {
        let what = "EncryptedPrivateKeyInfo";
        let mut outer = Reader::new(der);
        let mut info = outer.inside(tag::SEQUENCE, what)?;
        outer.end(what)?;
        let mut algorithm = info.inside(tag::SEQUENCE, "encryptionAlgorithm")?;
        let text = info.element(tag::OCTET_STRING, "encryptedData")?.content;
        info.end(what)?;
        expect(&mut algorithm, oid::PBES2)?;
        let mut parameters = algorithm.inside(tag::SEQUENCE, "PBES2-params")?;
        let mut derivation = parameters.inside(tag::SEQUENCE, "keyDerivationFunc")?;
        expect(&mut derivation, oid::PBKDF2)?;
        let mut derivation = derivation.inside(tag::SEQUENCE, "PBKDF2-params")?;
        let salt = derivation.element(tag::OCTET_STRING, "salt")?.content;
        let iterations = derivation.element(tag::INTEGER, "iterationCount")?.content;
        // keyLength may stand there; AES-256 decides.
        derivation.optional(tag::INTEGER, "keyLength")?;
        // Without a function it is HMAC-SHA-1.
        expect(
            &mut derivation.inside(tag::SEQUENCE, "prf").map_err(|_| KeyFileError::Algorithm)?,
            oid::HMAC_WITH_SHA256,
        )?;
        let mut cipher = parameters.inside(tag::SEQUENCE, "encryptionScheme")?;
        expect(&mut cipher, oid::AES_256_CBC)?;
        let iv = cipher.element(tag::OCTET_STRING, "iv")?.content;
        let iv = iv.try_into().map_err(|_| DerError::Value("iv"))?;
        Ok(Self { salt, iterations: bounded(iterations)?, iv, text })
    }
}

fn expect(reader: &mut Reader<'_>, oid: &[u8]) -> Result<(), KeyFileError> {
    if reader.element(tag::OBJECT_IDENTIFIER, "algorithm")?.content == oid {
        Ok(())
    } else {
        Err(KeyFileError::Algorithm)
    }
}

fn bounded(content: &[u8]) -> Result<u32, KeyFileError> {
    // Five octets hold a sign octet and 32 bits; MAX_PBKDF2_ITERATIONS is below.
    if content.len() > 5 || content.first().is_some_and(|octet| octet & 0x80 != 0) {
        return Err(KeyFileError::Iterations);
    }
    let count = content.iter().fold(0_u64, |count, octet| (count << 8) | u64::from(*octet));
    u32::try_from(count)
        .ok()
        .filter(|count| (MIN_PBKDF2_ITERATIONS..=MAX_PBKDF2_ITERATIONS).contains(count))
        .ok_or(KeyFileError::Iterations)
}

fn derive(passphrase: &Passphrase, salt: &[u8], iterations: u32) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let rounds = NonZeroU32::new(iterations).ok_or(KeyFileError::Iterations)?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, &passphrase.0, key.as_mut());
    Ok(key)
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl From<DerError> for KeyFileError {
    fn from(error: DerError) -> Self {
        Self::Der(error)
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::NotEncryptedPem => write!(f, "it is not one PEM block {LABEL}"),
            Self::Der(error) => write!(f, "it is not an encrypted private key: {error}"),
            Self::Algorithm => f.write_str("it is not encrypted with PBES2, PBKDF2-HMAC-SHA-256 and AES-256-CBC"),
            Self::Iterations => {
                write!(f, "its PBKDF2 iterations are not {MIN_PBKDF2_ITERATIONS} to {MAX_PBKDF2_ITERATIONS}")
            }
            Self::WrongPassphrase => f.write_str("the passphrase is wrong or the file is damaged"),
            Self::ShortPassphrase => write!(f, "the passphrase has fewer than {MIN_PASSPHRASE_BYTES} octets"),
            Self::NoVariable(name) => write!(f, "the environment variable {name} is not set"),
            Self::Cryptography => f.write_str("the cryptographic library failed"),
        }
    }
}

impl std::error::Error for KeyFileError {}
