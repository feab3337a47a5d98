//! What a notice says, in the user's language.
//!
//! A mail travels and lies where the bank has no say: it has no secret, no contract or user ID that a login begins with,
//! and of the certificate only serial number and expiry.

use crate::store::{Contact, Language, NewNotice, NoticeAbout};
use sekisho_lifecycle::profile::{Label, NoticeEvent};
use sekisho_pki::time::Timestamp;

/// Seconds by which JST 日本時間 is before UTC; there is no summer time.
const JST: i64 = 9 * 3_600;

/// Characters of a name with which a user is addressed; a longer one is not a name.
const MOST_NAME_CHARACTERS: usize = 100;

/// Subject and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// Lines that end with a line feed.
    pub body: String,
}

/// The text of a notice about a product, with the address where the user acquires, renews and asks.
pub fn text(product: &Label, notice: &NewNotice, contact: &Contact, portal_url: &str) -> Text {
    let name = contact.name.as_deref().and_then(plain_name);
    match contact.language {
        Language::Japanese => japanese(&product.ja, notice, name, portal_url),
        Language::English => english(&product.en, notice, name, portal_url),
    }
}

/// A name as it may stand in a line of its own or in a header: no control characters, so that nothing can follow it.
pub fn plain_name(name: &str) -> Option<&str> {
    let name = name.trim();
    let fits = (1..=MOST_NAME_CHARACTERS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then_some(name)
}

fn japanese(product: &str, notice: &NewNotice, name: Option<&str>, portal_url: &str) -> Text {
    let (subject, told) = match notice.about {
        NoticeAbout::Event(NoticeEvent::Issued) => {
            ("電子証明書発行のお知らせ", "電子証明書を発行しました。".to_owned())
        }
        NoticeAbout::Event(NoticeEvent::Reissued) => (
            "電子証明書再発行のお知らせ",
            "電子証明書の再発行を受け付けました。\n新しい電子証明書を取得してください。".to_owned(),
        ),
        NoticeAbout::Event(NoticeEvent::Revoked) => (
            "電子証明書失効のお知らせ",
            "電子証明書が失効しました。\n失効した電子証明書ではログインできません。".to_owned(),
        ),
        NoticeAbout::Event(NoticeEvent::Locked) => (
            "電子証明書取得ロックのお知らせ",
            "電子証明書の取得をロックしました。\n解除されるまで、電子証明書を取得できません。".to_owned(),
        ),
        NoticeAbout::Expiry(days) => (
            "電子証明書有効期限のお知らせ",
            format!(
                "電子証明書の有効期限まで{days}日以内となりました。\n\
                 有効期限を過ぎると、この電子証明書ではログインできません。\nお早めにお手続きください。"
            ),
        ),
        NoticeAbout::Contact => (
            "メールアドレス変更のお知らせ",
            "ご登録のメールアドレスを変更しました。\n今後のお知らせは新しいメールアドレスへお送りします。".to_owned(),
        ),
        NoticeAbout::Credentials => {
            ("パスワード等変更のお知らせ", "ログイン等に使うパスワードまたは暗証番号を変更しました。".to_owned())
        }
    };
    let name = name.map_or_else(|| "お客さま".to_owned(), |name| format!("{name} 様"));
    let mut facts = String::new();
    if let Some(serial) = &notice.serial {
        facts.push_str(&format!("シリアル番号: {serial}\n"));
    }
    if let Some(end) = notice.not_after {
        let (date, time) = date_and_time(end.plus_seconds(JST));
        facts.push_str(&format!("有効期限: {date} {time}（日本時間）\n"));
    }
    let unexpected = match notice.about {
        NoticeAbout::Expiry(_) => "",
        _ => "お心当たりのない場合は、至急、お取引の金融機関へご連絡ください。\n",
    };
    let body = format!(
        "{name}\n\n{product}をご利用いただき、ありがとうございます。\n{told}\n\n{}お手続き・ご照会: {portal_url}\n\n{unexpected}\
         メールで暗証番号やパスワードをおたずねすることはありません。\nこのメールは自動で送信しています。\n",
        apart(&facts),
    );
    Text { subject: format!("【{product}】{subject}"), body }
}

fn english(product: &str, notice: &NewNotice, name: Option<&str>, portal_url: &str) -> Text {
    let (subject, told) = match notice.about {
        NoticeAbout::Event(NoticeEvent::Issued) => {
            ("Certificate issued", "Your certificate has been issued.".to_owned())
        }
        NoticeAbout::Event(NoticeEvent::Reissued) => (
            "Certificate to be issued anew",
            "A new certificate has been approved for you.\nPlease acquire it.".to_owned(),
        ),
        NoticeAbout::Event(NoticeEvent::Revoked) => (
            "Certificate revoked",
            "Your certificate has been revoked.\nIt can no longer be used to log in.".to_owned(),
        ),
        NoticeAbout::Event(NoticeEvent::Locked) => (
            "Certificate acquisition locked",
            "The acquisition of your certificate has been locked.\nYou cannot acquire one until it is unlocked."
                .to_owned(),
        ),
        NoticeAbout::Expiry(days) => (
            "Certificate about to expire",
            format!(
                "Your certificate expires in {days} {} or less.\n\
                 Once it has expired it can no longer be used to log in.\nPlease replace it in good time.",
                if days == 1 { "day" } else { "days" }
            ),
        ),
        NoticeAbout::Contact => (
            "Mail address changed",
            "Your mail address has been changed.\nFurther notices go to the new address.".to_owned(),
        ),
        NoticeAbout::Credentials => {
            ("Passwords changed", "A password or PIN that you use to log in or to confirm has been changed.".to_owned())
        }
    };
    let name = name.unwrap_or("customer");
    let mut facts = String::new();
    if let Some(serial) = &notice.serial {
        facts.push_str(&format!("Serial number: {serial}\n"));
    }
    if let Some(end) = notice.not_after {
        let (date, time) = date_and_time(end);
        facts.push_str(&format!("Valid until: {date} {time} UTC\n"));
    }
    let unexpected = match notice.about {
        NoticeAbout::Expiry(_) => "",
        _ => "If you did not expect this, please contact your bank at once.\n",
    };
    let body = format!(
        "Dear {name},\n\nThank you for using {product}.\n{told}\n\n{}Procedures and enquiries: {portal_url}\n\n{unexpected}\
         We never ask for PINs or passwords by mail.\nThis mail was sent automatically.\n",
        apart(&facts),
    );
    Text { subject: format!("[{product}] {subject}"), body }
}

/// `2026-11-22` and `01:31:00`.
fn date_and_time(time: Timestamp) -> (String, String) {
    let text = time.to_string();
    let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap_or_default();
    (date.to_owned(), time.to_owned())
}

/// With an empty line after it, where there is something.
fn apart(facts: &str) -> String {
    if facts.is_empty() { String::new() } else { format!("{facts}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_lifecycle::{ContractId, UserId, UserKey};
    use sekisho_pki::serial::SerialNumber;

    const EVERY: [NoticeAbout; 8] = [
        NoticeAbout::Contact,
        NoticeAbout::Credentials,
        NoticeAbout::Event(NoticeEvent::Issued),
        NoticeAbout::Event(NoticeEvent::Reissued),
        NoticeAbout::Event(NoticeEvent::Revoked),
        NoticeAbout::Event(NoticeEvent::Locked),
        NoticeAbout::Expiry(40),
        NoticeAbout::Expiry(1),
    ];

    fn notice(about: NoticeAbout) -> NewNotice {
        NewNotice {
            mail: None,
            to: UserKey { contract: ContractId::new("contract-7").unwrap(), user: UserId::new("logid031").unwrap() },
            about,
            once: "issued/8001".into(),
            serial: Some(SerialNumber::from_der_content(&[0, 0x80, 1]).unwrap()),
            // 08:59:59 of the next day in Japan.
            not_after: Timestamp::from_rfc_3339("2027-12-31T23:59:59Z"),
            at: Timestamp::from_unix(0),
        }
    }

    fn product() -> Label {
        Label { ja: "しんきん法人".to_owned(), en: "Shinkin business".to_owned() }
    }

    fn of(about: NoticeAbout, language: Language) -> Text {
        let contact = Contact { name: Some("山田 太郎".into()), mail: None, language };
        text(&product(), &notice(about), &contact, "https://portal.example.jp/")
    }

    #[test]
    fn the_japanese_text_is_this() {
        let text = of(NoticeAbout::Expiry(40), Language::Japanese);
        assert_eq!(text.subject, "【しんきん法人】電子証明書有効期限のお知らせ");
        assert_eq!(
            text.body,
            "山田 太郎 様\n\nしんきん法人をご利用いただき、ありがとうございます。\n\
             電子証明書の有効期限まで40日以内となりました。\n\
             有効期限を過ぎると、この電子証明書ではログインできません。\nお早めにお手続きください。\n\n\
             シリアル番号: 8001\n有効期限: 2028-01-01 08:59:59（日本時間）\n\n\
             お手続き・ご照会: https://portal.example.jp/\n\n\
             メールで暗証番号やパスワードをおたずねすることはありません。\nこのメールは自動で送信しています。\n"
        );
    }

    #[test]
    fn the_english_text_is_this() {
        let text = of(NoticeAbout::Event(NoticeEvent::Revoked), Language::English);
        assert_eq!(text.subject, "[Shinkin business] Certificate revoked");
        assert_eq!(
            text.body,
            "Dear 山田 太郎,\n\nThank you for using Shinkin business.\nYour certificate has been revoked.\n\
             It can no longer be used to log in.\n\nSerial number: 8001\nValid until: 2027-12-31 23:59:59 UTC\n\n\
             Procedures and enquiries: https://portal.example.jp/\n\n\
             If you did not expect this, please contact your bank at once.\n\
             We never ask for PINs or passwords by mail.\nThis mail was sent automatically.\n"
        );
        assert!(of(NoticeAbout::Expiry(1), Language::English).body.contains("in 1 day or less"));
        assert!(of(NoticeAbout::Expiry(40), Language::English).body.contains("in 40 days or less"));
    }

    #[test]
    fn every_notice_has_a_text_of_its_own_in_each_language_with_expiry_and_time_zone() {
        let mut seen = std::collections::BTreeSet::new();
        for (language, product, end) in [
            (Language::Japanese, "しんきん法人", "2028-01-01 08:59:59（日本時間）"),
            (Language::English, "Shinkin business", "2027-12-31 23:59:59 UTC"),
        ] {
            for about in EVERY {
                let Text { subject, body } = of(about, language);
                assert!(subject.contains(product) && body.contains(product), "{subject}");
                assert!(body.contains(end) && body.contains("8001"), "{body}");
                assert!(body.contains("https://portal.example.jp/"), "{body}");
                assert!(!subject.contains(char::is_control), "{subject}");
                assert!(seen.insert(body), "two notices say the same: {about:?}");
            }
        }
    }

    #[test]
    fn a_login_never_begins_with_what_a_mail_says() {
        for language in [Language::Japanese, Language::English] {
            for about in EVERY {
                let Text { subject, body } = of(about, language);
                for id in ["contract-7", "logid031"] {
                    assert!(!subject.contains(id) && !body.contains(id), "{body}");
                }
            }
        }
    }

    #[test]
    fn without_a_certificate_there_is_no_line_about_one() {
        for (language, words) in
            [(Language::Japanese, ["シリアル番号", "有効期限"]), (Language::English, ["Serial number", "Valid until"])]
        {
            let contact = Contact { language, ..Contact::default() };
            let notice = NewNotice { serial: None, not_after: None, ..notice(NoticeAbout::Event(NoticeEvent::Locked)) };
            let body = text(&product(), &notice, &contact, "https://portal.example.jp/").body;
            assert!(!words.iter().any(|word| body.contains(word)), "{body}");
            assert!(!body.contains("\n\n\n"), "{body}");
        }
    }

    #[test]
    fn a_name_that_would_go_on_in_the_next_line_is_left_out() {
        for name in ["山田\r\nBcc: x@example.com", "a\nb", "a\u{85}b", "", "  ", &"長".repeat(101)] {
            assert_eq!(plain_name(name), None, "{name:?}");
            let contact = Contact { name: Some(name.into()), ..Contact::default() };
            let text = text(&product(), &notice(EVERY[0]), &contact, "https://portal.example.jp/");
            assert!(text.body.starts_with("お客さま\n\n"), "{}", text.body);
        }
        assert_eq!(plain_name(" 山田 太郎 "), Some("山田 太郎"));
    }
}
