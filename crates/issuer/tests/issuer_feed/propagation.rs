//! How many gateways have it, and in how many milliseconds.

use crate::common::wait_until;
use crate::follower::Follower;
use crate::support::Issuer;
use crate::world::{Beside, acknowledge, bank, plan, plan_on_postgres, user};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A gateway that acknowledges whatever it hears until it is told to stop.
fn obey(issuer: &Issuer, gateway: &str, mut follower: Follower, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let message = follower.message();
        if !message.changes().is_empty() {
            assert_eq!(acknowledge(issuer, gateway, &message.feed(), &message.place()).0, 204);
        }
    }
}

#[test]
fn an_answer_says_that_every_connected_gateway_has_it_and_in_how_many_milliseconds() {
    let issuer = plan(&["g1", "g2"]).and("heartbeat = \"100ms\"\nwait = \"10s\"").start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for gateway in ["g1", "g2"] {
            let follower = Follower::open(&issuer, gateway, None);
            let (issuer, stop) = (&issuer, &stop);
            scope.spawn(move || obey(issuer, gateway, follower, stop));
        }
        for (sequence, act) in [(1, "suspend"), (2, "resume"), (3, "revoke")] {
            let begun = Instant::now();
            let done = bank.act(&person, act, "staff-desk").done();
            let propagation = &done["propagation"];
            let milliseconds = propagation["milliseconds"].as_u64().unwrap_or_else(|| panic!("{act}: {done}"));
            assert_eq!(
                *propagation,
                json!({ "sequence": sequence, "gateways": 2, "have": 2, "milliseconds": milliseconds })
            );
            assert!(u128::from(milliseconds) <= begun.elapsed().as_millis(), "{act}: {done}");
        }
        stop.store(true, Ordering::SeqCst);
    });
    let shown = issuer.service("reader").get(&format!("/v1/revocations/{}?authority=hkg", held.serial())).done();
    assert_eq!((shown["status"].as_str(), shown["reason"].as_str()), (Some("revoked"), Some("unspecified")));
    assert_eq!((shown["sequence"].as_u64(), shown["authority"].as_str()), (Some(3), Some("hkg")));
    assert_eq!(shown["serial"], held.serial());
    let propagation = &shown["propagation"];
    assert_eq!((&propagation["gateways"], &propagation["have"]), (&2.into(), &2.into()));
    let nodes = propagation["nodes"].as_array().unwrap();
    let names: Vec<_> = nodes.iter().map(|node| (node["name"].as_str(), node["acknowledged"].as_bool())).collect();
    assert_eq!(names, [(Some("g1"), Some(true)), (Some("g2"), Some(true))]);
    let slowest = nodes.iter().map(|node| node["milliseconds"].as_u64().unwrap()).max();
    assert_eq!(propagation["milliseconds"].as_u64(), slowest);
    assert!(nodes.iter().all(|node| node["seen"].as_str().is_some_and(|seen| seen.ends_with('Z'))), "{shown}");
    assert_eq!(issuer.metric("sekisho_issuer_feed_acknowledged_sequence{authority=\"hkg\",gateway=\"g2\"}"), 3.0);
    assert_eq!(issuer.metric("sekisho_issuer_feed_sequence"), 3.0);
    assert_eq!(issuer.metric("sekisho_issuer_feed_propagation_duration_seconds_count"), 3.0);
}

