//! What the feed told, on disk: a checkpoint of the view, and the messages since, each with a checksum.
//!
//! A message is appended and written through before it is acknowledged. A line that a crash tore is the last one; since
//! a disk may tear one that was acknowledged too, the feed then counts as not heard until the issuer tells again what
//! comes after the line before. Any other damage makes the gateway begin anew, with whatever could be read still refused.

use super::changes::{Changes, Entry, Origin};
use super::coverage::Part;
use super::join::Step;
use super::message::{Message, Word, from_hex, to_hex};
use super::view::{FeedView, Followed, MOST_CHANGES_HELD, Position};
use crate::folder;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::{AuthorityKey, sha256};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Octets of a file that is read: twice a full view with as many messages after it.
const MOST_OCTETS: u64 = 512 << 20;

/// Octets of messages after which the whole is written anew, beside as many as the checkpoint has: the cost of a
/// checkpoint is then at most that of the messages.
const LEAST_BEFORE_CHECKPOINT: u64 = 1 << 20;

/// Name of the file in the folder.
const NAME: &str = "feed";

/// Hex digits of a line's checksum: enough against accidents, which is all that it is for.
const CHECKSUM: usize = 16;

/// The file and its lock.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    _lock: File,
    /// Open at its end; none before the first checkpoint and after a failure, when the next writing makes it anew.
    log: Option<File>,
    /// Octets of the checkpoint, and of what was appended to it.
    checkpoint: u64,
    appended: u64,
    /// The sequence number up to which the disk has everything, and what stands there.
    to: u64,
    mark: Arc<str>,
}

/// What was found on disk.
#[derive(Debug)]
pub struct Recalled {
    /// What was told, not yet compared with any list.
    pub view: FeedView,
    /// What was wrong with the file: the view then has no position and was not heard of.
    pub damage: Option<String>,
    /// Whether its last line is torn. It may have been acknowledged: the view goes on from the line before, and was not
    /// heard of.
    pub torn: bool,
}

impl Recalled {
    /// Reads what a folder has without taking it: its gateway may be running.
    ///
    /// # Errors
    /// What the file system says; a folder that is not there has nothing.
    pub fn read(folder: &Path) -> io::Result<Self> {
        recall(&folder.join(NAME))
    }
}

