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
/// - `\`, the signs that code pages 932 and 949 have in its place, and whatever else is taken for a slash or backslash
///   where Unicode is fitted to a code page ([`best_fit`]), separate segments.
/// - A segment that is ASP.NET's place for a session or ticket of clients without cookies, `(S(…))`, is dropped.
/// - A segment ends at a parameter (`;`), a stream of NTFS (`:`), what would begin a query or fragment if it were decoded
///   again (`?`, `#`), or its first dot: `users.json` and `users.tar.gz` are `users`.
/// - Blanks and dots around a segment are dropped.
///
/// # Errors
/// [`PathError::DotSegment`] where a segment is nothing but dots and blanks, which would have it name a folder above;
/// [`PathError::Encoding`] where a percent-encoding appears; [`PathError::EncodedSeparator`] for a slash or underscore
/// that is a combining mark, which one reader drops and another fits to ASCII, and for a slash of another kind behind
/// what ends a segment; [`PathError::Cookieless`] where more follows `(S(…))` in its segment, which ASP.NET would join to
/// what stands before.
pub(super) fn folded(path: &str) -> Result<String, PathError> {
    let mut folded = String::with_capacity(path.len());
    if path.is_ascii() {
        path.to_ascii_lowercase().split('/').try_for_each(|part| fold_part(part, &mut folded))?;
    } else if path.contains(COMBINING_SIGNS) {
        return Err(PathError::EncodedSeparator);
    } else {
        path.split('/').try_for_each(|part| fold_part(&ascii_reading(part), &mut folded))?;
    }
    Ok(folded)
}

/// Folds what stands between two slashes, where others may separate it further.
fn fold_part(text: &str, folded: &mut String) -> Result<(), PathError> {
    if text.as_bytes().windows(3).any(|w| matches!(w, [b'%', rest @ ..] if rest.iter().all(u8::is_ascii_hexdigit))) {
        return Err(PathError::Encoding);
    }
    for segment in text.split(SEPARATORS) {
        let segment = match after_cookieless(segment.trim()) {
            None => segment,
            Some("") => continue,
            Some(_) => return Err(PathError::Cookieless),
        };
        let untrimmed = segment.split(ENDS).next().unwrap_or_default();
        let whole = untrimmed.trim();
        let dotless = whole.trim_matches([' ', '.']);
        // ` .json`: one reader has json, another cuts it off as what a blank ends in, and the blank too.
        let is_blank_before_dot = whole.starts_with('.') && !untrimmed.starts_with('.');
        if dotless.is_empty() && !whole.is_empty() || is_blank_before_dot {
            return Err(PathError::DotSegment);
        }
        let stem = dotless.split('.').next().unwrap_or_default().trim();
        if !stem.is_empty() {
            folded.push('/');
            folded.push_str(stem);
        }
    }
    // `a:x∕users`: one reader splits it and has the page users below a, another cuts all of that and has a.
    let separated = text.rfind(SEPARATORS).and_then(|last| text.get(..last)).unwrap_or_default();
    if separated.contains(ENDS) || separated.contains('.') {
        return Err(PathError::EncodedSeparator);
    }
    Ok(())
}

const SEPARATORS: [char; 2] = ['/', '\\'];

/// Where a segment ends for one reader or another: a parameter, a stream, a query, a fragment.
const ENDS: [char; 4] = [';', ':', '?', '#'];

/// What stands before the first segment of a folded path that could be a DOS short name (`/users~1`), if one is there.
/// Which name it is short for only the file system knows.
pub(super) fn before_short_name(folded: &str) -> Option<&str> {
    let is_short = |segment: &str| {
        segment
            .rsplit_once('~')
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()))
    };
    let starts = folded.match_indices('/').map(|(start, _)| start);
    let (start, _) = starts.zip(folded.split('/').skip(1)).find(|(_, segment)| is_short(segment))?;
    folded.get(..start)
}

/// What follows ASP.NET's `(S(…))` in a segment that begins with one. It holds one value or several, each behind its
/// letter: `(A(…)S(…)F(…))`.
fn after_cookieless(segment: &str) -> Option<&str> {
    let mut rest = segment.strip_prefix('(')?;
    loop {
        let value = rest.strip_prefix(|letter: char| letter.is_ascii_alphabetic())?.strip_prefix('(')?;
        rest = value.split_once(')')?.1;
        if let Some(behind) = rest.strip_prefix(')') {
            return Some(behind);
        }
    }
}

/// Combining marks that Windows' code pages fit to `/`, `\` and `_`.
const COMBINING_SIGNS: [char; 4] = ['\u{338}', '\u{20e5}', '\u{331}', '\u{332}'];

