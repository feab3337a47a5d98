//! AnserBizSOL (002): the user's own login opens the acquisition; renewal in the forty days before the end; masters revoke.

use crate::support::{Bank, Held, Issuer, NewKey, Person, staff};
use serde_json::{Value, json};

const CONTRACT: &str = "A1234567";
/// What acquiring takes where the contract uses one-time passwords.
const LOGIN: &[&str] = &["login-password", "one-time-password"];
/// What a master's act on another takes, beside the certificate.
const CONFIRMED: &[&str] = &["confirmation-password"];
const SUPERSEDED: u8 = 4;

struct Setting {
    issuer: Issuer,
    bank: Bank,
    master: Person,
    master_holds: Held,
    user: Person,
    user_holds: Held,
}

/// A contract with a master and a general user, who each hold a certificate.
fn setting() -> Setting {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", CONTRACT);
    let (master, _) = bank.register(CONTRACT, "master01", "master");
    let (user, _) = bank.register(CONTRACT, "logid031", "general");
    let (master_holds, user_holds) = (master.acquire(None, LOGIN), user.acquire(None, LOGIN));
    Setting { issuer, bank, master, master_holds, user, user_holds }
}

fn renewal(person: &Person, factors: &[&str], key: &NewKey) -> Value {
    person.body(factors, json!({ "key": { "csr": key.request() } }))
}

#[test]
fn a_first_acquisition_takes_login_and_one_time_password() {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", CONTRACT);
    let (user, registered) = bank.register(CONTRACT, "logid031", "general");
    assert!(registered.get("acquisition_password").is_none(), "there is none in this product");
    assert_eq!(bank.user(&user)["label"]["ja"], "未発行");
    for factors in [&["login-password"][..], &["one-time-password"], &[]] {
        user.try_acquire(None, factors, &NewKey::new()).refused(403, "acquisition-refused");
    }
    let held = user.acquire(None, LOGIN);
    let subject = held.subject();
    let pattern =
        r"^CN=logid031 A001 [0-9]{20},OU=\(9999\)ANSER-WEB\(BizSOL\) TEST CA - G4,O=\(9999\)NTT DATA CORPORATION$";
    assert!(regex::Regex::new(pattern).unwrap().is_match(&subject), "{subject}");
    assert!(held.parsed().not_after().to_string().ends_with("T23:59:59Z"), "08:59:59 in Japan");
    assert_eq!(bank.user(&user)["label"]["ja"], "発行済み");
    // A second one beside it is not given.
    user.try_acquire(None, &["login-password", "one-time-password"], &NewKey::new())
        .refused(403, "acquisition-refused");
    assert_eq!(bank.user(&user)["serial"], held.serial().as_str());
}

#[test]
fn a_contract_without_one_time_passwords_acquires_by_the_login_password_alone() {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open_off("anser-bizsol", CONTRACT, "not-used");
    bank.switch(CONTRACT, "on").done();
    let (user, _) = bank.register(CONTRACT, "logid031", "general");
    user.try_acquire(None, &["one-time-password"], &NewKey::new()).refused(403, "acquisition-refused");
    user.acquire(None, &["login-password"]);
}

#[test]
fn a_p12_file_must_have_a_password_here() {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", CONTRACT);
    let (user, _) = bank.register(CONTRACT, "logid031", "general");
    let body = user.body(LOGIN, json!({ "key": { "p12_password": "" } }));
    user.act_with(None, &user, "acquire", body).refused(400, "bad-request");
    let (done, content) = user.acquire_p12(None, LOGIN, "p12-Passw0rd");
    assert_eq!(done["p12"]["file_name"], "anser-bizsol.p12");
    let text = crate::support::openssl(&["pkcs12", "-passin", "pass:p12-Passw0rd", "-nodes", "-info"], &content);
    assert!(text.contains("PRIVATE KEY") && text.contains("logid031 A001"), "{text}");
}

#[test]
fn a_renewal_outside_the_window_is_refused() {
    let s = setting();
    let issuer = s.issuer.days_ahead(324);
    let user = issuer.bank().person(CONTRACT, "logid031");
    assert_eq!(issuer.bank().state(&user), "issued");
    let body = renewal(&user, LOGIN, &NewKey::new());
    user.act_with(Some(&s.user_holds), &user, "renew", body).refused(409, "not-possible-now");
}

