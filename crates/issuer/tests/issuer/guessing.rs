//! What a guesser could learn, and what a stranger could do to others: nothing.

use crate::support::{Bank, Issuer, NewKey, Person, staff};
use serde_json::{Value, json};

const CONTRACT: &str = "H7654321";
const LOGIN: &[&str] = &["login-password"];

/// A contract with a master and a general user, who hold certificates.
fn setting() -> (Issuer, Bank, Person, Person, NewKey) {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", CONTRACT);
    let (master, _) = bank.register(CONTRACT, "master01", "master");
    let (user, _) = bank.register(CONTRACT, "ippan01", "general");
    let key = NewKey::new();
    key.held(&user.try_acquire(None, LOGIN, &key).done());
    (issuer, bank, master, user, key)
}

fn guess(person: &Person, csr: &str) -> Value {
    person.body_with(json!({ "login-password": "guessed" }), json!({ "key": { "csr": csr } }))
}

/// Status and problem, which is all that may be compared.
fn told(answer: &crate::support::Answer) -> (u16, String) {
    (answer.status, answer.problem())
}

#[test]
fn a_key_that_was_certified_before_tells_no_right_password_from_a_wrong_one() {
    let (_issuer, _bank, master, user, used) = setting();
    let csr = used.request();
    // A user who holds a certificate, and one who does not: the guesser's own old key is in the request.
    let wrong = user.act_with(None, &user, "acquire", guess(&user, &csr));
    let right = user.try_acquire(None, LOGIN, &used);
    assert_eq!(
        (told(&right), told(&wrong)),
        ((403, "acquisition-refused".into()), (403, "acquisition-refused".into()))
    );
    let wrong = master.act_with(None, &master, "acquire", guess(&master, &csr));
    assert_eq!(told(&wrong), (403, "acquisition-refused".into()));
    // Only who would get a certificate learns that this key gets none.
    master.try_acquire(None, LOGIN, &used).refused(422, "key-not-acceptable");
}

#[test]
fn an_idempotency_key_of_another_request_is_refused_whatever_the_password() {
    let (_issuer, _bank, master, _user, _) = setting();
    let csr = NewKey::new().request();
    master.act_with_key(None, &master, "acquire", "k1", master.acquisition(None, LOGIN, &csr)).done();
    for body in [guess(&master, &csr), master.acquisition(None, LOGIN, &NewKey::new().request())] {
        master.act_with_key(None, &master, "acquire", "k1", body).refused(422, "idempotency-key-reused");
    }
}

#[test]
fn a_contract_that_is_not_there_answers_as_one_that_is() {
    let (_issuer, bank, _master, user, _) = setting();
    let nobody = bank.person("H0000000", "ippan01");
    for key in [json!({ "csr": "-----BEGIN nonsense-----" }), json!({ "p12_password": "" })] {
        let body = |person: &Person| person.body_with(json!({ "login-password": "guessed" }), json!({ "key": key }));
        let there = user.act_with(None, &user, "acquire", body(&user));
        let not_there = nobody.act_with(None, &nobody, "acquire", body(&nobody));
        assert_eq!(told(&there), told(&not_there), "{key}");
    }
    for act in ["revoke", "suspend", "unlock"] {
        let there = user.act_with(None, &user, act, user.body_with(json!({ "confirmation-password": "x" }), json!({})));
        let not_there = bank.person("H0000000", "ippan01");
        let body = not_there.body_with(json!({ "confirmation-password": "x" }), json!({}));
        assert_eq!(told(&there), told(&not_there.act_with(None, &not_there, act, body)), "{act}");
    }
}

