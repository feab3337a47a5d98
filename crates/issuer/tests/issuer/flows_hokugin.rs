//! Hokugin Business IB and WebJr (004): masters and administrators revoke others and themselves; general users nobody.

use crate::support::{Bank, Held, Issuer, NewKey, Person};
use serde_json::json;

const CONTRACT: &str = "H7654321";
const LOGIN: &[&str] = &["login-password"];
const CONFIRMED: &[&str] = &["confirmation-password"];

struct Setting {
    issuer: Issuer,
    bank: Bank,
    master: (Person, Held),
    administrator: (Person, Held),
    general: (Person, Held),
}

/// A contract with one user of each role, who hold certificates.
fn setting() -> Setting {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", CONTRACT);
    let make = |user: &str, role: &str| {
        let (person, _) = bank.register(CONTRACT, user, role);
        let held = person.acquire(None, LOGIN);
        (person, held)
    };
    let (master, administrator, general) =
        (make("master01", "master"), make("kanri01", "administrator"), make("ippan01", "general"));
    Setting { issuer, bank, master, administrator, general }
}

#[test]
fn an_acquisition_takes_the_login_password_and_ends_a_year_later_to_the_second() {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", CONTRACT);
    let (user, _) = bank.register(CONTRACT, "ippan01", "general");
    user.try_acquire(None, &[], &NewKey::new()).refused(403, "acquisition-refused");
    let held = user.acquire(None, LOGIN);
    assert!(held.subject().starts_with("CN=ippan01 A001 "), "{}", held.subject());
    let parsed = held.parsed();
    assert_eq!(bank.user(&user)["label"]["ja"], "発行済");
    // It begins a little before it was made, for gateways whose clocks are behind, but not before its authority.
    let made = parsed.not_after().plus_seconds(-365 * 86_400);
    let (now, begin) = (sekisho_runtime::clock::now(), parsed.not_before());
    assert!(made <= now && now <= made.plus_seconds(60), "{made} {now}");
    assert!(made.plus_seconds(-300) <= begin && begin <= made, "{begin} {made}");
}

#[test]
fn a_master_revokes_everybody_and_themselves() {
    let s = setting();
    let (master, holds) = (&s.master.0, Some(&s.master.1));
    for (other, held) in [&s.general, &s.administrator] {
        let done = master.act(holds, other, "revoke", CONFIRMED).done();
        assert_eq!(done["user"]["label"]["ja"], "失効済");
        s.issuer.wait_for_list("hkg", &held.serial(), Some(0));
    }
    master.act(holds, master, "revoke", CONFIRMED).done();
    s.issuer.wait_for_list("hkg", &s.master.1.serial(), Some(0));
    // Whoever revoked their own certificate has none to act with.
    master.act(holds, &s.general.0, "suspend", CONFIRMED).problem();
    master.acquire(None, LOGIN);
}

#[test]
fn an_administrator_revokes_general_users_and_themselves_and_nobody_else() {
    let s = setting();
    let (other, _) = s.bank.register(CONTRACT, "kanri02", "administrator");
    let other_holds = other.acquire(None, LOGIN);
    let (administrator, holds) = (&s.administrator.0, Some(&s.administrator.1));
    administrator.act(holds, &s.master.0, "revoke", CONFIRMED).refused(403, "not-permitted");
    administrator.act(holds, &other, "revoke", CONFIRMED).refused(403, "not-permitted");
    assert_eq!(s.issuer.list("hkg"), []);
    administrator.act(holds, &s.general.0, "revoke", CONFIRMED).done();
    administrator.act(holds, administrator, "revoke", CONFIRMED).done();
    s.issuer.wait_for_list("hkg", &s.administrator.1.serial(), Some(0));
    s.issuer.wait_for_list("hkg", &other_holds.serial(), None);
}

#[test]
fn a_general_user_revokes_nobody_not_even_themselves() {
    let s = setting();
    let (general, holds) = (&s.general.0, Some(&s.general.1));
    for on in [general, &s.master.0, &s.administrator.0] {
        general.act(holds, on, "revoke", CONFIRMED).refused(403, "not-permitted");
    }
    assert_eq!(s.issuer.list("hkg"), []);
}

#[test]
fn a_renewal_in_the_window_takes_certificate_and_login_password() {
    let s = setting();
    let issuer = s.issuer.days_ahead(330);
    let bank = issuer.bank();
    let user = bank.person(CONTRACT, "ippan01");
    let key = NewKey::new();
    let body = user.body(LOGIN, json!({ "key": { "csr": key.request() } }));
    user.act_with(None, &user, "renew", body.clone()).refused(403, "proof-required");
    let new = key.held(&user.act_with(Some(&s.general.1), &user, "renew", body).done());
    issuer.wait_for_list("hkg", &s.general.1.serial(), Some(4));
    assert_eq!(bank.user(&user)["serial"], new.serial().as_str());
}

#[test]
fn nobody_of_one_contract_acts_on_another() {
    let s = setting();
    s.bank.open("hokugin", "H0000001");
    let (other, _) = s.bank.register("H0000001", "ippan91", "general");
    let other_holds = other.acquire(None, LOGIN);
    s.master.0.act(Some(&s.master.1), &other, "revoke", CONFIRMED).refused(403, "not-permitted");
    let browser = s.issuer.client(None).with_certificate(&s.master.1.fingerprint(), &s.issuer.plan.gateway);
    browser
        .post(&other.path("revoke"), &json!({ "factors": s.master.0.factors(CONFIRMED) }))
        .refused(403, "not-permitted");
    browser.get("/v1/contracts/H0000001").refused(403, "not-permitted");
    assert_eq!(browser.get(&format!("/v1/contracts/{CONTRACT}")).status, 200);
    s.issuer.wait_for_list("hkg", &other_holds.serial(), None);
}

#[test]
fn whoever_changes_an_address_or_a_password_does_not_hide_it_from_the_user() {
    let s = setting();
    let (user, path) = (&s.general.0, format!("/v1/contracts/{CONTRACT}/users/{}", s.general.0.user));
    let told = || {
        let listed = s.bank.ib.get(&format!("{path}/notices")).done();
        let items = listed["items"].as_array().unwrap().clone();
        let about = |item: &serde_json::Value| item["about"].as_str().unwrap().to_owned();
        items.iter().map(about).filter(|about| ["contact", "credentials"].contains(&about.as_str())).collect::<Vec<_>>()
    };
    assert!(told().is_empty(), "the first passwords are no change");
    s.bank.equip(CONTRACT, &user.user);
    assert_eq!(told(), ["credentials"]);
    let contact = |mail: &str| {
        let contact = json!({ "name": "試験 太郎", "mail": mail, "language": "ja" });
        let body = json!({ "contact": contact, "staff": crate::support::staff("staff-desk") });
        s.bank.desk.put(&format!("{path}/contact"), &body)
    };
    contact("thief@example.jp").done();
    assert_eq!(told(), ["contact", "credentials"]);
    // The same once more changes nothing.
    contact("thief@example.jp").done();
    assert_eq!(told().len(), 2);
    // Nothing in a name makes an address of it or turns the text round.
    for name in ["http://phish.example/ - log in now", "x@phish.example", "a\u{202e}b", "\u{3164}", "a\u{2028}b"] {
        let body = json!({ "contact": { "name": name, "mail": "taro@example.jp", "language": "ja" }, "staff": crate::support::staff("staff-desk") });
        s.bank.desk.put(&format!("{path}/contact"), &body).refused(400, "bad-request");
    }
}
