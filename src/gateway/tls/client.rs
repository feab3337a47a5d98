//! Who is at the other end of a connection.

use crate::gateway::verify::{Refusal, VerifiedClient};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// Who is at the other end, as far as verification went.
#[derive(Clone, Debug)]
pub(in crate::gateway) enum Client {
    /// Nobody: the site asks for no certificate, or makes it optional and none was given.
    Anonymous,
    /// A verified client.
    Verified(VerifiedClient),
    /// A client to whom nothing but a refusal is said (refusal style `page`).
    Refused(Refusal),
    /// A client that is good as far as is known, and has no right before what its status needs was asked for: its first
    /// request waits for that ([`crate::gateway::revocation::settle`]).
    Unsettled(Unsettled),
}

/// A chain that passed every check but for a status that is not told yet.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Unsettled {
    pub(in crate::gateway) presented: Arc<[CertificateDer<'static>]>,
    /// Why it has no right now.
    pub(in crate::gateway) refusal: Refusal,
}
