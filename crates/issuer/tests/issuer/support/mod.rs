//! A running issuer with everything around it: authorities, service certificates, a gateway's key, a store, people.
//!
//! [`Plan`] says what is wanted, [`Issuer`] is the process, [`Client`] speaks to it as somebody, [`Bank`] and [`Person`]
//! are who acts. Nothing here sleeps to synchronise or fixes a port.
#![allow(dead_code, unused_imports, reason = "each test uses a part")]

mod client;
mod gateway_key;
mod people;
mod pki;
mod plan;

pub use client::{Answer, Client, new_key};
pub use gateway_key::GatewayKey;
pub use people::{Bank, Held, NewKey, Person, SECRETS, openssl, staff};
pub use pki::{Pki, ServiceCertificate};
pub use plan::{Issuer, Plan};

/// Every profile that is shipped, and the authority that signs for it.
pub const PROFILES: [(&str, &str); 4] =
    [("bizstation", "biz"), ("anser-bizsol", "bsl"), ("shinkin", "shk"), ("hokugin", "hkg")];

/// The authority of a profile.
pub fn authority_of(profile: &str) -> &'static str {
    PROFILES.iter().find(|(known, _)| *known == profile).unwrap_or_else(|| panic!("no profile {profile}")).1
}
