//! What the acts of one batch see: what was read for all of them, and over it what those before wrote.

use super::columns;
use super::database::On;
use super::statement::{Kind, Statement, There, rows};
use super::tables::{ADDRESSES, CONTRACTS, IDEMPOTENCY, UNIQUE_NAMES, USERS};
use super::value::{Corrupt, Value};
use super::{
    Ask, ContractRow, Everyone, Found, Fresh, IdempotencyKey, IdempotencyRow, StoreError, UserRow, Write, user_columns,
};
use sekisho_lifecycle::profile::UniqueName;
use sekisho_lifecycle::{Certificate, ContractId, Counter, Next, Standing, UserKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// What is known, and which of it is to be written.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    contracts: BTreeMap<ContractId, ContractRow>,
    users: BTreeMap<UserKey, UserRow>,
    addresses: BTreeMap<Arc<str>, Counter>,
    public_keys: BTreeSet<[u8; 32]>,
    idempotency: BTreeMap<IdempotencyKey, IdempotencyRow>,
    names: BTreeMap<UniqueName, UserKey>,
    changed: Changed,
}

/// Keys of what acts wrote.
#[derive(Debug, Default)]
struct Changed {
    contracts: BTreeSet<ContractId>,
    users: BTreeSet<UserKey>,
    addresses: BTreeSet<Arc<str>>,
    idempotency: BTreeSet<IdempotencyKey>,
    names: BTreeSet<UniqueName>,
}

impl Overlay {
    /// Reads what all the acts ask for; a statement for each kind that is asked for.
    pub(super) async fn read(on: &mut On<'_>, asks: &[&Ask]) -> Result<Self, StoreError> {
        let mut overlay = Self::default();
        let contracts: BTreeSet<_> = asks.iter().map(|ask| &ask.contract).collect();
        let wanted = contracts.iter().map(|id| vec![id.as_str().into()]);
        for mut row in each(on, &CONTRACTS_BY_ID, wanted).await? {
            let row = columns::read_contract(&mut row)?;
            overlay.contracts.insert(row.contract.id.clone(), row);
        }
        let targets = asks.iter().filter_map(|ask| Some((&ask.contract, ask.user.as_ref()?)));
        let actors = asks.iter().filter_map(|ask| ask.actor.as_ref()).map(|key| (&key.contract, &key.user));
        let names: BTreeSet<_> = asks.iter().flat_map(|ask| &ask.names).collect();
        for mut row in each(on, &NAMES_BY_NAME, names.iter().map(|name| name_key(name))).await? {
            let (name, holder) = columns::read_unique_name(&mut row)?;
            overlay.names.insert(name, holder);
        }
        let holders: Vec<_> = overlay.names.values().cloned().collect();
        let holders = holders.iter().map(|key| (&key.contract, &key.user));
        let users: BTreeSet<_> = targets.chain(actors).chain(holders).collect();
        let wanted = users.iter().map(|(contract, user)| vec![contract.as_str().into(), user.as_str().into()]);
        let mut found = each(on, &USERS_BY_ID, wanted).await?;
        let everyone = asks.iter().filter(|ask| ask.everyone == Everyone::WithCertificates).map(|ask| &ask.contract);
        let wanted = everyone.collect::<BTreeSet<_>>().into_iter().map(|id| vec![id.as_str().into()]);
        found.extend(each(on, &USERS_CONCERNED, wanted).await?);
        for mut row in found {
            let row = user_columns::decode(&mut row)?;
            overlay.users.insert(row.user.key.clone(), row);
        }
        let addresses: BTreeSet<_> = asks.iter().filter_map(|ask| ask.address.as_deref()).collect();
        for mut row in each(on, &ADDRESSES_BY_ADDRESS, addresses.into_iter().map(|text| vec![text.into()])).await? {
            let (address, counter) = columns::read_address(&mut row)?;
            overlay.addresses.insert(address.into(), counter);
        }
        let keys: BTreeSet<_> = asks.iter().filter_map(|ask| ask.public_key).collect();
        for mut row in each(on, &PUBLIC_KEYS, keys.iter().map(|key| vec![key.as_slice().into()])).await? {
            overlay.public_keys.insert(super::words::digest(&mut row)?);
        }
        let keys: BTreeSet<_> =
            asks.iter().filter_map(|ask| ask.idempotency.as_ref()).map(|key| (&*key.caller, &*key.key)).collect();
        let wanted = keys.iter().map(|(caller, key)| vec![(*caller).into(), (*key).into()]);
        for mut row in each(on, &IDEMPOTENCY_BY_KEY, wanted).await? {
            let row = columns::read_idempotency(&mut row)?;
            overlay.idempotency.insert(row.key.clone(), row);
        }
        Ok(overlay)
    }

