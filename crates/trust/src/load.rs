//! Snapshots from the files that the configuration names.

use super::alarm::{Alarm, AlarmKind};
use super::authority::{Authority, AuthorityFacts, Candidate, ListsAt, Revocation, Role, check};
use super::files::{self, FileMemory, ReadFile};
use super::last_in_force::{self, LastInForce};
use super::policy::ListPolicy;
use super::select::{Offer, Selection};
use super::snapshot::TrustSnapshot;
use super::sources::{KeptLists, target};
use super::withdrawn::WithdrawnBook;
use sekisho_config::{Ca, ConfigError, OcspSource, Placed, RevocationSource, WhenStale};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A snapshot, and what an operator must know of how it came about.
#[derive(Debug)]
pub struct LoadOutcome {
    /// The snapshot, not yet published.
    pub snapshot: Arc<TrustSnapshot>,
    /// What was refused, kept, or is stale.
    pub alarms: Vec<Alarm>,
}

/// Reads CA certificates and revocation lists.
///
/// With `previous`, a list that is refused, missing or older leaves the one in force where it is, and unchanged files
/// are not read again.
///
/// # Errors
/// Every CA whose certificate is missing or wrong, and every CA with a source but no list, now or before: absent is
/// never empty.
pub fn load(cas: &[Ca], previous: Option<&TrustSnapshot>, now: Timestamp) -> Result<LoadOutcome, Vec<ConfigError>> {
    load_with_kept(cas, None, previous, now)
}

/// [`load`], with the lists that were fetched and kept. A CA all of whose lists are fetched may have none yet: then its
/// certificates' revocation is [`super::RevocationStatus::Unavailable`] until there is one.
///
/// # Errors
/// As [`load`]; a CA that also has files must have a list.
pub fn load_with_kept(
    cas: &[Ca],
    kept: Option<&KeptLists>,
    previous: Option<&TrustSnapshot>,
    now: Timestamp,
) -> Result<LoadOutcome, Vec<ConfigError>> {
    load_remembering(cas, Remembered { kept, withdrawn: &WithdrawnBook::new(), last: None }, previous, now)
}

/// What a state folder has of revocation lists.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// Lists that were fetched.
    pub kept: Option<&'a KeptLists>,
    /// What lists revoked and have no more, of CAs that are not in the snapshot before.
    pub withdrawn: &'a WithdrawnBook,
    /// The lists that were last in force, which count for the same CAs.
    pub last: Option<&'a LastInForce>,
}

/// [`load_with_kept`], with all that a state folder has.
///
/// # Errors
/// As [`load_with_kept`].
pub fn load_remembering(
    cas: &[Ca],
    remembered: Remembered<'_>,
    previous: Option<&TrustSnapshot>,
    now: Timestamp,
) -> Result<LoadOutcome, Vec<ConfigError>> {
    let facts = authorities(cas)?;
    assemble(cas, facts, remembered, previous, now, IfMissing::Refuse)
}

/// Reads the CRLs alone, for the CAs in force: no other file of the configuration is read, so that none of them can keep
/// a new CRL from being in force. `cas` is the configuration that `in_force` was loaded from.
///
/// # Errors
/// None in practice: the CAs were accepted before.
pub fn load_lists(
    cas: &[Ca],
    kept: Option<&KeptLists>,
    in_force: &TrustSnapshot,
    now: Timestamp,
) -> Result<LoadOutcome, Vec<ConfigError>> {
    let facts = in_force.authorities().iter().map(|authority| authority.facts.clone()).collect();
    let remembered = Remembered { kept, withdrawn: &WithdrawnBook::new(), last: None };
    assemble(cas, facts, remembered, Some(in_force), now, IfMissing::Report)
}

/// What becomes of a load in which a CA has no CRL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfMissing {
    /// It is refused: absent is not empty.
    Refuse,
    /// It is reported, and the CA's certificates are refused.
    Report,
}

