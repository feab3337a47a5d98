//! What one request gathers on its way.

use super::failure::Failure;
use super::places::RequestPlace;
use crate::gateway::base::request_id::RequestId;
use crate::gateway::live::connection::{Connection, Identified, InFlight};
use crate::gateway::request::authority::Host;
use crate::gateway::request::upstream::{Lease, Pool};
use crate::gateway::snapshot::site::Snapshot;
use pingora_core::protocols::l4::socket::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request's context.
pub(super) struct RequestContext {
    pub(super) request_id: RequestId,
    pub(super) began: Instant,
    pub(super) connection: Arc<Connection>,
    pub(super) snapshot: Arc<Snapshot>,
    /// Why it was refused, for the log.
    pub(super) refused: Option<(&'static str, String)>,
    /// What ended it.
    pub(super) failure: Option<Failure>,
    /// Set once the request is admitted: its host, who it is from, and what lets it pass.
    pub(super) host: Option<Host>,
    pub(super) client: Option<Arc<Identified>>,
    pub(super) lease: Option<Lease>,
    pub(super) tried: Vec<SocketAddr>,
    pub(super) upgraded: bool,
    pub(super) in_flight: Option<InFlight>,
    pub(super) place: Option<RequestPlace>,
}

/// A request that may go to its upstream.
pub(super) struct Admitted {
    pub(super) client: Arc<Identified>,
    pub(super) pool: Arc<Pool>,
    pub(super) timeout: Duration,
    /// How long it may finish its answer if its client's own certificate is revoked meanwhile.
    pub(super) finish: Option<Duration>,
    /// The one host it is for.
    pub(super) host: Host,
    /// The path as it came, without query.
    pub(super) path: String,
    /// The query as it came, without its `?`.
    pub(super) query: String,
    /// The origin-form of a target that came as absolute-form: an upstream is told the one host only.
    pub(super) rewritten: Option<String>,
}

impl RequestContext {
    pub(super) fn new(connection: Arc<Connection>, snapshot: Arc<Snapshot>) -> Self {
        Self {
            request_id: RequestId::generate(),
            began: Instant::now(),
            connection,
            snapshot,
            refused: None,
            failure: None,
            host: None,
            client: None,
            lease: None,
            tried: Vec::new(),
            upgraded: false,
            in_flight: None,
            place: None,
        }
    }

    /// When the whole request has to have ended, if it has to.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let limit = self.snapshot.config.limits.request_timeout;
        (!limit.is_zero()).then(|| self.began + limit)
    }
}
