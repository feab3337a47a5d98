//! Who calls, and what they have proven.
//!
//! A call comes from a service with a certificate of its own (the IB system, the bank's desk) or from a user through
//! the gateway, whose signed assertion says with which certificate they came. A header that nobody signed proves
//! nothing.

mod assertion;
mod authenticator;
mod built_in;
mod caller;
mod credentials;
mod delegated;
mod host;
mod key_set;
mod keys;
mod one_time_password;
mod outbound;
mod password;

pub use assertion::AssertionError;
pub use authenticator::{Authenticator, NotAuthenticated, Why};
pub use built_in::{BuiltIn, CannotKeep};
pub use caller::{Caller, Right, Rights, ShownCertificate};
pub use credentials::{Checked, Credentials, CredentialsUnavailable, Factors};
pub use delegated::Delegated;
pub use password::PasswordCost;
