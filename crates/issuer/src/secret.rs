//! The service's secret, and what is derived from it.
//!
//! One file of 32 random octets, the same on every node. Each use has a key of its own (HKDF-SHA-256, RFC 5869), so that
//! none helps against another. Losing it makes open offers and one-time password seeds useless and the audit chain
//! unverifiable; it never protects a certification authority's key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sekisho_lifecycle::{SecretDigest, UserKey};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::process::secret_file::{self, SecretFileError};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// Octets the secret must at least have.
const LEAST_BYTES: usize = 32;

/// Octets of its file that are read.
const MOST_FILE_BYTES: u64 = 4_096;

/// Keys for every use of the secret.
pub struct ServiceSecret {
    acquisition: hmac::Key,
    digest: hmac::Key,
    audit: hmac::Key,
    request: hmac::Key,
    seeds: RandomizedNonceKey,
}

/// Why the secret cannot be used. One line, nothing of the secret.
#[derive(Debug)]
pub enum SecretError {
    /// It cannot be read, is open to others, or is no secret.
    File(SecretFileError),
    /// Not base64 of at least 32 octets.
    NotASecret,
    /// The octets are not random: one or few of them come again and again.
    NotRandom,
}

/// Its octets.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let text = secret_file::read(path, MOST_FILE_BYTES).map_err(SecretError::File)?;
    Ok(Zeroizing::new(BASE64_STANDARD.decode(text.trim_ascii()).map_err(|_| SecretError::NotASecret)?))
}

/// Different octets that 32 random ones have at least: they have fewer once in 10^14 files.
const LEAST_DIFFERENT: usize = 17;

/// Returns `false` for what nobody drew: zeros, a password repeated, a placeholder.
fn looks_random(octets: &[u8]) -> bool {
    let different: std::collections::BTreeSet<u8> = octets.iter().copied().collect();
    octets.len() < LEAST_BYTES || different.len() >= LEAST_DIFFERENT
}

/// What was sealed cannot be opened: another secret sealed it, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSealedHere;

impl ServiceSecret {
    /// From its file, for an issuer: only if it looks drawn by chance.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn load_random(path: &Path) -> Result<Self, SecretError> {
        let octets = read(path)?;
        if looks_random(&octets) { Self::new(&octets) } else { Err(SecretError::NotRandom) }
    }

    /// From its file, whatever it is: an audit log of an earlier release can be verified.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        Self::new(&read(path)?)
    }

    /// From its octets.
    ///
    /// # Errors
    /// [`SecretError::NotASecret`] when there are fewer than 32.
    pub fn new(octets: &[u8]) -> Result<Self, SecretError> {
        if octets.len() < LEAST_BYTES {
            return Err(SecretError::NotASecret);
        }
        let derive = |purpose: &str| derive(octets, purpose).ok_or(SecretError::NotASecret);
        let mac = |purpose: &str| derive(purpose).map(|key| hmac::Key::new(hmac::HMAC_SHA256, &*key));
        Ok(Self {
            acquisition: mac("sekisho acquisition secret")?,
            digest: mac("sekisho acquisition secret digest")?,
            audit: mac("sekisho audit chain")?,
            request: mac("sekisho request digest")?,
            seeds: RandomizedNonceKey::new(&AES_256_GCM, &*derive("sekisho one-time password seeds")?)
                .map_err(|_| SecretError::NotASecret)?,
        })
    }

    /// The acquisition secret of a user's offer of that number, made at that time: `digits` decimal digits. The same offer has
    /// the same one, so that it need not be kept to be shown again; another of the same number, after a store was restored
    /// from a backup, has another.
    pub fn acquisition_secret(
        &self,
        user: &UserKey,
        (offer, made_at): (u32, Timestamp),
        digits: u8,
    ) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(usize::from(digits)));
        let mut counter = 0_u32;
        while text.len() < usize::from(digits) {
            let made_at = made_at.unix().to_be_bytes();
            let parts: [&[u8]; 4] = [&named(user), &offer.to_be_bytes(), &made_at, &counter.to_be_bytes()];
            let tag = tag(&self.acquisition, &parts);
            // Octets below 250 are ten digits alike; the others would favour the low ones.
            for octet in tag.as_ref().iter().filter(|octet| **octet < 250) {
                if text.len() < usize::from(digits) {
                    text.push(char::from(b'0' + octet % 10));
                }
            }
            counter = counter.wrapping_add(1);
        }
        text
    }

    /// What is kept of an acquisition secret, and what a typed one is compared by.
    pub fn secret_digest(&self, user: &UserKey, secret: &str) -> SecretDigest {
        let mut digest = [0; 32];
        digest.copy_from_slice(tag(&self.digest, &[&named(user), secret.as_bytes()]).as_ref());
        SecretDigest(digest)
    }

    /// What is kept of a request to know its repeat by: the digest of its body alone could be searched for the passwords
    /// in it.
    pub fn request_digest(&self, digest: &[u8; 32]) -> [u8; 32] {
        let mut keyed = [0; 32];
        keyed.copy_from_slice(tag(&self.request, &[digest]).as_ref());
        keyed
    }

    /// The hash of a record of the audit log: over the one before it, its number and its text.
    pub fn chain(&self, before: &[u8; 32], sequence: u64, text: &str) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(tag(&self.audit, &[before, &sequence.to_be_bytes(), text.as_bytes()]).as_ref());
        hash
    }

    /// Encrypts what is kept of a user, bound to whose it is: `nonce ‖ ciphertext ‖ tag` in base64.
    ///
    /// # Errors
    /// [`NotSealedHere`] when the cryptographic library fails.
    pub fn seal(&self, of: &str, plain: &[u8]) -> Result<String, NotSealedHere> {
        let mut sealed = plain.to_vec();
        let nonce = self.seeds.seal_in_place_append_tag(Aad::from(of), &mut sealed).map_err(|_| NotSealedHere)?;
        Ok(BASE64_STANDARD.encode([&nonce.as_ref()[..], &sealed].concat()))
    }

    /// Decrypts it.
    ///
    /// # Errors
    /// [`NotSealedHere`].
    pub fn open(&self, of: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, NotSealedHere> {
        let mut sealed = Zeroizing::new(BASE64_STANDARD.decode(sealed).map_err(|_| NotSealedHere)?);
        let (nonce, content) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(NotSealedHere)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotSealedHere)?;
        let plain = self.seeds.open_in_place(nonce, Aad::from(of), content).map_err(|_| NotSealedHere)?;
        Ok(Zeroizing::new(plain.to_vec()))
    }
}

