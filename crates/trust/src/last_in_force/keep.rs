//! Writing the CRLs in force.

use super::*;
use crate::background::{OCTETS_AT_ONCE, make_way};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::{CertificateList, MalformedList, RevocationListHeader, SignedList};
use sekisho_pki::pem;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// What became of the CRLs in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// What could not be done, with the file and why: it is worth another try.
    pub failed: Vec<String>,
    /// Sources that have a CRL in force no more, so that it cannot be written. A try without a change of them is idle.
    pub lost: BTreeSet<String>,
    /// CRLs in force that are not on the disk.
    pub not_kept: usize,
}

impl Keeping {
    /// Returns `true` if the disk has what is in force, and nothing else of its CAs.
    pub fn is_whole(&self) -> bool {
        self.not_kept == 0 && self.failed.is_empty()
    }
}

impl LastInForce {
    /// Keeps what a snapshot has in force, and nothing else of its CAs; what is kept of others stays, for when they come
    /// back. When it returns, all that could be kept is on the disk: what cannot be keeps nothing else from it.
    pub fn keep(&self, snapshot: &TrustSnapshot) -> Keeping {
        let wanted = in_force(snapshot);
        let mut keeping = Keeping::default();
        if let Err(error) = self.keep_each(snapshot, &wanted, &mut keeping) {
            keeping.failed.push(error);
            keeping.not_kept = wanted.len();
        }
        keeping
    }

    /// # Errors
    /// When nothing can be kept, with the file and why.
    fn keep_each(
        &self,
        snapshot: &TrustSnapshot,
        wanted: &BTreeMap<Name, &Arc<RevocationList>>,
        keeping: &mut Keeping,
    ) -> Result<(), String> {
        for folder in [&self.state_folder.value, &self.folder] {
            folder::make(folder).map_err(|error| at(folder, &error))?;
        }
        self.forget_unfinished();
        let mut kept = self.files().map_err(|error| at(&self.folder, &error))?;
        for file in &mut kept {
            if let Err(error) = self.rename(file, wanted) {
                keeping.failed.push(at(&file.path, &error));
            }
        }
        let not_kept = self.write_missing(&kept, wanted, snapshot, keeping);
        self.sync().map_err(|error| at(&self.folder, &error))?;
        keeping.not_kept = not_kept.len();
        // Of a CA whose newer CRL is not on the disk the older one is better than none.
        let incomplete: BTreeSet<_> = not_kept.iter().map(|name| name.ca).collect();
        let cas = cas_with_lists(snapshot);
        let is_old = |file: &&Kept| cas.contains(&file.name.ca) && !wanted.contains_key(&file.name);
        for file in kept.iter().filter(is_old).filter(|file| !incomplete.contains(&file.name.ca)) {
            if let Err(error) = fs::remove_file(&file.path) {
                keeping.failed.push(at(&file.path, &error));
            }
        }
        Ok(())
    }

    /// Writes what is not there, source by source, and gives what could not be written.
    fn write_missing(
        &self,
        kept: &[Kept],
        wanted: &BTreeMap<Name, &Arc<RevocationList>>,
        snapshot: &TrustSnapshot,
        keeping: &mut Keeping,
    ) -> Vec<Name> {
        let names: BTreeSet<_> = kept.iter().map(|file| file.name).collect();
        let mut missing: BTreeMap<&str, Vec<Wanted<'_>>> = BTreeMap::new();
        for (name, list) in wanted.iter().filter(|(name, _)| !names.contains(name)) {
            let signer = snapshot.authority(&list.signer()).map(Authority::certificate);
            missing.entry(&**list.file()).or_default().push(Wanted { name: *name, signer });
        }
        let mut room = Room::beside(kept);
        let mut not_kept = Vec::new();
        for (source, wanted) in missing {
            not_kept.extend(self.write_from(Path::new(source), &wanted, &mut room, keeping));
        }
        not_kept
    }

    /// Gives a CRL the name of what it is in force for now: its source has another one by then.
    fn rename(&self, file: &mut Kept, wanted: &BTreeMap<Name, &Arc<RevocationList>>) -> io::Result<()> {
        let now = Name { is_retained: !file.name.is_retained, ..file.name };
        if wanted.contains_key(&file.name) || !wanted.contains_key(&now) {
            return Ok(());
        }
        let path = self.folder.join(now.file(file.sum));
        fs::rename(&file.path, &path)?;
        (file.name, file.path) = (now, path);
        Ok(())
    }

