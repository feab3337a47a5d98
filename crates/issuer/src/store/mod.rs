//! The store: contracts, users, certificates, statuses, audit log and outbox, in SQLite or PostgreSQL (S14).
//!
//! One method is one transaction. [`Store::change`] is the way of every act: it reads what the act meets, lets a pure
//! closure decide, and writes what that gives, all of it or nothing. Acts that wait are done in one transaction one
//! after the other, each seeing what the ones before it wrote (group commit); all writers of all nodes take the lock of
//! the audit chain's head first, so that they are serialised and the chain has no forks.

mod batch;
mod columns;
mod database;
mod feed;
mod migrate;
mod names;
mod open;
mod overlay;
mod place;
mod prune;
mod queries;
mod reader;
mod rows;
mod signals;
mod sql_store;
mod statement;
mod tables;
mod user_columns;
mod value;
mod words;
mod writer;

pub use names::SharedName;
pub use open::{OpenError, init, open, open_to_read, plans};
pub use place::{Mark, Place};
pub use rows::*;
pub use signals::Signals;

use crate::audit::{Entry, Head, Record};
use async_trait::async_trait;
use sekisho_lifecycle::profile::{Profile, UniqueName};
use sekisho_lifecycle::{ContractId, UserId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What an act makes of what it found. Pure and short: it holds up every writer.
pub type Decide = Box<dyn FnOnce(&Found) -> Write + Send>;

/// Where everything is kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads, decides and writes in one transaction. When this returns `Ok` what the closure gave is committed and
    /// durable; after an error nothing of it is, but for [`StoreError::Unknown`].
    async fn change(&self, ask: Ask, decide: Decide) -> Result<Committed, StoreError>;

    /// What [`Self::change`] would find, without a lock: to know which proofs to ask for.
    async fn find(&self, ask: &Ask) -> Result<Found, StoreError>;

    /// Contracts by ID, after `after`.
    async fn contracts(&self, after: Option<&ContractId>, limit: u32) -> Result<Vec<ContractRow>, StoreError>;
    /// Users of a contract by ID, after `after`.
    async fn users(
        &self,
        contract: &ContractId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<UserRow>, StoreError>;
    /// A certificate that was begun.
    async fn certificate(&self, serial: &SerialNumber) -> Result<Option<CertificateRow>, StoreError>;
    /// Certificates that were begun, by serial, after `after`.
    async fn certificates(&self, after: Option<&SerialNumber>, limit: u32) -> Result<Vec<CertificateRow>, StoreError>;
    /// The completed certificate of that SHA-256 fingerprint: whom a gateway's assertion names.
    async fn certificate_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Result<Option<CertificateRow>, StoreError>;
    /// Users for whom a certificate was begun before `before` and neither completed nor interrupted: left by a crash.
    async fn under_way(&self, before: Timestamp, limit: u32) -> Result<Vec<UserKey>, StoreError>;
    /// Users who hold a certificate that ends in the span, in the order of (end, user), after `after`.
    async fn expiring(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<&(Timestamp, UserKey)>,
        limit: u32,
    ) -> Result<Vec<UserRow>, StoreError>;

    /// Who has a name.
    async fn holder(&self, name: &UniqueName) -> Result<Option<UserKey>, StoreError>;
    /// Gives the users of a product the names that they are to have alone ([`Profile::unique_names`]), where an earlier
    /// program registered them without. Returns names that several users have who were not deleted; none is given then.
    async fn claim_names(&self, profile: &Profile) -> Result<Vec<SharedName>, StoreError>;

    /// Changes of status after that sequence number, of all authorities, in order.
    async fn statuses(&self, after: u64, limit: u32) -> Result<Vec<StatusRow>, StoreError>;
    /// The last change of status of a certificate.
    async fn status(&self, serial: &SerialNumber) -> Result<Option<StatusRow>, StoreError>;
    /// Takes the next number of a part's lists, for ever: it is used up even when no list comes of it. It is no less
    /// than the time in milliseconds since 1970, and so greater than any that was taken before the store was restored.
    async fn take_list_number(&self, authority: &str, part: u16, this_update: Timestamp) -> Result<u64, StoreError>;
    /// Notes that a part had a list of that number, which was taken before the store was set back: none so small is
    /// taken again.
    async fn raise_list_number(
        &self,
        authority: &str,
        part: u16,
        number: u64,
        this_update: Timestamp,
    ) -> Result<(), StoreError>;
    /// Dates the last list of every part no later than this; how many were.
    async fn redate_lists(&self, latest: Timestamp) -> Result<u64, StoreError>;
    /// The database's own clock: one for all nodes where it is a server.
    async fn clock(&self) -> Result<Timestamp, StoreError>;
    /// The last number taken of each part.
    async fn list_numbers(&self, authority: &str) -> Result<Vec<ListNumberRow>, StoreError>;
    /// Notes from which list on a part has every change up to a sequence number. Where that is known of another list
    /// too, of another node or before, the smaller number is kept. Gives what is kept.
    async fn settle_list(&self, list: &SettledList<'_>) -> Result<Settled, StoreError>;

    /// Which store this is: random, and fixed for ever.
    async fn feed_id(&self) -> Result<Arc<str>, StoreError>;
    /// Notes which gateways are there and what they have in force, as that node knows it; all of it in one transaction.
    /// That a stream has ended counts where it is the one that was noted last.
    async fn feed_note(&self, node: &str, notes: &[GatewayNote]) -> Result<(), StoreError>;
    /// Gateways that were seen so long ago at most, by name, and whether they have that sequence number.
    async fn feed_gateways(&self, sequence: u64, seen_within: Duration) -> Result<Vec<GatewayRow>, StoreError>;
    /// The last change of status of a certificate, and when it was written, in milliseconds since 1970.
    async fn written(&self, serial: &SerialNumber) -> Result<Option<(StatusRow, Option<i64>)>, StoreError>;
    /// What rings when something was written, here or, over PostgreSQL, by another node. It may ring for nothing, and
    /// what another node wrote may come without it while the database is away.
    fn signals(&self) -> Signals;

    /// Where the audit log ends.
    async fn audit_head(&self) -> Result<Head, StoreError>;
    /// Records of the audit log from that sequence number on.
    async fn audit(&self, from: u64, limit: u32) -> Result<Vec<Record>, StoreError>;
    /// The newest records about a contract or one user of it, before `before` (a sequence number), newest first.
    async fn history(
        &self,
        contract: &ContractId,
        user: Option<&UserId>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError>;

    /// The factors that are kept of a user, those of the contract (`user` empty in [`CredentialRow`]) among them.
    async fn credentials(&self, user: &UserKey) -> Result<Vec<CredentialRow>, StoreError>;
    /// Uses up a time step of a one-time password; whether it was later than every one used before.
    async fn use_time_step(&self, user: &UserKey, step: u64) -> Result<Fresh, StoreError>;

    /// Takes notices that are due for this node until `until`, so that no other sends them meanwhile.
    async fn take_notices(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<NoticeRow>, StoreError>;
    /// It was handed to the mail server.
    async fn notice_sent(&self, id: u64, at: Timestamp) -> Result<(), StoreError>;
    /// It was not; when to try next, `None` to give up.
    async fn notice_failed(&self, id: u64, next: Option<Timestamp>, why: &str) -> Result<(), StoreError>;
    /// The newest notices of a user, for the screen.
    async fn notices(&self, user: &UserKey, limit: u32) -> Result<Vec<NoticeRow>, StoreError>;

    /// Whether it answers, and can be written.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Ends the writer once what waits is written.
    async fn close(&self);
}

/// [`Store::change`] with a result, which is given only once it is committed.
///
/// # Errors
/// As [`Store::change`].
pub async fn change<T: Send + 'static>(
    store: &dyn Store,
    ask: Ask,
    decide: impl FnOnce(&Found) -> (Write, T) + Send + 'static,
) -> Result<T, StoreError> {
    change_numbered(store, ask, decide).await.map(|(result, _)| result)
}

/// [`change`], and the number of its last change of status.
///
/// # Errors
/// As [`Store::change`].
pub async fn change_numbered<T: Send + 'static>(
    store: &dyn Store,
    ask: Ask,
    decide: impl FnOnce(&Found) -> (Write, T) + Send + 'static,
) -> Result<(T, Option<u64>), StoreError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let decide = Box::new(move |found: &Found| {
        let (write, result) = decide(found);
        // Nobody waits any more: the client went away. What was decided is written all the same.
        let _ = sender.send(result);
        write
    });
    let committed = store.change(ask, decide).await?;
    let result = receiver.await.map_err(|_| StoreError::Unavailable("the store did not decide".into()))?;
    Ok((result, committed.status))
}

/// What a commit gave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The sequence number of the last change of status in it.
    pub status: Option<u64>,
}

