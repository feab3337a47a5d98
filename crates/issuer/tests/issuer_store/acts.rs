//! What acts find, what they write, and that it is all or nothing.

use crate::support::*;
use sekisho_issuer::store::{
    Ask, Contact, CredentialOwner, CredentialRow, Everyone, Fresh, IdempotencyKey, IdempotencyRow, Language, Store,
    StoreError, UserRow, Write, change,
};
use sekisho_lifecycle::profile::Factor;
use sekisho_lifecycle::{
    ActorName, Certificate, ContractOneTimePassword, Counter, Feature, Lock, LockedBy, Next, Offer, RequestId, Revoked,
    SecretDigest, StaffId, StaffPair, Standing, UserId,
};
use sekisho_pki::crl::RevocationReason;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

on_both!(
    every_state_of_a_user_reads_back_as_it_was_written,
    an_actor_who_is_the_target_is_the_same_record,
    what_is_not_there_is_not_found,
    everyone_is_who_holds_a_certificate_or_has_something_under_way,
    acts_of_one_batch_run_in_their_order_and_see_each_other,
    a_write_that_cannot_stand_leaves_nothing_of_its_act_and_all_of_the_others,
    a_panicking_act_writes_nothing_and_the_writer_goes_on,
    a_text_with_a_nul_fails_its_own_act_only,
    too_many_waiting_acts_are_told_to_come_again,
    an_act_whose_caller_went_away_is_written_all_the_same,
    closing_writes_what_waits_and_takes_no_more,
    credentials_are_replaced_and_the_contracts_own_are_among_them,
);

async fn every_state_of_a_user_reads_back_as_it_was_written(database: Database) {
    let store = database.with_users(1).await;
    let offer = Offer {
        number: 4,
        made_at: NOW,
        deadline: NOW.plus_seconds(100),
        made_by: ActorName::User(key("C1", "u1")),
        request: RequestId("r-1 \"quoted\" \u{0001}".into()),
        secret: Some(SecretDigest([0xab; 32])),
    };
    let by_staff = StaffPair::new(StaffId("maker".into()), StaffId("checker".into())).unwrap();
    let by_staff = Offer { made_by: ActorName::Staff(by_staff), secret: None, ..offer.clone() };
    let by_service = Offer { made_by: ActorName::Service, ..offer.clone() };
    let revoked = Revoked { serial: serial(9), at: NOW, reason: RevocationReason::AaCompromise, issue_number: 8 };
    let certificates = [Certificate::None, Certificate::Held(held(1)), Certificate::Revoked(revoked)];
    let nexts = [
        Next::Nothing,
        Next::Offered(offer.clone()),
        Next::Offered(by_staff),
        Next::Acquiring { offer: Some(by_service), intent: intent(2) },
        Next::Acquiring { offer: None, intent: intent(3) },
        Next::Renewing(intent(4)),
        Next::ReissueNeeded,
    ];
    let locks = [
        Lock::Open,
        Lock::Locked { at: NOW, by: LockedBy::WrongTries },
        Lock::Locked { at: NOW, by: LockedBy::WrongActs },
        Lock::Locked { at: NOW, by: LockedBy::Operator },
    ];
    let counter = Counter { wrong: u32::MAX, first_at: Some(NOW), locked_at: Some(NOW.plus_seconds(1)) };
    for (index, next) in nexts.into_iter().enumerate() {
        let mut row = user("C1", "u1");
        row.user.certificate = certificates[index % 3].clone();
        row.user.next = next;
        row.user.lock = locks[index % 3];
        row.user.standing = [Standing::Active, Standing::Suspended, Standing::Deleted][index % 3];
        row.user.wrong_tries = [Counter::default(), counter][index % 2];
        (row.user.issues, row.user.offers) = (u32::MAX, 7);
        row.contact = [Contact::default(), Contact { language: Language::English, ..row.contact }][index % 2].clone();
        let users = vec![row.clone()];
        put(&*store, ask("C1", None), Write { users, ..Write::default() }).await;
        assert_eq!(look(&*store, ask("C1", Some("u1"))).await.user, Some(row));
    }
    let mut row = contract("C1");
    row.contract.feature = Feature::Off;
    row.contract.one_time_password = ContractOneTimePassword::NotUsed;
    row.contract.wrong_tries = counter;
    row.profile = "しんきん".into();
    put(&*store, ask("C1", None), Write { contract: Some(row.clone()), ..Write::default() }).await;
    let store = reopened(&database, store).await;
    assert_eq!(store.find(&ask("C1", None)).await.unwrap().contract, Some(row));
}

