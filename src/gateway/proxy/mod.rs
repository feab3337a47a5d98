//! A request's way through the gateway: still good? route and access, headers, upstream, response, log.

mod account;
mod admit;
mod app;
mod context;
mod respond;

pub(super) use app::ConnectionApp;

use super::Gateway;
use super::assertion::AssertedRequest;
use super::headers::{RequestFacts, strip};
use super::refusal::Problem;
use super::settle;
use super::upstream::{IDLE_UPSTREAM_CONNECTIONS, Key, NO_ROOTS};
use crate::clock;
use async_trait::async_trait;
use bytes::Bytes;
use context::{PERMIT, RequestContext};
use http::request::Parts;
use http::{Request, StatusCode};
use pingora_core::apps::HttpServerApp;
use pingora_core::modules::http::HttpModules;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, HttpProxy, ProxyHttp, Session, http_proxy};
use respond::Answer;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// pingora's proxy with our rules.
pub(super) struct Proxy {
    http: Arc<HttpProxy<Rules>>,
}

/// The rules pingora asks at each phase of a request.
pub(super) struct Rules {
    gateway: Arc<Gateway>,
}

impl Proxy {
    /// A proxy for all connections of a gateway.
    pub(super) fn service(gateway: Arc<Gateway>) -> Self {
        let config = gateway.snapshot().config.clone();
        let conf = ServerConf {
            threads: config.gateway.threads,
            // The keep-alive pool is this many times the threads.
            upstream_keepalive_pool_size: IDLE_UPSTREAM_CONNECTIONS / config.gateway.threads.max(1),
            ca_file: Some(NO_ROOTS.to_owned()),
            // Ours are counted by pool; this is pingora's own ceiling over all of them.
            max_retries: 16,
            ..ServerConf::default()
        };
        Self { http: Arc::new(http_proxy(&Arc::new(conf), Rules { gateway })) }
    }

    /// Ends idle connections and lets no further request begin on the others.
    pub(super) async fn stop(&self) {
        self.http.http_cleanup().await;
    }
}

#[async_trait]
impl ProxyHttp for Rules {
    type CTX = RequestContext;

    fn new_ctx(&self) -> RequestContext {
        RequestContext::new(self.gateway.snapshot())
    }

