//! Certificates, lists and a gateway's trust, made in a temporary folder and loaded as a gateway loads them.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::{
    self as decision, ChainCache, Link, LinksDecision, Reason, Refusal, SitePolicy, VerifiedClient,
};
use sekisho_config::{self as config, Config};
use sekisho_pki::time::Timestamp;
use sekisho_trust::{self as trust, TrustSnapshot};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// 2026-06-01T00:00:00Z: the time of every test.
pub const NOW: Timestamp = Timestamp::from_unix(1_780_272_000);
pub const DAY: i64 = 86_400;
/// A CN that `World`'s pattern matches.
pub const CN: &str = "00009876543 riyousya 1635";

/// A time as rcgen takes it.
macro_rules! at {
    ($timestamp:expr) => {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from($timestamp.unix()).unwrap())
    };
}

/// A CA with its key.
pub struct Ca {
    pub params: CertificateParams,
    pub key: KeyPair,
    pub der: CertificateDer<'static>,
}

impl Ca {
    pub fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    pub fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub fn below(&self, name: &str) -> Self {
        self.below_with(name, |_| {})
    }

    pub fn below_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        self.certify(params, KeyPair::generate().unwrap())
    }

    /// A CA certificate for this key.
    pub fn certify(&self, params: CertificateParams, key: KeyPair) -> Self {
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        Self { params, key, der }
    }

    /// Like rustls' clients see it: rcgen needs the issuing certificate's parameters and key.
    pub fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub fn leaf(&self, common_name: &str) -> Leaf {
        self.leaf_with(common_name, |_| {})
    }

    pub fn leaf_with(&self, common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = leaf_params(common_name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        Leaf { serial: params.serial_number.unwrap(), der }
    }

    /// A list of these serials, fresh at `NOW` for thirty days.
    pub fn list(&self, number: u64, revoked: &[&SerialNumber]) -> Vec<u8> {
        self.list_at(number, revoked, None)
    }

    /// The same, of the certificates with this distribution point.
    pub fn list_at(&self, number: u64, revoked: &[&SerialNumber], point: Option<&str>) -> Vec<u8> {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: (*serial).clone(),
            revocation_time: at!(NOW.plus_seconds(-2 * DAY)),
            reason_code: None,
            invalidity_date: None,
        });
        let mut params = self.params.clone();
        if !params.key_usages.is_empty() {
            params.key_usages.push(KeyUsagePurpose::CrlSign);
        }
        let list = CertificateRevocationListParams {
            this_update: at!(NOW.plus_seconds(-DAY + i64::try_from(number).unwrap())),
            next_update: at!(NOW.plus_seconds(30 * DAY)),
            crl_number: SerialNumber::from_slice(&number.to_be_bytes()),
            issuing_distribution_point: point.map(|uri| CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
                scope: None,
            }),
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&Issuer::from_params(&params, &self.key)).unwrap().der().to_vec()
    }

    pub fn serial(&self) -> &SerialNumber {
        self.params.serial_number.as_ref().unwrap()
    }
}

/// A client certificate.
pub struct Leaf {
    pub serial: SerialNumber,
    pub der: CertificateDer<'static>,
}

pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name, -1000, 3000);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub fn leaf_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name, -10, 355);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

/// Valid from so many days from `NOW` until so many.
pub fn set_validity(params: &mut CertificateParams, from: i64, until: i64) {
    params.not_before = at!(NOW.plus_seconds(from * DAY));
    params.not_after = at!(NOW.plus_seconds(until * DAY));
}

fn params(common_name: &str, from: i64, until: i64) -> CertificateParams {
    static SERIAL: AtomicU64 = AtomicU64::new(0x1000);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&SERIAL.fetch_add(1, Ordering::Relaxed).to_be_bytes()));
    params.key_identifier_method = KeyIdMethod::Sha256;
    set_validity(&mut params, from, until);
    params
}