/// What an act wants to know; everything is read in its transaction.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The contract.
    pub contract: ContractId,
    /// The target.
    pub user: Option<UserId>,
    /// The acting user, who may be of another contract.
    pub actor: Option<UserKey>,
    /// The client's address, whose wrong tries are counted.
    pub address: Option<Arc<str>>,
    /// SHA-256 of a subjectPublicKeyInfo that is to be certified.
    pub public_key: Option<[u8; 32]>,
    /// Caller and idempotency key.
    pub idempotency: Option<IdempotencyKey>,
    /// Whether [`Found::everyone`] is wanted.
    pub everyone: Everyone,
    /// Names whose holders are wanted.
    pub names: Vec<UniqueName>,
}

impl Ask {
    /// About a contract alone.
    pub fn about(contract: ContractId) -> Self {
        Self {
            contract,
            user: None,
            actor: None,
            address: None,
            public_key: None,
            idempotency: None,
            everyone: Everyone::No,
            names: Vec::new(),
        }
    }

    /// About one user.
    pub fn on(user: &UserKey) -> Self {
        Self { user: Some(user.user.clone()), ..Self::about(user.contract.clone()) }
    }
}

/// Whether an act concerns every user of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Everyone {
    /// No.
    #[default]
    No,
    /// Those who hold a certificate or have something under way.
    WithCertificates,
}

