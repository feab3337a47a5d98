//! What the issuer's feed told (requirement R6): each revocation within milliseconds, until a list has it.
//!
//! ```text
//! octets → events (server-sent events) → message (signature, form) → join (follows what came before?) → FeedView
//! FeedView + the lists in force → what may be forgotten, and which CAs are followed without a gap
//! keep: the same on disk, so that a restart goes on where it stopped
//! ```
//! Invariant: of each CA that is followed, every change after its `base` is held, and a CA counts as followed only
//! while the lists in force have everything up to that `base`. So no change is ever in neither.

mod changes;
mod coverage;
mod events;
mod join;
mod keep;
mod message;
mod view;

pub use coverage::Part;
pub use events::{Event, EventError, Events, MOST_EVENT_OCTETS};
pub use join::{Anew, Join, JoinError, Opening, Step};
pub use keep::{KeepError, Keeper, Recalled};
pub use message::{Change, Message, MessageError, PublishedList, Word};
pub(super) use message::{from_hex, to_hex};
pub use view::{
    Before, FeedFull, FeedView, Following, InForce, Lapse, Listing, MOST_CHANGES_HELD, Occasion, Position, Rules, Told,
};

#[cfg(test)]
mod properties;
