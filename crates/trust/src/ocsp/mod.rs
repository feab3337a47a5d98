//! What OCSP responders answered about single certificates (RFC 6960, requirement R1).
//!
//! Answers are the one part of what is trusted that a snapshot does not hold still: they are asked for one by one, by
//! the clients that come, and all snapshots share them. A publication for each would visit every live connection.

mod answers;
mod responder;
mod weigh;

pub use answers::{Blame, Change, OcspAnswers, Trouble};
pub use responder::Responder;
pub(crate) use weigh::Listed;

#[cfg(test)]
mod tests;