#[test]
fn strangers_wrong_tries_lock_no_honest_user_and_keep_no_certificate_out() {
    let (_issuer, bank, master, user, _) = setting();
    let csr = NewKey::new().request();
    // From one address, at users who are not there: the twentieth throttles the address.
    for number in 0..20 {
        let stranger = bank.person(CONTRACT, &format!("nobody{number}"));
        stranger.act_with(None, &stranger, "acquire", guess(&stranger, &csr)).refused(403, "acquisition-refused");
    }
    let key = NewKey::new();
    for _ in 0..6 {
        master.try_acquire(None, LOGIN, &key).refused(403, "acquisition-refused");
    }
    assert_eq!(bank.user(&master)["lock"], "open", "the honest tries were counted against the user");
    assert_eq!(bank.state(&user), "issued");
    // From elsewhere it goes on.
    let mut body = master.acquisition(None, LOGIN, &key.request());
    body["client_address"] = "192.0.2.99".into();
    master.act_with(None, &master, "acquire", body).done();
}

#[test]
fn addresses_of_one_ipv6_host_are_one() {
    let (_issuer, bank, master, _user, _) = setting();
    let csr = NewKey::new().request();
    let from = |mut body: Value, address: String| {
        body["client_address"] = address.into();
        body
    };
    for number in 1..=20 {
        let stranger = bank.person(CONTRACT, &format!("nobody{number}"));
        let body = from(guess(&stranger, &csr), format!("2001:db8:1:2::{number:x}"));
        stranger.act_with(None, &stranger, "acquire", body).refused(403, "acquisition-refused");
    }
    let honest = |address: &str| from(master.acquisition(None, LOGIN, &csr), address.to_owned());
    let same = master.act_with(None, &master, "acquire", honest("2001:db8:1:2:ffff::1"));
    same.refused(403, "acquisition-refused");
    master.act_with(None, &master, "acquire", honest("2001:db8:1:3::1")).done();
}

#[test]
fn a_lock_is_in_the_history_beside_the_try_that_brought_it() {
    let (_issuer, bank, master, _user, _) = setting();
    let csr = NewKey::new().request();
    for _ in 0..5 {
        master.act_with(None, &master, "acquire", guess(&master, &csr)).refused(403, "acquisition-refused");
    }
    assert_eq!(bank.user(&master)["lock"], "locked");
    let history = bank.history(&master);
    let newest: Vec<_> = history.iter().take(3).map(|(command, result)| (command.as_str(), result.as_str())).collect();
    assert_eq!(newest, [("lock", "done"), ("acquire", "refused"), ("acquire", "refused")]);
    // The right password opens nothing now, and is not told from a wrong one.
    master.try_acquire(None, LOGIN, &NewKey::new()).refused(403, "acquisition-refused");
}

#[test]
fn what_a_stranger_tries_on_a_contract_is_not_in_its_history() {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    for contract in [CONTRACT, "H2"] {
        bank.open("hokugin", contract);
    }
    let (victim, _) = bank.register(CONTRACT, "ippan01", "general");
    let (stranger, _) = bank.register("H2", "master01", "master");
    let held = stranger.acquire(None, LOGIN);
    let client = issuer.client(None).with_certificate(&held.fingerprint(), &issuer.plan.gateway);
    let before = bank.history(&victim).len();
    client.post(&victim.path("revoke"), &json!({ "factors": {} })).refused(403, "not-permitted");
    assert!(client.post(&victim.path("revoke"), &json!({ "nonsense": 1 })).status == 400);
    assert_eq!(bank.history(&victim).len(), before);
    assert_eq!(bank.history(&stranger)[0], ("revoke".to_owned(), "refused".to_owned()));
}

#[test]
fn switching_off_is_in_every_users_own_history() {
    let (_issuer, bank, _master, user, _) = setting();
    bank.switch(CONTRACT, "off").done();
    assert_eq!(bank.history(&user)[0], ("switch-off".to_owned(), "done".to_owned()));
    assert_eq!(bank.state(&user), "revoked");
}