/// Why the folder cannot be used.
#[derive(Debug)]
pub enum KeepError {
    /// Another process has it.
    InUse,
    /// Others may write to it.
    NotOurs(String),
    /// The file system says so.
    Io(io::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Line {
    Head {
        version: u32,
        feed: Option<String>,
        to: u64,
        mark: String,
        heard: Option<i64>,
    },
    Authority {
        authority: String,
        added: i64,
        base: Option<u64>,
        parts: Vec<LinePart>,
    },
    Change {
        authority: String,
        serial: String,
        sequence: u64,
        word: LineWord,
        at: i64,
        #[serde(default)]
        not_after: Option<i64>,
        origin: LineOrigin,
    },
    /// Ends the checkpoint: one that lacks it was not written whole.
    Whole,
    Message {
        heard: i64,
        payload: String,
    },
    Heard {
        heard: i64,
    },
}

#[derive(Serialize, Deserialize)]
struct LinePart {
    part: u32,
    parts: u32,
    point: Option<String>,
    told: Vec<(String, u64)>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LineWord {
    Revoked(u8),
    Held,
    Released,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LineOrigin {
    This,
    Restored,
    Another,
}

impl Keeper {
    /// Takes a folder, which is made where it is not there, and reads what it has.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn open(folder: &Path) -> Result<(Self, Recalled), KeepError> {
        folder::make(folder).map_err(KeepError::NotOurs)?;
        // Whoever may write to the one above can put another in its place.
        folder.parent().map_or(Ok(()), folder::check).map_err(KeepError::NotOurs)?;
        let lock = options().create(true).open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => KeepError::InUse,
            TryLockError::Error(error) => KeepError::Io(error),
        })?;
        let path = folder.join(NAME);
        let recalled = recall(&path)?;
        let (to, mark) = place(&recalled.view);
        Ok((Self { path, _lock: lock, log: None, checkpoint: 0, appended: 0, to, mark }, recalled))
    }

    /// The sequence number up to which the disk has everything.
    pub const fn to(&self) -> u64 {
        self.to
    }

    /// What stands there.
    pub const fn mark(&self) -> &Arc<str> {
        &self.mark
    }

    /// Writes messages that are in force, and is back when they are on the disk. `heard` is when they came; `view` is
    /// at least as new as all of them.
    ///
    /// # Errors
    /// What the file system says. The next call writes the whole view.
    pub fn keep<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (&'a Message, Step)>,
        heard: Timestamp,
        view: &FeedView,
    ) -> io::Result<()> {
        let messages: Vec<_> = messages.into_iter().collect();
        let begins = messages.iter().any(|(_, step)| matches!(step, Step::Begin(_)));
        let is_long = self.appended > self.checkpoint.max(LEAST_BEFORE_CHECKPOINT);
        let Some(log) = self.log.as_mut().filter(|_| !begins && !is_long) else {
            return self.write_whole(view);
        };
        let mut text = Vec::new();
        let (mut to, mut mark) = (self.to, Arc::clone(&self.mark));
        for (message, step) in messages {
            if step == Step::Continue && message.to > to {
                if message.from != to {
                    // One between came in force and was not handed on, since its stream was left just then.
                    return self.write_whole(view);
                }
                write_line(&mut text, &Line::Message { heard: heard.unix(), payload: message.payload.to_string() })?;
                (to, mark) = (message.to, Arc::clone(&message.mark));
            }
        }
        // Not when it came: what was signed long ago says nothing of now, after a restart neither.
        if let (true, Some(heard)) = (text.is_empty(), view.heard) {
            write_line(&mut text, &Line::Heard { heard: heard.unix() })?;
        }
        let written = log.write_all(&text).and_then(|()| log.sync_data());
        if written.is_err() {
            // What is at the file's end now is not known.
            self.log = None;
        } else {
            (self.to, self.mark) = (to, mark);
            self.appended += u64::try_from(text.len()).unwrap_or(u64::MAX);
        }
        written
    }

    /// Writes the whole view beside the file and puts it in its place.
    fn write_whole(&mut self, view: &FeedView) -> io::Result<()> {
        self.log = None;
        let new = self.path.with_extension("new");
        let file = options().create(true).truncate(true).open(&new)?;
        let mut writer = BufWriter::new(file);
        write_view(&mut writer, view)?;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.checkpoint = file.metadata()?.len();
        (self.to, self.mark) = place(view);
        self.appended = 0;
        self.log = Some(file);
        Ok(())
    }
}

fn place(view: &FeedView) -> (u64, Arc<str>) {
    view.position().map_or_else(|| (0, "".into()), |position| (position.to, Arc::clone(&position.mark)))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn write_view(writer: &mut impl Write, view: &FeedView) -> io::Result<()> {
    let feed = view.position().map(|position| position.feed.to_string());
    let (to, mark) = place(view);
    let heard = view.heard.map(Timestamp::unix);
    write_line(writer, &Line::Head { version: 1, feed, to, mark: mark.to_string(), heard })?;
    for followed in &view.followed {
        let authority = to_hex(followed.key.as_bytes());
        let parts = followed.parts.iter().map(LinePart::of).collect();
        let (added, base) = (followed.added.unix(), followed.base);
        write_line(writer, &Line::Authority { authority: authority.clone(), added, base, parts })?;
        for entry in followed.changes.iter() {
            write_line(writer, &Line::of(&authority, entry))?;
        }
    }
    write_line(writer, &Line::Whole)
}

fn write_line(writer: &mut impl Write, line: &Line) -> io::Result<()> {
    let json = serde_json::to_string(line).map_err(io::Error::other)?;
    writeln!(writer, "{} {json}", checksum(&json))
}

fn checksum(json: &str) -> String {
    let mut hex = to_hex(&sha256(&[json.as_bytes()]));
    hex.truncate(CHECKSUM);
    hex
}

/// What a file has; an empty view where there is none.
fn recall(path: &Path) -> io::Result<Recalled> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Recalled { view: FeedView::default(), damage: None, torn: false });
        }
        file => file?,
    };
    let mut reader = BufReader::new(file.take(MOST_OCTETS));
    let mut reading = Reading::default();
    let (mut line, mut torn) = (Vec::new(), false);
    let damage = loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break None;
        }
        match reading.take(&line) {
            Ok(()) => {}
            // Most likely torn by a crash before it was written through, when nobody was told that we have it.
            Err(_) if reading.whole && reader.fill_buf()?.is_empty() && !line.ends_with(b"\n") => {
                torn = true;
                break None;
            }
            Err(why) => break Some(why),
        }
    };
    let damage = damage.or_else(|| (!reading.whole).then(|| "it ends before its checkpoint does".to_owned()));
    let mut view = reading.view;
    if damage.is_some() {
        // What is held goes on counting; what may be missing keeps every CA closed until the feed has begun anew.
        view.position = None;
    }
    if damage.is_some() || torn {
        view.heard = None;
    }
    Ok(Recalled { view, damage, torn })
}

#[derive(Default)]
struct Reading {
    view: FeedView,
    started: bool,
    whole: bool,
}

