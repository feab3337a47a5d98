use crate::mail_server_or_skip;
use crate::support::{Bank, DAY, Options, held, mail, reachable, serial};
use sekisho_issuer::outbox::Ladder;
use sekisho_issuer::store::{NoticeAbout, UserRow, Write};
use sekisho_lifecycle::profile::RoleName;
use sekisho_lifecycle::{Certificate, Standing, User};
use sekisho_runtime::clock;

#[tokio::test]
async fn who_has_come_to_the_step_is_told_once_for_each_certificate() {
    let mut server = mail_server_or_skip!(Options::default());
    let bank = Bank::open().await;
    let now = clock::now();
    bank.holder("soon", 1, now.plus_seconds(39 * DAY)).await;
    bank.holder("later", 2, now.plus_seconds(41 * DAY)).await;
    bank.holder("over", 3, now.plus_seconds(-1)).await;
    // A node that starts, and another, and one of them again.
    for _ in 0..2 {
        let nodes = [bank.outbox(Some(mail(server.port))), bank.outbox(Some(mail(server.port)))];
        bank.wait("soon", "it is marked", |row| row.sent_at.is_some()).await;
        for node in nodes {
            node.stop().await;
        }
    }
    let told = server.next("mail").await;
    assert_eq!(told["to"][0], "soon@example.co.jp");
    assert_eq!(told["subject"], "【BizSTATION】電子証明書有効期限のお知らせ");
    assert!(told["body"].as_str().unwrap().contains("40日以内"), "{told}");
    let rest = server.stop().await;
    assert!(rest.iter().all(|told| told["event"] == "connection"), "{rest:?}");
    assert_eq!(bank.notices("soon").await.len(), 1);
    for id in ["later", "over"] {
        assert!(bank.notices(id).await.is_empty(), "{id}");
    }
}

#[tokio::test]
async fn a_step_that_is_come_to_between_two_whole_scans_is_found() {
    let bank = Bank::open().await;
    let now = clock::now();
    let mut ladder = Ladder::new();
    bank.holder("edge", 1, now.plus_seconds(40 * DAY + 300)).await;
    assert_eq!(ladder.scan(&*bank.store, &bank.profiles, now).await, Ok(0));
    assert_eq!(ladder.scan(&*bank.store, &bank.profiles, now.plus_seconds(299)).await, Ok(0));
    assert_eq!(ladder.scan(&*bank.store, &bank.profiles, now.plus_seconds(300)).await, Ok(1));
    assert_eq!(ladder.scan(&*bank.store, &bank.profiles, now.plus_seconds(900)).await, Ok(0));
    let [row] = &bank.notices("edge").await[..] else { panic!("one notice") };
    assert_eq!(row.notice.about, NoticeAbout::Expiry(40));
    assert_eq!(&*row.notice.once, format!("expiry/{}/40", serial(1)));
    assert_eq!((row.notice.serial, row.notice.at), (Some(serial(1)), now.plus_seconds(300)));
    // The whole scan of the next day puts it in again in vain.
    assert_eq!(ladder.scan(&*bank.store, &bank.profiles, now.plus_seconds(DAY + 300)).await, Ok(1));
    assert_eq!(bank.notices("edge").await.len(), 1);
    // The next certificate has a notice of its own.
    bank.holder("edge", 2, now.plus_seconds(41 * DAY)).await;
    assert_eq!(ladder.scan(&*bank.store, &bank.profiles, now.plus_seconds(2 * DAY + 300)).await, Ok(1));
    assert_eq!(bank.notices("edge").await.len(), 2);
}

#[tokio::test]
async fn a_whole_page_of_users_with_one_expiry_is_not_the_end() {
    let bank = Bank::open().await;
    let now = clock::now();
    let end = now.plus_seconds(10 * DAY);
    let row = |number: u32| {
        let id = format!("u{number:04}");
        let octets = number.to_be_bytes();
        let serial = sekisho_pki::serial::SerialNumber::from_der_content(&[&[1], &octets[..]].concat()).unwrap();
        let Certificate::Held(held) = held(1, end) else { unreachable!() };
        let certificate = Certificate::Held(sekisho_lifecycle::Held { serial, ..held });
        let user = User { certificate, ..User::new(crate::support::key(&id), RoleName("master".into())) };
        UserRow { user, contact: reachable(&id), since: now }
    };
    bank.write(Write { users: (0..450).map(row).collect(), ..Write::default() }).await;
    // A deleted user is told nothing.
    let mut deleted = row(450);
    deleted.user.standing = Standing::Deleted;
    bank.write(Write { users: vec![deleted], ..Write::default() }).await;
    assert_eq!(Ladder::new().scan(&*bank.store, &bank.profiles, now).await, Ok(450));
    let taken = bank.store.take_notices(now, now.plus_seconds(1), 1_000).await.unwrap();
    assert_eq!(taken.len(), 450);
}
