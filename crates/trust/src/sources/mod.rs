//! Sources over the network: revocation lists that are fetched (requirement R1), and OCSP responders. The hot path
//! never waits for them.
//!
//! ```text
//! Targets (crl_urls; distribution points of certificates) → schedule (when) → download (within bounds)
//!   → judge (signature, CA, age, scope) → kept (one file each in the state folder) → trust::load, as any file
//! ```
//! Invariant: what is kept was judged, and is replaced only by something that was judged to be newer. Whatever the
//! server answers, the list before it stays in force.

mod attempt;
mod book;
mod download;
mod fetcher;
mod judge;
mod kept;
mod life;
pub mod ocsp;
mod report;
mod schedule;
mod shares;
pub(crate) mod target;
mod tls;

pub use attempt::prime;
pub use book::PointBook;
pub use download::{Bounds, DownloadError};
pub use fetcher::Fetcher;
pub use judge::ListFacts;
pub use kept::KeptLists;
pub use life::Host;
pub use report::{FetchError, FetchErrorKind, FetchOutcome, FetchReport, Fetched, SourceStatus};
pub use target::{Kind, PointError, Target};
