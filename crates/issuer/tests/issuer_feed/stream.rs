//! What a gateway hears: every change once, in order, from wherever it begins.

use crate::common::wait_until;
use crate::follower::Follower;
use crate::support::{Issuer, Person};
use crate::world::{bank, plan, user};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[test]
fn a_revocation_is_told_to_a_gateway_that_follows_before_the_next_heartbeat() {
    let issuer = plan(&["g1"]).and("heartbeat = \"60s\"").start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let mut gateway = Follower::open(&issuer, "g1", None);
    let first = gateway.message();
    assert_eq!((first.from(), first.to(), first.changes().len()), (0, 0, 0));
    let begun = Instant::now();
    let done = bank.act(&person, "revoke", "staff-desk").done();
    assert_eq!(done["propagation"]["sequence"], 1, "{done}");
    let changes = gateway.changes_up_to(1);
    // Nothing but the commit woke it: the next heartbeat is a minute away.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(changes, [(1, held.serial(), "revoked".to_owned(), "unspecified".to_owned())]);
}

#[test]
fn a_change_is_told_before_any_list_has_it() {
    let issuer = plan(&["g1"]).and("heartbeat = \"60s\"").start();
    let bank = bank(&issuer);
    let (person, _) = user(&bank, "u1");
    let mut gateway = Follower::open(&issuer, "g1", None);
    gateway.message();
    let mut alone = 0;
    for (sequence, act) in (1..=10).zip(["suspend", "resume"].into_iter().cycle()) {
        bank.act(&person, act, "staff-desk").done();
        let messages = gateway.until("the change", |message| message.to() == sequence);
        alone += usize::from(messages.last().is_some_and(|message| message.lists().is_empty()));
    }
    // On a busy machine a list may overtake one or another; were lists what wakes the feed, they would overtake all.
    assert!(alone >= 5, "{alone} of ten");
}

#[test]
fn a_suspended_user_is_held_and_released_and_a_revocation_of_them_is_for_ever() {
    let issuer = plan(&["g1"]).start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let mut gateway = Follower::open(&issuer, "g1", None);
    for act in ["suspend", "resume", "suspend", "revoke"] {
        bank.act(&person, act, "staff-desk").done();
    }
    let told: Vec<_> = gateway
        .changes_up_to(4)
        .into_iter()
        .map(|(number, serial, status, reason)| {
            assert_eq!(serial, held.serial());
            (number, status, reason)
        })
        .collect();
    let change = |number, status: &str, reason: &str| (number, status.to_owned(), reason.to_owned());
    assert_eq!(
        told,
        [
            change(1, "held", "certificateHold"),
            change(2, "released", "removeFromCRL"),
            change(3, "held", "certificateHold"),
            change(4, "revoked", "unspecified"),
        ]
    );
}

#[test]
fn a_thousand_changes_at_once_are_each_told_once_without_a_gap() {
    const PEOPLE: usize = 10;
    const TURNS: u64 = 50;
    let issuer = plan(&["g1", "g2"]).start();
    let bank = bank(&issuer);
    let people: Vec<(Person, String)> = (0..PEOPLE)
        .map(|number| {
            let (person, held) = user(&bank, &format!("u{number}"));
            (person, held.serial())
        })
        .collect();
    let mut follower = Follower::open(&issuer, "g1", None);
    let last = 2 * TURNS * PEOPLE as u64;
    let changes = std::thread::scope(|scope| {
        for (person, _) in &people {
            let bank = &bank;
            scope.spawn(move || {
                for _ in 0..TURNS {
                    bank.act(person, "suspend", "staff-desk").done();
                    bank.act(person, "resume", "staff-desk").done();
                }
            });
        }
        // One that comes in the middle of it, and one that was there before.
        follower.until("half of them", |message| message.to() >= last / 2);
        let mut late = Follower::open(&issuer, "g2", Some(0));
        let whole = late.changes_up_to(last);
        follower.until("all of them", |message| message.to() >= last);
        whole
    });
    let numbers: Vec<u64> = changes.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    // Of each certificate its own story, in its order.
    let mut stories: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    changes.iter().for_each(|(_, serial, status, _)| stories.entry(serial).or_default().push(status));
    assert_eq!(stories.len(), PEOPLE);
    for (_, serial) in &people {
        let story = &stories[serial.as_str()];
        assert_eq!(*story, ["held", "released"].repeat(usize::try_from(TURNS).unwrap()));
    }
}

#[test]
fn a_gateway_that_comes_again_with_its_last_number_gets_what_it_missed_and_no_more() {
    let issuer = plan(&["g1"]).start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let mut gateway = Follower::open(&issuer, "g1", None);
    bank.act(&person, "suspend", "staff-desk").done();
    gateway.changes_up_to(1);
    drop(gateway);
    bank.act(&person, "resume", "staff-desk").done();
    bank.act(&person, "revoke", "staff-desk").done();
    let issuer = issuer.restart();
    let mut gateway = Follower::open(&issuer, "g1", Some(1));
    let first = gateway.message();
    assert_eq!((first.from(), first.to(), first.changes().len()), (1, 3, 2), "{first:?}");
    assert_eq!(first.lists().len(), 1, "the first message has all lists");
    // Of the very last one there is nothing to tell, but it is told at once that it is up to date.
    let mut again = Follower::open(&issuer, "g1", Some(3));
    let first = again.message();
    assert_eq!((first.from(), first.to(), first.changes().len(), first.lists().len()), (3, 3, 0, 1));
    issuer.wait_for_list("hkg", &held.serial(), Some(0));
}

