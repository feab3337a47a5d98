//! Who may call, and as whom.

use crate::support::{Bank, Held, Issuer, Person, staff};
use reqwest::Method;
use serde_json::{Value, json};

/// BizSTATION's contract C1 with a service manager who holds a certificate, and a user who does not.
fn bizstation() -> (Issuer, Bank, Person, Held, Person) {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let (manager, registered) = bank.register("C1", "boss", "service-manager");
    let held = manager.acquire(registered["acquisition_password"].as_str(), &["login-password"]);
    let (user, _) = bank.register("C1", "u1", "user");
    (issuer, bank, manager, held, user)
}

#[test]
fn nobody_is_believed_without_a_certificate_or_an_assertion_that_is_signed() {
    let (issuer, _, _, held, _) = bizstation();
    let stranger = issuer.client(None);
    for (method, path) in [
        (Method::GET, "/v1/openapi.json"),
        (Method::GET, "/v1/contracts"),
        (Method::GET, "/v1/contracts/C1/users/boss/certificate"),
        (Method::POST, "/v1/contracts/C1/users/boss/revoke"),
        (Method::PUT, "/v1/contracts/C1/credentials"),
        (Method::GET, "/no/such/thing"),
    ] {
        let answer = stranger.send(method, path, &[], None);
        answer.refused(401, "not-authenticated");
        assert!(answer.header("www-authenticate").is_some(), "{answer}");
    }
    // What the gateway would have put there, and did not sign.
    let fingerprint: String = held.fingerprint().iter().map(|octet| format!("{octet:02x}")).collect();
    for (name, value) in [
        ("x-sekisho-contract-id", "C1"),
        ("x-sekisho-fingerprint", &*fingerprint),
        ("x-sekisho-assertion", "e30.e30.AAAA"),
        ("x-sekisho-assertion", ""),
        ("authorization", "Bearer x"),
    ] {
        let answer = stranger.send(Method::GET, "/v1/contracts/C1", &[(name, value)], None);
        answer.refused(401, "not-authenticated");
    }
}

#[test]
fn each_service_has_its_rights_and_no_others() {
    let (issuer, bank, manager, held, user) = bizstation();
    let reader = issuer.service("reader");
    reader.get("/v1/contracts/C1").done();
    let by_staff = json!({ "staff": staff("paper-form") });
    reader.post(&user.path("reissue"), &by_staff).refused(403, "not-permitted");
    bank.ib.post(&user.path("reissue"), &by_staff).refused(403, "not-permitted");
    let by_user = manager.body(&["execution-password"], json!({}));
    let desk = bank.desk.handing_on(&held.fingerprint(), &issuer.plan.gateway);
    desk.post(&user.path("reissue"), &by_user).refused(403, "not-permitted");
    manager.act(Some(&held), &user, "reissue", &["execution-password"]).done();
}

#[test]
fn a_user_acts_as_themselves_and_says_nothing_about_who_they_are() {
    let (issuer, _, manager, held, user) = bizstation();
    let as_user = issuer.client(None).with_certificate(&held.fingerprint(), &issuer.plan.gateway);
    let own = as_user.get("/v1/contracts/C1/users/boss").done();
    assert_eq!((own["user"].as_str(), own["state"].as_str()), (Some("boss"), Some("issued")));
    let factors = manager.factors(&["execution-password"]);
    for (more, field) in [
        (json!({ "acting_user": { "contract": "C1", "user": "u1" } }), "acting_user"),
        (json!({ "acting_user": { "contract": "C1", "user": "boss" } }), "acting_user"),
        (json!({ "staff": staff("paper-form") }), "staff"),
        (json!({ "client_address": "192.0.2.1" }), "client_address"),
    ] {
        let mut body = json!({ "factors": factors });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = as_user.post(&user.path("reissue"), &body);
        answer.refused(400, "bad-request");
        assert_eq!(answer.json()["field"], field);
    }
    let handing_on = as_user.handing_on(&held.fingerprint(), &issuer.plan.gateway);
    handing_on.post(&user.path("reissue"), &json!({ "factors": factors })).refused(400, "bad-request");
    let done = as_user.post(&user.path("reissue"), &json!({ "factors": factors })).done();
    assert_eq!(done["acquisition_password"].as_str().unwrap().len(), 16);
    assert_eq!(done["deliver"], "operator-screen");
}

#[test]
fn a_service_says_exactly_one_of_the_user_and_the_staff_who_act() {
    let (issuer, bank, manager, held, user) = bizstation();
    let acting = json!({ "contract": "C1", "user": "boss" });
    let one_person = json!({ "maker": "t1", "checker": "t1", "channel": "paper-form" });
    for (body, field) in [
        (json!({}), "acting_user"),
        (json!({ "acting_user": acting, "staff": staff("paper-form") }), "staff"),
        (json!({ "staff": one_person }), "staff.checker"),
    ] {
        let answer = bank.desk.post(&user.path("reissue"), &body);
        answer.refused(400, "bad-request");
        assert_eq!(answer.json()["field"], field, "{answer}");
    }
    // Staff have no certificate of a user, and what is handed on must be the gateway's word.
    let with_certificate = bank.desk.handing_on(&held.fingerprint(), &issuer.plan.gateway);
    with_certificate.post(&user.path("reissue"), &json!({ "staff": staff("paper-form") })).refused(400, "bad-request");
    let body = manager.body(&["execution-password"], json!({})).to_string().into_bytes();
    let forged = [("x-sekisho-user-assertion", "e30.e30.AAAA"), ("idempotency-key", "forged")];
    bank.ib.send(Method::POST, &user.path("reissue"), &forged, Some(body)).refused(400, "bad-request");
}

#[test]
fn what_is_asked_for_is_told_to_who_has_shown_their_certificate_only() {
    let (_issuer, _, manager, held, user) = bizstation();
    let shown = manager.act(Some(&held), &user, "reissue", &[]);
    shown.refused(403, "proof-required");
    let required: Vec<String> = serde_json::from_value(shown.json()["required"].clone()).unwrap();
    assert!(required.contains(&"execution-password".to_owned()), "{required:?}");
    let not_shown = manager.act(None, &user, "reissue", &[]);
    not_shown.refused(403, "proof-required");
    assert_eq!(not_shown.json()["required"], Value::Null);
}

#[test]
fn a_contract_that_is_not_there_and_a_forbidden_one_answer_alike() {
    let (issuer, bank, _, held, _) = bizstation();
    bank.open("bizstation", "C2");
    let as_user = issuer.client(None).with_certificate(&held.fingerprint(), &issuer.plan.gateway);
    let answers = ["/v1/contracts/C2", "/v1/contracts/C3", "/v1/contracts/C2/users", "/v1/contracts/C1/users/nobody"]
        .map(|path| as_user.get(path));
    for answer in answers {
        answer.refused(403, "not-permitted");
        let mut body = answer.json();
        body["reference"] = Value::Null;
        let names: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["reference", "status", "title", "title_ja", "type"], "{answer}");
    }
}
