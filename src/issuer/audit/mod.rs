//! The audit log: every act, by whom, on whom, how it went; chained so that no record can be changed or taken out
//! unseen (S15).

mod entry;

pub use entry::{Entry, Record, Result as ActResult};
