//! The real store, which can be made to look as if it did not answer.

use async_trait::async_trait;
use sekisho_config::issuer::{StoreConfig, StoreUrl};
use sekisho_config::{Place, Placed};
use sekisho_issuer::audit::Record;
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::*;
use sekisho_lifecycle::profile::{Profile, UniqueName};
use sekisho_lifecycle::{ContractId, UserId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub struct Switch {
    store: Arc<dyn Store>,
    down: AtomicBool,
    /// Numbers of lists that were taken.
    pub taken: AtomicU64,
}

impl Switch {
    /// `issuer.db` in the folder, made where there is none.
    pub async fn open(folder: &Path) -> Self {
        let config = StoreConfig {
            url: Placed { value: StoreUrl::Sqlite(folder.join("issuer.db")), place: Place::default() },
            connections: 4,
            waiting: 1_024,
            together: 128,
        };
        let secret = Arc::new(ServiceSecret::new(&[7; 32]).unwrap());
        let _ = init(&config, Arc::clone(&secret)).await;
        Self { store: open(&config, secret).await.unwrap(), down: AtomicBool::new(false), taken: AtomicU64::new(0) }
    }

    /// From now on publication finds it down, or up again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn up(&self) -> Result<&dyn Store, StoreError> {
        if self.down.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("it is down".into()))
        } else {
            Ok(&*self.store)
        }
    }
}

/// What publication asks, and what tests write.
#[async_trait]
impl Store for Switch {
    async fn change(&self, ask: Ask, decide: Decide) -> Result<Committed, StoreError> {
        self.store.change(ask, decide).await
    }
    async fn certificate(&self, serial: &SerialNumber) -> Result<Option<CertificateRow>, StoreError> {
        self.up()?.certificate(serial).await
    }
    async fn statuses(&self, after: u64, limit: u32) -> Result<Vec<StatusRow>, StoreError> {
        self.up()?.statuses(after, limit).await
    }
    async fn status(&self, serial: &SerialNumber) -> Result<Option<StatusRow>, StoreError> {
        self.up()?.status(serial).await
    }
    async fn take_list_number(&self, authority: &str, part: u16, at: Timestamp) -> Result<u64, StoreError> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        self.up()?.take_list_number(authority, part, at).await
    }
    async fn raise_list_number(&self, of: &str, part: u16, number: u64, at: Timestamp) -> Result<(), StoreError> {
        self.up()?.raise_list_number(of, part, number, at).await
    }
    async fn redate_lists(&self, latest: Timestamp) -> Result<u64, StoreError> {
        self.up()?.redate_lists(latest).await
    }
    async fn audit_head(&self) -> Result<sekisho_issuer::audit::Head, StoreError> {
        self.up()?.audit_head().await
    }
    async fn clock(&self) -> Result<Timestamp, StoreError> {
        self.up()?.clock().await
    }
    async fn list_numbers(&self, authority: &str) -> Result<Vec<ListNumberRow>, StoreError> {
        self.up()?.list_numbers(authority).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.up()?.ping().await
    }
    async fn close(&self) {
        self.store.close().await;
    }

    async fn find(&self, _: &Ask) -> Result<Found, StoreError> {
        unused()
    }
    async fn contracts(&self, _: Option<&ContractId>, _: u32) -> Result<Vec<ContractRow>, StoreError> {
        unused()
    }
    async fn users(&self, _: &ContractId, _: Option<&UserId>, _: u32) -> Result<Vec<UserRow>, StoreError> {
        unused()
    }
    async fn certificates(&self, _: Option<&SerialNumber>, _: u32) -> Result<Vec<CertificateRow>, StoreError> {
        unused()
    }
    async fn certificate_by_fingerprint(&self, _: &[u8; 32]) -> Result<Option<CertificateRow>, StoreError> {
        unused()
    }
    async fn holder(&self, _: &UniqueName) -> Result<Option<UserKey>, StoreError> {
        unused()
    }
    async fn claim_names(&self, _: &Profile) -> Result<Vec<SharedName>, StoreError> {
        unused()
    }
    async fn under_way(&self, _: Timestamp, _: u32) -> Result<Vec<UserKey>, StoreError> {
        unused()
    }
    async fn expiring(
        &self,
        _: Timestamp,
        _: Timestamp,
        _: Option<&(Timestamp, UserKey)>,
        _: u32,
    ) -> Result<Vec<UserRow>, StoreError> {
        unused()
    }
    async fn settle_list(&self, list: &SettledList<'_>) -> Result<Settled, StoreError> {
        self.up()?.settle_list(list).await
    }
    async fn feed_id(&self) -> Result<Arc<str>, StoreError> {
        unused()
    }
    async fn feed_note(&self, _: &str, _: &[GatewayNote]) -> Result<(), StoreError> {
        unused()
    }
    async fn feed_gateways(&self, _: u64, _: Duration) -> Result<Vec<GatewayRow>, StoreError> {
        unused()
    }
    async fn written(&self, _: &SerialNumber) -> Result<Option<(StatusRow, Option<i64>)>, StoreError> {
        unused()
    }
    fn signals(&self) -> Signals {
        self.store.signals()
    }
    async fn audit(&self, _: u64, _: u32) -> Result<Vec<Record>, StoreError> {
        unused()
    }
    async fn history(
        &self,
        _: &ContractId,
        _: Option<&UserId>,
        _: Option<u64>,
        _: u32,
    ) -> Result<Vec<Record>, StoreError> {
        unused()
    }
    async fn credentials(&self, _: &UserKey) -> Result<Vec<CredentialRow>, StoreError> {
        unused()
    }
    async fn use_time_step(&self, _: &UserKey, _: u64) -> Result<Fresh, StoreError> {
        unused()
    }
    async fn take_notices(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<NoticeRow>, StoreError> {
        unused()
    }
    async fn notice_sent(&self, _: u64, _: Timestamp) -> Result<(), StoreError> {
        unused()
    }
    async fn notice_failed(&self, _: u64, _: Option<Timestamp>, _: &str) -> Result<(), StoreError> {
        unused()
    }
    async fn notices(&self, _: &UserKey, _: u32) -> Result<Vec<NoticeRow>, StoreError> {
        unused()
    }
}

fn unused<T>() -> T {
    panic!("publication asks nothing of the sort")
}
