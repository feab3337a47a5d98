//! A store in which certificates were put, right ones and such as no store should give, and which can fail. Everything
//! else is not asked of it here.

use async_trait::async_trait;
use sekisho_issuer::audit::Record;
use sekisho_issuer::store::{
    Ask, CertificateRow, Committed, ContractRow, CredentialRow, Decide, Found, Fresh, GatewayNote, GatewayRow,
    ListNumberRow, NoticeRow, Settled, SettledList, SharedName, Signals, StatusRow, Store, StoreError, UserRow,
};
use sekisho_lifecycle::profile::{Profile, UniqueName};
use sekisho_lifecycle::{ContractId, Intent, UserId, UserKey};
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
pub struct Planted {
    certificates: Mutex<HashMap<[u8; 32], CertificateRow>>,
    credentials: Mutex<Vec<CredentialRow>>,
    used_steps: Mutex<HashMap<UserKey, u64>>,
    fails: Mutex<Option<StoreError>>,
}

/// A completed certificate of a user.
pub fn certificate(user: &UserKey, serial: u8, der: &[u8]) -> CertificateRow {
    let intent = Intent {
        serial: SerialNumber::from_der_content(&[serial]).unwrap(),
        common_name: format!("{} {}", user.contract, user.user),
        organizational_unit: None,
        organization: None,
        not_before: Timestamp::from_unix(0),
        not_after: Timestamp::from_unix(4_000_000_000),
        issue_number: 1,
    };
    CertificateRow {
        user: user.clone(),
        authority: "issuing".into(),
        intent,
        public_key: [0; 32],
        begun_at: Timestamp::from_unix(0),
        der: Some(der.into()),
    }
}

impl Planted {
    pub fn plant(&self, row: CertificateRow) {
        let fingerprint = sha256(&[row.der.as_deref().unwrap()]);
        self.plant_at(fingerprint, row);
    }

    /// Also where it does not belong.
    pub fn plant_at(&self, fingerprint: [u8; 32], row: CertificateRow) {
        self.certificates.lock().unwrap().insert(fingerprint, row);
    }

    pub fn keep(&self, row: CredentialRow) {
        self.credentials.lock().unwrap().push(row);
    }

    pub fn fail(&self, error: Option<StoreError>) {
        *self.fails.lock().unwrap() = error;
    }

    fn failing(&self) -> Result<(), StoreError> {
        self.fails.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Store for Planted {
    async fn certificate_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Result<Option<CertificateRow>, StoreError> {
        self.failing()?;
        Ok(self.certificates.lock().unwrap().get(fingerprint).cloned())
    }

    /// All that is kept, whosever it is: the one who asks must look.
    async fn credentials(&self, _: &UserKey) -> Result<Vec<CredentialRow>, StoreError> {
        self.failing()?;
        Ok(self.credentials.lock().unwrap().clone())
    }

    async fn use_time_step(&self, user: &UserKey, step: u64) -> Result<Fresh, StoreError> {
        self.failing()?;
        let mut used = self.used_steps.lock().unwrap();
        let last = used.entry(user.clone()).or_insert(0);
        let fresh = if step > *last { Fresh::Yes } else { Fresh::No };
        *last = step.max(*last);
        Ok(fresh)
    }

    async fn change(&self, _: Ask, _: Decide) -> Result<Committed, StoreError> {
        unreachable!()
    }
    async fn find(&self, _: &Ask) -> Result<Found, StoreError> {
        unreachable!()
    }
    async fn contracts(&self, _: Option<&ContractId>, _: u32) -> Result<Vec<ContractRow>, StoreError> {
        unreachable!()
    }
    async fn users(&self, _: &ContractId, _: Option<&UserId>, _: u32) -> Result<Vec<UserRow>, StoreError> {
        unreachable!()
    }
    async fn certificate(&self, _: &SerialNumber) -> Result<Option<CertificateRow>, StoreError> {
        unreachable!()
    }
    async fn certificates(&self, _: Option<&SerialNumber>, _: u32) -> Result<Vec<CertificateRow>, StoreError> {
        unreachable!()
    }
    async fn holder(&self, _: &UniqueName) -> Result<Option<UserKey>, StoreError> {
        unreachable!()
    }
    async fn claim_names(&self, _: &Profile) -> Result<Vec<SharedName>, StoreError> {
        unreachable!()
    }
    async fn under_way(&self, _: Timestamp, _: u32) -> Result<Vec<UserKey>, StoreError> {
        unreachable!()
    }
    async fn expiring(
        &self,
        _: Timestamp,
        _: Timestamp,
        _: Option<&(Timestamp, UserKey)>,
        _: u32,
    ) -> Result<Vec<UserRow>, StoreError> {
        unreachable!()
    }
    async fn statuses(&self, _: u64, _: u32) -> Result<Vec<StatusRow>, StoreError> {
        unreachable!()
    }
    async fn status(&self, _: &SerialNumber) -> Result<Option<StatusRow>, StoreError> {
        unreachable!()
    }
    async fn take_list_number(&self, _: &str, _: u16, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!()
    }
    async fn raise_list_number(&self, _: &str, _: u16, _: u64, _: Timestamp) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn redate_lists(&self, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!()
    }
    async fn clock(&self) -> Result<Timestamp, StoreError> {
        unreachable!()
    }
    async fn audit_head(&self) -> Result<sekisho_issuer::audit::Head, StoreError> {
        unreachable!()
    }
    async fn list_numbers(&self, _: &str) -> Result<Vec<ListNumberRow>, StoreError> {
        unreachable!()
    }
    async fn settle_list(&self, _: &SettledList<'_>) -> Result<Settled, StoreError> {
        unreachable!()
    }
    async fn feed_id(&self) -> Result<Arc<str>, StoreError> {
        unreachable!()
    }
    async fn feed_note(&self, _: &str, _: &[GatewayNote]) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn feed_gateways(&self, _: u64, _: Duration) -> Result<Vec<GatewayRow>, StoreError> {
        unreachable!()
    }
    async fn written(&self, _: &SerialNumber) -> Result<Option<(StatusRow, Option<i64>)>, StoreError> {
        unreachable!()
    }
    fn signals(&self) -> Signals {
        unreachable!()
    }
    async fn audit(&self, _: u64, _: u32) -> Result<Vec<Record>, StoreError> {
        unreachable!()
    }
    async fn history(
        &self,
        _: &ContractId,
        _: Option<&UserId>,
        _: Option<u64>,
        _: u32,
    ) -> Result<Vec<Record>, StoreError> {
        unreachable!()
    }
    async fn take_notices(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<NoticeRow>, StoreError> {
        unreachable!()
    }
    async fn notice_sent(&self, _: u64, _: Timestamp) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn notice_failed(&self, _: u64, _: Option<Timestamp>, _: &str) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn notices(&self, _: &UserKey, _: u32) -> Result<Vec<NoticeRow>, StoreError> {
        unreachable!()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn close(&self) {}
}
