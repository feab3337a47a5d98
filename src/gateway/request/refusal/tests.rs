use super::*;
use sekisho_config::Text;
use serde_json::Value;
use std::collections::HashSet;

const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);
const PORTAL: &str = "https://portal.example.jp/acquire?a=1&b=2";

fn rendered(problem: Problem, language: Language, format: Format, portal_url: Option<&str>) -> (RenderedPage, String) {
    let reference = RequestId::from_octets([0x3a, 0x86, 0xf9, 0x83, 0xed, 0x4c, 0xe9, 0xd5, 0x07, 0x7a]);
    let particulars = Particulars {
        reference: &reference,
        now: NOW,
        portal_url,
        advice: Advice::AskForReissue,
        contact: None,
        allow: Some("GET, POST"),
    };
    let page = render(problem, Preference { language, format }, &particulars);
    let body = String::from_utf8(page.body.to_vec()).unwrap();
    (page, body)
}

fn header<'a>(page: &'a RenderedPage, name: &str) -> Option<&'a str> {
    let mut values = page.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.to_str().unwrap());
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there twice");
    value
}

fn is_japanese(text: &str) -> bool {
    text.chars().any(|character| matches!(character, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
}

#[test]
fn every_problem_has_its_own_words_in_both_languages() {
    for language in Language::ALL {
        let mut titles = HashSet::new();
        for problem in Problem::all() {
            let words = texts::words(problem, language, Advice::AskForReissue);
            assert!(titles.insert(words.title), "{problem:?} has another's title");
            assert!(!words.next_steps.is_empty(), "{problem:?}");
            for text in [words.title, words.detail].into_iter().chain(words.next_steps.iter().copied()) {
                assert_eq!(is_japanese(text), language == Language::Japanese, "{problem:?}: {text}");
                assert!(!["TODO", "TBD", "{", "}", "  "].iter().any(|mark| text.contains(mark)), "{text}");
            }
            let sentences = [words.detail].into_iter().chain(words.next_steps.iter().copied());
            let end = if language == Language::Japanese { '。' } else { '.' };
            sentences.for_each(|sentence| assert!(sentence.ends_with(end), "{sentence}"));
            assert!(!words.title.ends_with(end), "{}", words.title);
        }
        assert_eq!(titles.len(), 26);
    }
}

#[test]
fn the_status_and_type_of_each_problem_are_its_own() {
    let status = |problem: Problem| problem.status().as_u16();
    assert!(Reason::ALL.into_iter().all(|reason| status(Problem::Refused(reason)) == 403));
    let generic: Vec<u16> = Problem::all().skip(Reason::ALL.len()).map(status).collect();
    assert_eq!(generic, [400, 404, 405, 408, 413, 414, 421, 429, 431, 500, 501, 502, 503, 504]);
    let types: HashSet<String> = Problem::all().map(Problem::type_uri).collect();
    assert_eq!(types.len(), 26);
    assert!(types.contains("urn:sekisho:refusal:expired") && types.contains("urn:sekisho:error:misdirected-request"));
}

#[test]
fn a_refused_person_reads_the_reason_the_next_step_and_the_reference_number() {
    let refused = Problem::Refused(Reason::Expired);
    let (page, body) = rendered(refused, Language::Japanese, Format::Html, Some(PORTAL));
    assert_eq!(page.status, 403);
    for part in [
        "<html lang=\"ja\">",
        "<h1 id=\"title\">電子証明書の有効期限が切れています</h1>",
        "<li>再発行の手続きが済んだら、電子証明書を取得してください。</li>",
        "<a href=\"https://portal.example.jp/acquire?a=1&amp;b=2\" rel=\"noreferrer\">",
        "<dt>お問い合わせ番号</dt><dd class=\"reference\">7A3F-K0ZD-9KMX-A1VT</dd>",
        "<dd>403 expired</dd>",
        "<time datetime=\"2026-11-22T01:31:00Z\">2026-11-22 10:31:00 JST</time>",
        "<details lang=\"en\">",
        "Your certificate has expired",
    ] {
        assert!(body.contains(part), "{part} is not in\n{body}");
    }
    let (page, body) = rendered(refused, Language::English, Format::Html, None);
    assert_eq!(header(&page, "content-language"), Some("en"));
    assert!(body.contains("<html lang=\"en\">") && body.contains("<h1 id=\"title\">Your certificate has expired</h1>"));
    assert!(!body.contains("href"), "no portal, no link");
}

#[test]
fn a_refused_program_reads_a_problem_document() {
    let refused = Problem::Refused(Reason::Revoked);
    let (page, body) = rendered(refused, Language::English, Format::ProblemJson, Some(PORTAL));
    assert_eq!(header(&page, "content-type"), Some("application/problem+json"));
    let document: Value = serde_json::from_str(&body).unwrap();
    let words = texts::words(refused, Language::English, Advice::AskForReissue);
    assert_eq!(
        document,
        json!({
            "type": "urn:sekisho:refusal:revoked",
            "title": "Your certificate has been revoked",
            "status": 403,
            "detail": words.detail,
            "instance": "urn:sekisho:request:7A3F-K0ZD-9KMX-A1VT",
            "reference": "7A3F-K0ZD-9KMX-A1VT",
            "time": "2026-11-22T01:31:00Z",
            "next_steps": words.next_steps,
            "portal": PORTAL,
        })
    );
    let (_, body) = rendered(refused, Language::Japanese, Format::ProblemJson, None);
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["title"], "電子証明書が失効しています");
    assert_eq!(document.get("portal"), None);
}

#[test]
fn no_answer_is_stored_sniffed_framed_or_loads_anything() {
    for problem in Problem::all() {
        for format in [Format::Html, Format::ProblemJson] {
            let (page, body) = rendered(problem, Language::Japanese, format, Some(PORTAL));
            assert_eq!(header(&page, "cache-control"), Some("no-store"));
            assert_eq!(header(&page, "x-content-type-options"), Some("nosniff"));
            assert_eq!(header(&page, "referrer-policy"), Some("no-referrer"));
            assert!(header(&page, "vary").unwrap().contains("accept-language"));
            let policy = header(&page, "content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            for loading in ["<script", "src=", "url(", "@import", "<link", "<img", "<iframe", "style=\"", "onload"] {
                assert!(!body.contains(loading), "{loading} in {problem:?}");
            }
            assert!(body.len() < 16 * 1024, "{problem:?} has {} octets", body.len());
        }
    }
}

#[test]
fn the_policy_admits_the_pages_own_style_and_no_other() {
    let (page, body) = rendered(Problem::NotFound, Language::English, Format::Html, None);
    let style = body.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let hash = BASE64_STANDARD.encode(sekisho_pki::fingerprint::sha256(&[style.as_bytes()]));
    let policy = header(&page, "content-security-policy").unwrap();
    assert!(policy.contains(&format!("style-src 'sha256-{hash}';")), "{policy}");
    assert!(!policy.contains("unsafe"));
}

#[test]
fn a_portal_url_cannot_leave_its_attribute_and_is_a_link_only_to_the_web() {
    let refused = Problem::Refused(Reason::NoCertificate);
    let (_, body) =
        rendered(refused, Language::English, Format::Html, Some("https://x/\"><script>alert('1')</script>"));
    assert!(body.contains("https://x/&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"), "{body}");
    for url in ["javascript:alert(1)", "data:text/html,x", "//evil.jp", "/relative", "", "ｈttps://x/", "https:x"] {
        for format in [Format::Html, Format::ProblemJson] {
            let (_, body) = rendered(refused, Language::English, format, Some(url));
            assert!(!body.contains("href") && !body.contains("\"portal\""), "{url}");
        }
    }
    let (_, body) = rendered(refused, Language::English, Format::Html, Some("{{reference}}https://x"));
    assert!(!body.contains("href"));
    let (_, body) = rendered(refused, Language::English, Format::Html, Some("https://x/{{reference}}"));
    assert!(body.contains("href=\"https://x/{{reference}}\""), "a filled value is not a template");
}

#[test]
fn only_refusals_that_another_certificate_helps_against_point_to_the_portal() {
    let pointing: Vec<_> = Problem::all()
        .filter(|problem| rendered(*problem, Language::Japanese, Format::Html, Some(PORTAL)).1.contains("href="))
        .map(Problem::name)
        .collect();
    let expected =
        ["no-certificate", "expired", "revoked", "unknown-ca", "wrong-usage", "bad-certificate", "malformed-identity"];
    assert_eq!(pointing, expected);
}

#[test]
fn what_to_do_about_an_old_certificate_is_what_clients_of_its_ca_can_do() {
    for (reason, acquire, ask) in [
        (
            Reason::Expired,
            ["再取得してください", "Acquire a new certificate."],
            ["再発行をご依頼", "has to be reissued"],
        ),
        (Reason::Revoked, ["再取得してください", "acquire a new certificate."], ["再発行をご依頼", "have it reissued"]),
    ] {
        for (place, language) in Language::ALL.into_iter().enumerate() {
            let steps = |advice| texts::words(Problem::Refused(reason), language, advice).next_steps.concat();
            let (acquires, asks) = (steps(Advice::AcquireAgain), steps(Advice::AskForReissue));
            assert!(acquires.contains(acquire[place]) && !acquires.contains(ask[place]), "{acquires}");
            assert!(asks.contains(ask[place]) && !asks.contains(acquire[place]), "{asks}");
        }
    }
}

#[test]
fn the_bank_is_named_and_can_be_called_and_no_text_of_it_is_markup() {
    let text = |ja: &str, en: &str| Text { ja: ja.to_owned(), en: en.to_owned() };
    let contact = Contact {
        name: text("せきしょ銀行<b>", "Sekisho \"Bank\""),
        mark: Some(text("関", "SB")),
        telephone: Some("+81 (0)120-000-000".to_owned()),
        hours: Some(text("平日 9:00〜17:00", "Weekdays 9:00 to 17:00 JST")),
    };
    let reference = RequestId::from_octets([0; 10]);
    let particulars = Particulars {
        reference: &reference,
        now: NOW,
        portal_url: None,
        advice: Advice::AcquireAgain,
        contact: Some(&contact),
        allow: None,
    };
    let page = |language, format| {
        let page = render(Problem::Refused(Reason::Blocked), Preference { language, format }, &particulars);
        String::from_utf8(page.body.to_vec()).unwrap()
    };
    let japanese = page(Language::Japanese, Format::Html);
    for part in [
        "<title>この電子証明書のご利用を停止しています | せきしょ銀行&lt;b&gt;</title>",
        "aria-hidden=\"true\">関</span><span>せきしょ銀行&lt;b&gt;</span></p>",
        "<h2 id=\"desk\">お問い合わせ先</h2>\n<p>せきしょ銀行&lt;b&gt;</p>",
        "<a href=\"tel:+810120000000\">+81 (0)120-000-000</a>",
        "<dt>受付時間</dt><dd>平日 9:00〜17:00</dd>",
    ] {
        assert!(japanese.contains(part), "{part} is not in\n{japanese}");
    }
    let english = page(Language::English, Format::Html);
    assert!(
        english.contains("Sekisho &quot;Bank&quot;") && english.contains("Weekdays 9:00 to 17:00 JST"),
        "{english}"
    );
    let document: Value = serde_json::from_str(&page(Language::English, Format::ProblemJson)).unwrap();
    let told = json!({
        "name": "Sekisho \"Bank\"", "telephone": "+81 (0)120-000-000", "hours": "Weekdays 9:00 to 17:00 JST",
    });
    assert_eq!(document["contact"], told);
}

#[test]
fn a_405_says_what_is_allowed_and_a_busy_service_when_to_come_back() {
    for problem in Problem::all() {
        let (page, _) = rendered(problem, Language::English, Format::Html, None);
        let allowed = (problem == Problem::MethodNotAllowed).then_some("GET, POST");
        assert_eq!(header(&page, "allow"), allowed, "{problem:?}");
        let busy = matches!(problem, Problem::TooManyRequests | Problem::ServiceUnavailable);
        assert_eq!(header(&page, "retry-after"), busy.then_some("30"), "{problem:?}");
    }
}
