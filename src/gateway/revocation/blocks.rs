//! Changes of the block list: each is kept on disk, put in force, and recorded, in this order and one at a time.
//!
//! Where the disk fails, a new block is in force all the same and the caller is told (fail closed); a removal then
//! changes nothing.

use crate::gateway::Gateway;
use crate::gateway::live::publish;
use crate::gateway::metrics::Act;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_runtime::telemetry::log::{Record, Weight};
use sekisho_trust::blocks::{Block, BlockId, BlockList, MAX_BLOCKS, TooMany, Written, file};
use serde::Serialize;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the list is kept, and who changes it now.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Blocks {
    /// As it was at the start: the list in memory is the one of that folder.
    state_folder: Option<PathBuf>,
    one_at_a_time: Mutex<()>,
}

/// A change that is in force.
#[derive(Debug)]
pub(in crate::gateway) struct Changed {
    pub(in crate::gateway) act: Act,
    pub(in crate::gateway) block: Arc<Block>,
    /// Live connections that were cut for it.
    pub(in crate::gateway) cut: usize,
}

/// Why a change did not come about as it should.
#[derive(Debug)]
pub(in crate::gateway) enum ChangeError {
    /// There is no state folder.
    NoFolder,
    /// There are [`MAX_BLOCKS`] already.
    TooMany,
    /// No block has this number.
    Unknown(BlockId),
    /// A removal could not be kept, and was not made.
    NotRemoved(io::Error),
    /// A block is in force and would not outlive a restart.
    NotKept(Changed, io::Error),
}

/// One line in the log for each change, and for each try of somebody who may not.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct BlockRecord<'a> {
    kind: &'static str,
    time: Timestamp,
    act: &'static str,
    /// From where; none when time did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<Written>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// At a start: puts an empty list where there is none, so that one that is gone at the next start is missed. A folder
/// that has something else and no list lost it: who was blocked is let in again, which somebody must know.
pub(in crate::gateway) fn begin(state_folder: &Path) {
    let file = file::path(state_folder);
    if file.exists() {
        return;
    }
    let was_used = std::fs::read_dir(state_folder).is_ok_and(|mut entries| entries.next().is_some());
    if was_used {
        tracing::error!(
            file = %file.display(),
            "the block list is gone: who was blocked is not any more; put it back from a backup, or block anew"
        );
    }
    if let Err(error) = file::write(state_folder, &BlockList::default()) {
        tracing::error!(%error, file = %file.display(), "the block list cannot be kept");
    }
}

impl Record for BlockRecord<'_> {
    fn weight(&self) -> Weight {
        if self.act == Act::Denied.as_str() { Weight::Refusal } else { Weight::Decision }
    }
}

impl Blocks {
    /// Kept in this folder.
    pub(in crate::gateway) fn kept_in(state_folder: Option<PathBuf>) -> Self {
        Self { state_folder, one_at_a_time: Mutex::default() }
    }

    fn folder(&self) -> Result<&PathBuf, ChangeError> {
        self.state_folder.as_ref().ok_or(ChangeError::NoFolder)
    }
}

/// Blocks somebody; connections that are theirs are cut before this returns. Waits for the disk: not for async workers.
///
/// # Errors
/// [`ChangeError`]; after [`ChangeError::NotKept`] the block is in force.
pub(in crate::gateway) fn add(gateway: &Gateway, block: Block, client: SocketAddr) -> Result<Changed, ChangeError> {
    let blocks = &gateway.blocks;
    let _alone = blocks.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, before, block) = (blocks.folder()?, current(gateway), Arc::new(block));
    let after = before.with(Arc::clone(&block)).map_err(|TooMany| ChangeError::TooMany)?;
    let act = if before.get(&block.id()).is_some() { Act::Replaced } else { Act::Added };
    let kept = file::write(folder, &after);
    let cut = put_in_force(gateway, after);
    let error = kept.as_ref().err().map(ToString::to_string);
    let record = BlockRecord {
        by: Some(&block.by),
        reason: Some(&block.reason),
        block: Some(Written::from(&block)),
        cut: Some(cut),
        error,
        ..BlockRecord::new(act, Some(client))
    };
    note(gateway, act, &record);
    let changed = Changed { act, block: Arc::clone(&block), cut };
    match kept {
        Ok(()) => Ok(changed),
        Err(error) => Err(ChangeError::NotKept(changed, error)),
    }
}

