//! [`Store`] over SQL.

use super::columns;
use super::database::Database;
use super::feed;
use super::open::OpenError;
use super::queries as sql;
use super::reader::Readers;
use super::signals::{Bells, Ears, Signals};
use super::statement::{Statement, rows};
use super::value::{Columns, Corrupt, Value};
use super::words::{int, u64};
use super::writer::Writer;
use super::{
    Ask, CertificateRow, Committed, ContractRow, CredentialRow, Decide, Found, Fresh, GatewayNote, GatewayRow,
    ListNumberRow, NoticeRow, Settled, SettledList, SharedName, StatusRow, Store, StoreError, UserRow, user_columns,
    words,
};
use crate::audit::{Head, Record, Verifier};
use crate::secret::ServiceSecret;
use async_trait::async_trait;
use sekisho_config::issuer::StoreConfig;
use sekisho_lifecycle::profile::{Profile, UniqueName};
use sekisho_lifecycle::{ContractId, UserId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Rows of one answer, at most, whatever was asked for: what is held in memory at a time.
const MOST_ROWS: u32 = 10_000;

/// The store over a database.
#[derive(Debug)]
pub(super) struct SqlStore {
    database: Arc<Database>,
    writer: Writer,
    readers: Readers,
    bells: Arc<Bells>,
    ears: Ears,
}

impl SqlStore {
    /// Starts the writer of a database whose schema is up to date.
    ///
    /// # Errors
    /// [`OpenError::Head`] and [`OpenError::Audit`] when the audit log does not end as `secret` makes it.
    pub(super) async fn start(
        database: Database,
        secret: Arc<ServiceSecret>,
        config: &StoreConfig,
    ) -> Result<Self, OpenError> {
        check_end(&database, &secret).await?;
        let database = Arc::new(database);
        let bells = Arc::new(Bells::default());
        let ears = Ears::open(Arc::clone(&database), Arc::clone(&bells));
        let readers = Readers::start(&database, config.waiting, config.together);
        let writer = Writer::start(Arc::clone(&database), secret, Arc::clone(&bells), config.waiting, config.together);
        Ok(Self { database, writer, readers, bells, ears })
    }

    async fn all<T>(
        &self,
        statement: &'static Statement,
        parameters: Vec<Value>,
        read: impl Fn(&mut Columns) -> Result<T, Corrupt>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.database.read(async |on| on.rows(statement, parameters).await).await?;
        Ok(rows.into_iter().map(|mut row| read(&mut row)).collect::<Result<_, _>>()?)
    }

    /// A statement that writes, beside the acts.
    async fn write(&self, statement: &'static Statement, parameters: Vec<Value>) -> Result<u64, StoreError> {
        self.database.write(async |on| on.execute(statement, parameters).await).await
    }
}

/// The last record must be what the secret makes of the one before it: another secret must not go on with the chain.
async fn check_end(database: &Database, secret: &ServiceSecret) -> Result<(), OpenError> {
    let read = async {
        let mut snapshot = database.snapshot().await?;
        let mut on = snapshot.on();
        let mut row = on.rows(&sql::HEAD, Vec::new()).await?.pop().ok_or(Corrupt("no head"))?;
        let head = Head { sequence: u64(row.int()?)?, hash: words::digest(&mut row)? };
        let from = head.sequence.saturating_sub(1);
        let rows = on.rows(&sql::AUDIT_FROM, vec![int(from).into(), 3.into()]).await?;
        let records = rows.into_iter().map(|mut row| columns::read_record(&mut row)).collect::<Result<Vec<_>, _>>()?;
        snapshot.commit().await?;
        Ok::<_, StoreError>((head, records))
    };
    let (head, records) = read.await?;
    let end = records.last().map_or(Head::START, |last| Head { sequence: last.sequence, hash: last.hash });
    if end != head {
        return Err(OpenError::Head);
    }
    let mut verifier = match records.as_slice() {
        [.., before, _] => Verifier::after(secret, Head { sequence: before.sequence, hash: before.hash }),
        _ => Verifier::new(secret),
    };
    records.last().map_or(Ok(()), |last| verifier.push(last)).map_err(OpenError::Audit)
}

#[async_trait]
impl Store for SqlStore {
    async fn change(&self, ask: Ask, decide: Decide) -> Result<Committed, StoreError> {
        refuse_nul(&ask)?;
        self.writer.change(ask, decide).await
    }

    async fn find(&self, ask: &Ask) -> Result<Found, StoreError> {
        refuse_nul(ask)?;
        self.readers.find(ask.clone()).await
    }

    async fn contracts(&self, after: Option<&ContractId>, limit: u32) -> Result<Vec<ContractRow>, StoreError> {
        let after = after.map_or("", ContractId::as_str);
        self.all(&sql::CONTRACTS_AFTER, vec![after.into(), at_most(limit)], columns::read_contract).await
    }

    async fn users(
        &self,
        contract: &ContractId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<UserRow>, StoreError> {
        let after = after.map_or("", UserId::as_str);
        let parameters = vec![contract.as_str().into(), after.into(), at_most(limit)];
        self.all(&sql::USERS_AFTER, parameters, user_columns::decode).await
    }

    async fn certificate(&self, serial: &SerialNumber) -> Result<Option<CertificateRow>, StoreError> {
        Ok(self.all(&sql::CERTIFICATE, vec![serial.as_bytes().into()], columns::read_certificate).await?.pop())
    }

    async fn certificates(&self, after: Option<&SerialNumber>, limit: u32) -> Result<Vec<CertificateRow>, StoreError> {
        // No serial number is empty.
        let after = after.map_or(&[][..], SerialNumber::as_bytes);
        self.all(&sql::CERTIFICATES_AFTER, vec![after.into(), at_most(limit)], columns::read_certificate).await
    }

    async fn certificate_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Result<Option<CertificateRow>, StoreError> {
        let parameters = vec![fingerprint.as_slice().into()];
        Ok(self.all(&sql::CERTIFICATE_BY_FINGERPRINT, parameters, columns::read_certificate).await?.pop())
    }

    async fn under_way(&self, before: Timestamp, limit: u32) -> Result<Vec<UserKey>, StoreError> {
        let read = |columns: &mut Columns| {
            Ok(UserKey {
                contract: words::identifier(ContractId::new(&columns.text()?))?,
                user: words::identifier(UserId::new(&columns.text()?))?,
            })
        };
        self.all(&sql::UNDER_WAY, vec![before.unix().into(), at_most(limit)], read).await
    }

    async fn expiring(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<&(Timestamp, UserKey)>,
        limit: u32,
    ) -> Result<Vec<UserRow>, StoreError> {
        let (at, contract, user) =
            after.map_or((i64::MIN, "", ""), |(at, key)| (at.unix(), key.contract.as_str(), key.user.as_str()));
        let mut parameters: Vec<Value> = vec![from.unix().into(), to.unix().into(), at.into()];
        parameters.extend([contract.into(), user.into(), at_most(limit)]);
        self.all(&sql::EXPIRING, parameters, user_columns::decode).await
    }

    async fn holder(&self, name: &UniqueName) -> Result<Option<UserKey>, StoreError> {
        let parameters = vec![(&*name.scope).into(), (&*name.name).into()];
        let found = self.all(&super::names::HOLDER, parameters, columns::read_unique_name).await?.pop();
        Ok(found.map(|(_, holder)| holder))
    }

    async fn claim_names(&self, profile: &Profile) -> Result<Vec<SharedName>, StoreError> {
        super::names::claim(&self.database, profile).await
    }

    async fn statuses(&self, after: u64, limit: u32) -> Result<Vec<StatusRow>, StoreError> {
        self.all(&sql::STATUSES_AFTER, vec![int(after).into(), at_most(limit)], columns::read_status).await
    }

    async fn status(&self, serial: &SerialNumber) -> Result<Option<StatusRow>, StoreError> {
        Ok(self.all(&sql::STATUS, vec![serial.as_bytes().into()], columns::read_status).await?.pop())
    }

    async fn take_list_number(&self, authority: &str, part: u16, this_update: Timestamp) -> Result<u64, StoreError> {
        let parameters = vec![authority.into(), i64::from(part).into(), this_update.unix().into()];
        let mut connection = self.database.writing().await?;
        let mut taken = connection.on().rows(&sql::TAKE_LIST_NUMBER, parameters).await?;
        let mut row = taken.pop().ok_or(Corrupt("no number of a list came back"))?;
        Ok(u64(row.int()?)?)
    }

    async fn raise_list_number(
        &self,
        authority: &str,
        part: u16,
        number: u64,
        this_update: Timestamp,
    ) -> Result<(), StoreError> {
        let mut parameters: Vec<Value> = vec![authority.into(), i64::from(part).into()];
        parameters.extend([int(number).into(), this_update.unix().into()]);
        self.write(&sql::RAISE_LIST_NUMBER, parameters).await.map(drop)
    }

    async fn redate_lists(&self, latest: Timestamp) -> Result<u64, StoreError> {
        self.write(&sql::REDATE_LISTS, vec![latest.unix().into()]).await
    }

    async fn clock(&self) -> Result<Timestamp, StoreError> {
        let milliseconds = self.all(&sql::CLOCK, Vec::new(), |columns| columns.int()).await?.pop();
        Ok(Timestamp::from_unix(milliseconds.ok_or(Corrupt("the database has no clock"))?.div_euclid(1_000)))
    }

    async fn list_numbers(&self, authority: &str) -> Result<Vec<ListNumberRow>, StoreError> {
        self.all(&sql::LIST_NUMBERS, vec![authority.into()], columns::read_list_number).await
    }

    async fn settle_list(&self, list: &SettledList<'_>) -> Result<Settled, StoreError> {
        feed::settle(&mut self.database.writing().await?.on(), list).await
    }

    async fn feed_id(&self) -> Result<Arc<str>, StoreError> {
        let found = self.all(&feed::FEED, Vec::new(), |columns| columns.text()).await?.pop();
        Ok(found.ok_or(Corrupt("the feed has no name"))?.into())
    }

    async fn feed_note(&self, node: &str, notes: &[GatewayNote]) -> Result<(), StoreError> {
        feed::note(&self.database, node, notes).await?;
        self.bells.ring_gateways();
        Ok(())
    }

    async fn feed_gateways(&self, sequence: u64, seen_within: Duration) -> Result<Vec<GatewayRow>, StoreError> {
        let parameters = vec![int(sequence).into(), feed::milliseconds(seen_within).into()];
        let mut rows = self.all(&feed::GATEWAYS, parameters, feed::read_gateway).await?;
        // Not by the database, which would walk all of them in that order.
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(rows)
    }

    async fn written(&self, serial: &SerialNumber) -> Result<Option<(StatusRow, Option<i64>)>, StoreError> {
        let read = |columns: &mut Columns| Ok((columns::read_status(columns)?, columns.maybe_int()?));
        Ok(self.all(&feed::WRITTEN, vec![serial.as_bytes().into()], read).await?.pop())
    }

    fn signals(&self) -> Signals {
        self.bells.signals()
    }

    async fn audit_head(&self) -> Result<Head, StoreError> {
        let read = |columns: &mut Columns| Ok(Head { sequence: u64(columns.int()?)?, hash: words::digest(columns)? });
        Ok(self.all(&sql::HEAD, Vec::new(), read).await?.pop().ok_or(Corrupt("no head"))?)
    }

    async fn audit(&self, from: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.all(&sql::AUDIT_FROM, vec![int(from).into(), at_most(limit)], columns::read_record).await
    }

    async fn history(
        &self,
        contract: &ContractId,
        user: Option<&UserId>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let (before, limit) = (Value::Int(before.map_or(i64::MAX, int)), at_most(limit));
        let contract = contract.as_str().into();
        match user {
            None => self.all(&sql::HISTORY_OF_CONTRACT, vec![contract, before, limit], columns::read_record).await,
            Some(user) => {
                let parameters = vec![contract, user.as_str().into(), before, limit];
                self.all(&sql::HISTORY_OF_USER, parameters, columns::read_record).await
            }
        }
    }

    async fn credentials(&self, user: &UserKey) -> Result<Vec<CredentialRow>, StoreError> {
        let parameters = vec![user.contract.as_str().into(), user.user.as_str().into()];
        self.all(&sql::CREDENTIALS_OF, parameters, columns::read_credential).await
    }

    async fn use_time_step(&self, user: &UserKey, step: u64) -> Result<Fresh, StoreError> {
        let parameters = vec![user.contract.as_str().into(), user.user.as_str().into(), int(step).into()];
        let changed = self.write(&sql::USE_TIME_STEP, parameters).await?;
        Ok(if changed == 1 { Fresh::Yes } else { Fresh::No })
    }

    async fn take_notices(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<NoticeRow>, StoreError> {
        let parameters = vec![now.unix().into(), until.unix().into(), at_most(limit)];
        let taken = self.database.writing().await?.on().rows(&sql::TAKE_NOTICES, parameters).await?;
        let ids = taken.into_iter().map(|mut row| Ok(vec![row.int()?.into()])).collect::<Result<Vec<_>, Corrupt>>()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.all(&sql::NOTICES_BY_ID, vec![rows(ids.iter().map(Vec::as_slice))], columns::read_notice).await
    }

    async fn notice_sent(&self, id: u64, at: Timestamp) -> Result<(), StoreError> {
        self.write(&sql::NOTICE_SENT, vec![int(id).into(), at.unix().into()]).await.map(drop)
    }

    async fn notice_failed(&self, id: u64, next: Option<Timestamp>, why: &str) -> Result<(), StoreError> {
        // A mail server's words: PostgreSQL keeps no NUL.
        let why = why.replace('\0', " ");
        let parameters = vec![int(id).into(), next.map(Timestamp::unix).into(), why.as_str().into()];
        self.write(&sql::NOTICE_FAILED, parameters).await.map(drop)
    }

    async fn notices(&self, user: &UserKey, limit: u32) -> Result<Vec<NoticeRow>, StoreError> {
        let parameters = vec![user.contract.as_str().into(), user.user.as_str().into(), at_most(limit)];
        self.all(&sql::NOTICES_OF, parameters, columns::read_notice).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.writer.is_closed() || self.readers.is_closed() {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        self.database.reading().await?.ping().await?;
        // An act that changes nothing: it takes the writers' lock and writes the head as it was, durably, so that a database
        // that is locked, full, read-only or a standby shows.
        let nothing = Ask::about(words::identifier(ContractId::new("readiness"))?);
        self.writer.change(nothing, Box::new(|_| super::Write::default())).await.map(drop)
    }

    async fn close(&self) {
        self.writer.close().await;
        self.ears.close().await;
        self.database.close().await;
    }
}

fn at_most(limit: u32) -> Value {
    Value::Int(limit.min(MOST_ROWS).into())
}

/// PostgreSQL compares no text with a NUL: one act's would fail the whole batch.
fn refuse_nul(ask: &Ask) -> Result<(), StoreError> {
    let idempotency = ask.idempotency.iter().flat_map(|key| [&key.caller, &key.key]);
    if ask.address.iter().chain(idempotency).any(|text| text.contains('\0')) {
        return Err(StoreError::Unavailable("a text with a NUL".into()));
    }
    Ok(())
}
