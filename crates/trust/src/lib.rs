//! What is trusted now: CA certificates and revocation lists, validated in the background and published whole.
//!
//! ```text
//! load (files) ─┐
//! from_parts ───┴→ authority (checks each CA) → accept (checks each list) → select, choose, deltas (which are in force)
//!                                                                                                  └→ TrustSnapshot
//! feed, block list, OCSP answers → Live ───────────────────────────────────────────────────────────────────┘
//! ```
//! Invariant: a snapshot never changes; a reader borrows one and asks it. Signatures of lists are verified in
//! `accept`, never by a reader. A list that is missing is never an empty list.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accept;
mod alarm;
mod authority;
mod background;
pub mod blocks;
mod choose;
mod deltas;
pub mod feed;
mod files;
mod folder;
mod in_force;
mod last_in_force;
mod lists;
mod live;
mod load;
mod need;
pub mod ocsp;
mod parts;
mod policy;
mod question;
mod revoked;
mod select;
mod snapshot;
pub mod sources;
mod staleness;
pub mod withdrawn;

pub use alarm::{Alarm, AlarmKind};
pub use authority::{Authority, Revocation, Role};
pub use background::{make_way, usual_pages, yielding};
pub use in_force::RevocationLists;
pub use last_in_force::{InForceNames, Keeping, LastInForce};
pub use lists::RevocationList;
pub use live::Live;
pub use load::{LoadOutcome, Remembered, load, load_lists, load_remembering, load_with_kept};
pub use need::Need;
pub use parts::{AuthorityParts, ListParts, PartsError, RevocationParts};
pub use policy::ListPolicy;
pub use question::{Question, Subject};
pub use revoked::{Revoked, RevokedIndex};
pub use snapshot::{AuthorityStatus, ListStatus, Readiness, RevocationStatus, TrustSnapshot};
pub use staleness::{Freshness, Stale};
pub use withdrawn::{Withdrawn, WithdrawnBook};