    /// Nothing is compressed or otherwise changed on its way.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<bool> {
        let permit = PERMIT.try_with(Arc::clone).unwrap_or_default();
        let mut in_flight = ctx.connection.as_ref().map(|connection| connection.begin_request(permit));
        if let Some(connection) = &ctx.connection {
            settle::settle(&self.gateway, connection).await;
        }
        let mut judge = || {
            ctx.snapshot = self.gateway.snapshot();
            admit::admit(session, ctx)
        };
        let admitted = match &mut in_flight {
            Some(in_flight) => in_flight.admit(judge),
            None => judge(),
        };
        self.count_request(session, ctx);
        match admitted {
            Ok(admitted) => {
                ctx.in_flight = in_flight;
                ctx.admitted = Some(admitted);
                self.count_unenforced(ctx);
                let idle = ctx.snapshot.config.limits.body_idle_timeout;
                session.set_read_timeout(Some(ctx.at_most(idle)));
                session.set_write_timeout(Some(ctx.at_most(idle)));
                Ok(false)
            }
            Err(answer) => {
                self.count_refusal(&answer, ctx);
                ctx.refused = Some((answer.limit.unwrap_or(answer.problem.name()), answer.evidence.clone()));
                respond::send(session, ctx, &answer).await?;
                // Not before it is told.
                drop(in_flight);
                Ok(true)
            }
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        still_connected(ctx)?;
        if session.was_upgraded() {
            return Ok(());
        }
        ctx.check_deadline().map_err(Error::into_down)?;
        ctx.request_octets += body.as_ref().map_or(0, |body| body.len() as u64);
        if ctx.request_octets > ctx.snapshot.config.limits.request_body_bytes {
            self.gateway.metrics.limits.with_label_values(&["request_body_bytes"]).inc();
            ctx.refused = Some(("request_body_bytes", format!("more than {} octets", ctx.request_octets)));
            return Err(Error::new_down(ErrorType::HTTPStatus(413)));
        }
        if end {
            ctx.sent();
        }
        Ok(())
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut RequestContext) -> Result<Box<HttpPeer>> {
        let admitted = ctx.admitted.as_ref().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let connection = ctx.connection.as_ref().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let contract = admitted.client.verified().and_then(|client| client.identity().contract_id());
        let key = contract.map_or(Key::Address(connection.peer.ip()), Key::Contract);
        let Some(lease) = admitted.pool.choose(key, &ctx.tried) else {
            let labels = [&*admitted.pool.config().name, "no-peer"];
            self.gateway.metrics.upstream_errors.with_label_values(&labels).inc();
            return Err(Error::explain(ErrorType::HTTPStatus(503), "no healthy peer").into_up());
        };
        let timeout = ctx.at_most(admitted.timeout);
        let peer = if session.is_upgrade_req() {
            admitted.pool.upgrade_peer(&lease, timeout, ctx.upgrade.get_or_insert_default().clone())
        } else {
            admitted.pool.peer(&lease, timeout)
        };
        ctx.lease = Some(lease);
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        still_connected(ctx)?;
        set_headers(request, ctx)?;
        if session.is_body_empty() {
            ctx.sent();
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut RequestContext,
    ) -> Result<()> {
        // What follows is the upgraded protocol's, whose messages may be far apart.
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            if let Some(upgrade) = &ctx.upgrade {
                upgrade.agreed();
            }
            session.set_read_timeout(None);
            session.set_write_timeout(Some(ctx.snapshot.config.limits.body_idle_timeout));
        }
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        _body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut RequestContext,
    ) -> Result<Option<Duration>> {
        if !session.was_upgraded() {
            ctx.check_deadline().map_err(Error::into_up)?;
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut RequestContext,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let Some(admitted) = &ctx.admitted else {
            return error;
        };
        let labels = [&*admitted.pool.config().name, "connect"];
        self.gateway.metrics.upstream_errors.with_label_values(&labels).inc();
        if let Some(lease) = ctx.lease.take() {
            ctx.tried.push(lease.address.clone());
        }
        // Nothing was sent; still only safe methods go elsewhere (RFC 9110 section 9.2.2 speaks of automatic retries).
        let safe = session.req_header().method.is_safe();
        let again = safe && ctx.tried.len() <= admitted.pool.config().retries;
        // Without another peer this failure is the answer, and not that there is none left.
        error.set_retry(again && admitted.pool.has_another(&ctx.tried));
        error
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut RequestContext,
        client_reused: bool,
    ) -> Box<Error> {
        if *error.esource() == ErrorSource::Upstream
            && let Some(admitted) = &ctx.admitted
        {
            let kind = if is_timeout(&error) { "timeout" } else { "broken" };
            self.gateway.metrics.upstream_errors.with_label_values(&[&*admitted.pool.config().name, kind]).inc();
        }
        let mut error = error.more_context(format!("peer {peer}"));
        // An idle connection may be closed just as it is taken up; only what is safe and still whole is sent again.
        let again = session.req_header().method.is_safe() && !session.as_ref().retry_buffer_truncated();
        if again {
            error.retry.decide_reuse(client_reused);
        } else {
            error.set_retry(false);
        }
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut RequestContext) -> FailToProxy {
        let Some(problem) = problem_of(error) else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        if session.response_written().is_none() {
            let answer = Answer::new(problem, error.to_string());
            ctx.failure = Some(problem);
            // A client that is gone cannot be told.
            let _ = respond::send(session, ctx, &answer).await;
        }
        FailToProxy { error_code: problem.status().as_u16(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut RequestContext) {
        // Counted out here and not when pingora drops the context, which may be after the next request began; and before
        // the record says that it is over.
        ctx.in_flight = None;
        self.log(session, error, ctx);
        self.count_reset(session, error, ctx);
        self.count_timeout(session, error, ctx);
        ctx.lease = None;
        if ctx.failure.is_some() && session.as_http1().is_some() {
            // Answered early: pingora would close at once, and the answer might be lost.
            session.as_mut().shutdown().await;
        }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &RequestContext, _error: &Error) -> bool {
        // The access record has it.
        true
    }
}

/// Lets nothing out of a connection that was cut (invariant 1): since the request was admitted, a peer may have taken
/// seconds to accept, and octets read before the cut may wait in buffers.
fn still_connected(ctx: &RequestContext) -> Result<()> {
    match &ctx.connection {
        Some(connection) if connection.cut.is_open() => Ok(()),
        _ => Err(Error::new_down(ErrorType::ConnectionClosed)),
    }
}

/// The request as the upstream gets it: nothing the client claims of itself, everything that was verified.
fn set_headers(request: &mut RequestHeader, ctx: &RequestContext) -> Result<()> {
    let (Some(admitted), Some(connection)) = (&ctx.admitted, &ctx.connection) else {
        return Err(Error::new_in(ErrorType::InternalError));
    };
    let now = clock::now();
    let assertion = match (admitted.client.verified(), &ctx.snapshot.signer) {
        (Some(client), Some(signer)) => {
            let asserted = AssertedRequest {
                site: connection.site_name(),
                method: &request.method,
                host: admitted.host.name(),
                path: &admitted.path,
                query: &admitted.query,
                now,
                authenticated_at: connection.authenticated_at,
                request_id: &ctx.request_id,
            };
            let signed = signer.sign(client, &asserted);
            Some(signed.map_err(|error| Error::because(ErrorType::InternalError, "assertion", error))?)
        }
        _ => None,
    };
    // Taken out of pingora's header, which keeps each name's spelling in a second map: names go on in lower case, as
    // HTTP/2 has them, at half the price.
    let mut parts = Parts::from(std::mem::replace(request, nothing()));
    strip(&mut parts.headers, &ctx.snapshot.strip);
    let facts = RequestFacts { now, request_id: &ctx.request_id, assertion: assertion.as_deref() };
    let set = admitted
        .client
        .headers
        .apply(&mut parts.headers, &facts)
        .and_then(|()| connection.forwarding.apply(&mut parts.headers, admitted.host.authority()));
    set.map_err(|error| Error::because(ErrorType::HTTPStatus(431), "headers", error))?;
    // The origin-form of its target, whichever form it came in ([`Target::parse`](super::access::Target::parse)).
    *request = parts.into();
    match &admitted.rewritten {
        Some(target) => request.set_raw_path(target.as_bytes()),
        None => Ok(()),
    }
}

/// What stands for a request while it is taken apart.
fn nothing() -> RequestHeader {
    Request::new(()).into_parts().0.into()
}

/// What a failure on the way is to the client; none: nobody is there to tell.
fn problem_of(error: &Error) -> Option<Problem> {
    let problem = match (error.etype(), error.esource()) {
        (ErrorType::HTTPStatus(413), _) => Problem::ContentTooLarge,
        (ErrorType::HTTPStatus(431), _) => Problem::HeaderFieldsTooLarge,
        (ErrorType::HTTPStatus(503), _) => Problem::ServiceUnavailable,
        (ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed, ErrorSource::Downstream) => {
            return None;
        }
        (ErrorType::ReadTimedout | ErrorType::WriteTimedout, ErrorSource::Downstream) => Problem::RequestTimeout,
        (_, ErrorSource::Downstream) => Problem::BadRequest,
        (_, ErrorSource::Upstream) if is_timeout(error) => Problem::GatewayTimeout,
        (_, ErrorSource::Upstream) => Problem::BadGateway,
        (_, ErrorSource::Internal | ErrorSource::Unset) => Problem::Internal,
    };
    Some(problem)
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

/// How long an upstream may take to answer.
fn read_timeout(route: Option<Duration>, pool: Duration) -> Duration {
    route.unwrap_or(pool)
}
