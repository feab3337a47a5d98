//! Opens the store.

use super::database::{Database, Pools};
use super::migrate::{Purpose, migrate};
use super::sql_store::SqlStore;
use super::{Store, StoreError};
use crate::audit::Broken;
use crate::secret::ServiceSecret;
use sekisho_config::issuer::{StoreConfig, StoreUrl};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a writer of SQLite waits for one of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two tries at a new file that others are opening.
const LOCKED_PAUSE: Duration = Duration::from_millis(50);

/// Pages that SQLite's log holds before a writer puts them into their places, 32 MiB: serial numbers, fingerprints and
/// keys are spread over all of an index, so that with SQLite's own 4 MiB every other batch of certificates would put
/// hundreds of pages in place and wait for the disk twice more. What is committed is in the log, on the disk.
const CHECKPOINT_PAGES: &str = "8192";

/// SQLite's cache of pages, in KiB as it wants them: of the one writer, with room for what a batch changes, and of each
/// reader.
const WRITER_CACHE: &str = "-65536";
const READER_CACHE: &str = "-8192";

/// Rows that SQLite's threads may be ahead of who reads them: with fewer a page of rows is handed over in many turns.
const ROWS_AHEAD: usize = 1_024;

/// What each connection to PostgreSQL begins with.
///
/// A commit is on disk before it is answered, whatever the server's default. A node that is gone must not keep the
/// head's lock: the server ends what stands idle or too long. Every query is by an index; a plan that was made while
/// the tables were small must not walk them when they have grown.
const SESSION: &str = "
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SET idle_in_transaction_session_timeout = '10s';
    SET statement_timeout = '15s';
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
";

/// Why the store cannot be opened. One line, never the URL.
#[derive(Debug)]
pub enum OpenError {
    /// The URL cannot be understood.
    Url,
    /// The file cannot be made or opened.
    File(std::io::Error),
    /// Others than its owner may read or write the file; its mode.
    TooOpen(u32),
    /// There is none.
    Missing,
    /// There is one already.
    Exists,
    /// An earlier program made the schema, and it is not to be changed.
    Older {
        /// The version that is there.
        found: usize,
        /// The last one known.
        known: usize,
    },
    /// A later program made the schema: its version and the last one known here.
    Newer {
        /// The version that is there.
        found: usize,
        /// The last one known.
        known: usize,
    },
    /// The end of the audit log is not what this secret makes: it is another secret's, or it was changed.
    Audit(Broken),
    /// The head of the audit log is not at its last record.
    Head,
    /// It does not answer or cannot be read.
    Store(StoreError),
}

/// Opens the store and brings its schema up to date. One that is not there is not made: to begin with an empty one would
/// let everybody in again who was revoked.
///
/// # Errors
/// [`OpenError`].
pub async fn open(config: &StoreConfig, secret: Arc<ServiceSecret>) -> Result<Arc<dyn Store>, OpenError> {
    open_for(Purpose::Serve, config, secret).await
}

/// Opens the store and changes nothing in it.
///
/// # Errors
/// [`OpenError`].
pub async fn open_to_read(config: &StoreConfig, secret: Arc<ServiceSecret>) -> Result<Arc<dyn Store>, OpenError> {
    open_for(Purpose::Read, config, secret).await
}

/// Makes a new, empty store.
///
/// # Errors
/// [`OpenError::Exists`] where there is one.
pub async fn init(config: &StoreConfig, secret: Arc<ServiceSecret>) -> Result<(), OpenError> {
    open_for(Purpose::Make, config, secret).await?.close().await;
    Ok(())
}

async fn open_for(
    purpose: Purpose,
    config: &StoreConfig,
    secret: Arc<ServiceSecret>,
) -> Result<Arc<dyn Store>, OpenError> {
    let database = database(config, purpose)?;
    // A new file of SQLite is switched to its write-ahead log, and of several that do so at a time SQLite sends all but
    // one away at once, whatever the busy timeout.
    let until = Instant::now() + BUSY_TIMEOUT;
    while let Err(error) = migrate(&database, purpose).await {
        if !is_locked(&error) || Instant::now() > until {
            return Err(error);
        }
        tokio::time::sleep(LOCKED_PAUSE).await;
    }
    let store = SqlStore::start(database, secret, config).await?;
    Ok(Arc::new(store))
}

fn is_locked(error: &OpenError) -> bool {
    matches!(error, OpenError::Store(StoreError::Unavailable(why)) if why.contains("database is locked"))
}

/// How the database goes about each statement that looks for rows: its name and the plan. Every one is by an index.
///
/// # Errors
/// [`OpenError`].
pub async fn plans(config: &StoreConfig) -> Result<Vec<(&'static str, String)>, OpenError> {
    let database = database(config, Purpose::Read)?;
    let mut connection = database.writing().await?;
    let mut plans = Vec::new();
    for (name, statement) in super::queries::all() {
        plans.push((name, connection.on().plan(statement).await?));
    }
    drop(connection);
    database.close().await;
    Ok(plans)
}

fn database(config: &StoreConfig, purpose: Purpose) -> Result<Database, OpenError> {
    match &config.url.value {
        StoreUrl::Sqlite(path) => sqlite(path, config.connections, purpose),
        StoreUrl::Postgres(url) => {
            let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Url)?;
            let options = options.application_name("sekisho").disable_statement_logging();
            Ok(Database::Postgres(Pools::postgres(&options, config.connections, SESSION)))
        }
    }
}

fn sqlite(path: &Path, readers: u32, purpose: Purpose) -> Result<Database, OpenError> {
    // Made here, so that it is nobody else's from its first moment; SQLite gives its other files the same mode.
    let is_made = purpose == Purpose::Make;
    let file = OpenOptions::new().read(true).write(true).create(is_made).truncate(false).mode(0o600).open(path);
    let mode = file.and_then(|file| file.metadata()).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if !is_made => OpenError::Missing,
        _ => OpenError::File(error),
    });
    let mode = mode?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(OpenError::TooOpen(mode));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // After a burst the log gives its room back.
        .pragma("journal_size_limit", "67108864")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", WRITER_CACHE)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging();
    let reading = options.clone().pragma("query_only", "ON").pragma("cache_size", READER_CACHE);
    Ok(Database::Sqlite(Pools::sqlite(options, reading, readers)))
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("the store's URL cannot be understood"),
            Self::File(error) => write!(f, "the store's file cannot be opened: {error}"),
            Self::TooOpen(mode) => write!(f, "the store's file has mode {mode:04o}: others can read it; make it 0600"),
            Self::Missing => f.write_str(
                "there is no store. Is the path or URL right? If its disk was lost, restore the backup \
                 (docs/guide/backup-and-restore.md). Only a new installation makes one: sekisho-issuer store init",
            ),
            Self::Exists => f.write_str("there is a store already; it is left as it is"),
            Self::Older { found, known } => {
                write!(
                    f,
                    "the store has schema {found}, this program's is {known}: the next start of an issuer updates it"
                )
            }
            Self::Newer { found, known } => {
                write!(f, "the store has schema {found}, made by a later program; this one knows {known}")
            }
            Self::Audit(broken) => {
                write!(
                    f,
                    "the audit log does not end as this secret_file makes it ({broken}): another file, or changed"
                )
            }
            Self::Head => f.write_str("the head of the audit log is not at its last record"),
            Self::Store(error) => write!(f, "{}", error.to_string().replace('\n', " ")),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
