//! The hot path, in the order a connection takes it.

pub mod identity;
pub mod verify;

pub mod request_id;

pub mod authority;

pub mod access;

pub mod headers;

pub mod assertion;

pub mod refusal;
