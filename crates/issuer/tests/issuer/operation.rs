//! The issuer as operators see it: readiness, metrics, records, stopping.

use crate::common::{promtool_finds_no_fault_in, wait_until};
use crate::support::{Issuer, Plan};
use serde_json::json;
use std::collections::BTreeSet;

#[test]
fn an_issuer_is_ready_with_its_lists_published() {
    let issuer = Issuer::of(&["bizstation", "shinkin"]);
    assert_eq!(issuer.admin_get("/livez"), (200, "alive\n".to_owned()));
    assert_eq!(issuer.admin_get("/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(issuer.admin_get("/").0, 404);
    assert_eq!((issuer.list("biz"), issuer.list("shk")), (Vec::new(), Vec::new()));
    for file in ["lists/biz-0.crl", "lists/shk-0.crl"] {
        assert!(issuer.plan.path(file).exists(), "{file}");
    }
    assert!(issuer.metric("sekisho_issuer_crl_number{authority=\"biz\",partition=\"0\"}") >= 1.0);
}

#[test]
fn the_numbers_of_lists_grow_over_restarts() {
    let number = |issuer: &Issuer| issuer.metric("sekisho_issuer_crl_number{authority=\"biz\",partition=\"0\"}");
    let issuer = Issuer::of(&["bizstation"]);
    let first = number(&issuer);
    let issuer = issuer.restart();
    let second = number(&issuer);
    assert!(second > first, "{second} after {first}");
    let issuer = issuer.kill().start();
    let third = number(&issuer);
    assert!(third > second);
    // A backup is put back: nothing is published before the store knows the numbers that were, and those go on counting.
    let (_, plan) = issuer.stop();
    let backup = std::fs::read(plan.path("issuer.db")).unwrap();
    let mut issuer = plan.start();
    for _ in 0..3 {
        issuer = issuer.restart();
    }
    let last = number(&issuer);
    assert!(last > third);
    let (_, plan) = issuer.stop();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(plan.path(&format!("issuer.db{suffix}")));
    }
    std::fs::write(plan.path("issuer.db"), backup).unwrap();
    assert!(plan.refused().1.contains("is greater than any of the store's"));
    assert!(plan.store_command(&["reconcile"]).0.success());
    assert!(number(&plan.start()) > last, "a number came twice");
}

#[test]
fn acts_transactions_requests_and_answers_are_counted() {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let (person, _) = bank.register("C1", "u1", "user");
    person.act(None, &person, "offer", &[]).problem();
    for (line, least) in [
        ("sekisho_issuer_acts_total{command=\"open\",result=\"done\"}", 1.0),
        ("sekisho_issuer_acts_total{command=\"register\",result=\"done\"}", 1.0),
        ("sekisho_issuer_store_transactions_total{result=\"committed\"}", 3.0),
        ("sekisho_issuer_store_transaction_duration_seconds_count", 3.0),
        ("sekisho_issuer_requests_total{listener=\"api\",route=\"/v1/contracts\",status=\"201\"}", 1.0),
        ("sekisho_issuer_request_duration_seconds_count{listener=\"api\"}", 4.0),
    ] {
        assert!(issuer.metric(line) >= least, "{line} in\n{}", issuer.admin_get("/metrics").1);
    }
    issuer.public_get("/ocsp/biz/AAAA");
    issuer.public_get("/no/such/thing");
    let (_, metrics) = issuer.admin_get("/metrics");
    assert!(metrics.contains("sekisho_issuer_ocsp_responses_total{method=\"GET\""), "{metrics}");
    assert!(!metrics.contains("no/such/thing"), "a path of a client's own became a label");
    assert!(!metrics.contains("C1"), "a contract became a label");
}

#[test]
fn every_metric_of_the_reference_is_there_and_no_other() {
    let issuer = Plan::new(&["bizstation"]).with_feed(&["g1"]).start();
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let (person, _) = bank.register("C1", "u1", "user");
    // A stream that begins and ends.
    assert_eq!(issuer.service("g1").send(reqwest::Method::HEAD, "/v1/feed", &[], None).status, 200);
    wait_until("it has ended", || issuer.metric("sekisho_issuer_feed_stream_ends_total{reason=\"left\"}") == 1.0);
    person.try_acquire(Some("0000000000000000"), &["login-password"], &crate::support::NewKey::new()).problem();
    issuer.public_get("/ocsp/biz/AAAA");
    let (_, text) = issuer.admin_get("/metrics");
    let shown: BTreeSet<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let declarations = sekisho_issuer::metric_declarations();
    let declared = declarations.iter().map(|declaration| (declaration.name, declaration.kind.as_str()));
    // No gateway has acknowledged anything.
    let without_value = ("sekisho_issuer_feed_acknowledged_sequence", "gauge");
    let declared: BTreeSet<_> = declared.filter(|declared| *declared != without_value).collect();
    assert_eq!(shown, declared);
    promtool_finds_no_fault_in(&text);
    let not_after = issuer.metric("sekisho_certificate_not_after_timestamp_seconds{name=\"biz\",use=\"ca\"}");
    assert!(not_after > sekisho_runtime::clock::now().unix() as f64, "{not_after}");
    let version = format!("sekisho_issuer_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(issuer.metric(&version), 1.0);
}

#[test]
fn every_request_has_a_record_with_its_reference_and_nothing_of_its_body() {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let answer = bank.ib.get("/v1/contracts/C1?limit=hunter2");
    let reference = answer.header("sekisho-reference").unwrap().to_owned();
    let record =
        issuer.record("the request", |record| record["kind"] == "request" && record["reference"] == reference.as_str());
    assert_eq!(record["method"], "GET");
    assert_eq!((record["listener"].as_str(), record["path"].as_str()), (Some("api"), Some("/v1/contracts/C1")));
    assert_eq!(record["status"], answer.status);
    assert!(!issuer.output().contains("hunter2"));
}

#[test]
fn nothing_secret_is_in_the_logs() {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let (person, registered) = bank.register("C1", "u1", "service-manager");
    let secret = registered["acquisition_password"].as_str().unwrap().to_owned();
    // Wrong ones, right ones, malformed ones.
    person
        .act_with(None, &person, "acquire", json!({ "acquisition_password": "9999888877776666", "key": 3 }))
        .problem();
    person.try_acquire(Some("1111222233334444"), &["login-password"], &crate::support::NewKey::new()).problem();
    let (_, p12) = person.acquire_p12(Some(&secret), &["login-password"], "p12-Passw0rd");
    assert!(!p12.is_empty());
    let (status, plan) = {
        let output = issuer.output();
        let hidden = crate::support::SECRETS.iter().copied().chain([
            secret.as_str(),
            "p12-Passw0rd",
            "1111222233334444",
            "9999888877776666",
            "correct horse",
            "AAECAwQFBgcICQoL",
            "PRIVATE KEY",
        ]);
        for text in hidden {
            assert!(!output.contains(text), "{text:?} is in the log:\n{output}");
        }
        issuer.stop()
    };
    assert!(status.success());
    let database = std::fs::read(plan.path("issuer.db")).unwrap();
    let holds = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("u1") && holds("C1"), "the database is where it was looked for");
    for text in crate::support::SECRETS.iter().copied().chain([secret.as_str()]) {
        assert!(!holds(text), "{text:?} is in the database");
    }
}

#[test]
fn a_stop_lets_the_request_under_way_finish_and_refuses_new_ones() {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let clients: Vec<_> = (0..4).map(|_| issuer.service("desk")).collect();
    // Each user, and the status of the answer that told of them; none where there was no answer.
    let outcomes: Vec<Vec<(String, Option<u16>)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(thread, client)| scope.spawn(move || register_until_it_stops(client, thread)))
            .collect();
        wait_until("some were registered", || {
            issuer.metric("sekisho_issuer_acts_total{command=\"register\",result=\"done\"}") > 8.0
        });
        issuer.terminate();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut issuer = issuer;
    assert!(issuer.wait_for_end().success(), "{}", issuer.output());
    assert!(issuer.output().contains("\"stopped\""), "it drained");
    let issuer = issuer.plan_of_ended().start();
    let bank = issuer.bank();
    for (user, told) in outcomes.into_iter().flatten() {
        let is_there = bank.ib.get(&format!("/v1/contracts/C1/users/{user}")).status == 200;
        match told {
            Some(status) => assert_eq!((status, is_there), (201, true), "{user}"),
            None => assert!(!is_there, "{user} was registered by a request that got no answer"),
        }
    }
}

