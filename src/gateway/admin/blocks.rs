//! `/blocks` of the admin address: the block list, for whoever has the token.
//!
//! `GET /blocks` lists, `POST /blocks` adds or replaces one, `DELETE /blocks/ID` removes one. Bodies are JSON.

use super::answer;
use crate::gateway::Gateway;
use crate::gateway::base::admin_token::may_come_from;
use crate::gateway::metrics::Act;
use crate::gateway::revocation::blocks::{self, ChangeError, Changed};
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora_core::protocols::http::ServerSession;
use sekisho_runtime::clock;
use sekisho_trust::blocks::{Block, BlockId, Written, WrittenError, act_of};
use serde::Deserialize;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Octets of a body: the texts of a block, as long as they may be and escaped, take 5 KiB.
const MAX_BODY_OCTETS: usize = 8 * 1024;
/// How long a body may take to come, all of it: programs send it with the header.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

const JSON: &str = "application/json";
/// RFC 9457.
const PROBLEM: &str = "application/problem+json";

/// Where the list is.
const PATH: &str = "/blocks";

/// What is wrong with a request.
struct Problem {
    status: StatusCode,
    name: &'static str,
    detail: String,
    allow: Option<&'static str>,
}

/// The body of a removal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    reason: String,
    by: String,
}

/// Whether a path is one of the list's.
pub(super) fn is_mine(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to a request for one of these paths.
pub(super) async fn respond(
    gateway: &Arc<Gateway>,
    peer: SocketAddr,
    session: &mut ServerSession,
) -> Response<Vec<u8>> {
    let has_body = session.req_header().method != Method::HEAD;
    let mut response = match handle(gateway, peer, session).await {
        Ok(response) => response,
        Err(problem) => {
            // A body that was not read is, after the answer: a close with it unread would destroy the answer.
            session.set_total_drain_timeout(Some(BODY_TIMEOUT));
            problem.response()
        }
    };
    if !has_body {
        response.body_mut().clear();
    }
    response
}

async fn handle(
    gateway: &Arc<Gateway>,
    peer: SocketAddr,
    session: &mut ServerSession,
) -> Result<Response<Vec<u8>>, Problem> {
    authorize(gateway, peer, session)?;
    let request = session.req_header();
    let (method, path) = (request.method.clone(), request.uri.path().to_owned());
    if request.uri.query().is_some() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", "this path takes no query"));
    }
    match (method, path.strip_prefix(PATH).unwrap_or_default()) {
        (Method::GET, "") => Ok(list(gateway)),
        (Method::POST, "") => {
            let block = requested(gateway, &body(session).await?)?;
            changed(gateway, move |gateway| blocks::add(gateway, block, peer)).await
        }
        (Method::DELETE, id) if !id.is_empty() => {
            let text = id.strip_prefix('/').unwrap_or_default();
            let id = BlockId::parse(text).ok_or_else(|| Problem::unknown(format!("there is no block {text:?}")))?;
            let Removal { reason, by } = read(&body(session).await?)?;
            let (reason, by) = act_of(reason, by)?;
            changed(gateway, move |gateway| blocks::remove(gateway, &id, (&reason, &by), peer)).await
        }
        (_, "") => Err(Problem::method("GET, POST")),
        _ => Err(Problem::method("DELETE")),
    }
}

/// Who may read and change the list; whoever may not is recorded.
fn authorize(gateway: &Gateway, peer: SocketAddr, session: &ServerSession) -> Result<(), Problem> {
    let snapshot = gateway.snapshot();
    let Some(token) = &snapshot.admin_token else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not-configured",
            "gateway.admin_token_file is not configured, so nobody may read or change the block list",
        ));
    };
    if !may_come_from(snapshot.config.gateway.admin_token_from, peer) {
        blocks::deny(gateway, peer, "not from this machine");
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not-from-here",
            "the token is taken from this machine only; gateway.admin_token_from says from where",
        ));
    }
    let mut shown = session.req_header().headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (shown.next(), shown.next());
    if second.is_none() && token.is_shown_in(first.map(HeaderValue::as_bytes)) {
        return Ok(());
    }
    blocks::deny(gateway, peer, "no token or a wrong one");
    Err(Problem::new(StatusCode::UNAUTHORIZED, "no-token", "show the token: Authorization: Bearer TOKEN"))
}

