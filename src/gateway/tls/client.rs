//! Who is at the other end of a connection.

use crate::gateway::verify::{Decision, Pending, Reason, Refusal, VerifiedClient};
use rustls::pki_types::CertificateDer;
use sekisho_trust::Need;
use std::sync::Arc;

/// Who is at the other end, as far as verification went.
#[derive(Clone, Debug)]
pub(in crate::gateway) enum Client {
    /// A client without certificate: the site asks for none, or makes it optional and none was given.
    Anonymous,
    /// A verified client.
    Verified(VerifiedClient),
    /// A client whose revocation status is not known. It has no right; each request decides on it again
    /// ([`crate::gateway::revocation::settle`]).
    Pending(PendingClient),
    /// A client that is only told of its refusal (refusal style `page`).
    Refused(Refusal),
}

/// A chain of which everything but its revocation status is good.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct PendingClient {
    pub(in crate::gateway) presented: Arc<[CertificateDer<'static>]>,
    /// What its requests are refused with now.
    pub(in crate::gateway) refusal: Refusal,
    /// The queries to make first. Empty: they were made without result, or there is none to make; then it is refused, and a
    /// later request may find the source back.
    pub(in crate::gateway) needs: Vec<Need>,
}

impl Client {
    /// What the decision on a chain that was presented makes of a connection's client.
    pub(in crate::gateway) fn of(
        decision: Decision,
        presented: impl FnOnce() -> Arc<[CertificateDer<'static>]>,
    ) -> Self {
        match decision {
            Decision::Verified(client) => Self::Verified(client),
            Decision::Pending(Pending { refusal, needs }) => {
                Self::Pending(PendingClient { presented: presented(), refusal, needs })
            }
            Decision::Refused(refusal) if refusal.reason == Reason::RevocationUnavailable => {
                Self::Pending(PendingClient { presented: presented(), refusal, needs: Vec::new() })
            }
            Decision::Refused(refusal) => Self::Refused(refusal),
        }
    }

    /// The refusal that the client is told of now; none of a client that is served or whose status is being queried.
    pub(in crate::gateway) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Pending(pending) if pending.needs.is_empty() => Some(&pending.refusal),
            Self::Anonymous | Self::Verified(_) | Self::Pending(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_not_known_is_decided_again_and_any_other_refusal_is_final() {
        let of = |decision| Client::of(decision, || Arc::from([]));
        let refusal = |reason| Refusal::new(reason, "");
        let need = Need::Lists { issuer: sekisho_pki::fingerprint::AuthorityKey::of(&[], &[]), urls: Vec::new() };
        let pending = Pending { refusal: refusal(Reason::RevocationUnavailable), needs: vec![need] };
        let client = of(Decision::Pending(pending));
        assert!(matches!(&client, Client::Pending(pending) if pending.needs.len() == 1), "{client:?}");
        assert!(client.refusal().is_none(), "nothing is told before the queries are made");
        let client = of(Decision::Refused(refusal(Reason::RevocationUnavailable)));
        assert!(matches!(&client, Client::Pending(pending) if pending.needs.is_empty()), "{client:?}");
        assert!(client.refusal().is_some());
        for reason in Reason::ALL.into_iter().filter(|reason| *reason != Reason::RevocationUnavailable) {
            let client = of(Decision::Refused(refusal(reason)));
            assert!(matches!(&client, Client::Refused(told) if told.reason == reason), "{client:?}");
            assert!(client.refusal().is_some());
        }
    }
}
