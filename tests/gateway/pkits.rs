//! The NIST PKITS cases as real clients of the built gateway: one site a case, the case's own chain and key.
//!
//! `tests/pkits.rs` has every case through the function alone; this shows that the handshake asks that function, and
//! that a gateway does not even start with CAs whose lists are missing or wrong.

#[path = "../common/pkits.rs"]
mod suite;

use crate::common::{Gateway, TestApp, TestPki, TlsClient, Version};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use sekisho_pki::certificate::Certificate;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use suite::{Case, cases, true_reasons};

/// Names and keys of CAs to their certificates: two certificates of one CA cannot be configured side by side.
type Cas = BTreeMap<String, Certificate>;

fn cas_of(case: &Case) -> Cas {
    let key = |certificate: &Certificate| format!("{:?}", certificate.authority_key());
    case.authorities().into_iter().map(|parts| (key(&parts.certificate), parts.certificate)).collect()
}

/// The cases that one gateway can have together, and the rest.
fn group(cases: Vec<Case>) -> (Vec<Case>, Vec<Case>) {
    let mut together = Cas::new();
    cases.into_iter().partition(|case| {
        let cas = cas_of(case);
        let fits = cas.iter().all(|(key, ca)| together.get(key).is_none_or(|other| other.der() == ca.der()));
        if fits {
            together.extend(cas);
        }
        fits
    })
}

/// The configuration for these cases, and for each `[[ca]]` in it its certificate.
fn configuration(pki: &TestPki, app: &TestApp, cases: &[Case]) -> (String, Vec<Certificate>) {
    let mut lists: Vec<&str> = cases.iter().flat_map(|case| &case.crls).map(String::as_str).collect();
    lists.sort_unstable();
    lists.dedup();
    std::fs::write(pki.path("pkits-lists.pem"), lists.concat()).unwrap();
    let mut config =
        "[gateway]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\naccess_log = \"stdout\"\n".to_owned();
    let mut configured: Vec<(Certificate, String)> = Vec::new();
    for case in cases {
        let mut names = BTreeMap::new();
        for parts in case.authorities() {
            let der = parts.certificate.der();
            let known = configured.iter().find(|(other, _)| other.der() == der).map(|(_, name)| name.clone());
            let name = known.unwrap_or_else(|| {
                let name = format!("ca-{}", configured.len());
                let pem = case.anchors.iter().chain(&case.chain).find(|pem| is(pem, der)).unwrap();
                std::fs::write(pki.path(&format!("{name}.pem")), pem).unwrap();
                write!(config, "\n[[ca]]\nname = \"{name}\"\ncertificate = \"{name}.pem\"\n").unwrap();
                if let Some(above) = parts.issued_by.as_ref().map(|above| &names[&**above]) {
                    writeln!(config, "issued_by = \"{above}\"").unwrap();
                }
                config += "identity = '(?<contract_id>[ -~]+)'\nrevocation = { crl = [\"pkits-lists.pem\"] }\n";
                configured.push((parts.certificate.clone(), name.clone()));
                name
            });
            names.insert(parts.name.to_string(), name);
        }
        // The case's issuing CAs, or its anchor when that issued the leaf itself.
        let issuing: Vec<_> = names.iter().filter(|(name, _)| name.starts_with("ca-")).map(|(_, name)| name).collect();
        let ca = if issuing.is_empty() { vec![&names["anchor-0"]] } else { issuing };
        write!(
            config,
            "\n[[site]]\nserver_names = [\"{}\"]\ncertificate = \"pkits.pem\"\nkey = \"pkits.key\"\nca = {ca:?}\n\
             [[site.route]]\npath = \"/\"\npool = \"app\"\n",
            server_name(case)
        )
        .unwrap();
    }
    write!(config, "\n[[pool]]\nname = \"app\"\npeers = [\"{}\"]\n", app.peer()).unwrap();
    (config, configured.into_iter().map(|(certificate, _)| certificate).collect())
}

fn is(pem: &str, der: &[u8]) -> bool {
    rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().as_ref() == der
}

