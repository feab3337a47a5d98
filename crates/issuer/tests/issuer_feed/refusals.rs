//! Who may not follow, and from where nobody can.

use crate::common::wait_until;
use crate::follower::Follower;
use crate::support::Issuer;
use crate::world::{acknowledge, bank, plan, plan_on_postgres, user};
use serde_json::json;

#[test]
fn only_a_service_with_the_right_follows_and_acknowledges_and_it_may_do_nothing_else() {
    let issuer = plan(&["g1"]).start();
    let body = json!({ "feed": "x", "to": 0, "mark": "" });
    issuer.client(None).get("/v1/feed").refused(401, "not-authenticated");
    let stranger = issuer.plan.pki.service("stranger", &["feed"]);
    let stranger = issuer.client(Some((&stranger.certificate, &stranger.key)));
    stranger.get("/v1/feed").refused(401, "not-authenticated");
    stranger.post("/v1/feed/acknowledgements", &body).refused(401, "not-authenticated");
    for service in ["ib", "desk", "reader"] {
        issuer.service(service).get("/v1/feed").refused(403, "not-permitted");
        issuer.service(service).post("/v1/feed/acknowledgements", &body).refused(403, "not-permitted");
    }
    let gateway = issuer.service("g1");
    gateway.get("/v1/contracts").refused(403, "not-permitted");
    gateway.get("/v1/revocations/0123").refused(403, "not-permitted");
    let open = json!({ "id": "C9", "profile": "hokugin", "one_time_password": "used", "staff": crate::support::staff("paper-form") });
    gateway.post("/v1/contracts", &open).refused(403, "not-permitted");
    // And a user, by the gateway's assertion about their certificate.
    let bank = bank(&issuer);
    let (_, held) = user(&bank, "u1");
    let user = issuer.client(None).with_certificate(&held.fingerprint(), &issuer.plan.gateway);
    user.get("/v1/feed").refused(403, "not-permitted");
    user.get("/v1/revocations/0123").refused(403, "not-permitted");
}

#[test]
fn an_issuer_without_a_feed_has_none_for_anybody() {
    let issuer = Issuer::of(&["hokugin"]);
    issuer.service("reader").get("/v1/feed").refused(403, "not-permitted");
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let done = bank.act(&person, "revoke", "staff-desk").done();
    assert!(done.get("propagation").is_none(), "{done}");
    let shown = issuer.service("reader").get(&format!("/v1/revocations/{}", held.serial())).done();
    assert_eq!((shown["status"].as_str(), &shown["propagation"]), (Some("revoked"), &serde_json::Value::Null));
}

#[test]
fn a_place_that_is_none_is_refused() {
    let issuer = plan(&["g1"]).start();
    let gateway = issuer.service("g1");
    for query in
        ["after=", "after=-1", "after=x", "after=1.0", "after=99999999999999999999", "after=0&after=0", "from=0"]
    {
        gateway.get(&format!("/v1/feed?{query}")).refused(400, "bad-request");
    }
    // Beyond what there is: another store, or this one restored from a backup.
    for after in [1, 2, u64::from(u32::MAX), 9_007_199_254_740_991, u64::MAX] {
        gateway.get(&format!("/v1/feed?after={after}")).refused(409, "feed-ahead");
    }
    for method in [reqwest::Method::POST, reqwest::Method::PUT, reqwest::Method::DELETE] {
        assert_eq!(gateway.send(method, "/v1/feed", &[], None).status, 405);
    }
}

#[test]
fn an_acknowledgement_of_what_was_not_told_is_refused() {
    let issuer = plan(&["g1"]).start();
    let feed = Follower::open(&issuer, "g1", None).message().feed();
    assert_eq!(feed.len(), 32);
    let kind = |(status, problem): (u16, serde_json::Value)| (status, problem["type"].as_str().map(str::to_owned));
    let problem = |name: &str| Some(format!("urn:sekisho:problem:{name}"));
    assert_eq!(kind(acknowledge(&issuer, "g1", &feed, &(1, "0".repeat(16)))), (409, problem("feed-ahead")));
    assert_eq!(kind(acknowledge(&issuer, "g1", &feed, &(u64::MAX, "0".repeat(16)))), (409, problem("feed-ahead")));
    assert_eq!(kind(acknowledge(&issuer, "g1", "another", &(0, String::new()))), (400, problem("bad-request")));
    assert_eq!(kind(acknowledge(&issuer, "g1", &feed, &(0, String::new()))), (204, None));
    let gateway = issuer.service("g1");
    let path = "/v1/feed/acknowledgements";
    for body in [
        json!({}),
        json!({ "feed": feed }),
        json!({ "feed": feed, "to": 0 }),
        json!({ "feed": feed, "to": -1, "mark": "" }),
        json!({ "feed": feed, "to": 0, "mark": "", "more": 1 }),
    ] {
        gateway.post(path, &body).refused(400, "bad-request");
    }
    let send = |kind: &str, body: &str| {
        gateway.send(reqwest::Method::POST, path, &[("content-type", kind)], Some(body.into()))
    };
    assert_eq!(send("text/plain", "{}").status, 415);
    gateway.post(&format!("{path}?x=1"), &json!({ "feed": feed, "to": 0, "mark": "" })).refused(400, "bad-request");
    gateway.post(path, &json!({ "feed": "x".repeat(100_000), "to": 0 })).refused(413, "payload-too-large");
}

#[test]
fn while_the_store_is_away_nothing_is_said_and_nobody_is_let_in_until_it_is_back() {
    let (plan, url) = plan_on_postgres(&["g1"]);
    let issuer = plan.and("heartbeat = \"100ms\"").start();
    let bank = bank(&issuer);
    let (person, _) = user(&bank, "u1");
    let mut gateway = Follower::open(&issuer, "g1", None);
    gateway.message();
    let name = crate::postgres::name(&url);
    crate::postgres::sql(
        "postgres",
        &format!(
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ),
    );
    wait_until("nobody is let in", || {
        let answer = issuer.service("g1").get("/v1/feed");
        answer.status == 503 && answer.problem() == "unavailable"
    });
    // What was made before is read; then there is silence, however often a heartbeat would be due.
    wait_until("silence", || gateway.is_silent_for(std::time::Duration::from_secs(1)) || gateway.next().is_none());
    crate::postgres::sql("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    gateway.message();
    wait_until("the store takes acts again", || bank.act(&person, "suspend", "staff-desk").status == 200);
    gateway.changes_up_to(1);
    Follower::open(&issuer, "g1", Some(1)).message();
}