async fn an_actor_who_is_the_target_is_the_same_record(database: Database) {
    let store = database.with_users(2).await;
    let themselves = Ask { actor: Some(key("C1", "u1")), ..ask("C1", Some("u1")) };
    for found in [look(&*store, themselves.clone()).await, store.find(&themselves).await.unwrap()] {
        assert!(found.user.is_some());
        assert_eq!(found.user, found.actor);
    }
    let other = Ask { actor: Some(key("C1", "u2")), ..ask("C1", Some("u1")) };
    assert_eq!(look(&*store, other).await.actor.unwrap().user.key, key("C1", "u2"));
}

async fn what_is_not_there_is_not_found(database: Database) {
    let store = database.with_users(1).await;
    let nothing = Ask {
        actor: Some(key("C2", "u1")),
        address: Some("192.0.2.1".into()),
        public_key: Some([9; 32]),
        idempotency: Some(IdempotencyKey { caller: "ib".into(), key: "k".into() }),
        ..ask("c1", Some("u1"))
    };
    for found in [look(&*store, nothing.clone()).await, store.find(&nothing).await.unwrap()] {
        assert_eq!((found.contract, found.user, found.actor, found.before), (None, None, None, None));
        assert_eq!((found.address, found.public_key), (Counter::default(), Fresh::Yes));
    }
    let wrong = Counter { wrong: 2, first_at: Some(NOW), locked_at: None };
    let before = IdempotencyRow {
        key: nothing.idempotency.clone().unwrap(),
        request: [3; 32],
        user: Some(UserId::new("u1").unwrap()),
        serial: Some(serial(1)),
        at: NOW,
    };
    let write = Write { address: Some(wrong), idempotency: Some(before.clone()), ..Write::default() };
    put(&*store, nothing.clone(), write).await;
    let found = look(&*store, nothing).await;
    assert_eq!((found.address, found.before), (wrong, Some(before)));
}

async fn everyone_is_who_holds_a_certificate_or_has_something_under_way(database: Database) {
    let store = database.with_users(6).await;
    let mut rows: Vec<UserRow> = (1..=6).map(|number| user("C1", &format!("u{number}"))).collect();
    rows[1].user.certificate = Certificate::Held(held(1));
    rows[2].user.next = Next::ReissueNeeded;
    rows[3].user.next = Next::Renewing(intent(2));
    let revoked = Revoked { serial: serial(3), at: NOW, reason: RevocationReason::Superseded, issue_number: 1 };
    rows[4].user.certificate = Certificate::Revoked(revoked);
    put(&*store, ask("C1", None), Write { users: rows.clone(), ..Write::default() }).await;
    let everyone = Ask { everyone: Everyone::WithCertificates, ..ask("C1", None) };
    let ids = |rows: Vec<UserRow>| rows.iter().map(|row| row.user.key.user.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(look(&*store, everyone.clone()).await.everyone), ["u2", "u3", "u4"]);
    assert_eq!(ids(store.find(&everyone).await.unwrap().everyone), ["u2", "u3", "u4"]);
    assert_eq!(ids(look(&*store, ask("C1", None)).await.everyone), [""; 0]);
}

/// What is asked and what is made of it.
type Act<T> = (Ask, Box<dyn FnOnce(&sekisho_issuer::store::Found) -> (Write, T) + Send>);

/// Holds the writer up until as many acts wait as there are: they all go into the next batch.
async fn together<T: Send + 'static>(store: &Arc<dyn Store>, acts: Vec<Act<T>>) -> Vec<Result<T, StoreError>> {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let first = tokio::spawn({
        let store = Arc::clone(store);
        async move {
            change(&*store, ask("C1", None), move |_| {
                let _ = begun.send(());
                // Until every other act waits in the queue.
                let _ = wait.recv();
                (Write::default(), ())
            })
            .await
        }
    });
    has_begun.await.unwrap();
    let mut waiting = Vec::new();
    for (ask, decide) in acts {
        let store = Arc::clone(store);
        let mut act = Box::pin(async move { change(&*store, ask, decide).await });
        // Polled once it is in the queue: they are queued in this order.
        assert!(futures_util::poll!(&mut act).is_pending());
        waiting.push(act);
    }
    drop(go);
    first.await.unwrap().unwrap();
    futures_util::future::join_all(waiting).await
}

fn act<T>(ask: Ask, decide: impl FnOnce(&sekisho_issuer::store::Found) -> (Write, T) + Send + 'static) -> Act<T> {
    (ask, Box::new(decide))
}