/// What there is; the default: nothing.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The contract; `None`: there is none.
    pub contract: Option<ContractRow>,
    /// The target.
    pub user: Option<UserRow>,
    /// The acting user; the same record where they are the target.
    pub actor: Option<UserRow>,
    /// Wrong tries from the address; zero where there were none.
    pub address: sekisho_lifecycle::Counter,
    /// Whether the public key was ever certified or about to be.
    pub public_key: Fresh,
    /// What the request with this idempotency key left, if it came before.
    pub before: Option<IdempotencyRow>,
    /// Every user concerned, where asked for.
    pub everyone: Vec<UserRow>,
    /// Who has the names that were asked for.
    pub names: Vec<(UniqueName, UserRow)>,
}

/// What an act writes: all of it in its transaction, or nothing. The default writes nothing.
#[derive(Debug, Default)]
pub struct Write {
    /// Put in, or in the place of what was there.
    pub contract: Option<ContractRow>,
    /// Put in, or in the place of what was there.
    pub users: Vec<UserRow>,
    /// Names that users have from now on, and nobody else.
    pub names: Vec<(UniqueName, UserKey)>,
    /// Wrong tries from the address of [`Ask::address`].
    pub address: Option<sekisho_lifecycle::Counter>,
    /// A certificate that is to be signed. A serial that was ever used fails the act with [`StoreError::SerialTaken`].
    pub intent: Option<CertificateRow>,
    /// The certificate of a recorded intent.
    pub certificate: Option<CompletedRow>,
    /// Changes of status, in this order.
    pub statuses: Vec<StatusChange>,
    /// Notices; one whose event was told before is not put in again.
    pub notices: Vec<NewNotice>,
    /// Factors; each in the place of what was there.
    pub credentials: Vec<CredentialRow>,
    /// What a repeat of the request is to find; in the place of what was there.
    pub idempotency: Option<IdempotencyRow>,
    /// Records of the audit log, in this order.
    pub audit: Vec<Entry>,
}

/// Whether something was seen before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fresh {
    /// Never.
    #[default]
    Yes,
    /// It was.
    No,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It does not answer, is full or refuses; nothing was written. What happened, for the log.
    Unavailable(Arc<str>),
    /// The connection broke during the commit: it may have been written or not. For the log.
    Unknown(Arc<str>),
    /// Too many acts wait; nothing was written.
    Busy,
    /// The serial was used before; nothing was written.
    SerialTaken,
    /// What is kept cannot be read: a defect or another program's work. For the log.
    Corrupt(Arc<str>),
    /// What was read up to this sequence number is not there any more: it was restored from a backup, or a standby took
    /// its place that had not everything.
    WentBack(u64),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the store is not available: {why}"),
            Self::Unknown(why) => write!(f, "the store did not say whether it wrote: {why}"),
            Self::Busy => f.write_str("too many acts wait for the store"),
            Self::SerialTaken => f.write_str("the serial number was used before"),
            Self::Corrupt(why) => write!(f, "what the store keeps cannot be read: {why}"),
            Self::WentBack(sequence) => {
                write!(f, "the store does not have change {sequence} any more, which was read from it: it was restored")
            }
        }
    }
}

impl std::error::Error for StoreError {}