    /// What an act finds.
    pub(super) fn found(&self, ask: &Ask) -> Found {
        let target = ask.user.as_ref().map(|user| UserKey { contract: ask.contract.clone(), user: user.clone() });
        let user = |key: &Option<UserKey>| key.as_ref().and_then(|key| self.users.get(key)).cloned();
        let everyone = match ask.everyone {
            Everyone::No => Vec::new(),
            Everyone::WithCertificates => {
                let of_contract = self.users.values().filter(|row| row.user.key.contract == ask.contract);
                of_contract.filter(|row| is_concerned(row)).cloned().collect()
            }
        };
        let seen = ask.public_key.is_some_and(|key| self.public_keys.contains(&key));
        Found {
            contract: self.contracts.get(&ask.contract).cloned(),
            user: user(&target),
            actor: user(&ask.actor),
            address: ask.address.as_ref().and_then(|address| self.addresses.get(address)).copied().unwrap_or_default(),
            public_key: if seen { Fresh::No } else { Fresh::Yes },
            before: ask.idempotency.as_ref().and_then(|key| self.idempotency.get(key)).cloned(),
            everyone,
            names: ask.names.iter().filter_map(|name| self.holder(name)).collect(),
        }
    }

    fn holder(&self, name: &UniqueName) -> Option<(UniqueName, UserRow)> {
        Some((name.clone(), self.users.get(self.names.get(name)?)?.clone()))
    }

    /// Puts what an act wrote over what was there.
    ///
    /// # Errors
    /// [`Corrupt`] when it cannot stand beside what is there; nothing changes then.
    pub(super) fn apply(&mut self, ask: &Ask, write: &Write) -> Result<(), Corrupt> {
        self.check(write)?;
        if let Some(row) = &write.contract {
            let id = &row.contract.id;
            // What is as it was is not written: most acts leave the contract alone and hand it back.
            if self.contracts.get(id) != Some(row) {
                self.contracts.insert(id.clone(), row.clone());
                self.changed.contracts.insert(id.clone());
            }
        }
        for row in &write.users {
            let key = &row.user.key;
            if self.users.get(key) != Some(row) {
                self.users.insert(key.clone(), row.clone());
                self.changed.users.insert(key.clone());
            }
        }
        if let (Some(address), Some(counter)) = (&ask.address, write.address)
            && self.addresses.get(address).copied().unwrap_or_default() != counter
        {
            self.addresses.insert(Arc::clone(address), counter);
            self.changed.addresses.insert(Arc::clone(address));
        }
        self.public_keys.extend(write.intent.as_ref().map(|row| row.public_key));
        if let Some(row) = &write.idempotency {
            self.idempotency.insert(row.key.clone(), row.clone());
            self.changed.idempotency.insert(row.key.clone());
        }
        for (name, holder) in &write.names {
            self.names.insert(name.clone(), holder.clone());
            self.changed.names.insert(name.clone());
        }
        Ok(())
    }

    /// Foreign keys, before the database checks them: there one act would fail the whole batch.
    fn check(&self, write: &Write) -> Result<(), Corrupt> {
        let opened = write.contract.as_ref().map(|row| &row.contract.id);
        let is_there = |contract: &ContractId| opened == Some(contract) || self.contracts.contains_key(contract);
        if !write.users.iter().all(|row| is_there(&row.user.key.contract)) {
            return Err(Corrupt("a user of a contract that was not read"));
        }
        // Two users of one name could not be told apart by a gateway: whatever was decided, that is not written.
        let is_free = |name: &UniqueName, holder: &UserKey| {
            let before = self.names.get(name).filter(|before| *before != holder);
            let is_deleted = |row: &UserRow| name.is_of_a_role() && row.user.standing == Standing::Deleted;
            before.is_none_or(|before| self.users.get(before).is_some_and(is_deleted))
        };
        if !write.names.iter().all(|(name, holder)| is_free(name, holder)) {
            return Err(Corrupt("a name that is another user's"));
        }
        let of = write.credentials.iter().map(|row| match &row.of {
            super::CredentialOwner::Contract(contract) => contract,
            super::CredentialOwner::User(key) => &key.contract,
        });
        if !of.into_iter().all(is_there) {
            return Err(Corrupt("a factor of a contract that was not read"));
        }
        let is_known =
            |key: &UserKey| write.users.iter().any(|row| row.user.key == *key) || self.users.contains_key(key);
        if !write.intent.iter().all(|row| is_known(&row.user)) {
            return Err(Corrupt("a certificate of a user who was not read"));
        }
        Ok(())
    }

