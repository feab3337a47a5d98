//! What is told of each request: its record, its metrics, the limits that it met.

use super::Proxy;
use super::answer::ClientAnswer;
use super::context::RequestContext;
use super::failure::{Cause, Failure};
use super::respond::Answer;
use crate::gateway::base::limits::Limit;
use crate::gateway::live::connection::Connection;
use crate::gateway::live::records::{AccessRecord, unenforced};
use crate::gateway::request::refusal::Problem;
use http::Version;
use pingora_http::RequestHeader;
use sekisho_runtime::clock;

impl Proxy {
    pub(super) fn count_refusal(&self, answer: &Answer, ctx: &RequestContext) {
        let site = &**ctx.connection.site_name();
        if let Problem::Refused(reason) = answer.problem {
            self.gateway.metrics.refused_requests_total(site, reason).inc();
        }
        if let Some(limit) = answer.limit {
            self.gateway.metrics.limits_reached_total(limit).inc();
        }
    }

    /// Counts a request that only a policy for what cannot be told lets pass.
    pub(super) fn count_unenforced(&self, ctx: &RequestContext) {
        if let Some(unenforced) = ctx.client.as_ref().and_then(|client| unenforced(&client.client)) {
            self.gateway.metrics.count_unenforced(unenforced);
        }
    }

    /// A connection that has had its requests ends in good order; one that does not take the hint is cut.
    pub(super) fn count_request(&self, answer: &mut ClientAnswer, ctx: &RequestContext) {
        let connection = &ctx.connection;
        let (requests, limit) = (connection.requests(), ctx.snapshot.config.limits.requests_per_connection);
        if requests >= limit {
            answer.close();
        }
        if requests == limit {
            self.gateway.metrics.limits_reached_total(Limit::RequestsPerConnection).inc();
            connection.retire();
        } else if requests > limit.saturating_mul(2) {
            connection.cut.throw();
        }
    }

    /// Counts the limit that a request's end met; what a refusal has told the client is told in the record, too.
    pub(super) fn count_failure(&self, failure: &Failure, ctx: &mut RequestContext) {
        if let Some(limit) = failure.limit().filter(|_| !ctx.upgraded) {
            self.gateway.metrics.limits_reached_total(limit).inc();
            if matches!(failure.cause, Cause::Busy(_) | Cause::BodyTooLarge) {
                ctx.refused = Some((limit.as_str(), failure.to_string()));
            }
        }
    }

    pub(super) fn log(&self, request: Option<&RequestHeader>, answer: &ClientAnswer, ctx: &RequestContext) {
        let connection = &ctx.connection;
        let status = answer.status.unwrap_or(0);
        let took = ctx.began.elapsed();
        let metrics = &self.gateway.metrics;
        metrics.requests_total(connection.site_name(), &status_label(status)).inc();
        metrics.request_duration_seconds().observe(took.as_secs_f64());
        if !self.gateway.records.is_on() {
            return;
        }
        let client = connection.last_known();
        let verified = client.verified();
        self.gateway.records.write(&AccessRecord {
            kind: "access",
            time: clock::now(),
            request_id: ctx.request_id.as_str(),
            connection: connection.id,
            client: connection.peer,
            site: connection.site_name(),
            host: ctx.host.as_ref().map_or("", |host| host.name()),
            protocol: protocol(connection, request),
            method: request.map_or("", |request| request.method.as_str()),
            path: request.map_or("", |request| request.uri.path()),
            status,
            refused: ctx.refused.as_ref().map(|(name, _)| *name),
            evidence: ctx.refused.as_ref().map(|(_, evidence)| evidence.as_str()),
            unenforced: ctx
                .client
                .as_ref()
                .and_then(|client| unenforced(&client.client))
                .map(|it| it.reason().as_str()),
            error: ctx.failure.as_ref().map(ToString::to_string),
            response_octets: usize::try_from(answer.body_bytes).unwrap_or(usize::MAX),
            microseconds: took.as_micros(),
            upstream: ctx.lease.as_ref().map(|lease| lease.address.to_string()),
            resumed: connection.tls.resumed,
            contract_id: verified.and_then(|client| client.identity().contract_id()),
            user_id: verified.and_then(|client| client.identity().user_id()),
            serial: verified.map(|client| client.serial().to_string()),
            draining_ca: client.draining.as_deref(),
        });
    }

    /// A client that opens streams only to reset them makes work and takes none of the answers. Also counts the resets
    /// that h2 makes for a client that breaks its streams on purpose (CVE-2025-8671).
    pub(super) fn count_reset(&self, answer: &ClientAnswer, ctx: &RequestContext) {
        let connection = &ctx.connection;
        if !connection.tls.http2 {
            return;
        }
        let is_gone = ctx.failure.as_ref().is_some_and(|failure| failure.cause == Cause::ClientGone);
        let limits = &ctx.snapshot.config.limits;
        let window = u64::try_from(limits.http2_reset_window.as_millis()).unwrap_or(u64::MAX);
        if (is_gone || answer.status.is_none())
            && connection.count_reset(limits.http2_resets, window)
            && connection.cut.throw()
        {
            self.gateway.metrics.limits_reached_total(Limit::Http2Resets).inc();
        }
    }
}

fn protocol(connection: &Connection, request: Option<&RequestHeader>) -> &'static str {
    match request.map(|request| request.version) {
        _ if connection.tls.http2 => "HTTP/2",
        Some(Version::HTTP_10) => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// `200`, or `0` when no answer was begun.
fn status_label(status: u16) -> String {
    status.to_string()
}
