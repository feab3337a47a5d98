//! The certification authority: keys, certificates, revocation lists and OCSP answers, as bytes.
//!
//! In reading order: a key is made or read, an authority is built on it, a request is checked, a certificate is prepared
//! and signed, and its status is published. Everything that is signed is written with the DER writer in `der`, because
//! the to-be-signed octets must exist (and be recorded) before the signature, and a list of a million entries must not
//! be encoded anew for each revocation; certificate libraries offer neither.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod der;
mod oid;

pub mod key;
pub mod key_file;
pub mod name;
pub mod serial;
pub mod validity;

pub mod authority;
pub mod hierarchy;
pub mod public_key;
pub mod request;
mod rsa_modulus;

pub mod certificate;
pub mod p12;

pub mod crl;
pub mod ocsp;

pub mod download;

pub use authority::{Authority, AuthorityError, PublicationPoints};
pub use certificate::{PrepareError, Prepared};
pub use key::{FileKey, KeyKind, SigningError, SigningKey};
