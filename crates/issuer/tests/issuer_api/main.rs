//! The issuer's HTTP API as its callers meet it: the built issuer over real sockets.

use sekisho_testkit::harness as common;

#[path = "../issuer/support/mod.rs"]
mod support;

mod callers;
mod document;
mod fuzzing;
mod limits;
mod reading;
mod refusals;
mod repeats;
