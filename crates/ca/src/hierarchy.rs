//! A root and the authorities below it: made together, as bytes for files; nothing is written here.

use super::authority::{Authority, AuthorityError, PublicationPoints};
use super::certificate::{PrepareError, Purpose, Template, self_signed};
use super::key::{FileKey, KeyKind, SigningError, SigningKey as _};
use super::name::Name;
use super::public_key::SubjectKey;
use super::serial;
use super::validity::{Rounding, Validity};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use std::fmt;

/// What an authority is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: Name,
    /// Its key.
    pub key: KeyKind,
    /// Its life in years.
    pub years: u16,
    /// CA certificates that may follow below it.
    pub path_len: u8,
}

/// An authority that was just made, with a key that is in memory only.
#[derive(Debug)]
pub struct Made {
    /// Its certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: FileKey,
}

/// Why an authority was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HierarchyError {
    /// Its certificate could not be made.
    Certificate(PrepareError),
    /// The signer is no authority.
    Signer(AuthorityError),
    /// There is no randomness.
    Random,
}

/// Makes a root, signed by itself.
///
/// # Errors
/// [`HierarchyError`].
pub fn root(wanted: &Wanted, now: Timestamp) -> Result<Made, HierarchyError> {
    let key = FileKey::generate(wanted.key)?;
    let certificate = self_signed(&key, serial::random()?, &template(wanted, now))?;
    Ok(Made { certificate, key })
}

/// Makes an authority below another.
///
/// # Errors
/// [`HierarchyError`], also when it would outlive its issuer or go deeper than that allows.
pub fn intermediate(wanted: &Wanted, issuer: &Authority, now: Timestamp) -> Result<Made, HierarchyError> {
    let key = FileKey::generate(wanted.key)?;
    let subject_key = SubjectKey::from_info(key.public_key_info()).map_err(PrepareError::Key)?;
    let prepared = issuer.prepare(serial::random()?, &template(wanted, now), &subject_key)?;
    Ok(Made { certificate: issuer.sign(prepared)?, key })
}

/// Makes the certificate and key of an OCSP responder for an authority (RFC 6960 section 4.2.2.2).
///
/// # Errors
/// [`HierarchyError`].
pub fn ocsp_responder(
    name: &Name,
    key: KeyKind,
    validity: Validity,
    issuer: &Authority,
) -> Result<Made, HierarchyError> {
    let key = FileKey::generate(key)?;
    let subject_key = SubjectKey::from_info(key.public_key_info()).map_err(PrepareError::Key)?;
    let template = Template { subject: name, validity, purpose: Purpose::OcspResponder };
    let prepared = issuer.prepare(serial::random()?, &template, &subject_key)?;
    Ok(Made { certificate: issuer.sign(prepared)?, key })
}

impl Made {
    /// The authority, ready to sign.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn into_authority(self, points: PublicationPoints) -> Result<Authority, AuthorityError> {
        Authority::new(self.certificate, Box::new(self.key), points)
    }
}

fn template(wanted: &Wanted, now: Timestamp) -> Template<'_> {
    Template {
        subject: &wanted.name,
        validity: Validity::years(now, wanted.years, Rounding::ToTheSecond),
        purpose: Purpose::Authority { path_len: wanted.path_len },
    }
}

impl From<SigningError> for HierarchyError {
    fn from(_: SigningError) -> Self {
        Self::Random
    }
}

impl From<PrepareError> for HierarchyError {
    fn from(error: PrepareError) -> Self {
        Self::Certificate(error)
    }
}

impl From<AuthorityError> for HierarchyError {
    fn from(error: AuthorityError) -> Self {
        Self::Signer(error)
    }
}

impl fmt::Display for HierarchyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(error) => error.fmt(f),
            Self::Signer(error) => error.fmt(f),
            Self::Random => f.write_str("no key or serial number could be made"),
        }
    }
}

impl std::error::Error for HierarchyError {}
