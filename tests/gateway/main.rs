//! The built gateway over real sockets, with curl, openssl and a rustls client before it and an application behind.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/revocation.rs"]
mod lists;

mod admission;
mod bad_certificates;
mod forgery;
mod lapse;
mod live;
mod proxying;
mod refusals;
mod reload;
mod resumption;
mod start;
mod swaps;
