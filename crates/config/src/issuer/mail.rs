//! Reads `[mail]`.

use super::callers::is_loopback;
use super::defaults;
use super::types::{MailConfig, MailTls};
use crate::reader::{Item, Section};
use crate::site::portal_url;
use crate::values::{duration, integer, one_of, placed_path, text};
use std::time::Duration;

/// `[mail]`.
pub(super) fn read(mut section: Section<'_>) -> MailConfig {
    let words = [("required", MailTls::StartTls), ("implicit", MailTls::Implicit), ("none", MailTls::None)];
    let tls = section.or("tls", MailTls::StartTls, |item| one_of(item, "a protection of mail", &words));
    let port = match tls {
        MailTls::StartTls => defaults::MAIL_PORT_START_TLS,
        MailTls::Implicit => defaults::MAIL_PORT_IMPLICIT,
        MailTls::None => defaults::MAIL_PORT_NONE,
    };
    let host = section.required("host", "write the SMTP server: \"mail.example.internal\"", host);
    if tls == MailTls::None && !host.is_empty() && !is_loopback(&host) {
        let message = format!("\"none\" would send notices to {host} in clear; it is for loopback addresses only");
        section.document.refuse(&section.place_of("tls"), message);
    }
    let mail = MailConfig {
        port: section.or("port", port, |item| integer(item, 1..=u16::MAX)),
        ca: section.optional("ca", placed_path),
        login: login(&mut section),
        from: section.required("from", "write the sender: \"IB Center <ib@example.jp>\"", mailbox),
        portal_url: section.required("portal_url", "write where users acquire and renew: \"https://…\"", portal_url),
        // Beyond a thousand hours nobody waits for the mail.
        attempts: section.or("attempts", defaults::MAIL_ATTEMPTS, |item| integer(item, 1..=1_000)),
        retry: section.or("retry", defaults::MAIL_RETRY, |item| {
            duration(item, Duration::from_millis(10)..=Duration::from_secs(3_600))
        }),
        host,
        tls,
    };
    if mail.tls == MailTls::None {
        for key in ["ca", "user"].into_iter().filter(|key| section.has(key)) {
            let message = "has no use with tls = \"none\"; remove it";
            section.document.refuse(&section.place_of(key), message);
        }
    }
    section.finish();
    mail
}

/// `user` and `password_file`, both or neither.
fn login(section: &mut Section<'_>) -> Option<(String, crate::Placed<std::path::PathBuf>)> {
    let user = section.optional("user", text);
    let password = section.optional("password_file", placed_path);
    match (section.has("user"), section.has("password_file")) {
        (true, false) => section.refuse_missing("password_file", "user needs its password"),
        (false, true) => section.refuse_missing("user", "a password needs its user"),
        _ => {}
    }
    user.zip(password)
}

/// A host name or an IP address.
fn host(item: &Item<'_>) -> Option<String> {
    let host = text(item)?;
    let fits = host.len() <= 253
        && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b':' | b'_'));
    if !fits {
        item.refuse_type("a host", "a name or an address without its port: \"mail.example.internal\"");
        return None;
    }
    Some(host)
}

/// `address` or `Name <address>`; the mail library reads it once more.
fn mailbox(item: &Item<'_>) -> Option<String> {
    let mailbox = text(item)?;
    let address = match mailbox.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => mailbox.as_str(),
    };
    let sides = address.split_once('@');
    let fits = sides.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
        && !address.contains(char::is_whitespace);
    if !fits {
        item.refuse_type("a sender", "an address, or a name and an address: \"IB Center <ib@example.jp>\"");
        return None;
    }
    Some(mailbox)
}
