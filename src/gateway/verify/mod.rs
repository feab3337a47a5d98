//! The decision on a client's certificate chain.

mod types;
pub use types::{LeafFacts, Link, Reason, Refusal, VerifiedChain, VerifiedClient};
