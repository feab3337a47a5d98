//! OCSP answers: each asked for, kept and put in force, and asked for anew while its certificate is in use.

use crate::gateway::Gateway;
use crate::gateway::live::publish;
use crate::gateway::live::registry::Registry;
use crate::gateway::revocation::settle;
use crate::gateway::verify;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::ocsp::{Answer, AnswerSigner, CertificateStatus};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_trust::ocsp::{Blame, Change, OcspAnswers, Responder};
use sekisho_trust::sources::ocsp::{AskError, OcspOutcome};
use sekisho_trust::{Authority, Need, TrustSnapshot};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked at which answers grow old: their times are in whole seconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// Asks the responder of a CA about a certificate. What comes of it is in force when this returns: a certificate that
/// came to be revoked is cut.
pub(in crate::gateway) async fn ask(gateway: &Arc<Gateway>, issuer: &AuthorityKey, serial: &SerialNumber) {
    let snapshot = gateway.snapshot();
    let trust = &snapshot.trust;
    let Some(responder) = trust.authority(issuer).and_then(Authority::responder) else {
        // A reload took the responder out.
        return;
    };
    let answers = &trust.live().answers;
    let asker = &gateway.questions.asker;
    let is_left_alone = || answers.backs_off(issuer, clock::now()).is_some();
    let place = if is_left_alone() { None } else { asker.place(responder).await };
    // Whoever was asked meanwhile may have found nobody there.
    let Some(place) = place.filter(|_| !is_left_alone()) else {
        gateway.metrics.ocsp_requests_total(&responder.ca, OcspOutcome::NotSent).inc();
        answers.failed(responder, *serial, Blame::Nobody, "no place", clock::now());
        return;
    };
    let began = Instant::now();
    let outcome = asker.ask(place, responder, serial).await;
    gateway.metrics.ocsp_request_duration_seconds().observe(began.elapsed().as_secs_f64());
    match outcome.and_then(|answer| by_a_responder_in_good_standing(answer, issuer, &gateway.snapshot().trust)) {
        Ok(answer) => answered(gateway, trust, responder, serial, answer).await,
        Err(error) => {
            if error.blame == Blame::Answer {
                tell_if_back(answers, responder);
            }
            answers.failed(responder, *serial, error.blame, &error.why, clock::now());
            gateway.metrics.ocsp_requests_total(&responder.ca, error.outcome).inc();
            tracing::warn!(ca = %responder.ca, url = responder.url, %serial, error = error.outcome.as_str(), "OCSP: {error}");
        }
    }
}

/// Notes that a query found no place among those of all responders.
pub(in crate::gateway) fn not_sent(gateway: &Gateway, need: &Need) {
    let Need::Answer { issuer, serial } = need else { return };
    let snapshot = gateway.snapshot();
    if let Some(responder) = snapshot.trust.authority(issuer).and_then(Authority::responder) {
        gateway.metrics.ocsp_requests_total(&responder.ca, OcspOutcome::NotSent).inc();
        snapshot.trust.live().answers.failed(responder, *serial, Blame::Nobody, "no place", clock::now());
    }
}

/// Whether an answer is kept that holds and is not yet to be asked for anew.
pub(in crate::gateway) fn is_known(gateway: &Gateway, need: &Need) -> bool {
    match need {
        Need::Answer { issuer, serial } => {
            gateway.snapshot().trust.live().answers.is_fresh(*issuer, *serial, clock::now())
        }
        Need::Lists { .. } => false,
    }
}

/// A delegated responder whose certificate the CA has revoked answers for nobody (RFC 6960 section 4.2.2.2.1), with
/// id-pkix-ocsp-nocheck or without: where there is a list, looking costs nothing.
fn by_a_responder_in_good_standing(
    answer: Answer,
    issuer: &AuthorityKey,
    trust: &TrustSnapshot,
) -> Result<Answer, AskError> {
    match answer.signer {
        AnswerSigner::Delegate(serial) if trust.revokes(issuer, &serial, clock::now()) => {
            Err(AskError::revoked_responder())
        }
        AnswerSigner::Delegate(_) | AnswerSigner::Authority => Ok(answer),
    }
}

async fn answered(
    gateway: &Arc<Gateway>,
    trust: &TrustSnapshot,
    responder: &Responder,
    serial: &SerialNumber,
    answer: Answer,
) {
    let answers = &trust.live().answers;
    tell_if_back(answers, responder);
    let change = answers.answered(responder, *serial, answer, clock::now());
    let outcome = match (change, answer.status) {
        (Change::Refused(_), _) => OcspOutcome::NotNewer,
        (_, CertificateStatus::Good) => OcspOutcome::Good,
        (_, CertificateStatus::Revoked { .. }) => OcspOutcome::Revoked,
        (_, CertificateStatus::Unknown) => OcspOutcome::Unknown,
    };
    gateway.metrics.ocsp_requests_total(&responder.ca, outcome).inc();
    match change {
        Change::None => {}
        Change::Refused(why) => {
            tracing::warn!(ca = %responder.ca, url = responder.url, %serial, error = outcome.as_str(), "OCSP: {why}");
        }
        Change::NowRevoked => {
            let gateway = gateway.clone();
            // It visits every connection. A failure would be a panic there, which the next look, a second later, mends.
            let cut = tokio::task::spawn_blocking(move || publish::enforce(&gateway, &gateway.snapshot()));
            let _ = cut.await;
        }
    }
}

fn tell_if_back(answers: &OcspAnswers, responder: &Responder) {
    if let Some((since, _)) = answers.down(&responder.authority()) {
        tracing::info!(ca = %responder.ca, url = responder.url, %since, "OCSP: the responder answers again");
    }
}

/// Keeps the answers fresh that live connections rest on, ahead of their end; asks for the lists that they need, since
/// theirs grew stale and a distribution point was not asked for; and looks whether a responder that did not answer is
/// back.
pub(in crate::gateway) async fn keep_fresh(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = gateway.snapshot();
        let trust = &snapshot.trust;
        if !trust.asks() {
            continue;
        }
        let mut wanted = in_use(&gateway.registry, trust, clock::now());
        let probes = trust.live().answers.probes(clock::now());
        wanted.extend(probes.into_iter().map(|(issuer, serial)| Need::Answer { issuer, serial }));
        let wanted: Vec<_> = wanted.into_iter().collect();
        drop(settle::begin(&gateway, &wanted));
    }
}

/// What is to be asked about the certificates of live clients.
fn in_use(registry: &Registry, trust: &TrustSnapshot, now: Timestamp) -> HashSet<Need> {
    let answers = &trust.live().answers;
    let mut wanted = HashSet::new();
    registry.for_each(|connection| {
        let known = connection.last_known();
        let Some(client) = known.verified() else { return };
        for link in client.links() {
            let Some(authority) = trust.authority(&link.issued_by) else { continue };
            if authority.responder().is_some() && answers.is_due(link.issued_by, link.serial, now) {
                wanted.insert(Need::Answer { issuer: link.issued_by, serial: link.serial });
            }
            if authority.fetches_points() {
                let needs = verify::needs(client, trust, now);
                wanted.extend(needs.into_iter().filter(|need| matches!(need, Need::Lists { .. })));
            }
        }
    });
    wanted
}
