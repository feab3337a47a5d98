//! What is told of each request: its record, its metrics, the limits that it met.

use super::context::RequestContext;
use super::respond::Answer;
use super::{Rules, is_timeout};
use crate::clock;
use crate::gateway::records::{AccessRecord, unenforced};
use crate::gateway::refusal::Problem;
use crate::gateway::verify::Unenforced;
use http::Version;
use pingora_core::protocols::http::v2::server::HttpSession as Http2Session;
use pingora_core::{Error, ErrorSource};
use pingora_proxy::Session;

impl Rules {
    pub(super) fn count_refusal(&self, answer: &Answer, ctx: &RequestContext) {
        let site = ctx.connection.as_ref().map_or("", |connection| &**connection.site_name());
        if let Problem::Refused(reason) = answer.problem {
            self.gateway.metrics.refused_requests.with_label_values(&[site, reason.name()]).inc();
        }
        if let Some(limit) = answer.limit {
            self.gateway.metrics.limits.with_label_values(&[limit]).inc();
        }
    }

    /// Counts a request that only a policy for what cannot be told lets pass.
    pub(super) fn count_unenforced(&self, ctx: &RequestContext) {
        if let Some(unenforced) = admitted_unenforced(ctx) {
            self.gateway.metrics.count_unenforced(unenforced);
        }
    }

    /// A connection that has had its requests ends in good order; one that does not take the hint is cut.
    pub(super) fn count_request(&self, session: &mut Session, ctx: &RequestContext) {
        let Some(connection) = &ctx.connection else {
            return;
        };
        let (requests, limit) = (connection.requests(), ctx.snapshot.config.limits.requests_per_connection);
        if requests >= limit {
            session.set_keepalive(None);
        }
        if requests == limit {
            self.gateway.metrics.limits.with_label_values(&["requests_per_connection"]).inc();
            connection.retire();
        } else if requests > limit.saturating_mul(2) {
            connection.cut.throw();
        }
    }

    /// Counts the request's end by the time it took, or by a client that stopped moving.
    pub(super) fn count_timeout(&self, session: &Session, error: Option<&Error>, ctx: &RequestContext) {
        let Some(error) = error.filter(|_| !session.was_upgraded()) else {
            return;
        };
        let limit = if ctx.check_deadline().is_err() {
            "request_timeout"
        } else if *error.esource() == ErrorSource::Downstream && is_timeout(error) {
            "body_idle_timeout"
        } else {
            return;
        };
        self.gateway.metrics.limits.with_label_values(&[limit]).inc();
    }

    pub(super) fn log(&self, session: &Session, error: Option<&Error>, ctx: &RequestContext) {
        let Some(connection) = &ctx.connection else {
            return;
        };
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let took = ctx.began.elapsed();
        let metrics = &self.gateway.metrics;
        metrics.requests.with_label_values(&[&**connection.site_name(), status_label(status).as_str()]).inc();
        metrics.request_seconds.observe(took.as_secs_f64());
        if !self.gateway.records.is_on() {
            return;
        }
        let request = session.req_header();
        let client = connection.last_known();
        let verified = client.verified();
        self.gateway.records.write(&AccessRecord {
            kind: "access",
            time: clock::now(),
            request_id: ctx.request_id.as_str(),
            connection: connection.id,
            client: connection.peer,
            site: connection.site_name(),
            host: ctx.admitted.as_ref().map_or("", |admitted| admitted.host.name()),
            protocol: protocol(request.version),
            method: request.method.as_str(),
            path: request.uri.path(),
            status,
            refused: ctx.refused.as_ref().map(|(name, _)| *name),
            evidence: ctx.refused.as_ref().map(|(_, evidence)| evidence.as_str()),
            unenforced: admitted_unenforced(ctx).map(|unenforced| unenforced.reason().name()),
            error: error.map(ToString::to_string),
            response_octets: session.body_bytes_sent(),
            microseconds: took.as_micros(),
            upstream: ctx.lease.as_ref().map(|lease| lease.address.to_string()),
            resumed: connection.tls.resumed,
            contract_id: verified.and_then(|client| client.identity().contract_id()),
            user_id: verified.and_then(|client| client.identity().user_id()),
            serial: verified.map(|client| client.serial().to_string()),
            draining_ca: client.draining.as_deref(),
        });
    }

    /// A client that opens streams only to reset them makes work and takes none of the answers.
    pub(super) fn count_reset(&self, session: &Session, error: Option<&Error>, ctx: &RequestContext) {
        let Some(connection) = ctx.connection.as_ref().filter(|connection| connection.tls.http2) else {
            return;
        };
        let reset = error.is_some_and(|error| *error.esource() == ErrorSource::Downstream)
            || session.as_ref().as_http2().is_some_and(was_reset);
        let limits = &ctx.snapshot.config.limits;
        let window = u64::try_from(limits.http2_reset_window.as_millis()).unwrap_or(u64::MAX);
        if reset && connection.count_reset(limits.http2_resets, window) && connection.cut.throw() {
            self.gateway.metrics.limits.with_label_values(&["http2_resets"]).inc();
        }
    }
}

fn admitted_unenforced(ctx: &RequestContext) -> Option<&Unenforced> {
    unenforced(&ctx.admitted.as_ref()?.client.client)
}

fn was_reset(session: &Http2Session) -> bool {
    session.response_written().is_none()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// `200`, or `0` when no answer was begun.
fn status_label(status: u16) -> String {
    status.to_string()
}