#[test]
fn without_a_number_a_stream_begins_where_the_published_list_leaves_off() {
    let issuer = plan(&["g1"]).start();
    let bank = bank(&issuer);
    let (one, held) = user(&bank, "u1");
    let mut follower = Follower::open(&issuer, "g1", None);
    let number = |list: &serde_json::Value| list["number"].as_str().unwrap().parse::<u64>().unwrap();
    let before = number(&follower.message().lists()[0]);
    bank.act(&one, "revoke", "staff-desk").done();
    // The list that has it is announced when it is out, and it has it.
    let messages = follower.until("a list", |message| message.lists().iter().any(|list| list["to"] == 1));
    let list = &messages.last().unwrap().lists()[0];
    assert!(number(list) > before, "{list}");
    assert_eq!((&list["part"], &list["parts"], &list["point"]), (&0.into(), &1.into(), &serde_json::Value::Null));
    assert!(issuer.list("hkg").iter().any(|(serial, _)| *serial == held.serial()));
    let issuer_key = list["issuer"].as_str().unwrap();
    let pem = std::fs::read(issuer.plan.path("ca/hkg/issuing.pem")).unwrap();
    let authority = sekisho_pki::certificate::Certificate::parse(&sekisho_pki::pem::certificates(&pem).unwrap()[0]);
    let key: String =
        authority.unwrap().authority_key().as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(issuer_key, key);
    let mut fresh = Follower::open(&issuer, "g1", None);
    let first = fresh.message();
    assert_eq!((first.from(), first.to(), first.changes().len()), (1, 1, 0), "{first:?}");
    // After a restart as before: the lists of then and now say it.
    let issuer = issuer.restart();
    let first = Follower::open(&issuer, "g1", None).message();
    assert_eq!((first.from(), first.to(), first.changes().len()), (1, 1, 0), "{first:?}");
    assert_eq!(number(&first.lists()[0]), number(list), "a list that says nothing new is not waited for");
}

#[test]
fn an_authoritys_parts_are_each_told_with_their_point() {
    let plan = plan(&["g1"]).with(
        "crl_url = \"http://pki.example.jp/crl/hkg/0.crl\"",
        "crl_url = \"http://pki.example.jp/crl/hkg/{part}.crl\"\nparts = 4",
    );
    let issuer = plan.start();
    let first = Follower::open(&issuer, "g1", None).message();
    let points: Vec<_> = first
        .lists()
        .iter()
        .map(|list| (list["part"].as_u64(), list["parts"].as_u64(), list["point"].as_str().unwrap().to_owned()))
        .collect();
    let expected: Vec<_> =
        (0..4).map(|part| (Some(part), Some(4), format!("http://pki.example.jp/crl/hkg/{part}.crl"))).collect();
    assert_eq!(points, expected);
}

#[test]
fn heartbeats_say_that_there_is_nothing_and_outlast_every_time_limit_of_requests() {
    let plan = plan(&["g1"]).and("heartbeat = \"200ms\"").with("[limits]", "[limits]\nrequest_timeout = \"1s\"");
    let issuer = plan.start();
    let mut gateway = Follower::open(&issuer, "g1", None);
    let first = gateway.message();
    let begun = Instant::now();
    let mut last = first.at();
    while begun.elapsed() < Duration::from_secs(3) {
        let beat = gateway.message();
        assert_eq!((beat.from(), beat.to(), beat.changes().len(), beat.lists().len()), (0, 0, 0, 0));
        assert!(beat.at() >= last);
        last = beat.at();
    }
    assert!(last - first.at() >= 2_000, "their time goes on");
    assert!(gateway.head.contains("cache-control: no-store\r\n"), "{}", gateway.head);
}

#[test]
fn a_gateway_over_http_2_hears_the_same() {
    let issuer: Issuer = plan(&["g1"]).and("heartbeat = \"100ms\"").start();
    let service = issuer.plan.pki.service_named("g1");
    issuer.plan.write("g1.pem", &service.certificate);
    issuer.plan.write("g1.key", &service.key);
    let address = issuer.address("api");
    let output = std::process::Command::new("curl")
        .current_dir(issuer.plan.path("."))
        .args(["-sS", "-N", "--http2", "--max-time", "2", "-o", "events", "-w", "%{http_version} %{http_code}"])
        .args(["--cert", "g1.pem", "--key", "g1.key", "--cacert", "services-ca.pem"])
        .args(["--resolve", &format!("issuer.localhost:{}:127.0.0.1", address.port())])
        .arg(format!("https://issuer.localhost:{}/v1/feed?after=0", address.port()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(28), "it was still going on: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 200");
    let events = std::fs::read_to_string(issuer.plan.path("events")).unwrap();
    assert!(events.matches("event: revocations\ndata: ey").count() > 5, "{events}");
    wait_until("the stream is gone", || issuer.metric("sekisho_issuer_feed_streams{gateway=\"g1\"}") == 0.0);
}
