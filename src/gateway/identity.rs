//! The one identity of a client, from its certificate's one CN.

/// A client's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    common_name: String,
    captures: Vec<(String, String)>,
}
