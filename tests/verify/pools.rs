//! Random CAs and random certificates sent along: same-named, re-keyed, cross-signed, self-issued and forged ones.
//!
//! The oracle knows nothing of the verifier. It holds every key, finds by trying which one signed a certificate, and
//! looks each certificate up at the CA of that key.

use crate::pki::{CN, Ca, NOW, ca_params, leaf_params};
use crate::pki::{recheck_links, verify};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use proptest::prelude::*;
use rcgen::{CustomExtension, Issuer, KeyPair, SerialNumber};
use regex::Regex;
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::identity::IdentityRule;
use sekisho::gateway::verify::{ChainCache, ChainLimits, SitePolicy, VerifiedClient};
use sekisho_config::{AnchorExpiry, ContractRange};
use sekisho_pki::certificate::Certificate;
use sekisho_trust::{AuthorityParts, ListParts, ListPolicy, RevocationParts, TrustSnapshot};
use std::sync::{Arc, LazyLock};

const NAMES: [&str; 3] = ["Bank Root", "Bank Issuing CA", "Bank"];
const KEYS: usize = 5;
/// The serial of every leaf, so that every CA can have revoked it.
const LEAF_SERIAL: u64 = 7;

/// The CAs' keys; one more that is no CA's.
static KEY_PAIRS: LazyLock<Vec<KeyPair>> = LazyLock::new(|| (0..=KEYS).map(|_| KeyPair::generate().unwrap()).collect());

/// A certificate to be made: names and keys by number. Whoever signs need not have the issuer's key.
#[derive(Clone, Copy, Debug)]
struct Plan {
    subject: usize,
    key: usize,
    issuer: usize,
    signer: usize,
    /// The key that its authorityKeyIdentifier names.
    named: Option<usize>,
}

/// A configured CA: its name and key, the CA above it among those before, and what it has revoked.
#[derive(Clone, Copy, Debug)]
struct PlannedCa {
    name: usize,
    key: usize,
    above: Option<usize>,
    revokes_leaf: bool,
    /// CAs by number: their serials are on its list, whether it issued them or not.
    revokes_cas: u8,
    accepted: bool,
    may_issue_for_contract: bool,
}

#[derive(Clone, Debug)]
struct Scenario {
    cas: Vec<PlannedCa>,
    leaf: Plan,
    sent: Vec<Plan>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let named = prop::option::of(0..KEYS);
    (0..NAMES.len(), 0..KEYS, 0..NAMES.len(), 0..=KEYS, named).prop_map(|(subject, key, issuer, signer, named)| Plan {
        subject,
        key,
        issuer,
        signer,
        named,
    })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let rare = || prop::bool::weighted(0.15);
    let often = || prop::bool::weighted(0.85);
    let ca = (
        0..NAMES.len(),
        0..KEYS,
        prop::option::weighted(0.7, 0..6_usize),
        rare(),
        rare(),
        any::<u8>(),
        often(),
        often(),
    );
    let cas = prop::collection::vec(ca, 1..7).prop_map(|drawn| {
        let mut cas: Vec<PlannedCa> = Vec::new();
        for (name, key, above, revokes_leaf, revokes, which, accepted, may_issue_for_contract) in drawn {
            let above = above.filter(|_| !cas.is_empty()).map(|above| above % cas.len());
            let revokes_cas = if revokes { which } else { 0 };
            if !cas.iter().any(|other| (other.name, other.key) == (name, key)) {
                cas.push(PlannedCa { name, key, above, revokes_leaf, revokes_cas, accepted, may_issue_for_contract });
            }
        }
        cas
    });
    (cas, plan(), any::<prop::sample::Index>(), prop::bool::weighted(0.8), prop::collection::vec(plan(), 0..5))
        .prop_map(|(cas, mut leaf, of, honest, sent)| {
            if honest {
                let ca = of.get(&cas);
                (leaf.issuer, leaf.signer, leaf.named) = (ca.name, ca.key, leaf.named.map(|_| ca.key));
            }
            Scenario { cas, leaf, sent }
        })
}

