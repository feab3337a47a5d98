//! The key that signs messages: ES256 (RFC 7518 section 3.4) in a compact JWS (RFC 7515 section 7.1).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::pem;
use sekisho_runtime::process::secret_file::{self, SecretFileError};
use std::fmt;
use std::path::Path;

/// Octets of the key's file that are read.
const MOST_FILE_BYTES: u64 = 16 * 1_024;

/// Octets of an uncompressed point of P-256 (SEC 1 section 2.3.3).
const POINT: usize = 65;

/// Signs messages.
pub struct FeedKey {
    pair: EcdsaKeyPair,
    id: String,
    /// The JWS's header, encoded: the same for each.
    header: String,
}

/// Why there is no key. One line, nothing of the key.
#[derive(Debug)]
pub enum FeedKeyError {
    /// It cannot be read, or is open to others.
    File(SecretFileError),
    /// It is not one private key in PEM.
    Pem(String),
    /// It is of another kind.
    NotP256,
}

impl FeedKey {
    /// From its file.
    ///
    /// # Errors
    /// [`FeedKeyError`].
    pub fn load(path: &Path) -> Result<Self, FeedKeyError> {
        Self::from_pem(&secret_file::read(path, MOST_FILE_BYTES).map_err(FeedKeyError::File)?)
    }

    /// From PEM, PKCS#8 or SEC 1.
    ///
    /// # Errors
    /// [`FeedKeyError::Pem`], [`FeedKeyError::NotP256`].
    pub fn from_pem(text: &[u8]) -> Result<Self, FeedKeyError> {
        let der = pem::private_key(text).map_err(|error| FeedKeyError::Pem(error.message))?;
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der());
        let pair = pair.map_err(|_| FeedKeyError::NotP256)?;
        let id = thumbprint(pair.public_key().as_ref()).ok_or(FeedKeyError::NotP256)?;
        let header =
            BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","typ":"sekisho-feed+jwt","kid":"{id}"}}"#));
        Ok(Self { pair, id, header })
    }

    /// The `kid`: the key's thumbprint (RFC 7638).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A payload, signed. `None` without randomness: then nothing can be said.
    pub(super) fn sign(&self, payload: &[u8]) -> Option<String> {
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 96);
        token.push_str(&self.header);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }
}

/// RFC 7638 section 3: SHA-256 of the required members in lexicographic order, without spaces.
fn thumbprint(point: &[u8]) -> Option<String> {
    let point: &[u8; POINT] = point.try_into().ok()?;
    let (x, y) = point[1..].split_at(32);
    let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Some(BASE64_URL_SAFE_NO_PAD.encode(sha256(&[members.as_bytes()])))
}

/// Without the private key.
impl fmt::Debug for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedKey({})", self.id)
    }
}

impl fmt::Display for FeedKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Pem(error) => f.write_str(error),
            Self::NotP256 => f.write_str("not a P-256 private key"),
        }
    }
}

impl std::error::Error for FeedKeyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_7638() {
        // The key of RFC 7515 appendix A.3 in SEC 1; its thumbprint by
        // `printf … | openssl dgst -sha256 -binary | basenc --base64url`.
        let d = BASE64_URL_SAFE_NO_PAD.decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI").unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap();
        let y = BASE64_URL_SAFE_NO_PAD.decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap();
        let oid = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let sec1 =
            [&[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20][..], &d, &oid, &[0xa1, 0x44, 0x03, 0x42, 0x00, 0x04], &x, &y]
                .concat();
        let body = BASE64_STANDARD.encode(sec1);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let text = format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", lines.join("\n"));
        assert_eq!(FeedKey::from_pem(text.as_bytes()).unwrap().id(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    }

    #[test]
    fn what_is_no_p256_key_is_refused() {
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(FeedKey::from_pem(text.as_bytes()).is_err(), "{text}");
        }
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        assert!(matches!(FeedKey::from_pem(p384.as_bytes()), Err(FeedKeyError::NotP256)));
    }
}
