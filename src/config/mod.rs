//! Configuration: a TOML file becomes types that cannot be wrong, or every error at once.

mod types;
pub use types::*;
