//! Two issuers on one PostgreSQL: each tells everything, and either may die.

use crate::common::wait_until;
use crate::follower::Follower;
use crate::support::Issuer;
use crate::world::{Beside, acknowledge, bank, plan_on_postgres, serial, user};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn what_one_node_writes_the_other_tells_at_once() {
    let (plan, _) = plan_on_postgres(&["g1"]);
    // Neither would look by itself within a minute.
    let plan = plan.and("heartbeat = \"60s\"");
    let (one, other) = (plan.sibling().start(), plan.start());
    let bank = bank(&one);
    let (person, held) = user(&bank, "u1");
    let mut gateway = Follower::open(&other, "g1", None);
    let first = gateway.message();
    let mut alone = 0;
    for (sequence, act) in (1..=10).zip(["suspend", "resume"].into_iter().cycle()) {
        bank.act(&person, act, "staff-desk").done();
        let messages = gateway.until("the change", |message| message.to() == sequence);
        let told = messages.last().unwrap();
        assert_eq!(told.changes().len(), 1);
        assert!(held.serial().ends_with(told.changes()[0]["serial"].as_str().unwrap().trim_start_matches("00")));
        alone += usize::from(told.lists().is_empty());
    }
    // The node looks for lists to make by itself each second; were it not woken, each change would come with its list.
    assert!(alone >= 5, "{alone} of ten");
    // Both speak of one feed, with one key.
    assert_eq!(Follower::open(&one, "g1", Some(0)).message().feed(), first.feed());
}

#[test]
fn an_answer_waits_for_gateways_of_the_other_node_and_tells_how_long_they_took() {
    let (plan, _) = plan_on_postgres(&["g1"]);
    let plan = plan.and("wait = \"10s\"");
    let (one, other) = (plan.sibling().start(), plan.start());
    let bank = bank(&one);
    let (person, held) = user(&bank, "u1");
    let mut gateway = Follower::open(&other, "g1", None);
    let feed = gateway.message().feed();
    // The first node has heard of it once its answer is told of it.
    wait_until("the other node's gateway is counted", || {
        let metric = one.metric("sekisho_issuer_feed_acknowledged_sequence{authority=\"hkg\",gateway=\"g1\"}");
        acknowledge(&other, "g1", &feed, &(0, String::new())).0 == 204
            && one.admin_get("/metrics").1.contains("{authority=\"hkg\",gateway=\"g1\"}")
            && metric == 0.0
    });
    let done = std::thread::scope(|scope| {
        let done = scope.spawn(|| bank.act(&person, "revoke", "staff-desk").done());
        gateway.changes_up_to(1);
        assert_eq!(acknowledge(&other, "g1", &feed, &gateway.place()).0, 204);
        done.join().unwrap()
    });
    let propagation = &done["propagation"];
    assert_eq!((&propagation["gateways"], &propagation["have"]), (&1.into(), &1.into()), "{done}");
    assert!(propagation["milliseconds"].as_u64().unwrap() < 10_000, "{done}");
    // Either node says the same of it.
    for node in [&one, &other] {
        let shown = node.service("reader").get(&format!("/v1/revocations/{}", held.serial())).done();
        let nodes = shown["propagation"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 1, "{shown}");
        assert_eq!((nodes[0]["name"].as_str(), nodes[0]["acknowledged"].as_bool()), (Some("g1"), Some(true)));
        assert_eq!(nodes[0]["milliseconds"], shown["propagation"]["milliseconds"]);
        assert!(nodes[0]["milliseconds"].is_u64(), "{shown}");
    }
}

#[test]
fn a_thousand_acts_of_another_node_at_once_are_each_told_once_without_a_gap() {
    const COUNT: u64 = 1_000;
    let (plan, url) = plan_on_postgres(&["g1"]);
    let issuer = plan.start();
    bank(&issuer);
    let mut gateway = Follower::open(&issuer, "g1", None);
    let beside = Beside::open(&issuer.plan, &url);
    std::thread::scope(|scope| {
        scope.spawn(|| beside.revoke(0, COUNT, 1));
        let changes = gateway.changes_up_to(COUNT);
        let numbers: Vec<u64> = changes.iter().map(|(number, ..)| *number).collect();
        assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>());
        let serials: BTreeSet<String> = changes.into_iter().map(|(_, serial, ..)| serial).collect();
        assert_eq!(serials, (0..COUNT).map(|number| serial(number).to_string()).collect());
    });
}

#[test]
fn a_gateway_whose_node_is_killed_goes_on_at_the_other_and_misses_nothing() {
    const ACTS: usize = 60;
    let (plan, _) = plan_on_postgres(&["g1"]);
    let (one, other) = (plan.sibling().start(), plan.start());
    let bank_of_other = bank(&other);
    let (person, held) = user(&bank_of_other, "u1");
    let mut told = BTreeMap::new();
    let mut gateway = Follower::open(&one, "g1", None);
    let mut note = |message: &crate::follower::Message| {
        for change in message.changes() {
            let before =
                told.insert(change["sequence"].as_u64().unwrap(), change["status"].as_str().unwrap().to_owned());
            assert!(before.is_none(), "told twice: {change}");
        }
    };
    std::thread::scope(|scope| {
        // The acts go on at the other node while the first one dies.
        scope.spawn(|| {
            for number in 0..ACTS {
                let act = if number % 2 == 0 { "suspend" } else { "resume" };
                bank_of_other.act(&person, act, "staff-desk").done();
            }
            bank_of_other.act(&person, "revoke", "staff-desk").done();
        });
        let position = loop {
            let message = gateway.message();
            note(&message);
            if message.to() >= 10 {
                break message.to();
            }
        };
        one.kill();
        let mut gateway = Follower::open(&other, "g1", Some(position));
        loop {
            let message = gateway.message();
            note(&message);
            if message.to() > ACTS as u64 {
                break;
            }
        }
    });
    let numbers: Vec<u64> = told.keys().copied().collect();
    assert_eq!(numbers, (1..=ACTS as u64 + 1).collect::<Vec<_>>());
    assert_eq!(told.values().next_back().map(String::as_str), Some("revoked"));
    other.wait_for_list("hkg", &held.serial(), Some(0));
}

