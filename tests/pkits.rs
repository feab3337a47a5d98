//! The NIST PKITS cases through the gateway's own decision, and a sample of them through the built binary.
//!
//! A case's anchors are configured as trust anchors and the CA certificates of its chain as issuing CAs, as a bank
//! does with its CAs. A CA certificate that the configuration itself refuses (keyUsage without keyCertSign) is left
//! out, which a bank could not pass over either.

#[path = "common/pkits.rs"]
mod suite;

use regex::Regex;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use sekisho::gateway::verify::identity::IdentityRule;
use sekisho::gateway::verify::{ChainCache, ChainLimits, Refusal, SitePolicy, VerifiedClient, verify};
use sekisho_pki::time::Timestamp;
use sekisho_trust::{ListParts, TrustSnapshot};
use std::sync::Arc;
use suite::{Case, cases, true_reasons};

/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix(1_780_272_000);

/// A case as the gateway decides it.
trait Decide {
    fn decide(&self) -> Result<VerifiedClient, Refusal>;
    fn trust(&self) -> Arc<TrustSnapshot>;
}

impl Decide for Case {
    /// Loads the case's CAs and lists and decides on its chain, twice with a cache.
    fn decide(&self) -> Result<VerifiedClient, Refusal> {
        let trust = self.trust();
        let accepted = trust.authorities().iter().map(|authority| authority.key()).collect();
        let anything = IdentityRule::new(&Regex::new("(?s).*").unwrap(), Vec::new()).unwrap();
        let rules = trust.authorities().iter().map(|authority| (authority.key(), anything.clone())).collect();
        let limits = ChainLimits { certificates: 6, bytes: 32 << 10 };
        let policy = SitePolicy::from_parts("pkits", accepted, rules, limits);
        let (chain, cache) = (self.chain(), ChainCache::default());
        let decision = verify(&chain, &policy, &trust, Some(&cache), NOW).into_result();
        let again = verify(&chain, &policy, &trust, Some(&cache), NOW).into_result();
        assert_eq!(again.is_ok(), decision.is_ok(), "{}: the cache changed the decision", self.id);
        decision
    }

    fn trust(&self) -> Arc<TrustSnapshot> {
        let lists: Vec<_> =
            self.crls.iter().map(|pem| CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap()).collect();
        let lists: Vec<ListParts<'_>> =
            lists.iter().map(|list| ListParts { file: "crl".into(), der: list.as_ref() }).collect();
        let mut authorities = self.authorities();
        loop {
            match TrustSnapshot::from_parts(&authorities, &lists, None, NOW) {
                Ok(outcome) => return outcome.snapshot,
                Err(errors) => {
                    let before = authorities.len();
                    authorities.retain(|authority| errors.0.iter().all(|(name, _)| *name != authority.name));
                    assert!(authorities.len() < before, "{}: {errors}", self.id);
                }
            }
        }
    }
}

/// Every case of a class that came out otherwise, with why.
fn wrong(class: &str, accept: bool) -> (usize, Vec<String>) {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.class == class).collect();
    let describe = |case: &Case| match case.decide() {
        Ok(_) if accept => None,
        Ok(client) => Some(format!("{}: accepted as {}", case.id, client.subject())),
        Err(refusal) if accept || !true_reasons(&case.id).contains(&refusal.reason) => {
            Some(format!("{}: {refusal}", case.id))
        }
        Err(_) => None,
    };
    (cases.len(), cases.iter().filter_map(describe).collect())
}

#[test]
fn every_case_that_must_be_accepted_is() {
    let (count, wrong) = wrong("must-accept", true);
    assert_eq!(count, 52);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_that_must_be_refused_is() {
    let (count, wrong) = wrong("must-refuse", false);
    assert_eq!(count, 121);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_that_webpki_alone_lets_through_is_refused() {
    let (count, wrong) = wrong("harden", false);
    assert_eq!(count, 4);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Spellings of one name (RFC 5280 section 7.1). Unique identifiers (4.3.6) are refused: they have been wrong since v3.
#[test]
fn every_valid_case_of_name_comparison_is_accepted() {
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.id.starts_with("4.3.") && case.id.contains("Valid") && !case.id.contains("UIDs"))
        .collect();
    assert!(cases.len() >= 7, "{}", cases.len());
    for case in cases {
        if let Err(refusal) = case.decide() {
            panic!("{}: {refusal}", case.id);
        }
    }
}

#[test]
fn cases_out_of_scope_are_decided_either_way_without_a_panic() {
    let (count, refused) = wrong("may-refuse", true);
    assert_eq!(count, 60);
    println!("{} of 60 accepted; refused:\n{}", count - refused.len(), refused.join("\n"));
}

/// The cases through `sekisho verify`: the exit code is the decision.
#[test]
fn the_built_binary_decides_a_sample_of_the_cases_alike() {
    let mut decided = 0;
    for (index, case) in cases().iter().enumerate() {
        let expected = match case.class.as_str() {
            "must-accept" => 0,
            "harden" => 1,
            "must-refuse" if index % 4 == 0 => 1,
            _ => continue,
        };
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[String]| std::fs::write(folder.path().join(name), content.concat()).unwrap();
        file("anchors.pem", &case.anchors);
        file("chain.pem", &case.chain);
        file("lists.pem", &case.crls);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .current_dir(folder.path())
            .args(["verify", "--ca", "anchors.pem", "--chain", "chain.pem", "--crl", "lists.pem"])
            .args(["--at", "2026-06-01T00:00:00Z"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(expected), "{}:\n{said}", case.id);
        assert!(said.contains(if expected == 0 { "\naccepted: " } else { "\nrefused: " }), "{said}");
        decided += 1;
    }
    assert!(decided > 70, "{decided}");
}
