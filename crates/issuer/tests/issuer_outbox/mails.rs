use crate::mail_server_or_skip;
use crate::support::{Bank, DAY, ISSUED, Options, held, key, mail, new_notice, reachable, serial};
use sekisho_issuer::store::{Contact, Language, NewNotice, NoticeAbout, Write};
use sekisho_lifecycle::Certificate;
use sekisho_lifecycle::profile::NoticeEvent;
use sekisho_runtime::clock;

#[tokio::test]
async fn a_japanese_mail_is_read_as_it_was_written() {
    let mut server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    bank.user("taro", reachable("taro"), Certificate::None).await;
    bank.notice("taro", ISSUED, "issued/2001").await;
    let outbox = bank.outbox(Some(mail(server.port)));

    let mail = server.next("mail").await;
    assert_eq!(mail["from"], "ib@example.jp");
    assert_eq!(mail["to"], serde_json::json!(["taro@example.co.jp"]));
    assert_eq!(mail["header_from"], "IBセンター <ib@example.jp>");
    assert_eq!(mail["header_to"], "山田 太郎 <taro@example.co.jp>");
    assert_eq!(mail["subject"], "【BizSTATION】電子証明書発行のお知らせ");
    assert_eq!((&mail["type"], &mail["charset"]), (&"text/plain".into(), &"utf-8".into()));
    assert_eq!((&mail["parts"], &mail["auto"]), (&false.into(), &"auto-generated".into()));
    assert_eq!(mail["defects"], serde_json::json!([]));
    let body = mail["body"].as_str().unwrap();
    for line in [
        "山田 太郎 様",
        "電子証明書を発行しました。",
        "シリアル番号: 2001",
        "有効期限: 2028-01-01 08:59:59（日本時間）",
        "お手続き・ご照会: https://portal.example.jp/",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}\n{body}");
    }
    let row = bank.wait("taro", "it is marked", |row| row.sent_at.is_some()).await;
    assert!(bank.is_over(row.id).await);
    outbox.stop().await;
    assert_eq!(server.stop().await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn an_english_mail_is_read_as_it_was_written() {
    let mut server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    let contact = Contact { name: None, language: Language::English, ..reachable("jane") };
    bank.user("jane", contact, Certificate::None).await;
    bank.notice("jane", NoticeAbout::Event(NoticeEvent::Locked), "locked/1").await;
    let outbox = bank.outbox(Some(mail(server.port)));
    let mail = server.next("mail").await;
    assert_eq!(mail["header_to"], "jane@example.co.jp");
    assert_eq!(mail["subject"], "[BizSTATION] Certificate acquisition locked");
    let body = mail["body"].as_str().unwrap();
    assert!(body.starts_with("Dear customer,\n"), "{body}");
    assert!(body.contains("Valid until: 2027-12-31 23:59:59 UTC\n"), "{body}");
    outbox.stop().await;
}

#[tokio::test]
async fn each_notice_is_mailed_once_however_often_it_is_put_in_and_by_however_many_nodes() {
    let mut server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    let mut expected = Vec::new();
    for number in 0..40 {
        let id = format!("u{number:02}");
        bank.user(&id, reachable(&id), Certificate::None).await;
        expected.push(format!("{id}@example.co.jp"));
    }
    let nodes: Vec<_> = (0..3).map(|_| bank.outbox(Some(mail(server.port)))).collect();
    for _ in 0..2 {
        let notices = (0..40).map(|number| new_notice(&format!("u{number:02}"), ISSUED, &format!("issued/{number}")));
        bank.write(Write { notices: notices.collect(), ..Write::default() }).await;
        nodes.iter().for_each(|node| node.wake.notify_one());
    }
    let mut to = Vec::new();
    for _ in 0..40 {
        to.push(server.next("mail").await["to"][0].as_str().unwrap().to_owned());
    }
    for id in 0..40 {
        bank.wait(&format!("u{id:02}"), "it is marked", |row| row.sent_at.is_some()).await;
    }
    for node in nodes {
        node.stop().await;
    }
    let rest = server.stop().await;
    assert!(rest.iter().all(|told| told["event"] == "connection"), "one came twice: {rest:?}");
    to.sort();
    assert_eq!(to, expected);
}

#[tokio::test]
async fn several_mails_go_through_one_connection() {
    let mut server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    bank.user("taro", reachable("taro"), Certificate::None).await;
    let notices = (0..5).map(|number| new_notice("taro", ISSUED, &format!("issued/{number}")));
    bank.write(Write { notices: notices.collect(), ..Write::default() }).await;
    let outbox = bank.outbox(Some(mail(server.port)));
    assert_eq!(server.any().await["event"], "connection");
    for _ in 0..5 {
        assert_eq!(server.any().await["event"], "mail");
    }
    outbox.stop().await;
}

#[tokio::test]
async fn a_user_without_a_usable_address_has_the_notice_on_the_screen_only() {
    let server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    for (id, mail) in [("none", None), ("forged", Some("a@example.co.jp>\r\nRCPT TO:<b@example.com"))] {
        let contact = Contact { mail: mail.map(Into::into), ..reachable(id) };
        bank.user(id, contact, Certificate::None).await;
        bank.notice(id, ISSUED, &format!("issued/{id}")).await;
    }
    let outbox = bank.outbox(Some(mail(server.port)));
    for id in ["none", "forged"] {
        let row = bank.wait(id, "it was looked at", |row| row.attempts > 0).await;
        assert_eq!((row.attempts, row.sent_at), (1, None));
        assert!(bank.is_over(row.id).await, "{id}: it would be tried again");
    }
    outbox.stop().await;
    assert_eq!(server.stop().await, Vec::<serde_json::Value>::new(), "somebody was called");
}

#[tokio::test]
async fn without_a_mail_server_notices_are_on_the_screen_only() {
    let bank = Bank::open().await;
    bank.user("taro", reachable("taro"), Certificate::None).await;
    bank.notice("taro", ISSUED, "issued/2001").await;
    let outbox = bank.outbox(None);
    let row = bank.wait("taro", "it was looked at", |row| row.attempts > 0).await;
    assert_eq!(row.sent_at, None);
    // Were it still due, a mail server that is configured next year would send it.
    assert!(bank.is_over(row.id).await);
    outbox.stop().await;
}

#[tokio::test]
async fn who_has_replaced_the_certificate_is_not_told_that_the_old_one_expires() {
    let mut server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    let end = clock::now().plus_seconds(100 * DAY);
    let notice = |to: &str, number: u8| NewNotice {
        mail: None,
        serial: Some(serial(number)),
        ..new_notice(to, NoticeAbout::Expiry(40), &format!("expiry/{to}/40"))
    };
    bank.user("replaced", reachable("replaced"), held(2, end)).await;
    bank.user("revoked", reachable("revoked"), Certificate::None).await;
    bank.user("unchanged", reachable("unchanged"), held(3, end)).await;
    let notices = vec![notice("replaced", 1), notice("revoked", 1), notice("unchanged", 3)];
    bank.write(Write { notices, ..Write::default() }).await;
    let outbox = bank.outbox(Some(mail(server.port)));
    assert_eq!(server.next("mail").await["to"][0], "unchanged@example.co.jp");
    for id in ["replaced", "revoked"] {
        let row = bank.wait(id, "it was looked at", |row| row.attempts > 0).await;
        assert_eq!(row.sent_at, None);
        assert!(bank.is_over(row.id).await);
    }
    outbox.stop().await;
    assert_eq!(server.stop().await, Vec::<serde_json::Value>::new());
    assert_eq!(bank.store.notices(&key("replaced"), 9).await.unwrap().len(), 1, "it stays on the screen");
}
