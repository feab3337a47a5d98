//! What the admin address tells of the sources.

use crate::common::{Gateway, TestApp, TestPki, wait_until};
use crate::gateway::{configuration, list};
use crate::server::{Answer, RawServer, ok};
use serde_json::Value;

fn issuing(gateway: &Gateway) -> Value {
    let (status, text) = gateway.admin_get("/status/revocation");
    assert_eq!(status, 200, "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    told["cas"].as_array().unwrap().iter().find(|ca| ca["ca"] == "issuing").unwrap().clone()
}

#[test]
fn every_source_is_told_with_its_list_and_its_last_error() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::List(list(&pki, 1_000, &["client-revoked", "client-good"])));
    let gateway = Gateway::start(&pki, &configuration(&app, &server.url()));
    let url = server.url();
    wait_until("the list was asked for again", || issuing(&gateway)["fetched"][0]["outcome"] == "unchanged");
    let told = issuing(&gateway);
    assert_eq!(told["readiness"], "fresh", "{told}");
    let in_force = &told["lists"][0];
    assert_eq!((&in_force["source"], &in_force["number"]), (&url.as_str().into(), &"1000".into()), "{told}");
    assert_eq!(in_force["entries"], 2, "{told}");
    assert!((0..3_600).contains(&in_force["age_seconds"].as_i64().unwrap()), "{told}");
    assert!(in_force["next_update"].as_str().unwrap() > in_force["this_update"].as_str().unwrap(), "{told}");
    let fetched = &told["fetched"][0];
    assert_eq!((&fetched["kind"], &fetched["url"]), (&"url".into(), &url.as_str().into()), "{told}");
    assert_eq!((&fetched["failures"], &fetched["error"]), (&0.into(), &Value::Null), "{told}");
    let labels = format!("{{ca=\"issuing\",source=\"{url}\"}}");
    assert_eq!(gateway.metric(&format!("sekisho_crl_source_number{labels}")), 1_000.0);
    assert_eq!(gateway.metric(&format!("sekisho_crl_source_entries{labels}")), 2.0);
    let this_update = gateway.metric(&format!("sekisho_crl_source_this_update_timestamp_seconds{labels}"));
    assert!((0.0..3_600.0).contains(&(sekisho_runtime::clock::now().unix() as f64 - this_update)), "{this_update}");

    server.answer(Answer::Raw(ok(&list(&pki, 999, &[]), "")));
    let error = format!("sekisho_crl_source_error{{ca=\"issuing\",reason=\"rolled-back\",source=\"{url}\"}}");
    wait_until("the error is shown", || gateway.metric(&error) == 1.0);
    let told = issuing(&gateway);
    assert_eq!(told["fetched"][0]["outcome"], "rolled-back", "{told}");
    assert_eq!(told["fetched"][0]["error"], "it is older than the list that is kept", "{told}");
    assert!(told["fetched"][0]["failures"].as_i64().unwrap() > 0, "{told}");
    assert_eq!(told["lists"][0]["number"], "1000", "{told}");

    server.answer(Answer::List(list(&pki, 1_001, &[])));
    wait_until("the next list is in force", || issuing(&gateway)["lists"][0]["number"] == "1001");
    wait_until("the error is gone", || gateway.metric(&error) == 0.0);
    // The root's list is a file.
    let (_, text) = gateway.admin_get("/status/revocation");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert!(told["cas"][0]["lists"][0]["source"].as_str().unwrap().ends_with("crl.pem"), "{told}");
}
