//! One list from one server into a file, within bounds: the server is not trusted with anything.

use super::report::FetchErrorKind;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use sekisho_runtime::telemetry::outbound::with_causes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

/// How often the speed of a download is looked at.
const SPEED_WINDOW: Duration = Duration::from_secs(5);

/// Octets that must have come in each [`SPEED_WINDOW`] but the last: 1 KiB/s. A server that drips holds a place among
/// the downloads at once that others wait for.
const LEAST_IN_WINDOW: u64 = 5 * 1024;

/// Characters of an ETag or a date that are kept and sent back: real ones have some dozens.
const MAX_VALIDATOR_OCTETS: usize = 1_024;

/// Characters of a header that are told, in the log and to who asks for the status: a URL, of ordinary length.
const MAX_TOLD_CHARACTERS: usize = 256;

/// Bounds of one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In all, from the name's resolution to the last octet.
    pub timeout: Duration,
    /// Octets of the body.
    pub octets: u64,
}

/// What the server said of the list it gave, to ask whether there is another (RFC 9110 section 13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

/// What a download came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Downloaded {
    /// 304: what is kept is what the server has.
    NotModified,
    /// The body is in the file, whole and on disk.
    Body(Validators),
}

/// Why there is nothing from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// No connection, no TLS, or no HTTP.
    Unreachable(String),
    /// The answer did not end within `timeout`.
    Timeout(Duration),
    /// It came slower than 1 KiB/s.
    TooSlow,
    /// It has more octets than `list_bytes`.
    TooLarge(u64),
    /// It points elsewhere: a list is at its own URL or nowhere.
    Redirected(String),
    /// A status that is no answer.
    Status(u16),
    /// A content coding, which nobody asked for.
    Encoded(String),
    /// It ended before its announced end.
    Interrupted(String),
    /// It could not be written.
    Storage(String),
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            (value.len() <= MAX_VALIDATOR_OCTETS).then(|| value.to_owned())
        };
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let conditions = [(header::IF_NONE_MATCH, &self.etag), (header::IF_MODIFIED_SINCE, &self.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// Asks for `url`, unless it is still what `known` tells of, and writes the body to a new file at `into`.
///
/// # Errors
/// [`DownloadError`]; what is at `into` is then of no use.
pub(super) async fn download(
    client: &Client,
    url: &Url,
    known: &Validators,
    bounds: Bounds,
    into: &Path,
) -> Result<Downloaded, DownloadError> {
    let whole = async {
        let request = client.get(url.clone()).headers(known.headers()).header(header::ACCEPT_ENCODING, "identity");
        let response = request.send().await.map_err(|error| failure(&error, bounds, DownloadError::Unreachable))?;
        if response.status() == StatusCode::NOT_MODIFIED && *known != Validators::default() {
            return Ok(Downloaded::NotModified);
        }
        acceptable(&response, bounds)?;
        let validators = Validators::of(response.headers());
        write_body(response, bounds, into).await?;
        Ok(Downloaded::Body(validators))
    };
    tokio::time::timeout(bounds.timeout, whole).await.unwrap_or(Err(DownloadError::Timeout(bounds.timeout)))
}

/// Whether the head announces a list that would be read.
fn acceptable(response: &Response, bounds: Bounds) -> Result<(), DownloadError> {
    let header = |name: HeaderName| response.headers().get(name).map(|value| told(value.as_bytes()));
    let status = response.status();
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return Err(DownloadError::Redirected(header(header::LOCATION).unwrap_or_default()));
    }
    if status != StatusCode::OK {
        return Err(DownloadError::Status(status.as_u16()));
    }
    if let Some(coding) = header(header::CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(DownloadError::Encoded(coding));
    }
    if response.content_length().is_some_and(|octets| octets > bounds.octets) {
        return Err(DownloadError::TooLarge(bounds.octets));
    }
    Ok(())
}

/// What a server wrote, as far as it is told.
fn told(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let mut told: String = text.chars().take(MAX_TOLD_CHARACTERS).collect();
    if text.chars().nth(MAX_TOLD_CHARACTERS).is_some() {
        told.push('…');
    }
    told
}

async fn write_body(mut response: Response, bounds: Bounds, into: &Path) -> Result<(), DownloadError> {
    let storage = |error: std::io::Error| DownloadError::Storage(format!("{}: {error}", into.display()));
    let mut file = create(into).await.map_err(storage)?;
    let (mut octets, mut in_window) = (0_u64, 0_u64);
    let mut window_ends = Instant::now() + SPEED_WINDOW;
    loop {
        let chunk = match tokio::time::timeout_at(window_ends, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| failure(&error, bounds, DownloadError::Interrupted))?,
            Err(_) if in_window < LEAST_IN_WINDOW => return Err(DownloadError::TooSlow),
            Err(_) => {
                (in_window, window_ends) = (0, Instant::now() + SPEED_WINDOW);
                continue;
            }
        };
        let Some(chunk) = chunk else { break };
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        octets = octets.saturating_add(length);
        in_window = in_window.saturating_add(length);
        if octets > bounds.octets {
            return Err(DownloadError::TooLarge(bounds.octets));
        }
        file.write_all(&chunk).await.map_err(storage)?;
    }
    file.flush().await.map_err(storage)?;
    file.sync_all().await.map_err(storage)
}

