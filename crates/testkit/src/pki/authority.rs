//! The certification authorities of the development PKI: made once, read back to sign.

use super::files::{self, PkiError, Secrecy};
use super::templates::{self, KeyKind};
use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyPair, RevokedCertParams};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::path::Path;
use std::time::Duration;

/// A CA that can sign.
pub struct Authority {
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// One pair of root and issuing CA: file names and common names.
struct Hierarchy {
    root: (&'static str, &'static str),
    issuing: (&'static str, &'static str),
}

/// The client CAs, an impostor with their names and other keys, and the server CAs (a bank's are other ones).
const HIERARCHIES: [Hierarchy; 3] = [
    Hierarchy { root: ("root-ca", CLIENT_ROOT), issuing: ("issuing-ca", CLIENT_ISSUING) },
    Hierarchy { root: ("other-root-ca", CLIENT_ROOT), issuing: ("other-issuing-ca", CLIENT_ISSUING) },
    Hierarchy {
        root: ("server-ca", "Sekisho Development Server Root CA"),
        issuing: ("server-issuing-ca", "Sekisho Development Server Issuing CA"),
    },
];
const CLIENT_ROOT: &str = "Sekisho Development Root CA";
const CLIENT_ISSUING: &str = "Sekisho Development Issuing CA";

/// Makes every CA's `.pem` and `.key`.
pub(super) fn create_all(folder: &Path, now: Timestamp) -> Result<(), PkiError> {
    for Hierarchy { root, issuing } in HIERARCHIES {
        let root_key = KeyKind::EcdsaP256.generate()?;
        let root_parameters = templates::authority(root.1, 1, &random_serial()?, now);
        let root_certificate = root_parameters.self_signed(&root_key)?;
        write(folder, root.0, root_certificate.der(), &root_key)?;
        let issuing_key = KeyKind::EcdsaP256.generate()?;
        let issuing_parameters = templates::authority(issuing.1, 0, &random_serial()?, now);
        let signer = Issuer::from_params(&root_parameters, root_key);
        let issuing_certificate = issuing_parameters.signed_by(&issuing_key, &signer)?;
        write(folder, issuing.0, issuing_certificate.der(), &issuing_key)?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<(), PkiError> {
    files::write(&folder.join(format!("{name}.pem")), files::pem(certificate).as_bytes(), Secrecy::Public)?;
    files::write(&folder.join(format!("{name}.key")), key.serialize_pem().as_bytes(), Secrecy::Secret)
}

impl Authority {
    /// Reads `NAME.pem` and `NAME.key`.
    ///
    /// # Errors
    /// [`PkiError`] when a file is missing or is not what it should be.
    pub fn read(folder: &Path, name: &str) -> Result<Self, PkiError> {
        let path = folder.join(format!("{name}.pem"));
        let certificate = CertificateDer::from_pem_file(&path)
            .map_err(|error| PkiError::Make(format!("{}: {error}", path.display())))?;
        let key = KeyPair::from_pem(&files::read(&folder.join(format!("{name}.key")))?)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { certificate, issuer })
    }

    /// Signs a certificate.
    ///
    /// # Errors
    /// [`PkiError::Make`] when the parameters cannot be encoded.
    pub fn sign(&self, parameters: &CertificateParams, key: &KeyPair) -> Result<CertificateDer<'static>, PkiError> {
        Ok(parameters.signed_by(key, &self.issuer)?.der().clone())
    }

    /// Signs a revocation list and gives it as PEM.
    ///
    /// # Errors
    /// [`PkiError::Make`] when `next_update` is not after `this_update`.
    pub fn revocation_list(
        &self,
        revoked: Vec<RevokedCertParams>,
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> Result<String, PkiError> {
        let parameters = CertificateRevocationListParams {
            this_update: time(this_update),
            next_update: time(next_update),
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        Ok(parameters.signed_by(&self.issuer)?.pem()?)
    }
}

/// An entry of a revocation list, reason keyCompromise.
pub(super) fn revoked(serial: &[u8], at: Timestamp) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: rcgen::SerialNumber::from_slice(serial),
        revocation_time: time(at),
        reason_code: Some(rcgen::RevocationReason::KeyCompromise),
        invalidity_date: None,
    }
}

/// A serial number of 128 random bits (RFC 5280 section 4.1.2.2 wants it positive: a sign octet goes before).
pub(super) fn random_serial() -> Result<SerialNumber, PkiError> {
    let mut octets = [0; 17];
    let [_sign, random @ ..] = &mut octets;
    aws_lc_rs::rand::fill(random).map_err(|_| PkiError::Make("no random numbers to be had".to_owned()))?;
    SerialNumber::from_der_content(&octets).map_err(|error| PkiError::Make(error.to_string()))
}

/// A serial number as rcgen takes it.
pub(super) fn serial_number(serial: &SerialNumber) -> rcgen::SerialNumber {
    rcgen::SerialNumber::from_slice(serial.as_bytes())
}

/// A time as rcgen takes it.
pub(super) fn time(at: Timestamp) -> ::time::OffsetDateTime {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let offset = Duration::from_secs(at.unix().unsigned_abs());
    if at.unix() < 0 { epoch - offset } else { epoch + offset }
}
