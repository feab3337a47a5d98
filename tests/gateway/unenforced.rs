//! What a CA's `when_stale` lets pass: served, recorded and counted; what a list revokes is refused all the same
//! (requirement R4).

use crate::common::{Gateway, Setup, TestApp, TestPki, TlsClient, Version, wait_until};
use sekisho::gateway::verify::Reason;

const IB: &str = "ib.localhost";

/// The demo's configuration with another source of lists.
fn with_lists(app: &TestApp, revocation: &str) -> String {
    let demo = Setup::configuration(app);
    let ours = r#"revocation = { crl = ["crl.pem"] }"#;
    assert!(demo.contains(ours), "{demo}");
    demo.replace(ours, &format!("revocation = {revocation}"))
}

fn unenforced(gateway: &Gateway, ca: &str) -> f64 {
    let reason = Reason::RevocationUnavailable.as_str();
    gateway.metric(&format!("sekisho_unenforced_refusals_total{{ca=\"{ca}\",reason=\"{reason}\"}}"))
}

#[test]
fn report_only_serves_without_a_list_says_so_and_refuses_once_a_list_revokes() {
    let (mut pki, app) = (TestPki::new(), TestApp::new());
    let config = with_lists(&app, r#"{ crl = ["late.pem"], when_stale = "report-only" }"#);
    let gateway = Gateway::start(&pki, &config);
    assert_eq!(gateway.admin_get("/readyz").0, 200, "it refuses nobody");
    let before: f64 = ["root", "issuing"].iter().map(|ca| unenforced(&gateway, ca)).sum();
    assert!(before.abs() < f64::EPSILON, "counted from 0 on");
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    let (answer, mut connection) = client.get(&gateway, IB, "/echo").unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(connection.get(IB, "/echo?again").unwrap().status, 200);
    wait_until("a handshake and two requests are counted", || (unenforced(&gateway, "issuing") - 3.0).abs() < 0.5);
    let record = gateway.record("the handshake", |record| record["kind"] == "authentication");
    assert_eq!((&record["outcome"], &record["reason"]), (&"accepted".into(), &"".into()), "{record}");
    let told = &record["unenforced"];
    assert_eq!((&told["ca"], &told["reason"]), (&"issuing".into(), &"revocation-unavailable".into()), "{record}");
    assert!(told["evidence"].as_str().unwrap().contains("no revocation list was accepted"), "{record}");
    let access = gateway.record("the request", |record| record["kind"] == "access");
    assert_eq!(access["unenforced"], "revocation-unavailable", "{access}");

    // The list comes: what it says is enforced, on the live connection too.
    pki.revoke_client("client-good");
    std::fs::copy(pki.path("crl.pem"), pki.path("late.pem")).unwrap();
    let cut = r#"sekisho_cut_connections_total{reason="revoked"}"#;
    wait_until("the revoked client is cut", || gateway.metric(cut) > 0.5);
    assert!(client.get(&gateway, IB, "/echo?revoked").is_err());
    assert!(app.requests().iter().all(|request| !request.target.contains("revoked")));
}

#[test]
fn a_list_that_grows_stale_within_its_grace_is_told_of_on_live_connections() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let now = sekisho_runtime::clock::now();
    std::fs::write(pki.path("crl.pem"), pki.revocation_lists(now, now.plus_seconds(6)).unwrap()).unwrap();
    let gateway = Gateway::start(&pki, &with_lists(&app, r#"{ crl = ["crl.pem"], when_stale = { grace = "1h" } }"#));
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    let (answer, mut connection) = client.get(&gateway, IB, "/echo").unwrap();
    assert_eq!(answer.status, 200);
    let mut requests = 0;
    wait_until("a request is counted", || {
        requests += 1;
        assert_eq!(connection.get(IB, &format!("/echo?{requests}")).unwrap().status, 200);
        unenforced(&gateway, "issuing") > 0.5
    });
    let access = gateway.record("the request", |record| !record["unenforced"].is_null());
    assert_eq!(access["unenforced"], "revocation-unavailable", "{access}");
    let (_, connection) = client.get(&gateway, IB, "/echo").unwrap();
    drop(connection);
    let is_it = |record: &serde_json::Value| record["kind"] == "authentication" && !record["unenforced"].is_null();
    let evidence = gateway.record("the handshake", is_it)["unenforced"]["evidence"].to_string();
    assert!(evidence.contains("the revocation list of ca issuing is stale since"), "{evidence}");
    assert_eq!(gateway.admin_get("/readyz").0, 200);
}
