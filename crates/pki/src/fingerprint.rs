//! SHA-256 names for certificates, chains and certification authorities.

use super::hex;
use aws_lc_rs::digest::{Context, SHA256, digest};
use std::fmt;

/// The SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// A certification authority as revocation sees it: its name **and** its key.
///
/// The SHA-256 over the contents of the subject SEQUENCE and of the subjectPublicKeyInfo SEQUENCE, each without its
/// tag and length (as webpki's `TrustAnchor` holds them), the subject's length first so that the two cannot run into
/// each other. A list is bound to this, so one name with two keys (a CA rollover) is two authorities.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityKey([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(sha256(&[certificate_der]))
    }

    /// From its 32 octets.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AuthorityKey {
    /// From the contents of the subject and subjectPublicKeyInfo SEQUENCEs.
    pub fn of(subject_content: &[u8], spki_content: &[u8]) -> Self {
        Self(sha256(&[&(subject_content.len() as u64).to_be_bytes(), subject_content, spki_content]))
    }

    /// From its 32 octets, as [`Self::as_bytes`] gave them (a session ticket carries them).
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// SHA-256 over the parts in a row.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut output = [0; 32];
    let hash = if let [part] = parts {
        digest(&SHA256, part)
    } else {
        let mut context = Context::new(&SHA256);
        parts.iter().for_each(|part| context.update(part));
        context.finish()
    };
    output.copy_from_slice(hash.as_ref());
    output
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl fmt::Debug for AuthorityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorityKey(")?;
        hex::write(&self.0[..8], f)?;
        f.write_str("…)")
    }
}