fn assemble(
    cas: &[Ca],
    facts: Vec<AuthorityFacts>,
    Remembered { kept, withdrawn: remembered, last }: Remembered<'_>,
    previous: Option<&TrustSnapshot>,
    now: Timestamp,
    if_missing: IfMissing,
) -> Result<LoadOutcome, Vec<ConfigError>> {
    let unchanged = previous.filter(|previous| previous.has_same_authorities(facts.iter()));
    let mut alarms = Vec::new();
    let (files, sources) = read_sources(cas, kept, unchanged.map(TrustSnapshot::files), &facts, now, &mut alarms);
    let offers = offers(&files, &sources, &mut alarms);
    let policies: Vec<_> = cas.iter().map(|ca| policy(&ca.revocation)).collect();
    let loading = last_in_force::Loading { authorities: &facts, policies: &policies, offers: &offers, previous, now };
    let recalled = last.map(|last| last.recall(&loading, &mut alarms)).transpose().map_err(|error| vec![error])?;
    let (offers, recalled) = (&offers, &recalled.unwrap_or_default());
    let selection = Selection { authorities: &facts, policies: &policies, offers, previous, recalled, remembered, now };
    let revocation = selection.run(&mut alarms);
    let asked_only = |alarm: &Alarm| alarm.kind == AlarmKind::Missing && is_asked_only(cas, alarm.ca.as_deref());
    alarms.retain(|alarm| !asked_only(alarm));
    if if_missing == IfMissing::Refuse {
        absent_is_not_empty(cas, &facts, &revocation, &alarms)?;
    }
    let in_force = |list: &Arc<_>| {
        revocation.iter().any(|one| match one {
            Revocation::Lists(lists) => lists.all().any(|other| Arc::ptr_eq(other, list)),
            Revocation::NotChecked => false,
        })
    };
    let memory = FileMemory::remember(files, now, in_force);
    let authorities =
        facts.into_iter().zip(revocation).map(|(facts, revocation)| Authority { facts, revocation }).collect();
    let snapshot = TrustSnapshot::assemble(authorities, memory, previous).map_err(|(index, message)| {
        cas.get(index).map(|ca| certificate_error(ca, &message)).into_iter().collect::<Vec<_>>()
    })?;
    Ok(LoadOutcome { snapshot: Arc::new(snapshot), alarms })
}

