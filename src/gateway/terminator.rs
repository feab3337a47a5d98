//! TLS termination without sockets, for benches: what a connection is handshaken with.

use super::Gateway;
use crate::gateway::run;
use crate::gateway::tls::handshake;
use rustls::{ServerConfig, ServerConnection};
use sekisho_config::{Config, ConfigError};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A gateway that listens nowhere.
#[derive(Debug)]
pub struct Terminator {
    gateway: Arc<Gateway>,
    /// Pools live on it.
    _runtime: Runtime,
}

impl Terminator {
    /// Builds one as a starting gateway does.
    ///
    /// # Errors
    /// Every error of the files the configuration names.
    pub fn new(config: Config) -> Result<Self, Vec<ConfigError>> {
        let (gateway, runtime) = run::build(config)?;
        Ok(Self { gateway, _runtime: runtime })
    }

    /// The configuration that a connection with this server name gets, made anew for each; none without a site.
    pub fn server_config(&self, server_name: Option<&str>) -> Option<Arc<ServerConfig>> {
        handshake::config_for(&self.gateway, server_name)
    }

    /// Whether the client of a finished handshake is verified, decided anew as after a resumption.
    pub fn stands(&self, server_name: Option<&str>, connection: &ServerConnection) -> bool {
        handshake::stands(&self.gateway, server_name, connection)
    }
}
