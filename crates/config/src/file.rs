//! Files as text.

use super::types::{ConfigError, Place};
use std::path::Path;

/// The text of a file, and the file's name for messages.
///
/// # Errors
/// One error, when the file cannot be read, has more than `most` octets or is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<(String, String), Vec<ConfigError>> {
    let file = path.display().to_string();
    let refuse = |message: String| {
        let place = Place { file: file.as_str().into(), line: 0, key: String::new() };
        vec![ConfigError { place, message }]
    };
    let size = std::fs::metadata(path).map_err(|error| refuse(format!("cannot be read: {error}")))?.len();
    if size > most {
        return Err(refuse(format!("has {size} octets, more than the {most} a configuration may have")));
    }
    let octets = std::fs::read(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(octets).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|octet| **octet == b'\n').count() + 1;
        refuse(format!("is not UTF-8 at line {line}; save it as UTF-8"))
    })?;
    Ok((text, file))
}
