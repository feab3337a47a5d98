//! Serials, certificates, statuses, numbers of lists, notices.

use crate::support::*;
use sekisho_issuer::store::{
    Ask, CompletedRow, Contact, Fresh, ListNumberRow, NewNotice, NoticeAbout, Status, StatusChange, StoreError, Write,
};
use sekisho_lifecycle::profile::NoticeEvent;
use sekisho_lifecycle::{Certificate, Next, UserKey};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::sha256;
use std::sync::Arc;

on_both!(
    a_serial_that_was_used_fails_its_act_and_no_other,
    two_acts_of_one_batch_cannot_have_the_same_serial,
    a_certificate_is_found_by_serial_and_by_fingerprint_once_it_is_complete,
    a_certificate_that_was_never_begun_or_is_complete_is_not_completed,
    a_public_key_is_known_from_the_intent_on,
    who_was_left_under_way_is_found_until_it_ends,
    holders_whose_certificates_end_come_in_order_and_in_pages,
    statuses_come_in_the_order_of_their_numbers_and_the_last_one_counts,
    a_status_is_its_own_authoritys_whatever_is_said,
    numbers_of_lists_grow_for_each_part_alone_and_outlive_the_store,
    a_time_step_is_used_once_and_only_upwards,
    a_notice_is_kept_once_and_taken_by_one,
    a_notice_that_failed_is_due_again_and_one_given_up_never,
    contracts_users_and_history_come_in_pages,
    old_requests_are_forgotten_and_young_ones_are_not,
);

fn begin(user: &UserKey, number: u64) -> Write {
    let audit = vec![entry(user, &format!("begin {number}"))];
    Write { intent: Some(begun(user, number)), audit, ..Write::default() }
}

fn complete(number: u64, der: &[u8]) -> Write {
    Write { certificate: Some(CompletedRow { serial: serial(number), der: der.into() }), ..Write::default() }
}

async fn a_serial_that_was_used_fails_its_act_and_no_other(database: Database) {
    let store = database.with_users(2).await;
    let (first, second) = (key("C1", "u1"), key("C1", "u2"));
    put(&*store, ask("C1", Some("u1")), begin(&first, 1)).await;
    let mut row = user("C1", "u2");
    row.user.issues = 9;
    let again = Write { users: vec![row], ..begin(&second, 1) };
    let (again, other) = tokio::join!(
        try_put(&*store, ask("C1", Some("u2")), again),
        try_put(&*store, ask("C1", Some("u1")), begin(&first, 2))
    );
    assert_eq!((again, other), (Err(StoreError::SerialTaken), Ok(())));
    let store = {
        store.close().await;
        database.open().await
    };
    let again = try_put(&*store, ask("C1", Some("u2")), begin(&second, 2)).await;
    assert_eq!(again, Err(StoreError::SerialTaken));
    assert_eq!(store.find(&ask("C1", Some("u2"))).await.unwrap().user.unwrap().user.issues, 0);
    assert_eq!(store.certificate(&serial(1)).await.unwrap().unwrap().user, first);
    let told: Vec<_> =
        whole_audit(&*store, &database.secret).await.iter().map(|entry| entry.reference.to_string()).collect();
    assert_eq!(told, ["begin 1", "begin 2"]);
}

async fn two_acts_of_one_batch_cannot_have_the_same_serial(database: Database) {
    let store = database.with_users(1).await;
    let user = key("C1", "u1");
    // Other keys: nothing but the serial is the same. The first poll of each queues it, in order.
    let acts = (0..20_u64).map(|number| {
        let mut row = begun(&user, number / 2);
        row.public_key = [u8::try_from(number).unwrap(); 32];
        let write = Write { intent: Some(row), audit: vec![entry(&user, &number.to_string())], ..Write::default() };
        try_put(&*store, ask("C1", Some("u1")), write)
    });
    let results = futures_util::future::join_all(acts).await;
    for (result, number) in results.into_iter().zip(0..) {
        let expected = if number % 2 == 0 { Ok(()) } else { Err(StoreError::SerialTaken) };
        assert_eq!(result, expected, "{number}");
    }
    assert_eq!(whole_audit(&*store, &database.secret).await.len(), 10);
}

