//! What a refused client is told beside the reason: where to go, what to do there, whom to call.

use super::reader::{Item, Section};
use super::types::{Config, Place};
use super::values::{one_of, text};

/// What clients of a CA do once their certificate has expired or was revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advice {
    /// `"acquire-again"`: acquire another themselves.
    AcquireAgain,
    /// `"ask-for-reissue"`: have it reissued by their administrator or the bank, before they can acquire another. The
    /// default: who may acquire by themselves loses some time by it; the others would be sent where they are refused.
    #[default]
    AskForReissue,
}

/// `portal_url` and `advice` of a CA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guidance {
    /// `portal_url`: where refusal pages send its clients, in the place of the site's.
    pub portal_url: Option<String>,
    /// `advice`.
    pub advice: Option<Advice>,
}

/// `[gateway.contact]` and `[site.contact]`: who speaks to a refused client, and whom it may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// `name` of the bank or service.
    pub name: Text,
    /// `mark`: some letters in the place of a logo.
    pub mark: Option<Text>,
    /// `telephone`.
    pub telephone: Option<String>,
    /// `hours` in which it is answered.
    pub hours: Option<Text>,
}

/// A text in the languages of the refusal page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

/// Characters of a name or of hours: more is no line of a page.
const MAX_TEXT_CHARACTERS: usize = 120;

/// Characters of a mark, which stands where a logo would.
const MAX_MARK_CHARACTERS: usize = 12;

/// Characters of a telephone number with its signs: E.164 has 15 digits.
const MAX_TELEPHONE_CHARACTERS: usize = 32;

impl Config {
    /// What clients of the CA of this name are told: its own guidance, or that of the nearest CA above it.
    pub fn guidance_of(&self, ca: &str) -> Guidance {
        let mut found = Guidance::default();
        for ca in self.line_up(ca) {
            found.portal_url = found.portal_url.or_else(|| ca.guidance.portal_url.clone());
            found.advice = found.advice.or(ca.guidance.advice);
        }
        found
    }

    /// Every `portal_url` and the place of its table.
    pub fn portal_urls(&self) -> impl Iterator<Item = (&Place, &str)> {
        let of_sites = self.sites.iter().map(|site| (&site.place, site.portal_url.as_deref()));
        let of_cas = self.cas.iter().map(|ca| (&ca.place, ca.guidance.portal_url.as_deref()));
        of_sites.chain(of_cas).filter_map(|(place, url)| Some((place, url?)))
    }
}

/// The keys of a `[[ca]]`.
pub(super) fn of_ca(section: &mut Section<'_>) -> Guidance {
    Guidance {
        portal_url: section.optional("portal_url", super::site::portal_url),
        advice: section.optional("advice", advice),
    }
}

fn advice(item: &Item<'_>) -> Option<Advice> {
    let answers = [("acquire-again", Advice::AcquireAgain), ("ask-for-reissue", Advice::AskForReissue)];
    one_of(item, "an advice to refused clients", &answers)
}

/// `[gateway.contact]` or `[site.contact]`.
pub(super) fn contact(mut section: Section<'_>) -> Contact {
    let contact = Contact {
        name: section.required("name", "write the bank's name as its customers know it", |item| {
            in_languages(item, MAX_TEXT_CHARACTERS)
        }),
        mark: section.optional("mark", |item| in_languages(item, MAX_MARK_CHARACTERS)),
        telephone: section.optional("telephone", telephone),
        hours: section.optional("hours", |item| in_languages(item, MAX_TEXT_CHARACTERS)),
    };
    section.finish();
    contact
}

/// One text for every language, or `{ ja = "…", en = "…" }`.
fn in_languages(item: &Item<'_>, most: usize) -> Option<Text> {
    if item.as_str().is_some() {
        let text = short(item, most)?;
        return Some(Text { ja: text.clone(), en: text });
    }
    let Some(mut section) = item.section() else {
        item.refuse_type("a text", "it in double quotes, or { ja = \"…\", en = \"…\" }");
        return None;
    };
    let text = Text {
        ja: section.required("ja", "write the text in Japanese", |item| short(item, most)),
        en: section.required("en", "write the text in English", |item| short(item, most)),
    };
    section.finish();
    Some(text)
}

fn short(item: &Item<'_>, most: usize) -> Option<String> {
    let text = text(item)?;
    // Characters that turn the direction of what follows would turn the page's own words.
    if text.chars().any(|character| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        item.refuse("has a character that changes the direction of writing; remove it");
        return None;
    }
    if text.chars().count() > most {
        item.refuse(format!("is longer than {most} characters; shorten it"));
        return None;
    }
    Some(text)
}

fn telephone(item: &Item<'_>) -> Option<String> {
    let text = short(item, MAX_TELEPHONE_CHARACTERS)?;
    let fits = |byte: u8| byte.is_ascii_digit() || b"+-() ".contains(&byte);
    if !text.bytes().all(fits) || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        item.refuse_type("a telephone number", "digits with -, (, ), + and spaces: \"0120-000-000\"");
        return None;
    }
    Some(text)
}
