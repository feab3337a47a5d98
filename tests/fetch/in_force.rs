//! A fetched CRL is in force whatever else is broken (requirement R7).

use crate::common::neighbours::{NEIGHBOURS, with_broken};
use crate::common::{Gateway, TestApp, TestPki, curl, wait_until};
use crate::gateway::{HOST, configuration, issuing, list};
use crate::lists::ListBuilder;
use crate::server::{Answer, RawServer};

/// 0: no handshake.
fn status(gateway: &Gateway, pki: &TestPki, client: &str) -> u16 {
    let answer = curl(gateway, pki, Some(client), &[&gateway.url(HOST, "/echo")]);
    if answer.code == 0 { answer.status() } else { 0 }
}

#[test]
fn a_fetched_crl_is_in_force_whatever_is_broken_beside_it() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::List(list(&pki, 1_000, &[])));
    let gateway = Gateway::start(&pki, &configuration(&app, &server.url()));
    let status = |client: &str| status(&gateway, &pki, client);
    for (number, neighbour) in NEIGHBOURS.iter().enumerate() {
        let client = format!("client-leaving-{number}");
        pki.client(&client, &format!("00009876543 leaving{number} 1635"));
        with_broken(neighbour, &pki, &gateway, || {
            assert_eq!(status(&client), 200, "{}", neighbour.what);
            server.answer(Answer::List(list(&pki, 1_001 + u64::try_from(number).unwrap(), &[&client])));
            wait_until(&format!("the CRL is in force beside {}", neighbour.what), || status(&client) == 0);
            assert_eq!(status("client-good"), 200, "{}", neighbour.what);
        });
    }
}

/// It may revoke whoever is not on the one before.
#[test]
fn a_fetched_crl_that_is_signed_and_malformed_lets_nobody_of_its_ca_in_until_the_next_one() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::List(list(&pki, 1_000, &[])));
    let gateway = Gateway::start(&pki, &configuration(&app, &server.url()));
    let status = |client: &str| status(&gateway, &pki, client);
    assert_eq!(status("client-good"), 200);
    let (key, issuer) = issuing(&pki);
    let malformed = |number: u64| {
        let now = sekisho_runtime::clock::now();
        let list = ListBuilder::new(&key, &issuer).number(number).this_update(now).next_update(now.plus_seconds(3_600));
        Answer::List(list.revoke(pki.serial("client-revoked").unwrap().as_bytes()).revoke(&[]).sign())
    };
    server.answer(malformed(1_001));
    wait_until("it is told", || {
        let (status, told) = gateway.admin_get("/readyz");
        status == 503 && told.contains("state/lists/issuing-") && told.contains("an entry's serial number is empty")
    });
    assert!(gateway.metric("sekisho_crl_current{ca=\"issuing\"}").abs() < f64::EPSILON);
    wait_until("nobody is let in", || ["client-good", "client-revoked"].map(status) == [0, 0]);
    server.answer(Answer::List(list(&pki, 1_002, &["client-revoked"])));
    wait_until("the next one ends it", || gateway.admin_get("/readyz").0 == 200);
    assert_eq!(["client-good", "client-revoked"].map(status), [200, 0]);
    // An older one takes nothing's place.
    server.answer(malformed(1_001));
    let refused =
        format!("sekisho_crl_source_error{{ca=\"issuing\",reason=\"rolled-back\",source=\"{}\"}}", server.url());
    wait_until("it is refused", || gateway.metric(&refused) > 0.5);
    assert_eq!(status("client-good"), 200);
}

#[test]
fn a_source_that_gives_what_is_refused_again_and_again_is_not_ready_and_one_that_is_away_is() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::List(list(&pki, 1_000, &[])));
    let gateway = Gateway::start(&pki, &configuration(&app, &server.url()));
    server.answer(Answer::Close);
    let failures = || {
        gateway
            .metric(&format!("sekisho_crl_source_consecutive_failures{{ca=\"issuing\",source=\"{}\"}}", server.url()))
    };
    wait_until("the server has failed four times", || failures() > 3.5);
    assert_eq!(gateway.admin_get("/readyz").0, 200, "nextUpdate tells when its CRL is missed");
    server.answer(Answer::List(list(&pki, 999, &["client-good"])));
    wait_until("the older CRL is told", || {
        let (status, told) = gateway.admin_get("/readyz");
        status == 503 && told.contains(&server.url()) && told.contains("rolled-back")
    });
    assert!(gateway.metric("sekisho_crl_current{ca=\"issuing\"}").abs() < f64::EPSILON);
    assert!((gateway.metric("sekisho_crl_current{ca=\"root\"}") - 1.0).abs() < f64::EPSILON);
    server.answer(Answer::List(list(&pki, 1_001, &[])));
    wait_until("a newer one ends that", || gateway.admin_get("/readyz").0 == 200);
}
