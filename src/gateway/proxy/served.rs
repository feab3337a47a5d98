//! A client's connection as its requests share it.

use super::own::OwnConnections;
use crate::gateway::live::connection::Connection;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A connection that is served.
pub(super) struct Served {
    pub(super) connection: Arc<Connection>,
    /// A permit for each upstream connection that may be in the making at once.
    pub(super) opening: Arc<Semaphore>,
    /// Upstream connections that no other client's requests use.
    pub(super) own: OwnConnections,
}
