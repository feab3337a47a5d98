//! The CRLs that were last in force, of files and of servers alike, in the state folder: a start compares what it finds
//! with them as a reload does with the snapshot before, so that a stop makes nobody forget a newer CRL.
//!
//! What is fetched lies in a folder of its own beside it (`sources::kept`): that is a source, named by its URL, and gone
//! when the configuration names another. This is memory, named by the CA's key.
//!
//! Each CRL is a file that is never written twice: its name has the CA's key, the CRL's identity and a checksum. So a
//! start whose sources have the same CRLs reads none of them, and a load that changes nothing writes none.

mod keep;

pub use keep::Keeping;

use super::accept::examine;
use super::alarm::{Alarm, AlarmKind};
use super::authority::{Authority, AuthorityFacts, Revocation, Role};
use super::choose::Candidates;
use super::feed::{from_hex, to_hex};
use super::files::{self, MAX_LIST_FILE_OCTETS};
use super::folder;
use super::in_force::RevocationLists;
use super::lists::{InForce, RevocationList, Says};
use super::policy::ListPolicy;
use super::select::Offer;
use super::snapshot::TrustSnapshot;
use sekisho_config::{ConfigError, Placed};
use sekisho_pki::fingerprint::{AuthorityKey, sha256};
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// CRLs that are kept: those of a folder of as many files as may be, four times over.
const MAX_FILES: usize = 4_096;

/// Octets of all of them: a hundred CRLs of a million certificates.
const MAX_OCTETS: u64 = 4 << 30;

/// How often the folder is read where its files go meanwhile: `sekisho verify` reads beside a running gateway, which keeps
/// a new CRL once an hour.
const TRIES: usize = 5;

const FOLDER: &str = "in_force";
const CRL: &str = ".crl";
/// What the name of a CRL has that stays in force to revoke and for nothing else.
const RETAINED: &str = "-retained";
/// What a file begins with that is not finished; also what a death left.
const UNFINISHED: &str = ".unfinished";

/// The folder.
#[derive(Clone, Debug)]
pub struct LastInForce {
    state_folder: Placed<PathBuf>,
    folder: PathBuf,
}

/// What a CRL in force is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// For whose certificates it is in force.
    ca: AuthorityKey,
    identity: [u8; 32],
    is_retained: bool,
}

/// One file.
struct Kept {
    name: Name,
    /// The first octets of its SHA-256, to find damage; who signed it is another question.
    sum: [u8; 8],
    path: PathBuf,
    octets: u64,
}

/// What a load has so far.
pub(super) struct Loading<'a> {
    pub(super) authorities: &'a [AuthorityFacts],
    pub(super) policies: &'a [Option<ListPolicy>],
    pub(super) offers: &'a [Offer],
    pub(super) previous: Option<&'a TrustSnapshot>,
    pub(super) now: Timestamp,
}

/// The CRLs that a snapshot has in force, to see whether the next has others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForceNames(BTreeSet<Name>);

