//! Whether a request may go to an upstream: named steps, each with its refusal.

use super::context::{Admitted, RequestContext};
use super::respond::Answer;
use super::wire;
use crate::gateway::base::limits::Limit;
use crate::gateway::live::connection::{Connection, Identified};
use crate::gateway::request::access::{RouteMatch, Target};
use crate::gateway::request::authority::{Host, request_host, request_scheme};
use crate::gateway::request::headers::{MAX_CERTIFICATE_HEADER_OCTETS, announced_length};
use crate::gateway::request::refusal::Problem;
use crate::gateway::snapshot::site::{Site, Snapshot};
use crate::gateway::tls::handshake::Client;
use crate::gateway::verify::Reason;
use pingora_http::RequestHeader;
use sekisho_runtime::clock;
use std::sync::Arc;

/// Admits a request or gives the answer that refuses it.
///
/// In this order: the header's size; the body's framing, which must have one reading; the host, which must be one and
/// belong to the connection's site (421); who the client is now, by the snapshot in force; the route and what it requires;
/// the announced body's size.
pub(super) fn admit(request: &RequestHeader, ctx: &RequestContext) -> Result<Admitted, Answer> {
    let (connection, snapshot) = (&ctx.connection, &ctx.snapshot);
    header_size(request, snapshot)?;
    let announced = announced_length(&request.headers)?;
    request_scheme(&request.uri)?;
    let target = Target::parse(request.raw_path())?;
    let authority = target.authority.or_else(|| request.uri.authority().map(|authority| authority.as_str()));
    let host = request_host(request.version, authority, &request.headers)?;
    let site = site_of(connection, &host, snapshot)?;
    let client = who(connection, &site, snapshot)?;
    tellable(&client)?;
    let matched = match site.routes.find(target.path, &request.method) {
        RouteMatch::Route(matched) => matched,
        RouteMatch::MethodNotAllowed { allow } => return Err(Answer::method_not_allowed(allow)),
        RouteMatch::NotFound => return Err(Answer::new(Problem::NotFound, "no route")),
        RouteMatch::Ambiguous(error) => return Err(error.into()),
    };
    matched.check(client.verified().map(|client| client.identity()))?;
    body_size(announced, snapshot)?;
    let route = matched.route;
    let pool = snapshot
        .pool(route.pool())
        .ok_or_else(|| Answer::new(Problem::Internal, "the route's pool does not exist"))?
        .clone();
    let timeout = route.timeout().unwrap_or(pool.config().read_timeout);
    // What is upgraded is a stream, and not an answer.
    let finish = route.finish().filter(|_| !wire::asks_for_websocket(request.version, &request.headers));
    let rewritten = target.authority.is_some().then(|| target.origin_form.to_owned());
    let (path, query) = (target.path.to_owned(), target.query().to_owned());
    Ok(Admitted { client, pool, timeout, finish, path, query, host, rewritten })
}

fn header_size(request: &RequestHeader, snapshot: &Snapshot) -> Result<(), Answer> {
    let fields: usize = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let size = fields + request.method.as_str().len() + request.raw_path().len();
    if size > snapshot.config.limits.request_header_bytes {
        return Err(Answer::limit(Problem::HeaderFieldsTooLarge, Limit::RequestHeaderBytes, size));
    }
    Ok(())
}

fn body_size(announced: Option<u64>, snapshot: &Snapshot) -> Result<(), Answer> {
    match announced {
        Some(size) if size > snapshot.config.limits.request_body_bytes => {
            Err(Answer::limit(Problem::ContentTooLarge, Limit::RequestBodyBytes, size))
        }
        _ => Ok(()),
    }
}

/// The connection's site, if the host belongs to it: a certificate checked for one site opens no other (RFC 9110
/// section 15.5.20).
fn site_of(connection: &Connection, host: &Host, snapshot: &Snapshot) -> Result<Arc<Site>, Answer> {
    let site = connection.site(snapshot);
    match (site, snapshot.sites.for_host(host)) {
        (Some(site), Some(wanted)) if Arc::ptr_eq(&wanted, &site) => Ok(site),
        _ => {
            let evidence = format!("{host} does not belong to site {}", connection.site_name());
            Err(Answer::new(Problem::Misdirected, evidence))
        }
    }
}

/// Refuses a client whose certificates do not fit in the header that tells the application about them.
fn tellable(client: &Identified) -> Result<(), Answer> {
    match client.headers.too_large() {
        None => Ok(()),
        Some(name) => {
            let evidence =
                format!("its certificates take more than the {MAX_CERTIFICATE_HEADER_OCTETS} bytes of {name}");
            Err(Answer::new(Problem::Refused(Reason::BadCertificate), evidence))
        }
    }
}

fn who(connection: &Connection, site: &Site, snapshot: &Snapshot) -> Result<Arc<Identified>, Answer> {
    let identified = connection.authorize(site, snapshot, clock::now());
    match &identified.client {
        Client::Refused(refusal) => Err(refusal.clone().into()),
        Client::Pending(pending) => Err(pending.refusal.clone().into()),
        Client::Anonymous | Client::Verified(_) => Ok(identified),
    }
}
