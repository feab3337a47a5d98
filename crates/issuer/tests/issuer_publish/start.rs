//! What a start finds.

use crate::support::{Entries, PATIENCE, REVOKED, World, change_of, entries, number, random, until};
use sekisho_issuer::publish::{StartError, Stopped};
use sekisho_issuer::store::Status;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use std::num::NonZeroU16;

#[tokio::test(flavor = "multi_thread")]
async fn a_start_finds_every_revocation_and_every_hold_and_goes_on_with_the_numbers() {
    // More than two pages.
    const MANY: usize = 12_000;
    let world = World::new().await;
    let running = world.start().await;
    let serials: Vec<SerialNumber> = (0..MANY).map(|_| random()).collect();
    for some in serials.chunks(1_000) {
        world.set_quietly(some.iter().map(|serial| change_of(*serial, REVOKED)).collect()).await;
    }
    let (held, released) = (random(), random());
    for (serial, status) in [(held, Status::Held), (released, Status::Held), (released, Status::Released)] {
        world.set(serial, status).await;
    }
    world.published(&running).await;
    let before = running.list().await;
    running.stop().await;
    let running = world.start().await;
    let after = running.list().await;
    let mut expected: Entries = serials.iter().map(|serial| (*serial, RevocationReason::Superseded)).collect();
    expected.insert(held, RevocationReason::CertificateHold);
    assert_eq!(entries(&after), expected);
    assert_eq!(entries(&before), expected);
    assert!(number(&after).0 > number(&before).0);
    assert_eq!(running.publisher.caught_up_to(), world.last().await);
    assert_eq!(std::fs::read(world.list_file(0)).unwrap(), after, "written before the start was over");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_of_before_a_start_is_replaced_by_one_that_nothing_older_combines_with() {
    let world = World::new().await;
    let running = world.start().await;
    world.set(random(), REVOKED).await;
    world.published(&running).await;
    running.stop().await;
    world.set_quietly(vec![change_of(random(), Status::Held)]).await;
    let running = world.start().await;
    let (full, delta) = (running.list().await, std::fs::read(world.delta_file(0)).unwrap());
    assert_eq!(number(&full), number(&delta));
    assert_eq!(entries(&delta), Entries::new());
    let shown = world.succeeds("openssl crl -inform DER -in published/hokugin-0-delta.crl -noout -text");
    let base = shown.split("Delta CRL Indicator: critical").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(base, number(&full).0.to_string(), "{shown}");
    running.stop().await;
}

#[test]
fn a_node_that_ends_without_a_word_uses_no_number_twice_and_loses_no_revocation() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let first = runtime();
    let mut world = first.block_on(World::new());
    let (mut last, mut revoked) = (0, Vec::new());
    let mut check = |file: Vec<u8>| {
        let number = number(&file).0;
        assert!(number >= last, "{number} after {last}");
        last = number;
        entries(&file)
    };
    first.shutdown_timeout(PATIENCE);
    for round in 0..8_u64 {
        let node = runtime();
        node.block_on(async {
            world.reopen().await;
            let running = world.start().await;
            check(std::fs::read(world.list_file(0)).unwrap());
            for _ in 0..=round {
                let serial = random();
                world.set(serial, REVOKED).await;
                revoked.push(serial);
                // Not always the same place in what it does.
                tokio::time::sleep(std::time::Duration::from_millis(round * 7)).await;
            }
            // Its tasks are dropped wherever they are, without a shutdown.
            #[allow(clippy::mem_forget, reason = "dropped, it would be a shutdown")]
            std::mem::forget(running.shutdown);
        });
        node.shutdown_timeout(PATIENCE);
        check(std::fs::read(world.list_file(0)).unwrap());
    }
    let last = runtime();
    let listed = last.block_on(async {
        world.reopen().await;
        let running = world.start().await;
        let listed = check(running.list().await);
        running.stop().await;
        listed
    });
    assert_eq!(listed.len(), revoked.len());
    assert!(revoked.iter().all(|serial| listed.contains_key(serial)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_take_their_numbers_from_one_sequence_and_publish_each_others_revocations() {
    let first = World::new().await;
    let one = first.start().await;
    let mut second = World::new().await;
    second.hierarchy = crate::support::Hierarchy {
        root: first.hierarchy.root.clone(),
        issuing: first.hierarchy.issuing.clone(),
        key: first.hierarchy.key.clone(),
    };
    second.store = first.store.clone();
    let two = second.start().await;
    let mut numbers = vec![number(&one.list().await).0, number(&two.list().await).0];
    for _ in 0..3 {
        let serial = random();
        first.set(serial, REVOKED).await;
        first.published(&one).await;
        second.published(&two).await;
        for node in [&one, &two] {
            let list = node.list().await;
            assert!(entries(&list).contains_key(&serial));
            numbers.push(number(&list).0);
        }
    }
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "a number came twice");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_parts_than_there_were_do_not_start() {
    let mut world = World::in_parts(4).await;
    world.start().await.stop().await;
    world.config.parts = NonZeroU16::new(2).unwrap();
    match world.try_start().await.map(|_| ()) {
        Err(StartError::Parts { part, .. }) => assert!(part >= 2),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_published_does_not_start() {
    let world = World::new().await;
    std::fs::remove_dir(world.path("published")).unwrap();
    let error = world.try_start().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::Folder { .. }), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    std::fs::create_dir(world.path("published")).unwrap();
    world.store.set_down(true);
    let error = world.try_start().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StartError::Store(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_a_shutdown_is_published_and_nobody_waits_after_it() {
    let world = World::new().await;
    let running = world.start().await;
    let serial = random();
    world.set_quietly(vec![change_of(serial, REVOKED)]).await;
    let (publisher, last) = (running.publisher.clone(), world.last().await);
    running.stop().await;
    assert!(entries(&std::fs::read(world.list_file(0)).unwrap()).contains_key(&serial));
    assert_eq!(publisher.wait_for(last).await, Ok(()));
    assert_eq!(publisher.wait_for(last + 1).await, Err(Stopped));
    assert!(publisher.troubles(sekisho_runtime::clock::now()).contains(&"publication has ended".to_owned()));
    until("no new list comes", || async { true }).await;
}
