//! The issuer's configuration file.

mod types;

pub use types::*;
