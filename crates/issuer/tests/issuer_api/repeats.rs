//! Idempotency keys.

use crate::support::{Bank, Issuer, NewKey, Person, staff};
use reqwest::Method;
use serde_json::{Value, json};

fn bizstation() -> (Issuer, Bank, Person, String) {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let (user, registered) = bank.register("C1", "u1", "user");
    let secret = registered["acquisition_password"].as_str().unwrap().to_owned();
    (issuer, bank, user, secret)
}

#[test]
fn what_gives_something_out_needs_an_idempotency_key() {
    let (_issuer, bank, user, _) = bizstation();
    let staffed = json!({ "staff": staff("paper-form") });
    let key = json!({ "csr": "x" });
    let with = |more: Value| {
        let mut body = staffed.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (path, body) in [
        ("/v1/contracts".to_owned(), with(json!({ "id": "C2", "profile": "bizstation", "one_time_password": "used" }))),
        ("/v1/contracts/C1/users".to_owned(), with(json!({ "id": "u2", "role": "user" }))),
        (user.path("offer"), staffed.clone()),
        (user.path("reissue"), staffed.clone()),
        (user.path("acquire"), with(json!({ "key": key }))),
        (user.path("renew"), with(json!({ "key": key }))),
    ] {
        let body = body.to_string().into_bytes();
        bank.desk.send(Method::POST, &path, &[], Some(body.clone())).refused(400, "idempotency-key-required");
        for wrong in ["", "\"", "a b", "\"a", &"k".repeat(65)] {
            let answer = bank.desk.send(Method::POST, &path, &[("idempotency-key", wrong)], Some(body.clone()));
            assert_eq!(answer.status, 400, "{path} {wrong:?}: {answer}");
        }
    }
    assert_eq!(bank.history(&user).iter().filter(|(command, _)| command == "reissue").count(), 6, "each is recorded");
    // Others go without.
    let body = staffed.to_string().into_bytes();
    bank.desk.send(Method::POST, &user.path("unlock"), &[], Some(body)).problem();
}

#[test]
fn a_repeat_gets_what_the_first_request_got_and_another_request_is_refused() {
    let (_issuer, bank, user, _) = bizstation();
    let body = json!({ "staff": staff("paper-form") });
    let first = bank.desk.post_with_key(&user.path("reissue"), "letter-1", &body).done();
    let quoted = [("idempotency-key", "\"letter-1\"")];
    let text = Some(body.to_string().into_bytes());
    let again = bank.desk.send(Method::POST, &user.path("reissue"), &quoted, text).done();
    assert_eq!(again["user"], first["user"]);
    let other = json!({ "staff": { "maker": "t9", "checker": "t8", "channel": "paper-form" } });
    bank.desk.post_with_key(&user.path("reissue"), "letter-1", &other).refused(422, "idempotency-key-reused");
    bank.desk.post_with_key(&user.path("offer"), "letter-1", &body).refused(422, "idempotency-key-reused");
}

#[test]
fn a_certificate_is_repeated_and_a_p12_file_is_not() {
    let (_issuer, bank, user, secret) = bizstation();
    let body = user.acquisition(Some(&secret), &["login-password"], &NewKey::new().request());
    let first = user.act_with_key(None, &user, "acquire", "csr-1", body.clone()).done();
    assert!(first["p12"].is_null());
    let again = user.act_with_key(None, &user, "acquire", "csr-1", body).done();
    assert_eq!((&again["certificate"], &again["chain"]), (&first["certificate"], &first["chain"]));

    let secret = bank.desk.post(&user.path("reissue"), &json!({ "staff": staff("paper-form") })).done();
    let more = json!({ "key": { "p12_password": "" }, "acquisition_password": secret["acquisition_password"] });
    let body = user.body(&["login-password"], more);
    let first = user.act_with_key(None, &user, "acquire", "p12-1", body.clone()).done();
    assert_eq!(first["p12"]["file_name"], "BizSTATION.p12");
    user.act_with_key(None, &user, "acquire", "p12-1", body).refused(409, "not-repeatable");
}

#[test]
fn a_contract_is_opened_once() {
    let (_issuer, bank, ..) = bizstation();
    let body =
        json!({ "id": "C1", "profile": "bizstation", "one_time_password": "used", "staff": staff("paper-form") });
    bank.desk.post("/v1/contracts", &body).refused(409, "already-there");
    let body =
        json!({ "id": "C2", "profile": "bizstation", "one_time_password": "used", "staff": staff("paper-form") });
    let opened = bank.desk.post_with_key("/v1/contracts", "open-C2", &body);
    assert_eq!((opened.status, opened.header("location")), (201, Some("/v1/contracts/C2")));
    let again = bank.desk.post_with_key("/v1/contracts", "open-C2", &body);
    assert_eq!((again.status, again.json()), (201, opened.json()));
}
