//! Requests that are no requests: each is a problem with a reference, told to the audit log, and changes nothing.

use crate::support::{Bank, Issuer, Person, staff};
use reqwest::Method;
use serde_json::{Value, json};

fn bizstation() -> (Issuer, Bank, Person) {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let (user, _) = bank.register("C1", "u1", "user");
    (issuer, bank, user)
}

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", "refusals");

#[test]
fn a_malformed_body_is_refused_by_its_field_and_never_repeated() {
    let (issuer, bank, user) = bizstation();
    let before = bank.user(&user);
    let path = user.path("acquire");
    for (body, field) in [
        (r#"{"key":{"csr":"x"},"hunter2":1}"#, "hunter2"),
        (r#"{"staff":{}}"#, "maker"),
        (r#"{"key":{"csr":"x"},"acquisition_password":"hunter2"}"#, "acquisition_password"),
        (r#"{"key":{"csr":"x","p12_password":"hunter2"}}"#, "body"),
        (r#"{"key":{"csr":"x"},"factors":{"password":"hunter2"}}"#, "password"),
        (r#"{"key":{"csr":"x"},"factors":{"pin":"hunter2","pin":"hunter2"}}"#, "pin"),
        (r#"{"key":{"csr":"x"},"client_address":"hunter2"}"#, "client_address"),
        (r#"{"key":{"csr":"x"},"acting_user":{"contract":"hunter2/","user":"u"}}"#, "contract"),
        ("{\"key\":\"\u{0}\"}", "body"),
        ("hunter2", "body"),
        ("", "body"),
        ("[]", "body"),
    ] {
        let answer = bank.ib.send(Method::POST, &path, &[KEY], Some(body.as_bytes().to_vec()));
        answer.refused(400, "bad-request");
        assert_eq!(answer.json()["field"], field, "{body}: {answer}");
        assert!(field == "hunter2" || !answer.to_string().contains("hunter2"), "{body}: {answer}");
    }
    let deep = "[".repeat(100_000);
    bank.ib.send(Method::POST, &path, &[KEY], Some(deep.into_bytes())).problem();
    let not_utf_8 = vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'];
    bank.ib.send(Method::POST, &path, &[KEY], Some(not_utf_8)).refused(400, "bad-request");
    assert_eq!(bank.user(&user), before);
    assert!(!issuer.output().contains("p12_password"), "a body is in the log");
}

#[test]
fn a_refusal_before_anything_was_decided_is_in_the_history_with_its_reference() {
    let (_issuer, bank, user) = bizstation();
    let malformed = bank.ib.send(Method::POST, &user.path("revoke"), &[], Some(b"{".to_vec()));
    malformed.refused(400, "bad-request");
    let oversized = bank.ib.send(Method::POST, &user.path("lock"), &[], Some(vec![b' '; 100_000]));
    oversized.refused(413, "payload-too-large");
    let unsaid = bank.ib.post(&user.path("suspend"), &json!({}));
    unsaid.refused(400, "bad-request");
    let history = bank.ib.get(&format!("{}?limit=3", user.path("history"))).done();
    let told: Vec<(&str, &str, &str)> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            (text("command"), text("result"), text("reference"))
        })
        .collect();
    let reference = |answer: &crate::support::Answer| answer.header("sekisho-reference").unwrap().to_owned();
    let (first, second, third) = (reference(&unsaid), reference(&oversized), reference(&malformed));
    assert_eq!(told, [("suspend", "refused", &*first), ("lock", "refused", &*second), ("revoke", "refused", &*third)]);
}

#[test]
fn only_json_of_a_bounded_size_is_read() {
    let (_issuer, bank, user) = bizstation();
    let by_staff = json!({ "staff": staff("paper-form") }).to_string();
    let http = |headers: &[(&str, &str)], body: &str| {
        bank.desk.send(Method::POST, &user.path("reissue"), headers, Some(body.as_bytes().to_vec()))
    };
    http(&[KEY, ("content-type", "text/plain")], &by_staff).refused(415, "unsupported-media-type");
    http(&[KEY, ("content-type", "application/x-www-form-urlencoded")], "staff=x")
        .refused(415, "unsupported-media-type");
    let padded = by_staff.clone() + &" ".repeat(65_536 - by_staff.len());
    assert_eq!(padded.len(), 65_536);
    http(&[KEY], &(padded.clone() + " ")).refused(413, "payload-too-large");
    http(&[KEY], &padded).done();
}

#[test]
fn a_query_and_a_path_are_as_documented_or_refused() {
    let (_issuer, bank, user) = bizstation();
    for path in [
        "/v1/contracts?limit=0",
        "/v1/contracts?limit=201",
        "/v1/contracts?limit=x",
        "/v1/contracts?after=%00",
        "/v1/contracts?after=a%20b",
        "/v1/contracts?before=1",
        "/v1/contracts?limit=1&limit=2",
        "/v1/contracts/C1?limit=1",
        "/v1/contracts/C1/history?after=0",
        "/v1/contracts/C1/history?after=999999999999999999999",
        "/v1/contracts/C1/users/u1/notices?after=1",
        "/v1/contracts/C%201",
        "/v1/contracts/%E3%81%82",
        "/v1/contracts/%FF",
        "/v1/contracts/C1/users/%2e%2e%2f",
    ] {
        bank.ib.get(path).refused(400, "bad-request");
    }
    let body = Some(json!({ "staff": staff("paper-form") }).to_string().into_bytes());
    bank.desk.send(Method::POST, &(user.path("reissue") + "?force=1"), &[KEY], body).refused(400, "bad-request");
}

#[test]
fn every_answer_is_not_to_be_stored_and_has_the_reference_that_its_problem_names() {
    let (_issuer, bank, user) = bizstation();
    let good = bank.ib.get("/v1/contracts/C1");
    let refused = [
        bank.ib.get("/v1/contracts/C9"),
        bank.ib.get("/nowhere"),
        bank.ib.send(Method::DELETE, "/v1/contracts/C1", &[], None),
        bank.ib.send(Method::POST, &user.path("offer"), &[JSON], Some(b"{}".to_vec())),
        bank.ib.post(&user.path("acquire"), &json!(7)),
    ];
    let mut references = vec![good.header("sekisho-reference").unwrap().to_owned()];
    assert_eq!(good.header("cache-control"), Some("no-store"));
    for answer in &refused {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
        let body = answer.json();
        assert_eq!(body["reference"].as_str(), answer.header("sekisho-reference"), "{answer}");
        assert_eq!(body["status"], answer.status);
        let japanese = body["title_ja"].as_str().unwrap();
        assert!(!japanese.is_ascii() && body["title"].as_str().unwrap().is_ascii(), "{answer}");
        references.push(body["reference"].as_str().unwrap().to_owned());
    }
    references.sort();
    references.dedup();
    assert_eq!(references.len(), 6, "two requests have one reference");
}

#[test]
fn a_certification_request_that_is_none_is_told_from_nothing_else() {
    let (_issuer, bank, user) = bizstation();
    let secret = bank.desk.post(&user.path("reissue"), &json!({ "staff": staff("paper-form") })).done();
    let secret = secret["acquisition_password"].as_str().unwrap().to_owned();
    for csr in ["x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"] {
        let body = user.acquisition(Some(&secret), &["login-password"], csr);
        bank.ib.post(&user.path("acquire"), &body).refused(422, "key-not-acceptable");
    }
    assert_eq!(bank.state(&user), "awaiting_acquisition");
    let absent = Value::Null;
    assert_eq!(bank.user(&user)["serial"], absent);
}
