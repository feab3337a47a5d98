//! Who calls, and what they have proven.
//!
//! A call comes from a service with a certificate of its own (the IB system, the bank's desk) or from a user through
//! the gateway, whose signed assertion says with which certificate they came. A header that nobody signed proves
//! nothing.

mod caller;
mod credentials;

pub use caller::{Caller, Right, Rights, ShownCertificate};
pub use credentials::{Checked, Credentials, CredentialsUnavailable, Factors};
