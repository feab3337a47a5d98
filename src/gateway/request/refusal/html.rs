//! The page: self-contained, without scripts, printable.

use super::JST_SECONDS;
use super::Language;
use super::Particulars;
use super::Problem;
use super::portal;
use super::texts::{self, Labels};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;
use sekisho_pki::fingerprint::sha256;
use std::sync::LazyLock;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Nothing may be loaded, run, framed or sent; only this very style sheet may style.
pub(super) fn content_security_policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = BASE64_STANDARD.encode(sha256(&[STYLE.as_bytes()]));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        // Base 64 is ASCII; were it not, the page goes without its style.
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    POLICY.clone()
}

/// The page in `language`, and the other language folded up below it.
pub(super) fn page(problem: Problem, language: Language, particulars: &Particulars<'_>) -> String {
    // A test finds a value for every slot of the template.
    fill(TEMPLATE, &|slot| value(slot, problem, language, particulars).unwrap_or_default())
}

fn value(slot: &str, problem: Problem, language: Language, particulars: &Particulars<'_>) -> Option<String> {
    // `other_…` slots are those of the other language.
    if let Some(slot) = slot.strip_prefix("other_") {
        return value(slot, problem, language.other(), particulars);
    }
    let (words, labels) = (texts::words(problem, language, particulars.advice), texts::labels(language));
    Some(match slot {
        "style" => STYLE.to_owned(),
        "language" => language.tag().to_owned(),
        "language_name" => escape(labels.language_name),
        "title" => escape(words.title),
        "title_of_page" => match particulars.contact {
            Some(contact) => escape(&format!("{} | {}", words.title, language.of(&contact.name))),
            None => escape(words.title),
        },
        "bank" => bank(language, particulars),
        "desk" => desk(labels, language, particulars),
        "detail" => escape(words.detail),
        "next" => escape(labels.next),
        "steps" => steps(words.next_steps),
        "portal" => portal_link(labels, problem, particulars),
        "contact" => escape(labels.contact),
        "reference_label" => escape(labels.reference),
        "reference" => escape(particulars.reference.as_str()),
        "reason_label" => escape(labels.reason),
        "reason" => escape(&format!("{} {}", problem.status().as_u16(), problem.name())),
        "time_label" => escape(labels.time),
        "time" => escape(&local_time(particulars)),
        "time_utc" => escape(&particulars.now.to_string()),
        _ => return None,
    })
}

/// The template with each `{{slot}}` filled, in one pass: what is filled in is not looked at again.
fn fill(template: &str, value: &dyn Fn(&str) -> String) -> String {
    let mut pieces = template.split("{{");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (slot, text) = piece.split_once("}}").unwrap_or((piece, ""));
        filled.push_str(&value(slot));
        filled.push_str(text);
    }
    filled
}

fn steps(steps: &[&str]) -> String {
    steps.iter().map(|step| format!("<li>{}</li>", escape(step))).collect()
}

fn portal_link(labels: &Labels, problem: Problem, particulars: &Particulars<'_>) -> String {
    portal(problem, particulars).map_or_else(String::new, |url| {
        let url = escape(url);
        format!(
            "<p class=\"portal\"><a href=\"{url}\" rel=\"noreferrer\">{}</a><span class=\"url\">{url}</span></p>",
            escape(labels.portal)
        )
    })
}

/// The bank's text mark and name; nothing where the configuration names none.
fn bank(language: Language, particulars: &Particulars<'_>) -> String {
    let Some(contact) = particulars.contact else { return String::new() };
    let mark = contact.mark.as_ref().map_or_else(String::new, |mark| {
        format!("<span class=\"bank-mark\" aria-hidden=\"true\">{}</span>", escape(language.of(mark)))
    });
    format!("<p class=\"bank\">{mark}<span>{}</span></p>", escape(language.of(&contact.name)))
}

/// Whom to call, and when; nothing where there is neither a number nor hours.
fn desk(labels: &Labels, language: Language, particulars: &Particulars<'_>) -> String {
    let Some(contact) = particulars.contact else { return String::new() };
    let row = |label: &str, value: &str| format!("<div><dt>{}</dt><dd>{value}</dd></div>", escape(label));
    let mut rows = String::new();
    if let Some(telephone) = &contact.telephone {
        // RFC 3966: a leading + and digits; the configuration lets in no letter.
        let number: String = telephone.chars().filter(|sign| sign.is_ascii_digit() || *sign == '+').collect();
        rows += &row(labels.telephone, &format!("<a href=\"tel:{number}\">{}</a>", escape(telephone)));
    }
    if let Some(hours) = &contact.hours {
        rows += &row(labels.hours, &escape(language.of(hours)));
    }
    if rows.is_empty() {
        return rows;
    }
    let (heading, name) = (escape(labels.desk), escape(language.of(&contact.name)));
    format!(
        "<section class=\"facts\" aria-labelledby=\"desk\">\n<h2 id=\"desk\">{heading}</h2>\n<p>{name}</p>\n<dl>{rows}</dl>\n</section>"
    )
}

/// `2026-11-22 10:31:00 JST`.
fn local_time(particulars: &Particulars<'_>) -> String {
    let local = particulars.now.plus_seconds(JST_SECONDS).to_string();
    format!("{} JST", local.trim_end_matches('Z').replace('T', " "))
}

/// Text as HTML content or a quoted attribute value.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_of_the_template_has_a_value() {
        let reference = crate::gateway::base::request_id::RequestId::from_octets([0; 10]);
        let now = sekisho_pki::time::Timestamp::from_unix(0);
        let text = || sekisho_config::Text { ja: "銀行".to_owned(), en: "Bank".to_owned() };
        let contact = sekisho_config::Contact { name: text(), hours: Some(text()), ..Default::default() };
        let particulars = Particulars {
            reference: &reference,
            now,
            portal_url: Some("https://x/"),
            advice: Default::default(),
            contact: Some(&contact),
            allow: None,
        };
        let slots: Vec<&str> = TEMPLATE.split("{{").skip(1).map(|piece| piece.split_once("}}").unwrap().0).collect();
        assert!(slots.len() > 20);
        for slot in slots {
            for problem in [Problem::Refused(crate::gateway::verify::Reason::Expired), Problem::NotFound] {
                let value = value(slot, problem, Language::English, &particulars);
                let may_be_empty = slot.ends_with("portal") && problem == Problem::NotFound;
                assert!(may_be_empty || value.is_some_and(|value| !value.is_empty()), "{slot}");
            }
        }
    }

    #[test]
    fn a_filled_value_is_not_filled_again() {
        let value = |slot: &str| if slot == "a" { "{{b}}".to_owned() } else { "B".to_owned() };
        assert_eq!(fill("x{{a}}y{{b}}z", &value), "x{{b}}yBz");
        assert_eq!(fill("no slot", &value), "no slot");
        assert_eq!(fill("{{a", &value), "{{b}}");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
