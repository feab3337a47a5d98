//! Whether a message follows what came before it.

use super::message::Message;
use super::view::FeedView;
use std::fmt;

/// How a stream was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// `after=`: from where the last one stopped.
    After(u64),
    /// From where the published lists end.
    Anew(Anew),
}

/// Why a stream begins where the published lists end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anew {
    /// Nothing was told yet, or not of every CA that follows.
    Unknown,
    /// The issuer's store is behind what was told, or has something else at its number: it was restored from a backup.
    Restored,
}

/// The rules of one stream; what was told before it is the [`FeedView`]'s to know.
#[derive(Debug)]
pub struct Join {
    opening: Opening,
    began: bool,
    last_at: i64,
}

/// What a message is to the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first message of a stream that was begun anew.
    Begin(Anew),
    /// It goes on where the last one ended.
    Continue,
    /// It was told already.
    Repeat,
}

/// Why a stream has to be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// Something between was not told.
    Gap {
        /// The last sequence number told.
        last: u64,
        /// Where the message begins.
        from: u64,
    },
    /// It begins before the last one's end and ends after it.
    Overlap {
        /// The last sequence number told.
        last: u64,
        /// Where the message begins.
        from: u64,
    },
    /// It was signed before the one that came before it.
    Backwards,
    /// It is another feed's.
    AnotherFeed,
    /// It goes on after something else than was told at that number: the issuer's store was restored from a backup, and
    /// has other changes there by now.
    AnotherHistory {
        /// The last sequence number told.
        last: u64,
    },
}

impl Join {
    /// The rules of a stream that was asked for so.
    pub const fn new(opening: Opening) -> Self {
        Self { opening, began: false, last_at: i64::MIN }
    }

    /// What a message is to what is known.
    ///
    /// # Errors
    /// [`JoinError`]: the stream has to be left and asked for again.
    pub fn judge(&mut self, message: &Message, known: &FeedView) -> Result<Step, JoinError> {
        if message.at < self.last_at {
            return Err(JoinError::Backwards);
        }
        self.last_at = message.at;
        let began = std::mem::replace(&mut self.began, true);
        if let (false, Opening::Anew(why)) = (began, self.opening) {
            return Ok(Step::Begin(why));
        }
        let Some(position) = known.position().filter(|position| position.feed == message.feed) else {
            return Err(JoinError::AnotherFeed);
        };
        let (last, from) = (position.to, message.from);
        match from.cmp(&last) {
            std::cmp::Ordering::Greater => Err(JoinError::Gap { last, from }),
            std::cmp::Ordering::Equal if message.from_mark != position.mark => Err(JoinError::AnotherHistory { last }),
            std::cmp::Ordering::Equal => Ok(Step::Continue),
            std::cmp::Ordering::Less if message.to <= last => Ok(Step::Repeat),
            std::cmp::Ordering::Less => Err(JoinError::Overlap { last, from }),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { last, from } => {
                write!(f, "what was told ends with {last}, and the message begins after {from}")
            }
            Self::Overlap { last, from } => {
                write!(f, "what was told ends with {last}, and the message begins after {from} and ends beyond")
            }
            Self::Backwards => f.write_str("it was signed before the message that came before it"),
            Self::AnotherFeed => f.write_str("it is of another feed than was followed"),
            Self::AnotherHistory { last } => write!(f, "it goes on after another change {last} than was told"),
        }
    }
}

impl std::error::Error for JoinError {}
