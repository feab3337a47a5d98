//! A notice as a mail (RFC 5322).

use super::text::{Text, plain_name, text};
use crate::store::NoticeRow;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::{Address, message::Body};
use sekisho_lifecycle::profile::Label;
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// Octets of an address: RFC 5321 section 4.5.3.1.3, a path without its brackets.
const MOST_ADDRESS_BYTES: usize = 254;

/// The last second that a Date field can say: 9999-12-31T23:59:59Z.
const LAST_DATE: i64 = 253_402_300_799;

/// Octets of the digest in a Message-ID: none comes twice, and nothing can be told from it.
const MESSAGE_ID_OCTETS: usize = 16;

/// Whose mails these are.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// From, also of the envelope: returned mail goes there.
    pub(super) from: Mailbox,
    /// Where users acquire, renew and ask.
    pub(super) portal_url: String,
}

/// Why a notice is for the screen only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotMailable {
    /// The user has no address.
    NoAddress,
    /// It is not one that mail can be sent to.
    BadAddress,
    /// The mail cannot be made of it.
    Malformed(String),
}

/// The mail of a notice. The same notice gives the same mail, octet by octet, but for what was changed about the user.
pub(super) fn message(sender: &Sender, product: &Label, row: &NoticeRow) -> Result<Message, NotMailable> {
    let to = address(row.contact.mail.as_deref().ok_or(NotMailable::NoAddress)?).ok_or(NotMailable::BadAddress)?;
    let name = row.contact.name.as_deref().and_then(plain_name).map(ToOwned::to_owned);
    let Text { subject, body } = text(product, &row.notice, &row.contact, &sender.portal_url);
    let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
    Message::builder()
        .from(sender.from.clone())
        .to(Mailbox::new(name, to))
        .subject(subject.replace(char::is_control, " "))
        .date(UNIX_EPOCH + date(row.notice.at))
        .message_id(Some(message_id(&row.notice.once, sender.from.email.domain())))
        // RFC 3834 section 5: nobody's holiday program answers.
        .raw_header(HeaderValue::new(auto_submitted, "auto-generated".to_owned()))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(Body::new(body)))
        .map_err(|error| NotMailable::Malformed(error.to_string()))
}

/// An address that is one word in the envelope and in a header: ASCII, nothing quoted. Names in other scripts are the
/// mail server's `SMTPUTF8`, which few have; their domains have an ASCII form.
pub(super) fn address(text: &str) -> Option<Address> {
    let is_plain = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'<' | b'>' | b'(' | b')' | b',');
    if text.len() > MOST_ADDRESS_BYTES || !text.bytes().all(is_plain) {
        return None;
    }
    text.parse().ok()
}

/// The same for the same notice, so that a receiver can tell a repeat.
fn message_id(once: &str, domain: &str) -> String {
    let digest = sha256(&[once.as_bytes()]);
    let hex: String = digest.iter().take(MESSAGE_ID_OCTETS).map(|octet| format!("{octet:02x}")).collect();
    format!("<{hex}@{domain}>")
}

fn date(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.unix().clamp(0, LAST_DATE)).unwrap_or(0))
}

