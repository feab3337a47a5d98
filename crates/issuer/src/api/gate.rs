//! What every request goes through, in this order: reference number, who calls, limit of the caller or of strangers,
//! the time it may take; and every answer: problems written, headers set, one line in the log.

use super::Shared;
use super::call::Asked;
use super::problem::{Kind, Problem};
use super::reference;
use crate::authenticate::{Caller, NotAuthenticated, Right};
use crate::listen::{Peer, Proof, network};
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use sekisho_lifecycle::UserKey;
use sekisho_runtime::clock;
use std::sync::Arc;
use std::time::Instant;

/// The header with the reference number.
const REFERENCE: HeaderName = HeaderName::from_static("sekisho-reference");

/// Characters of a path in the log: IDs are at most 64 each.
const LONGEST_PATH: usize = 256;

/// Whom a bucket is of.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Who {
    Service(Arc<str>, Class),
    User(UserKey),
}

/// For what a service calls. Each class has the service's whole rate, so that no other uses it up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// What ends access: it must always be possible.
    Urgent,
    /// Whatever strangers make a service ask. Their tries have limits of their own ([`super::tries`]); this is what reading
    /// them may cost.
    Tries,
    /// All else.
    Usual,
}

impl Class {
    fn of(parts: &Parts) -> Self {
        match parts.uri.path().rsplit('/').next().unwrap_or_default() {
            "revoke" | "suspend" | "lock" | "delete" | "switch-off" => Self::Urgent,
            "acquire" => Self::Tries,
            _ => Self::Usual,
        }
    }

    /// Requests that count as one.
    fn together(self) -> u32 {
        match self {
            Self::Urgent | Self::Usual => 1,
            Self::Tries => TRIES_READ,
        }
    }
}

/// Tries that are read for each that may be made: reading one costs a fiftieth of what its password costs.
const TRIES_READ: u32 = 10;

/// The gate.
pub(super) async fn gate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(LONGEST_PATH).collect();
    let Some(reference) = reference::generate() else {
        return Problem::new(Kind::Unavailable).because("no randomness").render("-");
    };
    let mut caller = None;
    let answered = tokio::time::timeout(shared.limits.request_timeout, async {
        let (mut parts, body) = request.into_parts();
        match admit(&shared, &mut parts, &reference).await {
            Ok(known) => {
                caller = Some(known);
                next.run(Request::from_parts(parts, body)).await
            }
            Err(problem) => {
                drain(body, shared.limits.body).await;
                problem.into_response()
            }
        }
    });
    let response = answered.await.unwrap_or_else(|_| Problem::new(Kind::Timeout).into_response());
    let (response, why) = written(response, &reference);
    let status = response.status().as_u16();
    let (caller, milliseconds) = (caller.as_ref().map(Caller::name), started.elapsed().as_millis());
    let caller = caller.as_deref().unwrap_or("nobody");
    match why {
        Some(why) if response.status().is_server_error() => {
            tracing::error!(%reference, caller, %method, path, status, milliseconds, why, "request failed");
        }
        Some(why) => tracing::info!(%reference, caller, %method, path, status, milliseconds, why, "request refused"),
        None => tracing::debug!(%reference, caller, %method, path, status, milliseconds, "request done"),
    }
    response
}

/// Who calls, if they may come now.
async fn admit(shared: &Shared, parts: &mut Parts, reference: &Arc<str>) -> Result<Caller, Problem> {
    let unknown = || Problem::new(Kind::NotAuthenticated).because("the connection's peer is not known");
    let peer = *parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer).ok_or_else(unknown)?;
    let caller = match shared.authenticator.caller(&peer, parts, clock::now()).await {
        Ok(caller) => caller,
        Err(why @ NotAuthenticated::Unavailable(_)) => {
            return Err(Problem::new(Kind::Unavailable).because(why.for_log().to_string()));
        }
        Err(why @ NotAuthenticated::Refused(_)) => {
            // After the look and not before it: a look costs one signature at most, and many users come from the
            // gateway's one address; what one of them cannot prove must not shut the others out.
            shared.strangers.take(network(peer.address.ip()), Instant::now()).map_err(too_many)?;
            return Err(Problem::new(Kind::NotAuthenticated).because(why.for_log().to_string()));
        }
    };
    if let Some(proof) = parts.extensions.get::<Proof>() {
        proof.given();
    }
    let taken = match &caller {
        // One for each message of the feed, whose rate is the bank's and not the gateway's; they are written in groups.
        Caller::Service { name, .. } if is_acknowledgement(parts, &caller) => {
            shared.acknowledgements.take(Arc::clone(name), Instant::now())
        }
        Caller::Service { name, .. } => {
            let class = Class::of(parts);
            let part = 1.0 / f64::from(class.together());
            shared.callers.take_part(Who::Service(Arc::clone(name), class), part, Instant::now())
        }
        Caller::User(shown) => shared.callers.take(Who::User(shown.of.clone()), Instant::now()),
    };
    taken.map_err(too_many)?;
    parts.extensions.insert(Asked { caller: caller.clone(), reference: Arc::clone(reference) });
    Ok(caller)
}

fn is_acknowledgement(parts: &Parts, caller: &Caller) -> bool {
    parts.uri.path() == super::feed::ACKNOWLEDGEMENTS && caller.has(Right::Feed)
}

pub(super) fn too_many(seconds: u64) -> Problem {
    Problem { retry_after: Some(seconds), ..Problem::new(Kind::RateLimited) }
}

/// The answer as it is sent, and why it is no acceptance.
fn written(mut response: Response, reference: &str) -> (Response, Option<String>) {
    let problem = response.extensions_mut().remove::<Arc<Problem>>();
    let refused = response.status().is_client_error() || response.status().is_server_error();
    let problem = problem.or_else(|| refused.then(|| Arc::new(Problem::new(Kind::of(response.status())))));
    let why = problem.as_ref().map(|problem| problem.why());
    if let Some(problem) = problem {
        let mut rendered = problem.render(reference);
        if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
            rendered.headers_mut().insert(header::ALLOW, allow);
        }
        response = rendered;
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(reference) = HeaderValue::from_str(reference) {
        headers.insert(REFERENCE, reference);
    }
    (response, why)
}

/// There is no such path.
pub(super) async fn not_found(State(shared): State<Arc<Shared>>, request: Request) -> Problem {
    drain(request.into_body(), shared.limits.body).await;
    Problem::new(Kind::NotFound)
}

/// The path has no such method.
pub(super) async fn method_not_allowed(State(shared): State<Arc<Shared>>, request: Request) -> Problem {
    drain(request.into_body(), shared.limits.body).await;
    Problem::new(Kind::MethodNotAllowed)
}

/// Reads what is left of a body that nobody wants, but no more than `most` octets: a connection that is closed while its
/// client still writes takes the answer with it.
pub(super) async fn drain(mut body: Body, most: usize) {
    let mut left = most;
    while let Some(Ok(frame)) = body.frame().await {
        let octets = frame.data_ref().map_or(0, bytes::Bytes::len);
        match left.checked_sub(octets) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
