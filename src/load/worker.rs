//! A worker: one operation after the other until the end.

use super::connection::{Connection, Failure};
use super::pace::{Pace, Schedule};
use super::plan::{Kind, Plan};
use super::tally::{AsAsked, Sample, Tallies};
use super::tls::{self, Sessions};
use http::StatusCode;
use rustls::{ClientConfig, HandshakeKind};
use std::sync::Arc;
use tokio::time::Instant;

/// What all workers share from the beginning.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) plan: Plan,
    /// One for each client certificate, or one without any.
    pub(super) configs: Vec<Arc<ClientConfig>>,
}

/// What they share once time runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) schedule: Schedule,
    pub(super) tallies: Tallies,
    /// The ends of all phases but the last, the warm-up's first.
    pub(super) phase_ends: Vec<Instant>,
    pub(super) end: Instant,
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) ground: Arc<Ground>,
    pub(super) number: usize,
    /// The connection it keeps, where it keeps one.
    pub(super) kept: Option<Connection>,
    /// With `resumed`: its own configuration, whose session store nobody else takes from.
    pub(super) own: Option<Arc<ClientConfig>>,
}

impl Worker {
    pub(super) async fn run(mut self, running: Arc<Running>) {
        let ground = Arc::clone(&self.ground);
        while let Some((number, begin)) = running.schedule.next(running.end).await {
            // Due, and nobody was free for it until the run was over.
            let is_over = ground.plan.pace != Pace::Closed && Instant::now() >= running.end;
            let (handshake, outcome) = if is_over {
                (None, Err(Failure::NotBegun))
            } else {
                let operation = tokio::time::timeout(ground.plan.timeout, self.operation(number));
                operation.await.unwrap_or((None, Err(Failure::Timeout)))
            };
            if outcome.is_err() && !is_over {
                self.kept = None;
            }
            let as_asked = as_asked(ground.plan.kind, &outcome);
            let sample = Sample { took: begin.elapsed(), handshake, outcome, as_asked };
            let phase = running.phase_ends.iter().take_while(|end| **end <= begin).count();
            running.tallies.add(self.number, phase, &sample);
        }
    }

    async fn operation(&mut self, number: u64) -> (Option<HandshakeKind>, Result<StatusCode, Failure>) {
        let ground = Arc::clone(&self.ground);
        if ground.plan.kind == Kind::KeepAlive {
            return self.kept_request().await;
        }
        let config = self.own.as_ref().or_else(|| rotated(&ground.configs, number));
        let Some(config) = config else {
            return (None, Err(Failure::Tls("no configuration".to_owned())));
        };
        let mut connection = match Connection::open(&ground.plan, config).await {
            Ok(connection) => connection,
            Err(failure) => return (None, Err(failure)),
        };
        let answer = connection.request(&ground.plan).await;
        let is_resumed = connection.handshake == Some(HandshakeKind::Resumed);
        let answer = if ground.plan.kind == Kind::Resumed && !is_resumed {
            answer.and(Err(Failure::NotResumed))
        } else {
            answer
        };
        (connection.handshake, answer)
    }

    /// A request on the connection that is kept; a new one where the last has ended, as servers end them after a while.
    async fn kept_request(&mut self) -> (Option<HandshakeKind>, Result<StatusCode, Failure>) {
        if let Some(kept) = &mut self.kept {
            match kept.request(&self.ground.plan).await {
                // It was closed between two requests, which is no failure of the server's.
                Err(Failure::Gone) => {}
                answer => return (None, answer),
            }
        }
        let worker = u64::try_from(self.number).unwrap_or_default();
        let Some(config) = rotated(&self.ground.configs, worker) else {
            return (None, Err(Failure::Tls("no configuration".to_owned())));
        };
        match Connection::open(&self.ground.plan, config).await {
            Ok(mut connection) => {
                let (handshake, answer) = (connection.handshake, connection.request(&self.ground.plan).await);
                self.kept = Some(connection);
                (handshake, answer)
            }
            Err(failure) => (None, Err(failure)),
        }
    }

