//! What columns hold, and reading them one after the other.

use super::StoreError;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The columns of one row, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Columns(std::vec::IntoIter<Value>);

/// What is kept is not what this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt(pub(super) &'static str);

impl Columns {
    pub(super) fn new(columns: Vec<Value>) -> Self {
        Self(columns.into_iter())
    }

    /// The last column that is a text.
    pub(super) fn last_text(self) -> Option<String> {
        self.0.filter_map(Value::into_text).next_back()
    }

    /// The next column, an integer.
    pub(super) fn int(&mut self) -> Result<i64, Corrupt> {
        self.maybe_int()?.ok_or(Corrupt("a number is missing"))
    }

    /// The next column, an integer or nothing.
    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>, Corrupt> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(Some(number)),
            Some(Value::Null) => Ok(None),
            _ => Err(Corrupt("not a number")),
        }
    }

    /// The next column, a text.
    pub(super) fn text(&mut self) -> Result<String, Corrupt> {
        self.maybe_text()?.ok_or(Corrupt("a text is missing"))
    }

    /// The next column, a text or nothing.
    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, Corrupt> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(Corrupt("not a text")),
        }
    }

    /// The next column, octets.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Corrupt> {
        self.maybe_bytes()?.ok_or(Corrupt("octets are missing"))
    }

    /// The next column, octets or nothing.
    pub(super) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>, Corrupt> {
        match self.0.next() {
            Some(Value::Bytes(octets)) => Ok(Some(octets)),
            Some(Value::Null) => Ok(None),
            _ => Err(Corrupt("not octets")),
        }
    }
}

impl Value {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(octets: &[u8]) -> Self {
        Self::Bytes(octets.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<Corrupt> for StoreError {
    fn from(Corrupt(what): Corrupt) -> Self {
        Self::Corrupt(what.into())
    }
}
