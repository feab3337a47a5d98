//! The block list: who is refused by hand, beside all revocation (requirement R1).
//!
//! For the minutes before a revocation is made and has arrived, for certificates of a CA that is not ours to ask, and for
//! whole contracts. A list never changes; a change makes another, which `Live` then holds.

mod target;
mod written;

pub mod file;

pub use target::{BlockId, Target, serial_from_hex};
pub use written::{Written, WrittenError, act_of};

use sekisho_pki::fingerprint::{AuthorityKey, Fingerprint};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Blocks that a list may hold: each is written by hand, and the file is written anew with each change (some 5 MB and
/// 20 ms at the most). More people than this are blocked by their contracts, or revoked.
pub const MAX_BLOCKS: usize = 10_000;

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Who is blocked.
    pub target: Target,
    /// Why, in the words of whoever did it.
    pub reason: String,
    /// Who did it, in their own words: the token is one for all.
    pub by: String,
    /// When it was put in force, or last replaced.
    pub added: Timestamp,
    /// The first second at which it is not in force any more; absent: it stays until it is removed.
    pub expires: Option<Timestamp>,
}

/// Who is blocked; immutable.
#[derive(Debug, Default)]
pub struct BlockList {
    blocks: BTreeMap<BlockId, Arc<Block>>,
    certificates: HashMap<(AuthorityKey, SerialNumber), Arc<Block>>,
    fingerprints: HashMap<Fingerprint, Arc<Block>>,
    contracts: HashMap<String, BlockedContract>,
    next_expiry: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct BlockedContract {
    whole: Option<Arc<Block>>,
    users: HashMap<String, Arc<Block>>,
}

/// What is known of a client beside its path: what its leaf is and says.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// SHA-256 of the leaf.
    pub fingerprint: Fingerprint,
    /// The contract (契約者ID) that its CN names.
    pub contract_id: Option<&'a str>,
    /// The user (利用者ID) that its CN names; an administrator has none.
    pub user_id: Option<&'a str>,
}

/// The list holds [`MAX_BLOCKS`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Block {
    /// Its number, which follows from its target alone: the same on every gateway.
    pub fn id(&self) -> BlockId {
        self.target.id()
    }

    /// Whether it is in force.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl BlockList {
    /// The block in force on a certificate, by who issued it.
    pub fn certificate(&self, issuer: &AuthorityKey, serial: &SerialNumber, now: Timestamp) -> Option<&Block> {
        if self.certificates.is_empty() {
            return None;
        }
        in_force(self.certificates.get(&(*issuer, *serial)), now)
    }

    /// The block in force on a client: on its very certificate, on the user, or on the whole contract.
    pub fn holder(&self, holder: &Holder<'_>, now: Timestamp) -> Option<&Block> {
        if let Some(block) = in_force(self.fingerprints.get(&holder.fingerprint), now) {
            return Some(block);
        }
        let contract = self.contracts.get(holder.contract_id?)?;
        let of_user = holder.user_id.and_then(|user| in_force(contract.users.get(user), now));
        of_user.or_else(|| in_force(contract.whole.as_ref(), now))
    }

    /// Every block, expired ones too until [`Self::without_expired`], in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.values()
    }

    /// The block of this number.
    pub fn get(&self, id: &BlockId) -> Option<&Arc<Block>> {
        self.blocks.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether nobody is blocked.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// When the next one expires.
    pub const fn next_expiry(&self) -> Option<Timestamp> {
        self.next_expiry
    }

    /// A list of these, of which a later one replaces an earlier one with the same target.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn of(blocks: impl IntoIterator<Item = Arc<Block>>) -> Result<Self, TooMany> {
        let mut list = Self::default();
        for block in blocks {
            list.blocks.insert(block.id(), block);
            if list.blocks.len() > MAX_BLOCKS {
                return Err(TooMany);
            }
        }
        for block in list.blocks.values() {
            list.next_expiry = [list.next_expiry, block.expires].into_iter().flatten().min();
            let kept = Arc::clone(block);
            match &block.target {
                Target::Certificate { issuer, serial, .. } => {
                    list.certificates.insert((*issuer, *serial), kept);
                }
                Target::Fingerprint(fingerprint) => {
                    list.fingerprints.insert(*fingerprint, kept);
                }
                Target::User { contract, user } => {
                    list.contracts.entry(contract.clone()).or_default().users.insert(user.clone(), kept);
                }
                Target::Contract(contract) => list.contracts.entry(contract.clone()).or_default().whole = Some(kept),
            }
        }
        Ok(list)
    }

    /// This list and one more block, which replaces one with the same target.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn with(&self, block: Arc<Block>) -> Result<Self, TooMany> {
        Self::of(self.iter().cloned().chain([block]))
    }

    /// This list without one block.
    pub fn without(&self, id: &BlockId) -> Self {
        self.only(|block| block.id() != *id)
    }

    /// This list without what has expired.
    pub fn without_expired(&self, now: Timestamp) -> Self {
        self.only(|block| block.is_in_force(now))
    }

    fn only(&self, keep: impl Fn(&Block) -> bool) -> Self {
        // Fewer than there were.
        Self::of(self.iter().filter(|block| keep(block)).cloned()).unwrap_or_default()
    }
}

