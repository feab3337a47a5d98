//! The HTTP API (S13): JSON over axum, its OpenAPI 3.1 document made from the same code.
//!
//! # The way of a request
//! ```text
//! gate (reference number → who calls → limits → time) → Call or Look (path, query, headers, body)
//!     → handler → Service → answer or Problem → gate (problem written, headers, log)
//! ```
//!
//! *Invariant*: nothing is believed of a request but what the authenticator says of its caller. *Invariant*: every
//! refusal is a problem, and what it was exactly goes to the log and not to the caller. *Invariant*: what the
//! document says of a text is what is enforced.

#![allow(unused_qualifications, reason = "what utoipa writes has them")]

mod acts;
mod answer;
mod body;
mod call;
mod contracts;
mod document;
mod feed;
mod gate;
mod idempotency;
mod page;
mod problem;
mod reference;
mod revocations;
mod seek;
mod text;
mod told;
mod tries;
mod users;

use super::authenticate::{Authenticator, Caller};
use super::buckets::Buckets;
use super::feed::Feed;
use super::service::{ChangedStatus, Done, Service};
use super::store::ContractRow;
use answer::{ContractView, DoneView, PropagationView};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use problem::{Kind, Problem};
use sekisho_config::issuer::IssuerLimits;
use sekisho_lifecycle::profile::Profile;
use sekisho_runtime::clock;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tries::Tries;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where the document is.
const DOCUMENT: &str = "/v1/openapi.json";

/// What the API is made of.
#[derive(Clone)]
pub struct ApiState {
    /// Does what is asked.
    pub service: Arc<Service>,
    /// Knows who asks.
    pub authenticator: Arc<Authenticator>,
    /// How much may be asked.
    pub limits: IssuerLimits,
    /// The feed, where there is one.
    pub feed: Option<Arc<Feed>>,
}

/// The API. It is served with [`axum::extract::ConnectInfo`] of [`super::listen::Peer`]; without it nobody is known and
/// everything is refused.
pub fn router(state: ApiState) -> Router {
    let (routes, document) = parts();
    let shared = Arc::new(Shared::new(state, &document));
    routes
        .fallback(gate::not_found)
        .method_not_allowed_fallback(gate::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), gate::gate))
        .with_state(shared)
}

/// The API's OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    parts().1
}

/// The routes and the document, from the same lines.
fn parts() -> (Router<Arc<Shared>>, utoipa::openapi::OpenApi) {
    let (routes, mut document) = OpenApiRouter::with_openapi(document::beginning())
        .routes(routes!(show_document))
        .routes(routes!(contracts::list_contracts, contracts::open_contract))
        .routes(routes!(contracts::show_contract))
        .routes(routes!(contracts::switch_on))
        .routes(routes!(contracts::switch_off))
        .routes(routes!(contracts::equip_contract))
        .routes(routes!(contracts::contract_history))
        .routes(routes!(users::list_users, users::register_user))
        .routes(routes!(users::show_user))
        .routes(routes!(users::show_login))
        .routes(routes!(users::reach_user))
        .routes(routes!(users::equip_user))
        .routes(routes!(users::show_certificate))
        .routes(routes!(users::user_history))
        .routes(routes!(users::user_notices))
        .routes(routes!(acts::offer))
        .routes(routes!(acts::reissue))
        .routes(routes!(acts::acquire))
        .routes(routes!(acts::renew))
        .routes(routes!(acts::revoke))
        .routes(routes!(acts::continue_))
        .routes(routes!(acts::lock))
        .routes(routes!(acts::unlock))
        .routes(routes!(acts::suspend))
        .routes(routes!(acts::resume))
        .routes(routes!(acts::delete))
        .routes(routes!(revocations::show_revocation))
        .routes(routes!(feed::follow_feed))
        .routes(routes!(feed::acknowledge_feed))
        .split_for_parts();
    document::complete(&mut document);
    (routes, document)
}

/// What the handlers share.
struct Shared {
    service: Arc<Service>,
    authenticator: Arc<Authenticator>,
    limits: IssuerLimits,
    feed: Option<Arc<Feed>>,
    callers: Buckets<gate::Who>,
    acknowledgements: Buckets<Arc<str>>,
    strangers: Buckets<IpAddr>,
    tries: Tries,
    document: Bytes,
}

impl Shared {
    fn new(state: ApiState, document: &utoipa::openapi::OpenApi) -> Self {
        let ApiState { service, authenticator, limits, feed } = state;
        let (rate, burst, now) = (limits.requests_per_second, limits.burst, Instant::now());
        Self {
            service,
            authenticator,
            callers: Buckets::new(rate, burst, now),
            acknowledgements: Buckets::new(feed::ACKNOWLEDGEMENTS_PER_SECOND, feed::ACKNOWLEDGEMENTS_AT_ONCE, now),
            strangers: Buckets::new(rate, burst, now),
            tries: Tries::new(rate, burst, now),
            limits,
            feed,
            document: serde_json::to_vec(document).unwrap_or_default().into(),
        }
    }

    /// The profile of a contract.
    fn profile(&self, contract: &ContractRow) -> Result<&Profile, Problem> {
        let unknown = || Problem::new(Kind::Unavailable).because(format!("no profile {:?}", contract.profile));
        self.service.profile(contract).map(|profile| &**profile).ok_or_else(unknown)
    }

    fn contract_view(&self, contract: &ContractRow) -> ContractView {
        ContractView::new(contract, self.service.profile(contract).map(|profile| &**profile))
    }

    /// The answer to an act, once the gateways that are connected have what it changed, or it has waited long enough.
    async fn done_view(&self, done: Done, caller: &Caller) -> Result<DoneView, Problem> {
        let (contract, changed) = (done.contract.clone(), done.changed);
        let mut view = DoneView::new(done, self.profile(&contract)?, caller, clock::now())?;
        view.propagation = self.propagation(changed).await;
        Ok(view)
    }

    /// How far a change of status has come.
    async fn propagation(&self, changed: Option<ChangedStatus>) -> Option<PropagationView> {
        let (feed, changed) = (self.feed.as_ref()?, changed?);
        Some(feed.propagation(changed.sequence, changed.at).await.into())
    }
}

/// Shows this document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "document",
    responses((status = 200, description = "The document.", body = serde_json::Value))
)]
async fn show_document(State(shared): State<Arc<Shared>>, look: call::Look) -> Result<impl IntoResponse, Problem> {
    look.no_query()?;
    Ok(([(header::CONTENT_TYPE, "application/json")], shared.document.clone()))
}
