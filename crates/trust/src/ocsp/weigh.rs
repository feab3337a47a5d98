//! What lists and a responder together say of a certificate.
//!
//! Revoked by either is revoked. Good is what the responder says it is, in an answer that holds and is no older than
//! `refresh`; an older one that still holds serves when the responder was queried again without result. A fresh CRL
//! stands in for a responder that was queried about this certificate without result, and for one that does not answer at
//! all; for one that was not queried nothing does. The responder's `unknown` is an answer, and no good one.

use super::answers::{KeptAnswer, MayAsk, OcspAnswers};
use super::responder::Responder;
use crate::staleness::{Freshness, Stale};
use crate::{Need, RevocationStatus};
use sekisho_config::WhenStale;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::ocsp::{AnswerSigner, CertificateStatus};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// What lists say of a certificate.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) status: RevocationStatus,
    /// thisUpdate of the lists that say good, the earliest; none where none was asked.
    pub(crate) made_at: Option<Timestamp>,
}

/// What a responder's word about one certificate is worth at a moment.
enum Word {
    /// For ever, or a hold that it was just asked about.
    Revoked { at: Timestamp, reason: RevocationReason },
    /// In an answer that holds.
    Good,
    /// In an answer that holds.
    Unknown,
    /// It is to be queried first: there is no answer, it has ended, or it says good and is older than `refresh`.
    NotAsked,
    /// There is no answer that holds, and its query found no place.
    NotSent { before: Option<KeptAnswer> },
    /// It was asked in vain, or does not answer anybody; what it said before is over.
    Silent { before: Option<KeptAnswer>, why: Arc<str>, may_ask: MayAsk },
}

impl From<RevocationStatus> for Listed {
    /// Where no list says good.
    fn from(status: RevocationStatus) -> Self {
        Self { status, made_at: None }
    }
}

impl OcspAnswers {
    /// What becomes of what the lists say of a certificate; `is_revoked` tells whether they revoke a delegated
    /// responder's own certificate, whose word is then good for revocations only.
    pub(crate) fn weigh(
        &self,
        responder: &Responder,
        when_stale: WhenStale,
        serial: &SerialNumber,
        listed: Listed,
        is_revoked: impl Fn(&SerialNumber) -> bool,
        now: Timestamp,
    ) -> RevocationStatus {
        use RevocationStatus::{Good, NotChecked, Pending, Revoked, Unavailable, Unenforced};
        let ca = || Arc::clone(&responder.ca);
        let untold = |why: String| match when_stale {
            WhenStale::ReportOnly => Unenforced { ca: ca(), why },
            WhenStale::Closed | WhenStale::Grace(_) | WhenStale::Open => Unavailable { ca: ca(), why },
        };
        let pending = || Pending { ca: ca(), need: Need::Answer { issuer: responder.authority(), serial: *serial } };
        let Listed { status, made_at } = listed;
        match (status, self.word(responder, serial, is_revoked, now)) {
            (listed @ Revoked { .. }, _) => listed,
            (_, Word::Revoked { at, reason }) => Revoked { at, reason, crl_number: None },
            (listed, Word::Good) => Good { crl_number: number_of(listed), warning: None },
            (_, Word::Unknown) => untold(format!("the OCSP responder {} does not know the certificate", responder.url)),
            (_, Word::NotAsked) => pending(),
            (listed, Word::NotSent { before }) => {
                match before.and_then(|good| good.tolerated(responder, when_stale, now)) {
                    Some(warning) => Good { crl_number: number_of(listed), warning: Some(warning) },
                    None => untold(format!("too many queries to the OCSP responder {} are under way", responder.url)),
                }
            }
            (_, Word::Silent { before: Some(hold), .. })
                if let Some((at, reason)) = hold.revoked()
                    && made_at.is_none_or(|made_at| made_at <= hold.answer.this_update) =>
            {
                Revoked { at, reason, crl_number: None }
            }
            // Nobody waits where a list says it.
            (listed @ (Good { warning: None, .. } | NotChecked), Word::Silent { .. }) => listed,
            (listed, Word::Silent { before: Some(good), .. })
                if let Some(warning) = good.tolerated(responder, when_stale, now) =>
            {
                Good { crl_number: number_of(listed), warning: Some(warning) }
            }
            (listed @ (Good { .. } | Pending { .. }), Word::Silent { .. }) => listed,
            (_, Word::Silent { may_ask: MayAsk::Now, .. }) => pending(),
            (Unavailable { why: lists, .. } | Unenforced { why: lists, .. }, Word::Silent { why, .. }) => {
                untold(format!("the OCSP responder {}: {why}; {lists}", responder.url))
            }
        }
    }

    fn word(
        &self,
        responder: &Responder,
        serial: &SerialNumber,
        is_revoked: impl Fn(&SerialNumber) -> bool,
        now: Timestamp,
    ) -> Word {
        let authority = responder.authority();
        let known = self.known(authority, *serial);
        let is_believed = |kept: &KeptAnswer| kept.delegate().is_none_or(|delegate| !is_revoked(&delegate));
        let answer = known.answer.filter(|kept| kept.is_revoked() || is_believed(kept));
        match answer.filter(|kept| kept.is_final() || now <= kept.holds_until).map(|kept| kept.answer.status) {
            Some(CertificateStatus::Revoked { at, reason }) => Word::Revoked { at, reason },
            Some(CertificateStatus::Good) if known.is_due(now) && self.backs_off(&authority, now).is_none() => {
                Word::NotAsked
            }
            Some(CertificateStatus::Good) => Word::Good,
            Some(CertificateStatus::Unknown) => Word::Unknown,
            None => match self.silence(authority, &known, now) {
                None if known.was_not_sent(now) => Word::NotSent { before: answer },
                None => Word::NotAsked,
                Some((why, may_ask)) => Word::Silent { before: answer, why, may_ask },
            },
        }
    }
}

impl KeptAnswer {
    /// Revoked for ever; a hold may be released (RFC 5280 section 5.3.1).
    pub(super) const fn is_final(&self) -> bool {
        matches!(self.revoked(), Some((_, reason)) if !matches!(reason, RevocationReason::CertificateHold))
    }

    const fn revoked(&self) -> Option<(Timestamp, RevocationReason)> {
        match self.answer.status {
            CertificateStatus::Revoked { at, reason } => Some((at, reason)),
            CertificateStatus::Good | CertificateStatus::Unknown => None,
        }
    }

    /// As what a good answer that is over passes, where the policy lets it.
    fn tolerated(&self, responder: &Responder, when_stale: WhenStale, now: Timestamp) -> Option<Stale> {
        let is_good = self.answer.status == CertificateStatus::Good;
        match Freshness::at(self.holds_until, when_stale, now) {
            Freshness::Tolerated { next_update } if is_good => {
                Some(Stale { ca: Arc::clone(&responder.ca), next_update })
            }
            Freshness::Tolerated { .. } | Freshness::Fresh | Freshness::Expired { .. } => None,
        }
    }

    const fn delegate(&self) -> Option<SerialNumber> {
        match self.answer.signer {
            AnswerSigner::Delegate(serial) => Some(serial),
            AnswerSigner::Authority => None,
        }
    }
}

fn number_of(listed: RevocationStatus) -> Option<Arc<str>> {
    match listed {
        RevocationStatus::Good { crl_number, .. } => crl_number,
        _ => None,
    }
}