async fn a_certificate_is_found_by_serial_and_by_fingerprint_once_it_is_complete(database: Database) {
    let store = database.with_users(1).await;
    let user = key("C1", "u1");
    let der: Arc<[u8]> = (0..=255).cycle().take(1_500).collect();
    let fingerprint = sha256(&[&der]);
    put(&*store, ask("C1", Some("u1")), begin(&user, 1)).await;
    assert_eq!(store.certificate(&serial(1)).await.unwrap(), Some(begun(&user, 1)));
    assert_eq!(store.certificate_by_fingerprint(&fingerprint).await.unwrap(), None);
    put(&*store, ask("C1", Some("u1")), complete(1, &der)).await;
    let mut row = begun(&user, 1);
    row.der = Some(der);
    assert_eq!(store.certificate_by_fingerprint(&fingerprint).await.unwrap(), Some(row.clone()));
    assert_eq!(store.certificate(&serial(1)).await.unwrap(), Some(row));
    assert_eq!(store.certificate(&serial(2)).await.unwrap(), None);
    assert_eq!(store.certificate_by_fingerprint(&[0; 32]).await.unwrap(), None);
}

async fn a_certificate_that_was_never_begun_or_is_complete_is_not_completed(database: Database) {
    let store = database.with_users(1).await;
    let user = key("C1", "u1");
    let refused = |result| assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}");
    let audit = vec![entry(&user, "never begun")];
    refused(try_put(&*store, ask("C1", Some("u1")), Write { audit, ..complete(1, &[1]) }).await);
    put(&*store, ask("C1", Some("u1")), begin(&user, 1)).await;
    put(&*store, ask("C1", Some("u1")), complete(1, &[1])).await;
    refused(try_put(&*store, ask("C1", Some("u1")), complete(1, &[2])).await);
    assert_eq!(store.certificate(&serial(1)).await.unwrap().unwrap().der, Some([1].into()));
    assert_eq!(whole_audit(&*store, &database.secret).await.len(), 1);
    // Both in one batch.
    put(&*store, ask("C1", Some("u1")), begin(&user, 2)).await;
    let (first, second) = tokio::join!(
        try_put(&*store, ask("C1", Some("u1")), complete(2, &[3])),
        try_put(&*store, ask("C1", Some("u1")), complete(2, &[4]))
    );
    assert_eq!(first, Ok(()));
    refused(second);
    assert_eq!(store.certificate(&serial(2)).await.unwrap().unwrap().der, Some([3].into()));
}

async fn a_public_key_is_known_from_the_intent_on(database: Database) {
    let store = database.with_users(1).await;
    let asks = Ask { public_key: Some(begun(&key("C1", "u1"), 1).public_key), ..ask("C1", Some("u1")) };
    assert_eq!(store.find(&asks).await.unwrap().public_key, Fresh::Yes);
    put(&*store, asks.clone(), begin(&key("C1", "u1"), 1)).await;
    assert_eq!(store.find(&asks).await.unwrap().public_key, Fresh::No);
    assert_eq!(look(&*store, asks).await.public_key, Fresh::No);
}

async fn who_was_left_under_way_is_found_until_it_ends(database: Database) {
    let store = database.with_users(4).await;
    for number in 1..=3 {
        let mut row = user("C1", &format!("u{number}"));
        row.user.next = Next::Renewing(intent(number));
        let mut intent = begun(&row.user.key, number);
        intent.begun_at = NOW.plus_seconds(i64::try_from(number).unwrap());
        put(&*store, ask("C1", None), Write { users: vec![row], intent: Some(intent), ..Write::default() }).await;
    }
    // Something of another kind under way is nothing that was left.
    let mut row = user("C1", "u4");
    row.user.next = Next::ReissueNeeded;
    put(&*store, ask("C1", None), Write { users: vec![row], ..Write::default() }).await;
    let under_way = |seconds, limit| store.under_way(NOW.plus_seconds(seconds), limit);
    assert_eq!(under_way(1, 9).await.unwrap(), []);
    assert_eq!(under_way(3, 9).await.unwrap(), [key("C1", "u1"), key("C1", "u2")]);
    assert_eq!(under_way(9, 1).await.unwrap().len(), 1);
    put(&*store, ask("C1", None), Write { users: vec![user("C1", "u1")], ..Write::default() }).await;
    assert_eq!(under_way(9, 9).await.unwrap(), [key("C1", "u2"), key("C1", "u3")]);
}

