//! The issuance service: the control path, in a process of its own that the internet does not reach.

pub mod ca;
