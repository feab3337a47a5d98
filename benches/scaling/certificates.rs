//! Distinct clients: first seen, then returning at random, with the chain cache as large as it is by default.

use super::measure::cpu;
use super::measure::results::{Results, thousands};
use super::revocation::{NOW, TestCa, many_entries, random_serial};
use super::{short, steps};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SerialNumber};
use regex::Regex;
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::identity::IdentityRule;
use sekisho::gateway::verify::{ChainCache, ChainLimits, SitePolicy, recheck, verify};
use sekisho_trust::{ListParts, TrustSnapshot};
use std::sync::Arc;

/// Chains that are verified to fill the cache: more than it holds.
const FILL: usize = 60_000;

/// Decisions that are measured.
const DECISIONS: usize = 20_000;

/// Revoked certificates beside them.
const REVOKED: usize = 100_000;

pub fn run(greatest: usize, results: &mut Results) {
    results.table(
        "Distinct client certificates, 100,000 revoked: CPU time of `verify` (the proof of possession is not in it)",
        &["certificates", "first seen", "returning, at random", "chains kept", "again on a live connection"],
    );
    let bank = Bank::new();
    let leaves = bank.leaves(greatest);
    let chain = |index: usize| [leaves[index].clone(), bank.issuing.certificate.der().clone()];
    for count in steps(&[1, 100, 10_000, 100_000], greatest) {
        let cache = ChainCache::default();
        let fill = count.min(FILL);
        let decide =
            |index: usize| verify(&chain(index), &bank.policy, &bank.trust, Some(&cache), NOW).into_result().unwrap();
        let first = cpu::each(fill, decide);
        cache.settle();
        // Over all of them, in no order that a cache could guess.
        let mut place = Sequence::default();
        let returning = cpu::each(DECISIONS, |_| decide(place.next() % count));
        cache.settle();
        let client = decide(0);
        let again = cpu::each(DECISIONS, |_| recheck(&client, &bank.policy, &bank.trust, NOW).into_result().unwrap());
        results.row(&[thousands(count), short(first), short(returning), thousands(cache.len() as usize), short(again)]);
    }
}

/// Numbers that follow no order (SplitMix64).
#[derive(Default)]
pub struct Sequence(u64);

impl Sequence {
    pub fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize
    }
}

struct Bank {
    issuing: TestCa,
    trust: Arc<TrustSnapshot>,
    policy: SitePolicy,
}

impl Bank {
    fn new() -> Self {
        let root = TestCa::root("Bank Root");
        let issuing = root.below("Bank Issuing CA");
        let lists = [root.list().sign(), issuing.list().entries(many_entries(REVOKED, random_serial)).sign()];
        let lists = lists.each_ref().map(|der| ListParts { file: "bench".into(), der });
        let parts = [root.parts("root", None), issuing.parts("issuing", Some("root"))];
        let trust = TrustSnapshot::from_parts(&parts, &lists, None, NOW).unwrap().snapshot;
        let pattern = Regex::new("(?<contract_id>[0-9]{11}) (?:(?<user_id>[a-z]+) )?1635").unwrap();
        let rule = IdentityRule::new(&pattern, Vec::new()).unwrap();
        let keys = || trust.authorities().iter().map(|authority| authority.key());
        let rules = keys().map(|key| (key, rule.clone())).collect();
        let policy = SitePolicy::from_parts("bench", keys().collect(), rules, ChainLimits::default());
        Self { issuing, trust, policy }
    }

    /// So many certificates of one key: all else is their own.
    fn leaves(&self, count: usize) -> Vec<CertificateDer<'static>> {
        let key = KeyPair::generate().unwrap();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let part = |from: usize| {
            let issuer = Issuer::from_params(&self.issuing.params, &self.issuing.key);
            let leaf = |index: usize| {
                let mut params = CertificateParams::default();
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.distinguished_name.push(DnType::CommonName, format!("{index:011} riyousya 1635"));
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params.use_authority_key_identifier_extension = true;
                // None of those that are revoked.
                params.serial_number = Some(SerialNumber::from_slice(&random_serial(index + 1_000_000_000)));
                params.not_after = rcgen::date_time_ymd(2036, 1, 1);
                params.signed_by(&key, &issuer).unwrap().der().clone()
            };
            (from..count).step_by(cores).map(leaf).collect::<Vec<_>>()
        };
        std::thread::scope(|scope| {
            let part = &part;
            let threads: Vec<_> = (0..cores).map(|from| scope.spawn(move || part(from))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    }
}
