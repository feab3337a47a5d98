//! OCSP answers from the store.

use super::{Publisher, StartError, over};
use crate::authorities::{Authorities, IssuingAuthority};
use crate::store::{Status, Store, StoreError};
use sekisho_ca::ocsp::{
    Answer, AnswerCache, Asked, CertificateStatus, OcspRequest, Pending, RequestError, Responder, ResponseError, Signer,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_runtime::clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Look-ups at a time, each two short reads a certificate: a flood of questions leaves the store to those who act.
const LOOK_UPS: usize = 16;

/// How long a question may wait for its look-up before it gets `tryLater`; clients wait some ten seconds.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);

/// Answers that are renewed at a time; what is left is renewed when it is asked for.
const RENEWED: usize = 1_000;

/// Answers are renewed in the last quarter of their life.
const QUARTERS: u32 = 4;

/// The most time between two looks for what is to be renewed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Every authority's responder.
pub(super) struct Answers {
    store: Arc<dyn Store>,
    desks: BTreeMap<Arc<str>, Desk>,
    look_ups: Semaphore,
}

struct Desk {
    responder: Responder,
    /// Without them an answer that is kept serves everybody (RFC 5019 section 4).
    nonces: bool,
    lifetime: Duration,
}

impl Answers {
    pub(super) fn new(store: Arc<dyn Store>, authorities: &Authorities) -> Result<Self, StartError> {
        let desk = |authority: &Arc<IssuingAuthority>| {
            let lifetime = authority.config.ocsp_lifetime;
            let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
            let signer = Signer::Authority(Box::new(authority.key()));
            let certificate = authority.authority.certificate();
            Responder::new(certificate, signer, seconds, AnswerCache::default())
                .map(|responder| {
                    (Arc::clone(&authority.name), Desk { responder, nonces: authority.config.ocsp_nonces, lifetime })
                })
                .map_err(|error| StartError::Responder { authority: Arc::clone(&authority.name), error })
        };
        let desks = authorities.iter().map(desk).collect::<Result<_, _>>()?;
        Ok(Self { store, desks, look_ups: Semaphore::new(LOOK_UPS) })
    }

    /// Answers a request; `None` when there is no such authority.
    pub(super) async fn answer(
        &self,
        authority: &str,
        request: Result<OcspRequest, RequestError>,
    ) -> Option<Result<Answer, ResponseError>> {
        let (authority, desk) = self.desks.get_key_value(authority)?;
        let request = request.map(|request| OcspRequest { nonce: request.nonce.filter(|_| desk.nonces), ..request });
        Some(match desk.responder.ask(request, clock::now()) {
            Err(error) => Err(error),
            Ok(Asked::Answered(answer)) => Ok(answer),
            Ok(Asked::Pending(pending)) => self.tell(authority, desk, &pending).await,
        })
    }

    /// Forgets what was answered about a certificate whose status changed.
    pub(super) fn forget(&self, authority: &str, serial: &SerialNumber) {
        if let Some(desk) = self.desks.get(authority) {
            desk.responder.cache().forget(serial);
        }
    }

    /// Makes anew what will soon be over; what is renewed is asked of the store once more.
    async fn renew(&self) {
        for (authority, desk) in &self.desks {
            let now = clock::now();
            let horizon = i64::try_from((desk.lifetime / QUARTERS).as_secs()).unwrap_or(i64::MAX);
            for pending in desk.responder.due(now, now.plus_seconds(horizon), RENEWED) {
                if let Err(error) = self.tell(authority, desk, &pending).await {
                    tracing::warn!(%authority, ?error, "OCSP answers were not renewed");
                    break;
                }
            }
        }
    }

    async fn tell(&self, authority: &Arc<str>, desk: &Desk, pending: &Pending) -> Result<Answer, ResponseError> {
        let look_up = async {
            // Never closed.
            let _permit = self.look_ups.acquire().await.map_err(|_| ResponseError::InternalError)?;
            let mut statuses = Vec::new();
            for serial in pending.serials() {
                statuses.push(self.status(authority, serial).await.map_err(|error| {
                    tracing::warn!(%authority, %error, "OCSP: status lookup failed");
                    ResponseError::TryLater
                })?);
            }
            Ok(statuses)
        };
        let statuses = timeout(LOOK_UP_TIME, look_up).await.unwrap_or(Err(ResponseError::TryLater))?;
        desk.responder.tell(pending, &statuses, clock::now())
    }

    /// What the store says of a certificate under an authority. A certificate that was begun and never completed does
    /// not exist, unless it was revoked all the same.
    async fn status(&self, authority: &Arc<str>, serial: &SerialNumber) -> Result<CertificateStatus, StoreError> {
        let changed = self.store.status(serial).await?.map(|row| row.change);
        if changed.as_ref().is_some_and(|change| change.authority != *authority) {
            return Ok(CertificateStatus::Unknown);
        }
        match changed.map(|change| (change.status, change.at)) {
            Some((Status::Revoked(reason), at)) => Ok(CertificateStatus::Revoked { at, reason: reason.into() }),
            Some((Status::Held, at)) => Ok(CertificateStatus::Held { at }),
            Some((Status::Released, _)) | None => {
                let row = self.store.certificate(serial).await?;
                let is_there = row.is_some_and(|row| row.authority == *authority && row.der.is_some());
                Ok(if is_there { CertificateStatus::Good } else { CertificateStatus::Unknown })
            }
        }
    }
}

/// Renews answers until the shutdown.
pub(super) async fn refresh(publisher: Arc<Publisher>, mut shutdown: watch::Receiver<bool>) {
    let shortest = publisher.answers.desks.values().map(|desk| desk.lifetime).min().unwrap_or(LONGEST_PAUSE);
    // Twice within the quarter.
    let pause = (shortest / (QUARTERS * 2)).clamp(Duration::from_secs(1), LONGEST_PAUSE);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => publisher.answers.renew().await,
            () = over(&mut shutdown) => return,
        }
    }
}
