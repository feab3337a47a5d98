//! The schema: made and brought up to date when the store is opened, by one node at a time.

use super::database::{Database, On};
use super::open::OpenError;
use super::statement::{Dialect, Kind, Statement};
use std::sync::LazyLock;

/// The schema's versions in their order; version n is the n-th. A migration that was released never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
];

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is made, and must not be there.
    Make,
    /// It is there; its schema is brought up to date.
    Serve,
    /// It is there and stays as it is.
    Read,
}

/// Brings the schema to where the purpose wants it.
///
/// # Errors
/// [`OpenError::Missing`], [`OpenError::Exists`] and [`OpenError::Older`] by the purpose; [`OpenError::Newer`] when a
/// later program made it; [`OpenError::Store`].
pub(super) async fn migrate(database: &Database, purpose: Purpose) -> Result<(), OpenError> {
    let mut transaction = database.transaction().await?;
    let mut on = transaction.on();
    if database.dialect() == Dialect::Postgres {
        // Two nodes that start at once: the second waits here and finds all done. SQLite's writers wait at BEGIN.
        on.rows(&LOCK, Vec::new()).await?;
    }
    if purpose == Purpose::Make {
        on.script(database.dialect().schema("CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY)"))
            .await?;
    }
    let version = version(&mut on).await?;
    match (purpose, version) {
        (Purpose::Make, 1..) => return Err(OpenError::Exists),
        (Purpose::Serve | Purpose::Read, 0) => return Err(OpenError::Missing),
        (Purpose::Read, found) if found < MIGRATIONS.len() => {
            return Err(OpenError::Older { found, known: MIGRATIONS.len() });
        }
        _ => {}
    }
    let Some(missing) = MIGRATIONS.get(version..) else {
        return Err(OpenError::Newer { found: version, known: MIGRATIONS.len() });
    };
    for (number, script) in missing.iter().enumerate().map(|(index, script)| (version + index + 1, script)) {
        on.script(database.dialect().schema(script)).await?;
        on.execute(&ADD_VERSION, vec![super::words::int(number as u64).into()]).await?;
    }
    Ok(transaction.commit().await?)
}

/// The schema's version; 0 where there is none.
async fn version(on: &mut On<'_>) -> Result<usize, OpenError> {
    let mut found = match on.rows(&VERSION, Vec::new()).await {
        Err(error) if is_no_table(&error) => return Ok(0),
        found => found?,
    };
    let version = found.pop().map_or(Ok(None), |mut row| row.maybe_int()).map_err(super::StoreError::from)?;
    // A number that is none is not ours.
    usize::try_from(version.unwrap_or(0)).map_err(|_| OpenError::Newer { found: usize::MAX, known: MIGRATIONS.len() })
}

/// PostgreSQL has a code of its own for it.
fn is_no_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.code().is_some_and(|code| code == "42P01") || error.message().starts_with("no such table")
    })
}

/// Any number that no other program takes on this database: "sekisho" in ASCII.
static LOCK: LazyLock<Statement> =
    LazyLock::new(|| Statement::new("SELECT CAST(pg_advisory_xact_lock(32481134326802543) AS TEXT)", &[]));
static VERSION: LazyLock<Statement> = LazyLock::new(|| Statement::new("SELECT max(version) FROM schema_versions", &[]));
static ADD_VERSION: LazyLock<Statement> =
    LazyLock::new(|| Statement::new("INSERT INTO schema_versions (version) VALUES ($1)", &[Kind::Int]));
