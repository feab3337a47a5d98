//! What one request gathers on its way.

use crate::gateway::admissions::Permit;
use crate::gateway::authority::Host;
use crate::gateway::connection::{Connection, Identified, InFlight};
use crate::gateway::refusal::Problem;
use crate::gateway::request_id::RequestId;
use crate::gateway::site::Snapshot;
use crate::gateway::upgrade::UpgradeAnswer;
use crate::gateway::upstream::{Lease, Pool};
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::{Error, ErrorType, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

tokio::task_local! {
    /// The connection that the current task's requests come from.
    pub(super) static CONNECTION: Arc<Connection>;
    /// What the current task's request may still do once its client has lost its right.
    pub(super) static PERMIT: Arc<Permit>;
}

/// A request's context.
pub(in crate::gateway) struct RequestContext {
    pub(super) request_id: RequestId,
    pub(super) began: Instant,
    /// Absent only if pingora called us outside a connection's task, which then gets nothing.
    pub(super) connection: Option<Arc<Connection>>,
    pub(super) snapshot: Arc<Snapshot>,
    /// Set once the request is admitted.
    pub(super) admitted: Option<Admitted>,
    /// Why it was refused, for the log.
    pub(super) refused: Option<(&'static str, String)>,
    /// What the client was told in place of an upstream's answer.
    pub(super) failure: Option<Problem>,
    /// Whether the upgrade it asks for, if any, was agreed to.
    pub(super) upgrade: Option<Arc<UpgradeAnswer>>,
    pub(super) lease: Option<Lease>,
    pub(super) tried: Vec<SocketAddr>,
    pub(super) request_octets: u64,
    pub(super) in_flight: Option<InFlight>,
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
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            request_id: RequestId::generate(),
            began: Instant::now(),
            connection: CONNECTION.try_with(Arc::clone).ok(),
            snapshot,
            admitted: None,
            refused: None,
            failure: None,
            upgrade: None,
            lease: None,
            tried: Vec::new(),
            request_octets: 0,
            in_flight: None,
        }
    }

    /// Says that the whole request is with its upstream.
    pub(super) fn sent(&mut self) {
        if let (Some(in_flight), Some(admitted)) = (&mut self.in_flight, &self.admitted) {
            in_flight.sent(admitted.finish);
        }
    }

    /// How long one step may take: as long as it may by itself, and not beyond the request's own time.
    pub(super) fn at_most(&self, step: Duration) -> Duration {
        match self.time_left() {
            // Zero would be no timeout to pingora.
            Some(left) => step.min(left).max(Duration::from_millis(1)),
            None => step,
        }
    }

    /// Fails when `request_timeout` has passed.
    pub(super) fn check_deadline(&self) -> Result<()> {
        match self.time_left() {
            Some(Duration::ZERO) => Error::e_explain(ErrorType::ReadTimedout, "request_timeout"),
            _ => Ok(()),
        }
    }

    fn time_left(&self) -> Option<Duration> {
        let limit = self.snapshot.config.limits.request_timeout;
        (!limit.is_zero()).then(|| limit.saturating_sub(self.began.elapsed()))
    }
}
