//! Requests that are neither about a contract nor acts.

use super::Shared;
use super::call::{asked, collect, is_json, malformed};
use super::problem::{Kind, Problem};
use crate::authenticate::Caller;
use axum::body::Body;
use axum::extract::{FromRequestParts, Query, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use std::sync::Arc;

/// A request that is neither about a contract nor an act.
pub(super) struct Seek {
    pub(super) caller: Caller,
    values: Vec<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
}

/// A query that is not there.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

impl FromRequestParts<Arc<Shared>> for Seek {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, Problem> {
        let (asked, _) = asked(parts).await?;
        let params = RawPathParams::from_request_parts(parts, &()).await;
        let params = params.map_err(|_| Problem::bad("path", "is not of its form"))?;
        let values = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { caller: asked.caller, values, uri: parts.uri.clone(), headers: parts.headers.clone() })
    }
}

impl Seek {
    /// The query, every part of it.
    ///
    /// # Errors
    /// `bad-request`.
    pub(super) fn query<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        let wrong = |_| Problem::bad("query", "is not as documented");
        Query::<T>::try_from_uri(&self.uri).map(|Query(query)| query).map_err(wrong)
    }

    /// A part of the path.
    pub(super) fn path_value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A JSON body that is no act's.
///
/// # Errors
/// `bad-request`, `unsupported-media-type`, `payload-too-large`.
pub(super) async fn json<T: serde::de::DeserializeOwned>(seek: &Seek, body: Body, limit: usize) -> Result<T, Problem> {
    let text = collect(body, limit).await;
    if !is_json(&seek.headers) {
        return Err(Problem::new(Kind::UnsupportedMediaType));
    }
    serde_json::from_slice(&text?).map_err(|error| malformed(&error))
}
