//! Certificates as facts (RFC 5280 section 4).

use crate::fingerprint::{AuthorityKey, Fingerprint};
use crate::name::DistinguishedName;
use crate::points::{self, DistributionPoint};
use crate::policies::Policies;
use crate::serial::{SerialError, SerialNumber};
use crate::time::Timestamp;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Version};
use x509_parser::public_key::PublicKey;

/// DER octets a certificate may have: webpki's bound too; a bank's have one to three thousand.
pub const MAX_CERTIFICATE_BYTES: usize = 65_535;

/// Extensions a certificate may have: real ones have about ten, and finding duplicates compares each to each.
pub const MAX_EXTENSIONS: usize = 32;

/// One certificate, parsed once; cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Facts>);

struct Facts {
    der: CertificateDer<'static>,
    version: Version,
    serial: SerialNumber,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    not_before: Timestamp,
    not_after: Timestamp,
    fingerprint: Fingerprint,
    authority_key: AuthorityKey,
    public_key_info: Vec<u8>,
    public_key_info_header: usize,
    public_key: PublicKeyKind,
    signature_algorithm: String,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    extended_key_usages: Option<ExtendedKeyUsages>,
    subject_key_identifier: Option<Vec<u8>>,
    authority_key_identifier: Option<Vec<u8>>,
    distribution_points: Arc<[DistributionPoint]>,
    alternative_names: Option<Vec<u8>>,
    name_constraints: Option<Vec<u8>>,
    policies: Policies,
    unknown_critical_extensions: Vec<String>,
}

/// Version of a certificate. Only v3 has extensions, so only v3 can say what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// v1: an old root at most.
    V1,
    /// v2: never seen in earnest.
    V2,
    /// v3.
    V3,
}

/// Kind and size of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// ECDSA on P-256.
    EcP256,
    /// ECDSA on P-384.
    EcP384,
    /// RSA.
    Rsa {
        /// Length of the modulus.
        bits: u32,
    },
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// Another, by the OID of its algorithm or curve.
    Other(String),
}

/// basicConstraints (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// `cA`.
    pub ca: bool,
    /// `pathLenConstraint`: CA certificates that may follow below, self-issued ones not counted.
    pub path_len: Option<u32>,
}

/// keyUsage (RFC 5280 section 4.2.1.3), the three bits that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    digital_signature: bool,
    key_cert_sign: bool,
    crl_sign: bool,
}

/// extKeyUsage (RFC 5280 section 4.2.1.12), the purposes that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedKeyUsages {
    client_auth: bool,
    ocsp_signing: bool,
    any: bool,
}

/// Why octets are not a certificate that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// Not one DER certificate, with the parser's word for it.
    Malformed(String),
    /// This many octets follow the certificate.
    TrailingBytes(usize),
    /// More than [`MAX_CERTIFICATE_BYTES`].
    TooLong(usize),
    /// More than [`MAX_EXTENSIONS`].
    TooManyExtensions(usize),
    /// This extension is there twice (RFC 5280 section 4.2 forbids it).
    DuplicateExtension(String),
    /// This extension's content cannot be read.
    MalformedExtension(String),
    /// A name cannot be read.
    Name(&'static str),
    /// The serial number cannot be kept.
    Serial(SerialError),
}