async fn acts_of_one_batch_run_in_their_order_and_see_each_other(database: Database) {
    let store = database.with_users(1).await;
    let asks = Ask {
        address: Some("192.0.2.1".into()),
        public_key: Some(begun(&key("C1", "u1"), 50).public_key),
        idempotency: Some(IdempotencyKey { caller: "ib".into(), key: "k".into() }),
        everyone: Everyone::WithCertificates,
        ..ask("C1", Some("u1"))
    };
    // Every act counts on everything; what it found is what the one before it left.
    let acts = (0..100_u32).map(|_| {
        act(asks.clone(), |found| {
            let mut contract = found.contract.clone().unwrap();
            let mut user = found.user.clone().unwrap();
            contract.contract.wrong_tries.wrong += 1;
            user.user.issues += 1;
            let address = Counter { wrong: found.address.wrong + 1, first_at: Some(NOW), locked_at: None };
            let seen = (contract.contract.wrong_tries.wrong, user.user.issues, address.wrong);
            let mut request = found.before.as_ref().map_or([0; 32], |before| before.request);
            request[0] += 1;
            let counted = u32::from(request[0]);
            let idempotency = IdempotencyRow {
                key: IdempotencyKey { caller: "ib".into(), key: "k".into() },
                request,
                user: None,
                serial: None,
                at: NOW,
            };
            let audit = vec![entry(&user.user.key, &counted.to_string())];
            let begins = (counted == 50).then(|| begun(&user.user.key, 50));
            if begins.is_some() {
                user.user.next = Next::Renewing(intent(50));
            }
            let write = Write {
                contract: Some(contract),
                users: vec![user],
                address: Some(address),
                idempotency: Some(idempotency),
                intent: begins,
                audit,
                ..Write::default()
            };
            (write, (seen, counted, found.public_key, found.everyone.len()))
        })
    });
    let results = together(&store, acts.collect()).await;
    for (result, number) in results.into_iter().zip(1_u32..) {
        let after = number > 50;
        let fresh = if after { Fresh::No } else { Fresh::Yes };
        assert_eq!(result, Ok(((number, number, number), number, fresh, usize::from(after))));
    }
    let references: Vec<_> =
        whole_audit(&*store, &database.secret).await.into_iter().map(|entry| entry.reference).collect();
    assert_eq!(references, (1..=100).map(|number| Arc::from(number.to_string())).collect::<Vec<Arc<str>>>());
    let found = store.find(&asks).await.unwrap();
    assert_eq!((found.user.unwrap().user.issues, found.address.wrong, found.public_key), (100, 100, Fresh::No));
    assert_eq!(found.contract.unwrap().contract.wrong_tries.wrong, 100);
}

async fn a_write_that_cannot_stand_leaves_nothing_of_its_act_and_all_of_the_others(database: Database) {
    let store = database.with_users(3).await;
    let count = |id: &'static str| {
        act(ask("C1", Some(id)), move |found| {
            let mut user = found.user.clone().unwrap();
            user.user.issues += 1;
            let audit = vec![entry(&user.user.key, id)];
            (Write { users: vec![user], audit, ..Write::default() }, ())
        })
    };
    let stranger = act(ask("C1", Some("u2")), |found| {
        let mut known = found.user.clone().unwrap();
        known.user.issues += 1;
        let audit = vec![entry(&known.user.key, "stranger")];
        (Write { users: vec![known, user("C9", "u1")], audit, ..Write::default() }, ())
    });
    let results = together(&store, vec![count("u1"), stranger, count("u3")]).await;
    assert_eq!((results[0].clone(), results[2].clone()), (Ok(()), Ok(())));
    assert!(matches!(results[1], Err(StoreError::Corrupt(_))), "{results:?}");
    let issues = |id: &'static str| {
        let store = Arc::clone(&store);
        async move { store.find(&ask("C1", Some(id))).await.unwrap().user.unwrap().user.issues }
    };
    assert_eq!((issues("u1").await, issues("u2").await, issues("u3").await), (1, 0, 1));
    let references: Vec<_> =
        whole_audit(&*store, &database.secret).await.into_iter().map(|entry| entry.reference).collect();
    assert_eq!(references, ["u1".into(), "u3".into()] as [Arc<str>; 2]);
    assert_eq!(store.contracts(None, 10).await.unwrap().len(), 1);
}

async fn a_panicking_act_writes_nothing_and_the_writer_goes_on(database: Database) {
    let store = database.with_users(1).await;
    let good = || {
        act(ask("C1", Some("u1")), |found| {
            let audit = vec![entry(&found.user.as_ref().unwrap().user.key, "good")];
            (Write { audit, ..Write::default() }, ())
        })
    };
    let bad = act(ask("C1", Some("u1")), |_| panic!("planned"));
    let results = together(&store, vec![good(), bad, good()]).await;
    assert_eq!(results, [Ok(()), Err(StoreError::Unavailable("the act panicked".into())), Ok(())]);
    assert_eq!(whole_audit(&*store, &database.secret).await.len(), 2);
    put(&*store, ask("C1", None), Write::default()).await;
}