#[test]
fn a_renewal_in_the_window_replaces_the_certificate() {
    let s = setting();
    let issuer = s.issuer.days_ahead(330);
    let bank = issuer.bank();
    let user = bank.person(CONTRACT, "logid031");
    assert_eq!(bank.user(&user)["label"], json!({ "ja": "更新可", "en": "Renewable" }));
    // The current certificate is one of the factors, and only one's own.
    let attempt = |certificate: Option<&Held>, factors: &[&str]| {
        user.act_with(certificate, &user, "renew", renewal(&user, factors, &NewKey::new()))
    };
    attempt(None, LOGIN).refused(403, "proof-required");
    attempt(Some(&s.user_holds), &["login-password"]).refused(403, "proof-required");
    attempt(Some(&s.master_holds), LOGIN).refused(403, "not-permitted");
    assert_eq!(issuer.list("bsl"), []);

    let key = NewKey::new();
    let done = user.act_with(Some(&s.user_holds), &user, "renew", renewal(&user, LOGIN, &key)).done();
    let new = key.held(&done);
    assert!(new.subject().starts_with("CN=logid031 A002 "), "{}", new.subject());
    assert_eq!(bank.user(&user)["serial"], new.serial().as_str());
    issuer.wait_for_list("bsl", &s.user_holds.serial(), Some(SUPERSEDED));
    issuer.wait_for_list("bsl", &new.serial(), None);
}

#[test]
fn a_user_renews_by_the_gateways_own_word_too() {
    let s = setting();
    let issuer = s.issuer.days_ahead(335);
    let user = issuer.bank().person(CONTRACT, "logid031");
    let gateway = &issuer.plan.gateway;
    let key = NewKey::new();
    let body = json!({ "factors": user.factors(LOGIN), "key": { "csr": key.request() } });
    // Nobody is believed without the gateway's signature.
    issuer.client(None).post(&user.path("renew"), &body).refused(401, "not-authenticated");
    let browser = issuer.client(None).with_certificate(&s.user_holds.fingerprint(), gateway);
    // A user does not say who acts.
    let named = json!({ "factors": body["factors"], "key": body["key"], "acting_user": { "contract": CONTRACT, "user": "master01" } });
    browser.post(&user.path("renew"), &named).refused(400, "bad-request");
    let new = key.held(&browser.post(&user.path("renew"), &body).done());
    issuer.wait_for_list("bsl", &s.user_holds.serial(), Some(SUPERSEDED));
    // The old one opens nothing any more, the new one does.
    browser.get(&format!("/v1/contracts/{CONTRACT}/users/logid031")).problem();
    let browser = issuer.client(None).with_certificate(&new.fingerprint(), gateway);
    assert_eq!(
        browser.get(&format!("/v1/contracts/{CONTRACT}/users/logid031")).done()["serial"],
        new.serial().as_str()
    );
}

#[test]
fn after_its_end_a_certificate_is_not_renewed_but_acquired_again() {
    let s = setting();
    let issuer = s.issuer.days_ahead(367);
    let bank = issuer.bank();
    let user = bank.person(CONTRACT, "logid031");
    assert_eq!(bank.user(&user)["label"]["ja"], "有効期限切れ");
    let answer = user.act_with(Some(&s.user_holds), &user, "renew", renewal(&user, LOGIN, &NewKey::new()));
    assert!(matches!(answer.problem().as_str(), "proof-required" | "not-possible-now"), "{answer}");
    let new = user.acquire(None, LOGIN);
    assert!(new.subject().starts_with("CN=logid031 A002 "), "{}", new.subject());
    assert_eq!(bank.state(&user), "issued");
}

#[test]
fn forty_days_before_the_end_the_user_is_told_once() {
    let s = setting();
    let issuer = s.issuer.days_ahead(327);
    let user = issuer.bank().person(CONTRACT, "logid031");
    let notices = |issuer: &Issuer| -> Vec<Value> {
        let listed = issuer.service("ib").get(&user.path("notices")).done();
        listed["items"].as_array().unwrap().iter().filter(|notice| notice["about"] == "expiry").cloned().collect()
    };
    crate::common::wait_until("the notice is there", || !notices(&issuer).is_empty());
    assert_eq!((notices(&issuer).len(), notices(&issuer)[0]["days"].as_u64()), (1, Some(40)));
    let issuer = issuer.days_ahead(330);
    let user = issuer.bank().person(CONTRACT, "logid031");
    let listed = issuer.service("ib").get(&user.path("notices")).done();
    let told = listed["items"].as_array().unwrap().iter().filter(|notice| notice["about"] == "expiry").count();
    assert_eq!(told, 1, "{listed}");
}

#[test]
fn a_master_revokes_others_with_the_confirmation_password() {
    let s = setting();
    let answer = s.master.act(Some(&s.master_holds), &s.user, "revoke", &[]);
    answer.refused(403, "proof-required");
    assert_eq!(answer.json()["required"], json!(["current-certificate", "confirmation-password"]));
    let wrong = s.master.body_with(json!({ "confirmation-password": "not-it" }), json!({}));
    s.master.act_with(Some(&s.master_holds), &s.user, "revoke", wrong).refused(403, "proof-required");
    assert_eq!(s.bank.state(&s.user), "issued");

    let done = s.master.act(Some(&s.master_holds), &s.user, "revoke", CONFIRMED).done();
    assert_eq!(done["user"]["label"]["ja"], "失効済み");
    assert_eq!(done["user"]["expiry"], Value::Null);
    s.issuer.wait_for_list("bsl", &s.user_holds.serial(), Some(0));
    let history = s.issuer.service("ib").get(&s.user.path("history")).done();
    let last = &history["items"][0];
    assert_eq!((last["command"].as_str(), last["screen"]["id"].as_str()), (Some("revoke"), Some("BRSK019")));
    assert_eq!(last["screen"]["label"]["ja"], "利用者管理 証明書失効確認");
    // Revoked is revoked; the user's login opens a new one.
    s.master.act(Some(&s.master_holds), &s.user, "revoke", CONFIRMED).refused(409, "not-possible-now");
    s.user.acquire(None, LOGIN);
}

