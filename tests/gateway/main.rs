//! The built gateway over real sockets, with curl, openssl and a rustls client before it and an application behind.

#[path = "../common/mod.rs"]
mod common;

mod assertion;
mod bad_certificates;
mod cli;
mod client_auth;
mod forgery;
mod live;
mod pages;
mod pkits;
mod proxying;
mod records;
mod refusals;
mod reload;
mod resumption;
mod start;
