//! What a snapshot is asked about one certificate.

use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::points::DistributionPoint;
use sekisho_pki::serial::SerialNumber;

/// One certificate, as revocation looks it up.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Name and key of its issuer.
    pub issuer: &'a AuthorityKey,
    /// Its serial number.
    pub serial: &'a SerialNumber,
    /// Whose it is.
    pub subject: Subject,
    /// Its distribution points. `None`: they were not kept, as in a ticket. Whatever revokes it is told then, and a
    /// list that is missing only because the point is not known is not: whoever asks so asks again with the points.
    pub points: Option<&'a [DistributionPoint]>,
}

/// Whose a certificate is: some lists are of one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A client's.
    EndEntity,
    /// A CA's.
    Authority,
}

impl<'a> Question<'a> {
    /// About a client's certificate without distribution points.
    pub const fn client(issuer: &'a AuthorityKey, serial: &'a SerialNumber) -> Self {
        Self { issuer, serial, subject: Subject::EndEntity, points: Some(&[]) }
    }

    /// About a certificate with these distribution points.
    #[must_use]
    pub const fn at(self, points: &'a [DistributionPoint]) -> Self {
        Self { points: Some(points), ..self }
    }
}
