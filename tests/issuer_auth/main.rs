//! Who calls the issuance service and what they have proven, over real connections.

#[path = "../common/mod.rs"]
mod common;

mod built_in;
mod callers;
mod delegated;
mod gateway;
mod keys;
mod listen;
mod planted;
mod stored;
mod support;
mod tokens;
