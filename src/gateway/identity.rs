//! The one identity of a client, from its certificate's one CN.

/// A client's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    common_name: String,
    captures: Vec<(String, String)>,
}

impl Identity {
    /// The certificate's one CN.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The `contract_id` capture.
    pub fn contract_id(&self) -> Option<&str> {
        self.capture("contract_id")
    }

    /// The `user_id` capture.
    pub fn user_id(&self) -> Option<&str> {
        self.capture("user_id")
    }

    /// A capture of the CA's pattern, by name.
    pub fn capture(&self, name: &str) -> Option<&str> {
        self.captures().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Every capture: name and value.
    pub fn captures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.captures.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
impl Identity {
    /// An identity that no certificate was read for.
    pub(crate) fn for_test(common_name: &str, captures: &[(&str, &str)]) -> Self {
        let captures = captures.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { common_name: common_name.to_owned(), captures }
    }
}
