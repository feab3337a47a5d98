//! The hot path, in the order a connection takes it.

pub mod identity;
pub mod verify;
