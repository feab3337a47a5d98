//! Where revocation data comes from while the gateway runs, and what is outstanding of it.

pub(in crate::gateway) mod answers;
pub(in crate::gateway) mod blocks;
pub(in crate::gateway) mod feed;
pub(in crate::gateway) mod fetch;
pub(in crate::gateway) mod last_in_force;
pub(in crate::gateway) mod outstanding;
pub(in crate::gateway) mod settle;
pub(in crate::gateway) mod sources;
pub(in crate::gateway) mod withdrawn;
