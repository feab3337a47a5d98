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

/// The kind of a [`FetchError`]; its name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchErrorKind {
    /// The CRL covers other certificates than the one that is kept and fresh.
    OtherScope,
    /// There is no answer.
    Unreachable,
    /// There is no whole answer in time.
    Timeout,
    /// Too few bytes came in a while.
    TooSlow,
    /// The CRL is larger than the limit.
    TooLarge,
    /// The answer is a redirect.
    Redirected,
    /// The answer's status is neither 200 nor 304.
    Status,
    /// The answer has a content coding.
    Encoded,
    /// The answer ended early.
    Interrupted,
    /// The CRL cannot be stored.
    Storage,
    /// The CRL is refused, as one in a file would be.
    Refused(AlarmKind),
}

/// What an attempt came to; its name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// A new CRL came.
    New,
    /// The CRL is the one that is kept.
    Unchanged,
    /// Nothing usable came.
    Failed(FetchErrorKind),
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
    /// Returns its kind.
    pub const fn kind(&self) -> FetchErrorKind {
        match self {
            Self::Download(error) => error.kind(),
            Self::Refused(kind, _) => FetchErrorKind::Refused(*kind),
            Self::OtherScope(_) => FetchErrorKind::OtherScope,
        }
    }
}

impl FetchErrorKind {
    /// Every kind.
    pub const ALL: [Self; 10 + AlarmKind::ALL.len()] = {
        let mut all = [Self::OtherScope; 10 + AlarmKind::ALL.len()];
        all[1] = Self::Unreachable;
        all[2] = Self::Timeout;
        all[3] = Self::TooSlow;
        all[4] = Self::TooLarge;
        all[5] = Self::Redirected;
        all[6] = Self::Status;
        all[7] = Self::Encoded;
        all[8] = Self::Interrupted;
        all[9] = Self::Storage;
        let mut index = 0;
        while index < AlarmKind::ALL.len() {
            all[10 + index] = Self::Refused(AlarmKind::ALL[index]);
            index += 1;
        }
        all
    };

    /// Returns the stable name: `too-large`, `rolled-back`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherScope => "other-scope",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::TooSlow => "too-slow",
            Self::TooLarge => "too-large",
            Self::Redirected => "redirected",
            Self::Status => "status",
            Self::Encoded => "encoded",
            Self::Interrupted => "interrupted",
            Self::Storage => "storage",
            Self::Refused(kind) => kind.as_str(),
        }
    }
}

impl FetchOutcome {
    /// Every outcome.
    pub const ALL: [Self; 2 + FetchErrorKind::ALL.len()] = {
        let mut all = [Self::New; 2 + FetchErrorKind::ALL.len()];
        all[1] = Self::Unchanged;
        let mut index = 0;
        while index < FetchErrorKind::ALL.len() {
            all[2 + index] = Self::Failed(FetchErrorKind::ALL[index]);
            index += 1;
        }
        all
    };

    /// Returns the outcome of an attempt.
    pub const fn of(outcome: &Result<Fetched, FetchError>) -> Self {
        match outcome {
            Ok(Fetched::New) => Self::New,
            Ok(Fetched::Unchanged) => Self::Unchanged,
            Err(error) => Self::Failed(error.kind()),
        }
    }

    /// Returns the stable name: `new`, `unchanged`, or that of the error.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unchanged => "unchanged",
            Self::Failed(kind) => kind.as_str(),
        }
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