impl fmt::Display for NotMailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("not to be sent: the user has no mail address"),
            Self::BadAddress => f.write_str("not to be sent: the user's mail address is not one that mail can go to"),
            Self::Malformed(why) => write!(f, "not to be sent: no mail can be made of it: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Contact, NewNotice, NoticeAbout};
    use sekisho_lifecycle::profile::NoticeEvent;
    use sekisho_lifecycle::{ContractId, UserId, UserKey};

    fn sender() -> Sender {
        let from = Mailbox::new(Some("IBセンター".to_owned()), "ib@example.jp".parse().unwrap());
        Sender { from, portal_url: "https://portal.example.jp/".to_owned() }
    }

    fn row(name: &str, mail: Option<&str>) -> NoticeRow {
        NoticeRow {
            id: 7,
            notice: NewNotice {
                mail: None,
                to: UserKey { contract: ContractId::new("C1").unwrap(), user: UserId::new("u1").unwrap() },
                about: NoticeAbout::Event(NoticeEvent::Issued),
                once: "issued/8001".into(),
                serial: None,
                not_after: None,
                at: Timestamp::from_rfc_3339("2026-11-22T01:31:00Z").unwrap(),
            },
            profile: "bizstation".into(),
            contact: Contact { name: Some(name.into()), mail: mail.map(Into::into), ..Contact::default() },
            attempts: 0,
            sent_at: None,
        }
    }

    fn formatted(row: &NoticeRow) -> Result<String, NotMailable> {
        let product = Label { ja: "銀行".to_owned(), en: "Bank".to_owned() };
        message(&sender(), &product, row).map(|message| String::from_utf8(message.formatted()).unwrap())
    }

    /// Names of the header fields, in order.
    fn fields(mail: &str) -> Vec<&str> {
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let begins = |line: &&str| !line.starts_with([' ', '\t']);
        head.split("\r\n").filter(begins).map(|line| line.split_once(": ").unwrap().0).collect()
    }

    const FIELDS: [&str; 9] = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];

    #[test]
    fn a_mail_is_one_part_of_plain_text_that_every_server_takes() {
        let mail = formatted(&row("山田 太郎", Some("taro@example.co.jp"))).unwrap();
        assert_eq!(fields(&mail), FIELDS);
        assert!(mail.is_ascii(), "8BITMIME would be needed");
        assert!(mail.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{mail}");
        assert!(mail.contains("\r\nDate: Sun, 22 Nov 2026 01:31:00 +0000\r\n"), "{mail}");
        assert!(mail.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{mail}");
        assert!(mail.contains("<taro@example.co.jp>\r\n"), "{mail}");
        assert!(mail.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])), "{mail}");
    }

    #[test]
    fn a_repeat_has_the_same_message_id_and_another_notice_another() {
        let first = row("山田", Some("taro@example.co.jp"));
        let mut again = first.clone();
        (again.id, again.attempts) = (9, 3);
        assert_eq!(formatted(&first), formatted(&again));
        let id = |row: &NoticeRow| {
            let mail = formatted(row).unwrap();
            mail.split("\r\n").find(|line| line.starts_with("Message-ID: ")).unwrap().to_owned()
        };
        assert_eq!(id(&first), "Message-ID: <c2374a0cf8023b323583e72c5badea25@example.jp>");
        again.notice.once = "issued/8002".into();
        assert_ne!(id(&first), id(&again));
    }

    #[test]
    fn neither_name_nor_address_can_add_a_header_or_a_receiver() {
        for name in [
            "x\r\nBcc: evil@example.com",
            "x\nBcc: evil@example.com",
            "x\r\n\r\nbody",
            "x\" <evil@example.com>, \"y",
            "evil@example.com, x",
            "=?utf-8?q?x=0D=0ABcc:_evil@example.com?=",
            "x\u{2028}Bcc: evil@example.com",
        ] {
            let row = row(name, Some("taro@example.co.jp"));
            let mail = formatted(&row).unwrap();
            assert_eq!(fields(&mail), FIELDS, "{name:?}");
            let product = Label::default();
            let envelope = message(&sender(), &product, &row).unwrap().envelope().clone();
            assert_eq!(envelope.to(), ["taro@example.co.jp".parse::<Address>().unwrap()], "{name:?}");
            assert_eq!(envelope.from().map(ToString::to_string).as_deref(), Some("ib@example.jp"));
        }
        for mail in [
            "",
            "taro",
            "@example.co.jp",
            "taro@",
            "taro@example.co.jp\r\nRCPT TO:<evil@example.com>",
            "taro@example.co.jp\n",
            "taro@example.co.jp,evil@example.com",
            "taro@example.co.jp>\r\n",
            "Taro <taro@example.co.jp>",
            "taro@example.co.jp SIZE=1",
            "\"a b\"@example.co.jp",
            "太郎@example.co.jp",
            &format!("{}@example.co.jp", "a".repeat(250)),
        ] {
            assert_eq!(formatted(&row("山田", Some(mail))), Err(NotMailable::BadAddress), "{mail:?}");
        }
        assert_eq!(formatted(&row("山田", None)), Err(NotMailable::NoAddress));
    }
}