/// A configuration on disk: CAs, their lists, one site `ib`.
pub struct World {
    folder: tempfile::TempDir,
    cas: String,
    site_cas: Vec<String>,
    pub limits: String,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, cas: String::new(), site_cas: Vec::new(), limits: String::new() }
    }

    /// The usual bank: a root, an issuing CA, an empty list of each, the site trusting the root.
    pub fn bank() -> (Self, Ca, Ca) {
        let root = Ca::root("Bank Root");
        let issuing = root.below("Bank Issuing CA");
        let mut world = Self::new();
        world.ca("root", &root, "", &[root.list(1, &[])]);
        world.ca("issuing", &issuing, &below("root"), &[issuing.list(1, &[])]);
        world.trusts(&["root"]);
        (world, root, issuing)
    }

    /// Adds `[[ca]]`; no lists at all: `revocation = "none"`.
    pub fn ca(&mut self, name: &str, ca: &Ca, more: &str, lists: &[Vec<u8>]) {
        self.ca_when_stale(name, ca, more, lists, "\"closed\"");
    }

    /// The same with this policy.
    pub fn ca_when_stale(&mut self, name: &str, ca: &Ca, more: &str, lists: &[Vec<u8>], when_stale: &str) {
        self.file(&format!("{name}.pem"), pem("CERTIFICATE", &ca.der).as_bytes());
        let names: Vec<String> = (0..lists.len()).map(|index| format!("{name}-{index}.crl")).collect();
        for (name, list) in names.iter().zip(lists) {
            self.file(name, list);
        }
        let revocation = match lists {
            [] => "\"none\"".to_owned(),
            _ => format!("{{ crl = {names:?}, when_stale = {when_stale} }}"),
        };
        writeln!(
            self.cas,
            "[[ca]]\nname = {name:?}\ncertificate = \"{name}.pem\"\nrevocation = {revocation}\n{more}\n"
        )
        .unwrap();
    }

    /// Names the CAs of the site.
    pub fn trusts(&mut self, cas: &[&str]) {
        self.site_cas = cas.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Writes a new list over the first one of a CA.
    pub fn publish(&self, name: &str, list: &[u8]) {
        self.file(&format!("{name}-0.crl"), list);
    }

    pub fn config(&self, site: &str) -> Config {
        let text = self.config_text(site);
        config::parse(&text, "test.toml", self.folder.path()).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
    }

    /// Writes the configuration as `test.toml` beside its files.
    pub fn write_config(&self, site: &str) {
        self.file("test.toml", self.config_text(site).as_bytes());
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn config_text(&self, site: &str) -> String {
        let (cas, site_cas, limits) = (&self.cas, &self.site_cas, &self.limits);
        format!(
            "[gateway]\nlisten = [\"127.0.0.1:0\"]\n[gateway.limits]\n{limits}\n{cas}\n\
             [[pool]]\nname = \"app\"\npeers = [\"127.0.0.1:1\"]\n\
             [[site]]\nname = {site:?}\nserver_names = [\"ib.localhost\"]\ncertificate = \"s.pem\"\nkey = \"s.key\"\n\
             ca = {site_cas:?}\n[[site.route]]\npath = \"/\"\npool = \"app\"\n"
        )
    }

    pub fn load(&self, previous: Option<&TrustSnapshot>) -> Arc<TrustSnapshot> {
        trust::load(&self.config("ib").cas, previous, NOW).unwrap_or_else(|errors| panic!("{errors:?}")).snapshot
    }

    pub fn policy(&self, trust: &TrustSnapshot) -> SitePolicy {
        self.policy_of("ib", trust)
    }

    pub fn policy_of(&self, site: &str, trust: &TrustSnapshot) -> SitePolicy {
        let config = self.config(site);
        SitePolicy::new(&config.sites[0], &config.cas, trust, (&config.limits).into()).unwrap()
    }

    /// The decision of a freshly started gateway.
    pub fn verify(&self, chain: &[&CertificateDer<'static>]) -> Result<VerifiedClient, Refusal> {
        self.verify_at(chain, NOW)
    }

    pub fn verify_at(&self, chain: &[&CertificateDer<'static>], now: Timestamp) -> Result<VerifiedClient, Refusal> {
        let trust = self.load(None);
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|certificate| (*certificate).clone()).collect();
        verify(&chain, &self.policy(&trust), &trust, None, now)
    }

    pub fn file(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }
}

/// The identity pattern of most tests.
pub const PATTERN: &str = "identity = '(?<contract_id>[0-9]{11}) (?:(?<user_id>[a-z]+) )?1635'";

/// An issuing CA's further keys.
pub fn below(name: &str) -> String {
    format!("issued_by = {name:?}\n{PATTERN}")
}

pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The refusal must be for this reason, and its evidence say this.
#[track_caller]
pub fn assert_refused<T: std::fmt::Debug>(result: Result<T, Refusal>, reason: Reason, evidence: &str) -> Refusal {
    let refusal = result.expect_err("it must be refused");
    assert_eq!(refusal.reason, reason, "{refusal}");
    assert!(refusal.evidence.contains(evidence), "{refusal}");
    refusal
}

/// The gateway's decision: the client, or what it is refused with.
pub fn verify(
    chain: &[CertificateDer<'_>],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    cache: Option<&ChainCache>,
    now: Timestamp,
) -> Result<VerifiedClient, Refusal> {
    decision::verify(chain, policy, trust, cache, now).into_result()
}

/// As [`verify`], on a client that was verified before.
pub fn recheck(
    client: &VerifiedClient,
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<VerifiedClient, Refusal> {
    decision::recheck(client, policy, trust, now).into_result()
}

/// The gateway's decision on a session's links: nothing, or what it is refused with.
pub fn recheck_links(
    links: &[Link],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<(), Refusal> {
    match decision::recheck_links(links, policy, trust, now) {
        LinksDecision::Good => Ok(()),
        LinksDecision::Pending(pending) => Err(pending.refusal),
        LinksDecision::Refused(refusal) => Err(refusal),
    }
}
