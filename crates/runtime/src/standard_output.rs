//! What commands print: to standard output, which may be a pipe.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Exit code where standard output took not all of it: nobody has read the answer, whatever it is.
const UNWRITTEN: u8 = 2;

/// Prints a command's answer, with which it then ends.
///
/// A reader that went away (`head`, a pager) has seen what it wanted: that is no error. A disk that is full is one.
pub fn say(text: impl Display, then: ExitCode) -> ExitCode {
    let mut output = io::stdout().lock();
    match take(write!(output, "{text}").and_then(|()| output.flush())) {
        Ok(_) => then,
        Err(error) => {
            eprintln!("sekisho: standard output: {error}");
            ExitCode::from(UNWRITTEN)
        }
    }
}

/// Whether somebody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Yes.
    Reads,
    /// No, and there is nothing more to be written for.
    WentAway,
}

/// What writing came to, with the reader's going away told from an error.
///
/// # Errors
/// Any other than that.
pub fn take(written: io::Result<()>) -> io::Result<Reader> {
    match written {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::WentAway),
        Err(error) => Err(error),
    }
}
