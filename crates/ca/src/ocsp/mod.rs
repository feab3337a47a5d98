//! The OCSP responder (RFC 6960, RFC 5019 for volume, RFC 9654 for the nonce) without its HTTP: octets in, octets out.

mod answer;
mod cache;
mod request;
mod responder;

pub use answer::{Answer, CertificateStatus, ResponseError};
pub use cache::AnswerCache;
pub use request::{
    CertificateId, HashAlgorithm, MAX_CERTIFICATES, MAX_REQUEST_BYTES, Nonce, OcspRequest, RequestError,
};
pub use responder::{Asked, Pending, Responder, ResponderError, Signer, StatusLookup, StatusUnavailable};