#[test]
fn one_keys_of_two_callers_are_two_requests() {
    let issuer = Issuer::of(&["shinkin"]);
    let bank = issuer.bank();
    bank.open("shinkin", "00009876543");
    let (administrator, _) = bank.register("00009876543", "kanrisya", "administrator");
    let holds = administrator.acquire(None, &["pin", "one-time-password"]);
    let (user, _) = bank.register("00009876543", "riyousya", "user");
    let body = |by: Value| json!({ "staff": by });
    let path = user.path("reissue");
    bank.desk.post_with_key(&path, "k1", &body(staff("paper-form"))).done();
    // The same key at the IB system: another request, which is done.
    administrator
        .act_with_key(
            Some(&holds),
            &user,
            "reissue",
            "k1",
            administrator.body(&["contract-confirmation-pin"], json!({})),
        )
        .done();
    let reissued = bank.history(&user).iter().filter(|(command, _)| command == "reissue").count();
    assert_eq!(reissued, 2);
    // The repeat of a request without a secret is answered as it was, and done no second time.
    bank.desk.post_with_key(&path, "k1", &body(staff("paper-form"))).done();
    assert_eq!(bank.history(&user).iter().filter(|(command, _)| command == "reissue").count(), 2);
}

#[test]
fn one_person_in_two_spellings_is_not_two() {
    let (_issuer, bank, _master, user, _) = setting();
    let body = json!({ "staff": { "maker": "t0123", "checker": "T0123", "channel": "staff-desk" } });
    bank.desk.post(&user.path("revoke"), &body).refused(400, "bad-request");
    assert_eq!(bank.state(&user), "issued");
}

#[test]
fn a_right_password_without_the_rest_is_a_wrong_try_of_its_address_too() {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", "A0001234");
    let (user, _) = bank.register("A0001234", "ippan01", "general");
    let csr = NewKey::new().request();
    for _ in 0..20 {
        user.act_with(None, &user, "acquire", user.acquisition(None, LOGIN, &csr)).refused(403, "acquisition-refused");
    }
    let whole = |address: &str| {
        let mut body = user.acquisition(None, &["login-password", "one-time-password"], &csr);
        body["client_address"] = address.into();
        user.act_with(None, &user, "acquire", body)
    };
    whole("192.0.2.7").refused(403, "acquisition-refused");
    assert_eq!(bank.user(&user)["lock"], "open");
    whole("192.0.2.99").done();
}

#[test]
fn strangers_keep_no_manager_with_a_certificate_from_their_acts() {
    let (_issuer, bank, master, user, _) = setting();
    let held = master.acquire(None, LOGIN);
    let csr = NewKey::new().request();
    for _ in 0..5 {
        master.act_with(None, &master, "acquire", guess(&master, &csr)).refused(403, "acquisition-refused");
    }
    assert_eq!(bank.user(&master)["locked_by"], "wrong-tries");
    master.act(Some(&held), &user, "suspend", &["confirmation-password"]).done();
    // Without the certificate the lock holds, whatever else is right.
    master.act(None, &user, "revoke", &["confirmation-password"]).refused(403, "proof-required");
    // Four slips and a right one, again and again: they are forgotten.
    let slip = || master.body_with(json!({ "confirmation-password": "slip" }), json!({}));
    for act in ["resume", "suspend"] {
        for _ in 0..4 {
            master.act_with(Some(&held), &user, act, slip()).refused(403, "proof-required");
        }
        master.act(Some(&held), &user, act, &["confirmation-password"]).done();
    }
    // The fifth in a row locks the acts, too: the certificate may be in other hands.
    for _ in 0..5 {
        master.act_with(Some(&held), &user, "resume", slip()).refused(403, "proof-required");
    }
    assert_eq!(bank.user(&master)["locked_by"], "wrong-acts");
    master.act(Some(&held), &user, "resume", &["confirmation-password"]).refused(403, "proof-required");
    bank.act(&master, "unlock", "paper-form").done();
    master.act(Some(&held), &user, "resume", &["confirmation-password"]).done();
}

#[test]
fn tries_at_made_up_users_keep_nobody_of_the_contract_out() {
    let (_issuer, bank, master, _user, _) = setting();
    let csr = NewKey::new().request();
    for number in 0..60 {
        let ghost = bank.person(CONTRACT, &format!("ghost{number}"));
        let mut body = guess(&ghost, &csr);
        body["client_address"] = format!("203.0.{}.7", number / 10).into();
        ghost.act_with(None, &ghost, "acquire", body).refused(403, "acquisition-refused");
    }
    master.acquire(None, LOGIN);
}