fn in_force(block: Option<&Arc<Block>>, now: Timestamp) -> Option<&Block> {
    block.map(Arc::as_ref).filter(|block| block.is_in_force(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);

    fn block(target: Target) -> Arc<Block> {
        Arc::new(Block { target, reason: "stolen".into(), by: "desk".into(), added: NOW, expires: None })
    }

    fn certificate(issuer: u8, serial: &str) -> Target {
        let issuer = AuthorityKey::from_bytes([issuer; 32]);
        Target::Certificate { ca: "issuing".into(), issuer, serial: serial_from_hex(serial).unwrap() }
    }

    fn user(contract: &str, user: &str) -> Target {
        Target::User { contract: contract.into(), user: user.into() }
    }

    fn holder<'a>(fingerprint: u8, contract_id: Option<&'a str>, user_id: Option<&'a str>) -> Holder<'a> {
        Holder { fingerprint: Fingerprint::of(&[fingerprint]), contract_id, user_id }
    }

    #[test]
    fn each_target_blocks_just_whom_it_names() {
        let blocks = [
            certificate(1, "80ff"),
            Target::Fingerprint(Fingerprint::of(&[1])),
            user("100", "ann"),
            Target::Contract("200".into()),
        ];
        let list = BlockList::of(blocks.map(block)).unwrap();
        let serial = |serial| serial_from_hex(serial).unwrap();
        let key = |key| AuthorityKey::from_bytes([key; 32]);
        assert!(list.certificate(&key(1), &serial("80ff"), NOW).is_some());
        assert!(list.certificate(&key(2), &serial("80ff"), NOW).is_none(), "another CA's serial");
        assert!(list.certificate(&key(1), &serial("80fe"), NOW).is_none());
        let blocked = |fingerprint, contract, user| list.holder(&holder(fingerprint, contract, user), NOW).is_some();
        assert!(blocked(1, Some("999"), None) && blocked(1, None, None));
        assert!(blocked(2, Some("100"), Some("ann")));
        assert!(!blocked(2, Some("100"), Some("bob")) && !blocked(2, Some("100"), None));
        assert!(!blocked(2, Some("101"), Some("ann")) && !blocked(2, None, Some("ann")));
        assert!(blocked(2, Some("200"), Some("ann")) && blocked(2, Some("200"), None));
        assert!(!blocked(2, Some("20"), None) && !blocked(2, Some("2000"), None), "a contract is not a prefix");
    }

    #[test]
    fn an_expired_block_of_the_user_does_not_hide_one_of_the_contract() {
        let ended = Arc::new(Block { expires: Some(NOW), ..(*block(user("100", "ann"))).clone() });
        let list = BlockList::of([ended, block(Target::Contract("100".into()))]).unwrap();
        assert_eq!(
            list.holder(&holder(1, Some("100"), Some("ann")), NOW).unwrap().target,
            Target::Contract("100".into())
        );
    }

    #[test]
    fn a_block_is_in_force_until_the_second_at_which_it_expires() {
        let ends = Arc::new(Block { expires: Some(NOW.plus_seconds(60)), ..(*block(user("1", "a"))).clone() });
        let list = BlockList::of([ends, block(user("1", "b"))]).unwrap();
        let at = |seconds| list.holder(&holder(1, Some("1"), Some("a")), NOW.plus_seconds(seconds)).is_some();
        assert_eq!((at(0), at(59), at(60), at(61)), (true, true, false, false));
        assert_eq!(list.next_expiry(), Some(NOW.plus_seconds(60)));
        let rest = list.without_expired(NOW.plus_seconds(60));
        assert_eq!((rest.len(), rest.next_expiry()), (1, None));
        assert_eq!(list.without_expired(NOW.plus_seconds(59)).len(), 2);
    }

    #[test]
    fn the_same_target_is_blocked_once_and_the_last_word_holds() {
        let longer = Arc::new(Block { expires: Some(NOW.plus_seconds(60)), ..(*block(user("1", "a"))).clone() });
        let list = BlockList::of([block(user("1", "a"))]).unwrap().with(Arc::clone(&longer)).unwrap();
        assert_eq!((list.len(), list.iter().next()), (1, Some(&longer)));
        assert!(list.without(&longer.id()).is_empty());
        assert_eq!(list.without(&user("1", "b").id()).len(), 1);
    }

    #[test]
    fn a_list_is_full_at_its_limit_and_can_still_replace() {
        let all = (0..MAX_BLOCKS).map(|number| block(Target::Contract(number.to_string())));
        let full = BlockList::of(all).unwrap();
        assert_eq!(full.with(block(Target::Contract("one more".into()))).err(), Some(TooMany));
        assert_eq!(full.with(block(Target::Contract("7".into()))).unwrap().len(), MAX_BLOCKS);
    }
}
