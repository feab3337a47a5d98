//! Shinkin (003): PIN and one-time password; the administrator chooses continue, reissue or revoke for users, and their
//! own certificate is the bank's affair.

use crate::support::{Bank, Held, Issuer, NewKey, Person};
use serde_json::{Value, json};

const CONTRACT: &str = "00009876543";
const PIN: &[&str] = &["pin", "one-time-password"];
/// What the administrator's acts take: ご契約先確認暗証番号, and their certificate.
const CONFIRMED: &[&str] = &["contract-confirmation-pin"];
const SUPERSEDED: u8 = 4;

struct Setting {
    issuer: Issuer,
    bank: Bank,
    administrator: (Person, Held),
    user: (Person, Held),
}

fn setting() -> Setting {
    let issuer = Issuer::of(&["shinkin"]);
    let bank = issuer.bank();
    bank.open("shinkin", CONTRACT);
    let make = |user: &str, role: &str| {
        let (person, _) = bank.register(CONTRACT, user, role);
        let held = person.acquire(None, PIN);
        (person, held)
    };
    let (administrator, user) = (make("kanrisya", "administrator"), make("riyousya", "user"));
    Setting { issuer, bank, administrator, user }
}

#[test]
fn names_are_contract_user_and_1635_and_an_administrators_has_no_user() {
    let s = setting();
    assert_eq!(s.user.1.subject(), "CN=00009876543 riyousya 1635");
    assert_eq!(s.administrator.1.subject(), "CN=00009876543 1635");
    let told = s.bank.user(&s.user.0);
    assert_eq!((told["issue_number"].as_str(), told["serial"].as_str()), (Some("001"), Some(&*s.user.1.serial())));
    assert!(told["registered_at"].is_string(), "電子証明書発行データ登録日: {told}");
    assert!(s.user.1.parsed().not_after().to_string().ends_with("T23:59:59Z"));
}

#[test]
fn an_acquisition_takes_pin_and_one_time_password() {
    let issuer = Issuer::of(&["shinkin"]);
    let bank = issuer.bank();
    bank.open("shinkin", CONTRACT);
    let (user, registered) = bank.register(CONTRACT, "riyousya", "user");
    assert_eq!(registered["user"]["state"], "awaiting_acquisition");
    for factors in [&["pin"][..], &["one-time-password"], &["login-password", "one-time-password"]] {
        user.try_acquire(None, factors, &NewKey::new()).refused(403, "acquisition-refused");
    }
    let user = bank.person(CONTRACT, "riyousya");
    let body = user.body_with(
        json!({ "pin": "00000000", "one-time-password": "000000" }),
        json!({ "key": { "csr": NewKey::new().request() } }),
    );
    user.act_with(None, &user, "acquire", body).refused(403, "acquisition-refused");
    assert_eq!(bank.state(&user), "awaiting_acquisition");
}

#[test]
fn an_administrator_continues_a_certificate_and_it_is_written_down() {
    let s = setting();
    let (administrator, holds) = (&s.administrator.0, Some(&s.administrator.1));
    let done = administrator.act(holds, &s.user.0, "continue", CONFIRMED).done();
    assert_eq!(done["user"]["serial"], s.user.1.serial().as_str());
    assert_eq!(s.bank.history(&s.user.0)[0], ("continue".to_owned(), "done".to_owned()));
    assert_eq!(s.issuer.list("shk"), []);
}

#[test]
fn an_administrator_reissues_and_the_old_certificate_is_revoked_at_once() {
    let s = setting();
    let (administrator, holds) = (&s.administrator.0, Some(&s.administrator.1));
    administrator.act(None, &s.user.0, "reissue", CONFIRMED).refused(403, "proof-required");
    administrator.act(holds, &s.user.0, "reissue", &[]).refused(403, "proof-required");
    let wrong = administrator.body_with(json!({ "contract-confirmation-pin": "00000000" }), json!({}));
    administrator.act_with(holds, &s.user.0, "reissue", wrong).refused(403, "proof-required");
    assert_eq!(s.bank.state(&s.user.0), "issued");

    let done = administrator.act(holds, &s.user.0, "reissue", CONFIRMED).done();
    assert!(done.get("acquisition_password").is_none_or(Value::is_null), "this product has none");
    s.issuer.wait_for_list("shk", &s.user.1.serial(), Some(SUPERSEDED));
    let new = s.user.0.acquire(None, PIN);
    assert_eq!(new.subject(), s.user.1.subject(), "the name is the same, the certificate another");
    assert_eq!(s.bank.user(&s.user.0)["issue_number"], "002");
}

