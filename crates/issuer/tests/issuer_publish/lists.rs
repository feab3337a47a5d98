//! What is on the lists, over HTTP and in files, and what reads them.

use crate::support::{Entries, REVOKED, World, change_of, entries, number, random, until, within, write_pem};
use sekisho_config::{AnchorExpiry, Ca, Placed, RevocationSource, RevocationSources};
use sekisho_issuer::store::Status;
use sekisho_pki::crl::{CertificateList, RevocationReason};
use sekisho_runtime::clock;
use sekisho_trust::{self as trust, Question, RevocationStatus, TrustSnapshot};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_on_the_list_in_the_file_and_at_the_address_when_it_is_said_to_be() {
    let world = World::new().await;
    let running = world.start().await;
    assert_eq!(entries(&running.list().await), Entries::new(), "a list without entries, not none");
    let certificate = world.issue(&running).await;
    world.set(certificate.serial(), REVOKED).await;
    world.published(&running).await;
    let expected: Entries = [(certificate.serial(), RevocationReason::Superseded)].into();
    let file = std::fs::read(world.list_file(0)).unwrap();
    assert_eq!(entries(&file), expected);
    assert_eq!(running.list().await, file);
    assert_eq!(running.publisher.caught_up_to(), world.last().await);

    let shown = world.succeeds(
        "openssl crl -inform DER -in published/hokugin-0.crl -out list.pem -CAfile issuing.pem -verify -text",
    );
    assert!(shown.contains("verify OK"), "{shown}");
    write_pem(&world.path("user.pem"), &certificate);
    let verify = "openssl verify -crl_check -CAfile root.pem -untrusted issuing.pem -CRLfile list.pem user.pem";
    let (accepted, said) = world.tool(verify);
    assert!(!accepted && said.contains("certificate revoked"), "{said}");
    let good = world.issue(&running).await;
    write_pem(&world.path("user.pem"), &good);
    world.succeeds(verify);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_on_the_next_full_list_and_its_release_takes_it_off() {
    let world = World::new().await;
    let running = world.start().await;
    let serial = random();
    world.set(serial, Status::Held).await;
    world.published(&running).await;
    let held: Entries = [(serial, RevocationReason::CertificateHold)].into();
    assert_eq!(entries(&std::fs::read(world.list_file(0)).unwrap()), held);
    assert_eq!(entries(&std::fs::read(world.delta_file(0)).unwrap()), held);
    world.set(serial, Status::Released).await;
    world.published(&running).await;
    assert_eq!(entries(&std::fs::read(world.list_file(0)).unwrap()), Entries::new());
    let released: Entries = [(serial, RevocationReason::RemoveFromCrl)].into();
    assert_eq!(entries(&std::fs::read(world.delta_file(0)).unwrap()), released);
    world.set(serial, Status::Held).await;
    world.set(serial, REVOKED).await;
    world.published(&running).await;
    let revoked: Entries = [(serial, RevocationReason::Superseded)].into();
    assert_eq!(entries(&running.list().await), revoked);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_has_what_came_since_the_base_and_the_number_of_the_full_list() {
    let world = World::new().await;
    let (before, since) = (random(), random());
    world.set(before, REVOKED).await;
    let running = world.start().await;
    world.set(since, REVOKED).await;
    world.published(&running).await;
    let (full, delta) = (running.list().await, running.get("/crl/hokugin/0-delta.crl").await.body);
    assert_eq!(entries(&full).len(), 2);
    assert_eq!(entries(&delta), [(since, RevocationReason::Superseded)].into());
    assert_eq!(number(&full), number(&delta));
    let shown = world
        .succeeds("openssl crl -inform DER -in published/hokugin-0-delta.crl -CAfile issuing.pem -verify -noout -text");
    assert!(shown.contains("verify OK") && shown.contains("Delta CRL Indicator: critical"), "{shown}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_delta_url_there_are_no_deltas() {
    let mut world = World::new().await;
    world.config.delta_url = None;
    let running = world.start().await;
    world.set(random(), REVOKED).await;
    world.published(&running).await;
    assert_eq!(running.get("/crl/hokugin/0-delta.crl").await.status, 404);
    assert!(!world.delta_file(0).exists());
    assert_eq!(entries(&running.list().await).len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_part_of_a_revoked_certificate_gets_a_new_list() {
    let world = World::in_parts(8).await;
    let running = world.start().await;
    let numbers = || {
        let of = |(_, list): (_, sekisho_ca::crl::SignedFacts)| (list.part.value(), list.number.value());
        running.publisher.lists().into_iter().map(of).collect::<Vec<_>>()
    };
    let before = numbers();
    assert_eq!(before.len(), 8);
    let serial = random();
    world.set(serial, REVOKED).await;
    world.published(&running).await;
    let changed: Vec<_> = numbers().into_iter().filter(|now| !before.contains(now)).collect();
    let [(part, number)] = changed[..] else { panic!("{changed:?}") };
    assert!(before.iter().all(|(_, before)| *before < number), "{number} after {before:?}");
    let listed = running.get(&format!("/crl/hokugin/{part}.crl")).await.body;
    assert!(entries(&listed).contains_key(&serial));
    assert_eq!(running.get("/crl/hokugin/8.crl").await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_revocations_makes_few_lists_and_all_are_on_the_last() {
    const BURST: usize = 300;
    let world = World::new().await;
    let running = world.start().await;
    let taken = || world.store.taken.load(std::sync::atomic::Ordering::SeqCst);
    let first = taken();
    let begin = std::time::Instant::now();
    for _ in 0..BURST {
        world.set(random(), REVOKED).await;
    }
    world.published(&running).await;
    let took = begin.elapsed();
    let list = running.list().await;
    assert_eq!(entries(&list).len(), BURST);
    let lists = taken() - first;
    // One at once, one for each interval that passed, and the one with the last.
    let most = took.as_millis() / sekisho_issuer::publish::GATHER.as_millis() + 2;
    assert!(u128::from(lists) <= most, "{lists} lists in {took:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_revocation_does_not_wait_for_others() {
    let world = World::new().await;
    let running = world.start().await;
    // Far below a poll, far above a signature: on an idle machine it takes some milliseconds.
    for _ in 0..5 {
        tokio::time::sleep(sekisho_issuer::publish::GATHER * 3).await;
        let begin = std::time::Instant::now();
        world.set(random(), REVOKED).await;
        world.published(&running).await;
        if begin.elapsed() < sekisho_issuer::publish::GATHER {
            return running.stop().await;
        }
    }
    panic!("never published at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_stored_is_published_without_a_wake() {
    let world = World::new().await;
    let running = world.start().await;
    let serial = random();
    world.set_quietly(vec![change_of(serial, REVOKED)]).await;
    world.published(&running).await;
    assert!(entries(&running.list().await).contains_key(&serial));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_exchanged_whole_and_readable_by_all() {
    let world = World::new().await;
    let running = world.start().await;
    let before = std::fs::File::open(world.list_file(0)).unwrap();
    let (inode, mode) = (before.metadata().unwrap().ino(), before.metadata().unwrap().permissions().mode());
    assert_eq!(mode & 0o777, 0o644);
    let first = std::fs::read(world.list_file(0)).unwrap();
    world.set(random(), REVOKED).await;
    world.published(&running).await;
    // Another file is in its place; who had the old one open reads it to its end.
    assert_ne!(std::fs::metadata(world.list_file(0)).unwrap().ino(), inode);
    let mut old = Vec::new();
    std::io::Read::read_to_end(&mut { before }, &mut old).unwrap();
    assert_eq!(old, first);
    let names: Vec<_> =
        std::fs::read_dir(world.path("published")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing unfinished is left: {names:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_made_anew_at_the_interval_though_nothing_happened() {
    let mut world = World::new().await;
    world.config.crl_interval = std::time::Duration::from_secs(1);
    let running = world.start().await;
    let first = number(&running.list().await);
    until("a later list is there", || async { number(&running.list().await).1 > first.1 }).await;
    assert!(number(&running.list().await).0 > first.0);
    running.stop().await;
}

/// The gateway's own trust in the folder of lists.
fn trust(world: &World, previous: Option<&TrustSnapshot>) -> Arc<TrustSnapshot> {
    let ca = |name: &str, file: &str, issued_by: Option<&str>, revocation| Ca {
        name: name.into(),
        place: Default::default(),
        certificate: Placed { value: world.path(file), place: Default::default() },
        issued_by: issued_by.map(Arc::from),
        state: Default::default(),
        revocation,
        anchor_expiry: AnchorExpiry::Check,
        identity: None,
        contracts: None,
        guidance: Default::default(),
    };
    let folder = Placed { value: world.path("published"), place: Default::default() };
    let lists = RevocationSource::From(RevocationSources { files: vec![folder], ..RevocationSources::default() });
    let cas = [ca("root", "root.pem", None, RevocationSource::None), ca("issuing", "issuing.pem", Some("root"), lists)];
    let outcome = trust::load(&cas, previous, clock::now()).unwrap();
    assert!(outcome.alarms.is_empty(), "{:?}", outcome.alarms);
    outcome.snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_takes_the_folder_and_refuses_and_accepts_as_the_store_says() {
    let world = World::new().await;
    let running = world.start().await;
    let certificate = world.issue(&running).await;
    let key = world.hierarchy.issuing.authority_key();
    let status =
        |snapshot: &TrustSnapshot| snapshot.revocation(&Question::client(&key, &certificate.serial()), clock::now());
    let reason = |snapshot: &TrustSnapshot| match status(snapshot) {
        RevocationStatus::Revoked { reason, .. } => Some(reason),
        RevocationStatus::Good { .. } => None,
        other => panic!("{other:?}"),
    };
    let mut snapshot = trust(&world, None);
    assert_eq!(reason(&snapshot), None);
    for (change, expected) in [
        (Status::Held, Some(RevocationReason::CertificateHold)),
        (Status::Released, None),
        (Status::Held, Some(RevocationReason::CertificateHold)),
        (REVOKED, Some(RevocationReason::Superseded)),
        (Status::Released, Some(RevocationReason::Superseded)),
    ] {
        world.set(certificate.serial(), change).await;
        world.published(&running).await;
        snapshot = trust(&world, Some(&snapshot));
        assert_eq!(reason(&snapshot), expected, "{change:?}");
    }
    // A copy of an older list is a step back, and refused.
    running.stop().await;
    let list = std::fs::read(world.list_file(0)).unwrap();
    let running = world.start().await;
    let newer = trust(&world, Some(&snapshot));
    std::fs::write(world.list_file(0), &list).unwrap();
    let numbers = CertificateList::parse(&list).unwrap().header().number.unwrap().to_string();
    assert_ne!(newer.authority_named("issuing").unwrap().status(clock::now()).crl_number, Some(numbers));
    within("it ends", running.stop()).await;
}
