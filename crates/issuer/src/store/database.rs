//! Two databases behind one face: connections, transactions, values and rows.

use super::StoreError;
use super::statement::{Dialect, Statement};
use super::value::{Columns, Value};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Column as _, Either, Postgres, Row as _, Sqlite, TypeInfo as _, ValueRef as _};
use std::time::Duration;

/// Binds, runs and reads: the same words for either driver's types.
macro_rules! run {
    ($connection:expr, $sql:expr, $parameters:expr) => {{
        use futures_util::TryStreamExt as _;
        let mut query = sqlx::query($sql);
        for parameter in $parameters {
            query = match parameter {
                Value::Null => query.bind(None::<i64>),
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::Bytes(octets) => query.bind(octets),
            };
        }
        let (mut rows, mut changed) = (Vec::new(), 0);
        #[allow(deprecated, reason = "the only way to have both the rows and how many were changed")]
        let mut stream = query.fetch_many(&mut **$connection);
        while let Some(step) = stream.try_next().await? {
            match step {
                Either::Left(result) => changed += result.rows_affected(),
                Either::Right(row) => {
                    let mut columns = Vec::with_capacity(row.len());
                    for column in row.columns() {
                        let raw = row.try_get_raw(column.ordinal())?;
                        let value = if raw.is_null() {
                            Value::Null
                        } else {
                            match raw.type_info().name() {
                                "INTEGER" | "INT8" => Value::Int(row.try_get(column.ordinal())?),
                                "BLOB" | "BYTEA" => Value::Bytes(row.try_get(column.ordinal())?),
                                "INT4" => Value::Int(row.try_get::<i32, _>(column.ordinal())?.into()),
                                _ => Value::Text(row.try_get(column.ordinal())?),
                            }
                        };
                        columns.push(value);
                    }
                    rows.push(Columns::new(columns));
                }
            }
        }
        Ok::<_, sqlx::Error>((rows, changed))
    }};
}

/// How long a caller waits for a connection before the database counts as gone: requests are answered within seconds.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that write. SQLite has one writer; with PostgreSQL the group commit has one, and the other is for what
/// is no act: list numbers, time steps, notices.
const POSTGRES_WRITERS: u32 = 2;

/// How long a statement beside the acts may take. A host that is gone without a word leaves its connections open for
/// hours, and nothing else would tell that nobody answers.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An open database.
#[derive(Debug)]
pub(super) enum Database {
    Sqlite(Pools<Sqlite>),
    Postgres(Pools<Postgres>),
}

/// Connections for readers and for writers, apart: a writer never waits for readers.
#[derive(Debug)]
pub(super) struct Pools<D: sqlx::Database> {
    pub(super) reading: sqlx::Pool<D>,
    pub(super) writing: sqlx::Pool<D>,
    /// For what other nodes tell: one connection, of PostgreSQL only.
    pub(super) listening: Option<sqlx::Pool<D>>,
}

/// One connection out of a pool.
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A transaction. Dropped before its end it takes its connection with it: what a connection is like after an error, a
/// full disk or in the middle of a statement is not to be relied on, and closing it rolls back for certain.
pub(super) struct Transaction {
    connection: Connection,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

/// Whatever statements can be run on.
pub(super) enum On<'a> {
    Sqlite(&'a mut sqlx::SqliteConnection),
    Postgres(&'a mut sqlx::PgConnection),
}

impl Database {
    /// Which one it is.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A connection that reads.
    pub(super) async fn reading(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pools) => Connection::Sqlite(pools.reading.acquire().await?),
            Self::Postgres(pools) => Connection::Postgres(pools.reading.acquire().await?),
        })
    }

    /// A connection that writes.
    pub(super) async fn writing(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pools) => Connection::Sqlite(pools.writing.acquire().await?),
            Self::Postgres(pools) => Connection::Postgres(pools.writing.acquire().await?),
        })
    }

    /// What a connection that reads is used for, for so long at most.
    ///
    /// # Errors
    /// What the work says, or [`StoreError::Unavailable`].
    pub(super) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut On<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        used(self.reading().await?, work).await
    }

    /// What a connection that writes is used for, for so long at most.
    ///
    /// # Errors
    /// What the work says, or [`StoreError::Unavailable`].
    pub(super) async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut On<'_>) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        used(self.writing().await?, work).await
    }

    /// A transaction that sees one state of the database.
    pub(super) async fn snapshot(&self) -> Result<Transaction, sqlx::Error> {
        let begin = match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        Transaction::begin(self.reading().await?, begin).await
    }

    /// A transaction that writes. In SQLite it has the lock of all writers; in PostgreSQL every statement sees what was
    /// committed before it, so that what comes after the lock of the head sees all that was written under that lock.
    pub(super) async fn transaction(&self) -> Result<Transaction, sqlx::Error> {
        let begin = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        Transaction::begin(self.writing().await?, begin).await
    }

    /// Closes every connection.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pools) => pools.close().await,
            Self::Postgres(pools) => pools.close().await,
        }
    }
}

