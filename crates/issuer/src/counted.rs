//! The store and the credentials, with everything that passes through them counted.

use super::audit::{ActResult, Head, Record};
use super::authenticate::{Checked, Credentials, CredentialsUnavailable, Factors};
use super::metrics::{ActOutcome, CheckResult, Metrics, NoticeResult};
use super::store::{
    Ask, CertificateRow, Committed, ContractRow, CredentialRow, Decide, Found, Fresh, GatewayNote, GatewayRow,
    ListNumberRow, NoticeRow, Settled, SettledList, SharedName, Signals, StatusRow, Store, StoreError, UserRow,
};
use async_trait::async_trait;
use sekisho_lifecycle::profile::{Factor, Profile, UniqueName};
use sekisho_lifecycle::{ContractId, UserId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A store whose transactions, acts and notices are counted.
pub(super) struct CountedStore {
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
}

/// Credentials whose checks are counted.
pub(super) struct CountedCredentials {
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) metrics: Arc<Metrics>,
}

/// What a change wrote, as far as it is counted.
#[derive(Default)]
struct Written {
    acts: Vec<(Arc<str>, ActOutcome)>,
    notices: usize,
}

#[async_trait]
impl Store for CountedStore {
    async fn change(&self, ask: Ask, decide: Decide) -> Result<Committed, StoreError> {
        let began = Instant::now();
        let (sender, receiver) = oneshot::channel();
        let watched: Decide = Box::new(move |found: &Found| {
            let write = decide(found);
            let acts = write.audit.iter().map(|entry| match entry.result {
                ActResult::Done => (Arc::clone(&entry.command), ActOutcome::Done),
                ActResult::Refused(_) => (Arc::clone(&entry.command), ActOutcome::Refused),
            });
            // Nobody waits any more: the caller went away, and the act is not counted.
            let _ = sender.send(Written { acts: acts.collect(), notices: write.notices.len() });
            write
        });
        let outcome = self.store.change(ask, watched).await;
        self.metrics.count_transaction(&outcome, began.elapsed());
        if outcome.is_ok() {
            let written = receiver.await.unwrap_or_default();
            written.acts.iter().for_each(|(command, result)| self.metrics.acts_total(command, *result).inc());
            self.metrics.notices_total(NoticeResult::New).inc_by(written.notices as u64);
        }
        outcome
    }

