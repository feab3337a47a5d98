//! BizSTATION (000, 001): a 16-digit acquisition password, shown to a holder of the permission, opens the acquisition.

use crate::support::{Bank, Held, Issuer, NewKey, Person, openssl, staff};
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

const CONTRACT: &str = "3010429";
/// What an acquisition takes beside the acquisition password: the login password (ログインパスワード).
const LOGIN: &[&str] = &["login-password"];
/// What reissuing for oneself takes: also with no certificate or an expired one.
const SELF: &[&str] = &["login-password", "one-time-password"];
/// What an act on another takes: the operator's own execution password (取引実行パスワード), and their certificate.
const OTHER: &[&str] = &["execution-password"];
/// keyCompromise and its like in lists (RFC 5280 section 5.3.1).
const SUPERSEDED: u8 = 4;
const HOLD: u8 = 6;

struct Setting {
    issuer: Issuer,
    bank: Bank,
    manager: Person,
    manager_holds: Held,
    user: Person,
    user_secret: String,
}

/// A contract with a service manager who holds a certificate, and a user who has an acquisition password in the post.
fn setting() -> Setting {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", CONTRACT);
    let (manager, registered) = bank.register(CONTRACT, "010429001", "service-manager");
    let manager_holds = manager.acquire(Some(&secret_of(&registered)), LOGIN);
    let (user, registered) = bank.register(CONTRACT, "010429003", "user");
    Setting { user_secret: secret_of(&registered), issuer, bank, manager, manager_holds, user }
}

#[track_caller]
fn secret_of(done: &Value) -> String {
    let secret = done["acquisition_password"].as_str().expect("an acquisition password").to_owned();
    assert!(secret.len() == 16 && secret.bytes().all(|octet| octet.is_ascii_digit()), "{secret}");
    secret
}