/// Lets somebody in again. Waits for the disk: not for async workers.
///
/// # Errors
/// [`ChangeError`]; nothing has changed.
pub(in crate::gateway) fn remove(
    gateway: &Gateway,
    id: &BlockId,
    (reason, by): (&str, &str),
    client: SocketAddr,
) -> Result<Changed, ChangeError> {
    let blocks = &gateway.blocks;
    let _alone = blocks.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, before) = (blocks.folder()?, current(gateway));
    let block = before.get(id).cloned().ok_or(ChangeError::Unknown(*id))?;
    let after = before.without(id);
    file::shorten(folder, &before, &after).map_err(ChangeError::NotRemoved)?;
    let cut = put_in_force(gateway, after);
    let record = BlockRecord {
        by: Some(by),
        reason: Some(reason),
        block: Some(Written::from(&block)),
        ..BlockRecord::new(Act::Removed, Some(client))
    };
    note(gateway, Act::Removed, &record);
    Ok(Changed { act: Act::Removed, block, cut })
}

/// Takes what has expired off the list. It was in force for nobody any more; this forgets and records it, and lets
/// clients that were refused meanwhile be looked at again. Waits for the disk: not for async workers.
pub(in crate::gateway) fn expire(gateway: &Gateway) {
    let blocks = &gateway.blocks;
    let _alone = blocks.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
    let (before, now) = (current(gateway), clock::now());
    let gone: Vec<_> = before.iter().filter(|block| !block.is_in_force(now)).cloned().collect();
    if gone.is_empty() {
        return;
    }
    let after = before.without_expired(now);
    let kept = blocks.state_folder.as_ref().map_or(Ok(()), |folder| file::write(folder, &after));
    put_in_force(gateway, after);
    let error = kept.err().map(|error| error.to_string());
    for block in gone {
        let written = Some(Written::from(&block));
        let record = BlockRecord { block: written, error: error.clone(), ..BlockRecord::new(Act::Expired, None) };
        note(gateway, Act::Expired, &record);
    }
}

/// Records that somebody without the right to tried.
pub(in crate::gateway) fn deny(gateway: &Gateway, client: SocketAddr, why: &str) {
    let record = BlockRecord { error: Some(why.to_owned()), ..BlockRecord::new(Act::Denied, Some(client)) };
    note(gateway, Act::Denied, &record);
}

fn current(gateway: &Gateway) -> Arc<BlockList> {
    Arc::clone(&gateway.snapshot().trust.live().blocks)
}

fn put_in_force(gateway: &Gateway, list: BlockList) -> usize {
    publish::change_live(gateway, |live| live.blocks = Arc::new(list))
}

fn note(gateway: &Gateway, act: Act, record: &BlockRecord<'_>) {
    gateway.metrics.block_changes_total(act).inc();
    gateway.records.write(record);
    let id = record.block.as_ref().and_then(|block| block.id.as_deref()).unwrap_or("");
    if let Some(error) = &record.error {
        tracing::warn!(act = act.as_str(), id, error, "block list");
    } else {
        tracing::info!(act = act.as_str(), id, "block list");
    }
}

impl BlockRecord<'_> {
    fn new(act: Act, client: Option<SocketAddr>) -> Self {
        Self {
            kind: "block",
            time: clock::now(),
            act: act.as_str(),
            client,
            by: None,
            reason: None,
            block: None,
            cut: None,
            error: None,
        }
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder => f.write_str("the gateway was started without gateway.state_folder"),
            Self::TooMany => write!(f, "the list holds {MAX_BLOCKS} blocks; remove some, or block a contract whole"),
            Self::Unknown(id) => write!(f, "there is no block {id}"),
            Self::NotRemoved(error) => write!(f, "the block stays, since its removal could not be kept: {error}"),
            Self::NotKept(changed, error) => {
                let id = changed.block.id();
                write!(f, "block {id} is in force, but could not be kept and ends with this process: {error}")
            }
        }
    }
}
