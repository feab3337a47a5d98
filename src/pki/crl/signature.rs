//! Signatures of revocation lists, with the algorithms that certificates may be signed with too.

use crate::pki::der::{DerError, Reader, oid_text, tag};
use rustls::pki_types::SignatureVerificationAlgorithm;
use std::fmt;
use webpki::aws_lc_rs as algorithms;

/// What is relied on: SHA-256 and above, RSA of 2048 to 8192 bits, P-256, P-384, Ed25519. No SHA-1, no DSA.
static ACCEPTED: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ED25519,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA512,
];

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The issuer's key cannot be read.
    Key(DerError),
    /// An algorithm that is not relied on, or one that does not go with the issuer's key; its identifier.
    Algorithm(String),
    /// The signature was not made with this key over these octets.
    Invalid,
}

/// `key` is a whole SubjectPublicKeyInfo, `algorithm` the content of an AlgorithmIdentifier.
pub(super) fn verify(key: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let (key_algorithm, key) = public_key(key).map_err(SignatureError::Key)?;
    let verifier = ACCEPTED
        .iter()
        .find(|accepted| {
            accepted.signature_alg_id().as_ref() == algorithm && accepted.public_key_alg_id().as_ref() == key_algorithm
        })
        .ok_or_else(|| SignatureError::Algorithm(algorithm_text(algorithm)))?;
    verifier.verify_signature(key, message, signature).map_err(|_| SignatureError::Invalid)
}

/// The content of the AlgorithmIdentifier and the key's octets.
fn public_key(info: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    let what = "subjectPublicKeyInfo";
    let mut outer = Reader::new(info);
    let mut fields = outer.inside(tag::SEQUENCE, what)?;
    outer.end(what)?;
    let algorithm = fields.element(tag::SEQUENCE, what)?.content;
    let key = fields.element(tag::BIT_STRING, what)?.content;
    fields.end(what)?;
    match key {
        [0, key @ ..] => Ok((algorithm, key)),
        _ => Err(DerError::Value(what)),
    }
}

fn algorithm_text(algorithm: &[u8]) -> String {
    match Reader::new(algorithm).element(tag::OBJECT_IDENTIFIER, "algorithm") {
        Ok(identifier) => oid_text(identifier.content),
        Err(_) => "?".to_owned(),
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(f, "the issuer's public key cannot be read: {error}"),
            Self::Algorithm(oid) => write!(f, "signature algorithm {oid} is not accepted, or not with the issuer's key"),
            Self::Invalid => f.write_str("the signature is not the issuer's"),
        }
    }
}

impl std::error::Error for SignatureError {}
