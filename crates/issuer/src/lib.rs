//! The issuance service: contracts, users, certificates and their whole life.
//!
//! # The way of a request
//! ```text
//! request → authenticate → authorise (matrix) → lifecycle decide → one transaction(state + audit + outbox)
//!         → sign → complete → CRL / OCSP / feed / notice
//! ```
//! 1. **Authenticate** checks each factor and makes a [`sekisho_lifecycle::Proof`] of what was right. A wrong first factor is
//!    [`sekisho_lifecycle::Command::WrongFactor`] by the service, so that it is counted. What to ask for:
//!    [`sekisho_lifecycle::required_proofs`].
//! 2. **Read** the contract, the target user, the acting user and the address's counter in one serialisable
//!    transaction: the [`sekisho_lifecycle::Situation`]. An actor who acts on themselves is passed as the very same record.
//! 3. **Decide**: [`sekisho_lifecycle::decide`] asks the profile's matrix and the lifecycle's rules, with `now` as an argument.
//! 4. **Write** in that transaction, all of it or nothing: [`sekisho_lifecycle::Decision::contract`], `user` and `address`;
//!    its audit event, hash-chained; a revocation row for each [`sekisho_lifecycle::Effect::Revoke`]; an outbox row for each
//!    notice; the intent of [`sekisho_lifecycle::Effect::Sign`]. A [`sekisho_lifecycle::Denial`] writes its audit event, and of a
//!    stranger's acquisition one wrong try more of contract and address. A decision with a `refusal` is written too (tries were counted) and answered as a refusal.
//! 5. **Sign** the recorded intent, exactly as it stands. Then [`sekisho_lifecycle::Command::Complete`] in a second
//!    transaction, and only after its commit the certificate leaves the service. Whatever goes wrong between is
//!    [`sekisho_lifecycle::Command::Interrupt`], also for intents found at a start after a crash.
//! 6. **Publish** the revocation rows: feed first, then CRL and OCSP.
//!
//! # What the store must hold
//! A unique index over all serials (invariant 7); one row a user with [`sekisho_lifecycle::User`] in columns, so that the one
//! slot is one row; offers as keyed hashes only. The plain acquisition secret is never stored: derive it from a server
//! key, the user and the offer's number, so that [`sekisho_lifecycle::Showing::Repeat`] can show it again without keeping it.
//!
//! # What differs from bank to bank
//! [`sekisho_lifecycle::profile`]: one TOML file a product, in `config/profiles/`. No rule of one product is written in code.
//!
//! What is signed, and how its status is published: [`sekisho_ca`].
//!
//! *Invariant*: `issuer` and `gateway` never name each other. *Invariant*: `lifecycle` is pure.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod admin;
pub mod api;
pub mod audit;
pub mod authenticate;
pub mod authorities;
mod background;
mod buckets;
pub mod cli;
pub mod consistency;
mod counted;
pub mod feed;
mod files;
pub mod listen;
mod maintenance;
mod metrics;
pub mod outbox;
pub mod profiles;
pub mod publish;
pub mod reconcile;
mod run;
pub mod secret;
pub mod service;
pub mod store;

pub use maintenance::{accept_clock, init_store, reconcile_store};
pub use metrics::metric_declarations;
pub use run::{check, run};