    async fn take_notices(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<NoticeRow>, StoreError> {
        let taken = self.store.take_notices(now, until, limit).await?;
        self.metrics.notices_due().set(i64::try_from(taken.len()).unwrap_or(i64::MAX));
        Ok(taken)
    }

    async fn notice_sent(&self, id: u64, at: Timestamp) -> Result<(), StoreError> {
        self.store.notice_sent(id, at).await?;
        self.metrics.notices_total(NoticeResult::Sent).inc();
        Ok(())
    }

    async fn notice_failed(&self, id: u64, next: Option<Timestamp>, why: &str) -> Result<(), StoreError> {
        self.store.notice_failed(id, next, why).await?;
        let result = if next.is_some() { NoticeResult::Retried } else { NoticeResult::GivenUp };
        self.metrics.notices_total(result).inc();
        Ok(())
    }

    // The rest passes as it is.

    async fn find(&self, ask: &Ask) -> Result<Found, StoreError> {
        self.store.find(ask).await
    }

    async fn contracts(&self, after: Option<&ContractId>, limit: u32) -> Result<Vec<ContractRow>, StoreError> {
        self.store.contracts(after, limit).await
    }

    async fn users(
        &self,
        contract: &ContractId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<UserRow>, StoreError> {
        self.store.users(contract, after, limit).await
    }

    async fn certificate(&self, serial: &SerialNumber) -> Result<Option<CertificateRow>, StoreError> {
        self.store.certificate(serial).await
    }

    async fn certificates(&self, after: Option<&SerialNumber>, limit: u32) -> Result<Vec<CertificateRow>, StoreError> {
        self.store.certificates(after, limit).await
    }

    async fn certificate_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Result<Option<CertificateRow>, StoreError> {
        self.store.certificate_by_fingerprint(fingerprint).await
    }

    async fn under_way(&self, before: Timestamp, limit: u32) -> Result<Vec<UserKey>, StoreError> {
        self.store.under_way(before, limit).await
    }

    async fn expiring(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<&(Timestamp, UserKey)>,
        limit: u32,
    ) -> Result<Vec<UserRow>, StoreError> {
        self.store.expiring(from, to, after, limit).await
    }

    async fn holder(&self, name: &UniqueName) -> Result<Option<UserKey>, StoreError> {
        self.store.holder(name).await
    }

    async fn claim_names(&self, profile: &Profile) -> Result<Vec<SharedName>, StoreError> {
        self.store.claim_names(profile).await
    }

    async fn statuses(&self, after: u64, limit: u32) -> Result<Vec<StatusRow>, StoreError> {
        self.store.statuses(after, limit).await
    }

    async fn status(&self, serial: &SerialNumber) -> Result<Option<StatusRow>, StoreError> {
        self.store.status(serial).await
    }

    async fn take_list_number(&self, authority: &str, part: u16, this_update: Timestamp) -> Result<u64, StoreError> {
        self.store.take_list_number(authority, part, this_update).await
    }

    async fn raise_list_number(
        &self,
        authority: &str,
        part: u16,
        number: u64,
        this_update: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.raise_list_number(authority, part, number, this_update).await
    }

    async fn redate_lists(&self, latest: Timestamp) -> Result<u64, StoreError> {
        self.store.redate_lists(latest).await
    }

    async fn clock(&self) -> Result<Timestamp, StoreError> {
        self.store.clock().await
    }

    async fn list_numbers(&self, authority: &str) -> Result<Vec<ListNumberRow>, StoreError> {
        self.store.list_numbers(authority).await
    }

    async fn settle_list(&self, list: &SettledList<'_>) -> Result<Settled, StoreError> {
        self.store.settle_list(list).await
    }

    async fn feed_id(&self) -> Result<Arc<str>, StoreError> {
        self.store.feed_id().await
    }

    async fn feed_note(&self, node: &str, notes: &[GatewayNote]) -> Result<(), StoreError> {
        self.store.feed_note(node, notes).await
    }

    async fn feed_gateways(&self, sequence: u64, seen_within: Duration) -> Result<Vec<GatewayRow>, StoreError> {
        self.store.feed_gateways(sequence, seen_within).await
    }

    async fn written(&self, serial: &SerialNumber) -> Result<Option<(StatusRow, Option<i64>)>, StoreError> {
        self.store.written(serial).await
    }

    fn signals(&self) -> Signals {
        self.store.signals()
    }

    async fn audit_head(&self) -> Result<Head, StoreError> {
        self.store.audit_head().await
    }

    async fn audit(&self, from: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.store.audit(from, limit).await
    }

    async fn history(
        &self,
        contract: &ContractId,
        user: Option<&UserId>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        self.store.history(contract, user, before, limit).await
    }

    async fn credentials(&self, user: &UserKey) -> Result<Vec<CredentialRow>, StoreError> {
        self.store.credentials(user).await
    }

    async fn use_time_step(&self, user: &UserKey, step: u64) -> Result<Fresh, StoreError> {
        self.store.use_time_step(user, step).await
    }

    async fn notices(&self, user: &UserKey, limit: u32) -> Result<Vec<NoticeRow>, StoreError> {
        self.store.notices(user, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[async_trait]
impl Credentials for CountedCredentials {
    async fn check(
        &self,
        user: &UserKey,
        factors: &Factors,
        wanted: &[Factor],
        now: Timestamp,
    ) -> Result<Checked, CredentialsUnavailable> {
        match self.credentials.check(user, factors, wanted, now).await {
            Ok(checked) => {
                self.metrics.credential_checks_total(CheckResult::Right).inc_by(checked.right.len() as u64);
                self.metrics.credential_checks_total(CheckResult::Wrong).inc_by(checked.wrong.len() as u64);
                Ok(checked)
            }
            Err(unavailable) => {
                self.metrics.credential_checks_total(CheckResult::Unavailable).inc();
                Err(unavailable)
            }
        }
    }
}
