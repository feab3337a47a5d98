//! `sekisho load`: a load generator for the handshake path of a mutual-TLS server (requirement O5).
//!
//! ```text
//! Plan → run: workers (connection → operation → Sample) → Tally, a phase for each mark → Report
//! ```
//! Latencies are free of coordinated omission: with a rate, an operation that had to wait for a free worker is measured
//! from the moment at which it was due.

mod connection;
mod identity;
mod marks;
mod pace;
mod plan;
mod report;
mod run;
mod tally;
mod tls;
mod worker;

pub use identity::{Identity, IdentityError, read_folder, read_pair};
pub use marks::Mark;
pub use pace::Pace;
pub use plan::{Group, HttpVersion, Kind, Plan, TlsVersion};
pub use report::Report;
pub use run::{LoadError, run};
