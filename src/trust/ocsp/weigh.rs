//! What lists and a responder together say of a certificate.
//!
//! Revoked by either is revoked. Good is what the responder says it is while its answer holds; a fresh list stands in
//! for a responder that was asked and did not answer, and for one that was not asked nothing does. The responder's
//! `unknown` is an answer, and no good one.

use super::answers::{KeptAnswer, OcspAnswers};
use super::responder::Responder;
use crate::config::WhenStale;
use crate::pki::crl::RevocationReason;
use crate::pki::ocsp::CertificateStatus;
use crate::pki::serial::SerialNumber;
use crate::pki::time::Timestamp;
use crate::trust::staleness::{Freshness, Stale};
use crate::trust::{Need, RevocationStatus};
use std::sync::Arc;

impl OcspAnswers {
    /// What becomes of what the lists say of a certificate; `is_revoked` tells whether they revoke a delegated
    /// responder's own certificate, whose answers then count for nothing.
    pub(in crate::trust) fn weigh(
        &self,
        responder: &Responder,
        when_stale: WhenStale,
        serial: &SerialNumber,
        listed: RevocationStatus,
        is_revoked: impl Fn(&SerialNumber) -> bool,
        now: Timestamp,
    ) -> RevocationStatus {
        if matches!(listed, RevocationStatus::Revoked { .. }) {
            return listed;
        }
        let ca = || Arc::clone(&responder.ca);
        let untold = |why: String| match when_stale {
            WhenStale::ReportOnly => RevocationStatus::Unenforced { ca: ca(), why },
            WhenStale::Closed | WhenStale::Grace(_) | WhenStale::Open => {
                RevocationStatus::Unavailable { ca: ca(), why }
            }
        };
        let pending = || RevocationStatus::Pending {
            ca: ca(),
            need: Need::Answer { issuer: responder.authority(), serial: *serial },
        };
        let known = self.known(responder.authority(), *serial);
        let answer = known.answer.filter(|kept| kept.delegate().is_none_or(|delegate| !is_revoked(&delegate)));
        if let Some(kept) = answer.filter(|kept| kept.is_final() || now <= kept.holds_until) {
            return match kept.answer.status {
                CertificateStatus::Revoked { at, reason } => RevocationStatus::Revoked { at, reason, crl_number: None },
                CertificateStatus::Good => RevocationStatus::Good { crl_number: number_of(listed), warning: None },
                CertificateStatus::Unknown => {
                    untold(format!("the OCSP responder {} does not know the certificate", responder.url))
                }
            };
        }
        let Some(failure) = known.failure else {
            return pending();
        };
        if matches!(listed, RevocationStatus::Good { warning: None, .. } | RevocationStatus::NotChecked) {
            return listed;
        }
        match answer.map(|kept| (kept.answer.status, kept.holds_until)) {
            Some((CertificateStatus::Revoked { at, reason }, _)) => {
                return RevocationStatus::Revoked { at, reason, crl_number: None };
            }
            Some((CertificateStatus::Good, until)) => {
                if let Freshness::Tolerated { next_update } = Freshness::at(until, when_stale, now) {
                    let warning = Some(Stale { ca: ca(), next_update });
                    return RevocationStatus::Good { crl_number: number_of(listed), warning };
                }
            }
            Some((CertificateStatus::Unknown, _)) | None => {}
        }
        let lists = match listed {
            RevocationStatus::Good { .. } | RevocationStatus::Pending { .. } => return listed,
            RevocationStatus::Unavailable { why, .. } | RevocationStatus::Unenforced { why, .. } => why,
            RevocationStatus::Revoked { .. } | RevocationStatus::NotChecked => String::new(),
        };
        if failure.retry_at <= now && self.backs_off(&responder.authority(), now).is_none() {
            return pending();
        }
        untold(format!("the OCSP responder {}: {}; {lists}", responder.url, failure.why))
    }
}

impl KeptAnswer {
    /// Revoked for ever; a hold may be released (RFC 5280 section 5.3.1).
    const fn is_final(&self) -> bool {
        matches!(self.answer.status, CertificateStatus::Revoked { reason, .. }
            if !matches!(reason, RevocationReason::CertificateHold))
    }

    const fn delegate(&self) -> Option<SerialNumber> {
        match self.answer.signer {
            crate::pki::ocsp::AnswerSigner::Delegate(serial) => Some(serial),
            crate::pki::ocsp::AnswerSigner::Authority => None,
        }
    }
}

fn number_of(listed: RevocationStatus) -> Option<Arc<str>> {
    match listed {
        RevocationStatus::Good { crl_number, .. } => crl_number,
        _ => None,
    }
}
