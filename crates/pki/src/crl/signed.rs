//! The three parts of a list, and who signed it: what can be told whatever stands in the signed part.

use super::{CrlError, DerError, SignatureError};
use crate::der::{Element, Reader, tag};
use crate::fingerprint::sha256;
use crate::signature;

/// A list whose signature can be verified.
#[derive(Clone, Copy, Debug)]
pub struct SignedList<'a> {
    parts: Parts<'a>,
    issuer: &'a [u8],
}

/// tbsCertList, signatureAlgorithm and signatureValue (RFC 5280 section 5.1.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    tbs: &'a [u8],
    algorithm: Element<'a>,
    signature: &'a [u8],
}

impl<'a> SignedList<'a> {
    /// The three parts, and a reader of the content of the first. Whatever is outside of it is not signed: where that is
    /// wrong, anybody could have made it so.
    pub(super) fn split(der: &'a [u8]) -> Result<(Parts<'a>, Reader<'a>), CrlError> {
        let mut outer = Reader::new(der);
        let mut list = outer.inside(tag::SEQUENCE, "CertificateList")?;
        outer.end("CertificateList")?;
        let tbs = list.element(tag::SEQUENCE, "tbsCertList")?;
        let algorithm = list.element(tag::SEQUENCE, "signatureAlgorithm")?;
        let signature = match list.element(tag::BIT_STRING, "signatureValue")?.content {
            // A signature has whole octets: no unused bits.
            [0, signature @ ..] => signature,
            _ => return Err(DerError::Value("signatureValue").into()),
        };
        list.end("CertificateList")?;
        Ok((Parts { tbs: tbs.whole, algorithm, signature }, Reader::new(tbs.content)))
    }

    /// The issuer's name: the DER of a whole Name SEQUENCE.
    pub const fn issuer_der(&self) -> &'a [u8] {
        self.issuer
    }

    /// Checks the signature over tbsCertList; calls `between` between the pieces of a list that takes long to hash.
    ///
    /// # Errors
    /// [`SignatureError`] when it is not this key's, or its algorithm is not one that is relied on (SHA-1 is not).
    pub fn verify_signature_in_pieces(&self, key_info: &[u8], between: &dyn Fn()) -> Result<(), SignatureError> {
        let Parts { tbs, algorithm, signature } = self.parts;
        signature::verify_in_pieces(key_info, algorithm.content, tbs, signature, between)
    }
}

impl<'a> Parts<'a> {
    /// The list of this issuer (a whole Name).
    pub(super) const fn of(self, issuer: &'a [u8]) -> SignedList<'a> {
        SignedList { parts: self, issuer }
    }

    /// SHA-256 of the signature value.
    pub(super) fn identity(&self) -> [u8; 32] {
        sha256(&[self.signature])
    }

    /// The AlgorithmIdentifier outside of the signed part.
    pub(super) const fn whole_algorithm(&self) -> &'a [u8] {
        self.algorithm.whole
    }
}
