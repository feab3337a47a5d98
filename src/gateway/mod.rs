//! The gateway's folders stand in the order a connection takes them, and each imports only what stands before it
//! (`tests/dependency_rule.rs`):
//!
//! `verify` decides on a certificate chain · `base` · `request` · `metrics` · `snapshot` is what is in force · `tls` makes a
//! connection · `live` holds all of them · `revocation` · `control` reloads · `proxy` takes each request through · `admin` ·
//! `run` binds, accepts and drains.

pub mod verify;

pub mod base;

pub mod request;

mod metrics;

mod snapshot;

mod tls;

mod live;

mod revocation;

mod control;

mod proxy;

mod admin;

mod run;
mod terminator;

pub use base::suites::crypto_provider;
pub use control::recalled::{RecalledTrust, recalled_trust};
pub use metrics::metric_declarations;
pub use terminator::Terminator;

use arc_swap::ArcSwap;
use base::{descriptors, limits};
use control::reload;
use live::{publish, registry};
use revocation::{blocks, feed, last_in_force, outstanding, settle, sources, withdrawn};
use rustls::crypto::CryptoProvider;
use sekisho_config::{Config, ConfigError};
use sekisho_runtime::process;
use sekisho_runtime::telemetry::log::RecordLog;
use sekisho_trust::sources::Fetcher;
use sekisho_trust::{self as trust, Alarm};
use snapshot::site::Snapshot;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tls::tickets;
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
    run::run(config, config_path)
}

/// Compiles a configuration and everything it names without serving: what `sekisho check` does. Gives what an operator
/// should know of although it would serve.
///
/// # Errors
/// Every error of the files the configuration names.
pub fn check(config: Config) -> Result<Vec<Alarm>, Vec<ConfigError>> {
    reload::check(config)
}
