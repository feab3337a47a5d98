//! Answers that the gateway gives by itself.
