//! A store of statuses in memory, until there is the real one.

use async_trait::async_trait;
use sekisho::issuer::audit::Record;
use sekisho::issuer::lifecycle::{ContractId, UserId, UserKey};
use sekisho::issuer::store::*;
use sekisho::pki::serial::SerialNumber;
use sekisho::pki::time::Timestamp;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub struct Memory(Mutex<State>, AtomicBool);

impl Memory {
    pub async fn open(_: &std::path::Path) -> Self {
        Self::default()
    }

    /// From now on it does not answer, or does again.
    pub fn set_down(&self, down: bool) {
        self.1.store(down, Ordering::SeqCst);
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.1.load(Ordering::SeqCst) { Err(StoreError::Unavailable("it is down".into())) } else { Ok(()) }
    }
}

#[derive(Default)]
struct State {
    certificates: HashMap<SerialNumber, CertificateRow>,
    statuses: Vec<StatusRow>,
    numbers: HashMap<(String, u16), (u64, Timestamp)>,
}

#[async_trait]
impl Store for Memory {
    async fn change(&self, _: Ask, decide: Decide) -> Result<(), StoreError> {
        let found = Found {
            contract: None,
            user: None,
            actor: None,
            address: Default::default(),
            public_key: Fresh::Yes,
            before: None,
            everyone: Vec::new(),
        };
        let write = decide(&found);
        let mut state = self.0.lock().unwrap();
        if let Some(intent) = write.intent {
            state.certificates.insert(intent.intent.serial, intent);
        }
        if let Some(done) = write.certificate {
            state.certificates.get_mut(&done.serial).unwrap().der = Some(done.der);
        }
        for change in write.statuses {
            let sequence = state.statuses.len() as u64 + 1;
            state.statuses.push(StatusRow { sequence, change });
        }
        Ok(())
    }
    async fn find(&self, _: &Ask) -> Result<Found, StoreError> {
        unimplemented!()
    }
    async fn contracts(&self, _: Option<&ContractId>, _: u32) -> Result<Vec<ContractRow>, StoreError> {
        unimplemented!()
    }
    async fn users(&self, _: &ContractId, _: Option<&UserId>, _: u32) -> Result<Vec<UserRow>, StoreError> {
        unimplemented!()
    }
    async fn certificate(&self, serial: &SerialNumber) -> Result<Option<CertificateRow>, StoreError> {
        self.up()?;
        Ok(self.0.lock().unwrap().certificates.get(serial).cloned())
    }
    async fn certificate_by_fingerprint(&self, _: &[u8; 32]) -> Result<Option<CertificateRow>, StoreError> {
        unimplemented!()
    }
    async fn under_way(&self, _: Timestamp, _: u32) -> Result<Vec<UserKey>, StoreError> {
        unimplemented!()
    }
    async fn expiring(
        &self,
        _: Timestamp,
        _: Timestamp,
        _: Option<&(Timestamp, UserKey)>,
        _: u32,
    ) -> Result<Vec<UserRow>, StoreError> {
        unimplemented!()
    }
    async fn statuses(&self, after: u64, limit: u32) -> Result<Vec<StatusRow>, StoreError> {
        self.up()?;
        let state = self.0.lock().unwrap();
        Ok(state.statuses.iter().filter(|row| row.sequence > after).take(limit as usize).cloned().collect())
    }
    async fn status(&self, serial: &SerialNumber) -> Result<Option<StatusRow>, StoreError> {
        self.up()?;
        Ok(self.0.lock().unwrap().statuses.iter().rfind(|row| row.change.serial == *serial).cloned())
    }
    async fn take_list_number(&self, authority: &str, part: u16, at: Timestamp) -> Result<u64, StoreError> {
        self.up()?;
        let mut state = self.0.lock().unwrap();
        let number = state.numbers.entry((authority.to_owned(), part)).or_insert((0, at));
        *number = (number.0 + 1, at);
        Ok(number.0)
    }
    async fn list_numbers(&self, authority: &str) -> Result<Vec<ListNumberRow>, StoreError> {
        self.up()?;
        let state = self.0.lock().unwrap();
        let of = state.numbers.iter().filter(|((name, _), _)| name == authority);
        Ok(of
            .map(|((_, part), (number, at))| ListNumberRow { part: *part, number: *number, this_update: *at })
            .collect())
    }
    async fn audit(&self, _: u64, _: u32) -> Result<Vec<Record>, StoreError> {
        unimplemented!()
    }
    async fn history(
        &self,
        _: &ContractId,
        _: Option<&UserId>,
        _: Option<u64>,
        _: u32,
    ) -> Result<Vec<Record>, StoreError> {
        unimplemented!()
    }
    async fn credentials(&self, _: &UserKey) -> Result<Vec<CredentialRow>, StoreError> {
        unimplemented!()
    }
    async fn use_time_step(&self, _: &UserKey, _: u64) -> Result<Fresh, StoreError> {
        unimplemented!()
    }
    async fn take_notices(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<NoticeRow>, StoreError> {
        unimplemented!()
    }
    async fn notice_sent(&self, _: u64, _: Timestamp) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn notice_failed(&self, _: u64, _: Option<Timestamp>, _: &str) -> Result<(), StoreError> {
        unimplemented!()
    }
    async fn notices(&self, _: &UserKey, _: u32) -> Result<Vec<NoticeRow>, StoreError> {
        unimplemented!()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn close(&self) {}
}
