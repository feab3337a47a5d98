//! The proof, in a handshake, that a client has the key of its certificate.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, SignatureScheme};
use sekisho_pki::certificate::Certificate;
use webpki::RawPublicKeyEntity;

/// What a client may sign with: for the keys that [`crate::gateway::verify`] accepts and no others. A client that is offered more
/// shows a certificate that is refused, where it might have had another.
pub(in crate::gateway) const SCHEMES: [SignatureScheme; 9] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    // TLS 1.2 only.
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The version whose rules hold for the signature.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) enum Protocol {
    Tls12,
    Tls13,
}

/// Verifies the signature of a CertificateVerify.
///
/// # Errors
/// As rustls has it. It refuses to read a certificate with a critical extension that it does not know, though the key is
/// all it wants of it; with those that are known here (certificate policies) the key is read by our own parser.
pub(in crate::gateway) fn verify(
    protocol: Protocol,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let verified = match protocol {
        Protocol::Tls12 => verify_tls12_signature(message, certificate, signature, algorithms),
        Protocol::Tls13 => verify_tls13_signature(message, certificate, signature, algorithms),
    };
    match verified {
        Err(error) if is_of_an_extension(&error) => match Certificate::parse(certificate) {
            Ok(known) if known.unknown_critical_extensions().is_empty() => {
                verify_with_key(protocol, message, &known, signature, algorithms)
            }
            _ => Err(error),
        },
        verified => verified,
    }
}

/// webpki met a critical extension that it does not know.
fn is_of_an_extension(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(error))) = error else { return false };
    matches!(error.downcast_ref::<webpki::Error>(), Some(webpki::Error::UnsupportedCriticalExtension))
}

fn verify_with_key(
    protocol: Protocol,
    message: &[u8],
    certificate: &Certificate,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(certificate.subject_public_key_info());
    if matches!(protocol, Protocol::Tls13) {
        return rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signature, algorithms);
    }
    let unreadable = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| unreadable())?;
    let offered = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let (_, possible) = offered.ok_or(Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon))?;
    for algorithm in *possible {
        match key.verify_signature(*algorithm, message, signature.signature()) {
            Ok(()) => return Ok(HandshakeSignatureValid::assertion()),
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => break,
        }
    }
    Err(Error::InvalidCertificate(CertificateError::BadSignature))
}
