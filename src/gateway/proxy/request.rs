//! One request, in either version of HTTP: judged, forwarded or refused, and told of.

use super::Proxy;
use super::admit;
use super::answer::ClientAnswer;
use super::body::RequestBody;
use super::context::{Admitted, RequestContext};
use super::failure::{Cause, Failure};
use super::forward::{Forwarding, gone};
use super::respond::{self, Answer};
use super::served::Served;
use crate::gateway::base::limits::Limit;
use crate::gateway::live::admissions::Permit;
use crate::gateway::request::refusal::Problem;
use crate::gateway::revocation::settle;
use pingora_http::RequestHeader;
use std::sync::Arc;

/// Takes a request to its end, whatever that is.
pub(super) async fn handle(
    proxy: &Proxy,
    served: &Served,
    request: &RequestHeader,
    body: &mut RequestBody,
    answer: &mut ClientAnswer,
) {
    let mut ctx = RequestContext::new(served.connection.clone(), proxy.gateway.snapshot());
    let permit = Arc::<Permit>::default();
    ctx.in_flight = Some(served.connection.begin_request(permit.clone()));
    if *served.connection.retiring().borrow() {
        answer.close();
    }
    let outcome = tokio::select! {
        outcome = serve(proxy, served, request, &mut ctx, body, answer) => outcome,
        // Of an HTTP/2 connection others may go on; h2 resets the stream of one that is dropped.
        () = served.connection.lost(&permit) => Err(Failure::gone("the gateway cut this connection")),
    };
    if let Err(failure) = outcome {
        fail(proxy, Some(request), &mut ctx, answer, failure).await;
    }
    end(proxy, Some(request), &mut ctx, answer);
}

/// Tells a client that what it sent is no request.
pub(super) async fn handle_malformed(proxy: &Proxy, served: &Served, answer: &mut ClientAnswer, evidence: String) {
    let mut ctx = RequestContext::new(served.connection.clone(), proxy.gateway.snapshot());
    ctx.in_flight = Some(served.connection.begin_request(Arc::default()));
    proxy.count_request(answer, &ctx);
    let refusal = Answer::new(Problem::BadRequest, evidence);
    if let Err(failure) = refuse(proxy, None, &mut ctx, answer, &refusal).await {
        ctx.failure = Some(failure);
    }
    end(proxy, None, &mut ctx, answer);
}

async fn serve(
    proxy: &Proxy,
    served: &Served,
    request: &RequestHeader,
    ctx: &mut RequestContext,
    body: &mut RequestBody,
    answer: &mut ClientAnswer,
) -> Result<(), Failure> {
    tokio::select! {
        // A client that goes at once is judged all the same, and recorded.
        biased;
        () = settle::settle(&proxy.gateway, &served.connection) => {}
        failure = gone(body, answer) => return Err(failure),
    }
    judged(proxy, served, request, ctx, body, answer).await
}

async fn judged(
    proxy: &Proxy,
    served: &Served,
    request: &RequestHeader,
    ctx: &mut RequestContext,
    body: &mut RequestBody,
    answer: &mut ClientAnswer,
) -> Result<(), Failure> {
    let mut in_flight = ctx.in_flight.take();
    let mut judge = || {
        ctx.snapshot = proxy.gateway.snapshot();
        admit::admit(request, ctx)
    };
    let admitted = match &mut in_flight {
        Some(in_flight) => in_flight.admit(judge),
        None => judge(),
    };
    ctx.in_flight = in_flight;
    proxy.count_request(answer, ctx);
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refuse(proxy, Some(request), ctx, answer, &refusal).await,
    };
    (ctx.client, ctx.host) = (Some(admitted.client.clone()), Some(admitted.host.clone()));
    proxy.count_unenforced(ctx);
    enter(proxy, served, ctx, &admitted)?;
    let forwarding = Forwarding::new(proxy, served, &admitted, request, body, answer);
    let outcome = forwarding.run(ctx, body, answer).await;
    if let Err(failure) = &outcome {
        forwarding.count(failure);
    }
    outcome
}

/// Takes a place among the requests under way.
fn enter(proxy: &Proxy, served: &Served, ctx: &mut RequestContext, admitted: &Admitted) -> Result<(), Failure> {
    let certificate = admitted.client.verified().map(|client| client.fingerprint());
    let place = proxy.places.enter(served.connection.peer.ip(), certificate, &ctx.snapshot.config.limits);
    ctx.place = Some(place.map_err(|limit| Failure::new(Cause::Busy(limit), limit.as_str()))?);
    Ok(())
}

async fn refuse(
    proxy: &Proxy,
    request: Option<&RequestHeader>,
    ctx: &mut RequestContext,
    answer: &mut ClientAnswer,
    refusal: &Answer,
) -> Result<(), Failure> {
    proxy.count_refusal(refusal, ctx);
    ctx.refused = Some((refusal.limit.map_or(refusal.problem.name(), Limit::as_str), refusal.evidence.clone()));
    respond::send(answer, request, ctx, refusal).await
}

/// Tells the client of a failure if it can still be told, and breaks the answer off if it has begun.
async fn fail(
    proxy: &Proxy,
    request: Option<&RequestHeader>,
    ctx: &mut RequestContext,
    answer: &mut ClientAnswer,
    failure: Failure,
) {
    proxy.count_failure(&failure, ctx);
    let told = match failure.problem() {
        Some(problem) if answer.status.is_none() => {
            respond::send(answer, request, ctx, &Answer::new(problem, failure.to_string())).await.is_ok()
        }
        _ => false,
    };
    if !told {
        answer.break_off();
    }
    ctx.failure = Some(failure);
}

/// Counts it out before the record says that it is over.
fn end(proxy: &Proxy, request: Option<&RequestHeader>, ctx: &mut RequestContext, answer: &ClientAnswer) {
    ctx.in_flight = None;
    proxy.log(request, answer, ctx);
    proxy.count_reset(answer, ctx);
    (ctx.lease, ctx.place) = (None, None);
}
