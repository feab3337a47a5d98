//! What the counted process finds: made before it starts, since making it below valgrind would take minutes.

pub use sekisho_testkit::revocation;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use revocation::{NOW, TestCa, many_entries, random_serial};
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::identity::IdentityRule;
use sekisho::gateway::verify::{ChainLimits, SitePolicy};
use sekisho_config::AnchorExpiry;
use sekisho_pki::certificate::Certificate;
use sekisho_runtime::clock;
use sekisho_testkit::pki::{ClientRequest, PkiDir};
use sekisho_trust::{AuthorityParts, ListParts, ListPolicy, RevocationParts, TrustSnapshot};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Clients that no handshake has seen.
pub const NEW_CLIENTS: usize = 12;

/// Entries of the lists that a decision is counted beside.
pub const LISTS: [usize; 2] = [10, 1_000_000];

/// Writes everything into a folder.
pub fn make(folder: &Path) {
    let now = clock::now();
    let pki = PkiDir::create(&folder.join("pki"), now).unwrap();
    for number in 0..NEW_CLIENTS {
        let request = ClientRequest::good(&format!("{number:011} riyousya 1635"), now);
        pki.issue_client(&format!("new-{number}"), &request).unwrap();
    }
    let root = TestCa::root("Bank Root");
    let issuing = root.below("Bank Issuing CA");
    let put = |name: &str, octets: &[u8]| fs::write(folder.join(name), octets).unwrap();
    put("root.der", root.certificate.der());
    put("issuing.der", issuing.certificate.der());
    put("root.crl", &root.list().sign());
    put("leaf.der", &leaf(&issuing));
    for entries in LISTS {
        put(&format!("{entries}.crl"), &issuing.list().entries(many_entries(entries, random_serial)).sign());
    }
}

fn leaf(ca: &TestCa) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "00009876543 riyousya 1635");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    let issuer = Issuer::from_params(&ca.params, &ca.key);
    params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
}

/// A root, an issuing CA with a list, a site that trusts the root, and a good client's chain.
pub struct Bank {
    pub trust: Arc<TrustSnapshot>,
    pub policy: SitePolicy,
    pub chain: Vec<CertificateDer<'static>>,
}

impl Bank {
    /// Reads one with a list of so many entries.
    pub fn read(folder: &Path, entries: usize) -> Self {
        let get = |name: &str| fs::read(folder.join(name)).unwrap();
        let lists = [get("root.crl"), get(&format!("{entries}.crl"))];
        let lists = lists.each_ref().map(|der| ListParts { file: "bench".into(), der });
        let parts = |name: &str, issued_by: Option<&str>| AuthorityParts {
            name: name.into(),
            certificate: Certificate::parse(&CertificateDer::from(get(&format!("{name}.der")))).unwrap(),
            issued_by: issued_by.map(Arc::from),
            anchor_expiry: AnchorExpiry::Check,
            revocation: RevocationParts::Lists(ListPolicy::default()),
        };
        let parts = [parts("root", None), parts("issuing", Some("root"))];
        let trust = TrustSnapshot::from_parts(&parts, &lists, None, NOW).unwrap().snapshot;
        let pattern = regex::Regex::new("(?<contract_id>[0-9]{11}) (?:(?<user_id>[a-z]+) )?1635").unwrap();
        let rule = IdentityRule::new(&pattern, Vec::new()).unwrap();
        let keys = || trust.authorities().iter().map(|authority| authority.key());
        let rules = keys().map(|key| (key, rule.clone())).collect();
        let policy = SitePolicy::from_parts("bench", keys().collect(), rules, ChainLimits::default());
        let chain = ["leaf.der", "issuing.der"].map(|name| CertificateDer::from(get(name))).to_vec();
        Self { trust, policy, chain }
    }
}
