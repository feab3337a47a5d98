use crate::mail_server_or_skip;
use crate::support::{Bank, ISSUED, MailServer, Options, mail, reachable};
use sekisho_lifecycle::Certificate;
use serde_json::{Value, json};

async fn with_notice(answers: Value) -> Option<(Bank, MailServer)> {
    let server = MailServer::start(Options { answers, ..Options::default() }).await?;
    let bank = Bank::open().await;
    bank.user("taro", reachable("taro"), Certificate::None).await;
    bank.notice("taro", ISSUED, "issued/2001").await;
    Some((bank, server))
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_until_it_is_taken() {
    for step in ["mail", "rcpt", "data"] {
        let answers = json!({ step: ["451 4.7.1 greylisted", "421 4.3.2 busy"] });
        let Some((bank, mut server)) = with_notice(answers).await else { return };
        let outbox = bank.outbox(Some(mail(server.port)));
        for answer in ["451 4.7.1 greylisted", "421 4.3.2 busy"] {
            assert_eq!(server.next("refused").await["answer"], answer);
        }
        assert_eq!(server.next("mail").await["to"][0], "taro@example.co.jp");
        let row = bank.wait("taro", "it is marked", |row| row.sent_at.is_some()).await;
        assert!(row.attempts >= 2, "{row:?}");
        assert!(bank.is_over(row.id).await);
        outbox.stop().await;
        let rest = server.stop().await;
        assert!(rest.iter().all(|told| told["event"] == "connection"), "{rest:?}");
    }
}

#[tokio::test]
async fn a_refusal_for_good_of_receiver_or_mail_is_given_up_at_once() {
    for step in ["rcpt", "data"] {
        let Some((bank, mut server)) = with_notice(json!({ step: ["550 5.1.1 nobody"] })).await else { return };
        let outbox = bank.outbox(Some(mail(server.port)));
        assert_eq!(server.next("refused").await["step"], step);
        let row = bank.wait("taro", "it was tried", |row| row.attempts > 0).await;
        assert_eq!((row.attempts, row.sent_at), (1, None));
        assert!(bank.is_over(row.id).await, "{step}: it would be tried again");
        // The next one does not suffer.
        bank.user("hanako", reachable("hanako"), Certificate::None).await;
        bank.notice("hanako", ISSUED, "issued/2002").await;
        outbox.wake.notify_one();
        assert_eq!(server.next("mail").await["to"][0], "hanako@example.co.jp");
        outbox.stop().await;
    }
}

#[tokio::test]
async fn one_refused_receiver_does_not_hold_up_those_after_it() {
    let Some((bank, mut server)) = with_notice(json!({ "rcpt": ["550 5.1.1 nobody"] })).await else { return };
    bank.user("hanako", reachable("hanako"), Certificate::None).await;
    bank.notice("hanako", ISSUED, "issued/2002").await;
    let outbox = bank.outbox(Some(mail(server.port)));
    let kinds = [server.any().await, server.any().await, server.any().await].map(|told| told["event"].clone());
    assert_eq!(kinds, ["connection", "refused", "mail"]);
    outbox.stop().await;
}

#[tokio::test]
async fn a_server_that_refuses_the_sender_loses_no_notice() {
    let answers = json!({ "mail": ["550 5.7.1 who are you", "530 5.7.0 log in first"] });
    let Some((bank, mut server)) = with_notice(answers).await else { return };
    let outbox = bank.outbox(Some(mail(server.port)));
    server.next("refused").await;
    server.next("refused").await;
    assert_eq!(server.next("mail").await["to"][0], "taro@example.co.jp");
    outbox.stop().await;
}

#[tokio::test]
async fn after_its_attempts_a_notice_is_given_up() {
    let answers = json!({ "rcpt": vec!["451 4.7.1 not now"; 50] });
    let Some((bank, server)) = with_notice(answers).await else { return };
    let outbox = bank.outbox(Some(mail(server.port)));
    let row = bank.wait("taro", "five attempts", |row| row.attempts == 5).await;
    assert_eq!(row.sent_at, None);
    assert!(bank.is_over(row.id).await);
    outbox.stop().await;
    let refused = server.stop().await.iter().filter(|told| told["event"] == "refused").count();
    assert_eq!(refused, 5);
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_comes_again_with_the_same_message_id() {
    let Some((bank, mut server)) = with_notice(json!({ "data": ["break"] })).await else { return };
    let outbox = bank.outbox(Some(mail(server.port)));
    let (first, again) = (server.next("mail").await, server.next("mail").await);
    assert_eq!(first, again, "field by field");
    assert!(first["id"].as_str().unwrap().ends_with("@example.jp>"), "{first}");
    bank.wait("taro", "it is marked", |row| row.sent_at.is_some()).await;
    outbox.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() {
    let server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    for id in ["taro", "hanako"] {
        bank.user(id, reachable(id), Certificate::None).await;
        bank.notice(id, ISSUED, &format!("issued/{id}")).await;
    }
    // Nobody listens there any more.
    let port = server.port;
    server.stop().await;
    let outbox = bank.outbox(Some(mail(port)));
    for id in ["taro", "hanako"] {
        bank.wait(id, "it was tried", |row| row.attempts > 0).await;
    }
    outbox.stop().await;

    let mut server = mail_server_or_skip!(Options::default());
    let outbox = bank.outbox(Some(mail(server.port)));
    let mut to = [server.next("mail").await, server.next("mail").await].map(|mail| mail["to"][0].to_string());
    to.sort();
    assert_eq!(to, ["\"hanako@example.co.jp\"", "\"taro@example.co.jp\""]);
    outbox.stop().await;
}

#[tokio::test]
async fn what_a_crash_leaves_under_lease_is_sent_after_it_and_not_before() {
    let Some((bank, mut server)) = with_notice(json!({})).await else { return };
    // Another node took it and died.
    let now = sekisho_runtime::clock::now();
    let taken = bank.store.take_notices(now, now.plus_seconds(3), 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    let outbox = bank.outbox(Some(mail(server.port)));
    server.next("mail").await;
    assert!(sekisho_runtime::clock::now() >= now.plus_seconds(3), "it was sent while it was another node's");
    outbox.kill();
}
