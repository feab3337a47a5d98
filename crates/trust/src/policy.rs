//! Which lists a CA's settings take, and until when they count as fresh (requirements R1, R4).

use super::alarm::AlarmKind;
use sekisho_config::{RevocationSources, WhenStale, WithoutNumber};
use sekisho_pki::crl::RevocationListHeader;
use sekisho_pki::time::Timestamp;
use std::time::Duration;

/// How one CA's lists are judged. The default is the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListPolicy {
    /// What happens when nextUpdate has passed.
    pub when_stale: WhenStale,
    /// What becomes of a list without CRLNumber.
    pub without_number: WithoutNumber,
    /// How long after its thisUpdate a list without nextUpdate is fresh; such a list is refused when this is absent.
    pub without_next_update: Option<Duration>,
}

impl ListPolicy {
    /// The strictest but for what happens when nextUpdate has passed.
    pub fn when_stale(when_stale: WhenStale) -> Self {
        Self { when_stale, ..Self::default() }
    }

    /// Whether a list may be taken, by what RFC 5280 requires of one and real CAs leave out.
    pub(super) fn admit(&self, header: &RevocationListHeader) -> Result<(), (AlarmKind, &'static str)> {
        if header.number.is_none() {
            if header.base.is_some() {
                let message = "a delta list without CRLNumber cannot be ordered (RFC 5280 section 5.2.3)";
                return Err((AlarmKind::NoNumber, message));
            }
            if self.without_number == WithoutNumber::Refuse {
                let message =
                    "it has no CRLNumber (RFC 5280 section 5.2.3); without_number = \"accept\" takes such lists";
                return Err((AlarmKind::NoNumber, message));
            }
        }
        if self.next_update(header).is_none() {
            let message = "it has no nextUpdate (RFC 5280 section 5.1.2.5); without_next_update takes such lists";
            return Err((AlarmKind::NoNextUpdate, message));
        }
        Ok(())
    }

    /// Until when a list is fresh.
    pub(super) fn next_update(&self, header: &RevocationListHeader) -> Option<Timestamp> {
        let allowed =
            |time: Duration| header.this_update.plus_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        header.next_update.or_else(|| self.without_next_update.map(allowed))
    }
}

impl From<&RevocationSources> for ListPolicy {
    fn from(sources: &RevocationSources) -> Self {
        Self {
            when_stale: sources.when_stale,
            without_number: sources.without_number,
            without_next_update: sources.without_next_update,
        }
    }
}