/// Registers one user after the other, until there is no answer.
fn register_until_it_stops(client: &crate::support::Client, thread: usize) -> Vec<(String, Option<u16>)> {
    let mut told = Vec::new();
    for number in 0.. {
        let user = format!("t{thread}n{number}");
        let body = json!({ "id": user, "role": "user", "staff": crate::support::staff("paper-form") });
        let headers = [("idempotency-key", user.as_str())];
        let body = Some(body.to_string().into_bytes());
        let answer = client.try_send(reqwest::Method::POST, "/v1/contracts/C1/users", &headers, body);
        let status = answer.ok().map(|answer| answer.status);
        told.push((user, status));
        if status != Some(201) {
            break;
        }
    }
    told
}

#[test]
fn a_full_stop_and_start_keeps_everything() {
    let issuer = Issuer::of(&["bizstation"]);
    issuer.bank().open("bizstation", "C1");
    let issuer = issuer.restart();
    assert_eq!(issuer.bank().ib.get("/v1/contracts/C1").done()["profile"], "bizstation");
}

#[test]
fn the_openapi_document_is_printed_and_is_the_one_that_is_served() {
    let output =
        std::process::Command::new(crate::common::issuer_binary()).args(["serve", "--openapi"]).output().unwrap();
    assert!(output.status.success());
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(printed["openapi"].as_str().unwrap().starts_with("3.1"));
    let issuer = Issuer::of(&["bizstation"]);
    assert_eq!(issuer.service("reader").get("/v1/openapi.json").done(), printed);
}
