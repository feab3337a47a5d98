//! Revocation lists that are fetched: what a server may do to the gateway, and that it is never more than a list which
//! the CA signed (requirements R1, R2 and R4).

use sekisho_testkit::harness as common;
use sekisho_testkit::revocation as lists;

mod bad_input;
mod bounds;
mod gateway;
mod ground;
mod in_force;
mod points;
mod server;
mod status;
