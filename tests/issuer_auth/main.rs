//! Who calls the issuance service and what they have proven, over real connections.

mod delegated;
mod listen;
mod support;
