//! What is trusted now: CA certificates and revocation lists, validated in the background and published whole.

use crate::config::AnchorExpiry;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::AuthorityKey;
use crate::pki::serial::SerialNumber;
use crate::pki::time::Timestamp;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

#[allow(missing_docs)]
#[derive(Default)]
pub struct TrustSnapshot {
    pub generation: u64,
    pub authorities_generation: u64,
    pub authorities: Vec<Authority>,
    pub anchors: Vec<TrustAnchor<'static>>,
    pub intermediates: Vec<CertificateDer<'static>>,
    pub revoked: HashMap<AuthorityKey, HashSet<SerialNumber>>,
}

#[allow(missing_docs)]
pub struct Authority {
    pub name: Arc<str>,
    pub certificate: Certificate,
    pub issued_by: Option<AuthorityKey>,
    pub anchor_expiry: AnchorExpiry,
}

#[allow(missing_docs)]
impl Authority {
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
    pub fn key(&self) -> AuthorityKey {
        self.certificate.authority_key()
    }
    pub fn issued_by(&self) -> Option<&AuthorityKey> {
        self.issued_by.as_ref()
    }
    pub fn anchor_expiry(&self) -> AnchorExpiry {
        self.anchor_expiry
    }
}

#[allow(missing_docs)]
pub enum RevocationStatus {
    Good { crl_number: Option<String> },
    Revoked { at: Timestamp, reason: u8, crl_number: Option<String> },
    NotChecked,
    Unavailable { ca: Arc<str>, why: String },
}

#[allow(missing_docs)]
impl TrustSnapshot {
    pub fn generation(&self) -> u64 {
        self.generation
    }
    pub fn authorities_generation(&self) -> u64 {
        self.authorities_generation
    }
    pub fn authorities(&self) -> &[Authority] {
        &self.authorities
    }
    pub fn authority(&self, key: &AuthorityKey) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.key() == *key)
    }
    pub fn authority_named(&self, name: &str) -> Option<&Authority> {
        self.authorities.iter().find(|authority| &*authority.name == name)
    }
    pub fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }
    pub fn revocation(&self, issuer: &AuthorityKey, serial: &SerialNumber, now: Timestamp) -> RevocationStatus {
        match self.revoked.get(issuer) {
            Some(list) if list.contains(serial) => RevocationStatus::Revoked { at: now, reason: 0, crl_number: None },
            Some(_) => RevocationStatus::Good { crl_number: Some("1".into()) },
            None => RevocationStatus::Unavailable { ca: "?".into(), why: "no list".into() },
        }
    }
}
