//! Revocation lists (RFC 5280 section 5): whole or in parts, with deltas, from entries that are encoded once.
//!
//! Revoking appends some 40 octets to the last chunk of one part. Publishing a part hashes and signs what its chunks
//! hold, so many parts make the list that one revocation changes small, and a delta has what came since the base alone.

mod entries;
mod list;
mod number;
mod points;
mod register;

pub use entries::{Hold, HoldState, Reason, RevokeError, Revoked};
pub use list::{ListError, ListKind, SignedFacts, SignedList, UnsignedList};
pub use number::CrlNumber;
pub use points::{DistributionPoints, PartCount, PartIndex};
pub use register::{Due, Holds, Lists, NextBase, Published, RevocationRegister};

pub(super) use points::write_points;
