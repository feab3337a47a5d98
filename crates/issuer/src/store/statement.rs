//! Statements in the words of either database.
//!
//! Many rows go in and out as one JSON array of arrays: one statement with one parameter, however many rows there are.

use super::value::Value;
use sekisho_pki::hex;
use serde::ser::{Serialize, Serializer};
use std::fmt::Write as _;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement, and of which kinds its parameters are.
#[derive(Debug)]
pub(super) struct Statement {
    sqlite: String,
    postgres: String,
    parameters: &'static [Kind],
}

/// Of which kind a column or a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Bytes,
    /// Rows as JSON; a parameter only.
    Rows,
}

/// A table: its name and its columns, of which the first ones are its key.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) keys: usize,
    pub(super) columns: &'static [(&'static str, Kind)],
}

/// What becomes of a row whose key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// The new one takes its place.
    Replaced,
    /// The statement fails.
    Fails,
    /// It stays, where this column is unique.
    Stays(&'static str),
}

impl Statement {
    /// The same words for both, with `{…}` filled in: `{each}` is the rows of parameter `$1`, `{0:text}`, `{1:int}` and
    /// `{2:bytes}` their columns, `{for update}` and `{skip locked}` row locks, which SQLite neither has nor needs, `{now}` the
    /// database's clock in milliseconds since 1970.
    pub(super) fn new(words: &str, parameters: &'static [Kind]) -> Self {
        Self { sqlite: Dialect::Sqlite.fill(words), postgres: Dialect::Postgres.fill(words), parameters }
    }

    /// Rows into a table.
    pub(super) fn insert(table: &Table, there: There) -> Self {
        let Table { name, keys, .. } = table;
        let columns = table.columns();
        let mut words = format!("INSERT INTO {name} ({columns}) SELECT {} FROM {{each}} WHERE true", table.values());
        match there {
            There::Fails => {}
            There::Stays(unique) => _ = write!(words, " ON CONFLICT ({unique}) DO NOTHING"),
            There::Replaced => {
                let names = |columns: &[(&str, Kind)], show: fn(&str) -> String| {
                    columns.iter().map(|(name, _)| show(name)).collect::<Vec<_>>().join(", ")
                };
                let (key, rest) = table.columns.split_at(*keys);
                let (key, rest) = (names(key, str::to_owned), names(rest, |name| format!("{name} = excluded.{name}")));
                _ = write!(words, " ON CONFLICT ({key}) DO UPDATE SET {rest}");
            }
        }
        Self::new(&words, &[Kind::Rows])
    }

    /// The rows of a table whose first columns are one of those given.
    pub(super) fn by_keys(table: &Table, keys: usize) -> Self {
        let equal = table.columns.iter().enumerate().take(keys);
        let equal: Vec<_> =
            equal.map(|(index, (name, kind))| format!("t.{name} = {{{index}:{}}}", kind.word())).collect();
        Self::select_each(table, &equal.join(" AND "))
    }

    /// The rows of a table, `t`, for which a condition holds with one of the rows given.
    pub(super) fn select_each(table: &Table, condition: &str) -> Self {
        let words =
            format!("SELECT {} FROM {{each}} CROSS JOIN {} t WHERE {condition}", table.columns_of("t"), table.name);
        Self::new(&words, &[Kind::Rows])
    }

    /// In a database's words.
    pub(super) fn text(&self, dialect: Dialect) -> &str {
        match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
        }
    }

    /// Parameters of the right kinds.
    pub(super) fn samples(&self) -> Vec<Value> {
        let sample = |kind: &Kind| match kind {
            Kind::Int => Value::Int(1),
            Kind::Text => Value::Text("1".to_owned()),
            Kind::Bytes => Value::Bytes(vec![1]),
            Kind::Rows => Value::Text("[]".to_owned()),
        };
        self.parameters.iter().map(sample).collect()
    }
}