    /// Writes CRLs that are in force from the file that they came from, and gives those that it could not.
    fn write_from(&self, source: &Path, wanted: &[Wanted<'_>], room: &mut Room, keeping: &mut Keeping) -> Vec<Name> {
        // Whatever keeps it from being read: the CRLs were in it, and may be again.
        let octets = files::read(source, MAX_LIST_FILE_OCTETS);
        let lists = match &octets {
            Ok(octets) => pem::revocation_lists(octets).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        let lists = match lists {
            Ok(lists) => lists,
            Err(error) => {
                keeping.lost.insert(at(source, &error));
                return wanted.iter().map(|one| one.name).collect();
            }
        };
        let mut not_kept = Vec::new();
        for one in wanted {
            let name = &one.name;
            let written = match lists.iter().map(|list| &**list).find(|der| one.is(der)) {
                Some(der) => room.take(der.len() as u64).and_then(|()| self.write(name, der)),
                // It was replaced since. What is there now is loaded next; unless that comes in force, this one stays so
                // and its octets are nowhere any more.
                None => {
                    keeping.lost.insert(at(source, &"it no longer has a CRL that is in force"));
                    not_kept.push(*name);
                    continue;
                }
            };
            if let Err(error) = written {
                keeping.failed.push(error);
                not_kept.push(*name);
            }
        }
        not_kept
    }

    fn write(&self, name: &Name, der: &[u8]) -> Result<(), String> {
        // A name of this process alone: another one that is started by mistake spoils nothing.
        let unfinished = self.folder.join(format!("{UNFINISHED}-{}", std::process::id()));
        let path = self.folder.join(name.file(sum(der)));
        let written = write_whole(&unfinished, der).and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| {
            // Where the disk is full, the next one may fit. One that stays is in nobody's way.
            let _ = fs::remove_file(&unfinished);
            at(&path, &error)
        })
    }

    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.folder)?.sync_all()
    }

    fn forget_unfinished(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes())) {
            // One that stays is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A CRL in force that is to be written.
struct Wanted<'a> {
    name: Name,
    signer: Option<&'a Certificate>,
}

impl Wanted<'_> {
    /// Whether these bytes are it. The identity is that of its signature: a file that was changed since it was loaded may
    /// have that and other entries, and kept so it would be no memory at the next start.
    fn is(&self, der: &[u8]) -> bool {
        let verifies = |list: &SignedList<'_>| {
            let key = self.signer.map(Certificate::subject_public_key_info);
            key.is_some_and(|key| list.verify_signature_in_pieces(key, &make_way).is_ok())
        };
        signed(der, |header, list| header.identity == self.name.identity && verifies(list))
    }
}

/// What may still be written.
pub(super) struct Room {
    files: usize,
    octets: u64,
}

impl Room {
    pub(super) fn beside(kept: &[Kept]) -> Self {
        let octets: u64 = kept.iter().map(|file| file.octets).sum();
        Self { files: MAX_FILES.saturating_sub(kept.len()), octets: MAX_OCTETS.saturating_sub(octets) }
    }

    pub(super) fn take(&mut self, octets: u64) -> Result<(), String> {
        let files = self.files.checked_sub(1);
        let (files, octets) = files.zip(self.octets.checked_sub(octets)).ok_or_else(|| {
            format!("the state folder holds at most {MAX_FILES} CRLs and {MAX_OCTETS} bytes of them; {CURE}")
        })?;
        (self.files, self.octets) = (files, octets);
        Ok(())
    }
}

/// Whether something is true of a CRL; one that closes its CA for being malformed is one too.
fn signed(der: &[u8], is: impl FnOnce(&RevocationListHeader, &SignedList<'_>) -> bool) -> bool {
    match CertificateList::parse(der) {
        Ok(list) => is(list.header(), list.signed()),
        Err(error) => MalformedList::parse(der, &error).is_some_and(|list| is(list.header(), list.signed())),
    }
}

fn write_whole(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    for piece in octets.chunks(OCTETS_AT_ONCE) {
        file.write_all(piece)?;
        make_way();
    }
    file.sync_all()
}
