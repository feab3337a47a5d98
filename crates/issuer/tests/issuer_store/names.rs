//! Names that one user has alone.

use crate::support::*;
use sekisho_issuer::store::{Ask, NewNotice, NoticeAbout, StoreError, Write};
use sekisho_lifecycle::profile::UniqueName;

on_both!(
    a_name_that_is_another_users_is_not_written_whatever_was_decided,
    a_notice_goes_to_the_address_that_it_says_and_otherwise_to_the_users,
);

async fn a_name_that_is_another_users_is_not_written_whatever_was_decided(database: Database) {
    let store = database.with_users(2).await;
    let name = UniqueName::login("anser-bizsol", "hanako");
    let takes = |user: &str| Write { names: vec![(name.clone(), key("C1", user))], ..Write::default() };
    put(&*store, ask("C1", Some("u1")), takes("u1")).await;
    let asks = |user| Ask { names: vec![name.clone()], ..ask("C1", Some(user)) };
    let refused = try_put(&*store, asks("u2"), takes("u2")).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    // The same once more is nothing new.
    put(&*store, asks("u1"), takes("u1")).await;
    let found = look(&*store, asks("u2")).await;
    assert_eq!(found.names.iter().map(|(_, row)| &row.user.key).collect::<Vec<_>>(), [&key("C1", "u1")]);
    assert_eq!(store.holder(&name).await.unwrap(), Some(key("C1", "u1")));
    assert_eq!(store.holder(&UniqueName::login("hokugin", "hanako")).await.unwrap(), None);
    // What is deleted stays taken.
    let mut deleted = user("C1", "u1");
    deleted.user.standing = sekisho_lifecycle::Standing::Deleted;
    put(&*store, ask("C1", Some("u1")), Write { users: vec![deleted], ..Write::default() }).await;
    assert!(try_put(&*store, asks("u2"), takes("u2")).await.is_err());
    assert_eq!(database.sql("SELECT count(*) FROM unique_names WHERE name = 'hanako'"), "1");
}

async fn a_notice_goes_to_the_address_that_it_says_and_otherwise_to_the_users(database: Database) {
    let store = database.with_users(1).await;
    let notice = |about: NoticeAbout, mail: Option<&str>| NewNotice {
        to: key("C1", "u1"),
        about,
        once: format!("{about:?}").into(),
        serial: None,
        not_after: None,
        at: NOW,
        mail: mail.map(Into::into),
    };
    let notices = vec![notice(NoticeAbout::Contact, Some("old@example.jp")), notice(NoticeAbout::Credentials, None)];
    put(&*store, ask("C1", Some("u1")), Write { notices: notices.clone(), ..Write::default() }).await;
    let mut taken = store.take_notices(NOW, NOW.plus_seconds(60), 10).await.unwrap();
    taken.sort_by_key(|row| row.id);
    assert_eq!(taken.iter().map(|row| row.notice.clone()).collect::<Vec<_>>(), notices);
    let addresses: Vec<_> = taken.iter().map(|row| row.contact.mail.as_deref()).collect();
    assert_eq!(addresses, [Some("old@example.jp"), Some("u1@example.jp")]);
}