impl Certificate {
    /// Parses exactly one DER certificate.
    ///
    /// Nothing is judged here but form: keys, algorithms, version, usage and time are the verifier's.
    ///
    /// # Errors
    /// [`CertificateError`] says what is wrong with the encoding.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong(der.len()));
        }
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|error| CertificateError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes(rest.len()));
        }
        Facts::read(der, &parsed).map(|facts| Self(Arc::new(facts)))
    }

    /// The certificate's DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Its serial number.
    pub fn serial(&self) -> SerialNumber {
        self.0.serial
    }

    /// Its subject.
    pub fn subject(&self) -> &DistinguishedName {
        &self.0.subject
    }

    /// Its issuer's name.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.0.issuer
    }

    /// Issuer and subject have the same name (RFC 5280 section 6.1: such a certificate is not counted in path lengths).
    pub fn is_self_issued(&self) -> bool {
        self.0.subject == self.0.issuer
    }

    /// First valid second.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// Last valid second.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// This certificate's subject and key, as the issuer of others.
    pub fn authority_key(&self) -> AuthorityKey {
        self.0.authority_key
    }

    /// The whole DER subjectPublicKeyInfo, for signature checks.
    pub fn subject_public_key_info(&self) -> &[u8] {
        &self.0.public_key_info
    }

    /// The content of the subjectPublicKeyInfo SEQUENCE, as webpki's `TrustAnchor` has it.
    pub fn spki_content(&self) -> &[u8] {
        self.0.public_key_info.get(self.0.public_key_info_header..).unwrap_or_default()
    }

    /// Kind and size of the public key.
    pub fn public_key(&self) -> &PublicKeyKind {
        &self.0.public_key
    }

    /// OID of the algorithm the issuer signed with, dotted decimal.
    pub fn signature_algorithm(&self) -> &str {
        &self.0.signature_algorithm
    }

    /// basicConstraints, when there.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.basic_constraints
    }

    /// keyUsage, when there.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.key_usage
    }

    /// extKeyUsage, when there.
    pub fn extended_key_usages(&self) -> Option<ExtendedKeyUsages> {
        self.0.extended_key_usages
    }

    /// subjectKeyIdentifier's octets, when there.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.0.subject_key_identifier.as_deref()
    }

    /// authorityKeyIdentifier's keyIdentifier, when there.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.0.authority_key_identifier.as_deref()
    }

    /// cRLDistributionPoints: where its issuer's list is. Empty when the extension is absent, cannot be read or names no
    /// list of the issuer itself; then only a list of all certificates says that this one is good.
    pub fn distribution_points(&self) -> &Arc<[DistributionPoint]> {
        &self.0.distribution_points
    }

    /// subjectAltName as it stands in the certificate, a GeneralNames, when there.
    pub fn alternative_names(&self) -> Option<&[u8]> {
        self.0.alternative_names.as_deref()
    }

    /// nameConstraints as it stands in the certificate, when there.
    pub fn name_constraints(&self) -> Option<&[u8]> {
        self.0.name_constraints.as_deref()
    }

    /// What it says of certificate policies.
    pub fn policies(&self) -> &Policies {
        &self.0.policies
    }

    /// Subject and key are the same: the same CA, whatever certificate it has (RFC 5280 section 6.1.4).
    pub fn is_same_authority(&self, other: &Self) -> bool {
        self.0.authority_key == other.0.authority_key
            || (self.0.public_key_info == other.0.public_key_info && self.0.subject == other.0.subject)
    }

    /// OIDs of critical extensions that nothing here acts on (RFC 5280 section 4.2: such a certificate is refused).
    pub fn unknown_critical_extensions(&self) -> &[String] {
        &self.0.unknown_critical_extensions
    }
}

impl KeyUsage {
    /// May sign messages, such as the TLS CertificateVerify.
    pub const fn digital_signature(&self) -> bool {
        self.digital_signature
    }

    /// May sign certificates.
    pub const fn key_cert_sign(&self) -> bool {
        self.key_cert_sign
    }

    /// May sign revocation lists.
    pub const fn crl_sign(&self) -> bool {
        self.crl_sign
    }
}

impl ExtendedKeyUsages {
    /// Names id-kp-clientAuth.
    pub const fn has_client_auth(&self) -> bool {
        self.client_auth
    }

    /// Names id-kp-OCSPSigning.
    pub const fn has_ocsp_signing(&self) -> bool {
        self.ocsp_signing
    }

    /// Names anyExtendedKeyUsage.
    pub const fn any(&self) -> bool {
        self.any
    }
}

