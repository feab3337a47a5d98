//! Who may read what, and reading it.

use super::{Refused, Service};
use crate::audit::{ActResult, Entry, Record};
use crate::authenticate::{Caller, Right, ShownCertificate};
use crate::store::{Ask, CertificateRow, ContractRow, NoticeRow, StatusRow, UserRow};
use sekisho_lifecycle::profile::{ActorRole, Channel, Profile, UniqueName, Whose};
use sekisho_lifecycle::{Certificate, ContractId, PublicReason, Standing, Target, User, UserId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_runtime::clock;
use std::sync::Arc;

/// What a caller wants to read.
enum Wanted<'a> {
    Everything,
    Contract(&'a ContractId),
    User(&'a UserKey),
}

const NOT_PERMITTED: Refused = Refused::Rules(PublicReason::NotPermitted);

impl Service {
    /// Contracts by ID; services only.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn contracts(
        &self,
        caller: &Caller,
        after: Option<&ContractId>,
        limit: u32,
    ) -> Result<Vec<ContractRow>, Refused> {
        self.may_read(caller, &Wanted::Everything).await?;
        Ok(self.store().contracts(after, limit).await?)
    }

    /// One contract.
    ///
    /// # Errors
    /// [`Refused`]; of a contract that is not there as of one that is another's.
    pub async fn contract(&self, caller: &Caller, contract: &ContractId) -> Result<ContractRow, Refused> {
        match caller {
            // Each user may see what their contract is.
            Caller::User(shown) if shown.of.contract == *contract => {
                self.may_read(caller, &Wanted::User(&shown.of)).await?;
            }
            _ => self.may_read(caller, &Wanted::Contract(contract)).await?,
        }
        self.store().find(&Ask::about(contract.clone())).await?.contract.ok_or(NOT_PERMITTED)
    }

    /// Users of a contract by ID.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn users(
        &self,
        caller: &Caller,
        contract: &ContractId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<UserRow>, Refused> {
        self.may_read(caller, &Wanted::Contract(contract)).await?;
        Ok(self.store().users(contract, after, limit).await?)
    }

    /// One user and their contract.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn user(&self, caller: &Caller, user: &UserKey) -> Result<(ContractRow, UserRow), Refused> {
        self.may_read(caller, &Wanted::User(user)).await?;
        let found = self.store().find(&Ask::on(user)).await?;
        found.contract.zip(found.user).ok_or(NOT_PERMITTED)
    }

    /// The user of a login ID, of a product whose login IDs are unique in the bank, and their contract; services only.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn user_of_login(
        &self,
        caller: &Caller,
        profile: &str,
        login: &UserId,
    ) -> Result<(ContractRow, UserRow), Refused> {
        self.may_read(caller, &Wanted::Everything).await?;
        let holder = self.store().holder(&UniqueName::login(profile, login.as_str())).await?.ok_or(NOT_PERMITTED)?;
        let found = self.store().find(&Ask::on(&holder)).await?;
        found.contract.zip(found.user).ok_or(NOT_PERMITTED)
    }

    /// The last change of a certificate's status, and when it was written in milliseconds since 1970; services only.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn written(
        &self,
        caller: &Caller,
        serial: &SerialNumber,
    ) -> Result<Option<(StatusRow, Option<i64>)>, Refused> {
        self.may_read(caller, &Wanted::Everything).await?;
        Ok(self.store().written(serial).await?)
    }

    /// The last certificate that the user acquired.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn certificate(&self, caller: &Caller, user: &UserKey) -> Result<Option<CertificateRow>, Refused> {
        let (_, row) = self.user(caller, user).await?;
        let serial = match &row.user.certificate {
            Certificate::None => return Ok(None),
            Certificate::Held(held) => held.serial,
            Certificate::Revoked(revoked) => revoked.serial,
        };
        Ok(self.store().certificate(&serial).await?)
    }

    /// The certificates above one of an authority's, without the root, in DER.
    pub fn certificates_above(&self, certificate: &CertificateRow) -> Vec<Arc<[u8]>> {
        self.chain(&certificate.authority)
    }

    /// 操作履歴, the newest first.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn history(
        &self,
        caller: &Caller,
        contract: &ContractId,
        user: Option<&UserId>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, Refused> {
        match user {
            None => self.may_read(caller, &Wanted::Contract(contract)).await?,
            Some(user) => {
                let key = UserKey { contract: contract.clone(), user: user.clone() };
                self.may_read(caller, &Wanted::User(&key)).await?;
            }
        }
        Ok(self.store().history(contract, user, before, limit).await?)
    }

    /// A user's newest notices.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn notices(&self, caller: &Caller, user: &UserKey, limit: u32) -> Result<Vec<NoticeRow>, Refused> {
        self.may_read(caller, &Wanted::User(user)).await?;
        Ok(self.store().notices(user, limit).await?)
    }

    /// Records that a request was refused before it could become a [`super::Request`]. Where the contract's ID cannot be
    /// one there is nobody to record it of; where the store is down it is lost, as the request is.
    pub async fn refused_before(
        &self,
        caller: Option<&Caller>,
        contract: &str,
        user: Option<&str>,
        command: &str,
        why: &str,
        reference: &Arc<str>,
    ) {
        let Some(contract) = ContractId::new(contract) else { return };
        let target = match (user.and_then(UserId::new), caller) {
            // As in the records of requests: a stranger's nonsense goes into their own history.
            (_, Some(Caller::User(shown))) if shown.of.contract != contract => Target::User(shown.of.clone()),
            (Some(user), _) => Target::User(UserKey { contract, user }),
            (None, _) => Target::Contract(contract),
        };
        let entry = Entry {
            at: clock::now(),
            caller: caller.map_or_else(|| "nobody".into(), Caller::name),
            actor: None,
            command: command.into(),
            target,
            channel: None,
            screen: None,
            form: None,
            serial: None,
            address: None,
            reference: Arc::clone(reference),
            result: ActResult::Refused(why.into()),
        };
        if let Err(error) = self.record(entry).await {
            tracing::warn!(?error, "a refusal could not be recorded");
        }
    }

    async fn may_read(&self, caller: &Caller, wanted: &Wanted<'_>) -> Result<(), Refused> {
        let shown = match caller {
            Caller::Service { .. } => {
                let reads = [Right::Read, Right::Online, Right::Desk].into_iter().any(|right| caller.has(right));
                return if reads { Ok(()) } else { Err(NOT_PERMITTED) };
            }
            Caller::User(shown) => shown,
        };
        let found = self.store().find(&Ask::on(&shown.of)).await?;
        let (Some(contract), Some(row)) = (&found.contract, &found.user) else { return Err(NOT_PERMITTED) };
        if !is_theirs(&row.user, shown) {
            return Err(NOT_PERMITTED);
        }
        let (profile, _) = self.rules(contract)?;
        let all_of = |id: &ContractId| *id == shown.of.contract && looks_after_others(&profile, &row.user);
        let may = match wanted {
            Wanted::Everything => false,
            Wanted::Contract(contract) => all_of(contract),
            Wanted::User(user) => **user == shown.of || all_of(&user.contract),
        };
        if may { Ok(()) } else { Err(NOT_PERMITTED) }
    }
}

/// Whether the certificate shown is the one that lives, of a user who may act.
fn is_theirs(user: &User, shown: &ShownCertificate) -> bool {
    let live = user.live(clock::now()).is_some_and(|held| held.serial == shown.serial);
    live && user.standing == Standing::Active
}

/// Whoever may do something to others on the screen sees the list they do it from.
fn looks_after_others(profile: &Profile, user: &User) -> bool {
    let role = ActorRole::Role(user.role.clone());
    let permits = profile.matrix.permits().iter();
    permits
        .filter(|permit| permit.by.contains(&role) && permit.channels.contains(&Channel::Online))
        .any(|permit| permit.whose.contains(&Whose::Other))
}