#[test]
fn an_administrator_revokes_a_users_certificate() {
    let s = setting();
    let (administrator, holds) = (&s.administrator.0, Some(&s.administrator.1));
    let done = administrator.act(holds, &s.user.0, "revoke", CONFIRMED).done();
    assert_eq!(done["user"]["label"]["ja"], "失効");
    s.issuer.wait_for_list("shk", &s.user.1.serial(), Some(0));
    s.user.0.try_acquire(None, PIN, &NewKey::new()).refused(403, "acquisition-refused");
    administrator.act(holds, &s.user.0, "offer", CONFIRMED).done();
    // Their one-time passwords of this half minute are used; another clock has others.
    assert_eq!(s.bank.state(&s.user.0), "awaiting_acquisition");
}

#[test]
fn an_administrators_own_certificate_is_not_reissued_online() {
    let s = setting();
    let (administrator, holds) = (&s.administrator.0, Some(&s.administrator.1));
    for act in ["reissue", "revoke", "continue", "offer"] {
        administrator.act(holds, administrator, act, CONFIRMED).refused(403, "not-permitted");
    }
    assert_eq!(s.issuer.list("shk"), []);
    s.bank.act(administrator, "reissue", "staff-desk").refused(403, "not-permitted");
    s.bank.act(administrator, "reissue", "paper-form").done();
    s.issuer.wait_for_list("shk", &s.administrator.1.serial(), Some(SUPERSEDED));
    let new = administrator.acquire(None, PIN);
    assert_eq!(new.subject(), "CN=00009876543 1635");
}

#[test]
fn a_user_does_nothing_of_the_administrators() {
    let s = setting();
    let (user, holds) = (&s.user.0, Some(&s.user.1));
    for act in ["continue", "reissue", "revoke", "suspend", "unlock"] {
        user.act(holds, user, act, CONFIRMED).refused(403, "not-permitted");
        user.act(holds, &s.administrator.0, act, CONFIRMED).refused(403, "not-permitted");
    }
    assert_eq!(s.issuer.list("shk"), []);
}

#[test]
fn there_is_no_renewal() {
    let s = setting();
    let issuer = s.issuer.days_ahead(340);
    let user = issuer.bank().person(CONTRACT, "riyousya");
    assert_eq!(issuer.bank().state(&user), "issued", "never renewable");
    let body = user.body(PIN, json!({ "key": { "csr": NewKey::new().request() } }));
    user.act_with(Some(&s.user.1), &user, "renew", body).refused(403, "not-permitted");
}

#[test]
fn a_suspended_user_keeps_a_certificate_that_opens_nothing() {
    let s = setting();
    let (administrator, holds) = (&s.administrator.0, Some(&s.administrator.1));
    administrator.act(holds, &s.user.0, "suspend", CONFIRMED).done();
    s.issuer.wait_for_list("shk", &s.user.1.serial(), Some(6));
    let browser = s.issuer.client(None).with_certificate(&s.user.1.fingerprint(), &s.issuer.plan.gateway);
    browser.get(&format!("/v1/contracts/{CONTRACT}/users/riyousya")).problem();
    administrator.act(holds, &s.user.0, "resume", CONFIRMED).done();
    s.issuer.wait_for_list("shk", &s.user.1.serial(), None);
    assert_eq!(browser.get(&format!("/v1/contracts/{CONTRACT}/users/riyousya")).done()["standing"], "active");
}

#[test]
fn pins_are_guessed_five_times_at_most() {
    let s = setting();
    s.bank.act(&s.user.0, "reissue", "paper-form").done();
    for _ in 0..5 {
        let body = s.user.0.body_with(
            json!({ "pin": "00000000", "one-time-password": "000000" }),
            json!({ "key": { "csr": NewKey::new().request() } }),
        );
        s.user.0.act_with(None, &s.user.0, "acquire", body).refused(403, "acquisition-refused");
    }
    assert_eq!(s.bank.user(&s.user.0)["label"]["ja"], "ロック中");
    s.user.0.try_acquire(None, PIN, &NewKey::new()).refused(403, "acquisition-refused");
    s.administrator.0.act(Some(&s.administrator.1), &s.user.0, "unlock", CONFIRMED).done();
    // The one above was used up where it was right; a later one is taken.
    s.user.0.acquire(None, PIN);
}
