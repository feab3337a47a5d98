//! The hot path, in the order a connection takes it.
//!
//! `listener` accepts and limits, `handshake` finds the site and runs TLS with `verify`, `connection` holds who it is,
//! `proxy` takes each request through `access`, `headers` and `upstream`. `reload` publishes new snapshots, which
//! `registry` carries to every live connection.

mod admin;
mod admissions;
mod alert;
mod answers;
mod blocks;
mod cause;
mod client;
mod client_signature;
mod connection;
mod cut;
mod descriptors;
mod feed;
mod fetch;
mod frames;
mod handshake;
mod key_material;
mod last_in_force;
mod limits;
mod linger;
mod listener;
mod metrics;
mod outstanding;
mod proxy;
mod publish;
mod recalled;
mod records;
mod registry;
mod reload;
mod session;
mod settle;
mod site;
mod sources;
mod stream;
mod suites;
mod tcp;
mod terminator;
mod tickets;
mod tls_version;
mod upstream;
mod watch;
mod withdrawn;

pub mod access;
pub mod assertion;
pub mod authority;
pub mod headers;
pub mod identity;
pub mod refusal;
pub mod request_id;
pub mod verify;

pub use recalled::{RecalledTrust, recalled_trust};
pub use suites::crypto_provider;
pub use terminator::Terminator;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use sekisho_config::{Config, ConfigError};
use sekisho_runtime::process;
use sekisho_runtime::telemetry::log::RecordLog;
use sekisho_trust::sources::Fetcher;
use sekisho_trust::{self as trust, Alarm};
use site::Snapshot;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use verify::ChainCache;

/// What all connections of a gateway share.
struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    provider: Arc<CryptoProvider>,
    tickets: Arc<tickets::TicketKeys>,
    chain_cache: ChainCache,
    admission: Arc<limits::Admission>,
    registry: Arc<registry::Registry>,
    publishing: publish::Publishing,
    feed: feed::Feed,
    loads: publish::Loads,
    withdrawn: withdrawn::KeptWithdrawn,
    last_in_force: last_in_force::KeptInForce,
    fetcher: Fetcher,
    questions: settle::Questions,
    alarms: sources::LastAlarms,
    descriptors: descriptors::Descriptors,
    outstanding: outstanding::Outstanding,
    blocks: blocks::Blocks,
    metrics: metrics::Metrics,
    records: RecordLog,
}

impl Gateway {
    /// The snapshot in force.
    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gateway")
    }
}

/// Runs a gateway until it is told to stop (SIGTERM, SIGINT) and has drained.
///
/// # Errors
/// Every error of the configuration and of the files it names, at start; the gateway then has served nobody.
pub fn run(config: Config, config_path: &Path) -> Result<(), Vec<ConfigError>> {
    process::keep_secrets_in_memory();
    trust::usual_pages();
    listener::run(config, config_path)
}

/// Compiles a configuration and everything it names without serving: what `sekisho check` does. Gives what an operator
/// should know of although it would serve.
///
/// # Errors
/// Every error of the files the configuration names.
pub fn check(config: Config) -> Result<Vec<Alarm>, Vec<ConfigError>> {
    reload::check(config)
}
