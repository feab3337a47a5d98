//! The audit log: every act, by whom, on whom, how it went; chained so that no record can be changed or taken out
//! unseen (S15).
//!
//! An [`Entry`] has one canonical text ([`encode`], [`decode`]); [`append`] puts it after the [`Head`] of the chain and
//! [`Verifier`] checks what a store or an export says it is. *Invariant*: pure; the store does the writing, in the
//! transaction of the act itself.

mod chain;
mod entry;
mod line;
mod text;

#[cfg(test)]
mod tests;

pub use chain::{Broken, Head, NotAHead, Verifier, append};
pub use entry::{Entry, Record, Result as ActResult};
pub use line::{NotARecord, from_line, to_line};
pub use text::{NotAnEntry, decode, encode};
