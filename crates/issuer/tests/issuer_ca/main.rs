//! The certification authority against the tools that the products' users and other banks have: OpenSSL, NSS, pkilint.

use sekisho_testkit::harness::python;

mod certificates;
mod command_line;
mod key_files;
mod lints;
mod lists;
mod ocsp;
mod p12;
mod requests;
mod support;
