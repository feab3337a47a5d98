//! Paths as an application may fold them before it looks a page up.
//!
//! The gateway compares paths exactly, since to HTTP `/users` and `/USERS` are two resources. Many an application serves
//! one page for both: Windows and its file names, ASP.NET, Spring's suffix patterns, Rails' formats, frameworks that
//! normalise Unicode. So a path is also looked up in a folded form, wider than any one application's, and whatever
//! routes it reaches there must let the client in as well ([`super::RouteTable::find`]).
//!
//! Routes are ASCII, so a fold only has to find every character that some application reads as ASCII.

use super::PathError;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A decoded path, folded: `/` before each segment and none elsewhere; the root's is empty.
///
/// - Compatibility characters are what they stand for (NFKD), accents and characters without a width are dropped, and
///   case is folded by way of upper case (`ı`, `ſ`, `K`), so that whatever compares in either case finds the same.
/// - `\`, and the signs that code pages 932 and 949 have in its place, separate segments.
/// - A segment ends at a parameter (`;`), a stream of NTFS (`:`), what would begin a query or fragment if it were decoded
///   again (`?`, `#`), or its first dot: `users.json` and `users.tar.gz` are `users`.
/// - Blanks and dots around a segment are dropped.
///
/// # Errors
/// [`PathError::DotSegment`] where a segment is nothing but dots and blanks, which would have it name a folder above;
/// [`PathError::Encoding`] where a percent-encoding appears.
pub(super) fn folded(path: &str) -> Result<String, PathError> {
    let text = if path.is_ascii() { path.to_ascii_lowercase() } else { ascii_reading(path) };
    if text.as_bytes().windows(3).any(|w| matches!(w, [b'%', rest @ ..] if rest.iter().all(u8::is_ascii_hexdigit))) {
        return Err(PathError::Encoding);
    }
    let mut folded = String::with_capacity(text.len());
    for segment in text.split(['/', '\\']) {
        let whole = segment.split([';', ':', '?', '#']).next().unwrap_or_default().trim();
        let dotless = whole.trim_matches([' ', '.']);
        if dotless.is_empty() && !whole.is_empty() {
            return Err(PathError::DotSegment);
        }
        let stem = dotless.split('.').next().unwrap_or_default().trim();
        if !stem.is_empty() {
            folded.push('/');
            folded.push_str(stem);
        }
    }
    Ok(folded)
}

/// What of a text an application may read as ASCII; the rest stands as it is.
fn ascii_reading(text: &str) -> String {
    let plain = text.chars().filter(|character| !is_invisible(*character)).map(|character| match character {
        '\u{a5}' | '\u{20a9}' => '\\',
        other if other.is_whitespace() => ' ',
        other => other,
    });
    let plain = plain.nfkd().filter(|character| !is_combining_mark(*character) && !is_invisible(*character));
    plain.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Characters that Unicode has applications leave out (Default_Ignorable_Code_Point), and controls.
const fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_some_application_reads_as_one_page_folds_to_it() {
        for path in [
            "/users",
            "/USERS",
            "/Users/",
            "/users.json",
            "/users.tar.gz",
            "/users::$DATA",
            "/users:x",
            "/users;v=1",
            "/users ",
            "/ users",
            "/users%?x",
            "/users#x",
            "/ｕｓｅｒｓ",
            "/ＵＳＥＲＳ",
            "/uſers",
            "/us\u{ad}ers",
            "/\u{200b}users",
            "/users\u{3000}",
            "/usérs",
            "/𝐮𝐬𝐞𝐫𝐬",
            "/ⓤⓢⓔⓡⓢ",
            "／users",
            "¥users",
            "/users．json",
            "/users\u{85}",
            "/users\u{2028}",
        ] {
            let path = path.replace("%?", "?");
            assert_eq!(folded(&path), Ok("/users".to_owned()), "{path:?}");
        }
        assert_eq!(folded("/admın/KELVIN\u{212a}"), Ok("/admin/kelvink".to_owned()));
        assert_eq!(folded("/"), Ok(String::new()));
        assert_eq!(folded("/a/B.c/d;e=f/"), Ok("/a/b/d".to_owned()));
        assert_eq!(folded("/.well-known/x"), Ok("/well-known/x".to_owned()));
        assert_eq!(folded("/．users/.users.json"), Ok("/users/users".to_owned()));
        assert_eq!(folded("/振込／一覧"), Ok("/振込/一覧".to_owned()));
    }

    #[test]
    fn what_would_name_a_folder_above_or_be_decoded_again_is_refused() {
        for path in ["/a/．．/users", "/a／..／users", "/a/‥/users", "/a/\u{200b}..", "/．", "/a/. ./b", "/a/…"]
        {
            assert_eq!(folded(path), Err(PathError::DotSegment), "{path:?}");
        }
        assert_eq!(folded("/％75sers"), Err(PathError::Encoding));
        assert_eq!(folded("/100％"), Ok("/100%".to_owned()));
    }
}
