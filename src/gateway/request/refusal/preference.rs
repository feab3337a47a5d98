//! How a client wants to be answered (RFC 9110 section 12.5).

use http::header::{ACCEPT, ACCEPT_LANGUAGE};
use http::{HeaderMap, HeaderName};
use sekisho_config::Text;

const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The request headers a preference is read from.
pub(super) const VARY_VALUE: &str = "accept, accept-language, x-requested-with, sec-fetch-dest";

/// Elements of a header that are looked at: browsers send up to ten; the rest of a longer list is ignored.
const MAX_ELEMENTS: usize = 64;

/// The language of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// The default: the service's customers are companies in Japan.
    #[default]
    Japanese,
    /// When the client prefers it.
    English,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// A page, for people.
    #[default]
    Html,
    /// `application/problem+json` (RFC 9457), for programs.
    ProblemJson,
}

/// How a client wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Preference {
    /// From `Accept-Language`.
    pub language: Language,
    /// From `Accept`, `X-Requested-With` and `Sec-Fetch-Dest`.
    pub format: Format,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Japanese, Self::English];

    /// Its tag (RFC 5646).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }

    /// A configured text in it.
    pub fn of(self, text: &Text) -> &str {
        match self {
            Self::Japanese => &text.ja,
            Self::English => &text.en,
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Japanese => Self::English,
            Self::English => Self::Japanese,
        }
    }
}

impl Preference {
    /// Of a request. Headers that cannot be read count as absent; nothing here fails.
    pub fn of(headers: &HeaderMap) -> Self {
        Self { language: language(headers), format: format(headers) }
    }
}

/// English when its quality is above that of Japanese; a client that names neither gets the default.
fn language(headers: &HeaderMap) -> Language {
    let quality = |wanted: &str| {
        let range_of = |range: &str| {
            let primary = range.split('-').next().unwrap_or_default();
            if primary.eq_ignore_ascii_case(wanted) { Some(1_u8) } else { (range == "*").then_some(0) }
        };
        best(headers, &ACCEPT_LANGUAGE, range_of)
    };
    let quality_of = |wanted| quality(wanted).map_or(0, |(quality, _)| quality);
    if quality_of("en") > quality_of("ja") { Language::English } else { Language::Japanese }
}

/// A page unless the client is a program: one that says so, or one that would rather have JSON than HTML.
fn format(headers: &HeaderMap) -> Format {
    let is = |name, value: &str| {
        headers.get(name).is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    };
    if is(X_REQUESTED_WITH, "XMLHttpRequest") {
        return Format::ProblemJson;
    }
    if !headers.contains_key(ACCEPT) {
        return Format::Html;
    }
    // Quality first, then how exactly the type was named: `application/json, */*` is a program's.
    let html = media(headers, "text/html");
    let json =
        ["application/problem+json", "application/json"].into_iter().filter_map(|json| media(headers, json)).max();
    let named_by_wildcard_only = html.is_some_and(|(_, specificity)| specificity == 0);
    match (html, json) {
        (None | Some((0, _)), _) => Format::ProblemJson,
        (Some(html), Some(json)) if json > html => Format::ProblemJson,
        // A script's fetch() sends `*/*`; a person's navigation says `document`.
        _ if named_by_wildcard_only && is(SEC_FETCH_DEST, "empty") => Format::ProblemJson,
        _ => Format::Html,
    }
}

fn media(headers: &HeaderMap, wanted: &str) -> Option<(u16, u8)> {
    best(headers, &ACCEPT, |range| {
        let (main, _) = wanted.split_once('/')?;
        if range.eq_ignore_ascii_case(wanted) {
            Some(2)
        } else if range.strip_suffix("/*").is_some_and(|start| start.eq_ignore_ascii_case(main)) {
            Some(1)
        } else {
            (range == "*/*").then_some(0)
        }
    })
}

