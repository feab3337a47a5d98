//! Revocation lists that are fetched: what a server may do to the gateway, and that it is never more than a list which
//! the CA signed (requirements R1, R2 and R4).

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/revocation.rs"]
mod lists;

mod bad_input;
mod bounds;
mod gateway;
mod ground;
mod in_force;
mod points;
mod server;
mod status;
