//! Who calls the issuance service and what they have proven, over real connections.

use sekisho_testkit::harness as common;

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
