//! The built issuer over real sockets: a bank's services, its users with their certificates, and its desk before it.

use sekisho_testkit::harness as common;

use sekisho_testkit::postgres;

mod support;

mod accounted;
mod crash;
mod flows_anser_bizsol;
mod flows_bizstation;
mod flows_hokugin;
mod flows_shinkin;
mod guessing;
mod identities;
mod interrupted;
mod keys;
mod operation;
mod overtaken;
mod readiness;
mod restored;
mod signals;
mod start;
