//! Walks a spanned TOML document: typed keys with their places, and every error instead of the first.
//!
//! A reader of one table asks its [`Section`] for each key it knows and then calls [`Section::finish`], which reports
//! the keys nobody asked for. After an error a getter returns a stand-in, so that reading goes on; [`Document::read`]
//! lets nothing out while there is an error, so that no stand-in is ever used.
//!
//! The gateway's configuration and the issuer's profiles are read with it.

use super::types::{ConfigError, Place, Placed};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One document being read.
pub struct Document {
    file: Arc<str>,
    base: PathBuf,
    line_starts: Vec<usize>,
    errors: RefCell<Vec<ConfigError>>,
    keys: RefCell<Vec<KeyUse>>,
}

/// A key that a reader asked for; tests compare these with the reference configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's path without indexes: `site[].route[].path`.
    pub shape: String,
    /// Its line, if it is there.
    pub line: Option<usize>,
    /// Whether leaving it out means a stated default.
    pub defaulted: bool,
}

impl Document {
    /// What `read` makes of a document, or every error in the order of its lines; and every key that was asked for.
    ///
    /// `file` is its name in messages, `base` the folder where relative paths start. The first error of TOML itself
    /// comes alone.
    pub fn read<T>(
        text: &str,
        file: &str,
        base: &Path,
        read: impl for<'d> FnOnce(&'d Document, Section<'d>) -> T,
    ) -> (Result<T, Vec<ConfigError>>, Vec<KeyUse>) {
        let document = Document::new(text, file, base);
        let (table, faults) = DeTable::parse_recoverable(text);
        // The first alone: after an open bracket a recovering parser reports every line that follows.
        if let Some(fault) = faults.first() {
            let place = document.place(fault.span().map_or(0, |span| span.start), String::new());
            document.refuse(&place, format!("not TOML: {}", fault.message()));
        }
        // What a recovering parser makes of the rest would be guesses.
        let value = faults.is_empty().then(|| read(&document, document.root(&table)));
        let (errors, keys) = document.into_findings();
        match value {
            Some(value) if errors.is_empty() => (Ok(value), keys),
            _ => (Err(errors), keys),
        }
    }

    fn new(text: &str, file: &str, base: &Path) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self {
            file: file.into(),
            base: base.to_path_buf(),
            line_starts,
            errors: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// The document's outermost table.
    fn root<'d>(&'d self, table: &'d Spanned<DeTable<'d>>) -> Section<'d> {
        Section {
            document: self,
            table: Some(table.get_ref()),
            place: Place { line: 1, ..self.place(0, String::new()) },
            shape: String::new(),
            known: Vec::new(),
        }
    }

    /// The place of the octet at `offset`.
    pub fn place(&self, offset: usize, key: String) -> Place {
        Place { file: self.file.clone(), line: self.line_starts.partition_point(|start| *start <= offset), key }
    }

    /// Records an error.
    pub fn refuse(&self, place: &Place, message: impl Into<String>) {
        self.errors.borrow_mut().push(ConfigError { place: place.clone(), message: message.into() });
    }

    /// Joins a path to the folder of the configuration file.
    pub fn join(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Every error, in the order of the file; and every key that was asked for.
    fn into_findings(self) -> (Vec<ConfigError>, Vec<KeyUse>) {
        let mut errors = self.errors.into_inner();
        // Stable: errors of one line stay in the order they were found.
        errors.sort_by_key(|error| error.place.line);
        (errors, self.keys.into_inner())
    }
}

/// One value and its place.
pub struct Item<'d> {
    /// The document it is in.
    pub document: &'d Document,
    /// The value.
    pub value: &'d DeValue<'d>,
    /// File, line and key.
    pub place: Place,
    shape: String,
}

impl<'d> Item<'d> {
    /// Records an error at this value.
    pub fn refuse(&self, message: impl Into<String>) {
        self.document.refuse(&self.place, message);
    }

    /// Records `«value» is not «what»; write «right»`.
    pub fn refuse_type(&self, what: &str, right: &str) {
        self.refuse(format!("{} is not {what}; write {right}", show(self.value)));
    }

