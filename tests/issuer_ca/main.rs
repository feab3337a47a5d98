//! The certification authority against the tools that the products' users and other banks have: OpenSSL, NSS, pkilint.

#[path = "../common/python.rs"]
mod python;

mod certificates;
mod command_line;
mod key_files;
mod lints;
mod lists;
mod ocsp;
mod p12;
mod requests;
mod support;