impl Reading {
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(line).map_err(|_| "a line is not UTF-8".to_owned())?;
        let text = text.strip_suffix('\n').ok_or_else(|| "a line has no end".to_owned())?;
        let (sum, json) = text.split_once(' ').ok_or_else(|| "a line has no checksum".to_owned())?;
        if sum != checksum(json) {
            return Err("a line's checksum is wrong".to_owned());
        }
        let line: Line = serde_json::from_str(json).map_err(|error| error.to_string())?;
        self.apply(line).ok_or_else(|| "a line is out of its place, or not what is written".to_owned())
    }

    fn apply(&mut self, line: Line) -> Option<()> {
        match (line, self.started, self.whole) {
            (Line::Head { version: 1, feed, to, mark, heard }, false, false) => {
                self.started = true;
                self.view.position = feed.map(|feed| Position { feed: feed.into(), to, mark: mark.into() });
                self.view.heard = heard.map(Timestamp::from_unix);
                Some(())
            }
            (Line::Authority { authority, added, base, parts }, true, false) => {
                let key = authority_key(&authority)?;
                let mut followed = Followed::new(key, Timestamp::from_unix(added));
                followed.base = base;
                followed.parts = parts.into_iter().map(LinePart::read).collect::<Option<_>>()?;
                self.view.followed.push(Arc::new(followed));
                Some(())
            }
            (Line::Change { authority, serial, sequence, word, at, not_after, origin }, true, false) => {
                let serial = SerialNumber::from_der_content(&from_hex(&serial)?).ok()?;
                let (word, at) = (word.read(), Timestamp::from_unix(at));
                let (origin, not_after) = (origin.read(), not_after.map(Timestamp::from_unix));
                let followed = Arc::make_mut(self.followed(&authority_key(&authority)?)?);
                followed.estranged |= origin != Origin::This;
                tell(&mut followed.changes, Entry { serial, sequence, word, at, not_after, origin })
            }
            (Line::Whole, true, false) => {
                self.whole = true;
                Some(())
            }
            (Line::Message { heard, payload }, true, true) => {
                let message = Message::from_payload(&payload).ok()?;
                let position = self.view.position()?;
                if position.feed != message.feed || position.to != message.from || position.mark != message.from_mark {
                    return None;
                }
                let heard = Timestamp::from_unix(heard);
                self.view = self.view.after(&message, Step::Continue, heard).ok()?;
                Some(())
            }
            (Line::Heard { heard }, true, true) => {
                self.view.heard = Some(Timestamp::from_unix(heard));
                Some(())
            }
            _ => None,
        }
    }

    fn followed(&mut self, key: &AuthorityKey) -> Option<&mut Arc<Followed>> {
        self.view.followed.iter_mut().find(|followed| followed.key == *key)
    }
}

fn tell(changes: &mut Changes, entry: Entry) -> Option<()> {
    (changes.len() < MOST_CHANGES_HELD).then(|| changes.tell(entry))
}

fn authority_key(hex: &str) -> Option<AuthorityKey> {
    from_hex(hex)?.try_into().ok().map(AuthorityKey::from_bytes)
}

impl Line {
    fn of(authority: &str, entry: &Entry) -> Self {
        let word = match entry.word {
            Word::Revoked(reason) => LineWord::Revoked(reason.code()),
            Word::Held => LineWord::Held,
            Word::Released => LineWord::Released,
        };
        let origin = match entry.origin {
            Origin::This => LineOrigin::This,
            Origin::Restored => LineOrigin::Restored,
            Origin::Another => LineOrigin::Another,
        };
        let serial = to_hex(entry.serial.as_bytes());
        Self::Change {
            authority: authority.to_owned(),
            serial,
            sequence: entry.sequence,
            word,
            at: entry.at.unix(),
            not_after: entry.not_after.map(Timestamp::unix),
            origin,
        }
    }
}

impl LinePart {
    fn of(part: &Part) -> Self {
        let told = part.told.iter().map(|(number, to)| (number.to_string(), *to)).collect();
        Self { part: part.part, parts: part.parts, point: part.point.as_deref().map(str::to_owned), told }
    }

    fn read(self) -> Option<Part> {
        let told = self.told.into_iter().map(|(number, to)| Some((number.parse().ok()?, to))).collect::<Option<_>>()?;
        Some(Part { part: self.part, parts: self.parts, point: self.point.map(Arc::from), told })
    }
}

impl LineWord {
    const fn read(self) -> Word {
        match self {
            Self::Revoked(code) => Word::Revoked(RevocationReason::from_code(code)),
            Self::Held => Word::Held,
            Self::Released => Word::Released,
        }
    }
}

impl LineOrigin {
    const fn read(self) -> Origin {
        match self {
            Self::This => Origin::This,
            Self::Restored => Origin::Restored,
            Self::Another => Origin::Another,
        }
    }
}

impl From<io::Error> for KeepError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another process keeps its state there; each gateway has a folder of its own"),
            Self::NotOurs(why) => f.write_str(why),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeepError {}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