/// Makes a certificate.
fn made(plan: Plan, mut params: rcgen::CertificateParams) -> CertificateDer<'static> {
    if let Some(named) = plan.named {
        let identifier = ca_params("x").key_identifier(&KEY_PAIRS[named]);
        let length = u8::try_from(identifier.len()).unwrap();
        let content = [&[0x30, length + 2, 0x80, length], &identifier[..]].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 35], content));
    }
    params.use_authority_key_identifier_extension = false;
    let issuer = ca_params(NAMES[plan.issuer]);
    let key = KeyPair::try_from(KEY_PAIRS[plan.signer].serialize_der()).unwrap();
    params.signed_by(&KEY_PAIRS[plan.key], &Issuer::new(issuer, key)).unwrap().der().clone()
}

/// A scenario with its certificates.
struct Made {
    cas: Vec<CertificateDer<'static>>,
    /// Each CA is below an anchor.
    serials: Vec<SerialNumber>,
    trust: Arc<TrustSnapshot>,
    policy: SitePolicy,
    leaf: CertificateDer<'static>,
    sent: Vec<CertificateDer<'static>>,
}

fn make(scenario: &Scenario) -> Made {
    let (mut cas, mut serials) = (Vec::new(), Vec::new());
    for ca in &scenario.cas {
        let above = ca.above.map_or(ca, |above| &scenario.cas[above]);
        let plan = Plan { subject: ca.name, key: ca.key, issuer: above.name, signer: above.key, named: None };
        let params = ca_params(NAMES[ca.name]);
        serials.push(params.serial_number.clone().unwrap());
        cas.push(made(plan, params));
    }
    let parts: Vec<AuthorityParts> = scenario
        .cas
        .iter()
        .enumerate()
        .map(|(index, ca)| AuthorityParts {
            name: index.to_string().into(),
            certificate: Certificate::parse(&cas[index]).unwrap(),
            issued_by: ca.above.map(|above| above.to_string().into()),
            anchor_expiry: AnchorExpiry::Check,
            revocation: if scenario.has_list(index) {
                RevocationParts::Lists(ListPolicy::default())
            } else {
                RevocationParts::None
            },
        })
        .collect();
    let with_list = scenario.cas.iter().enumerate().filter(|(index, _)| scenario.has_list(*index));
    let lists: Vec<Vec<u8>> = with_list
        .map(|(index, ca)| {
            let leaf = SerialNumber::from(LEAF_SERIAL);
            let mut revoked: Vec<&SerialNumber> = (0..serials.len())
                .filter(|other| ca.revokes_cas >> other & 1 == 1)
                .map(|other| &serials[other])
                .collect();
            if ca.revokes_leaf {
                revoked.push(&leaf);
            }
            let key = KeyPair::try_from(KEY_PAIRS[ca.key].serialize_der()).unwrap();
            Ca { params: ca_params(NAMES[ca.name]), key, der: cas[index].clone() }.list(1, &revoked)
        })
        .collect();
    let lists: Vec<ListParts<'_>> = lists.iter().map(|der| ListParts { file: "crl".into(), der }).collect();
    let loaded = TrustSnapshot::from_parts(&parts, &lists, None, NOW).unwrap();
    let trust = loaded.snapshot;
    let of = |wanted: fn(&PlannedCa) -> bool| {
        scenario
            .cas
            .iter()
            .enumerate()
            .filter(move |(_, ca)| wanted(ca))
            .map(|(index, _)| parts[index].certificate.authority_key())
    };
    let pattern = Regex::new("(?<contract_id>[0-9]{11}) [a-z]+ 1635").unwrap();
    let limited = |first: &str| {
        let range = ContractRange { first: first.into(), last: first.into() };
        IdentityRule::new(&pattern, vec![vec![range]]).unwrap()
    };
    let (own, other) = (limited("00009876543"), limited("00000000001"));
    let mut rules: std::collections::BTreeMap<_, _> =
        of(|ca| ca.may_issue_for_contract).map(|key| (key, own.clone())).collect();
    rules.extend(of(|ca| !ca.may_issue_for_contract).map(|key| (key, other.clone())));
    let policy = SitePolicy::from_parts("ib", of(|ca| ca.accepted).collect(), rules, ChainLimits::default());
    let mut params = leaf_params(CN);
    params.serial_number = Some(LEAF_SERIAL.into());
    let leaf = made(scenario.leaf, params);
    let sent = scenario.sent.iter().map(|plan| made(*plan, ca_params(NAMES[plan.subject]))).collect();
    Made { cas, serials, trust, policy, leaf, sent }
}

