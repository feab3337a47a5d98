//! Lookups that wait are read together, and nobody notices.

use crate::support::*;
use sekisho_issuer::store::{Ask, StoreError, UserRow, Write};
use sekisho_lifecycle::UserId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

on_both!(
    each_of_many_lookups_at_a_time_finds_its_own,
    a_row_that_cannot_be_read_fails_only_who_asked_for_it,
    what_was_committed_is_found_however_many_look_at_the_time,
    a_lookup_whose_caller_went_away_keeps_nobody_else_waiting,
);

async fn each_of_many_lookups_at_a_time_finds_its_own(database: Database) {
    let store = database.with_users(300).await;
    // Every third asks about somebody who is not there.
    let asked: Vec<Ask> = (1..=450).map(|number| ask("C1", Some(&format!("u{number}")))).collect();
    let found = futures_util::future::join_all(asked.iter().map(|ask| store.find(ask))).await;
    for (ask, found) in asked.iter().zip(found) {
        let found = found.unwrap();
        let number: u32 = ask.user.as_ref().unwrap().as_str()[1..].parse().unwrap();
        let user = (number <= 300).then(|| user("C1", &format!("u{number}")));
        assert_eq!((found.contract, found.user), (Some(contract("C1")), user));
    }
}

async fn a_row_that_cannot_be_read_fails_only_who_asked_for_it(database: Database) {
    let store = database.with_users(20).await;
    database.sql("UPDATE users SET standing = 'nonsense' WHERE id = 'u7'");
    let asked: Vec<Ask> = (1..=20).map(|number| ask("C1", Some(&format!("u{number}")))).collect();
    let found = futures_util::future::join_all(asked.iter().map(|ask| store.find(ask))).await;
    for (ask, found) in asked.iter().zip(found) {
        let id = ask.user.as_ref().unwrap();
        let found = found.map(|found| found.user.unwrap().user.key.user);
        let unreadable = StoreError::Corrupt("an unknown word".into());
        let expected = if id.as_str() == "u7" { Err(unreadable) } else { Ok(id.clone()) };
        assert_eq!(found, expected);
    }
}

/// A text that is none can be in SQLite only.
#[tokio::test]
async fn a_text_that_is_no_text_fails_only_who_asked_for_it() {
    let database = Database::sqlite();
    let store = database.with_users(3).await;
    database.sql("UPDATE users SET standing = CAST(x'ff' AS TEXT) WHERE id = 'u2'");
    let asked = ["u1", "u2", "u3"].map(|id| ask("C1", Some(id)));
    let found = futures_util::future::join_all(asked.iter().map(|ask| store.find(ask))).await;
    assert!(found[0].is_ok() && found[2].is_ok(), "{found:?}");
    assert!(matches!(found[1], Err(StoreError::Corrupt(_))), "{found:?}");
}

async fn what_was_committed_is_found_however_many_look_at_the_time(database: Database) {
    let store = database.with_users(2).await;
    let over = Arc::new(AtomicBool::new(false));
    let looking = (0..8).map(|_| {
        let (store, over) = (Arc::clone(&store), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                store.find(&ask("C1", Some("u2"))).await.unwrap();
            }
        })
    });
    let looking: Vec<_> = looking.collect();
    for issues in 1..=50 {
        let mut row: UserRow = user("C1", "u1");
        row.user.issues = issues;
        put(&*store, ask("C1", Some("u1")), Write { users: vec![row], ..Write::default() }).await;
        let found = store.find(&ask("C1", Some("u1"))).await.unwrap();
        assert_eq!(found.user.unwrap().user.issues, issues);
    }
    over.store(true, Ordering::Relaxed);
    for task in looking {
        task.await.unwrap();
    }
}

async fn a_lookup_whose_caller_went_away_keeps_nobody_else_waiting(database: Database) {
    let store = database.with_users(1).await;
    let mut gone_while_waiting = 0;
    while gone_while_waiting < 50 {
        let asked = ask("C1", Some("u1"));
        let mut gone = Box::pin(store.find(&asked));
        // In the queue, but where the reader was quicker than this thread on a busy machine.
        gone_while_waiting += u32::from(futures_util::poll!(&mut gone).is_pending());
    }
    let found = store.find(&ask("C1", Some("u1"))).await.unwrap();
    assert_eq!(found.user.unwrap().user.key.user, UserId::new("u1").unwrap());
}

/// On one thread: no reader takes anything while the test does not wait.
#[tokio::test]
async fn too_many_waiting_lookups_are_told_to_come_again() {
    let mut database = Database::sqlite();
    database.config.waiting = 3;
    let store = database.with_users(1).await;
    let asked = ask("C1", Some("u1"));
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(store.find(&asked))).collect();
    for lookup in &mut waiting {
        assert!(futures_util::poll!(lookup).is_pending());
    }
    assert!(matches!(store.find(&asked).await, Err(StoreError::Busy)));
    for found in futures_util::future::join_all(waiting).await {
        assert!(found.unwrap().user.is_some());
    }
}
