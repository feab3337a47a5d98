//! What each certificate of the development PKI says.

use super::PkiError;
use super::authority::{serial_number, time};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;

/// Seconds in a day.
pub const DAY: i64 = 86_400;

/// One year, as the seeds' client certificates have it.
pub(super) const LEAF_LIFETIME: i64 = 365 * DAY;

/// How far back CAs begin, so that an expired client was issued under a valid CA.
const CA_BEGAN: i64 = 800 * DAY;

/// How long CAs last from now.
const CA_LIFETIME: i64 = 3650 * DAY;

/// Certificates begin a little early: the machine that checks them may have a clock behind ours.
const CLOCK_SLACK: i64 = 300;

/// A client of the development PKI.
#[derive(Clone, Copy, Debug)]
pub struct ClientProfile {
    /// Name of its files.
    pub name: &'static str,
    common_name: &'static str,
    /// Days from now to notBefore and notAfter.
    validity_days: (i64, i64),
    key: KeyKind,
    signer: Signer,
}

/// Every client, in the order the demo shows them. Common names as Shinkin banks write them (contract ID, user ID, 1635).
pub const CLIENTS: &[ClientProfile] = &[
    client_profile("client-good", "00009876543 riyousya 1635"),
    client_profile("client-no-user-id", "00009876543 1635"),
    ClientProfile { key: KeyKind::Rsa2048, ..client_profile("client-rsa", "00009876543 rsauser 1635") },
    ClientProfile { validity_days: (-400, -35), ..client_profile("client-expired", "00009876543 expired 1635") },
    ClientProfile { validity_days: (365, 730), ..client_profile("client-not-yet-valid", "00009876543 tooearly 1635") },
    client_profile("client-revoked", "00009876543 revoked 1635"),
    ClientProfile { signer: Signer::OtherIssuing, ..client_profile("client-other-ca", "00009876543 riyousya 1635") },
    client_profile("client-bad-cn", "riyousya"),
];

const fn client_profile(name: &'static str, common_name: &'static str) -> ClientProfile {
    ClientProfile { name, common_name, validity_days: (0, 365), key: KeyKind::EcdsaP256, signer: Signer::Issuing }
}

impl ClientProfile {
    /// The request that makes this client at `now`.
    pub fn request(&self, now: Timestamp) -> ClientRequest {
        let (from, until) = self.validity_days;
        ClientRequest {
            common_name: self.common_name.to_owned(),
            not_before: now.plus_seconds(from * DAY - CLOCK_SLACK),
            not_after: now.plus_seconds(until * DAY),
            key: self.key,
            signer: self.signer,
        }
    }
}

impl ClientRequest {
    /// The certificate this asks for, with a new serial, to change and give to [`super::PkiDir::issue`].
    ///
    /// # Errors
    /// [`PkiError::Make`] when no random serial is to be had.
    pub fn parameters(&self) -> Result<CertificateParams, PkiError> {
        Ok(client(self, &super::authority::random_serial()?))
    }
}

/// A client certificate to issue.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// The one CN.
    pub common_name: String,
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
    /// Kind of key.
    pub key: KeyKind,
    /// Which CA signs.
    pub signer: Signer,
}

impl ClientRequest {
    /// A good client: valid for a year, P-256, by the issuing CA.
    pub fn good(common_name: &str, now: Timestamp) -> Self {
        Self { common_name: common_name.to_owned(), ..client_profile("", "").request(now) }
    }
}

/// Kinds of key a client may have (requirement G2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the algorithms'")]
pub enum KeyKind {
    EcdsaP256,
    EcdsaP384,
    Ed25519,
    Rsa2048,
}

impl KeyKind {
    /// A new key.
    ///
    /// # Errors
    /// [`PkiError::Make`] when the cryptographic library gives none.
    pub fn generate(self) -> Result<KeyPair, PkiError> {
        let algorithm = match self {
            Self::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
            Self::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
        };
        Ok(KeyPair::generate_for(algorithm)?)
    }
}

/// Which CA of the development PKI signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The client issuing CA.
    Issuing,
    /// The client root itself.
    Root,
    /// An issuing CA with the same names and another key, under a root of the same name and another key.
    OtherIssuing,
    /// The server issuing CA.
    ServerIssuing,
}

impl Signer {
    /// The name of the CA's files.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Issuing => "issuing-ca",
            Self::Root => "root-ca",
            Self::OtherIssuing => "other-issuing-ca",
            Self::ServerIssuing => "server-issuing-ca",
        }
    }
}

/// Parameters of a CA certificate.
pub(super) fn authority(
    common_name: &str,
    path_length: u8,
    serial: &SerialNumber,
    now: Timestamp,
) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name(common_name);
    parameters.not_before = time(now.plus_seconds(-CA_BEGAN));
    parameters.not_after = time(now.plus_seconds(CA_LIFETIME));
    parameters.serial_number = Some(serial_number(serial));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

/// Parameters of a client certificate.
pub(super) fn client(request: &ClientRequest, serial: &SerialNumber) -> CertificateParams {
    let mut parameters = leaf(serial, ExtendedKeyUsagePurpose::ClientAuth);
    parameters.distinguished_name = name(&request.common_name);
    parameters.not_before = time(request.not_before);
    parameters.not_after = time(request.not_after);
    parameters
}

/// Parameters of a server certificate.
pub(super) fn server(dns_names: &[&str], serial: &SerialNumber, now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut parameters = leaf(serial, ExtendedKeyUsagePurpose::ServerAuth);
    for dns_name in dns_names {
        parameters.subject_alt_names.push(match dns_name.parse() {
            Ok(address) => rcgen::SanType::IpAddress(address),
            Err(_) => rcgen::SanType::DnsName((*dns_name).try_into()?),
        });
    }
    parameters.distinguished_name = name(dns_names.first().copied().unwrap_or("server"));
    parameters.not_before = time(now.plus_seconds(-CLOCK_SLACK));
    parameters.not_after = time(now.plus_seconds(LEAF_LIFETIME));
    Ok(parameters)
}

fn leaf(serial: &SerialNumber, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.serial_number = Some(serial_number(serial));
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![usage];
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "JP");
    name.push(DnType::OrganizationName, "Sekisho Development");
    name.push(DnType::CommonName, common_name);
    name
}