impl InForceNames {
    /// Those of a snapshot.
    pub fn of(snapshot: &TrustSnapshot) -> Self {
        Self(in_force(snapshot).into_keys().collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl LastInForce {
    /// In a state folder that need not be there: then nothing is kept.
    pub fn at(state_folder: &Placed<PathBuf>) -> Self {
        Self { folder: state_folder.value.join(FOLDER), state_folder: state_folder.clone() }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The CRLs that were in force of each CA that the snapshot before does not know: all of them at a start, and one that
    /// comes back with a key or a source of before.
    ///
    /// # Errors
    /// At `gateway.state_folder`: a file cannot be read, is damaged, or from the future. Whom it revokes is then not known,
    /// and a start that went on would believe whatever older CRL its sources have; so it refuses, as with any other file
    /// of the state folder.
    pub(super) fn recall(
        &self,
        loading: &Loading<'_>,
        alarms: &mut Vec<Alarm>,
    ) -> Result<BTreeMap<AuthorityKey, RevocationLists>, ConfigError> {
        let is_known = |authority: &AuthorityFacts| {
            let before = loading.previous.and_then(|previous| previous.authority(&authority.key()));
            matches!(before.map(Authority::revocation), Some(Revocation::Lists(_)))
        };
        let missing = loading.authorities.iter().zip(loading.policies).filter_map(|(authority, policy)| {
            policy
                .as_ref()
                .filter(|_| is_counted(authority.role) && !is_known(authority))
                .map(|policy| (authority, policy))
        });
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            return Ok(BTreeMap::new());
        }
        for _ in 1..TRIES {
            let kept = self.files().map_err(|message| self.error(&self.folder, &message))?;
            let mut found = Vec::new();
            let recalled = self.recall_from(&kept, &missing, loading, &mut found);
            if kept.iter().all(|file| file.path.exists()) {
                alarms.extend(found);
                return recalled;
            }
        }
        let kept = self.files().map_err(|message| self.error(&self.folder, &message))?;
        self.recall_from(&kept, &missing, loading, alarms)
    }

    fn recall_from(
        &self,
        kept: &[Kept],
        missing: &[(&AuthorityFacts, &ListPolicy)],
        loading: &Loading<'_>,
        alarms: &mut Vec<Alarm>,
    ) -> Result<BTreeMap<AuthorityKey, RevocationLists>, ConfigError> {
        let mut recalled = BTreeMap::new();
        for (authority, policy) in missing {
            let (mut lists, mut retained) = (Vec::new(), Vec::new());
            for file in kept.iter().filter(|file| file.name.ca == authority.key()) {
                let of_kind = if file.name.is_retained { &mut retained } else { &mut lists };
                of_kind.extend(self.list(file, authority, loading, alarms)?);
            }
            if !(lists.is_empty() && retained.is_empty()) {
                let lists = together(authority, **policy, loading.authorities, &lists, &retained);
                recalled.insert(authority.key(), lists);
            }
        }
        Ok(recalled)
    }

    /// The CRL of a file, from a source that has the same.
    fn list(
        &self,
        file: &Kept,
        authority: &AuthorityFacts,
        loading: &Loading<'_>,
        alarms: &mut Vec<Alarm>,
    ) -> Result<Option<Arc<RevocationList>>, ConfigError> {
        let is_same = |offer: &&Offer| offer.list.header.identity == file.name.identity;
        if let Some(offer) = loading.offers.iter().find(is_same) {
            return Ok(Some(Arc::clone(&offer.list)));
        }
        let refuse = |message: &str| {
            let cure = "restore the file from a backup, or remove it: the gateway then accepts the CRLs of its sources, \
                        however old they are";
            self.error(&file.path, &format!("{message}; {cure}"))
        };
        let octets = files::read(&file.path, MAX_LIST_FILE_OCTETS).map_err(|message| refuse(&message))?;
        if sum(&octets) != file.sum {
            return Err(refuse("it is damaged: its checksum is not the one in its name"));
        }
        let name: Arc<str> = file.path.display().to_string().into();
        match examine(&octets, &name, loading.authorities, loading.now) {
            Ok(list) => Ok(Some(Arc::new(list))),
            Err(rejection) if is_of_the_signer(rejection.kind) => {
                let message = "it was in force, and its signer is no longer configured: it is not used".to_owned();
                let ca = Some(Arc::clone(&authority.name));
                alarms.push(Alarm { ca, file: name, kind: AlarmKind::UnknownIssuer, message });
                Ok(None)
            }
            // It was not when it was kept.
            Err(rejection) if rejection.kind == AlarmKind::FromTheFuture => {
                let cure = "this machine's clock was set back, or is not set yet: set it and start again";
                Err(self.error(&file.path, &format!("{}; {cure}", rejection.message)))
            }
            Err(rejection) => Err(refuse(&rejection.message)),
        }
    }

    /// What is there; nothing where there is no folder.
    fn files(&self) -> Result<Vec<Kept>, String> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| error.to_string())?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| error.to_string())?;
            let Some(file) = Kept::of(&entry)? else { continue };
            if found.len() == MAX_FILES {
                return Err(format!("it holds more than {MAX_FILES} CRLs; {CURE}"));
            }
            found.push(file);
        }
        // Whatever the order of the file system.
        found.sort_unstable_by_key(|file| file.name);
        Ok(found)
    }

    fn error(&self, path: &Path, message: &str) -> ConfigError {
        let message = format!("{}: {message}", path.display());
        ConfigError { place: self.state_folder.place.clone(), message }
    }
}

/// What helps where too much is kept.
const CURE: &str = "remove those of CAs that are no longer configured (a name begins with the CA's key)";