    /// What a worker needs before time runs: its connection, or a session to resume.
    pub(super) async fn prepare(&mut self, shared_connection: Option<&Connection>) -> Result<(), String> {
        let plan = &self.ground.plan;
        match plan.kind {
            Kind::Full | Kind::NoCertificate | Kind::Refused => Ok(()),
            Kind::KeepAlive => {
                self.kept = match shared_connection.and_then(Connection::share) {
                    Some(shared) => Some(shared),
                    None => {
                        let worker = u64::try_from(self.number).unwrap_or_default();
                        let config = rotated(&self.ground.configs, worker).ok_or("no configuration")?;
                        Some(Connection::open(plan, config).await.map_err(|failure| failure.name())?)
                    }
                };
                Ok(())
            }
            Kind::Resumed => {
                let identity = plan.clients.get(self.number % plan.clients.len().max(1));
                let config = tls::config(plan, identity, Sessions::Kept).map_err(|error| error.to_string())?;
                let mut connection = Connection::open(plan, &config).await.map_err(|failure| failure.name())?;
                // TLS 1.3 tickets come with the answer.
                connection.request(plan).await.map_err(|failure| failure.name())?;
                self.own = Some(config);
                Ok(())
            }
        }
    }
}

fn rotated(configs: &[Arc<ClientConfig>], number: u64) -> Option<&Arc<ClientConfig>> {
    let count = u64::try_from(configs.len()).ok().filter(|count| *count > 0)?;
    configs.get(usize::try_from(number % count).ok()?)
}

/// Alerts that say something of a certificate (RFC 8446 section 6.2). Any other is a failure of the server's.
const REFUSALS: [&str; 9] = [
    "access_denied",
    "bad_certificate",
    "bad_certificate_status_response",
    "certificate_expired",
    "certificate_required",
    "certificate_revoked",
    "certificate_unknown",
    "unknown_ca",
    "unsupported_certificate",
];

/// A load that is to be refused wants an alert or a 403; any other wants an answer that is no error.
fn as_asked(kind: Kind, outcome: &Result<StatusCode, Failure>) -> AsAsked {
    let is = match (kind.wants_refusal(), outcome) {
        (true, Ok(status)) => *status == StatusCode::FORBIDDEN,
        (true, Err(Failure::Alert(alert))) => REFUSALS.contains(&alert.as_str()),
        (true, Err(_)) => false,
        (false, Ok(status)) => !(status.is_client_error() || status.is_server_error()),
        (false, Err(_)) => false,
    };
    if is { AsAsked::Yes } else { AsAsked::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_success_only_where_it_was_asked_for() {
        let alert = Err(Failure::Alert("certificate_revoked".to_owned()));
        for (kind, outcome, expected) in [
            (Kind::Refused, &alert, AsAsked::Yes),
            (Kind::NoCertificate, &Ok(StatusCode::FORBIDDEN), AsAsked::Yes),
            (Kind::Refused, &Err(Failure::Alert("internal_error".to_owned())), AsAsked::No),
            (Kind::Refused, &Ok(StatusCode::OK), AsAsked::No),
            (Kind::Refused, &Ok(StatusCode::BAD_GATEWAY), AsAsked::No),
            (Kind::Refused, &Err(Failure::Closed), AsAsked::No),
            (Kind::Refused, &Err(Failure::Timeout), AsAsked::No),
            (Kind::Full, &alert, AsAsked::No),
            (Kind::Full, &Ok(StatusCode::OK), AsAsked::Yes),
            (Kind::Full, &Ok(StatusCode::FORBIDDEN), AsAsked::No),
            (Kind::KeepAlive, &Err(Failure::Closed), AsAsked::No),
        ] {
            assert_eq!(as_asked(kind, outcome), expected, "{kind:?} {outcome:?}");
        }
    }
}