    /// Rows of contracts, users, addresses and idempotency keys that were changed, each once.
    pub(super) fn changed(&self) -> [(&'static Statement, Vec<Vec<Value>>); 5] {
        let Changed { contracts, users, addresses, idempotency, names } = &self.changed;
        [
            (
                &*PUT_CONTRACTS,
                contracts.iter().filter_map(|id| self.contracts.get(id)).map(columns::contract).collect(),
            ),
            (&*PUT_USERS, users.iter().filter_map(|key| self.users.get(key)).map(user_columns::encode).collect()),
            (
                &*PUT_ADDRESSES,
                addresses.iter().filter_map(|key| self.addresses.get_key_value(key)).map(address_row).collect(),
            ),
            (
                &*PUT_IDEMPOTENCY,
                idempotency.iter().filter_map(|key| self.idempotency.get(key)).map(columns::idempotency).collect(),
            ),
            (&*PUT_NAMES, names.iter().filter_map(|name| self.names.get_key_value(name)).map(name_row).collect()),
        ]
    }
}

/// The rows of a statement for each of the keys; none is run where there are none.
pub(super) async fn each(
    on: &mut On<'_>,
    statement: &'static Statement,
    keys: impl Iterator<Item = Vec<Value>>,
) -> Result<Vec<super::value::Columns>, StoreError> {
    let keys: Vec<Vec<Value>> = keys.collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(on.rows(statement, vec![rows(keys.iter().map(Vec::as_slice))]).await?)
}

fn address_row((address, counter): (&Arc<str>, &Counter)) -> Vec<Value> {
    columns::address(address, counter)
}

fn name_key(name: &UniqueName) -> Vec<Value> {
    vec![(&*name.scope).into(), (&*name.name).into()]
}

fn name_row((name, holder): (&UniqueName, &UserKey)) -> Vec<Value> {
    [name_key(name), vec![holder.contract.as_str().into(), holder.user.as_str().into()]].concat()
}

/// As the index `users_concerned` has it.
fn is_concerned(row: &UserRow) -> bool {
    matches!(row.user.certificate, Certificate::Held(_)) || row.user.next != Next::Nothing
}

pub(super) static CONTRACTS_BY_ID: LazyLock<Statement> = LazyLock::new(|| Statement::by_keys(&CONTRACTS, 1));
pub(super) static USERS_BY_ID: LazyLock<Statement> = LazyLock::new(|| Statement::by_keys(&USERS, 2));
pub(super) static USERS_CONCERNED: LazyLock<Statement> = LazyLock::new(|| {
    Statement::select_each(&USERS, "t.contract = {0:text} AND (t.certificate = 'held' OR t.next IS NOT NULL)")
});
pub(super) static ADDRESSES_BY_ADDRESS: LazyLock<Statement> = LazyLock::new(|| Statement::by_keys(&ADDRESSES, 1));
pub(super) static IDEMPOTENCY_BY_KEY: LazyLock<Statement> = LazyLock::new(|| Statement::by_keys(&IDEMPOTENCY, 2));
pub(super) static NAMES_BY_NAME: LazyLock<Statement> = LazyLock::new(|| Statement::by_keys(&UNIQUE_NAMES, 2));
pub(super) static PUBLIC_KEYS: LazyLock<Statement> = LazyLock::new(|| {
    let words = "SELECT t.public_key FROM {each} CROSS JOIN certificates t WHERE t.public_key = {0:bytes}";
    Statement::new(words, &[Kind::Rows])
});

static PUT_CONTRACTS: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&CONTRACTS, There::Replaced));
static PUT_USERS: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&USERS, There::Replaced));
static PUT_ADDRESSES: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&ADDRESSES, There::Replaced));
static PUT_NAMES: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&UNIQUE_NAMES, There::Replaced));
static PUT_IDEMPOTENCY: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&IDEMPOTENCY, There::Replaced));
