//! The service: an act from the caller's request to what they get, step by step.
//!
//! ```text
//! request → contract and profile → factors checked → one transaction: read, decide, write
//!         → sign the recorded intent → a second transaction: complete → answer
//! ```

mod request;

pub use request::{Act, By, Delivered, Done, KeyRequest, Refused, Request, ShownSecret};