    /// The value as a string.
    pub fn as_str(&self) -> Option<&'d str> {
        self.value.as_str()
    }

    /// The elements of a list, or nothing when it is not one.
    pub fn elements(&self) -> Option<Vec<Item<'d>>> {
        let elements = self.value.as_array()?.iter().enumerate().map(|(index, element)| Item {
            document: self.document,
            value: element.get_ref(),
            place: self.document.place(element.span().start, format!("{}[{index}]", self.place.key)),
            shape: format!("{}[]", self.shape),
        });
        Some(elements.collect())
    }

    /// The value as a table to read keys from.
    pub fn section(&self) -> Option<Section<'d>> {
        Some(Section {
            document: self.document,
            table: Some(self.value.as_table()?),
            place: self.place.clone(),
            shape: self.shape.clone(),
            known: Vec::new(),
        })
    }
}

/// One table being read.
#[must_use = "finish() reports the keys that nobody knows"]
pub struct Section<'d> {
    /// The document it is in.
    pub document: &'d Document,
    /// Absent: the table is not in the file and every key takes its default.
    table: Option<&'d DeTable<'d>>,
    /// File, line and key.
    pub place: Place,
    shape: String,
    known: Vec<&'static str>,
}

impl<'d> Section<'d> {
    /// The value of a key, read by `read`; absent when it is not there or wrong.
    pub fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(&Item<'d>) -> Option<T>) -> Option<T> {
        self.take(key, false).and_then(|item| read(&item))
    }

    /// The value of a key, or its default.
    pub fn or<T>(&mut self, key: &'static str, default: T, read: impl FnOnce(&Item<'d>) -> Option<T>) -> T {
        self.take(key, true).and_then(|item| read(&item)).unwrap_or(default)
    }

    /// The value of a key that must be there; `advice` says what to write.
    pub fn required<T: Default>(
        &mut self,
        key: &'static str,
        advice: &str,
        read: impl FnOnce(&Item<'d>) -> Option<T>,
    ) -> T {
        match self.take(key, false) {
            Some(item) => read(&item).unwrap_or_default(),
            None => {
                self.refuse_missing(key, advice);
                T::default()
            }
        }
    }

    /// Records that a key is missing.
    pub fn refuse_missing(&self, key: &str, advice: &str) {
        let place = Place { key: join_key(&self.place.key, key), ..self.place.clone() };
        self.document.refuse(&place, format!("is missing; {advice}"));
    }

    /// Whether the file has the key at all.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether a table below this one has the key.
    pub fn has_below(&self, table: &str, key: &str) -> bool {
        let below = self.table.and_then(|this| this.get(table)).and_then(|value| value.get_ref().as_table());
        below.is_some_and(|below| below.contains_key(key))
    }

    /// The place of a key of this table: its own line if it is there, else the table's.
    pub fn place_of(&self, key: &str) -> Place {
        let line = self.table.and_then(|table| table.get_key_value(key)).map(|(key, _)| key.span().start);
        let path = join_key(&self.place.key, key);
        match line {
            Some(offset) => self.document.place(offset, path),
            None => Place { key: path, ..self.place.clone() },
        }
    }

    /// The place of a key of a table below this one, or of the nearest thing around it that the file has.
    pub fn place_below(&self, table: &str, key: &str) -> Place {
        let below = self.table.and_then(|this| this.get(table)).and_then(|value| value.get_ref().as_table());
        let path = join_key(&join_key(&self.place.key, table), key);
        match below.and_then(|below| below.get_key_value(key)) {
            Some((name, _)) => self.document.place(name.span().start, path),
            None => Place { key: path, ..self.place_of(table) },
        }
    }

    /// A table below this one that may be left out as a whole.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'d>> {
        let item = self.take(key, false)?;
        let section = item.section();
        if section.is_none() {
            item.refuse_type("a table", &format!("[{}]", item.place.key));
        }
        section
    }

    /// A table below this one; when it is left out, every key of it takes its default.
    pub fn section_or_defaults(&mut self, key: &'static str) -> Section<'d> {
        let place = Place { key: join_key(&self.place.key, key), ..self.place.clone() };
        let shape = join_key(&self.shape, key);
        self.section(key).unwrap_or(Section { document: self.document, table: None, place, shape, known: Vec::new() })
    }

    /// The tables of an array of tables, `[[key]]`; none when it is left out.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'d>> {
        let Some(item) = self.take(key, false) else { return Vec::new() };
        let right = format!("[[{}]]", strip_indexes(&item.place.key));
        let Some(elements) = item.elements() else {
            item.refuse_type("an array of tables", &right);
            return Vec::new();
        };
        let sections = elements.iter().filter_map(|element| {
            let section = element.section();
            if section.is_none() {
                element.refuse_type("a table", &right);
            }
            section
        });
        sections.collect()
    }

    /// Reports every key that was not asked for.
    pub fn finish(self) {
        let Some(table) = self.table else { return };
        for key in table.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let place = self.document.place(key.span().start, join_key(&self.place.key, key.get_ref()));
            let message = match nearest(key.get_ref(), &self.known) {
                Some(meant) => format!("is not a known key; did you mean \"{meant}\"?"),
                None => format!("is not a known key; the keys here are {}", self.known.join(", ")),
            };
            self.document.refuse(&place, message);
        }
    }

    fn take(&mut self, key: &'static str, defaulted: bool) -> Option<Item<'d>> {
        self.known.push(key);
        let entry = self.table.and_then(|table| table.get_key_value(key));
        let item = entry.map(|(name, value)| Item {
            document: self.document,
            value: value.get_ref(),
            place: self.document.place(name.span().start, join_key(&self.place.key, key)),
            shape: join_key(&self.shape, key),
        });
        self.document.keys.borrow_mut().push(KeyUse {
            shape: join_key(&self.shape, key),
            line: item.as_ref().map(|item| item.place.line),
            defaulted,
        });
        item
    }
}