impl Facts {
    fn read(der: &[u8], parsed: &X509Certificate<'_>) -> Result<Self, CertificateError> {
        let public_key = parsed.public_key();
        let public_key_info = public_key.raw.to_vec();
        let public_key_info_header = header_length(public_key.raw)
            .ok_or_else(|| CertificateError::Malformed("subjectPublicKeyInfo has surplus octets".into()))?;
        let subject = DistinguishedName::parse(parsed.subject().as_raw())?;
        let spki_content = public_key.raw.get(public_key_info_header..).unwrap_or_default();
        let mut facts = Self {
            der: CertificateDer::from(der.to_vec()),
            version: match parsed.version() {
                X509Version::V1 => Version::V1,
                X509Version::V2 => Version::V2,
                X509Version::V3 => Version::V3,
                other => return Err(CertificateError::Malformed(format!("version {} does not exist", other.0))),
            },
            serial: SerialNumber::from_der_content(parsed.raw_serial()).map_err(CertificateError::Serial)?,
            issuer: DistinguishedName::parse(parsed.issuer().as_raw())?,
            not_before: Timestamp::from_unix(parsed.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix(parsed.validity().not_after.timestamp()),
            fingerprint: Fingerprint::of(der),
            authority_key: AuthorityKey::of(subject.content(), spki_content),
            subject,
            public_key: public_key_kind(public_key),
            public_key_info,
            public_key_info_header,
            signature_algorithm: parsed.signature_algorithm.algorithm.to_id_string(),
            basic_constraints: None,
            key_usage: None,
            extended_key_usages: None,
            subject_key_identifier: None,
            authority_key_identifier: None,
            distribution_points: Arc::default(),
            alternative_names: None,
            name_constraints: None,
            policies: Policies::default(),
            unknown_critical_extensions: Vec::new(),
        };
        facts.read_extensions(parsed)?;
        Ok(facts)
    }

    fn read_extensions(&mut self, parsed: &X509Certificate<'_>) -> Result<(), CertificateError> {
        let extensions = parsed.extensions();
        if extensions.len() > MAX_EXTENSIONS {
            return Err(CertificateError::TooManyExtensions(extensions.len()));
        }
        for (index, extension) in extensions.iter().enumerate() {
            if extensions.iter().take(index).any(|earlier| earlier.oid == extension.oid) {
                return Err(CertificateError::DuplicateExtension(extension.oid.to_id_string()));
            }
            // The parser takes a value with octets behind it; none may hide there.
            if is_relied_on(extension.oid.as_bytes()) && header_length(extension.value).is_none() {
                return Err(CertificateError::MalformedExtension(extension.oid.to_id_string()));
            }
            if extension.oid.as_bytes() == CRL_DISTRIBUTION_POINTS {
                let points = points::of_certificate(extension.value, self.issuer.content());
                self.distribution_points = points.unwrap_or_default().into();
            }
            // As it stands there: it is read where it counts, and what cannot be read then is refused.
            match extension.oid.as_bytes() {
                SUBJECT_ALT_NAME => self.alternative_names = Some(extension.value.to_vec()),
                NAME_CONSTRAINTS => self.name_constraints = Some(extension.value.to_vec()),
                _ => {}
            }
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(found) => {
                    self.basic_constraints =
                        Some(BasicConstraints { ca: found.ca, path_len: found.path_len_constraint });
                }
                ParsedExtension::KeyUsage(found) => {
                    self.key_usage = Some(KeyUsage {
                        digital_signature: found.digital_signature(),
                        key_cert_sign: found.key_cert_sign(),
                        crl_sign: found.crl_sign(),
                    });
                }
                ParsedExtension::ExtendedKeyUsage(found) => {
                    self.extended_key_usages = Some(ExtendedKeyUsages {
                        client_auth: found.client_auth,
                        ocsp_signing: found.ocsp_signing,
                        any: found.any,
                    });
                }
                ParsedExtension::SubjectKeyIdentifier(found) => {
                    self.subject_key_identifier = Some(found.0.to_vec());
                }
                ParsedExtension::AuthorityKeyIdentifier(found) => {
                    self.authority_key_identifier =
                        found.key_identifier.as_ref().map(|identifier| identifier.0.to_vec());
                }
                policies if self.policies.read(policies) => {}
                // They are above.
                ParsedExtension::NameConstraints(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::CRLDistributionPoints(_) => {}
                // RFC 5280 section 4.2: one that is not critical and that nothing here reads may be ignored.
                ParsedExtension::ParseError { .. } if extension.critical || is_relied_on(extension.oid.as_bytes()) => {
                    return Err(CertificateError::MalformedExtension(extension.oid.to_id_string()));
                }
                _ if extension.critical => self.unknown_critical_extensions.push(extension.oid.to_id_string()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Content of the object identifier 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
/// Content of the object identifier 2.5.29.30.
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
/// Content of the object identifier 2.5.29.31.
const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];

/// Extensions whose content decides something: an unreadable one must not read as absent.
fn is_relied_on(oid: &[u8]) -> bool {
    const KEY_USAGE: u8 = 15;
    const BASIC_CONSTRAINTS: u8 = 19;
    const NAME_CONSTRAINTS: u8 = 30;
    const POLICY_MAPPINGS: u8 = 33;
    const POLICY_CONSTRAINTS: u8 = 36;
    const EXTENDED_KEY_USAGE: u8 = 37;
    const INHIBIT_ANY_POLICY: u8 = 54;
    matches!(
        oid,
        [
            0x55,
            0x1d,
            KEY_USAGE
                | BASIC_CONSTRAINTS
                | NAME_CONSTRAINTS
                | POLICY_MAPPINGS
                | POLICY_CONSTRAINTS
                | EXTENDED_KEY_USAGE
                | INHIBIT_ANY_POLICY
        ]
    )
}

fn public_key_kind(public_key: &SubjectPublicKeyInfo<'_>) -> PublicKeyKind {
    let algorithm = &public_key.algorithm.algorithm;
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        if let Ok(PublicKey::RSA(key)) = public_key.parsed() {
            return PublicKeyKind::Rsa { bits: bit_length(key.modulus) };
        }
    } else if *algorithm == OID_SIG_ED25519 {
        return PublicKeyKind::Ed25519;
    } else if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = public_key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 => PublicKeyKind::EcP256,
            Some(curve) if curve == OID_NIST_EC_P384 => PublicKeyKind::EcP384,
            Some(curve) => PublicKeyKind::Other(curve.to_id_string()),
            None => PublicKeyKind::Other(algorithm.to_id_string()),
        };
    }
    PublicKeyKind::Other(algorithm.to_id_string())
}

/// Bits of an unsigned big-endian number.
fn bit_length(number: &[u8]) -> u32 {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let significant = number.get(zeros..).unwrap_or_default();
    let first = significant.first().map_or(0, |octet| octet.leading_zeros());
    u32::try_from(significant.len()).unwrap_or(u32::MAX / 8).saturating_mul(8).saturating_sub(first)
}

/// Octets of tag and length before the content of this element, when the element is exactly as long as it says.
fn header_length(element: &[u8]) -> Option<usize> {
    let (header, length) = match element {
        [_, length @ 0..=0x7f, ..] => (2, usize::from(*length)),
        [_, 0x81, length, ..] => (3, usize::from(*length)),
        [_, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        _ => return None,
    };
    (header + length == element.len()).then_some(header)
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {})", self.0.subject, self.0.serial)
    }
}

impl fmt::Display for PublicKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcP256 => f.write_str("P-256"),
            Self::EcP384 => f.write_str("P-384"),
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => write!(f, "a key of algorithm {oid}"),
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "it is not a DER certificate: {why}"),
            Self::TrailingBytes(octets) => write!(f, "{octets} octets follow the certificate"),
            Self::TooLong(octets) => {
                write!(f, "it has {octets} octets; at most {MAX_CERTIFICATE_BYTES} are accepted")
            }
            Self::TooManyExtensions(found) => {
                write!(f, "it has {found} extensions; at most {MAX_EXTENSIONS} are accepted")
            }
            Self::DuplicateExtension(oid) => write!(f, "extension {oid} is there twice"),
            Self::MalformedExtension(oid) => write!(f, "extension {oid} cannot be read"),
            Self::Name(what) => write!(f, "a name cannot be read: {what}"),
            Self::Serial(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CertificateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber as RcgenSerial};

    fn made(change: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "x");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        params.serial_number = Some(RcgenSerial::from_slice(&[0x12, 0x34]));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn the_facts_of_a_certificate_are_read() {
        let (der, key) = made(|params| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(3));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        });
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.version(), Version::V3);
        assert_eq!(certificate.serial().to_string(), "1234");
        assert_eq!(certificate.subject().to_string(), "CN=x");
        assert!(certificate.is_self_issued());
        assert_eq!(certificate.not_before().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(certificate.not_after().to_string(), "2050-01-01T00:00:00Z", "a GeneralizedTime");
        assert_eq!(certificate.basic_constraints(), Some(BasicConstraints { ca: true, path_len: Some(3) }));
        let usage = certificate.key_usage().unwrap();
        assert_eq!((usage.digital_signature(), usage.key_cert_sign(), usage.crl_sign()), (false, true, false));
        assert_eq!(certificate.extended_key_usages(), None);
        assert_eq!(certificate.public_key(), &PublicKeyKind::EcP256);
        assert_eq!(certificate.signature_algorithm(), "1.2.840.10045.4.3.2");
        assert_eq!(certificate.der().as_ref(), der);
        assert!(certificate.spki_content().ends_with(key.public_key_raw()));
    }

    #[test]
    fn the_authority_key_is_the_one_of_webpkis_trust_anchor() {
        let (der, _) = made(|_| {});
        let certificate = Certificate::parse(&der).unwrap();
        let anchor = webpki::anchor_from_trusted_cert(certificate.der()).unwrap();
        let key = AuthorityKey::of(&anchor.subject, &anchor.subject_public_key_info);
        assert_eq!(certificate.authority_key(), key);
        assert_eq!(certificate.subject_public_key_info().len(), anchor.subject_public_key_info.len() + 2);
    }

    #[test]
    fn trailing_missing_and_surplus_octets_are_refused() {
        let (der, _) = made(|_| {});
        let error = |der: &[u8]| Certificate::parse(der).expect_err("it must be refused");
        assert_eq!(error(&[&der[..], &[0]].concat()), CertificateError::TrailingBytes(1));
        assert!(matches!(error(&der[..der.len() - 1]), CertificateError::Malformed(_)));
        assert!(matches!(error(&[]), CertificateError::Malformed(_)));
        assert_eq!(error(&vec![0; MAX_CERTIFICATE_BYTES + 1]), CertificateError::TooLong(MAX_CERTIFICATE_BYTES + 1));
    }

    #[test]
    fn a_serial_longer_than_any_ca_issues_is_refused() {
        let (der, _) = made(|params| params.serial_number = Some(RcgenSerial::from_slice(&[1; 23])));
        assert_eq!(Certificate::parse(&der).unwrap_err(), CertificateError::Serial(SerialError::TooLong(23)));
    }

    #[test]
    fn extensions_have_a_largest_number() {
        let many = |count: usize| {
            made(|params| {
                let extension = |index| rcgen::CustomExtension::from_oid_content(&[1, 2, 3, index], vec![5, 0]);
                params.custom_extensions = (0..count as u64).map(extension).collect();
            })
            .0
        };
        assert!(Certificate::parse(&many(MAX_EXTENSIONS)).is_ok());
        let error = Certificate::parse(&many(MAX_EXTENSIONS + 1)).unwrap_err();
        assert_eq!(error, CertificateError::TooManyExtensions(MAX_EXTENSIONS + 1));
    }

    #[test]
    fn an_unreadable_extension_is_ignored_only_where_nothing_depends_on_it() {
        let with = |oid: &[u64], critical: bool| {
            let mut extension = rcgen::CustomExtension::from_oid_content(oid, vec![0x30, 0x05, 1]);
            extension.set_criticality(critical);
            Certificate::parse(&made(|params| params.custom_extensions.push(extension)).0)
        };
        const POLICIES: &[u64] = &[2, 5, 29, 32];
        assert!(with(POLICIES, false).is_ok());
        let unreadable = |oid: &str| CertificateError::MalformedExtension(oid.to_owned());
        assert_eq!(with(POLICIES, true).unwrap_err(), unreadable("2.5.29.32"));
        for relied_on in [15, 19, 30, 37] {
            let error = with(&[2, 5, 29, relied_on], false).unwrap_err();
            assert_eq!(error, unreadable(&format!("2.5.29.{relied_on}")));
        }
    }

    #[test]
    fn octets_behind_a_key_usage_are_refused() {
        let with = |content: &[u8]| {
            let extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 15], content.to_vec());
            Certificate::parse(&made(|params| params.custom_extensions.push(extension)).0)
        };
        assert!(with(&[0x03, 0x02, 0x07, 0x80]).unwrap().key_usage().unwrap().digital_signature());
        let error = with(&[0x03, 0x02, 0x07, 0x80, 0x00]).unwrap_err();
        assert_eq!(error, CertificateError::MalformedExtension("2.5.29.15".to_owned()));
    }

    #[test]
    fn bits_of_a_modulus_do_not_count_leading_zeros() {
        assert_eq!(bit_length(&[]), 0);
        assert_eq!(bit_length(&[0, 0]), 0);
        assert_eq!(bit_length(&[0, 0x80, 0]), 16);
        assert_eq!(bit_length(&[0, 1, 0]), 9);
    }
}