/// For us alone to write: what lies there is given to the judge as it is.
async fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await
}

fn failure(error: &reqwest::Error, bounds: Bounds, other: impl FnOnce(String) -> DownloadError) -> DownloadError {
    if error.is_timeout() { DownloadError::Timeout(bounds.timeout) } else { other(why(error)) }
}

/// Why it failed, without the URL, which is told beside it.
pub(super) fn why(error: &reqwest::Error) -> String {
    with_causes("it failed", error)
}

impl DownloadError {
    /// Returns its kind.
    pub const fn kind(&self) -> FetchErrorKind {
        match self {
            Self::Unreachable(_) => FetchErrorKind::Unreachable,
            Self::Timeout(_) => FetchErrorKind::Timeout,
            Self::TooSlow => FetchErrorKind::TooSlow,
            Self::TooLarge(_) => FetchErrorKind::TooLarge,
            Self::Redirected(_) => FetchErrorKind::Redirected,
            Self::Status(_) => FetchErrorKind::Status,
            Self::Encoded(_) => FetchErrorKind::Encoded,
            Self::Interrupted(_) => FetchErrorKind::Interrupted,
            Self::Storage(_) => FetchErrorKind::Storage,
        }
    }
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "no answer: {why}"),
            Self::Timeout(after) => write!(f, "no whole answer within {after:?}"),
            Self::TooSlow => write!(f, "fewer than {LEAST_IN_WINDOW} octets in {SPEED_WINDOW:?}"),
            Self::TooLarge(limit) => write!(f, "more than {limit} octets"),
            Self::Redirected(to) => write!(f, "a redirect, which is not followed, to {to:?}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Encoded(coding) => write!(f, "content coding {coding:?}, which was not asked for"),
            Self::Interrupted(why) => write!(f, "it ended early: {why}"),
            Self::Storage(why) => write!(f, "it cannot be kept: {why}"),
        }
    }
}

impl std::error::Error for DownloadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_of_as_many_octets_as_may_be_is_kept_and_a_longer_one_is_not_sent_back() {
        for (octets, is_kept) in [(MAX_VALIDATOR_OCTETS, true), (MAX_VALIDATOR_OCTETS + 1, false)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ETAG, HeaderValue::from_str(&"x".repeat(octets)).unwrap());
            let validators = Validators::of(&headers);
            assert_eq!(validators.headers().contains_key(header::IF_NONE_MATCH), is_kept, "{octets}");
        }
    }
}