impl Kept {
    /// None where it is no CRL, or is gone since the folder was read: whoever runs beside has replaced it.
    fn of(entry: &fs::DirEntry) -> Result<Option<Self>, String> {
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(CRL)) else { return Ok(None) };
        let (name, sum) = Name::parse(stem)
            .ok_or_else(|| format!("{}: not a name of a stored CRL; move the file away", entry.path().display()))?;
        match entry.metadata() {
            Ok(metadata) => Ok(Some(Self { name, sum, path: entry.path(), octets: metadata.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Name {
    fn file(&self, sum: [u8; 8]) -> String {
        let retained = if self.is_retained { RETAINED } else { "" };
        format!("{}-{}-{}{retained}{CRL}", to_hex(self.ca.as_bytes()), to_hex(&self.identity), to_hex(&sum))
    }

    fn parse(stem: &str) -> Option<(Self, [u8; 8])> {
        let (stem, is_retained) = stem.strip_suffix(RETAINED).map_or((stem, false), |stem| (stem, true));
        let mut words = stem.split('-');
        let ca = AuthorityKey::from_bytes(from_hex(words.next()?)?.try_into().ok()?);
        let identity = from_hex(words.next()?)?.try_into().ok()?;
        let sum = from_hex(words.next()?)?.try_into().ok()?;
        words.next().is_none().then_some((Self { ca, identity, is_retained }, sum))
    }
}

/// Recalled CRLs of one CA as a snapshot has them.
fn together(
    authority: &AuthorityFacts,
    policy: ListPolicy,
    signers: &[AuthorityFacts],
    lists: &[Arc<RevocationList>],
    retained: &[Arc<RevocationList>],
) -> RevocationLists {
    let (mut in_force, mut closed_by) = (Vec::new(), Vec::new());
    for signer in signers.iter().map(AuthorityFacts::key) {
        let offered = lists.iter().filter(|list| list.signer == signer).collect();
        // They had their alarms when they came in force.
        let chosen = Candidates { authority, policy: &policy, offered, before: Vec::new() }.choose(&mut Vec::new());
        in_force.extend(chosen.lists);
        closed_by.extend(chosen.closed_by);
    }
    in_force.extend(retained.iter().map(|list| InForce {
        list: Arc::clone(list),
        delta: None,
        outdated_by: None,
        next_update: list.header.this_update,
        says: Says::Retained,
    }));
    RevocationLists::new(policy, in_force, closed_by)
}

/// The CRLs in force of every CA that has some.
fn in_force(snapshot: &TrustSnapshot) -> BTreeMap<Name, &Arc<RevocationList>> {
    let mut found = BTreeMap::new();
    for (ca, lists) in with_lists(snapshot) {
        let mut add = |list, is_retained| {
            let list: &Arc<RevocationList> = list;
            found.insert(Name { ca, identity: list.header.identity, is_retained }, list);
        };
        for one in lists.each() {
            one.all().for_each(|list| add(list, one.says == Says::Retained));
        }
        lists.closed_by.iter().for_each(|list| add(list, false));
    }
    found
}

fn cas_with_lists(snapshot: &TrustSnapshot) -> BTreeSet<AuthorityKey> {
    with_lists(snapshot).map(|(ca, _)| ca).collect()
}

fn with_lists(snapshot: &TrustSnapshot) -> impl Iterator<Item = (AuthorityKey, &RevocationLists)> {
    snapshot.authorities().iter().filter(|authority| is_counted(authority.role())).filter_map(|authority| {
        match authority.revocation() {
            Revocation::Lists(lists) => Some((authority.key(), lists)),
            Revocation::NotChecked => None,
        }
    })
}

/// What a delegated signer signed is in force for the CA that it signs for.
const fn is_counted(role: Role) -> bool {
    matches!(role, Role::Issuer)
}

/// It verified when it was kept, and its octets are the same: another signer is configured now.
const fn is_of_the_signer(kind: AlarmKind) -> bool {
    matches!(kind, AlarmKind::BadSignature | AlarmKind::UnknownIssuer | AlarmKind::SignerNotAllowed)
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn sum(octets: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.iter_mut().zip(sha256(&[octets])).for_each(|(to, from)| *to = from);
    sum
}

#[cfg(test)]
#[path = "last_in_force_tests.rs"]
mod tests;