/// The CA certificates, checked.
pub(super) fn authorities(cas: &[Ca]) -> Result<Vec<AuthorityFacts>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut candidates = Vec::with_capacity(cas.len());
    for ca in cas {
        match certificate(&ca.certificate.value) {
            Ok(certificate) => candidates.push(Candidate {
                name: &ca.name,
                certificate,
                issued_by: ca.issued_by.as_ref(),
                anchor_expiry: ca.anchor_expiry,
                ocsp: responder(&ca.revocation),
                points: target::places(&ca.revocation),
                lists_at: lists_at(&ca.revocation),
            }),
            Err(message) => errors.push(certificate_error(ca, &message)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    check(&candidates).map_err(|errors| {
        errors
            .into_iter()
            .filter_map(|(index, message)| cas.get(index).map(|ca| certificate_error(ca, &message)))
            .collect()
    })
}

fn certificate(path: &Path) -> Result<Certificate, String> {
    let bytes = files::read(path, files::MAX_CERTIFICATE_FILE_OCTETS)?;
    let certificates = pem::certificates(&bytes).map_err(|error| error.to_string())?;
    match certificates.as_slice() {
        [one] => Certificate::parse(one).map_err(|error| error.to_string()),
        several => Err(format!("it holds {} certificates; each CA has its own file with one", several.len())),
    }
}

fn certificate_error(ca: &Ca, message: &str) -> ConfigError {
    ConfigError {
        place: ca.certificate.place.clone(),
        message: format!("{}: {message}", ca.certificate.value.display()),
    }
}

/// Every file that some CA names, read once, and the places of the CAs that name it.
fn read_sources(
    cas: &[Ca],
    kept: Option<&KeptLists>,
    memory: Option<&FileMemory>,
    facts: &[AuthorityFacts],
    now: Timestamp,
    alarms: &mut Vec<Alarm>,
) -> (Vec<ReadFile>, Vec<Vec<usize>>) {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut sources: Vec<Vec<usize>> = Vec::new();
    for (place, ca) in cas.iter().enumerate() {
        let mut named = kept.map(|kept| kept.files(ca)).unwrap_or_default();
        for path in source_paths(&ca.revocation) {
            let expanded = files::expand(&path.value).unwrap_or_else(|message| {
                alarms.push(Alarm {
                    ca: Some(Arc::clone(&ca.name)),
                    file: path.value.display().to_string().into(),
                    kind: AlarmKind::Unreadable,
                    message,
                });
                Vec::new()
            });
            named.extend(expanded);
        }
        for file in named {
            match found.iter().position(|known| *known == file) {
                Some(known) => sources.iter_mut().skip(known).take(1).for_each(|places| places.push(place)),
                None => {
                    found.push(file);
                    sources.push(vec![place]);
                }
            }
        }
    }
    let files = found.into_iter().map(|path| files::read_lists(path, memory, facts, now)).collect();
    (files, sources)
}

fn offers(files: &[ReadFile], sources: &[Vec<usize>], alarms: &mut Vec<Alarm>) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (file, sources_of) in files.iter().zip(sources) {
        for list in &file.lists {
            match list {
                Ok(list) => offers.push(Offer { list: Arc::clone(list), sources_of: sources_of.clone() }),
                Err(rejection) => alarms.push(Alarm {
                    ca: rejection.ca.clone(),
                    file: file.path.display().to_string().into(),
                    kind: rejection.kind,
                    message: rejection.message.clone(),
                }),
            }
        }
    }
    offers
}

/// A CA with a source of lists must have one in force that says who is good, unless all that cannot be told is only
/// reported; one whose certificates are asked about need not have a source of lists.
fn absent_is_not_empty(
    cas: &[Ca],
    facts: &[AuthorityFacts],
    revocation: &[Revocation],
    alarms: &[Alarm],
) -> Result<(), Vec<ConfigError>> {
    let mut errors = Vec::new();
    for ((ca, facts), revocation) in cas.iter().zip(facts).zip(revocation) {
        let missing = matches!(revocation, Revocation::Lists(lists) if !lists.can_tell()
            && lists.policy().when_stale != WhenStale::ReportOnly);
        if missing && facts.role == Role::Issuer {
            let paths = source_paths(&ca.revocation);
            errors.extend(paths.iter().map(|path| missing_error(ca, path, alarms)));
            if paths.is_empty() && facts.responder.is_none() && !has_fetched(&ca.revocation) {
                let message = format!("ca {} names no file for its revocation lists", ca.name);
                errors.push(ConfigError { place: ca.place.clone(), message });
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Whether a CA has a responder and no source of lists, so that it misses none.
fn is_asked_only(cas: &[Ca], name: Option<&str>) -> bool {
    let ca = cas.iter().find(|ca| Some(&*ca.name) == name);
    ca.is_some_and(|ca| match &ca.revocation {
        RevocationSource::None => false,
        RevocationSource::From(sources) => {
            let lists = [sources.files.len(), sources.urls.len(), sources.points.len()];
            sources.ocsp.is_some() && lists == [0, 0, 0]
        }
    })
}

/// Names the key, the file, and what was wrong with it.
fn missing_error(ca: &Ca, path: &Placed<PathBuf>, alarms: &[Alarm]) -> ConfigError {
    let below = |alarm: &&Alarm| Path::new(&*alarm.file).starts_with(&path.value);
    let why: Vec<_> = alarms
        .iter()
        .filter(below)
        .map(|alarm| {
            if Path::new(&*alarm.file) == path.value {
                alarm.message.clone()
            } else {
                format!("{}: {}", alarm.file, alarm.message)
            }
        })
        .collect();
    let why = if why.is_empty() { "it holds no list of this CA".to_owned() } else { why.join("; ") };
    ConfigError {
        place: path.place.clone(),
        message: format!(
            "{}: no complete revocation list of ca {}: {why} (a CA without lists must say revocation = \"none\")",
            path.value.display(),
            ca.name
        ),
    }
}

/// Whether lists come over the network, which may take until after the start.
fn has_fetched(source: &RevocationSource) -> bool {
    match source {
        RevocationSource::None => false,
        RevocationSource::From(sources) => !(sources.urls.is_empty() && sources.points.is_empty()),
    }
}

fn lists_at(source: &RevocationSource) -> ListsAt {
    match source {
        RevocationSource::From(sources)
            if !sources.points.is_empty() && sources.files.is_empty() && sources.urls.is_empty() =>
        {
            ListsAt::PointsOnly
        }
        RevocationSource::From(_) | RevocationSource::None => ListsAt::Places,
    }
}

fn source_paths(source: &RevocationSource) -> &[Placed<PathBuf>] {
    match source {
        RevocationSource::None => &[],
        RevocationSource::From(sources) => &sources.files,
    }
}

fn responder(source: &RevocationSource) -> Option<&OcspSource> {
    match source {
        RevocationSource::None => None,
        RevocationSource::From(sources) => sources.ocsp.as_deref(),
    }
}

pub(super) fn policy(source: &RevocationSource) -> Option<ListPolicy> {
    match source {
        RevocationSource::None => None,
        RevocationSource::From(sources) => Some(sources.into()),
    }
}
