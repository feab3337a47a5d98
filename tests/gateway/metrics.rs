//! The metrics as users of Prometheus expect them.

use crate::common::{
    Gateway, Setup, Signal, TestApp, TestPki, TlsClient, Version, curl, promtool_finds_no_fault_in, wait_until,
};
use crate::lapse::{ALERT, PAGE, configuration};
use crate::lists::{ListBuilder, pem};
use rcgen::KeyPair;
use sekisho_pki::certificate::Certificate;
use sekisho_runtime::clock;
use sekisho_runtime::metrics::{Declaration, Kind};
use std::collections::BTreeMap;

const HOST: &str = "ib.localhost";

/// The lines of the exposition that begin with this.
fn lines(gateway: &Gateway, beginning: &str) -> Vec<String> {
    let (_, text) = gateway.admin_get("/metrics");
    text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
}

#[test]
fn promtool_finds_no_fault_in_the_metrics_after_traffic() {
    let setup = Setup::new();
    let mut connection =
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
    assert_eq!(connection.get(HOST, "/echo").unwrap().status, 200);
    for site in [HOST, "portal.localhost"] {
        curl(&setup.gateway, &setup.pki, Some("client-revoked"), &[&setup.gateway.url(site, "/")]);
    }
    setup.gateway.record("the refusal", |record| record["reason"] == "revoked");
    promtool_finds_no_fault_in(&setup.gateway.admin_get("/metrics").1);
}

/// Some metrics have no series without a feed, an OCSP responder or a client: here each has one.
#[test]
fn promtool_finds_no_fault_in_any_declared_metric() {
    let declared = [sekisho::gateway::metric_declarations(), sekisho_issuer::metric_declarations()].concat();
    let declared: BTreeMap<_, _> = declared.into_iter().map(|one| (one.name, one)).collect();
    assert!(declared.len() > 70, "{}", declared.len());
    promtool_finds_no_fault_in(&declared.values().map(with_one_series).collect::<String>());
}

fn with_one_series(declaration: &Declaration) -> String {
    let Declaration { name, kind, help, .. } = declaration;
    let value = |values: &Option<Vec<&'static str>>| values.as_ref().map_or("any", |values| values[values.len() - 1]);
    let labels = declaration.labels.iter().map(|label| format!("{}=\"{}\"", label.name, value(&label.values)));
    let labels: Vec<_> = labels.collect();
    let series = |suffix: &str, more: &[String]| {
        let labels = [labels.as_slice(), more].concat().join(",");
        if labels.is_empty() { format!("{name}{suffix} 1\n") } else { format!("{name}{suffix}{{{labels}}} 1\n") }
    };
    let samples = if *kind == Kind::Histogram {
        [series("_bucket", &["le=\"+Inf\"".to_owned()]), series("_sum", &[]), series("_count", &[])].concat()
    } else {
        series("", &[])
    };
    format!("# HELP {name} {help}\n# TYPE {name} {}\n{samples}", kind.as_str())
}

#[test]
fn series_of_what_a_reload_removed_are_removed() {
    let (pki, app, next_app) = (TestPki::new(), TestApp::new(), TestApp::new());
    let sites = [(ALERT, "required"), (PAGE, "required")];
    let gateway = Gateway::start(&pki, &configuration(&app, &["root", "other"], &sites));
    for site in [ALERT, PAGE] {
        let (answer, _) =
            TlsClient::new(&pki, Some("client-good"), Version::Tls13).get(&gateway, site, "/echo").unwrap();
        assert_eq!(answer.status, 200);
    }
    let gone = [PAGE.to_owned(), "=\"other\"".to_owned(), "=\"other-issuing\"".to_owned(), app.peer()];
    wait_until("all of it is shown", || {
        let (_, text) = gateway.admin_get("/metrics");
        gone.iter().all(|gone| text.contains(gone.as_str()))
    });
    gateway.write_config(&configuration(&next_app, &["root"], &sites[..1]));
    gateway.signal(Signal::Reload);
    wait_until("the new peer is shown", || {
        !lines(&gateway, "sekisho_upstream_peer_healthy").join("").contains(&app.peer())
    });
    let (_, text) = gateway.admin_get("/metrics");
    for gone in &gone {
        assert!(!text.contains(gone.as_str()), "{gone} is still there:\n{text}");
    }
    assert!(text.contains(&next_app.peer()), "{text}");
    let accepted = format!("outcome=\"accepted\",reason=\"\",resumed=\"false\",site=\"{ALERT}\"");
    assert!(text.contains(&accepted), "what stays keeps its count:\n{text}");
}

