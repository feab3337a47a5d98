//! Where the gateway's public keys come from: a file, or the gateway's admin address.

use super::key_set::{KeySet, KeySetError, MOST_OCTETS, PublicKey};
use super::outbound;
use arc_swap::ArcSwapOption;
use reqwest::header::ACCEPT;
use reqwest::{Client, StatusCode, Url};
use sekisho_config::issuer::{GatewayKeys, JwksSource};
use sekisho_config::{ConfigError, Place};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::telemetry::outbound::describe;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Seconds between two looks at a file.
const FILE_INTERVAL: i64 = 1;

/// Seconds between two fetches: tokens with made-up `kid`s cannot make more. A new key of the gateway's is known so soon
/// after its first use, though it should be published before.
const FETCH_INTERVAL: i64 = 5;

/// Seconds after which keys are fetched anew though all are known: so soon one that the gateway withdrew is gone.
const REFRESH_INTERVAL: i64 = 300;

/// For one fetch; a request waits for it where the `kid` is not known.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// The gateway's keys as last read. The last good set serves on while no other can be read.
pub(super) struct Keys {
    source: Source,
    current: ArcSwapOption<KeySet>,
    state: Mutex<State>,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The gateway has none of that `kid`.
    Unknown,
    /// It cannot be known now. Why, for the log.
    Unavailable(Arc<str>),
}

enum Source {
    File(PathBuf),
    Url(Url, Client),
}

#[derive(Default)]
struct State {
    /// When the source was last looked at.
    attempted: Option<Timestamp>,
    /// Why that failed, where it did.
    failed: Option<Arc<str>>,
    /// The file as it was when it was last read.
    seen: Option<FileVersion>,
}

/// What tells one version of a file from another: device, inode, size, mtime in seconds and nanoseconds.
type FileVersion = [u64; 5];

impl Keys {
    /// A file is read at once. A URL is asked when a key is needed: the gateway may start later.
    ///
    /// # Errors
    /// The file cannot be used, or the URL is none that may be asked.
    pub(super) fn new(config: &GatewayKeys) -> Result<Arc<Self>, ConfigError> {
        let place = &config.jwks.place;
        let (source, keys, seen) = match &config.jwks.value {
            JwksSource::File(path) => {
                let refuse = |why| ConfigError { place: place.clone(), message: format!("{}: {why}", path.display()) };
                let (keys, seen) = read(path).map_err(refuse)?;
                (Source::File(path.clone()), Some(Arc::new(keys)), Some(seen))
            }
            JwksSource::Url(url) => (fetched_from(url, config, place)?, None, None),
        };
        let state = Mutex::new(State { seen, ..State::default() });
        Ok(Arc::new(Self { source, current: ArcSwapOption::new(keys), state }))
    }

    /// The key of a `kid`.
    ///
    /// # Errors
    /// [`NoKey`].
    pub(super) async fn find(self: &Arc<Self>, key_id: &str, now: Timestamp) -> Result<PublicKey, NoKey> {
        match (&self.source, self.known(key_id)) {
            (Source::Url(..), Some(key)) => {
                self.refresh_meanwhile(now);
                return Ok(key);
            }
            (Source::Url(..), None) => self.refresh(now, FETCH_INTERVAL).await,
            (Source::File(_), _) => self.refresh(now, FILE_INTERVAL).await,
        }
        if let Some(key) = self.known(key_id) {
            return Ok(key);
        }
        // A key that is not known while the source does not answer may be a new one: try again.
        match &self.state.lock().await.failed {
            Some(why) => Err(NoKey::Unavailable(Arc::clone(why))),
            None => Err(NoKey::Unknown),
        }
    }

    fn known(&self, key_id: &str) -> Option<PublicKey> {
        self.current.load().as_ref()?.find(key_id).cloned()
    }

    /// Looks at the source, unless that was done less than `interval` seconds ago. Whoever comes meanwhile waits.
    async fn refresh(&self, now: Timestamp, interval: i64) {
        let mut state = self.state.lock().await;
        if state.is_recent(now, interval) {
            return;
        }
        state.attempted = Some(now);
        let loaded = match &self.source {
            Source::File(path) => reread(path, &mut state.seen).await,
            Source::Url(url, client) => fetch(url, client).await.map(Some),
        };
        match loaded {
            Ok(keys) => {
                if let Some(keys) = keys {
                    self.current.store(Some(Arc::new(keys)));
                }
                state.failed = None;
            }
            Err(why) => {
                tracing::warn!(source = %self.source, why, "the gateway's keys cannot be read; the last good ones serve on");
                state.failed = Some(why.into());
            }
        }
    }

    /// Refreshes in the background keys that are old, while they serve on.
    fn refresh_meanwhile(self: &Arc<Self>, now: Timestamp) {
        let Ok(state) = self.state.try_lock() else { return };
        let interval = if state.failed.is_some() { FETCH_INTERVAL } else { REFRESH_INTERVAL };
        if !state.is_recent(now, interval) {
            let keys = Arc::clone(self);
            tokio::spawn(async move { keys.refresh(now, interval).await });
        }
    }
}

impl State {
    fn is_recent(&self, now: Timestamp, interval: i64) -> bool {
        // A clock that was set back does not keep the keys old.
        self.attempted.is_some_and(|then| (0..interval).contains(&now.unix().saturating_sub(then.unix())))
    }
}

fn fetched_from(url: &str, config: &GatewayKeys, place: &Place) -> Result<Source, ConfigError> {
    let url = outbound::url(url, place)?;
    let client = outbound::client(config.jwks_ca.as_ref(), &url, place, FETCH_TIMEOUT)?;
    Ok(Source::Url(url, client))
}

async fn fetch(url: &Url, client: &Client) -> Result<KeySet, String> {
    let request = client.get(url.clone()).header(ACCEPT, "application/jwk-set+json, application/json");
    let response = request.send().await.map_err(|error| describe(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("the answer's status is {}", response.status().as_u16()));
    }
    let body = outbound::body(response, MOST_OCTETS).await?;
    KeySet::parse(&body).map_err(|error| error.to_string())
}

/// The keys of a file that changed since it was seen.
async fn reread(path: &Path, seen: &mut Option<FileVersion>) -> Result<Option<KeySet>, String> {
    let owned = path.to_owned();
    let before = *seen;
    let read = tokio::task::spawn_blocking(move || {
        let metadata = std::fs::metadata(&owned).map_err(|error| error.to_string())?;
        if before == Some(version(&metadata)) { Ok(None) } else { read(&owned).map(Some) }
    });
    match read.await.map_err(|error| error.to_string())?? {
        None => Ok(None),
        Some((keys, version)) => {
            *seen = Some(version);
            Ok(Some(keys))
        }
    }
}

fn read(path: &Path) -> Result<(KeySet, FileVersion), String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let version = version(&file.metadata().map_err(|error| format!("cannot be read: {error}"))?);
    let mut json = Vec::new();
    let most = u64::try_from(MOST_OCTETS).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut json).map_err(|error| format!("cannot be read: {error}"))?;
    let keys = KeySet::parse(&json).map_err(|error: KeySetError| error.to_string())?;
    Ok((keys, version))
}

fn version(metadata: &std::fs::Metadata) -> FileVersion {
    [
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime().cast_unsigned(),
        metadata.mtime_nsec().cast_unsigned(),
    ]
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url, _) => url.fmt(f),
        }
    }
}
