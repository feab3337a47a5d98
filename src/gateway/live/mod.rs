//! Live connections: who each is, what is under way, how a new snapshot reaches all of them, what is recorded.

pub(in crate::gateway) mod admissions;
pub(in crate::gateway) mod connection;
pub(in crate::gateway) mod frames;
pub(in crate::gateway) mod publish;
pub(in crate::gateway) mod records;
pub(in crate::gateway) mod registry;
pub(in crate::gateway) mod stream;
