//! The JSON of records and log lines. One serializer for all of them, so that no field can forget its bound: a peer
//! decides what stands in names, paths and messages.

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use std::io::{self, Write};

/// Bytes of one field as it is written: a real certificate's names take some 200, a long path some 1,000. What is longer
/// is shortened, and says by how much.
pub const MAX_FIELD_BYTES: usize = 2048;

/// A value as JSON on one line.
///
/// # Errors
/// When it is no JSON: an object whose keys are lists.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(512);
    value.serialize(&mut Serializer::with_formatter(&mut line, Bounded::default()))?;
    Ok(line)
}

/// Writes strings as far as they go, and escapes what a reader would not see, or would take for something else.
#[derive(Default)]
struct Bounded {
    /// Bytes of the string that were written, and those that were left out.
    written: usize,
    left_out: usize,
}

impl Bounded {
    /// Takes room for that much, or notes that so many bytes of the text are left out. Nothing follows what was left out.
    fn fits(&mut self, room: usize, of_text: usize) -> bool {
        let fits = self.left_out == 0 && self.written + room <= MAX_FIELD_BYTES;
        if fits {
            self.written += room;
        } else {
            self.left_out += of_text;
        }
        fits
    }
}

impl Formatter for Bounded {
    fn begin_string<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        *self = Self::default();
        writer.write_all(b"\"")
    }

    fn end_string<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.left_out > 0 {
            write!(writer, "…[{} more bytes]", self.left_out)?;
        }
        writer.write_all(b"\"")
    }

    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let is_plain = fragment.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_plain && self.left_out == 0 && self.written + fragment.len() <= MAX_FIELD_BYTES {
            self.written += fragment.len();
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            let mut units = [0; 2];
            if is_hidden(character) {
                let units = character.encode_utf16(&mut units);
                if self.fits(units.len() * 6, character.len_utf8()) {
                    units.iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?;
                }
            } else if self.fits(character.len_utf8(), character.len_utf8()) {
                writer.write_all(character.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(())
    }

    fn write_char_escape<W: Write + ?Sized>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        // The longest is six bytes.
        if self.fits(6, 1) { CompactFormatter.write_char_escape(writer, escape) } else { Ok(()) }
    }
}

/// Returns `true` for characters that show nothing, change the order of others, or end a line for some readers: controls,
/// line and paragraph separators, Unicode's Bidi_Control and Default_Ignorable_Code_Point, and the Braille blank.
const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn text(value: &Value) -> String {
        String::from_utf8(to_json(value).unwrap()).unwrap()
    }

    #[test]
    fn a_field_that_is_too_long_is_shortened_and_says_so() {
        let just = "x".repeat(MAX_FIELD_BYTES);
        assert_eq!(text(&json!({ "cn": just })), json!({ "cn": just }).to_string());
        let expected = format!(r#"{{"cn":"{just}…[70000 more bytes]","ca":"y"}}"#);
        let record = [("cn", "x".repeat(MAX_FIELD_BYTES + 70_000)), ("ca", "y".to_owned())];
        let line = format!("{{{}}}", record.map(|(key, value)| format!("{key:?}:{}", text(&json!(value)))).join(","));
        assert_eq!(line, expected);
        // A key is a string, too.
        assert!(text(&json!({ "k".repeat(10_000): 1 })).len() < MAX_FIELD_BYTES + 100);
    }

    #[test]
    fn what_nobody_sees_is_escaped_and_every_script_is_written() {
        let hidden = "a\u{202e}b\u{2028}c\u{85}d\u{7f}e\u{3164}f\u{e0001}g";
        assert_eq!(text(&json!(hidden)), r#""a\u202eb\u2028c\u0085d\u007fe\u3164f\udb40\udc01g""#);
        let seen = "利用者 ÄЖع 🏦";
        assert_eq!(text(&json!(seen)), format!("{seen:?}"));
    }

    proptest! {
        #[test]
        fn whatever_a_field_holds_it_is_the_same_when_it_is_read_again_if_it_is_short(value in ".{0,150}") {
            let line = to_json(&value).unwrap();
            prop_assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), value);
            prop_assert!(!String::from_utf8(line).unwrap().chars().any(is_hidden));
        }

        #[test]
        fn whatever_a_field_holds_its_line_is_json_and_bounded(value in r#"[\x00-\x20"\\\u{202e}\u{e0001}利🏦a]{0,5000}"#) {
            let line = to_json(&[&value, &value]).unwrap();
            prop_assert!(line.len() < 2 * (MAX_FIELD_BYTES + 40));
            let read: [String; 2] = serde_json::from_slice(&line).unwrap();
            let kept = read[0].split("…[").next().unwrap();
            prop_assert!(value.starts_with(kept));
        }
    }
}
