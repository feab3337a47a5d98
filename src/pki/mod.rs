//! Names, serials, certificates and revocation lists as bytes and facts. Pure: no clock, no files, no network.

pub mod certificate;
pub mod crl;
pub(crate) mod der;
pub mod es256;
pub mod fingerprint;
pub(crate) mod form;
pub(crate) mod hex;
pub mod name;
pub mod name_constraints;
pub mod ocsp;
pub mod pem;
pub mod points;
pub mod policies;
pub mod serial;
pub mod signature;
pub mod time;