async fn holders_whose_certificates_end_come_in_order_and_in_pages(database: Database) {
    let store = database.with_users(20).await;
    let mut rows = Vec::new();
    for number in 1..=20_u64 {
        let mut row = user("C1", &format!("u{number}"));
        let mut held = held(number);
        held.not_after = NOW.plus_seconds(i64::try_from(20 - number / 4).unwrap());
        row.user.certificate = Certificate::Held(held);
        rows.push(row);
    }
    put(&*store, ask("C1", None), Write { users: rows, ..Write::default() }).await;
    let (from, to) = (NOW.plus_seconds(16), NOW.plus_seconds(19));
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.expiring(from, to, after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        let Certificate::Held(held) = &last.user.certificate else { panic!("not held") };
        after = Some((held.not_after, last.user.key.clone()));
        seen.extend(page.into_iter().map(|row| row.user.key.user.to_string()));
    }
    let expected =
        ["u16", "u17", "u18", "u19", "u12", "u13", "u14", "u15", "u10", "u11", "u8", "u9", "u4", "u5", "u6", "u7"];
    assert_eq!(seen, expected);
}

async fn statuses_come_in_the_order_of_their_numbers_and_the_last_one_counts(database: Database) {
    let store = database.with_users(1).await;
    let change = |number, status| StatusChange {
        authority: "issuing".into(),
        serial: serial(number),
        status,
        at: NOW,
        not_after: NOW.plus_years(1),
    };
    let changes = [
        change(1, Status::Held),
        change(2, Status::Revoked(RevocationReason::KeyCompromise)),
        change(1, Status::Released),
        change(1, Status::Revoked(RevocationReason::Unspecified)),
    ];
    for pair in changes.chunks(2) {
        put(&*store, ask("C1", None), Write { statuses: pair.to_vec(), ..Write::default() }).await;
    }
    let rows = store.statuses(0, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(rows.iter().zip(&changes).all(|(row, change)| row.change == *change), "{rows:?}");
    assert_eq!(store.statuses(1, 2).await.unwrap(), rows[1..3]);
    assert_eq!(store.statuses(4, 2).await.unwrap(), []);
    assert_eq!(store.status(&serial(1)).await.unwrap().as_ref(), rows.last());
    assert_eq!(store.status(&serial(3)).await.unwrap(), None);
}

async fn numbers_of_lists_grow_for_each_part_alone_and_outlive_the_store(database: Database) {
    let store = database.open().await;
    // The database's clock is this machine's: a store that was restored goes on above what it had.
    let least = u64::try_from(sekisho_runtime::clock::now_in_milliseconds()).unwrap() - 1_000;
    let mut last = least;
    for seconds in 1..=3 {
        let number = store.take_list_number("issuing", 0, NOW.plus_seconds(seconds)).await.unwrap();
        assert!(number > last && number < least + 600_000, "{number} after {last}");
        last = number;
    }
    for (authority, part) in [("issuing", 7), ("other", 0)] {
        assert!(store.take_list_number(authority, part, NOW).await.unwrap() > least);
    }
    let taken = futures_util::future::join_all((0..20).map(|_| store.take_list_number("issuing", 7, NOW))).await;
    let mut taken: Vec<u64> = taken.into_iter().map(Result::unwrap).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 20, "a number came twice");
    store.close().await;
    let store = database.open().await;
    let next = store.take_list_number("issuing", 0, NOW).await.unwrap();
    assert!(next > last, "{next} after {last}");
    let row = |part, number| ListNumberRow { part, number, this_update: NOW };
    assert_eq!(store.list_numbers("issuing").await.unwrap(), [row(0, next), row(7, taken[19])]);
    assert_eq!(store.list_numbers("nobody").await.unwrap(), []);
}

async fn a_time_step_is_used_once_and_only_upwards(database: Database) {
    let store = database.with_users(2).await;
    let (one, two) = (key("C1", "u1"), key("C1", "u2"));
    for (user, step, fresh) in [
        (&one, 100, Fresh::Yes),
        (&one, 100, Fresh::No),
        (&one, 99, Fresh::No),
        (&two, 99, Fresh::Yes),
        (&one, 101, Fresh::Yes),
        (&one, 100, Fresh::No),
    ] {
        assert_eq!(store.use_time_step(user, step).await.unwrap(), fresh, "{step}");
    }
    let racing = futures_util::future::join_all((0..20).map(|_| store.use_time_step(&one, 200))).await;
    assert_eq!(racing.into_iter().filter(|result| *result == Ok(Fresh::Yes)).count(), 1);
}

