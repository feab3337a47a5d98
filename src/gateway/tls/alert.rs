//! Refusals as TLS alerts (RFC 8446 section 6.2).

use crate::gateway::verify::Reason;
use rustls::{CertificateError, Error, OtherError};
use std::io;
use std::sync::Arc;

/// The rustls error whose alert is true for a reason.
///
/// | reason | alert |
/// |---|---|
/// | no-certificate | certificate_required; with TLS 1.2 handshake_failure ([`of_tls_1_2`]) |
/// | expired, not-yet-valid | certificate_expired ("has expired or is not currently valid") |
/// | revoked | certificate_revoked |
/// | suspended | access_denied: it is not revoked, and a client that is told so would throw it away |
/// | blocked | access_denied ("a valid certificate …, but when access control was applied") |
/// | unknown-ca | unknown_ca |
/// | wrong-usage | unsupported_certificate |
/// | bad-certificate, malformed-identity | bad_certificate |
/// | not-permitted | access_denied |
/// | revocation-unavailable | certificate_unknown |
pub(in crate::gateway) fn for_refusal(reason: Reason) -> Error {
    match reason {
        Reason::NoCertificate => Error::NoCertificatesPresented,
        Reason::Expired => CertificateError::Expired.into(),
        Reason::NotYetValid => CertificateError::NotValidYet.into(),
        Reason::Revoked => CertificateError::Revoked.into(),
        Reason::UnknownCa => CertificateError::UnknownIssuer.into(),
        Reason::WrongUsage => CertificateError::InvalidPurpose.into(),
        Reason::BadCertificate | Reason::MalformedIdentity => CertificateError::BadEncoding.into(),
        Reason::NotPermitted | Reason::Blocked | Reason::Suspended => {
            CertificateError::ApplicationVerificationFailure.into()
        }
        // Not unknown_ca, as OpenSSL has it: the CA is known, its list is not.
        Reason::RevocationUnavailable => {
            CertificateError::Other(OtherError(Arc::new(io::Error::other("revocation status unavailable")))).into()
        }
    }
}

/// `certificate_required` as rustls sends it with TLS 1.2, which does not have it: in clear, since it comes before the
/// client's Finished.
const CERTIFICATE_REQUIRED: [u8; 7] = [21, 3, 3, 0, 2, 2, 116];
/// What a TLS 1.2 server sends in its place (RFC 5246 section 7.4.6): `handshake_failure`.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// What is to be sent in place of an alert that TLS 1.2 does not have. Alerts of TLS 1.3 are encrypted, so that none looks
/// like it.
pub(in crate::gateway) fn of_tls_1_2(record: &[u8]) -> &[u8] {
    if record == CERTIFICATE_REQUIRED { &HANDSHAKE_FAILURE } else { record }
}
