//! Lists, certificates, history, notices.

use crate::support::{Bank, Held, Issuer, Person};
use reqwest::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

/// AnserBizSOL's contract C1 with a master and a general user, both with certificates.
fn anser() -> (Issuer, Bank, Vec<(Person, Held)>) {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", "C1");
    let people = [("boss", "master"), ("clerk", "general")].map(|(user, role)| {
        let (person, _) = bank.register("C1", user, role);
        let held = person.acquire(None, &["login-password", "one-time-password"]);
        (person, held)
    });
    (issuer, bank, people.into_iter().collect())
}

fn texts(items: &Value, field: &str) -> Vec<String> {
    items["items"].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pages_lead_to_every_entry_once() {
    let issuer = Issuer::of(&["bizstation"]);
    let bank = issuer.bank();
    for contract in ["C1", "C2", "C3"] {
        bank.open("bizstation", contract);
    }
    for user in ["a", "b.c", "d@e", "f-g", "h_i"] {
        let body = serde_json::json!({ "id": user, "role": "user", "staff": crate::support::staff("paper-form") });
        let answer = bank.desk.post("/v1/contracts/C1/users", &body);
        if answer.status != 201 {
            // The profile's rule for IDs: letters and digits.
            answer.refused(409, "not-possible-now");
        }
    }
    for user in ["u1", "u2", "u3", "u4"] {
        bank.register("C1", user, "user");
    }
    for (path, field, expected) in [
        ("/v1/contracts/C1/users", "user", &["a", "u1", "u2", "u3", "u4"][..]),
        ("/v1/contracts", "id", &["C1", "C2", "C3"]),
    ] {
        let (mut found, mut next, mut pages) = (Vec::new(), Some(format!("{path}?limit=2")), 0);
        while let Some(here) = next {
            let answer = bank.ib.get(&here);
            let page = answer.done();
            let on_page = texts(&page, field);
            assert!((1..=2).contains(&on_page.len()), "{page}");
            found.extend(on_page);
            next = page["next"].as_str().map(str::to_owned);
            let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
            assert_eq!(answer.header("link"), link.as_deref());
            pages += 1;
        }
        assert_eq!(
            (found.as_slice(), pages),
            (expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(), expected.len().div_ceil(2))
        );
    }
    // History goes back, newest first.
    let all = bank.ib.get("/v1/contracts/C1/history?limit=200").done();
    let (mut found, mut next) = (Vec::new(), Some("/v1/contracts/C1/history?limit=3".to_owned()));
    while let Some(here) = next {
        let page = bank.ib.get(&here).done();
        found.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(&Value::Array(found), &all["items"]);
}

#[test]
fn a_certificate_is_given_in_pem_or_der_as_asked() {
    let (issuer, bank, people) = anser();
    let (person, held) = &people[0];
    let path = person.path("certificate");
    let pem = bank.ib.get(&path);
    assert_eq!((pem.status, pem.header("content-type")), (200, Some("application/pem-certificate-chain")));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem.body).map(Result::unwrap).collect();
    assert_eq!((chain[0].clone(), chain.len()), (held.der(), 1 + held.chain.len()));
    let accept = |form: &str| bank.ib.send(Method::GET, &path, &[("accept", form)], None);
    let der = accept("application/pkix-cert");
    assert_eq!((der.header("content-type"), der.body.as_slice()), (Some("application/pkix-cert"), held.der().as_ref()));
    accept("text/html").refused(406, "not-acceptable");
    // Their own, and nobody's who has none.
    let as_user = issuer.client(None).with_certificate(&held.fingerprint(), &issuer.plan.gateway);
    assert_eq!(as_user.get(&path).body, pem.body);
    bank.register("C1", "new", "general");
    bank.ib.get("/v1/contracts/C1/users/new/certificate").refused(404, "not-found");
}

#[test]
fn users_see_that_something_was_refused_and_services_why() {
    let (issuer, bank, people) = anser();
    let ((master, held), (clerk, _)) = (&people[0], &people[1]);
    master.act(Some(held), clerk, "suspend", &[]).refused(403, "proof-required");
    bank.act(clerk, "suspend", "staff-desk").done();
    let as_user = issuer.client(None).with_certificate(&held.fingerprint(), &issuer.plan.gateway);
    let path = format!("{}?limit=2", clerk.path("history"));
    let (shown, told) = (as_user.get(&path).done(), bank.ib.get(&path).done());
    assert_eq!(texts(&shown, "result"), ["done", "refused"]);
    assert_eq!(texts(&shown, "command"), ["suspend", "suspend"]);
    for entry in shown["items"].as_array().unwrap() {
        for hidden in ["reason", "caller", "address"] {
            assert!(entry.get(hidden).is_none(), "{entry}");
        }
    }
    assert_eq!(shown["items"][0]["actor"], serde_json::json!({ "kind": "staff" }));
    assert_eq!(shown["items"][0]["channel"], "staff-desk");
    let told = told["items"].as_array().unwrap();
    assert_eq!((told[0]["actor"]["maker"].as_str(), told[0]["caller"].as_str()), (Some("t0123"), Some("desk")));
    assert!(told[1]["reason"].is_string(), "{}", told[1]);
    assert_eq!(told[1]["address"], "192.0.2.7");
}

#[test]
fn a_list_shows_the_products_own_words_and_an_expiry_only_where_a_certificate_lives() {
    let (issuer, bank, people) = anser();
    bank.register("C1", "new", "general");
    bank.act(&people[1].0, "revoke", "staff-desk").done();
    let listed = bank.ib.get("/v1/contracts/C1/users").done();
    assert_eq!(texts(&listed, "user"), ["boss", "clerk", "new"]);
    assert_eq!(texts(&listed, "state"), ["issued", "revoked", "not_issued"]);
    let items = listed["items"].as_array().unwrap();
    let japanese: Vec<_> = items.iter().map(|item| item["label"]["ja"].as_str().unwrap()).collect();
    assert!(japanese[2].contains("未発行"), "{japanese:?}");
    assert!(items[0]["expiry"].is_string() && items[1]["expiry"].is_null() && items[2]["expiry"].is_null());
    assert_eq!(items[0]["serial"].as_str().unwrap(), people[0].1.serial());
    assert_eq!(items[0]["contact"]["mail"], "taro@example.co.jp");
    // A user who may see the list sees everybody's name 利用者名, their own address and nobody else's.
    let as_user = issuer.client(None).with_certificate(&people[0].1.fingerprint(), &issuer.plan.gateway);
    let listed = as_user.get("/v1/contracts/C1/users").done();
    let contacts: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item["contact"]).collect();
    assert!(contacts.iter().all(|contact| contact["name"] == "試験 太郎"), "{contacts:?}");
    assert_eq!(contacts.iter().map(|contact| contact["mail"].is_null()).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn notices_are_shown_newest_first() {
    let (_issuer, bank, people) = anser();
    let (clerk, held) = &people[1];
    bank.act(clerk, "revoke", "staff-desk").done();
    let listed = bank.ib.get(&clerk.path("notices")).done();
    assert_eq!(texts(&listed, "about"), ["revoked", "issued"]);
    assert_eq!(listed["items"][0]["serial"].as_str().unwrap(), held.serial());
    assert_eq!(bank.ib.get(&(clerk.path("notices") + "?limit=1")).done()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn how_to_reach_a_user_is_set_by_staff_and_shown() {
    let (_issuer, bank, people) = anser();
    let path = people[1].0.path("contact");
    let contact = serde_json::json!({ "name": "Hanako", "mail": "hanako@example.com", "language": "en" });
    let body = serde_json::json!({ "contact": contact, "staff": crate::support::staff("staff-desk") });
    assert_eq!(bank.desk.put(&path, &body).done()["user"]["contact"], contact);
    assert_eq!(bank.user(&people[1].0)["contact"], contact);
    for mail in ["hanako", "a@b\r\nBcc: c@d.jp", "a..b@example.jp", "@example.jp", "a@-example.jp"] {
        let contact = serde_json::json!({ "mail": mail });
        let body = serde_json::json!({ "contact": contact, "staff": crate::support::staff("staff-desk") });
        let answer = bank.desk.put(&path, &body);
        answer.refused(400, "bad-request");
        assert_eq!(answer.json()["field"], "mail");
    }
}