/// Whether a certificate is signed with this key.
fn is_signed_with(der: &[u8], key: &KeyPair) -> bool {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key_raw())
        .verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
        .is_ok()
}

impl Scenario {
    /// A CA below one of its own name has none: its key may sign the other's list (RFC 5280 section 6.3.3 (f)), and here
    /// each CA has its own.
    fn has_list(&self, ca: usize) -> bool {
        self.cas[ca].above.is_none_or(|above| self.cas[above].name != self.cas[ca].name)
    }

    fn revokes_leaf(&self, ca: usize) -> bool {
        self.has_list(ca) && self.cas[ca].revokes_leaf
    }

    fn revokes_ca(&self, ca: usize, other: usize) -> bool {
        self.has_list(ca) && self.cas[ca].revokes_cas >> other & 1 == 1
    }

    /// The configured CA that signed a certificate whose issuer has this name.
    fn true_issuer(&self, der: &[u8], issuer: usize) -> Option<usize> {
        self.cas.iter().position(|ca| ca.name == issuer && is_signed_with(der, &KEY_PAIRS[ca.key]))
    }

    /// The CAs above a leaf that its one true issuer issued, if every one of them and the leaf may be accepted.
    fn right_path(&self) -> Option<Vec<usize>> {
        let leaf = made(self.leaf, leaf_params(CN));
        let issuing = self.true_issuer(&leaf, self.leaf.issuer)?;
        let mut path = vec![issuing];
        while let Some(above) = self.cas[*path.last()?].above {
            path.push(above);
        }
        let is_revoked = path.windows(2).any(|pair| self.revokes_ca(pair[1], pair[0]));
        let is_fine = self.cas[issuing].accepted
            && self.cas[issuing].may_issue_for_contract
            && !self.revokes_leaf(issuing)
            && !is_revoked;
        is_fine.then_some(path)
    }
}

fn decide(made: &Made, chain: &[CertificateDer<'static>], cache: Option<&ChainCache>) -> Option<VerifiedClient> {
    verify(chain, &made.policy, &made.trust, cache, NOW).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_along_the_leaf_is_asked_of_the_keys_that_signed_its_path(scenario in scenario()) {
        let made = make(&scenario);
        let chain: Vec<_> = std::iter::once(&made.leaf).chain(&made.sent).cloned().collect();
        let alone = decide(&made, std::slice::from_ref(&made.leaf), None);
        let cache = ChainCache::default();
        let client = decide(&made, &chain, Some(&cache));
        prop_assert_eq!(decide(&made, &chain, Some(&cache)).is_some(), client.is_some(), "the cache changed it");

        // What is sent along changes nothing where no configured CA has expired.
        let right = scenario.right_path();
        prop_assert_eq!(client.is_some(), right.is_some());
        prop_assert_eq!(alone.is_some(), right.is_some());
        let (Some(client), Some(right)) = (client, right) else { return Ok(()) };

        // Every link is of the certificate below and of the key that signed it, and these are the headers' certificates.
        let authority = |index: &usize| Certificate::parse(&made.cas[*index]).unwrap().authority_key();
        let issued_by: Vec<_> = client.links().iter().map(|link| link.issued_by).collect();
        prop_assert_eq!(&issued_by, &right.iter().map(authority).collect::<Vec<_>>());
        let number = |octets: &[u8]| octets.iter().copied().skip_while(|octet| *octet == 0).collect::<Vec<u8>>();
        let serials: Vec<_> = client.links().iter().skip(1).map(|link| number(link.serial.as_bytes())).collect();
        let below_anchor = right.split_last().unwrap().1;
        let signed = |index: &usize| number(&made.serials[*index].to_bytes());
        prop_assert_eq!(serials, below_anchor.iter().map(signed).collect::<Vec<_>>());
        prop_assert_eq!(client.path_above(), below_anchor.iter().map(|index| made.cas[*index].clone()).collect::<Vec<_>>());
        let path: Vec<_> = std::iter::once(&made.leaf).chain(client.path_above()).collect();
        for (certificate, above) in path.iter().zip(&right) {
            prop_assert!(is_signed_with(certificate, &KEY_PAIRS[scenario.cas[*above].key]));
        }
        prop_assert!(recheck_links(client.links(), &made.policy, &made.trust, NOW).is_ok());
    }
}
