//! What is kept for the feed of revocations: which store this is, from which list on what is settled, which gateways
//! follow it and what they have in force.

use super::database::{Database, On};
use super::statement::Kind::{Bytes, Int, Rows, Text};
use super::statement::{Statement, rows};
use super::tables::STATUSES;
use super::value::{Columns, Corrupt, Value};
use super::words::{int, u64};
use super::{GatewayNote, GatewayRow, Settled, SettledList, StoreError};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What other nodes are told of, over PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Statuses changed.
    Statuses,
    /// Gateways came, went or acknowledged.
    Gateways,
}

impl Told {
    /// The channel's name.
    pub(super) const fn channel(self) -> &'static str {
        match self {
            Self::Statuses => "sekisho_statuses",
            Self::Gateways => "sekisho_gateways",
        }
    }
}

/// Tells the other nodes when the transaction commits. SQLite has no others.
pub(super) async fn tell(on: &mut On<'_>, what: Told) -> Result<(), sqlx::Error> {
    match on {
        On::Sqlite(_) => Ok(()),
        On::Postgres(_) => on.rows(&TELL, vec![what.channel().into()]).await.map(drop),
    }
}

/// See [`super::Store::settle_list`].
pub(super) async fn settle(on: &mut On<'_>, list: &SettledList<'_>) -> Result<Settled, StoreError> {
    let mut parameters: Vec<Value> = vec![list.authority.into(), i64::from(list.part).into()];
    parameters.extend([int(list.number), int(list.covers), int(list.touched)].map(Value::Int));
    let mut row = on.rows(&SETTLE, parameters).await?.pop().ok_or(Corrupt("no list has such a number"))?;
    Ok(Settled { number: u64(row.int()?)?, sequence: u64(row.int()?)? })
}

/// See [`super::Store::feed_note`].
pub(super) async fn note(database: &Database, node: &str, notes: &[GatewayNote]) -> Result<(), StoreError> {
    // In the order of their names: two nodes that touch the same rows wait for each other and not in a ring.
    let mut notes: Vec<&GatewayNote> = notes.iter().collect();
    notes.sort_by(|one, other| one.name.cmp(&other.name));
    let gateway = |note: &&GatewayNote| {
        let follows = note.follows.as_deref().map_or(Value::Null, Into::into);
        [(&*note.name).into(), note.connected.map(milliseconds).into(), node.into(), follows]
    };
    let gateways: Vec<[Value; 4]> = notes.iter().map(gateway).collect();
    let acknowledged: Vec<[Value; 3]> = notes
        .iter()
        .flat_map(|note| note.acknowledged.iter().map(|(to, ago)| (&note.name, *to, *ago)))
        .map(|(name, to, ago)| [(&**name).into(), int(to).into(), milliseconds(ago).into()])
        .collect();
    let mut transaction = database.transaction().await?;
    let mut on = transaction.on();
    on.execute(&NOTE_GATEWAYS, vec![rows(gateways.iter().map(<[Value; 4]>::as_slice))]).await?;
    if !acknowledged.is_empty() {
        on.execute(&NOTE_ACKNOWLEDGEMENTS, vec![rows(acknowledged.iter().map(<[Value; 3]>::as_slice))]).await?;
    }
    tell(&mut on, Told::Gateways).await?;
    transaction.commit().await
}

pub(super) fn read_gateway(columns: &mut Columns) -> Result<GatewayRow, Corrupt> {
    Ok(GatewayRow {
        name: columns.text()?.into(),
        seen_ms: columns.int()?,
        connected_ms: columns.maybe_int()?.unwrap_or(0),
        acknowledged: columns.maybe_int()?.map(u64).transpose()?,
        has_ms: columns.maybe_int()?,
        follows: columns.maybe_text()?.map(Arc::from),
    })
}

/// A duration as columns have it.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

static TELL: LazyLock<Statement> = LazyLock::new(|| Statement::new("SELECT CAST(pg_notify($1, '') AS TEXT)", &[Text]));
/// Where an earlier list is known to have it all, its number stays or becomes smaller; else this list is the first.
pub(super) static SETTLE: LazyLock<Statement> = LazyLock::new(|| {
    let words = "UPDATE lists SET
        settled_number = CASE WHEN coalesce(settled_sequence, -1) < $5 OR settled_number > $3
            THEN $3 ELSE settled_number END,
        settled_sequence = CASE WHEN coalesce(settled_sequence, -1) < $5
            OR (settled_number > $3 AND settled_sequence > $4) THEN $4 ELSE settled_sequence END
        WHERE authority = $1 AND part = $2 RETURNING settled_number, settled_sequence";
    Statement::new(words, &[Text, Int, Int, Int, Int])
});
pub(super) static FEED: LazyLock<Statement> =
    LazyLock::new(|| Statement::new("SELECT feed FROM feed WHERE id = 1", &[]));
static NOTE_GATEWAYS: LazyLock<Statement> = LazyLock::new(|| {
    let words = "INSERT INTO feed_gateways (name, seen_ms, connected_until_ms, node, follows)
        SELECT {0:text}, {now}, {now} + {1:int}, {2:text}, {3:text} FROM {each} WHERE true
        ON CONFLICT (name) DO UPDATE SET seen_ms = excluded.seen_ms,
        follows = coalesce(excluded.follows, feed_gateways.follows),
        connected_until_ms = CASE WHEN excluded.connected_until_ms > excluded.seen_ms
            OR (excluded.connected_until_ms = excluded.seen_ms AND excluded.node = feed_gateways.node)
            THEN excluded.connected_until_ms ELSE feed_gateways.connected_until_ms END,
        node = CASE WHEN excluded.connected_until_ms > excluded.seen_ms
            THEN excluded.node ELSE feed_gateways.node END";
    Statement::new(words, &[Rows])
});
/// The first time counts.
static NOTE_ACKNOWLEDGEMENTS: LazyLock<Statement> = LazyLock::new(|| {
    let words = "INSERT INTO feed_acknowledgements (gateway, to_sequence, at_ms)
        SELECT {0:text}, {1:int}, {now} - {2:int} FROM {each} WHERE true
        ON CONFLICT (gateway, to_sequence) DO NOTHING";
    Statement::new(words, &[Rows])
});
pub(super) static GATEWAYS: LazyLock<Statement> = LazyLock::new(|| {
    let words = "SELECT g.name, g.seen_ms, g.connected_until_ms - {now},
        (SELECT max(a.to_sequence) FROM feed_acknowledgements a WHERE a.gateway = g.name),
        (SELECT a.at_ms FROM feed_acknowledgements a WHERE a.gateway = g.name AND a.to_sequence >= $1
            ORDER BY a.to_sequence LIMIT 1), g.follows
        FROM feed_gateways g WHERE g.seen_ms >= {now} - $2";
    Statement::new(words, &[Int, Int])
});
pub(super) static WRITTEN: LazyLock<Statement> = LazyLock::new(|| {
    let columns = STATUSES.columns();
    let words = format!("SELECT {columns}, written_ms FROM statuses WHERE serial = $1 ORDER BY sequence DESC LIMIT 1");
    Statement::new(&words, &[Bytes])
});