async fn a_text_with_a_nul_fails_its_own_act_only(database: Database) {
    let store = database.with_users(1).await;
    let refused = StoreError::Unavailable("a text with a NUL".into());
    let in_write = act(ask("C1", Some("u1")), |found| {
        let mut user = found.user.clone().unwrap();
        user.contact.name = Some("a\0b".into());
        (Write { users: vec![user], ..Write::default() }, ())
    });
    let good = act(ask("C1", Some("u1")), |_| {
        (Write { audit: vec![entry(&key("C1", "u1"), "nul\0")], ..Write::default() }, ())
    });
    assert_eq!(together(&store, vec![in_write, good]).await, [Err(refused.clone()), Ok(())]);
    let in_ask = Ask { address: Some("\0".into()), ..ask("C1", None) };
    assert_eq!(try_put(&*store, in_ask.clone(), Write::default()).await, Err(refused.clone()));
    assert_eq!(store.find(&in_ask).await.err(), Some(refused));
    assert_eq!(&*whole_audit(&*store, &database.secret).await[0].reference, "nul\0");
}

async fn too_many_waiting_acts_are_told_to_come_again(mut database: Database) {
    database.config.waiting = 3;
    let store = database.with_users(1).await;
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let first = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            change(&*store, ask("C1", None), move |_| {
                let _ = begun.send(());
                let _ = wait.recv();
                (Write::default(), ())
            })
            .await
        }
    });
    has_begun.await.unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(try_put(&*store, ask("C1", None), Write::default()))).collect();
    for act in &mut waiting {
        assert!(futures_util::poll!(act).is_pending());
    }
    assert_eq!(try_put(&*store, ask("C1", None), Write::default()).await, Err(StoreError::Busy));
    drop(go);
    first.await.unwrap().unwrap();
    assert_eq!(futures_util::future::join_all(waiting).await, [Ok(()), Ok(()), Ok(())]);
}

async fn an_act_whose_caller_went_away_is_written_all_the_same(database: Database) {
    let store = database.with_users(1).await;
    let audit = vec![entry(&key("C1", "u1"), "gone")];
    {
        let mut act = Box::pin(try_put(&*store, ask("C1", None), Write { audit, ..Write::default() }));
        assert!(futures_util::poll!(&mut act).is_pending());
    }
    put(&*store, ask("C1", None), Write::default()).await;
    assert_eq!(whole_audit(&*store, &database.secret).await.len(), 1);
}

async fn closing_writes_what_waits_and_takes_no_more(database: Database) {
    let store = database.with_users(1).await;
    let decided = Arc::new(AtomicU32::new(0));
    let mut waiting = Vec::new();
    for _ in 0..600 {
        let decided = Arc::clone(&decided);
        let mut act = Box::pin(change(&*store, ask("C1", None), move |_| {
            decided.fetch_add(1, Ordering::Relaxed);
            (Write { audit: vec![entry(&key("C1", "u1"), "before")], ..Write::default() }, ())
        }));
        assert!(futures_util::poll!(&mut act).is_pending());
        waiting.push(act);
    }
    store.close().await;
    assert_eq!(decided.load(Ordering::Relaxed), 600);
    assert!(futures_util::future::join_all(waiting).await.into_iter().all(|result| result == Ok(())));
    let closed = StoreError::Unavailable("the store is closed".into());
    assert_eq!(try_put(&*store, ask("C1", None), Write::default()).await, Err(closed.clone()));
    assert_eq!(store.ping().await, Err(closed));
    let store = database.open().await;
    store.ping().await.unwrap();
    assert_eq!(whole_audit(&*store, &database.secret).await.len(), 600);
}

async fn credentials_are_replaced_and_the_contracts_own_are_among_them(database: Database) {
    let store = database.with_users(2).await;
    let row = |of: CredentialOwner, factor, verifier: &str| CredentialRow { of, factor, verifier: verifier.to_owned() };
    let own = CredentialOwner::User(key("C1", "u1"));
    let others = CredentialOwner::User(key("C1", "u2"));
    let shared = CredentialOwner::Contract(contract_id("C1"));
    let password = Factor::ALL[0].1;
    let other_factor = Factor::ALL[1].1;
    let credentials = vec![
        row(own.clone(), password, "first"),
        row(own.clone(), password, "second"),
        row(own.clone(), other_factor, "seed"),
        row(others, password, "another's"),
        row(shared.clone(), password, "the contract's"),
    ];
    put(&*store, ask("C1", None), Write { credentials, ..Write::default() }).await;
    let mut found = store.credentials(&key("C1", "u1")).await.unwrap();
    found.sort_by(|left, right| left.verifier.cmp(&right.verifier));
    let expected =
        [row(own.clone(), password, "second"), row(own, other_factor, "seed"), row(shared, password, "the contract's")];
    assert_eq!(found, expected);
    assert_eq!(store.credentials(&key("C2", "u1")).await.unwrap(), []);
}

async fn reopened(database: &Database, store: Arc<dyn Store>) -> Arc<dyn Store> {
    store.close().await;
    drop(store);
    database.open().await
}