fn notice(user: &str, once: &str) -> NewNotice {
    NewNotice {
        mail: None,
        to: key("C1", user),
        about: NoticeAbout::Event(NoticeEvent::Issued),
        once: once.into(),
        serial: Some(serial(1)),
        not_after: Some(NOW.plus_years(1)),
        at: NOW,
    }
}

async fn a_notice_is_kept_once_and_taken_by_one(database: Database) {
    let store = database.with_users(2).await;
    let second = NewNotice { about: NoticeAbout::Expiry(40), serial: None, not_after: None, ..notice("u2", "b") };
    let notices = vec![notice("u1", "a"), second.clone(), notice("u2", "a"), notice("u2", "c")];
    put(&*store, ask("C1", None), Write { notices, ..Write::default() }).await;
    put(&*store, ask("C1", None), Write { notices: vec![notice("u2", "b")], ..Write::default() }).await;
    let until = NOW.plus_seconds(60);
    assert_eq!(store.take_notices(NOW.plus_seconds(-1), until, 10).await.unwrap(), []);
    let taken = store.take_notices(NOW, until, 2).await.unwrap();
    let told: Vec<_> = taken.iter().map(|row| row.notice.clone()).collect();
    assert_eq!(told, [notice("u1", "a"), second]);
    assert_eq!(
        (&*taken[0].profile, &taken[0].contact, taken[0].attempts),
        ("bizstation", &user("C1", "u1").contact, 0)
    );
    assert_eq!(taken[0].sent_at, None);
    // The third, by one of many who ask at once.
    let racing = futures_util::future::join_all((0..8).map(|_| store.take_notices(NOW, until, 10))).await;
    assert_eq!(racing.into_iter().map(|taken| taken.unwrap().len()).sum::<usize>(), 1);
    assert_eq!(store.take_notices(until.plus_seconds(-1), until, 10).await.unwrap(), []);
    // The leases end; whoever had them is gone.
    assert_eq!(store.take_notices(until, until.plus_seconds(60), 10).await.unwrap().len(), 3);
    store.notice_sent(taken[0].id, NOW).await.unwrap();
    assert_eq!(store.take_notices(NOW.plus_years(9), NOW.plus_years(10), 10).await.unwrap().len(), 2);
    let shown = store.notices(&key("C1", "u1"), 10).await.unwrap();
    assert_eq!((shown[0].sent_at, shown[0].attempts, shown.len()), (Some(NOW), 1, 1));
    let shown: Vec<_> = store.notices(&key("C1", "u2"), 10).await.unwrap();
    assert_eq!(shown.iter().map(|row| &*row.notice.once).collect::<Vec<_>>(), ["c", "b"]);
}

async fn a_notice_that_failed_is_due_again_and_one_given_up_never(database: Database) {
    let store = database.with_users(1).await;
    put(&*store, ask("C1", None), Write { notices: vec![notice("u1", "a")], ..Write::default() }).await;
    let id = store.take_notices(NOW, NOW.plus_seconds(60), 1).await.unwrap()[0].id;
    store.notice_failed(id, Some(NOW.plus_seconds(300)), "450 4.2.1 try\0again").await.unwrap();
    assert_eq!(store.take_notices(NOW.plus_seconds(299), NOW.plus_seconds(999), 1).await.unwrap(), []);
    let again = store.take_notices(NOW.plus_seconds(300), NOW.plus_seconds(999), 1).await.unwrap();
    assert_eq!((again[0].id, again[0].attempts), (id, 1));
    store.notice_failed(id, None, "550 no such user").await.unwrap();
    assert_eq!(store.take_notices(NOW.plus_years(9), NOW.plus_years(9), 1).await.unwrap(), []);
    let mut someone_else = user("C1", "u1");
    someone_else.contact = Contact::default();
    put(&*store, ask("C1", None), Write { users: vec![someone_else], ..Write::default() }).await;
    let shown = store.notices(&key("C1", "u1"), 10).await.unwrap();
    assert_eq!((shown[0].attempts, shown[0].sent_at, &shown[0].contact), (2, None, &Contact::default()));
}

