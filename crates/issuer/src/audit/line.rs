//! A record as a line of an export: a JSON object of its number, its hash and its entry's canonical text.
//!
//! The text stands in it octet by octet, so that an export is verified without the store.

use super::entry::Record;
use super::text::{NotAnEntry, decode, octets};
use std::fmt;

/// What stands before the number, between number and hash, and between hash and the text without its brace.
const BEFORE: [&str; 3] = [r#"{"sequence":"#, r#","hash":""#, r#"","#];

/// Why a line is not a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotARecord {
    /// It does not begin with a number and a hash as an export writes them.
    NoHead,
    /// What follows is not an entry.
    Entry(NotAnEntry),
}

/// The line of a record, without its line feed; there is none within.
pub fn to_line(record: &Record) -> String {
    let mut line = format!("{}{}{}", BEFORE[0], record.sequence, BEFORE[1]);
    record.hash.iter().for_each(|octet| line.push_str(&format!("{octet:02x}")));
    line.push_str(BEFORE[2]);
    line.push_str(record.text.strip_prefix('{').unwrap_or(&record.text));
    line
}

/// The record of a line. Whether it is genuine says [`super::Verifier`].
///
/// # Errors
/// [`NotARecord`].
pub fn from_line(line: &str) -> Result<Record, NotARecord> {
    let (sequence, hash, rest) = head(line).ok_or(NotARecord::NoHead)?;
    let text = format!("{{{rest}");
    let entry = decode(&text).map_err(NotARecord::Entry)?;
    Ok(Record { sequence, entry, text, hash })
}

fn head(line: &str) -> Option<(u64, [u8; 32], &str)> {
    let (digits, rest) = line.strip_prefix(BEFORE[0])?.split_once(BEFORE[1])?;
    let (hash, rest) = rest.split_once(BEFORE[2])?;
    let sequence: u64 = digits.parse().ok()?;
    // `+1` and `01` are numbers too.
    (sequence.to_string() == digits).then_some((sequence, octets(hash)?.try_into().ok()?, rest))
}

impl fmt::Display for NotARecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHead => f.write_str("not a line of an export: it has no number and hash at its beginning"),
            Self::Entry(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotARecord {}
