//! Revocations that were in force and that no CRL in force has any more.
//!
//! A CRL loses a revoked certificate rightly once the certificate has ended (RFC 5280 section 3.3), and wrongly when its
//! issuer's store was restored, or a standby took its place that had not everything. A CRL does not say when its
//! certificates end, so a gateway cannot tell the two apart; but a certificate that has ended is refused anyhow. So what
//! was revoked for good stays revoked until an operator takes it back, who deletes its line in the state folder.
//! Holds are another matter: to release one is the issuer's right.
//!
//! Old and new CRL are compared once, when the new one comes in force, and only the differences are kept. A CRL of another
//! distribution point does not count for those of this one: their certificates are not looked up in it.

use super::background::making_way;
use super::feed::{from_hex, to_hex};
use super::folder;
use super::in_force::RevocationLists;
use super::lists::{Content, InForce, RevocationList, Says};
use super::revoked::Revoked;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::points::PointName;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Differences that are kept of one CA, 20 MB of them: what leaves the CRL of a CA of a million within a year. Beyond it
/// the CRL that had them stays in force, to revoke and for nothing else; beyond that nobody is told good.
pub(super) const MAX_WITHDRAWN: usize = 500_000;

/// Bytes of the file: a full set of each of several large CAs.
const MAX_FILE_BYTES: u64 = 512 << 20;

const NAME: &str = "withdrawn";
const UNFINISHED: &str = ".withdrawn.new";
const HEAD: &str = "# Certificates that were revoked and that their CA's CRL has no more: issuer, serial, time, reason. They stay\n\
                    # refused. To let one in again, stop the gateway, delete its line here, remove feed/feed if it is\n\
                    # there (the feed then begins anew), and start the gateway.\n";

/// The withdrawn revocations of one CA.
#[derive(Clone, Debug, Default)]
pub struct Withdrawn {
    /// In order of the serial number.
    entries: Arc<Vec<(SerialNumber, Revoked)>>,
}

/// Those of several CAs.
pub type WithdrawnBook = BTreeMap<AuthorityKey, Withdrawn>;

/// What a comparison came to.
pub(super) struct Compared {
    pub(super) withdrawn: Withdrawn,
    /// Those that were not withdrawn before.
    pub(super) new: usize,
    /// Some of the new ones, for people.
    pub(super) examples: Vec<SerialNumber>,
    /// CRLs that stay in force to revoke, since they have more than can be kept.
    pub(super) retained: Vec<InForce>,
    /// A CRL that had to be retained beside one that is already.
    pub(super) too_many: Option<Arc<RevocationList>>,
}

impl Withdrawn {
    /// When and why a certificate was revoked, if that was withdrawn.
    pub(super) fn get(&self, serial: &SerialNumber) -> Option<Revoked> {
        let place = self.entries.binary_search_by(|(known, _)| known.cmp(serial)).ok()?;
        self.entries.get(place).map(|(_, revoked)| *revoked)
    }

    /// Every one.
    pub fn iter(&self) -> impl Iterator<Item = &(SerialNumber, Revoked)> {
        self.entries.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns `true` if there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// These and the others.
    #[must_use]
    pub fn and(self, others: &Self) -> Self {
        let is_new = |(serial, _): &&(SerialNumber, Revoked)| self.get(serial).is_none();
        let new: Vec<_> = others.entries.iter().filter(is_new).copied().collect();
        if new.is_empty() { self } else { Self::of(self.entries.iter().copied().chain(new).collect()) }
    }

    /// Returns `true` if both are one and the same.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries) || self.entries == other.entries
    }

    fn of(mut entries: Vec<(SerialNumber, Revoked)>) -> Self {
        entries.sort_unstable_by_key(|(serial, _)| *serial);
        entries.dedup_by_key(|(serial, _)| *serial);
        Self { entries: Arc::new(entries) }
    }
}

/// Compares the CRLs that were in force with those that are about to be.
///
/// `known` is what was withdrawn before; it leaves when a CRL has it again that is asked about every certificate. Of whose
/// distribution point it was is not kept, so that of CAs with such CRLs only it stays, which refuses nobody else.
pub(super) fn compare(before: Option<&RevocationLists>, known: &Withdrawn, after: &[InForce], max: usize) -> Compared {
    let is_in_force =
        |list: &Arc<RevocationList>| after.iter().flat_map(InForce::all).any(|one| Arc::ptr_eq(one, list));
    let mut entries: Vec<_> =
        known.entries.iter().filter(|(serial, _)| !is_revoked(asked_at(&[], after), serial)).copied().collect();
    let kept = entries.len();
    let mut compared =
        Compared { withdrawn: known.clone(), new: 0, examples: Vec::new(), retained: Vec::new(), too_many: None };
    let (retained, others): (Vec<_>, Vec<_>) =
        before.into_iter().flat_map(RevocationLists::each).partition(|one| one.says == Says::Retained);
    // First, so that what has to be retained beside it finds its place taken.
    compared.retained.extend(retained.into_iter().map(InForce::retained));
    for one in others {
        let gone: Vec<_> = one.all().filter(|list| !is_in_force(list)).collect();
        let room = max.saturating_sub(entries.len());
        let found: Option<Vec<_>> = gone.iter().try_fold(Vec::new(), |mut found, list| {
            let others = Others { after, retained: &compared.retained };
            found.extend(missing(list, one, others, room.saturating_sub(found.len())));
            (found.len() <= room).then_some(found)
        });
        match found {
            Some(found) => {
                let is_new = |serial: &&SerialNumber| known.get(serial).is_none();
                compared.new += found.iter().map(|(serial, _)| serial).filter(is_new).count();
                compared.examples.extend(found.iter().map(|(serial, _)| *serial).take(MAX_EXAMPLES));
                entries.extend(found);
            }
            None if compared.retained.is_empty() => compared.retained.push(one.retained()),
            None => compared.too_many = Some(Arc::clone(&one.list)),
        }
    }
    compared.examples.truncate(MAX_EXAMPLES);
    if kept != known.len() || entries.len() != kept {
        compared.withdrawn = Withdrawn::of(entries);
    }
    compared
}