#[test]
fn a_gateway_that_does_not_say_so_costs_one_answer_its_wait_and_no_further_one() {
    let issuer = plan(&["g1"]).and("wait = \"2s\"").start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let wait = Duration::from_secs(2);
    let act = |act: &str| {
        let begun = Instant::now();
        (bank.act(&person, act, "staff-desk").done()["propagation"].clone(), begun.elapsed())
    };
    // Nobody is connected: nobody is waited for.
    let (propagation, took) = act("suspend");
    assert_eq!(propagation, json!({ "sequence": 1, "gateways": 0, "have": 0, "milliseconds": null }));
    assert!(took < wait, "{took:?}");
    let mut gateway = Follower::open(&issuer, "g1", None);
    let feed = gateway.message().feed();
    let (propagation, took) = act("resume");
    assert_eq!(propagation, json!({ "sequence": 2, "gateways": 1, "have": 0, "milliseconds": null }));
    assert!(took >= wait, "{took:?}");
    let (propagation, took) = act("suspend");
    assert_eq!(propagation, json!({ "sequence": 3, "gateways": 1, "have": 0, "milliseconds": null }));
    assert!(took < wait, "it was waited for again: {took:?}");
    let shown = || issuer.service("reader").get(&format!("/v1/revocations/{}", held.serial().to_uppercase())).done();
    let before = shown();
    assert_eq!((before["status"].as_str(), before["reason"].as_str()), (Some("held"), Some("certificateHold")));
    assert_eq!((&before["propagation"]["have"], &before["propagation"]["milliseconds"]), (&0.into(), &Value::Null));
    assert_eq!(before["propagation"]["nodes"][0]["acknowledged"], false);
    // What came too late is written down all the same, and from now on it is waited for.
    gateway.until("the third change", |message| message.to() == 3);
    assert_eq!(acknowledge(&issuer, "g1", &feed, &gateway.place()).0, 204);
    let after = shown();
    assert_eq!(after["propagation"]["have"], 1, "{after}");
    assert!(after["propagation"]["milliseconds"].is_u64(), "{after}");
    let (propagation, took) = act("resume");
    assert_eq!((&propagation["sequence"], &propagation["have"]), (&4.into(), &0.into()));
    assert!(took >= wait, "it was not waited for: {took:?}");
    // One that is gone counts, and is not waited for.
    gateway.until("the fourth change", |message| message.to() == 4);
    let fourth = gateway.place();
    drop(gateway);
    wait_until("it is gone", || issuer.metric("sekisho_issuer_feed_streams{gateway=\"g1\"}") == 0.0);
    assert_eq!(acknowledge(&issuer, "g1", &feed, &fourth).0, 204);
    let (propagation, took) = act("suspend");
    assert_eq!(propagation, json!({ "sequence": 5, "gateways": 1, "have": 0, "milliseconds": null }));
    assert!(took < wait, "{took:?}");
    let issuer = issuer.restart();
    let shown = issuer.service("reader").get(&format!("/v1/revocations/{}", held.serial())).done();
    assert_eq!((&shown["propagation"]["gateways"], &shown["propagation"]["have"]), (&1.into(), &0.into()), "{shown}");
}

#[test]
fn switching_a_contract_off_says_how_far_the_end_of_its_certificates_has_come() {
    let issuer = plan(&["g1"]).start();
    let bank = bank(&issuer);
    let (_, one) = user(&bank, "u1");
    let (_, two) = user(&bank, "u2");
    let done = bank.switch("H1", "off").done();
    assert_eq!(done["propagation"], json!({ "sequence": 2, "gateways": 0, "have": 0, "milliseconds": null }), "{done}");
    for held in [one, two] {
        assert_eq!(
            issuer.service("reader").get(&format!("/v1/revocations/{}", held.serial())).done()["status"],
            "revoked"
        );
    }
    assert!(issuer.service("reader").get("/v1/contracts/H1").done().get("propagation").is_none());
}

#[test]
fn a_certificate_whose_status_never_changed_is_not_found() {
    let issuer = plan(&["g1"]).start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let reader = issuer.service("reader");
    let path = format!("/v1/revocations/{}", held.serial());
    reader.get(&path).refused(404, "not-found");
    bank.act(&person, "revoke", "staff-desk").done();
    reader.get(&path).done();
    reader.get(&format!("{path}?authority=biz")).refused(404, "not-found");
    for (wrong, status, problem) in [
        ("/v1/revocations/xyz", 400, "bad-request"),
        ("/v1/revocations/012", 400, "bad-request"),
        ("/v1/revocations/", 404, "not-found"),
        (&*format!("{path}?authority=a&authority=b"), 400, "bad-request"),
        (&*format!("{path}?limit=1"), 400, "bad-request"),
    ] {
        reader.get(wrong).refused(status, problem);
    }
}

#[test]
fn acknowledgements_that_come_together_are_written_together() {
    const COUNT: u64 = 300;
    let (plan, url) = plan_on_postgres(&["g1"]);
    // However many come: they are not counted with a caller's other requests.
    let plan = plan.with("requests_per_second = 10000\nburst = 10000", "requests_per_second = 20\nburst = 20");
    let issuer = plan.start();
    let beside = Beside::open(&issuer.plan, &url);
    beside.revoke(0, COUNT, COUNT);
    let places: Vec<_> = (1..=COUNT).map(|to| beside.place(to)).collect();
    let feed = Follower::open(&issuer, "g1", Some(0)).message().feed();
    std::thread::scope(|scope| {
        for first in 1..=30 {
            let (issuer, feed, places) = (&issuer, &feed, &places);
            scope.spawn(move || {
                for place in places.iter().skip(first - 1).step_by(30) {
                    assert_eq!(acknowledge(issuer, "g1", feed, place).0, 204);
                }
            });
        }
    });
    let name = crate::postgres::name(&url);
    let counted = crate::postgres::sql(name, "SELECT count(*), count(DISTINCT xmin::text) FROM feed_acknowledgements");
    let (rows, transactions) = counted.split_once('|').unwrap();
    assert_eq!(rows, COUNT.to_string());
    let transactions: u64 = transactions.parse().unwrap();
    assert!(transactions < COUNT / 3, "{transactions} transactions for {COUNT} acknowledgements");
}