async fn contracts_users_and_history_come_in_pages(database: Database) {
    let store = database.open().await;
    // As octets compare: capitals first, whatever the database's locale.
    let ids = ["B", "Z", "a", "a-1", "aB", "b"];
    for id in ids {
        let audit = (0..3).map(|number| entry(&key(id, if number == 1 { "a" } else { "B" }), &number.to_string()));
        let write = Write {
            contract: Some(contract(id)),
            users: vec![user(id, "a"), user(id, "B")],
            audit: audit.collect(),
            ..Write::default()
        };
        put(&*store, ask(id, None), write).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.contracts(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.contract.id.clone());
        seen.extend(page.into_iter().map(|row| row.contract.id.to_string()));
    }
    assert_eq!(seen, ids);
    let users = store.users(&contract_id("a"), None, 10).await.unwrap();
    assert_eq!(users.iter().map(|row| row.user.key.user.as_str()).collect::<Vec<_>>(), ["B", "a"]);
    assert_eq!(store.users(&contract_id("a"), Some(&users[0].user.key.user), 10).await.unwrap(), users[1..]);
    let id = contract_id("Z");
    let history = store.history(&id, None, None, 2).await.unwrap();
    assert_eq!(history.iter().map(|record| record.sequence).collect::<Vec<_>>(), [6, 5]);
    let before = store.history(&id, None, Some(5), 2).await.unwrap();
    assert_eq!(before.iter().map(|record| record.sequence).collect::<Vec<_>>(), [4]);
    let of_user = store.history(&id, Some(&key("Z", "a").user), None, 9).await.unwrap();
    assert_eq!(of_user.iter().map(|record| record.sequence).collect::<Vec<_>>(), [5]);
    assert_eq!(store.history(&contract_id("z"), None, None, 9).await.unwrap(), []);
}

async fn old_requests_are_forgotten_and_young_ones_are_not(database: Database) {
    use sekisho_issuer::store::{IdempotencyKey, IdempotencyRow};
    let store = database.with_users(1).await;
    let asks = |name: &str| Ask {
        idempotency: Some(IdempotencyKey { caller: "ib".into(), key: name.into() }),
        ..ask("C1", None)
    };
    for (name, age) in [("old", 2 * 86_400), ("young", 86_000)] {
        let row = IdempotencyRow {
            key: asks(name).idempotency.unwrap(),
            request: [1; 32],
            user: None,
            serial: None,
            at: NOW.plus_seconds(-age),
        };
        put(&*store, asks(name), Write { idempotency: Some(row), ..Write::default() }).await;
    }
    assert!(store.find(&asks("old")).await.unwrap().before.is_some());
    // More transactions than between two prunings, with two to spare.
    for _ in 0..130 {
        put(&*store, ask("C1", None), Write { audit: vec![entry(&key("C1", "u1"), "now")], ..Write::default() }).await;
    }
    assert!(store.find(&asks("old")).await.unwrap().before.is_none());
    assert!(store.find(&asks("young")).await.unwrap().before.is_some());
}

async fn a_status_is_its_own_authoritys_whatever_is_said(database: Database) {
    let store = database.with_users(1).await;
    let user = key("C1", "u1");
    let change = |number, authority: &str| StatusChange {
        authority: authority.into(),
        serial: serial(number),
        status: Status::Revoked(RevocationReason::Superseded),
        at: NOW,
        not_after: NOW.plus_seconds(1),
    };
    put(&*store, ask("C1", Some("u1")), begin(&user, 1)).await;
    let own = begun(&user, 1).authority;
    assert_ne!(&*own, "the successor");
    let statuses = vec![change(1, "the successor"), change(2, "the successor")];
    put(&*store, ask("C1", Some("u1")), Write { statuses, ..begin(&user, 3) }).await;
    let statuses = store.statuses(0, 10).await.unwrap();
    let authorities: Vec<_> = statuses.iter().map(|row| &*row.change.authority).collect();
    assert_eq!(authorities, [&*own, "the successor"], "of a serial that nobody knows, what is said");
}
