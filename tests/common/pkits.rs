//! The cases of the NIST Public Key Interoperability Test Suite (`tests/data/README.md`).

#![allow(dead_code, reason = "each test crate uses a part")]

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho::gateway::verify::Reason;
use sekisho_config::AnchorExpiry;
use sekisho_pki::certificate::Certificate;
use sekisho_trust::{AuthorityParts, ListPolicy, RevocationParts};
use std::sync::Arc;

/// One case; everything in PEM.
#[derive(serde::Deserialize)]
pub struct Case {
    /// `4.1.1:Section1ValidSignaturesTest1`.
    pub id: String,
    /// What must come out (`tests/data/README.md`).
    pub class: String,
    pub anchors: Vec<String>,
    /// Leaf first.
    pub chain: Vec<String>,
    /// The leaf's, PKCS#8; none of the cases that cannot be run.
    pub key: Option<String>,
    pub crls: Vec<String>,
}

impl Case {
    /// The chain as a client presents it.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect()
    }

    /// Anchors, and each CA of the chain below the CA of its issuer's name whose key signed it.
    pub fn authorities(&self) -> Vec<AuthorityParts> {
        let mut found: Vec<AuthorityParts> = Vec::new();
        for pem in &self.anchors {
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            found.push(authority(format!("anchor-{}", found.len()), &der, None));
        }
        for der in self.chain().iter().skip(1).rev() {
            let parts = authority(format!("ca-{}", found.len()), der, None);
            let certificate = parts.certificate.clone();
            let above = found.iter().find(|above| {
                above.certificate.subject() == certificate.issuer()
                    && sekisho_pki::signature::verify_certificate(
                        certificate.der(),
                        above.certificate.subject_public_key_info(),
                    )
                    .is_ok()
            });
            let again = found.iter().any(|other| other.certificate.authority_key() == certificate.authority_key());
            if let Some(above) = above
                && !again
            {
                let issued_by = Some(Arc::clone(&above.name));
                found.push(AuthorityParts { issued_by, ..parts });
            }
        }
        found
    }
}

fn authority(name: String, der: &CertificateDer<'_>, issued_by: Option<Arc<str>>) -> AuthorityParts {
    AuthorityParts {
        name: name.into(),
        certificate: Certificate::parse(der).unwrap(),
        issued_by,
        anchor_expiry: AnchorExpiry::Check,
        revocation: RevocationParts::Lists(ListPolicy::default()),
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../data/pkits.json")).unwrap();
    assert_eq!(cases.len(), 249);
    cases
}

/// What may be told of a section's cases: a case refused for another reason did not test what it is for.
pub fn true_reasons(id: &str) -> &'static [Reason] {
    let section = id.split(['.', ':']).nth(1).unwrap();
    match section {
        "1" | "16" => &[Reason::BadCertificate],
        "2" => &[Reason::Expired, Reason::NotYetValid],
        "3" => &[Reason::UnknownCa],
        // 4.4.15 has a negative serial number, which is refused whatever a list says of it.
        "4" if id.starts_with("4.4.15:") => &[Reason::BadCertificate],
        "4" | "15" => &[Reason::Revoked, Reason::RevocationUnavailable],
        // 4.5.8 is a leaf signed with a key for lists only.
        "5" if id.starts_with("4.5.8:") => &[Reason::WrongUsage],
        "5" => &[Reason::Revoked, Reason::RevocationUnavailable, Reason::BadCertificate],
        // Several leaves of these sections are CA certificates, which are no clients.
        "6" | "8" | "13" => &[Reason::WrongUsage],
        "7" => &[Reason::WrongUsage, Reason::RevocationUnavailable],
        // A leaf of this section is a CA certificate, too.
        "12" if id.starts_with("4.12.10:") => &[Reason::WrongUsage],
        "9" | "10" | "11" | "12" => &[Reason::BadCertificate],
        // One of its certificates is on hold.
        "14" => &[Reason::Revoked, Reason::Suspended, Reason::RevocationUnavailable, Reason::WrongUsage],
        other => panic!("section {other} of {id}"),
    }
}
