//! How the CAs of a configuration stand to each other, and which of them are being replaced (requirement G11).

use super::types::{Ca, CaState, Config, ContractRange, Site};

impl Config {
    /// The CA of this name and those above it, nearest first; none when there is no such CA.
    pub fn line_up<'c>(&'c self, ca: &str) -> impl Iterator<Item = &'c Ca> {
        let named = |name: &str| self.cas.iter().find(|ca| &*ca.name == name);
        let above = move |ca: &&Ca| ca.issued_by.as_deref().and_then(named);
        // `load` has made sure that it goes in no circle; the number of CAs ends it.
        std::iter::successors(named(ca), above).take(self.cas.len())
    }

    /// The nearest draining CA of a certificate that the CA of this name issued: that CA, or one above it.
    pub fn draining<'c>(&'c self, ca: &str) -> Option<&'c Ca> {
        self.line_up(ca).find(|ca| ca.state == CaState::Draining)
    }

    /// The state of the clients of the CA of this name.
    pub fn state_of(&self, ca: &str) -> CaState {
        self.draining(ca).map_or(CaState::Active, |ca| ca.state)
    }

    /// Whether a site lets in clients of the CA of this name: that CA or one above it is in the site's list.
    pub fn lets_in(&self, site: &Site, ca: &str) -> bool {
        self.line_up(ca).any(|ca| site.cas.contains(&ca.name))
    }
}

impl CaState {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Active, Self::Draining];

    /// Returns the state as the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
        }
    }
}

impl ContractRange {
    /// Compared as text of one length, so that `9` is not between `10` and `99`.
    pub fn contains(&self, contract_id: &str) -> bool {
        contract_id.len() == self.first.len() && (self.first.as_str()..=self.last.as_str()).contains(&contract_id)
    }
}
