//! The built gateway over real sockets, with curl, openssl and a rustls client before it and an application behind.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/revocation.rs"]
mod lists;
#[path = "../common/ocsp.rs"]
mod responder;

mod admission;
mod asked;
mod assertion;
mod bad_certificates;
mod blocks;
mod blocks_desk;
mod cli;
mod client_auth;
mod draining;
mod feed;
mod feed_server;
mod finish;
mod forged_path;
mod forgery;
mod framing;
mod http;
mod http2;
mod in_force;
mod lapse;
mod limits;
mod live;
mod memory;
mod observed;
mod ocsp;
mod ocsp_sources;
mod pages;
mod parts;
mod passing;
mod pkits;
mod places;
mod pools;
mod proxying;
mod records;
mod refusals;
mod reload;
mod resets;
mod resumption;
mod rotation;
mod signals;
mod start;
mod strict;
mod suites;
mod support;
mod swaps;
mod unenforced;
mod upstreams;
mod witness;