/// What is in force beside what is gone.
#[derive(Clone, Copy)]
struct Others<'a> {
    after: &'a [InForce],
    /// What they revoke is not lost either.
    retained: &'a [InForce],
}

/// Serial numbers in an alarm: to look one up and see what it is about.
const MAX_EXAMPLES: usize = 3;

/// What a CRL revokes for good and the others do not: at most one more than there is room for.
fn missing(list: &RevocationList, of: &InForce, others: Others<'_>, room: usize) -> Vec<(SerialNumber, Revoked)> {
    let Content::Index(index) = &list.content else { return Vec::new() };
    // Its successor first, which has nearly all of it.
    let is_same = |one: &&InForce| one.list.header.scope == of.list.header.scope;
    let (same, other): (Vec<_>, Vec<_>) = asked_at(list.points(), others.after).partition(is_same);
    let retained = asked_at(list.points(), others.retained);
    let successors: Vec<&InForce> = same.into_iter().chain(other).chain(retained).collect();
    making_way(index.iter())
        .filter(|(_, revoked)| is_for_good(revoked.reason))
        .filter(|(serial, _)| !is_revoked(successors.iter().copied(), serial))
        .take(room.saturating_add(1))
        .collect()
}

/// The CRLs that every certificate is looked up in that names one of these points, or, where there is none, every
/// certificate.
fn asked_at<'a>(points: &'a [PointName], lists: &'a [InForce]) -> impl Iterator<Item = &'a InForce> {
    lists.iter().filter(move |one| {
        let own = one.list.points();
        own.is_empty() || (!points.is_empty() && points.iter().all(|point| own.contains(point)))
    })
}

fn is_revoked<'a>(mut lists: impl Iterator<Item = &'a InForce>, serial: &SerialNumber) -> bool {
    lists.any(|one| one.all().any(|list| list.revoked(serial).is_some_and(|found| is_for_good(found.reason))))
}

fn is_for_good(reason: RevocationReason) -> bool {
    !matches!(reason, RevocationReason::CertificateHold | RevocationReason::RemoveFromCrl)
}

/// Where they are kept in a state folder.
pub fn path(state_folder: &Path) -> PathBuf {
    state_folder.join(NAME)
}

/// Reads what was kept; nothing where there is no file.
///
/// # Errors
/// Why the file cannot be relied on, with the line: who was revoked is then not known.
pub fn read(state_folder: &Path) -> Result<WithdrawnBook, String> {
    let mut text = String::new();
    match File::open(path(state_folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WithdrawnBook::new()),
        Err(error) => return Err(format!("cannot be read: {error}")),
        Ok(file) => file
            .take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| format!("cannot be read: {error}"))?,
    };
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("has more than {MAX_FILE_BYTES} bytes"));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("ends in the middle of a line; put back the file of a backup, or delete that line".to_owned());
    }
    let mut found: BTreeMap<AuthorityKey, Vec<_>> = BTreeMap::new();
    for (line, number) in text.lines().zip(1_u32..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
        let (issuer, entry) =
            parse(line).ok_or_else(|| format!("line {number} is not an issuer, a serial, a time and a reason"))?;
        found.entry(issuer).or_default().push(entry);
    }
    Ok(found.into_iter().map(|(issuer, entries)| (issuer, Withdrawn::of(entries))).collect())
}

/// Keeps them in the place of what was kept. When it returns they are on the disk.
///
/// # Errors
/// When it cannot be written; what was there stays.
pub fn write(state_folder: &Path, book: &WithdrawnBook) -> io::Result<()> {
    folder::make(state_folder).map_err(io::Error::other)?;
    let mut text = HEAD.to_owned();
    for (issuer, withdrawn) in book {
        for (serial, revoked) in withdrawn.entries.iter() {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "{} {} {} {}",
                to_hex(issuer.as_bytes()),
                to_hex(serial.as_bytes()),
                revoked.at.unix(),
                revoked.reason.name()
            );
        }
    }
    let unfinished = state_folder.join(UNFINISHED);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&unfinished, path(state_folder))).inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })?;
    File::open(state_folder)?.sync_all()
}

fn parse(line: &str) -> Option<(AuthorityKey, (SerialNumber, Revoked))> {
    let mut words = line.split(' ');
    let issuer = from_hex(words.next()?)?.try_into().ok().map(AuthorityKey::from_bytes)?;
    let serial = SerialNumber::from_der_content(&from_hex(words.next()?)?).ok()?;
    let at = Timestamp::from_unix(words.next()?.parse().ok()?);
    let name = words.next()?;
    let reason = (0..=10).map(RevocationReason::from_code).find(|reason| reason.name() == name)?;
    words.next().is_none().then_some((issuer, (serial, Revoked { at, reason })))
}

#[cfg(test)]
#[path = "withdrawn_tests.rs"]
mod tests;
