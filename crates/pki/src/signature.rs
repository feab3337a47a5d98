//! Signatures that certification authorities make: of revocation lists and of the CA certificates below them.

use crate::der::{DerError, Reader, oid_text, tag};
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::{SignatureVerificationAlgorithm, alg_id};
use std::fmt;
use webpki::aws_lc_rs as algorithms;

/// Octets of a long message that are hashed at once: some tens of microseconds.
const PIECE: usize = 64 * 1024;

/// A signature algorithm.
struct Algorithm {
    whole: &'static dyn SignatureVerificationAlgorithm,
    /// The same by the message's digest, which can be made piece by piece. Ed25519 has none: it hashes a message twice.
    digested: Option<(&'static digest::Algorithm, &'static dyn VerificationAlgorithm)>,
}

/// What is relied on: SHA-256 and above, RSA of 2048 to 8192 bits, P-256, P-384, Ed25519. No SHA-1, no DSA.
static ACCEPTED: [Algorithm; 16] = [
    digested(algorithms::ECDSA_P256_SHA256, &SHA256, &ECDSA_P256_SHA256_ASN1),
    digested(algorithms::ECDSA_P384_SHA384, &SHA384, &ECDSA_P384_SHA384_ASN1),
    digested(algorithms::RSA_PKCS1_2048_8192_SHA256, &SHA256, &RSA_PKCS1_2048_8192_SHA256),
    digested(algorithms::RSA_PKCS1_2048_8192_SHA384, &SHA384, &RSA_PKCS1_2048_8192_SHA384),
    digested(algorithms::RSA_PKCS1_2048_8192_SHA512, &SHA512, &RSA_PKCS1_2048_8192_SHA512),
    // RFC 4055 section 5: an AlgorithmIdentifier without the NULL is to be accepted.
    digested(algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS, &SHA256, &RSA_PKCS1_2048_8192_SHA256),
    digested(algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS, &SHA384, &RSA_PKCS1_2048_8192_SHA384),
    digested(algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS, &SHA512, &RSA_PKCS1_2048_8192_SHA512),
    digested(algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY, &SHA256, &RSA_PSS_2048_8192_SHA256),
    digested(algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY, &SHA384, &RSA_PSS_2048_8192_SHA384),
    digested(algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY, &SHA512, &RSA_PSS_2048_8192_SHA512),
    Algorithm { whole: algorithms::ED25519, digested: None },
    digested(algorithms::ECDSA_P256_SHA384, &SHA384, &ECDSA_P256_SHA384_ASN1),
    digested(algorithms::ECDSA_P384_SHA256, &SHA256, &ECDSA_P384_SHA256_ASN1),
    digested(algorithms::ECDSA_P256_SHA512, &SHA512, &ECDSA_P256_SHA512_ASN1),
    digested(algorithms::ECDSA_P384_SHA512, &SHA512, &ECDSA_P384_SHA512_ASN1),
];

const fn digested(
    whole: &'static dyn SignatureVerificationAlgorithm,
    digest: &'static digest::Algorithm,
    by_digest: &'static dyn VerificationAlgorithm,
) -> Algorithm {
    Algorithm { whole, digested: Some((digest, by_digest)) }
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The certificate cannot be read.
    Malformed(DerError),
    /// The issuer's key cannot be read.
    Key(DerError),
    /// An algorithm that is not relied on, or one that does not go with the issuer's key; its identifier.
    Algorithm(String),
    /// The signature was not made with this key over these octets.
    Invalid,
}

/// Whether a certificate's signature is that of a key; `issuer_key` is a whole SubjectPublicKeyInfo.
///
/// # Errors
/// [`SignatureError`] when it is not, or when its algorithm is not relied on.
pub fn verify_certificate(certificate: &[u8], issuer_key: &[u8]) -> Result<(), SignatureError> {
    let read = || {
        let mut fields = Reader::new(certificate).inside(tag::SEQUENCE, "Certificate")?;
        let signed = fields.element(tag::SEQUENCE, "tbsCertificate")?.whole;
        let algorithm = fields.element(tag::SEQUENCE, "signatureAlgorithm")?.content;
        match fields.element(tag::BIT_STRING, "signatureValue")?.content {
            [0, signature @ ..] => Ok((signed, algorithm, signature)),
            _ => Err(DerError::Value("signatureValue")),
        }
    };
    let (signed, algorithm, signature) = read().map_err(SignatureError::Malformed)?;
    verify(issuer_key, algorithm, signed, signature)
}

/// Whether a signature over a message is that of a key; `key` is a whole SubjectPublicKeyInfo, `algorithm` the content of
/// an AlgorithmIdentifier. For what a key's owner signs to prove that it is theirs (PKCS#10).
///
/// # Errors
/// [`SignatureError`] when it is not, or when its algorithm is not relied on.
pub fn verify_message(key: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    verify(key, algorithm, message, signature)
}

/// `key` is a whole SubjectPublicKeyInfo, `algorithm` the content of an AlgorithmIdentifier.
pub(super) fn verify(key: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    verify_in_pieces(key, algorithm, message, signature, &|| ())
}

/// [`verify`], which calls `between` between the pieces of a message that takes long to hash.
pub(super) fn verify_in_pieces(
    key: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
    between: &dyn Fn(),
) -> Result<(), SignatureError> {
    let (key_algorithm, key) = public_key(key).map_err(SignatureError::Key)?;
    let Algorithm { whole, digested } = ACCEPTED
        .iter()
        .find(|accepted| {
            accepted.whole.signature_alg_id().as_ref() == algorithm
                && accepted.whole.public_key_alg_id().as_ref() == key_algorithm
        })
        .ok_or_else(|| SignatureError::Algorithm(algorithm_text(algorithm)))?;
    let Some((digest, by_digest)) = digested.filter(|_| message.len() > PIECE) else {
        return whole.verify_signature(key, message, signature).map_err(|_| SignatureError::Invalid);
    };
    // As webpki does: a point is compressed or not (RFC 5480 section 2.2). The library would take a whole
    // SubjectPublicKeyInfo in its place, too.
    let is_point = [alg_id::ECDSA_P256, alg_id::ECDSA_P384].contains(&whole.public_key_alg_id());
    if is_point && !matches!(key.first(), Some(2..=4)) {
        return Err(SignatureError::Invalid);
    }
    let mut context = digest::Context::new(digest);
    for piece in message.chunks(PIECE) {
        context.update(piece);
        between();
    }
    let key = UnparsedPublicKey::new(by_digest, key);
    key.verify_digest(&context.finish(), signature).map_err(|_| SignatureError::Invalid)
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
            Self::Malformed(error) => write!(f, "the certificate cannot be read: {error}"),
            Self::Key(error) => write!(f, "the issuer's public key cannot be read: {error}"),
            Self::Algorithm(oid) => {
                write!(f, "signature algorithm {oid} is not accepted, or not with the issuer's key")
            }
            Self::Invalid => f.write_str("the signature is not the issuer's"),
        }
    }
}

impl std::error::Error for SignatureError {}
