//! What must be asked for before a certificate's status can be told.

use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::serial::SerialNumber;
use std::sync::Arc;

/// One thing that is not known yet and can be asked for.
///
/// Two needs are equal when one question answers both, so that it is asked once for however many wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// An OCSP responder's answer about a certificate.
    Answer {
        /// Name and key of the CA that issued it.
        issuer: AuthorityKey,
        /// Its serial number.
        serial: SerialNumber,
    },
    /// The lists at a certificate's distribution points.
    Lists {
        /// Name and key of the CA that issued it.
        issuer: AuthorityKey,
        /// URLs, in order.
        urls: Vec<Arc<str>>,
    },
}