/// Quality, in thousandths, and specificity of the element that fits most specifically (RFC 9110 section 12.5.1);
/// of several equally specific ones the best quality.
fn best(headers: &HeaderMap, name: &HeaderName, specificity: impl Fn(&str) -> Option<u8>) -> Option<(u16, u8)> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    let elements = lines.flat_map(|line| line.split(',')).take(MAX_ELEMENTS);
    let fitting = elements.filter_map(|element| {
        let mut parts = element.split(';').map(str::trim_ascii);
        let specificity = specificity(parts.next()?)?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some((specificity, weight.map_or(Some(1000), thousandths)?))
    });
    fitting.max().map(|(specificity, quality)| (quality, specificity))
}

/// A weight (RFC 9110 section 12.4.2): `0`, `0.5`, `1.000`.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn preference(lines: &[(&str, &str)]) -> Preference {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Preference::of(&headers)
    }

    #[test]
    fn the_preferred_language_is_answered_in_and_japanese_is_the_default() {
        use Language::{English, Japanese};
        for (accept, language) in [
            ("ja,en-US;q=0.9,en;q=0.8", Japanese),
            ("en-US,en;q=0.9,ja;q=0.8", English),
            ("EN", English),
            ("en-GB;q=0.3, ja;q=0.2", English),
            ("ja;q=0.3,en;q=0.2", Japanese),
            ("en;q=0.5,ja;q=0.5", Japanese),
            ("fr", Japanese),
            ("fr,en;q=0.1", English),
            ("*", Japanese),
            ("en,*;q=0.5", English),
            ("ja;q=0,*", English),
            ("en;q=0", Japanese),
            ("en;q=2,ja;q=0.1", Japanese),
            ("en;q=,ja;q=0.1", Japanese),
            ("english", Japanese),
            ("", Japanese),
            (";;,q=1,=,,", Japanese),
            ("en ; q=0.4 , ja ; q=0.3", English),
        ] {
            assert_eq!(preference(&[("accept-language", accept)]).language, language, "{accept}");
        }
        assert_eq!(preference(&[]).language, Japanese);
        assert_eq!(preference(&[("accept-language", "ja;q=0.2"), ("accept-language", "en")]).language, English);
    }

    #[test]
    fn browsers_get_a_page_and_programs_a_problem_document() {
        use Format::{Html, ProblemJson};
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
        for (accept, format) in [
            (browser, Html),
            ("*/*", Html),
            ("text/*", Html),
            ("text/html;q=0.1, */*;q=0", Html),
            ("application/json;q=0.5, text/html", Html),
            ("application/*", ProblemJson),
            ("text/html;level=1", Html),
            ("application/json", ProblemJson),
            ("application/problem+json", ProblemJson),
            ("application/json, text/plain, */*", ProblemJson),
            ("application/json, text/html;q=0.9", ProblemJson),
            ("Application/JSON", ProblemJson),
            ("image/png", ProblemJson),
            ("text/html;q=0", ProblemJson),
            ("text/html;q=0, */*", ProblemJson),
            ("*/*;q=0", ProblemJson),
            ("", ProblemJson),
        ] {
            assert_eq!(preference(&[("accept", accept)]).format, format, "{accept}");
        }
        assert_eq!(preference(&[]).format, Html);
        assert_eq!(preference(&[("accept", browser), ("x-requested-with", "xmlhttprequest")]).format, ProblemJson);
        assert_eq!(preference(&[("accept", "*/*"), ("sec-fetch-dest", "empty")]).format, ProblemJson);
        assert_eq!(preference(&[("accept", browser), ("sec-fetch-dest", "document")]).format, Html);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(accept in proptest::collection::vec(any::<u8>(), 0..80), shaped in "[a-z*/;=,.q0-9 +-]{0,80}") {
            for value in [&accept[..], shaped.as_bytes()] {
                let mut headers = HeaderMap::new();
                for name in [ACCEPT, ACCEPT_LANGUAGE, X_REQUESTED_WITH, SEC_FETCH_DEST] {
                    if let Ok(value) = HeaderValue::from_bytes(value) {
                        headers.append(name, value);
                    }
                }
                Preference::of(&headers);
            }
        }
    }
}