impl Table {
    /// Its columns in their order.
    pub(super) fn columns(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Its columns in their order, of that alias.
    pub(super) fn columns_of(&self, alias: &str) -> String {
        self.columns.iter().map(|(name, _)| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn values(&self) -> String {
        let value = |(index, (_, kind)): (usize, &(&str, Kind))| format!("{{{index}:{}}}", kind.word());
        self.columns.iter().enumerate().map(value).collect::<Vec<_>>().join(", ")
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Text | Self::Rows => "text",
            Self::Bytes => "bytes",
        }
    }
}

impl Dialect {
    /// A migration in its words.
    pub(super) fn schema(self, script: &str) -> String {
        let script = self.fill(script);
        match self {
            Self::Sqlite => script.replace("BIGINT", "INTEGER").replace("BYTEA", "BLOB"),
            // As SQLite compares texts, whatever the locale of the database.
            Self::Postgres => script.replace(" TEXT", " TEXT COLLATE \"C\""),
        }
    }

    /// Fills `{…}` in.
    fn fill(self, words: &str) -> String {
        let mut filled = String::with_capacity(words.len() * 2);
        let mut rest = words;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, after) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(before);
            filled.push_str(&self.word(inside));
            rest = after;
        }
        filled + rest
    }

    fn word(self, inside: &str) -> String {
        if let Some((index, kind)) = inside.split_once(':') {
            let text = format!("(k.value->>{index})");
            return match (kind, self) {
                ("int", _) => format!("CAST({text} AS BIGINT)"),
                ("bytes", Self::Sqlite) => format!("unhex({text})"),
                ("bytes", Self::Postgres) => format!("decode({text}, 'hex')"),
                _ => text,
            };
        }
        if let Some(words) = inside.strip_prefix("sqlite ") {
            return if self == Self::Sqlite { words.to_owned() } else { String::new() };
        }
        match (inside, self) {
            // Its rows are in the binary form: read column by column, as text each column would have the row written and parsed.
            ("each", Self::Sqlite) => "jsonb_each($1) AS k",
            ("each", Self::Postgres) => "jsonb_array_elements($1::jsonb) AS k(value)",
            ("zeros", Self::Sqlite) => "zeroblob(32)",
            ("zeros", Self::Postgres) => "decode(repeat('00', 32), 'hex')",
            ("random", Self::Sqlite) => "lower(hex(randomblob(16)))",
            // Its first digits are not all chance, the others are: 122 bits.
            ("random", Self::Postgres) => "replace(gen_random_uuid()::text, '-', '')",
            ("now", Self::Sqlite) => "CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            // Of the statement and not of the transaction, which may have waited for a lock; stable, so that an index serves.
            ("now", Self::Postgres) => "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)",
            ("for update", Self::Postgres) => "FOR UPDATE",
            ("skip locked", Self::Postgres) => "FOR UPDATE SKIP LOCKED",
            _ => "",
        }
        .to_owned()
    }
}

/// Rows as the JSON that `{each}` takes apart again.
pub(super) fn rows<'a>(rows: impl IntoIterator<Item = &'a [Value]>) -> Value {
    let rows: Vec<&[Value]> = rows.into_iter().collect();
    // A batch's is of a hundred kilobytes and more, which a text that grows would copy again and again.
    let room = rows.iter().flat_map(|row| row.iter()).map(Value::room).sum::<usize>() + 3 * rows.len() + 2;
    let mut json = Vec::with_capacity(room);
    // Nothing in it fails: keys are not involved, numbers are integers. JSON is UTF-8.
    let _ = serde_json::to_writer(&mut json, &rows);
    Value::Text(String::from_utf8(json).unwrap_or_default())
}

/// Octets in lower-case hex.
pub(super) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    text.extend(hex::digits(octets));
    text
}

impl Value {
    /// Octets it has as JSON, with its comma; a text with much to escape has more.
    fn room(&self) -> usize {
        match self {
            Self::Null => 5,
            // Seconds since 1970 have ten digits; a longer number is rare.
            Self::Int(_) => 12,
            Self::Text(text) => text.len() + text.len() / 4 + 3,
            Self::Bytes(octets) => octets.len() * 2 + 3,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(octets) => serializer.serialize_str(&hex(octets)),
        }
    }
}
