//! The built gateway over real sockets, with curl, openssl and a rustls client before it and an application behind.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/revocation.rs"]
mod lists;

mod admission;
mod assertion;
mod bad_certificates;
mod cli;
mod client_auth;
mod draining;
mod forgery;
mod http;
mod http2;
mod lapse;
mod limits;
mod live;
mod observed;
mod pages;
mod pkits;
mod pools;
mod proxying;
mod records;
mod refusals;
mod reload;
mod resumption;
mod start;
mod support;
mod swaps;
mod unenforced;
mod upstreams;
