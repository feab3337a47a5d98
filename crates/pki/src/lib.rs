//! Names, serials, certificates and revocation lists as bytes and facts. Pure: no clock, no files, no network.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod certificate;
pub mod crl;
pub mod der;
pub mod es256;
pub mod fingerprint;
pub mod form;
pub mod hex;
pub mod name;
pub mod name_constraints;
pub mod ocsp;
pub mod pem;
pub mod points;
pub mod policies;
pub mod serial;
pub mod signature;
pub mod time;
