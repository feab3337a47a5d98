//! Answers that the gateway gives by itself: the one place where a refusal or failure becomes a response.

use super::answer::ClientAnswer;
use super::context::RequestContext;
use super::failure::{Cause, Failure};
use super::pace::Pace;
use super::wire::Body;
use crate::gateway::base::limits::Limit;
use crate::gateway::request::access::PathError;
use crate::gateway::request::authority::AuthorityError;
use crate::gateway::request::headers::FramingError;
use crate::gateway::request::refusal::{Particulars, Preference, Problem, render};
use crate::gateway::verify::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora_http::{RequestHeader, ResponseHeader};
use sekisho_runtime::clock;
use std::sync::Arc;

/// An answer: what the client may know, and what only the log gets (invariant 9).
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) problem: Problem,
    pub(super) evidence: String,
    /// The limit that was reached, if one was.
    pub(super) limit: Option<Limit>,
    allow: Option<String>,
    /// The CA of the refused client, where it is known.
    ca: Option<Arc<str>>,
}

impl Answer {
    pub(super) fn new(problem: Problem, evidence: impl Into<String>) -> Self {
        Self { problem, evidence: evidence.into(), limit: None, allow: None, ca: None }
    }

    pub(super) fn limit(problem: Problem, limit: Limit, size: impl std::fmt::Display) -> Self {
        Self { limit: Some(limit), ..Self::new(problem, format!("{limit}: {size}")) }
    }

    pub(super) fn method_not_allowed(allow: String) -> Self {
        Self { allow: Some(allow), ..Self::new(Problem::MethodNotAllowed, "no route for this method") }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self { ca: refusal.ca, ..Self::new(Problem::Refused(refusal.reason), refusal.evidence) }
    }
}

impl From<PathError> for Answer {
    fn from(error: PathError) -> Self {
        let problem = if error == PathError::TooLong { Problem::UriTooLong } else { Problem::BadRequest };
        Self::new(problem, error.to_string())
    }
}

impl From<AuthorityError> for Answer {
    fn from(error: AuthorityError) -> Self {
        Self::new(Problem::BadRequest, error.to_string())
    }
}

impl From<FramingError> for Answer {
    fn from(error: FramingError) -> Self {
        let problem = match error {
            FramingError::ContentLength | FramingError::TransferEncoding => Problem::BadRequest,
            FramingError::UnknownCoding => Problem::NotImplemented,
        };
        Self::new(problem, error.to_string())
    }
}

/// Sends an answer. The connection is not kept: a refused client shall come back with another certificate, and what
/// follows a request that could not be relied on cannot be either. Without a `request`, it was none.
pub(super) async fn send(
    client: &mut ClientAnswer,
    request: Option<&RequestHeader>,
    ctx: &RequestContext,
    answer: &Answer,
) -> Result<(), Failure> {
    let site = ctx.connection.site(&ctx.snapshot);
    let config = &ctx.snapshot.config;
    let guidance = answer.ca.as_ref().map(|ca| config.guidance_of(ca)).unwrap_or_default();
    let of_site = site.as_ref().and_then(|site| site.portal_url.as_deref());
    let particulars = Particulars {
        reference: &ctx.request_id,
        now: clock::now(),
        portal_url: guidance.portal_url.as_deref().or(of_site),
        advice: guidance.advice.unwrap_or_default(),
        contact: site.as_ref().and_then(|site| site.contact.as_ref()).or(config.gateway.contact.as_ref()),
        allow: answer.allow.as_deref(),
    };
    // Whoever does not speak HTTP is no browser.
    let problem = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/problem+json"))]);
    let preference = Preference::of(request.map_or(&problem, |request| &request.headers));
    let page = render(answer.problem, preference, &particulars);
    let mut response =
        head(page.status, page.headers).map_err(|error| Failure::new(Cause::Internal, error.to_string()))?;
    client.close();
    // There is room: the page sets a few fields.
    let _ = response.insert_header(header::CONTENT_LENGTH, page.body.len());
    let to_head = request.is_some_and(|request| request.method == Method::HEAD);
    let length = u64::try_from(page.body.len()).unwrap_or(u64::MAX);
    let body = if to_head { Body::None } else { Body::Length(length) };
    let mut pace = Pace::new(&ctx.snapshot.config.limits);
    pace.waiting_for(client.head(response, body, to_head)).await?;
    if to_head { Ok(()) } else { pace.waiting_for(client.piece(page.body, true)).await }
}

fn head(status: StatusCode, fields: Vec<(HeaderName, HeaderValue)>) -> pingora_core::Result<ResponseHeader> {
    let mut response = ResponseHeader::build_no_case(status, Some(fields.len() + 3))?;
    for (name, value) in fields {
        response.append_header(name, value)?;
    }
    Ok(response)
}
