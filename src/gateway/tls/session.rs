//! What the parts of one connection's handshake tell each other.

use crate::gateway::tls::handshake::FailureCause;
use crate::gateway::tls::tickets::TicketFacts;
use crate::gateway::tls::tls_version::{self, VersionWitness};
use crate::gateway::verify::{Decision, Refusal};
use std::sync::{Arc, OnceLock};

/// What verifier, ticketer, transport and the end of the handshake share.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Session {
    /// What the verifier made of the client's certificate, in a full handshake.
    pub(in crate::gateway) decision: OnceLock<Decision>,
    pub(in crate::gateway) facts: Arc<TicketFacts>,
    pub(in crate::gateway) version: Arc<VersionWitness>,
}

impl Session {
    /// The version of a handshake that failed. A client is refused after the version is agreed on, so that what was
    /// not TLS 1.3 was TLS 1.2; other failures may have come before.
    pub(in crate::gateway) fn failed_version(&self, cause: &FailureCause) -> Option<&'static str> {
        match (self.version.seen(), cause) {
            (None, FailureCause::Refused(_)) => Some(tls_version::TLS_1_2),
            (seen, _) => seen,
        }
    }

    /// The refusal that the verifier decided on.
    pub(in crate::gateway) fn refusal(&self) -> Option<Refusal> {
        match self.decision.get()? {
            Decision::Refused(refusal) => Some(refusal.clone()),
            Decision::Verified(_) | Decision::Pending(_) => None,
        }
    }

    /// Whether the handshake is over but for its tickets. Those of TLS 1.3 come after the client's Finished, with
    /// nothing before or beside them; in TLS 1.2 the ticket is part of a flight that the client waits for.
    pub(in crate::gateway) fn has_only_tickets_to_send(&self) -> bool {
        self.version.seen().is_some() && self.facts.is_sealed()
    }
}