/// Parts with their lengths before them, so that they cannot run into each other.
fn tag(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign()
}

/// IDs have no control characters.
fn named(user: &UserKey) -> Vec<u8> {
    format!("{}\n{}", user.contract, user.user).into_bytes()
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

fn derive(octets: &[u8], purpose: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let prk = Salt::new(HKDF_SHA256, b"sekisho issuer").extract(octets);
    prk.expand(&[purpose.as_bytes()], Length32).ok()?.fill(&mut *key).ok()?;
    Some(key)
}

impl fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceSecret(…)")
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::NotRandom => f.write_str(
                "its octets are not random: a few come again and again; make one with: openssl rand -base64 32",
            ),
            Self::NotASecret => {
                write!(f, "not base64 of {LEAST_BYTES} octets or more; make one with: openssl rand -base64 32")
            }
        }
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_lifecycle::{ContractId, UserId};

    fn user(id: &str) -> UserKey {
        UserKey { contract: ContractId::new("C1").unwrap(), user: UserId::new(id).unwrap() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix(1_795_311_060 + second)
    }

    #[test]
    fn a_secret_that_nobody_drew_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let load = |octets: &[u8]| {
            use std::io::Write as _;
            use std::os::unix::fs::OpenOptionsExt as _;
            let path = folder.path().join("secret");
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
            file.write_all(BASE64_STANDARD.encode(octets).as_bytes()).unwrap();
            ServiceSecret::load_random(&path)
        };
        for octets in [[0; 32], [0xff; 32], *b"passwordpasswordpasswordpassword"] {
            assert!(matches!(load(&octets), Err(SecretError::NotRandom)), "{octets:?}");
        }
        assert!(matches!(load(&[0; 31]), Err(SecretError::NotASecret)));
        for _ in 0..100 {
            let mut random = [0; 32];
            aws_lc_rs::rand::fill(&mut random).unwrap();
            assert!(load(&random).is_ok(), "{random:?}");
        }
    }

    #[test]
    fn each_offer_has_its_own_secret_and_the_same_again() {
        let secret = ServiceSecret::new(&[7; 32]).unwrap();
        let first = secret.acquisition_secret(&user("u1"), (1, at(1)), 16);
        assert_eq!(first.len(), 16);
        assert!(first.bytes().all(|octet| octet.is_ascii_digit()));
        assert_eq!(first, secret.acquisition_secret(&user("u1"), (1, at(1)), 16));
        for other in [
            secret.acquisition_secret(&user("u1"), (2, at(1)), 16),
            // The same number again, in a store that was restored.
            secret.acquisition_secret(&user("u1"), (1, at(2)), 16),
            secret.acquisition_secret(&user("u2"), (1, at(1)), 16),
            ServiceSecret::new(&[8; 32]).unwrap().acquisition_secret(&user("u1"), (1, at(1)), 16),
        ] {
            assert_ne!(first, other);
        }
        assert_ne!(secret.secret_digest(&user("u1"), &first), secret.secret_digest(&user("u2"), &first));
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner_only() {
        let secret = ServiceSecret::new(&[7; 32]).unwrap();
        let sealed = secret.seal("u1", b"seed").unwrap();
        assert_eq!(&**secret.open("u1", &sealed).unwrap(), b"seed");
        assert_eq!(secret.open("u2", &sealed), Err(NotSealedHere));
        assert_eq!(ServiceSecret::new(&[8; 32]).unwrap().open("u1", &sealed), Err(NotSealedHere));
        assert_eq!(secret.open("u1", "AAAA"), Err(NotSealedHere));
        assert_ne!(sealed, secret.seal("u1", b"seed").unwrap(), "a nonce came twice");
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(matches!(ServiceSecret::new(&[7; 31]), Err(SecretError::NotASecret)));
    }
}
