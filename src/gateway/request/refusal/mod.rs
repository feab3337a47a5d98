//! What a client that is turned away gets to read (requirement G5): a page or a problem document (RFC 9457), in
//! Japanese or English, with the reason, what to do next, and a reference number.
//!
//! Opaque (invariant 9): a [`Reason`] goes in, never the evidence of a [`crate::gateway::verify::Refusal`].

mod html;
mod preference;
mod texts;

pub use preference::{Format, Language, Preference};

use crate::gateway::base::request_id::RequestId;
use crate::gateway::verify::Reason;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use sekisho_config::{Advice, Contact};
use sekisho_pki::time::Timestamp;
use serde_json::{Map, json};

/// Seconds after which a busy service may be tried again (RFC 9110 section 10.2.3): longer than a peer takes to fail
/// its health checks, short enough to be waited for.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("30");

/// Japan Standard Time: nine hours ahead of UTC all year.
const JST_SECONDS: i64 = 9 * 3600;

/// What went wrong, as far as a client may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// The client's certificate, or the lack of one: 403.
    Refused(Reason),
    /// 400: not a request that could be relied on.
    BadRequest,
    /// 404: no route.
    NotFound,
    /// 405: no route for the method.
    MethodNotAllowed,
    /// 408: the request did not come in time.
    RequestTimeout,
    /// 413: the body is over its limit.
    ContentTooLarge,
    /// 414: the path is over its limit.
    UriTooLong,
    /// 421: the host is not of this connection's site (RFC 9110 section 15.5.20).
    Misdirected,
    /// 429: over a rate limit.
    TooManyRequests,
    /// 431: the header is over its limit.
    HeaderFieldsTooLarge,
    /// 500: the gateway failed.
    Internal,
    /// 501: a transfer coding that the gateway does not know (RFC 9112 section 6.1).
    NotImplemented,
    /// 502: the upstream did not answer as it should.
    BadGateway,
    /// 503: no upstream is healthy, or the gateway is full or stopping.
    ServiceUnavailable,
    /// 504: the upstream did not answer in time.
    GatewayTimeout,
}

/// One answer's particulars.
#[derive(Clone, Copy, Debug)]
pub struct Particulars<'a> {
    /// The reference number, also in the log.
    pub reference: &'a RequestId,
    /// The time of the answer.
    pub now: Timestamp,
    /// The `portal_url` of the client's CA or of the site, linked from refusals that another certificate would help
    /// against. Only an `https:` or `http:` URL becomes a link.
    pub portal_url: Option<&'a str>,
    /// What clients of the refused one's CA do to get another certificate.
    pub advice: Advice,
    /// Who speaks, and whom to call.
    pub contact: Option<&'a Contact>,
    /// The `Allow` header of a 405.
    pub allow: Option<&'a str>,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct RenderedPage {
    /// Status code.
    pub status: StatusCode,
    /// Header fields but for `Content-Length`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body, UTF-8; not to be sent for `HEAD`.
    pub body: Bytes,
}

/// The words of one problem in one language.
struct Words {
    title: &'static str,
    detail: &'static str,
    next_steps: &'static [&'static str],
}

impl Problem {
    /// Every problem.
    pub fn all() -> impl Iterator<Item = Self> {
        let generic = [
            Self::BadRequest,
            Self::NotFound,
            Self::MethodNotAllowed,
            Self::RequestTimeout,
            Self::ContentTooLarge,
            Self::UriTooLong,
            Self::Misdirected,
            Self::TooManyRequests,
            Self::HeaderFieldsTooLarge,
            Self::Internal,
            Self::NotImplemented,
            Self::BadGateway,
            Self::ServiceUnavailable,
            Self::GatewayTimeout,
        ];
        Reason::ALL.into_iter().map(Self::Refused).chain(generic)
    }

