//! The block list on disk: read at the start, written before a change is answered.

use super::{BlockList, MAX_BLOCKS, Written};
use crate::folder;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file in the state folder.
const NAME: &str = "blocks.json";
/// Written first, then renamed.
const UNFINISHED: &str = ".blocks.json.new";
/// The form that this file has.
const VERSION: u32 = 1;
/// Octets of the file: ten thousand blocks whose every text is as long as it may be and all quotation marks.
const MAX_OCTETS: u64 = 32 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    blocks: Vec<Written>,
}

/// Where the list is kept.
pub fn path(state_folder: &Path) -> PathBuf {
    state_folder.join(NAME)
}

/// The list that was kept; an empty one when none ever was.
///
/// # Errors
/// Why the file cannot be relied on: who was blocked is then not known, and nobody may be let in on that.
pub fn read(state_folder: &Path) -> Result<BlockList, String> {
    if state_folder.exists() {
        folder::check(state_folder).map_err(|why| format!("lies in a folder that cannot be relied on: {why}"))?;
    }
    let mut octets = Vec::new();
    match File::open(path(state_folder)) {
        Ok(file) => {
            file.take(MAX_OCTETS + 1).read_to_end(&mut octets).map_err(|error| format!("cannot be read: {error}"))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BlockList::default()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if octets.len() as u64 > MAX_OCTETS {
        return Err(format!("has more than {MAX_OCTETS} octets"));
    }
    let document: Document =
        serde_json::from_slice(&octets).map_err(|error| format!("is not a block list that was kept: {error}"))?;
    if document.version != VERSION {
        return Err(format!("is of version {}, which this program does not know", document.version));
    }
    let count = document.blocks.len();
    let mut blocks = Vec::with_capacity(count);
    for (place, written) in document.blocks.into_iter().enumerate() {
        let block =
            written.kept().map_err(|error| format!("is not a block list that was kept: block {place}: {error}"))?;
        blocks.push(Arc::new(block));
    }
    let list = BlockList::of(blocks).map_err(|_| format!("has more than {MAX_BLOCKS} blocks"))?;
    if list.len() == count { Ok(list) } else { Err("has a block twice".to_owned()) }
}

/// Keeps a list in the place of the one before. When it returns, it is on the disk; a crash at any moment leaves the
/// one or the other, whole.
///
/// # Errors
/// When it cannot be written, or nobody knows whether it would outlive a crash; then the one or the other is there.
pub fn write(state_folder: &Path, list: &BlockList) -> io::Result<()> {
    write_with(state_folder, list, sync)
}

/// Keeps a list from which a block of the one before was taken.
///
/// # Errors
/// As [`write()`]; the list before is put back, so that whoever is told that nothing has changed is told the truth after
/// a restart too.
pub fn shorten(state_folder: &Path, before: &BlockList, after: &BlockList) -> io::Result<()> {
    shorten_with(state_folder, before, after, sync)
}

fn shorten_with(
    state_folder: &Path,
    before: &BlockList,
    after: &BlockList,
    sync: fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    write_with(state_folder, after, sync).inspect_err(|_| {
        // Whether this fails, too, or only its last step does: there is nothing more that could be done.
        let _ = write_with(state_folder, before, sync);
    })
}

fn write_with(state_folder: &Path, list: &BlockList, sync: fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let document = Document { version: VERSION, blocks: list.iter().map(Written::from).collect() };
    let octets = serde_json::to_vec(&document)?;
    folder::make(state_folder).map_err(io::Error::other)?;
    let unfinished = state_folder.join(UNFINISHED);
    let written = write_whole(&unfinished, &octets).and_then(|()| fs::rename(&unfinished, path(state_folder)));
    if let Err(error) = written {
        // On a full disk the half of a list would only take room.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    sync(state_folder)
}

/// The name is in the folder's own octets.
fn sync(state_folder: &Path) -> io::Result<()> {
    File::open(state_folder)?.sync_all()
}

fn write_whole(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Target};
    use super::*;
    use crate::feed::Keeper;
    use sekisho_pki::time::Timestamp;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);

    fn list(contracts: &[&str]) -> BlockList {
        let block = |contract: &&str| Block {
            target: Target::Contract((*contract).to_owned()),
            reason: "理由 \"quoted\"".into(),
            by: "desk".into(),
            added: NOW,
            expires: Some(NOW.plus_seconds(60)),
        };
        BlockList::of(contracts.iter().map(block).map(Arc::new)).unwrap()
    }

    #[test]
    fn a_list_comes_back_as_it_was_kept_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("not/there/yet");
        assert!(read(&state).unwrap().is_empty());
        for contracts in [&["1", "2"][..], &["3"], &[]] {
            let wanted = list(contracts);
            write(&state, &wanted).unwrap();
            let found = read(&state).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>());
            assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing else is left");
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path(&state)), mode(&state)), (0o600, 0o700));
    }

    #[test]
    fn a_file_that_is_not_whole_or_not_ours_is_an_error_and_never_an_empty_list() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &list(&["1", "2"])).unwrap();
        let whole = fs::read_to_string(path(folder.path())).unwrap();
        let refused = |octets: &str| {
            fs::write(path(folder.path()), octets).unwrap();
            read(folder.path()).unwrap_err()
        };
        for length in 0..whole.len() {
            if whole.is_char_boundary(length) {
                let why = refused(&whole[..length]);
                assert!(why.starts_with("is not a block list that was kept: "), "{length}: {why}");
            }
        }
        assert!(refused(&whole.replace(":1,", ":2,")).contains("version 2"));
        assert!(refused(&whole.replace("\"contract\":\"1\"", "\"contract\":\"9\"")).contains("block 0: id"));
        assert!(refused(&whole.replace("blocks", "locks")).contains("unknown field `locks`"));
        assert!(refused(&whole.replace("}]", "},{\"contract\":\"1\"}]")).contains("missing field"));
        let twice: serde_json::Value = serde_json::from_str(&whole).unwrap();
        let one = &twice["blocks"][0];
        let twice = serde_json::json!({"version": 1, "blocks": [one, one]}).to_string();
        assert_eq!(refused(&twice), "has a block twice");
        fs::remove_file(path(folder.path())).unwrap();
        fs::create_dir(path(folder.path())).unwrap();
        assert!(read(folder.path()).unwrap_err().starts_with("cannot be read: "));
    }

    #[test]
    fn a_list_that_cannot_be_kept_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &list(&["1"])).unwrap();
        // A folder in the place of the unfinished file: as root, permissions would not stop us.
        fs::create_dir(folder.path().join(UNFINISHED)).unwrap();
        assert!(write(folder.path(), &list(&["1", "2"])).is_err());
        assert_eq!(read(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_relied_on() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &list(&["1"])).unwrap();
        let feed = folder.path().join("feed");
        fs::create_dir(&feed).unwrap();
        let mode = |of: &Path, mode| fs::set_permissions(of, fs::Permissions::from_mode(mode)).unwrap();
        for (others, is_ours) in [(0o755, true), (0o720, false), (0o702, false), (0o777, false), (0o700, true)] {
            mode(&feed, 0o700);
            mode(folder.path(), others);
            assert_eq!(read(folder.path()).is_ok(), is_ours, "{others:o}");
            assert_eq!(Keeper::open(&feed).is_ok(), is_ours, "{others:o}: they could put another in its place");
            mode(folder.path(), 0o700);
            mode(&feed, others);
            assert_eq!(Keeper::open(&feed).is_ok(), is_ours, "{others:o}");
        }
    }

    #[test]
    fn a_removal_that_may_not_outlive_a_crash_is_none_after_a_restart_either() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (list(&["1", "2"]), list(&["1"]));
        write(folder.path(), &before).unwrap();
        let fails = |_: &Path| Err(io::Error::other("the disk is going"));
        let error = shorten_with(folder.path(), &before, &after, fails).unwrap_err();
        assert_eq!(error.to_string(), "the disk is going");
        assert!(read(folder.path()).unwrap().iter().eq(before.iter()), "who is blocked stays blocked");
        shorten(folder.path(), &before, &after).unwrap();
        assert!(read(folder.path()).unwrap().iter().eq(after.iter()));
    }
}
