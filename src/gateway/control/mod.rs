//! Reloads, and what asks for them.

pub(in crate::gateway) mod recalled;
pub(in crate::gateway) mod reload;
pub(in crate::gateway) mod watch;
