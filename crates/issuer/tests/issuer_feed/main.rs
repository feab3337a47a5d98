//! The feed of revocations: the built issuer over real sockets, followed as gateways follow it.

use sekisho_testkit::harness as common;

use sekisho_testkit::postgres;

#[path = "../issuer/support/mod.rs"]
mod support;

mod follower;
mod world;

mod configured;
mod finish;
mod gateway;
mod holding;
mod nodes;
mod propagation;
mod refusals;
mod rehearsal;
mod stream;