#[test]
fn a_first_acquisition_takes_the_posted_password_and_the_login_password() {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    bank.open("bizstation", CONTRACT);
    let (user, registered) = bank.register(CONTRACT, "010429003", "user");
    assert_eq!(registered["deliver"], "registered-mail", "a form's password is printed and posted");
    assert_eq!(bank.user(&user)["label"], json!({ "ja": "取得待ち", "en": "Awaiting acquisition" }));

    let held = user.acquire(Some(&secret_of(&registered)), LOGIN);
    assert_eq!(held.subject(), "CN=3010429 010429003,O=BizSTATION");
    let told = bank.user(&user);
    assert_eq!((told["state"].as_str(), told["label"]["ja"].as_str()), (Some("issued"), Some("有効")));
    assert_eq!((told["serial"].as_str(), told["issue_number"].as_str()), (Some(&*held.serial()), Some("001")));
    assert_eq!(told["expiry"], held.parsed().not_after().to_string());
    assert_eq!(
        bank.history(&user),
        [("complete", "done"), ("acquire", "done"), ("equip", "done"), ("register", "done")]
            .map(|(command, result)| (command.to_owned(), result.to_owned()))
    );
    // Whoever is given it can check it up to the bank's root.
    let file = |name: &str, content: &str| issuer.plan.write(name, content);
    file("leaf.pem", &held.certificate);
    file("above.pem", &held.chain.concat());
    let path = |name: &str| issuer.plan.path(name).display().to_string();
    let (root, above, leaf) = (path("ca/made/root/root.pem"), path("above.pem"), path("leaf.pem"));
    openssl(&["verify", "-purpose", "sslclient", "-CAfile", &root, "-untrusted", &above, &leaf], b"");
    let text = openssl(&["x509", "-noout", "-text"], held.certificate.as_bytes());
    for said in
        ["http://pki.example.jp/crl/biz/0.crl", "http://pki.example.jp/ocsp/biz", "http://pki.example.jp/ca/biz.cer"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn an_acquisition_password_serves_once() {
    let s = setting();
    s.user.acquire(Some(&s.user_secret), LOGIN);
    s.user.try_acquire(Some(&s.user_secret), LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    assert_eq!(s.bank.state(&s.user), "issued");
}

#[test]
fn a_p12_file_with_an_empty_password_is_imported_by_openssl() {
    let s = setting();
    let (done, content) = s.user.acquire_p12(Some(&s.user_secret), LOGIN, "");
    assert_eq!(done["p12"]["file_name"], "BizSTATION.p12");
    let text = openssl(&["pkcs12", "-legacy", "-passin", "pass:", "-nodes", "-info"], &content);
    assert!(text.contains("PRIVATE KEY") && text.contains("3010429 010429003"), "{text}");
    assert_eq!(s.bank.state(&s.user), "issued");
}

#[test]
fn a_p12_file_is_given_out_once_and_a_certificate_again_to_the_same_request() {
    let s = setting();
    let body = s.user.body(LOGIN, json!({ "acquisition_password": s.user_secret, "key": { "p12_password": "" } }));
    s.user.act_with_key(None, &s.user, "acquire", "k1", body.clone()).done();
    s.user.act_with_key(None, &s.user, "acquire", "k1", body).refused(409, "not-repeatable");

    let body = s.manager.body(SELF, json!({}));
    let again = secret_of(&s.manager.act_with(None, &s.manager, "reissue", body).done());
    let key = NewKey::new();
    let body = s.manager.acquisition(Some(&again), LOGIN, &key.request());
    let first = s.manager.act_with_key(None, &s.manager, "acquire", "k2", body.clone()).done();
    let repeated = s.manager.act_with_key(None, &s.manager, "acquire", "k2", body).done();
    assert_eq!(first["certificate"], repeated["certificate"]);
}

#[test]
fn reissuing_for_oneself_takes_login_and_one_time_password_and_revokes_at_once() {
    let s = setting();
    let old = s.manager_holds.serial();
    let done = s.manager.act(None, &s.manager, "reissue", SELF).done();
    assert_eq!(done["deliver"], "operator-screen");
    assert_eq!(done["user"]["state"], "awaiting_acquisition");
    s.issuer.wait_for_list("biz", &old, Some(SUPERSEDED));
    let new = s.manager.acquire(Some(&secret_of(&done)), LOGIN);
    assert_ne!(new.serial(), old);
    assert_eq!(s.bank.user(&s.manager)["issue_number"], "002");
    let listed: Vec<String> = s.issuer.list("biz").into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(listed, [old], "the new one lives");
}

#[test]
fn reissuing_for_oneself_is_refused_without_either_factor_and_changes_nothing() {
    let s = setting();
    for factors in [&["login-password"][..], &["one-time-password"], &[]] {
        s.manager.act(None, &s.manager, "reissue", factors).refused(403, "proof-required");
    }
    let mut wrong = s.manager.factors(SELF);
    wrong["one-time-password"] = "000000".into();
    let body = s.manager.body_with(wrong, json!({}));
    assert!(s.manager.act_with(None, &s.manager, "reissue", body).status == 403);
    // One that was used is used up.
    let body = s.manager.body(SELF, json!({}));
    let used = body["factors"].clone();
    s.manager.act_with(None, &s.manager, "reissue", body).done();
    let again = s.manager.body_with(used, json!({}));
    s.manager.act_with(None, &s.manager, "reissue", again).refused(403, "proof-required");
}

#[test]
fn a_user_without_the_permission_cannot_reissue_for_anybody() {
    let s = setting();
    let held = s.user.acquire(Some(&s.user_secret), LOGIN);
    s.user.act(None, &s.user, "reissue", SELF).refused(403, "not-permitted");
    s.user.act(Some(&held), &s.manager, "reissue", OTHER).refused(403, "not-permitted");
    assert_eq!(s.issuer.list("biz"), [], "nothing was revoked");
    assert_eq!(s.bank.history(&s.manager)[0], ("reissue".to_owned(), "refused".to_owned()));
}

#[test]
fn reissuing_for_another_takes_the_operators_execution_password_and_certificate() {
    let s = setting();
    let held = s.user.acquire(Some(&s.user_secret), LOGIN);
    // Without the certificate, without the password, with a wrong one.
    s.manager.act(None, &s.user, "reissue", OTHER).refused(403, "proof-required");
    let answer = s.manager.act(Some(&s.manager_holds), &s.user, "reissue", &[]);
    answer.refused(403, "proof-required");
    assert_eq!(answer.json()["required"], json!(["current-certificate", "execution-password"]));
    let wrong = s.manager.body_with(json!({ "execution-password": "not-it" }), json!({}));
    s.manager.act_with(Some(&s.manager_holds), &s.user, "reissue", wrong).refused(403, "proof-required");
    // Another's certificate is no proof of the operator's.
    s.manager.act(Some(&held), &s.user, "reissue", OTHER).refused(403, "not-permitted");
    assert_eq!(s.bank.state(&s.user), "issued");

    let done = s.manager.act(Some(&s.manager_holds), &s.user, "reissue", OTHER).done();
    assert_eq!(done["deliver"], "operator-screen");
    s.issuer.wait_for_list("biz", &held.serial(), Some(SUPERSEDED));
    s.user.acquire(Some(&secret_of(&done)), LOGIN);
    assert_eq!(s.bank.state(&s.user), "issued");
}

#[test]
fn the_password_is_shown_again_to_the_repeat_of_the_same_request_and_only_then() {
    let s = setting();
    let held = Some(&s.manager_holds);
    let body = s.manager.body(OTHER, json!({}));
    let first = secret_of(&s.manager.act_with_key(held, &s.user, "reissue", "k1", body.clone()).done());
    let repeated = secret_of(&s.manager.act_with_key(held, &s.user, "reissue", "k1", body.clone()).done());
    assert_eq!(first, repeated);
    // The same key with another body is another request.
    let other = s.manager.body(OTHER, json!({ "client_address": "192.0.2.8" }));
    s.manager.act_with_key(held, &s.user, "reissue", "k1", other).refused(422, "idempotency-key-reused");
    // No look shows it.
    let looked = s.issuer.service("ib").get(&format!("/v1/contracts/{CONTRACT}/users/010429003"));
    assert!(!String::from_utf8_lossy(&looked.body).contains(&first));
    assert!(!s.issuer.output().contains(&first));
    // Another request makes another one, and the first opens nothing any more; nor does its repeat show anything.
    let second = secret_of(&s.manager.act_with_key(held, &s.user, "reissue", "k2", body.clone()).done());
    assert_ne!(first, second);
    s.user.try_acquire(Some(&first), LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    s.manager.act_with_key(held, &s.user, "reissue", "k1", body.clone()).refused(409, "not-repeatable");
    let acquired = s.user.acquire(Some(&second), LOGIN);
    // A repeat that comes late revokes nothing that came after it.
    for key in ["k1", "k2"] {
        s.manager.act_with_key(held, &s.user, "reissue", key, body.clone()).refused(409, "not-repeatable");
    }
    assert_eq!(s.bank.user(&s.user)["serial"], acquired.serial().as_str());
    assert_eq!(s.bank.state(&s.user), "issued");
}

#[test]
fn wrong_tries_lock_the_acquisition_and_the_answer_says_nothing() {
    let s = setting();
    let strip = |answer: &crate::support::Answer| {
        let mut body = answer.json();
        body["reference"] = Value::Null;
        (answer.status, body)
    };
    let wrong = "0000000000000000";
    let mut answers = Vec::new();
    // A wrong acquisition password, a wrong login password, a user and a contract who are not there.
    answers.push(strip(&s.user.try_acquire(Some(wrong), LOGIN, &NewKey::new())));
    let body = |secret: &str, password: &str| {
        let more = json!({ "acquisition_password": secret, "key": { "csr": NewKey::new().request() } });
        s.user.body_with(json!({ "login-password": password }), more)
    };
    answers.push(strip(&s.user.act_with(None, &s.user, "acquire", body(&s.user_secret, "not-it"))));
    for (contract, user) in [(CONTRACT, "010429999"), ("9999999", "010429003")] {
        let nobody = s.bank.person(contract, user);
        answers.push(strip(&nobody.try_acquire(Some(wrong), LOGIN, &NewKey::new())));
    }
    for _ in 0..3 {
        answers.push(strip(&s.user.try_acquire(Some(wrong), LOGIN, &NewKey::new())));
    }
    assert_eq!(s.bank.state(&s.user), "acquisition_locked");
    assert_eq!(s.bank.user(&s.user)["locked_by"], "wrong-tries");
    // Everything right, and locked.
    answers.push(strip(&s.user.try_acquire(Some(&s.user_secret), LOGIN, &NewKey::new())));
    assert_eq!(answers[0].0, 403);
    for answer in &answers {
        assert_eq!(answer, &answers[0], "a guesser learns something");
    }

    // Unlocked by the service manager: the password that was guessed at stays withdrawn, a new one opens.
    s.manager.act(Some(&s.manager_holds), &s.user, "unlock", OTHER).done();
    s.user.try_acquire(Some(&s.user_secret), LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    let done = s.manager.act(Some(&s.manager_holds), &s.user, "reissue", OTHER).done();
    s.user.acquire(Some(&secret_of(&done)), LOGIN);
    let notices = s.issuer.service("ib").get(&s.user.path("notices")).done();
    let about = |word: &str| notices["items"].as_array().unwrap().iter().any(|notice| notice["about"] == word);
    assert!(about("locked") && about("issued"), "{notices}");
}

#[test]
fn a_locked_user_is_unlocked_by_a_form_too() {
    let s = setting();
    for _ in 0..5 {
        s.user.try_acquire(Some("0000000000000000"), LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    }
    assert_eq!(s.bank.state(&s.user), "acquisition_locked");
    s.bank.act(&s.user, "unlock", "staff-desk").refused(403, "not-permitted");
    s.bank.act(&s.user, "unlock", "paper-form").done();
    let done = s.bank.act(&s.user, "reissue", "paper-form").done();
    assert_eq!(done["deliver"], "registered-mail");
    s.user.acquire(Some(&secret_of(&done)), LOGIN);
}

#[test]
fn one_member_of_the_staff_is_not_two() {
    let s = setting();
    let alone = json!({ "staff": { "maker": "t0123", "checker": "t0123", "channel": "paper-form" } });
    s.bank.desk.post(&s.user.path("reissue"), &alone).refused(400, "bad-request");
    // A service without the right does nothing of the desk's.
    s.bank.ib.post(&s.user.path("reissue"), &json!({ "staff": staff("paper-form") })).refused(403, "not-permitted");
}

#[test]
fn a_suspended_user_is_on_hold_until_they_are_resumed() {
    let s = setting();
    let held = s.user.acquire(Some(&s.user_secret), LOGIN);
    s.bank.act(&s.user, "suspend", "staff-desk").done();
    assert_eq!(s.bank.user(&s.user)["standing"], "suspended");
    s.issuer.wait_for_list("biz", &held.serial(), Some(HOLD));
    s.bank.act(&s.user, "resume", "staff-desk").done();
    s.issuer.wait_for_list("biz", &held.serial(), None);
    assert_eq!(s.bank.state(&s.user), "issued");
}

#[test]
fn a_suspended_user_acquires_nothing_and_a_suspended_operator_does_nothing() {
    let s = setting();
    s.bank.act(&s.user, "suspend", "staff-desk").done();
    s.user.try_acquire(Some(&s.user_secret), LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    s.bank.act(&s.manager, "suspend", "staff-desk").done();
    let answer = s.manager.act(Some(&s.manager_holds), &s.user, "resume", OTHER);
    assert_eq!(answer.status, 403, "{answer}");
    assert_eq!(s.bank.user(&s.user)["standing"], "suspended");
}

#[test]
fn the_desk_revokes_a_certificate_for_ever() {
    let s = setting();
    let held = s.user.acquire(Some(&s.user_secret), LOGIN);
    s.user.act(Some(&held), &s.user, "revoke", OTHER).refused(403, "not-permitted");
    let body = json!({ "reason": "key-compromise", "staff": staff("staff-desk") });
    let done = s.bank.desk.post(&s.user.path("revoke"), &body).done();
    assert_eq!((done["user"]["state"].as_str(), done["user"]["label"]["ja"].as_str()), (Some("revoked"), Some("無効")));
    s.issuer.wait_for_list("biz", &held.serial(), Some(1));
    s.bank.act(&s.user, "resume", "staff-desk").refused(409, "not-possible-now");
    // A new one beside it does not bring it back.
    let done = s.manager.act(Some(&s.manager_holds), &s.user, "offer", OTHER).done();
    s.user.acquire(Some(&secret_of(&done)), LOGIN);
    let listed = s.issuer.list("biz");
    assert_eq!(listed, [(held.serial(), Some(1))]);
}

#[test]
fn switching_the_feature_off_revokes_everybody_of_the_contract() {
    let s = setting();
    let held = s.user.acquire(Some(&s.user_secret), LOGIN);
    s.bank.switch(CONTRACT, "off").done();
    s.issuer.wait_for_list("biz", &held.serial(), Some(5));
    s.issuer.wait_for_list("biz", &s.manager_holds.serial(), Some(5));
    s.manager.act(None, &s.manager, "reissue", SELF).refused(409, "not-possible-now");
    s.bank.switch(CONTRACT, "on").done();
    let done = s.bank.act(&s.user, "offer", "paper-form").done();
    s.user.acquire(Some(&secret_of(&done)), LOGIN);
}

#[test]
fn keys_that_cannot_be_certified_are_refused_and_change_nothing() {
    let s = setting();
    let key = NewKey::new();
    let attempt =
        |csr: &str| s.user.act_with(None, &s.user, "acquire", s.user.acquisition(Some(&s.user_secret), LOGIN, csr));
    attempt("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
        .refused(422, "key-not-acceptable");
    attempt(&key.request_of("3010429 010429001")).refused(422, "key-not-acceptable");
    attempt(&spoilt(&key.request())).refused(422, "key-not-acceptable");
    let weak = openssl(&["req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", "/dev/null", "-subj", "/"], b"");
    attempt(&weak).refused(422, "key-not-acceptable");
    assert_eq!(attempt(&"A".repeat(70_000)).status, 413);
    assert_eq!(s.bank.state(&s.user), "awaiting_acquisition");
    let done = attempt(&key.request_of("3010429 010429003")).done();
    key.held(&done);
    // A key that was certified is never certified again, of whomever.
    let again = secret_of(&s.manager.act(Some(&s.manager_holds), &s.user, "reissue", OTHER).done());
    s.user
        .act_with(None, &s.user, "acquire", s.user.acquisition(Some(&again), LOGIN, &key.request()))
        .refused(422, "key-not-acceptable");
    assert_eq!(s.bank.state(&s.user), "awaiting_acquisition", "the password was not used up");
}

/// The request with one bit of its signature turned.
fn spoilt(pem: &str) -> String {
    let mut der = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    *der.last_mut().unwrap() ^= 1;
    sekisho_ca::download::pem("CERTIFICATE REQUEST", &der)
}

#[test]
fn an_expired_certificate_is_followed_by_a_reissue_for_oneself() {
    let s = setting();
    let old = s.manager_holds.clone();
    let issuer = s.issuer.days_ahead(370);
    let bank = issuer.bank();
    let manager = bank.person(CONTRACT, "010429001");
    assert_eq!(bank.user(&manager)["label"], json!({ "ja": "期限切れ", "en": "Expired" }));
    assert_eq!(bank.user(&manager)["expiry"], Value::Null, "the expiry shows only where a certificate lives");
    // What has expired proves nothing.
    let (user, _) = bank.register(CONTRACT, "010429004", "user");
    manager.act(Some(&old), &user, "reissue", OTHER).refused(403, "proof-required");
    let done = manager.act(None, &manager, "reissue", SELF).done();
    let new = manager.acquire(Some(&secret_of(&done)), LOGIN);
    assert!(new.parsed().not_before() > old.parsed().not_after());
}

#[test]
fn an_acquisition_password_has_its_deadline() {
    let s = setting();
    let issuer = s.issuer.days_ahead(31);
    let user = issuer.bank().person(CONTRACT, "010429003");
    user.try_acquire(Some(&s.user_secret), LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
}

#[test]
fn everybodys_last_certificate_can_be_had_again_and_the_history_of_a_contract_names_screens() {
    let s = setting();
    let held = s.user.acquire(Some(&s.user_secret), LOGIN);
    let answer = s.issuer.service("ib").get(&s.user.path("certificate"));
    assert_eq!(answer.status, 200, "{answer}");
    assert!(String::from_utf8_lossy(&answer.body).contains(held.certificate.trim()), "{answer}");
    s.manager.act(Some(&s.manager_holds), &s.user, "reissue", OTHER).done();
    let history = s.issuer.service("ib").get(&format!("/v1/contracts/{CONTRACT}/history")).done();
    let last = &history["items"][0];
    assert_eq!(last["screen"]["id"], "password-reissue");
    assert_eq!(last["screen"]["label"]["ja"], "証明書取得用パスワードの再発行");
    assert_eq!(last["actor"]["user"]["user"], "010429001");
    assert_eq!((last["channel"].as_str(), last["address"].as_str()), (Some("online"), Some("192.0.2.7")));
}