    /// The status code.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::HeaderFieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The stable name: in the page, in problem types, in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.as_str(),
            Self::BadRequest => "bad-request",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::RequestTimeout => "request-timeout",
            Self::ContentTooLarge => "content-too-large",
            Self::UriTooLong => "uri-too-long",
            Self::Misdirected => "misdirected-request",
            Self::TooManyRequests => "too-many-requests",
            Self::HeaderFieldsTooLarge => "header-fields-too-large",
            Self::Internal => "internal-error",
            Self::NotImplemented => "not-implemented",
            Self::BadGateway => "bad-gateway",
            Self::ServiceUnavailable => "service-unavailable",
            Self::GatewayTimeout => "gateway-timeout",
        }
    }

    /// The `type` of its problem document: `urn:sekisho:refusal:expired`, `urn:sekisho:error:not-found`.
    pub fn type_uri(self) -> String {
        let kind = if matches!(self, Self::Refused(_)) { "refusal" } else { "error" };
        format!("urn:sekisho:{kind}:{}", self.name())
    }
}

/// The answer to a client with this problem, as it prefers to read it.
pub fn render(problem: Problem, preference: Preference, particulars: &Particulars<'_>) -> RenderedPage {
    let (content_type, policy, body) = match preference.format {
        Format::Html => {
            let page = html::page(problem, preference.language, particulars);
            ("text/html; charset=utf-8", html::content_security_policy(), page)
        }
        Format::ProblemJson => {
            let document = problem_document(problem, preference.language, particulars);
            (
                "application/problem+json",
                HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
                document,
            )
        }
    };
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_LANGUAGE, HeaderValue::from_static(preference.language.tag())),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static(preference::VARY_VALUE)),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    if matches!(problem, Problem::TooManyRequests | Problem::ServiceUnavailable) {
        headers.push((RETRY_AFTER, RETRY_AFTER_SECONDS));
    }
    if problem == Problem::MethodNotAllowed
        && let Some(allow) = particulars.allow.and_then(|allow| HeaderValue::from_str(allow).ok())
    {
        headers.push((ALLOW, allow));
    }
    RenderedPage { status: problem.status(), headers, body: body.into() }
}

/// RFC 9457: with `reference`, `time`, `next_steps`, `portal` and `contact` as extension members.
fn problem_document(problem: Problem, language: Language, particulars: &Particulars<'_>) -> String {
    let words = texts::words(problem, language, particulars.advice);
    let mut document = json!({
        "type": problem.type_uri(),
        "title": words.title,
        "status": problem.status().as_u16(),
        "detail": words.detail,
        "instance": format!("urn:sekisho:request:{}", particulars.reference),
        "reference": particulars.reference.as_str(),
        "time": particulars.now,
        "next_steps": words.next_steps,
    });
    if let Some(members) = document.as_object_mut() {
        if let Some(portal) = portal(problem, particulars) {
            members.insert("portal".to_owned(), portal.into());
        }
        if let Some(contact) = particulars.contact {
            let mut told = Map::from_iter([("name".to_owned(), language.of(&contact.name).into())]);
            let hours = contact.hours.as_ref().map(|hours| language.of(hours));
            let optional = [("telephone", contact.telephone.as_deref()), ("hours", hours)];
            told.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
            members.insert("contact".to_owned(), told.into());
        }
    }
    document.to_string()
}

/// The portal's URL where it helps, and only one that can do no harm as a link.
fn portal<'a>(problem: Problem, particulars: &Particulars<'a>) -> Option<&'a str> {
    let url = particulars.portal_url?;
    let is_web = ["https://", "http://"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    (is_web && another_certificate_helps(problem)).then_some(url)
}

/// Returns `true` if the way on leads by another certificate. A button that says so where it does not would send away
/// whose certificate is good.
const fn another_certificate_helps(problem: Problem) -> bool {
    match problem {
        Problem::Refused(reason) => match reason {
            Reason::NoCertificate
            | Reason::Expired
            | Reason::Revoked
            | Reason::UnknownCa
            | Reason::WrongUsage
            | Reason::BadCertificate
            | Reason::MalformedIdentity => true,
            Reason::NotYetValid
            | Reason::Suspended
            | Reason::Blocked
            | Reason::NotPermitted
            | Reason::RevocationUnavailable => false,
        },
        _ => false,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
