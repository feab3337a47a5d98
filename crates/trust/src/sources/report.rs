//! What came of fetching: for whoever counts, logs and shows it.

use super::download::DownloadError;
use super::judge::ListFacts;
use super::target::Target;
use crate::alarm::AlarmKind;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What one attempt came to.
#[derive(Clone, Debug)]
pub struct FetchReport {
    /// What was asked for.
    pub target: Arc<Target>,
    /// What came of it.
    pub outcome: Result<Fetched, FetchError>,
}

/// What a server that answered had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Another list than the one kept before; it is kept now.
    New,
    /// The list that is kept.
    Unchanged,
}

/// Why an attempt changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// Nothing usable came from the server.
    Download(DownloadError),
    /// The list is refused, as one in a file would be.
    Refused(AlarmKind, String),
    /// The list speaks of other certificates than the one that is kept and fresh.
    OtherScope(String),
}

/// A source as it stands, for metrics and readiness.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// What is asked for.
    pub target: Arc<Target>,
    /// The file that its list is kept in.
    pub path: PathBuf,
    /// What the last attempt came to; none before the first.
    pub outcome: Option<Result<Fetched, FetchError>>,
    /// Attempts in a row that failed.
    pub failures: u32,
    /// When the last attempt ended.
    pub tried_at: Option<Timestamp>,
    /// When the server last said what its list is.
    pub answered_at: Option<Timestamp>,
    /// When the next attempt is due.
    pub due_at: Option<Timestamp>,
    /// The list that is kept.
    pub list: Option<ListFacts>,
}

impl From<DownloadError> for FetchError {
    fn from(error: DownloadError) -> Self {
        Self::Download(error)
    }
}

impl FetchError {
    /// The stable name, for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Download(error) => error.name(),
            Self::Refused(kind, _) => kind.name(),
            Self::OtherScope(_) => "other-scope",
        }
    }
}

/// The stable name of an outcome, for metrics: `new`, `unchanged`, or why nothing changed.
pub const fn outcome_name(outcome: &Result<Fetched, FetchError>) -> &'static str {
    match outcome {
        Ok(Fetched::New) => "new",
        Ok(Fetched::Unchanged) => "unchanged",
        Err(error) => error.name(),
    }
}

impl FetchReport {
    /// [`outcome_name`] of its outcome.
    pub const fn outcome_name(&self) -> &'static str {
        outcome_name(&self.outcome)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Download(error) => error.fmt(f),
            Self::Refused(_, message) | Self::OtherScope(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for FetchError {}
