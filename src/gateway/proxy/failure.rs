//! Why a request ended before its time, and what that is to the client.

use crate::gateway::base::limits::Limit;
use crate::gateway::metrics::UpstreamError;
use crate::gateway::request::refusal::Problem;
use pingora_core::{Error, ErrorType};
use std::fmt;
use std::io;

/// What ends a request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// For the log.
    evidence: String,
}

/// Whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The client went away, reset the stream, or was cut: there is nobody to tell.
    ClientGone,
    /// The client does not move, or too slowly, by the limit of that name.
    ClientSlow(Limit),
    /// The client's message is none.
    ClientBad,
    /// The request's body is over its limit.
    BodyTooLarge,
    /// There is no room for what the gateway has to set.
    HeadersTooLarge,
    /// A limit of that name leaves no room now.
    Busy(Limit),
    /// No peer may be asked.
    NoPeer,
    /// No connection to a peer.
    Connect {
        slow: bool,
    },
    /// The upstream does not answer in time.
    UpstreamSlow,
    /// The upstream does not answer as it should. `unused`: a kept connection that ended before any answer, as one may
    /// that its peer closes just when it is taken up.
    UpstreamBroken {
        unused: bool,
    },
    /// `request_timeout` has passed, while the client was `sending` or not.
    Deadline {
        sending: bool,
    },
    Internal,
}

impl Failure {
    pub(super) fn new(cause: Cause, evidence: impl Into<String>) -> Self {
        Self { cause, evidence: evidence.into() }
    }

    pub(super) fn gone(evidence: impl fmt::Display) -> Self {
        Self::new(Cause::ClientGone, format!("the client: {evidence}"))
    }

    /// Of what came from the client.
    pub(super) fn of_client(error: &Error) -> Self {
        let cause = match error.etype() {
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed => Cause::ClientGone,
            _ => Cause::ClientBad,
        };
        Self::new(cause, error.to_string())
    }

    /// Of a connection to a peer.
    pub(super) fn of_connecting(error: &Error) -> Self {
        Self::new(Cause::Connect { slow: is_timeout(error) }, error.to_string())
    }

    /// Of what passed between an upstream and us.
    pub(super) fn of_upstream(error: &Error, unused: bool) -> Self {
        let cause = if is_timeout(error) { Cause::UpstreamSlow } else { Cause::UpstreamBroken { unused } };
        Self::new(cause, error.to_string())
    }

    /// The same, with the peer it happened with.
    pub(super) fn at(self, peer: impl fmt::Display) -> Self {
        match self.upstream_kind() {
            Some(_) => Self { evidence: format!("peer {peer}: {}", self.evidence), ..self },
            None => self,
        }
    }

    pub(super) fn broken(evidence: impl Into<String>) -> Self {
        Self::new(Cause::UpstreamBroken { unused: false }, evidence)
    }

    /// What the client is told, if it is there.
    pub(super) fn problem(&self) -> Option<Problem> {
        Some(match self.cause {
            Cause::ClientGone => return None,
            Cause::ClientSlow(_) | Cause::Deadline { sending: true } => Problem::RequestTimeout,
            Cause::ClientBad => Problem::BadRequest,
            Cause::BodyTooLarge => Problem::ContentTooLarge,
            Cause::HeadersTooLarge => Problem::HeaderFieldsTooLarge,
            Cause::Busy(_) | Cause::NoPeer => Problem::ServiceUnavailable,
            Cause::Connect { slow: true } | Cause::UpstreamSlow | Cause::Deadline { sending: false } => {
                Problem::GatewayTimeout
            }
            Cause::Connect { slow: false } | Cause::UpstreamBroken { .. } => Problem::BadGateway,
            Cause::Internal => Problem::Internal,
        })
    }

    /// The limit it met, if one: for the counter and the record.
    pub(super) fn limit(&self) -> Option<Limit> {
        match self.cause {
            Cause::ClientSlow(limit) | Cause::Busy(limit) => Some(limit),
            Cause::BodyTooLarge => Some(Limit::RequestBodyBytes),
            Cause::Deadline { .. } => Some(Limit::RequestTimeout),
            _ => None,
        }
    }

    /// Under which kind the upstream's failures count it.
    pub(super) fn upstream_kind(&self) -> Option<UpstreamError> {
        match self.cause {
            Cause::NoPeer => Some(UpstreamError::NoPeer),
            Cause::Connect { .. } => Some(UpstreamError::Connect),
            Cause::UpstreamSlow => Some(UpstreamError::Timeout),
            Cause::UpstreamBroken { .. } => Some(UpstreamError::Broken),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.evidence)
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(
        error.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::TLSHandshakeTimedout
    ) || error.root_cause().downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
