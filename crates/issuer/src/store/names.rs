//! Names that one user has alone: given to users whom an earlier program registered without.

use super::batch::LOCK_HEAD;
use super::columns;
use super::database::{Database, On};
use super::statement::Kind::Text;
use super::statement::{Dialect, Statement};
use super::value::Value;
use super::{StoreError, UserKey};
use sekisho_lifecycle::profile::{Profile, Role, UniqueIn, UniqueName};
use std::fmt;
use std::sync::LazyLock;

/// A name that several users have, none of whom was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedName {
    /// The name.
    pub name: UniqueName,
    /// One of those who have it.
    pub user: UserKey,
}

/// See [`super::Store::claim_names`]. Once for each kind of name of a profile; a profile that ceases to have the kind
/// begins anew should it have it again.
pub(super) async fn claim(database: &Database, profile: &Profile) -> Result<Vec<SharedName>, StoreError> {
    let mut transaction = database.transaction().await?;
    let mut on = transaction.on();
    on.rows(&LOCK_HEAD, Vec::new()).await?;
    if database.dialect() == Dialect::Postgres {
        // All users of a product are read, once.
        on.script("SET LOCAL statement_timeout = '10min'; SET LOCAL enable_hashjoin = on".to_owned()).await?;
    }
    let login = profile.identifiers.unique == UniqueIn::Profile;
    let login = kind(&mut on, &LOGINS, UniqueName::login(&profile.name, ""), vec![(&*profile.name).into()], login);
    let mut shared = login.await?;
    for Role { name, .. } in &profile.roles {
        let done = UniqueName { scope: format!("role of {}/{name}", profile.name).into(), name: "".into() };
        let parameters = vec![(&*profile.name).into(), (&*name.0).into()];
        shared.extend(kind(&mut on, &ROLES, done, parameters, profile.is_sole(name)).await?);
    }
    if shared.is_empty() {
        transaction.commit().await?;
    }
    Ok(shared)
}

/// How names of a kind are found and given.
struct Kind {
    shared: Statement,
    claim: Statement,
}

/// `done` is the name whose row says that the kind was seen to.
async fn kind(
    on: &mut On<'_>,
    statements: &'static Kind,
    done: UniqueName,
    parameters: Vec<Value>,
    wanted: bool,
) -> Result<Vec<SharedName>, StoreError> {
    let mark = || vec![(&*done.scope).into()];
    if !wanted {
        on.execute(&FORGET, mark()).await?;
        return Ok(Vec::new());
    }
    if !on.rows(&IS_DONE, mark()).await?.is_empty() {
        return Ok(Vec::new());
    }
    let rows = on.rows(&statements.shared, parameters.clone()).await?;
    if rows.is_empty() {
        on.execute(&statements.claim, parameters).await?;
        on.execute(&DONE, mark()).await?;
    }
    let read = |mut row| columns::read_unique_name(&mut row).map(|(name, user)| SharedName { name, user });
    Ok(rows.into_iter().map(read).collect::<Result<_, _>>()?)
}

impl Kind {
    /// `claimants` selects scope, name, contract, user_id and standing.
    fn new(claimants: &str, parameters: &'static [super::statement::Kind]) -> Self {
        let living = format!("FROM ({claimants}) k WHERE k.standing <> 'deleted'");
        let shared = format!(
            "SELECT k.scope, k.name, k.contract, k.user_id {living} AND (k.scope, k.name) IN
                (SELECT k.scope, k.name {living} GROUP BY k.scope, k.name HAVING count(*) > 1)
            ORDER BY k.scope, k.name, k.contract, k.user_id LIMIT {MOST_SHARED}"
        );
        // Of one who was deleted and one who was not, the latter has the name.
        let claim = format!(
            "INSERT INTO unique_names (scope, name, contract, user_id)
            SELECT k.scope, k.name, k.contract, k.user_id FROM ({claimants}) k WHERE true
            ORDER BY CASE WHEN k.standing = 'deleted' THEN 1 ELSE 0 END, k.contract, k.user_id
            ON CONFLICT (scope, name) DO NOTHING"
        );
        Self { shared: Statement::new(&shared, parameters), claim: Statement::new(&claim, parameters) }
    }
}

/// Users who are named in a refusal: more do not help whoever reads it.
const MOST_SHARED: usize = 20;

static LOGINS: LazyLock<Kind> = LazyLock::new(|| {
    let claimants = "SELECT 'login/' || c.profile AS scope, u.id AS name, u.contract, u.id AS user_id, u.standing
        FROM contracts c JOIN users u ON u.contract = c.id WHERE c.profile = $1";
    Kind::new(claimants, &[Text])
});
static ROLES: LazyLock<Kind> = LazyLock::new(|| {
    let claimants = "SELECT 'role/' || u.contract AS scope, u.role AS name, u.contract, u.id AS user_id, u.standing
        FROM contracts c JOIN users u ON u.contract = c.id WHERE c.profile = $1 AND u.role = $2";
    Kind::new(claimants, &[Text, Text])
});
static IS_DONE: LazyLock<Statement> =
    LazyLock::new(|| Statement::new("SELECT scope FROM unique_names WHERE scope = $1 AND name = ''", &[Text]));
static DONE: LazyLock<Statement> = LazyLock::new(|| {
    let words = "INSERT INTO unique_names (scope, name, contract, user_id) VALUES ($1, '', '', '')";
    Statement::new(words, &[Text])
});
static FORGET: LazyLock<Statement> =
    LazyLock::new(|| Statement::new("DELETE FROM unique_names WHERE scope = $1 AND name = ''", &[Text]));
pub(super) static HOLDER: LazyLock<Statement> = LazyLock::new(|| {
    let words = "SELECT scope, name, contract, user_id FROM unique_names WHERE scope = $1 AND name = $2 AND name <> ''";
    Statement::new(words, &[Text, Text])
});

impl fmt::Display for SharedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.name.is_of_a_role() { "role" } else { "ID" };
        write!(
            f,
            "{what} {:?}: user {:?} of contract {:?}",
            self.name.name,
            self.user.user.as_str(),
            self.user.contract.as_str()
        )
    }
}