async fn used<T>(
    mut connection: Connection,
    work: impl AsyncFnOnce(&mut On<'_>) -> Result<T, sqlx::Error>,
) -> Result<T, StoreError> {
    let done = tokio::time::timeout(TIMEOUT, work(&mut connection.on())).await;
    done.map_err(|_| {
        connection.close_on_drop();
        StoreError::Unavailable("the database hangs".into())
    })?
    .map_err(StoreError::from)
}

impl<D: sqlx::Database> Pools<D> {
    async fn close(&self) {
        self.reading.close().await;
        self.writing.close().await;
        if let Some(listening) = &self.listening {
            listening.close().await;
        }
    }
}

impl Pools<Sqlite> {
    /// Pools for a file that is there: how its one writer and its readers connect, and how many readers.
    pub(super) fn sqlite(writing: SqliteConnectOptions, reading: SqliteConnectOptions, readers: u32) -> Self {
        let pool = || PoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None);
        // After some errors (a write that failed) SQLite rolls back by itself. sqlx then fails to, and would count the
        // connection as in a transaction for ever: it is given up, and a new one takes its place.
        let writer = pool().before_acquire(|connection: &mut sqlx::SqliteConnection, _| {
            use sqlx::Connection as _;
            let usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(usable) })
        });
        Self {
            reading: pool().max_connections(readers.max(1)).connect_lazy_with(reading),
            writing: writer.max_connections(1).connect_lazy_with(writing),
            listening: None,
        }
    }
}

impl Pools<Postgres> {
    /// Pools for a server; each connection is set up by `session`.
    pub(super) fn postgres(
        options: &sqlx::postgres::PgConnectOptions,
        connections: u32,
        session: &'static str,
    ) -> Self {
        let pool = || {
            PoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(session).execute(connection).await.map(drop) })
            })
        };
        Self {
            reading: pool().max_connections(connections.max(1)).connect_lazy_with(options.clone()),
            writing: pool().max_connections(POSTGRES_WRITERS).connect_lazy_with(options.clone()),
            listening: Some(pool().max_connections(1).connect_lazy_with(options.clone())),
        }
    }
}

impl Connection {
    /// To run statements on.
    pub(super) fn on(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(connection) => On::Sqlite(connection),
            Self::Postgres(connection) => On::Postgres(connection),
        }
    }

    /// It is not given back to its pool: what it is like is not known.
    fn close_on_drop(&mut self) {
        match self {
            Self::Sqlite(connection) => connection.close_on_drop(),
            Self::Postgres(connection) => connection.close_on_drop(),
        }
    }

    /// Whether it answers.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        use sqlx::Connection as _;
        match self {
            Self::Sqlite(connection) => connection.ping().await,
            Self::Postgres(connection) => connection.ping().await,
        }
    }
}

impl Transaction {
    async fn begin(connection: Connection, begin: &str) -> Result<Self, sqlx::Error> {
        let mut transaction = Self { connection, state: State::Open };
        transaction.on().script(begin.to_owned()).await?;
        Ok(transaction)
    }

    /// To run statements on.
    pub(super) fn on(&mut self) -> On<'_> {
        self.connection.on()
    }

    /// Makes it last.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], unless SQLite says for certain that nothing was written.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let committed = self.on().script("COMMIT".to_owned()).await;
        committed.map_err(|error| match &self.connection {
            Connection::Sqlite(_) if wrote_nothing(&error) => unavailable(&error),
            _ => unknown(&error),
        })?;
        self.state = State::Ended;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.state == State::Open {
            self.connection.close_on_drop();
        }
    }
}

impl On<'_> {
    /// The rows of a statement.
    pub(super) async fn rows(
        &mut self,
        statement: &'static Statement,
        parameters: Vec<Value>,
    ) -> Result<Vec<Columns>, sqlx::Error> {
        Ok(self.run(statement, parameters).await?.0)
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(
        &mut self,
        statement: &'static Statement,
        parameters: Vec<Value>,
    ) -> Result<u64, sqlx::Error> {
        Ok(self.run(statement, parameters).await?.1)
    }

    async fn run(
        &mut self,
        statement: &'static Statement,
        parameters: Vec<Value>,
    ) -> Result<(Vec<Columns>, u64), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => run!(connection, statement.text(Dialect::Sqlite), parameters),
            Self::Postgres(connection) => run!(connection, statement.text(Dialect::Postgres), parameters),
        }
    }

    /// Runs a script of several statements without parameters.
    pub(super) async fn script(&mut self, script: String) -> Result<(), sqlx::Error> {
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(script));
        match self {
            Self::Sqlite(connection) => script.execute(&mut **connection).await.map(drop),
            Self::Postgres(connection) => script.execute(&mut **connection).await.map(drop),
        }
    }

    /// How the database would go about a statement.
    pub(super) async fn plan(&mut self, statement: &'static Statement) -> Result<String, sqlx::Error> {
        let parameters = statement.samples();
        let (rows, _) = match self {
            Self::Sqlite(connection) => {
                let sql = format!("EXPLAIN QUERY PLAN {}", statement.text(Dialect::Sqlite));
                run!(connection, sqlx::AssertSqlSafe(sql), parameters)
            }
            Self::Postgres(connection) => {
                let sql = format!("EXPLAIN {}", statement.text(Dialect::Postgres));
                run!(connection, sqlx::AssertSqlSafe(sql), parameters)
            }
        }?;
        let lines = rows.into_iter().filter_map(Columns::last_text);
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string().into()),
            _ => unavailable(&error),
        }
    }
}

fn unavailable(error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string().into())
}

fn unknown(error: &sqlx::Error) -> StoreError {
    StoreError::Unknown(error.to_string().into())
}

/// SQLITE_BUSY and SQLITE_FULL at a COMMIT: the transaction still stands or was rolled back. After an error of input or
/// output what was written may turn up when the file is opened again.
fn wrote_nothing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 13))
}
