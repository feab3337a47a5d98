//! Verified chains, kept so that a returning client costs no signature check of ours.
//!
//! Only what does not change with time is kept, of chains that passed all of that: who finds one here still checks time
//! and revocation.

use super::policy::SitePolicy;
use super::types::VerifiedChain;
use moka::Expiry;
use moka::sync::Cache;
use rustls::pki_types::CertificateDer;
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::time::Timestamp;
use sekisho_trust::TrustSnapshot;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Octets of presented chains that are kept by default: some ten thousand chains of 3 KB with what was read from them.
pub const DEFAULT_CACHE_BYTES: u64 = 64 << 20;

/// What an entry takes beside its certificates: identity, names, links, what it says in headers, moka's own bookkeeping.
const ENTRY_OVERHEAD: usize = 4096;

/// Name of a presented chain under a policy and a set of CAs.
pub(super) type CacheKey = [u8; 32];

/// The cache; one for the whole gateway.
#[derive(Debug)]
pub struct ChainCache {
    chains: Cache<CacheKey, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    chain: Arc<VerifiedChain>,
    lifetime: Duration,
}

impl ChainCache {
    /// A cache of about this many octets.
    pub fn new(bytes: u64) -> Self {
        let weight = |_: &CacheKey, entry: &Entry| {
            let kept = entry.chain.presented.iter().chain(&entry.chain.above);
            let octets: usize = kept.map(|certificate| certificate.len()).sum();
            u32::try_from(octets + ENTRY_OVERHEAD).unwrap_or(u32::MAX)
        };
        Self { chains: Cache::builder().max_capacity(bytes).weigher(weight).expire_after(UntilNotAfter).build() }
    }

    /// Number of chains kept, about.
    pub fn len(&self) -> u64 {
        self.chains.entry_count()
    }

    /// Whether none is kept, about.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does the bookkeeping that is otherwise done now and then, so that [`Self::len`] is exact.
    pub fn settle(&self) {
        self.chains.run_pending_tasks();
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<VerifiedChain>> {
        self.chains.get(key).map(|entry| entry.chain)
    }

    /// Keeps a chain until the first of its certificates expires.
    pub(super) fn insert(&self, key: CacheKey, chain: Arc<VerifiedChain>, now: Timestamp) {
        let seconds =
            chain.links.iter().map(|link| link.not_after.unix().saturating_sub(now.unix())).min().unwrap_or(0);
        let lifetime = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        self.chains.insert(key, Entry { chain, lifetime });
    }
}

impl Default for ChainCache {
    fn default() -> Self {
        Self::new(DEFAULT_CACHE_BYTES)
    }
}

/// The key: every octet presented, the set of CAs, and the policy. Another site, CA or pattern is another entry.
pub(super) fn key(chain: &[CertificateDer<'_>], policy: &SitePolicy, trust: &TrustSnapshot) -> CacheKey {
    let lengths: Vec<[u8; 8]> = chain.iter().map(|certificate| (certificate.len() as u64).to_be_bytes()).collect();
    let generation = trust.authorities_generation().to_be_bytes();
    let mut parts: Vec<&[u8]> = Vec::with_capacity(2 + 2 * chain.len());
    parts.extend([policy.fingerprint().as_slice(), &generation]);
    for (length, certificate) in lengths.iter().zip(chain) {
        parts.extend([length.as_slice(), certificate.as_ref()]);
    }
    sha256(&parts)
}

struct UntilNotAfter;

impl Expiry<CacheKey, Entry> for UntilNotAfter {
    fn expire_after_create(&self, _: &CacheKey, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.lifetime)
    }
}