/// A list of names that must differ.
pub struct Unique {
    what: &'static str,
    seen: Vec<Placed<String>>,
}

impl Unique {
    /// `what` is what a name is called in the message: `a CA`.
    pub fn new(what: &'static str) -> Self {
        Self { what, seen: Vec::new() }
    }

    /// Whether the name is new; records an error if it was seen before.
    /// A stand-in for a wrong name is empty and counts for nothing.
    pub fn check(&mut self, document: &Document, place: &Place, name: &str) -> bool {
        if name.is_empty() {
            return true;
        }
        if let Some(first) = self.seen.iter().find(|seen| seen.value == name) {
            let message = format!("{name:?} is already {} at line {}", self.what, first.place.line);
            document.refuse(place, message);
            return false;
        }
        self.seen.push(Placed { value: name.to_owned(), place: place.clone() });
        true
    }
}

/// A value as an error message shows it: what was written, cut short, on one line.
pub fn show(value: &DeValue<'_>) -> String {
    /// Long enough for any right value but a path or pattern; the line number finds the rest.
    const SHOWN_CHARACTERS: usize = 60;
    match value {
        DeValue::String(text) if text.chars().count() > SHOWN_CHARACTERS => {
            format!("{:?}…", text.chars().take(SHOWN_CHARACTERS).collect::<String>())
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn join_key(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn strip_indexes(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|character| {
            inside = (inside || *character == '[') && *character != ']';
            !inside && *character != ']'
        })
        .collect()
}

/// The known key that a wrong one most likely meant.
fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    /// Beyond this a key is no slip of a known one, and the distance not worth computing.
    const LONGEST_KEY: usize = 64;
    if written.len() > LONGEST_KEY {
        return None;
    }
    let candidates = known.iter().map(|key| (edit_distance(written, key), *key));
    // A third of the letters wrong is still a slip; more is another word.
    candidates.filter(|(distance, key)| *distance <= key.len().div_ceil(3)).min().map(|(_, key)| key)
}

/// Levenshtein distance.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = line;
        let mut previous = line + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(right.chars()) {
            let above = *cell;
            let step = (diagonal + usize::from(from != to)).min(above + 1).min(previous + 1);
            diagonal = above;
            *cell = step;
            previous = step;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_key_that_was_meant() {
        let known = ["client_auth", "certificate", "server_names", "ca"];
        assert_eq!(nearest("client_atuh", &known), Some("client_auth"));
        assert_eq!(nearest("clientauth", &known), Some("client_auth"));
        assert_eq!(nearest("server_name", &known), Some("server_names"));
        assert_eq!(nearest("cas", &known), Some("ca"));
        assert_eq!(nearest("colour", &known), None);
    }

    #[test]
    fn edit_distance_counts_insertions_deletions_and_changes() {
        for (left, right, distance) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3)] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }
}