#[test]
fn general_users_revoke_nobody_and_a_masters_own_certificate_takes_a_form() {
    let s = setting();
    s.user.act(Some(&s.user_holds), &s.user, "revoke", CONFIRMED).refused(403, "not-permitted");
    s.user.act(Some(&s.user_holds), &s.master, "revoke", CONFIRMED).refused(403, "not-permitted");
    s.master.act(Some(&s.master_holds), &s.master, "revoke", CONFIRMED).refused(403, "not-permitted");
    assert_eq!(s.issuer.list("bsl"), []);
    let done = s.bank.act(&s.master, "revoke", "paper-form").done();
    assert_eq!(done["user"]["state"], "revoked");
    s.issuer.wait_for_list("bsl", &s.master_holds.serial(), Some(0));
    let history = s.issuer.service("ib").get(&s.master.path("history")).done();
    assert_eq!(history["items"][0]["form"]["ja"], "クライアント証明書(電子証明書)機能申込書");
    assert_eq!(history["items"][0]["actor"], json!({ "kind": "staff", "maker": "t0123", "checker": "t0456" }));
}

#[test]
fn a_revoked_certificate_proves_nothing() {
    let s = setting();
    s.bank.act(&s.master, "revoke", "staff-desk").done();
    let answer = s.master.act(Some(&s.master_holds), &s.user, "revoke", CONFIRMED);
    assert!(answer.status == 403, "{answer}");
    assert_eq!(s.bank.state(&s.user), "issued");
    let browser = s.issuer.client(None).with_certificate(&s.master_holds.fingerprint(), &s.issuer.plan.gateway);
    browser.post(&s.user.path("revoke"), &json!({ "factors": s.master.factors(CONFIRMED) })).problem();
    assert_eq!(s.bank.state(&s.user), "issued");
}

#[test]
fn a_master_suspends_and_resumes_registers_and_deletes() {
    let s = setting();
    let holds = Some(&s.master_holds);
    s.master.act(holds, &s.user, "suspend", CONFIRMED).done();
    s.issuer.wait_for_list("bsl", &s.user_holds.serial(), Some(6));
    s.master.act(holds, &s.user, "resume", CONFIRMED).done();
    s.issuer.wait_for_list("bsl", &s.user_holds.serial(), None);
    let body = s.master.body(CONFIRMED, json!({ "id": "logid032", "role": "administrator" }));
    s.master.through_ib(holds).post(&format!("/v1/contracts/{CONTRACT}/users"), &body).done();
    let other_master = s.master.body(CONFIRMED, json!({ "id": "logid033", "role": "master" }));
    s.master
        .through_ib(holds)
        .post(&format!("/v1/contracts/{CONTRACT}/users"), &other_master)
        .refused(403, "not-permitted");
    s.master.act(holds, &s.user, "delete", CONFIRMED).done();
    s.issuer.wait_for_list("bsl", &s.user_holds.serial(), Some(5));
    s.user.try_acquire(None, LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    // Their ID is not used again.
    let again = json!({ "id": "logid031", "role": "general", "staff": staff("paper-form") });
    assert!(s.bank.desk.post(&format!("/v1/contracts/{CONTRACT}/users"), &again).status >= 400);
}

#[test]
fn wrong_tries_lock_the_login_until_a_master_unlocks() {
    let s = setting();
    s.bank.act(&s.user, "revoke", "staff-desk").done();
    let wrong = || {
        let more = json!({ "key": { "csr": NewKey::new().request() } });
        s.user.body_with(json!({ "login-password": "not-it", "one-time-password": "123456" }), more)
    };
    for _ in 0..5 {
        s.user.act_with(None, &s.user, "acquire", wrong()).refused(403, "acquisition-refused");
    }
    assert_eq!(s.bank.state(&s.user), "acquisition_locked");
    s.user.try_acquire(None, LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    s.master.act(Some(&s.master_holds), &s.user, "unlock", CONFIRMED).done();
    s.user.acquire(None, LOGIN);
}

#[test]
fn with_the_feature_off_nobody_acquires() {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", CONTRACT);
    let (user, _) = bank.register(CONTRACT, "logid031", "general");
    bank.switch(CONTRACT, "off").done();
    user.try_acquire(None, LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
    bank.switch(CONTRACT, "on").done();
    user.acquire(None, LOGIN);
}