#[test]
fn a_crl_without_next_update_has_no_series_of_it() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let key = KeyPair::from_pem(&std::fs::read_to_string(pki.path("issuing-ca.key")).unwrap()).unwrap();
    let subject = certificate(&pki, "issuing-ca").subject().der().to_vec();
    let crl = ListBuilder::new(&key, &subject).number(7).this_update(clock::now().plus_seconds(-60)).next_update(None);
    std::fs::write(pki.path("endless.pem"), pem(&crl.sign())).unwrap();
    let demo = Setup::configuration(&app);
    let (root, issuing) = demo.split_once("issued_by = \"root\"\n").unwrap();
    let endless = r#"revocation = { crl = ["endless.pem"], without_next_update = "24h" }"#;
    let issuing = issuing.replacen(r#"revocation = { crl = ["crl.pem"] }"#, endless, 1);
    let gateway = Gateway::start(&pki, &format!("{root}issued_by = \"root\"\n{issuing}"));
    let of_issuing = |name: &str| {
        let found = lines(&gateway, &format!("{name}{{"));
        found.into_iter().filter(|line| line.contains("ca=\"issuing\"")).collect::<Vec<_>>()
    };
    for name in ["sekisho_crl_this_update_timestamp_seconds", "sekisho_crl_source_this_update_timestamp_seconds"] {
        assert_eq!(of_issuing(name).len(), 1, "{name}");
    }
    assert!(of_issuing("sekisho_crl_source_number")[0].ends_with(" 7"));
    let name = "sekisho_crl_source_next_update_timestamp_seconds";
    assert_eq!(of_issuing(name), [""; 0]);
    assert!(!lines(&gateway, name).is_empty(), "the root's has one");
    // The setting gives it an end.
    assert_eq!(of_issuing("sekisho_crl_next_update_timestamp_seconds").len(), 1);
}

fn certificate(pki: &TestPki, name: &str) -> Certificate {
    let text = std::fs::read(pki.path(&format!("{name}.pem"))).unwrap();
    Certificate::parse(&sekisho_pki::pem::certificates(&text).unwrap()[0]).unwrap()
}

#[test]
fn the_expiry_of_every_certificate_that_the_gateway_uses_is_shown() {
    let setup = Setup::new();
    for (purpose, name, file) in [
        ("site", HOST, HOST),
        ("site", "portal.localhost", "portal.localhost"),
        ("ca", "root", "root-ca"),
        ("ca", "issuing", "issuing-ca"),
    ] {
        let series = format!("sekisho_certificate_not_after_timestamp_seconds{{name=\"{name}\",use=\"{purpose}\"}}");
        let expected = certificate(&setup.pki, file).not_after().unix() as f64;
        assert_eq!(setup.gateway.metric(&series), expected, "{series}");
    }
}

#[test]
fn time_and_result_of_the_last_load_are_shown() {
    let setup = Setup::new();
    let successful = || setup.gateway.metric("sekisho_config_last_reload_successful");
    let accepted_at = || setup.gateway.metric("sekisho_config_last_reload_success_timestamp_seconds");
    let refused_since = || lines(&setup.gateway, "sekisho_config_reload_refused_since_timestamp_seconds").len();
    let started_at = accepted_at();
    let age = clock::now().unix() as f64 - started_at;
    assert!((0.0..3_600.0).contains(&age), "{age}");
    assert_eq!((successful(), refused_since()), (1.0, 0));
    let good = std::fs::read_to_string(setup.gateway.config()).unwrap();
    setup.gateway.write_config("no_such_key = 1");
    setup.gateway.signal(Signal::Reload);
    wait_until("the refusal is shown", || successful() == 0.0);
    assert!(refused_since() > 0 && accepted_at() == started_at);
    setup.gateway.write_config(&good);
    setup.gateway.signal(Signal::Reload);
    wait_until("the success is shown", || successful() == 1.0);
    assert!(refused_since() == 0 && accepted_at() >= started_at);
}

#[test]
fn the_process_and_its_version_are_shown() {
    let setup = Setup::new();
    let version = format!("sekisho_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(setup.gateway.metric(&version), 1.0);
    assert!(setup.gateway.metric("process_resident_memory_bytes") > 1_000_000.0);
    assert!(setup.gateway.metric("process_cpu_seconds_total") > 0.0);
    let age = clock::now().unix() as f64 - setup.gateway.metric("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age), "{age}");
    let open = setup.gateway.metric("process_open_fds");
    assert!(open > 5.0 && setup.gateway.metric("process_max_fds") > open);
}
