//! Questions (RFC 6960 section 4.1): one certificate each, unsigned, as RFC 5019 section 2.1.1 has it.

use super::{OCSP_NONCE, SHA1, more};
use crate::certificate::Certificate;
use crate::der::{DerError, Reader, tag};
use crate::serial::SerialNumber;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Octets of a nonce: the least that RFC 9654 section 2.1 lets a client send, and the most that older responders take.
pub const NONCE_OCTETS: usize = 32;

/// Octets of the DER of a SHA-1.
const HASH_OCTETS: usize = 20;

/// What a CA is named by in a CertID: SHA-1 of its name and of its key. Every responder knows it (RFC 5019 section
/// 2.1.1 requires it), and nothing rests on its strength: an answer is bound to the CA by the key it is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuerId {
    pub(super) name_hash: [u8; HASH_OCTETS],
    pub(super) key_hash: [u8; HASH_OCTETS],
}

/// A question about one certificate.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The CA that issued it.
    pub issuer: &'a IssuerId,
    /// Its serial number.
    pub serial: &'a SerialNumber,
    /// What a fresh answer repeats; without one an older answer may come, as long as it holds.
    pub nonce: Option<&'a [u8; NONCE_OCTETS]>,
}

impl IssuerId {
    /// Of a CA.
    ///
    /// # Errors
    /// [`DerError`] when its subjectPublicKeyInfo cannot be read.
    pub fn of(ca: &Certificate) -> Result<Self, DerError> {
        Ok(Self { name_hash: sha1(ca.subject().der()), key_hash: key_hash(ca.subject_public_key_info())? })
    }
}

impl Question<'_> {
    /// The DER OCSPRequest.
    pub fn der(&self) -> Vec<u8> {
        let request = element(tag::SEQUENCE, &[&self.certificate_id()]);
        let list = element(tag::SEQUENCE, &[&request]);
        let extensions = self.nonce.map_or_else(Vec::new, |nonce| {
            let value = element(tag::OCTET_STRING, &[&element(tag::OCTET_STRING, &[nonce])]);
            let extension = element(tag::SEQUENCE, &[&element(tag::OBJECT_IDENTIFIER, &[OCSP_NONCE]), &value]);
            element(more::CONTEXT_2, &[&element(tag::SEQUENCE, &[&extension])])
        });
        element(tag::SEQUENCE, &[&element(tag::SEQUENCE, &[&list, &extensions])])
    }

    /// The DER CertID.
    pub(super) fn certificate_id(&self) -> Vec<u8> {
        let algorithm = [element(tag::OBJECT_IDENTIFIER, &[SHA1]), element(more::NULL, &[])].concat();
        let fields = [
            element(tag::SEQUENCE, &[&algorithm]),
            element(tag::OCTET_STRING, &[&self.issuer.name_hash]),
            element(tag::OCTET_STRING, &[&self.issuer.key_hash]),
            element(tag::INTEGER, &[self.serial.as_bytes()]),
        ];
        element(tag::SEQUENCE, &[&fields.concat()])
    }
}

/// SHA-1 of the content of the BIT STRING in a subjectPublicKeyInfo (RFC 6960 section 4.1.1).
pub(super) fn key_hash(info: &[u8]) -> Result<[u8; HASH_OCTETS], DerError> {
    let what = "subjectPublicKeyInfo";
    let mut fields = Reader::new(info).inside(tag::SEQUENCE, what)?;
    fields.element(tag::SEQUENCE, what)?;
    match fields.element(tag::BIT_STRING, what)?.content {
        [0, key @ ..] => Ok(sha1(key)),
        _ => Err(DerError::Value(what)),
    }
}

fn sha1(octets: &[u8]) -> [u8; HASH_OCTETS] {
    let mut output = [0; HASH_OCTETS];
    output.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref());
    output
}

/// One element of DER. Nothing in a question is longer than 255 octets: a name and a key are hashed, a serial is short.
fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    let mut element = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    element.extend(content);
    element
}