/// What of a text an application may read as ASCII; the rest stands as it is.
fn ascii_reading(text: &str) -> String {
    let plain = text.chars().filter(|character| !is_invisible(*character));
    let plain = plain.map(|character| if character.is_whitespace() { ' ' } else { character });
    let plain = plain.nfkd().filter(|character| !is_combining_mark(*character) && !is_invisible(*character));
    plain.flat_map(char::to_uppercase).flat_map(char::to_lowercase).map(best_fit).collect()
}

/// What stands in for a character, in lower case, where a code page lacks it: Windows' best fit to code page 1252, and
/// signs that look like a slash or backslash and nothing else. Compatibility forms are read before ([`ascii_reading`]).
const fn best_fit(character: char) -> char {
    match character {
        '\u{2044}' | '\u{2215}' | '\u{2571}' | '\u{27cb}' | '\u{29f8}' => '/',
        // Code pages 932 and 949 have these in its place.
        '\u{a5}' | '\u{20a9}' | '\u{2216}' | '\u{2572}' | '\u{27cd}' | '\u{29f5}' | '\u{29f9}' => '\\',
        '\u{589}' | '\u{2236}' => ':',
        '\u{223c}' => '~',
        '\u{2010}' | '\u{2011}' | '\u{2212}' => '-',
        '\u{66a}' => '%',
        '\u{221e}' => '8',
        'α' => 'a',
        'ƀ' => 'b',
        'đ' | 'δ' => 'd',
        'ε' => 'e',
        'φ' => 'f',
        'ǥ' | 'ɡ' | 'γ' => 'g',
        'ħ' | '\u{4bb}' => 'h',
        'ɨ' => 'i',
        'ł' | 'ƚ' => 'l',
        '\u{2229}' => 'n',
        'ɵ' | 'ω' => 'o',
        'π' | '\u{20a7}' => 'p',
        'σ' | 'ς' => 's',
        'ŧ' | 'ƫ' | 'ʈ' | 'θ' | 'τ' => 't',
        '\u{221a}' => 'v',
        'ƶ' => 'z',
        other => other,
    }
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
    fn whatever_is_fitted_to_a_slash_or_backslash_separates() {
        for slash in [
            '/', '\\', '／', '＼', '¥', '￥', '₩', '￦', '﹨', '\u{2044}', '\u{2215}', '\u{2216}', '\u{2571}',
            '\u{2572}', '\u{27cb}', '\u{27cd}', '\u{29f5}', '\u{29f8}', '\u{29f9}',
        ] {
            let path = format!("{slash}users{slash}x");
            assert_eq!(folded(&path), Ok("/users/x".to_owned()), "{slash:?}, U+{:04X}", u32::from(slash));
        }
        for mark in COMBINING_SIGNS {
            assert_eq!(folded(&format!("/us{mark}ers")), Err(PathError::EncodedSeparator), "{mark:?}");
        }
        assert_eq!(folded("/uσers/αđΜıΝ"), Ok("/users/adμiν".to_owned()));
        assert_eq!(folded("/users\u{2236}x"), Ok("/users".to_owned()));
    }

    #[test]
    fn places_for_the_sessions_of_asp_net_are_no_segments() {
        for place in [
            "(S(abc))",
            "(s(abc))",
            "(A(b))",
            "(F(c))",
            "(X(1))",
            "(A(b)S(c)F(d))",
            "(S(a.b;c:d))",
            "(S())",
            "（S（x））",
        ] {
            for path in
                [format!("/{place}/users"), format!("/users/{place}"), format!("/{place}/{place}/users/{place}/")]
            {
                assert_eq!(folded(&path), Ok("/users".to_owned()), "{path}");
            }
        }
        for path in ["/(S(x))users", "/us/(S(x))ers", "/(S(x));v=1/users", "/(S(x)).aspx"] {
            assert_eq!(folded(path), Err(PathError::Cookieless), "{path}");
        }
        for path in ["/(s)", "/(1(x))", "/s(x)", "/(s(x)", "/(ab(x))", "/()"] {
            assert_eq!(folded(path), Ok(path.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_short_name_of_dos_is_found_with_what_stands_before_it() {
        for (path, before) in [
            ("/USERS~1", Some("")),
            ("/a/USERS~12.ASP/x", Some("/a")),
            ("/a/b/use1f2~1", Some("/a/b")),
            ("/a/x~1/y~2", Some("/a")),
            ("/users～1", Some("")),
            ("/users\u{223c}1", Some("")),
            ("/(S(x))/users~1", Some("")),
            ("/~tanaka", None),
            ("/a~", None),
            ("/a~1b", None),
            ("/users", None),
            ("/", None),
        ] {
            assert_eq!(before_short_name(&folded(path).unwrap()), before, "{path}");
        }
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
