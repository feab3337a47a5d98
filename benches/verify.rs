//! The decision on a client's chain: cold, cached and rechecked, beside lists of ten to a million revoked certificates;
//! and what refusing the worst chain costs.

use sekisho_testkit::revocation;

use criterion::{Criterion, criterion_group, criterion_main};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SerialNumber};
use regex::Regex;
use revocation::*;
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::identity::IdentityRule;
use sekisho::gateway::verify::{ChainCache, ChainLimits, SitePolicy, recheck, verify};
use sekisho_trust::{ListParts, TrustSnapshot};
use std::hint::black_box;
use std::sync::Arc;

/// The gateway's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MILLION: usize = 1_000_000;

criterion_group!(benches, decisions, worst_chain);
criterion_main!(benches);

/// A root, an issuing CA with a list of `count` entries, a site that trusts the root.
struct Bank {
    root: TestCa,
    issuing: TestCa,
    trust: Arc<TrustSnapshot>,
    policy: SitePolicy,
}

impl Bank {
    fn new(count: usize) -> Self {
        let root = TestCa::root("Bank Root");
        let issuing = root.below("Bank Issuing CA");
        let lists = [root.list().sign(), issuing.list().entries(many_entries(count, random_serial)).sign()];
        let lists = lists.each_ref().map(|der| ListParts { file: "bench".into(), der });
        let parts = [root.parts("root", None), issuing.parts("issuing", Some("root"))];
        let trust = TrustSnapshot::from_parts(&parts, &lists, None, NOW).unwrap().snapshot;
        let pattern = Regex::new("(?<contract_id>[0-9]{11}) (?:(?<user_id>[a-z]+) )?1635").unwrap();
        let rule = IdentityRule::new(&pattern, Vec::new()).unwrap();
        let keys = || trust.authorities().iter().map(|authority| authority.key());
        let rules = keys().map(|key| (key, rule.clone())).collect();
        let policy = SitePolicy::from_parts("bench", keys().collect(), rules, ChainLimits::default());
        Self { root, issuing, trust, policy }
    }

    fn chain(&self, serial: &[u8]) -> Vec<CertificateDer<'static>> {
        vec![leaf(&self.issuing, serial), self.issuing.certificate.der().clone()]
    }
}

fn leaf(ca: &TestCa, serial: &[u8]) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "00009876543 riyousya 1635");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    let issuer = Issuer::from_params(&ca.params, &ca.key);
    params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
}

fn decisions(criterion: &mut Criterion) {
    for count in [10, 100_000, MILLION] {
        let bank = Bank::new(count);
        let (policy, trust) = (&bank.policy, &*bank.trust);
        let good = bank.chain(&random_serial(10 * MILLION));
        let revoked = bank.chain(&random_serial(count / 2));
        criterion.bench_function(&format!("verify/cold/{count}"), |bencher| {
            bencher.iter(|| verify(black_box(&good), policy, trust, None, NOW).into_result().unwrap());
        });
        let cache = ChainCache::default();
        criterion.bench_function(&format!("verify/cached/{count}"), |bencher| {
            bencher.iter(|| verify(black_box(&good), policy, trust, Some(&cache), NOW).into_result().unwrap());
        });
        let client = verify(&good, policy, trust, None, NOW).into_result().unwrap();
        criterion.bench_function(&format!("verify/recheck/{count}"), |bencher| {
            bencher.iter(|| recheck(black_box(&client), policy, trust, NOW).into_result().unwrap());
        });
        criterion.bench_function(&format!("verify/revoked/{count}"), |bencher| {
            bencher.iter(|| verify(black_box(&revoked), policy, trust, Some(&cache), NOW).into_result().unwrap_err());
        });
    }
}

/// Chains of CAs with one subject, as many as the limits let through and one more.
fn worst_chain(criterion: &mut Criterion) {
    let bank = Bank::new(10);
    let forger = TestCa::root("Bank Root");
    for count in 1..=5 {
        let cas: Vec<TestCa> = (0..count).map(|_| forger.below("Bank Root")).collect();
        let mut chain = vec![leaf(&cas[0], &[1])];
        chain.extend(cas.iter().map(|ca| ca.certificate.der().clone()));
        let refusal = verify(&chain, &bank.policy, &bank.trust, None, NOW).into_result().unwrap_err();
        println!("{count} CAs of one name: {refusal}");
        criterion.bench_function(&format!("verify/slow-chain/{count}"), |bencher| {
            bencher.iter(|| verify(black_box(&chain), &bank.policy, &bank.trust, None, NOW).into_result().unwrap_err());
        });
    }
    drop(bank.root);
}