/// Who is blocked, the latest last.
fn list(gateway: &Gateway) -> Response<Vec<u8>> {
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    let mut blocks: Vec<_> = snapshot.trust.live().blocks.iter().filter(|block| block.is_in_force(now)).collect();
    blocks.sort_by_key(|block| (block.added, block.id()));
    let blocks: Vec<Written> = blocks.into_iter().map(Written::from).collect();
    json_answer(StatusCode::OK, JSON, &json!({ "blocks": blocks }))
}

/// The block that a body asks for.
fn requested(gateway: &Gateway, body: &[u8]) -> Result<Block, Problem> {
    let written: Written = read(body)?;
    let snapshot = gateway.snapshot();
    let block = written.request(clock::now(), |ca| match snapshot.trust.authority_named(ca) {
        Some(authority) => Ok(authority.key()),
        None => {
            let known = snapshot.trust.authorities().iter().map(|authority| &**authority.name());
            Err(format!("ca {ca:?} is not configured here; there are {}", known.collect::<Vec<_>>().join(", ")))
        }
    })?;
    Ok(block)
}

/// Makes a change where waiting for the disk and for the sweep holds up nobody.
async fn changed(
    gateway: &Arc<Gateway>,
    change: impl FnOnce(&Gateway) -> Result<Changed, ChangeError> + Send + 'static,
) -> Result<Response<Vec<u8>>, Problem> {
    let gateway = Arc::clone(gateway);
    let Ok(outcome) = tokio::task::spawn_blocking(move || change(&gateway)).await else {
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the change failed; ask for the list"));
    };
    let changed = outcome.map_err(|error| Problem::of(&error))?;
    let status = if changed.act == Act::Added { StatusCode::CREATED } else { StatusCode::OK };
    let written = Written::from(&changed.block);
    Ok(json_answer(status, JSON, &json!({ "act": changed.act.as_str(), "block": written, "cut": changed.cut })))
}

/// The body, whole, as long as it may be.
async fn body(session: &mut ServerSession) -> Result<Vec<u8>, Problem> {
    let content_type = session.req_header().headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media_type = content_type.and_then(|value| value.split(|octet| *octet == b';').next()).unwrap_or_default();
    if !media_type.trim_ascii().eq_ignore_ascii_case(JSON.as_bytes()) {
        let detail = "send Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad-request", detail));
    }
    let reading = async {
        let mut body = Vec::new();
        while let Some(piece) = session.read_request_body().await.map_err(|_| ())? {
            if body.len().saturating_add(piece.len()) > MAX_BODY_OCTETS {
                let detail = format!("a body has at most {MAX_BODY_OCTETS} octets");
                return Ok(Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad-request", detail)));
            }
            body.extend_from_slice(&piece);
        }
        Ok::<_, ()>(Ok(body))
    };
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(())) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", "the body broke off")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "bad-request", "the body did not come in time")),
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail);
    // An array of the values in the order in which we happen to declare them would be one too.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(wrong("send a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))
}

fn json_answer(status: StatusCode, content_type: &'static str, value: &serde_json::Value) -> Response<Vec<u8>> {
    let mut body = value.to_string().into_bytes();
    body.push(b'\n');
    answer(status, content_type, body)
}

impl Problem {
    fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Self {
        Self { status, name, detail: detail.into(), allow: None }
    }

    fn method(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "bad-request", detail) }
    }

    fn unknown(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-block", detail)
    }

    fn of(error: &ChangeError) -> Self {
        let (status, name) = match error {
            ChangeError::NoFolder => (StatusCode::CONFLICT, "no-state-folder"),
            ChangeError::TooMany => (StatusCode::CONFLICT, "list-full"),
            ChangeError::Unknown(_) => (StatusCode::NOT_FOUND, "unknown-block"),
            ChangeError::NotRemoved(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-removed"),
            ChangeError::NotKept(..) => (StatusCode::INTERNAL_SERVER_ERROR, "not-kept"),
        };
        Self::new(status, name, error.to_string())
    }

    fn response(self) -> Response<Vec<u8>> {
        let document = json!({
            "type": format!("urn:sekisho:admin:{}", self.name),
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = json_answer(self.status, PROBLEM, &document);
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<WrittenError> for Problem {
    fn from(error: WrittenError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", error.0)
    }
}
