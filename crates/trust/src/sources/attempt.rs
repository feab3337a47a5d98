//! One attempt to have a newer list: download, judge, keep.

use super::download::{Bounds, DownloadError, Downloaded, Validators, download};
use super::judge::{Asked, Ground, Judged, Unfit, judge};
use super::kept::{KeptLists, Note};
use super::report::{FetchError, FetchReport, Fetched};
use super::shares::Shares;
use super::target::{self, Target};
use super::tls;
use crate::accept::Rejection;
use crate::alarm::AlarmKind;
use crate::files;
use crate::load::{authorities, policy};
use crate::yielding;
use reqwest::{Client, Url};
use sekisho_config::{Ca, ConfigError, Fetch};
use sekisho_runtime::clock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Downloads at once for each CA: each holds a connection and a file; a dripping server holds its place for `timeout` at
/// most. Not for all together: the slow servers of one CA are not to hold up another's lists.
const MAX_DOWNLOADS: usize = 8;

/// Lists judged at once: each is wholly in memory, with its index, while that lasts.
const MAX_JUDGED: usize = 2;

/// Places for what goes on at once.
#[derive(Debug)]
pub(super) struct Places {
    /// By the CA's name.
    downloads: Shares<Arc<str>>,
    pub(super) judging: Semaphore,
}

impl Default for Places {
    fn default() -> Self {
        Self { downloads: Shares::of(MAX_DOWNLOADS), judging: Semaphore::new(MAX_JUDGED) }
    }
}

/// Fetches what is configured and not kept, once each and at the same time, before there is a gateway to serve: for a
/// first start, which would else be one without lists. Removes what the process before left unfinished.
///
/// Nothing is fetched for CAs that are wrong; [`crate::load()`] tells of them.
///
/// # Errors
/// At `[gateway.fetch] ca`, when it cannot be used.
pub async fn prime(cas: &[Ca], settings: &Fetch, kept: &KeptLists) -> Result<Vec<FetchReport>, ConfigError> {
    kept.forget_unfinished();
    let Ok(authorities) = authorities(cas) else { return Ok(Vec::new()) };
    let client = tls::client(settings)?;
    let mut attempts = JoinSet::new();
    let places = Arc::new(Places::default());
    let targets = cas.iter().flat_map(|ca| target::configured(ca).map(move |target| (ca, target)));
    for (ca, target) in targets.filter(|(_, target)| !kept.path(target).is_file()) {
        let (client, settings, kept) = (client.clone(), settings.clone(), kept.clone());
        let policy = policy(&ca.revocation).unwrap_or_default();
        let (ground, places) = (Ground { authorities: authorities.clone(), policy }, Arc::clone(&places));
        attempts.spawn(async move {
            let target = Arc::new(target);
            let attempt = Attempt { client: &client, settings: &settings, kept: &kept, places: &places };
            let (_, outcome) = attempt.run(&target, ground, Judged::default()).await;
            FetchReport { target, outcome }
        });
    }
    Ok(attempts.join_all().await)
}

/// One attempt.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) settings: &'a Fetch,
    pub(super) kept: &'a KeptLists,
    pub(super) places: &'a Places,
}

/// A file that is gone when this is, unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Attempt<'_> {
    /// Downloads, judges, and keeps what is new. Gives what is kept afterwards.
    pub(super) async fn run(
        &self,
        target: &Arc<Target>,
        ground: Ground,
        before: Judged,
    ) -> (Judged, Result<Fetched, FetchError>) {
        let unfinished = Unfinished(self.kept.unfinished());
        let known = if before.facts().is_some() { self.kept.note(target).map(|note| note.validators) } else { None };
        let known = known.unwrap_or_default();
        match self.download(target, &known, &unfinished.0).await {
            Err(error) => (before, Err(FetchError::Download(error))),
            Ok(Downloaded::NotModified) => {
                // Only when it was asked for is lost with it.
                let _ = self.kept.write_note(target, &Note::new(target, known, clock::now()));
                (before, Ok(Fetched::Unchanged))
            }
            Ok(Downloaded::Body(validators)) => self.judge(target, ground, before, unfinished, validators).await,
        }
    }

    async fn download(&self, target: &Target, known: &Validators, into: &Path) -> Result<Downloaded, DownloadError> {
        let _place = self.places.downloads.take(&target.ca).await;
        let url = Url::parse(&target.url).map_err(|error| DownloadError::Unreachable(error.to_string()))?;
        let bounds = Bounds { timeout: self.settings.timeout, octets: self.settings.list_bytes };
        download(self.client, &url, known, bounds, into).await
    }

    async fn judge(
        &self,
        target: &Arc<Target>,
        ground: Ground,
        before: Judged,
        unfinished: Unfinished,
        validators: Validators,
    ) -> (Judged, Result<Fetched, FetchError>) {
        let _place = self.places.judging.acquire().await;
        let (kept, target, old) = (self.kept.clone(), Arc::clone(target), before.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let asked = Asked { ca: &target.ca, url: &target.url, ground: &ground };
            let new = judge_file(&asked, &unfinished.0, &old)?;
            let note = Note::new(&target, validators, clock::now());
            let storage = |error: std::io::Error| DownloadError::Storage(error.to_string());
            if new.is_same_as(&old) {
                kept.write_note(&target, &note).map_err(storage)?;
                return Ok((new, Fetched::Unchanged));
            }
            kept.replace(&target, &unfinished.0, &note).map_err(storage)?;
            Ok((new, Fetched::New))
        });
        match judged.await {
            Ok(Ok((new, fetched))) => (new, Ok(fetched)),
            Ok(Err(error)) => (before, Err(error)),
            Err(panic) => (before, Err(FetchError::Refused(AlarmKind::Malformed, panic.to_string()))),
        }
    }
}

/// Judges a file as it lies there, making way for others.
pub(super) fn judge_file(asked: &Asked<'_>, path: &Path, before: &Judged) -> Result<Judged, FetchError> {
    yielding(|| {
        let octets = files::read(path, files::MAX_LIST_FILE_OCTETS)
            .map_err(|message| FetchError::Refused(AlarmKind::Unreadable, message))?;
        judge(asked, &octets, before, clock::now()).map_err(|unfit| match unfit {
            Unfit::Refused(Rejection { kind, message, .. }) => FetchError::Refused(kind, message),
            Unfit::OtherScope(message) => FetchError::OtherScope(message),
        })
    })
}
