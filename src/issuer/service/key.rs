//! The key that is to be certified: the client's, proven by its request, or one made here.

use super::{Act, KeyRequest, Refused, Request, Service, entry, refusal};
use crate::issuer::ca::p12::{DeliveredKey, Dialect, UserKey};
use crate::issuer::ca::public_key::SubjectKey;
use crate::issuer::ca::request::ProvenRequest;
use crate::issuer::profile::{KeyDelivery, P12Dialect, P12Password, Profile};
use crate::pki::time::Timestamp;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Octets of a password for a .p12: as many as the file format's writer takes.
const MOST_PASSWORD_BYTES: usize = 128;

/// What was asked for, before anybody was authenticated: nothing costly was done for it.
pub(super) enum Asked {
    Nothing,
    Csr(Arc<ProvenRequest>),
    P12(DeliveredKey, Dialect, Zeroizing<String>),
}

/// A key that can be certified.
pub(super) enum Key {
    Csr(Arc<ProvenRequest>),
    P12(UserKey, Dialect, Zeroizing<String>),
}

impl Service {
    /// Reads the key request of an acquisition or renewal. It says nothing about the user, so that it may be refused
    /// before they are authenticated.
    pub(super) async fn read_key(
        &self,
        request: &Request,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<Asked, Refused> {
        let (Act::Acquire { key, .. } | Act::Renew(key)) = &request.act else { return Ok(Asked::Nothing) };
        let way = match key {
            KeyRequest::Csr(_) => KeyDelivery::Csr,
            KeyRequest::P12(_) => KeyDelivery::P12,
        };
        if !profile.delivery.keys.contains(&way) {
            return Err(Refused::Request("key", "the product delivers keys in another way".into()));
        }
        match key {
            KeyRequest::Csr(octets) => match read_csr(octets) {
                Ok(proven) => Ok(Asked::Csr(Arc::new(proven))),
                Err(why) => {
                    self.record(entry(request, now, refusal(&why))).await?;
                    Err(Refused::Key)
                }
            },
            KeyRequest::P12(password) => {
                check_password(password, profile.delivery.p12_password)?;
                let (kind, dialect) = match profile.delivery.p12_dialect {
                    P12Dialect::Aes256Sha256 => (DeliveredKey::EcdsaP256, Dialect::Aes256Sha256),
                    // What reads no other dialect has no elliptic curves either.
                    P12Dialect::TripleDesSha1 => (DeliveredKey::Rsa2048, Dialect::TripleDesSha1),
                };
                Ok(Asked::P12(kind, dialect, password.clone()))
            }
        }
    }
}

fn read_csr(octets: &[u8]) -> Result<ProvenRequest, String> {
    let is_pem = octets.trim_ascii_start().starts_with(b"-----");
    let read = if is_pem { ProvenRequest::from_pem(octets) } else { ProvenRequest::from_der(octets) };
    read.map_err(|error| error.to_string())
}

fn check_password(password: &str, rule: P12Password) -> Result<(), Refused> {
    let in_bmp = |character: char| u32::from(character) <= 0xffff && character != '\0';
    let fits = password.len() <= MOST_PASSWORD_BYTES && password.chars().all(in_bmp);
    if !fits || (password.is_empty() && rule == P12Password::Required) {
        let why = "at most 128 octets of characters of the Basic Multilingual Plane, and not empty for this product";
        return Err(Refused::Request("key.p12_password", why.into()));
    }
    Ok(())
}

impl Asked {
    /// Makes the key that the service is to make; costly, so only for who was authenticated.
    pub(super) async fn make(self) -> Result<Option<Key>, Refused> {
        match self {
            Self::Nothing => Ok(None),
            Self::Csr(proven) => Ok(Some(Key::Csr(proven))),
            Self::P12(kind, dialect, password) => {
                let made = tokio::task::spawn_blocking(move || UserKey::generate(kind)).await;
                let failed = || Refused::Unavailable("no key could be made".into());
                let key = made.map_err(|_| failed())?.map_err(|_| failed())?;
                Ok(Some(Key::P12(key, dialect, password)))
            }
        }
    }
}

impl Key {
    /// The client's request, where there is one, and the public key.
    pub(super) fn request(&self) -> (Option<Arc<ProvenRequest>>, SubjectKey) {
        match self {
            Self::Csr(proven) => (Some(Arc::clone(proven)), proven.key().clone()),
            Self::P12(key, ..) => (None, key.public_key().clone()),
        }
    }
}
