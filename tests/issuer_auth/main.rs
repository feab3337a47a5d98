//! Who calls the issuance service and what they have proven, over real connections.

mod listen;
mod support;
