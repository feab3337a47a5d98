//! The feed of revocations, for gateways.

use super::Shared;
use super::problem::{Kind, Problem};
use super::seek::{NoQuery, Seek, json};
use crate::authenticate::{Caller, Right};
use crate::feed::{Feed, NotAcknowledged, NotOpened, gateway_name};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Where acknowledgements go: not counted with the caller's other requests.
pub(super) const ACKNOWLEDGEMENTS: &str = "/v1/feed/acknowledgements";

/// Acknowledgements of one gateway: it sends the newest only, one after the other, and so no more than it gets answers.
pub(super) const ACKNOWLEDGEMENTS_PER_SECOND: u32 = 200;
pub(super) const ACKNOWLEDGEMENTS_AT_ONCE: u32 = 1_000;

/// Authorities that a gateway follows, at most: more than any bank has.
const MAX_FOLLOWED: usize = 256;

/// Where the stream begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FeedQuery {
    /// The sequence number up to which the gateway has everything; absent: it has only the published lists.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// Which gateway it is of those with its certificate: random, kept in its state folder.
    #[param(pattern = "^[0-9a-f]{16}$")]
    instance: Option<String>,
}

/// What a gateway has in force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Acknowledgement)]
pub(super) struct AcknowledgementBody {
    /// The feed's name, as its messages say it.
    #[schema(max_length = 64)]
    feed: String,
    /// Every change up to this sequence number is in force.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    to: u64,
    /// What stands at that number, as the messages say it; empty before the first change.
    #[schema(max_length = 16)]
    mark: String,
    /// Which gateway it is of those with its certificate, as it said when it asked for the feed.
    #[schema(pattern = "^[0-9a-f]{16}$", max_length = 16)]
    instance: Option<String>,
    /// The issuer IDs of the authorities for which the feed is in force there, as messages have them.
    #[schema(max_items = 256)]
    follows: Option<Vec<String>>,
}

/// Follows every change of a certificate's status, as server-sent events; right `feed`. Each event `revocations` is a
/// JWS (ES256) that says which changes there are between two sequence numbers and joins the one before it. It ends only
/// when the service stops.
#[utoipa::path(
    get, path = "/v1/feed", tag = "feed", params(FeedQuery),
    responses((
        status = 200, description = "Events, without end.", content((String = "text/event-stream"))
    ))
)]
pub(super) async fn follow_feed(State(shared): State<Arc<Shared>>, seek: Seek) -> Result<Response, Problem> {
    let query: FeedQuery = seek.query()?;
    let (feed, service) = admitted(&shared, &seek.caller)?;
    let gateway = gateway_name(&service, instance(query.instance.as_deref())?);
    let events = feed.open(gateway, query.after).await?;
    let events = tokio_stream(events).map(Ok::<_, Infallible>);
    let mut response = Body::from_stream(events).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// Says what a gateway has in force; right `feed`.
#[utoipa::path(
    post, path = "/v1/feed/acknowledgements", tag = "feed", request_body = AcknowledgementBody,
    responses((status = 204, description = "It is written down."))
)]
pub(super) async fn acknowledge_feed(
    State(shared): State<Arc<Shared>>,
    seek: Seek,
    request: Request,
) -> Result<StatusCode, Problem> {
    let body = json::<AcknowledgementBody>(&seek, request.into_body(), shared.limits.body).await?;
    seek.query::<NoQuery>()?;
    let (feed, service) = admitted(&shared, &seek.caller)?;
    let gateway = gateway_name(&service, instance(body.instance.as_deref())?);
    let follows = body.follows.map(|follows| is_followed(&follows)).transpose()?;
    feed.acknowledge(&gateway, &body.feed, body.to, &body.mark, follows).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sixteen digits of hex.
fn instance(text: Option<&str>) -> Result<Option<&str>, Problem> {
    let is_one = |text: &str| text.len() == 16 && is_hex(text);
    if text.is_none_or(is_one) { Ok(text) } else { Err(Problem::bad("instance", "is not 16 digits of hex")) }
}

/// The issuer IDs in one text.
fn is_followed(follows: &[String]) -> Result<Arc<str>, Problem> {
    let is_one = |text: &String| text.len() == 64 && is_hex(text);
    if follows.len() > MAX_FOLLOWED || !follows.iter().all(is_one) {
        return Err(Problem::bad("follows", "is not a list of at most 256 issuer IDs in hex"));
    }
    Ok(follows.join(",").into())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The feed and the gateway's name, if it may follow.
fn admitted<'s>(shared: &'s Shared, caller: &Caller) -> Result<(&'s Arc<Feed>, Arc<str>), Problem> {
    match (caller, &shared.feed) {
        (Caller::Service { name, .. }, Some(feed)) if caller.has(Right::Feed) => Ok((feed, Arc::clone(name))),
        // Without [feed] nobody has the right.
        _ => Err(Problem::new(Kind::NotPermitted)),
    }
}

/// What comes, as it comes.
fn tokio_stream<T>(receiver: tokio::sync::mpsc::Receiver<T>) -> impl futures_util::Stream<Item = T> {
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
}

impl From<NotOpened> for Problem {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Ahead => Self::new(Kind::FeedAhead),
            NotOpened::Stopping => Self::new(Kind::Unavailable).because("the service stops"),
            NotOpened::Store(error) => Self::new(Kind::Unavailable).because(error.to_string()),
        }
    }
}

impl From<NotAcknowledged> for Problem {
    fn from(why: NotAcknowledged) -> Self {
        match why {
            NotAcknowledged::OtherFeed => Self::bad("feed", "is another one"),
            NotAcknowledged::Ahead => Self::new(Kind::FeedAhead),
            NotAcknowledged::Busy => Self::new(Kind::Unavailable).because("too many acknowledgements wait"),
            NotAcknowledged::Store(error) => Self::new(Kind::Unavailable).because(error.to_string()),
        }
    }
}
