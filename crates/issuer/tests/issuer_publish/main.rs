//! Publication from the store: lists, OCSP answers and certificates, as the tools that read them see them.

mod authorities;
mod lists;
mod million;
mod ocsp;
mod public;
mod start;
mod support;
mod switch;
mod trouble;
