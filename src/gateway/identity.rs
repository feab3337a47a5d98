//! The one identity of a client, from its certificate's one CN.

/// A client's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    common_name: String,
    captures: Vec<(String, String)>,
}

#[cfg(test)]
impl Identity {
    /// An identity that no certificate was read for.
    pub(crate) fn for_test(common_name: &str, captures: &[(&str, &str)]) -> Self {
        let captures = captures.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { common_name: common_name.to_owned(), captures }
    }
}
