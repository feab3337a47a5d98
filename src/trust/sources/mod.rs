//! Sources that are asked over the network. The hot path never waits for them.

pub mod ocsp;