/// `4.1.1:Section1ValidSignaturesTest1` is `section1validsignaturestest1.pkits.localhost`.
fn server_name(case: &Case) -> String {
    let (_, test) = case.id.split_once(':').unwrap();
    format!("{}.pkits.localhost", test.to_ascii_lowercase())
}

/// A gateway for as many of the cases as it will serve, and the cases that it would not start with.
fn start(pki: &TestPki, app: &TestApp, mut cases: Vec<Case>) -> (Gateway, Vec<Case>, Vec<Case>) {
    let mut unserved = Vec::new();
    loop {
        let (config, cas) = configuration(pki, app, &cases);
        let said = match Gateway::try_listening(pki, &config) {
            Ok(gateway) => return (gateway, cases, unserved),
            Err((status, said)) => {
                assert!(!status.success(), "{said}");
                said
            }
        };
        let at_fault: Vec<_> = said.lines().map(|line| &cas[ca_index(line)]).collect();
        let is_at_fault = |ca: &Certificate| at_fault.iter().any(|other| other.der() == ca.der());
        let before = cases.len();
        let (wrong, right): (Vec<_>, _) = cases.into_iter().partition(|case| cas_of(case).values().any(is_at_fault));
        unserved.extend(wrong);
        cases = right;
        assert!(cases.len() < before, "{said}");
    }
}

/// `sekisho: FILE:12: ca[8].certificate: …` is 8.
fn ca_index(line: &str) -> usize {
    let index = line.split_once(": ca[").and_then(|(_, rest)| rest.split(']').next()?.parse().ok());
    index.unwrap_or_else(|| panic!("no CA is named in: {line}"))
}

#[test]
fn every_case_that_must_be_refused_or_accepted_is_in_a_real_handshake() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    pki.issue_server("pkits", &["*.pkits.localhost"], sekisho_runtime::clock::now()).unwrap();
    let demanded = |case: &Case| ["must-accept", "must-refuse", "harden"].contains(&case.class.as_str());
    let mut left: Vec<_> = cases().into_iter().filter(demanded).collect();
    let (mut accepted, mut refused, mut unserved) = (0, 0, 0);
    while !left.is_empty() {
        let (together, rest) = group(left);
        let (gateway, served, not_started) = start(&pki, &app, together);
        left = rest;
        for case in &not_started {
            assert_ne!(case.class, "must-accept", "{}: the gateway does not start with its CAs", case.id);
            unserved += 1;
        }
        for (index, case) in served.iter().enumerate() {
            let version = if index % 2 == 0 { Version::Tls13 } else { Version::Tls12 };
            if present(&gateway, &pki, case, version) {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
        assert!(!gateway.output().contains("panicked"), "{}", gateway.output());
    }
    // All 177; each of the 33 has a CA that the gateway will not start with, for its certificate or want of its list.
    assert_eq!((accepted, refused, unserved), (52, 92, 33));
}

/// Presents the case's chain to its site, and compares answer and record with what the suite demands.
fn present(gateway: &Gateway, pki: &TestPki, case: &Case, version: Version) -> bool {
    let key = PrivateKeyDer::from_pem_slice(case.key.as_ref().unwrap().as_bytes()).unwrap();
    let client = TlsClient::with_chain(pki, Some((case.chain(), key)), version);
    let site = server_name(case);
    let answer = client.get(gateway, &site, "/echo").map(|(response, _)| response.status);
    let record =
        gateway.record(&case.id, |record| record["kind"] == "authentication" && record["server_name"] == *site);
    let decision = format!("{}: {answer:?} {record}", case.id);
    if case.class == "must-accept" {
        assert!(matches!(answer, Ok(200)), "{decision}");
        assert_eq!(record["outcome"], "accepted", "{decision}");
    } else {
        assert!(answer.is_err(), "{decision}");
        assert_eq!(record["outcome"], "refused", "{decision}");
        let reason = record["reason"].as_str().unwrap();
        assert!(true_reasons(&case.id).iter().any(|wanted| wanted.as_str() == reason), "{decision}");
    }
    case.class == "must-accept"
}