#[test]
fn every_list_of_an_announced_number_or_a_greater_one_has_what_it_is_announced_to_have() {
    let (plan, url) = plan_on_postgres(&["g1"]);
    let (one, other) = (plan.sibling().start(), plan.start());
    bank(&one);
    let mut gateway = Follower::open(&one, "g1", None);
    let beside = Beside::open(&one.plan, &url);
    let mut sequence = 0;
    let mut checked = 0;
    let (rounds, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    // As long as it takes on a fast machine until there were some lists, and not for ever.
    let goes_on = |round: &u64| *round < 40 || (*round < 400 && !enough.load(Ordering::SeqCst));
    std::thread::scope(|scope| {
        let acts = scope.spawn(|| {
            (0..).take_while(&goes_on).for_each(|round| {
                beside.revoke(round * 5, 5, 1);
                rounds.fetch_add(1, Ordering::SeqCst);
            });
        });
        // While lists are made by both nodes.
        while !acts.is_finished() || sequence < rounds.load(Ordering::SeqCst) * 5 {
            enough.store(checked > 10, Ordering::SeqCst);
            let message = gateway.message();
            sequence = message.to();
            let Some(list) = message.lists().first() else { continue };
            let (number, to) = (list["number"].as_str().unwrap().parse::<u64>().unwrap(), list["to"].as_u64().unwrap());
            for node in [&one, &other] {
                let (_, der) = node.public_get("/crl/hkg/0.crl");
                let published = sekisho_pki::crl::CertificateList::parse(&der).unwrap();
                if published.header().number.is_none_or(|of| of < sekisho_pki::crl::CrlNumber::from(number)) {
                    continue;
                }
                // Each act is one revocation, and there are no others: so many entries at least.
                let entries = published.entries().count() as u64;
                assert!(entries >= to, "list {number} is announced to have {to} and has {entries}");
                checked += 1;
            }
        }
    });
    assert!(checked > 3, "hardly a list was looked at: {checked}");
}

#[test]
fn a_store_that_went_back_under_running_issuers_ends_them_and_nothing_is_told_of_it() {
    let (plan, url) = plan_on_postgres(&["g1"]);
    let mut issuer = plan.start();
    let bank = bank(&issuer);
    let (first, _) = user(&bank, "u1");
    let (second, held) = user(&bank, "u2");
    let list_number = |issuer: &Issuer| issuer.metric("sekisho_issuer_crl_number{authority=\"hkg\",partition=\"0\"}");
    let mut gateway = Follower::open(&issuer, "g1", None);
    bank.act(&first, "revoke", "staff-desk").done();
    let published = list_number(&issuer);
    bank.act(&second, "revoke", "staff-desk").done();
    gateway.changes_up_to(2);
    let told = gateway.place();
    // As on a standby that takes over and did not have the last change yet.
    let name = crate::postgres::name(&url);
    crate::postgres::sql(name, "DELETE FROM statuses WHERE sequence = 2; UPDATE head SET status = 1 WHERE id = 1");
    assert!(!issuer.wait_for_end().success());
    assert!(issuer.output().contains("the store is not the one that was read before"), "{}", issuer.output());
    gateway.until_its_end();
    let plan = issuer.plan_of_ended();
    let (status, said) = plan.refused();
    let why = "hkg-0.crl: the store lacks what was published there: 1 revocations, 0 holds";
    assert!(!status.success() && said.contains(why), "{said}");
    // Its lists are lost too: nothing at the issuer tells of it.
    std::fs::remove_file(plan.path("lists/hkg-0.crl")).unwrap();
    let issuer = plan.start();
    assert!(list_number(&issuer) > published, "numbers of lists never come again");
    let feed = Follower::open(&issuer, "g1", Some(1)).message().feed();
    // Something else has come to the number that the gateway was told of.
    Beside::open(&issuer.plan, &url).revoke(0, 1, 1);
    let mut anew = Follower::open(&issuer, "g1", Some(1));
    anew.changes_up_to(2);
    assert_ne!(anew.place(), told);
    let (status, problem) = acknowledge(&issuer, "g1", &feed, &told);
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:sekisho:problem:feed-ahead")), "{problem}");
    assert_eq!(acknowledge(&issuer, "g1", &feed, &anew.place()).0, 204);
    drop(held);
}

#[test]
fn a_node_that_lacks_an_authority_of_another_node_tells_nothing_of_what_it_cannot_name() {
    let (plan, url) = plan_on_postgres(&["g1"]);
    let issuer = plan.and("heartbeat = \"100ms\"").start();
    bank(&issuer);
    let mut gateway = Follower::open(&issuer, "g1", None);
    gateway.message();
    Beside::open(&issuer.plan, &url).revoke_of("new", 1);
    issuer.record("what is lacking", |record| {
        record["error"].as_str().is_some_and(|error| error.contains("of authority new has changed"))
    });
    let (status, why) = issuer.admin_get("/readyz");
    assert!(status == 503 && why.contains("of authority new has changed"), "{status} {why}");
    // Whatever had been told before the change came, nothing goes beyond it.
    while !gateway.is_silent_for(Duration::from_secs(1)) {
        assert_eq!(gateway.message().to(), 0);
    }
}
