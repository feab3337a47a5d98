//! The key that is to be certified: the client's, proven by its request, or one made here.

use super::{Act, KeyRequest, Refused, Request, Service, entry, refusal};
use sekisho_ca::p12::{DeliveredKey, Dialect, UserKey};
use sekisho_ca::public_key::SubjectKey;
use sekisho_ca::request::ProvenRequest;
use sekisho_lifecycle::profile::{KeyDelivery, P12Dialect, P12Password, Profile};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Octets of a password for a .p12: as many as the file format's writer takes.
const MOST_PASSWORD_BYTES: usize = 128;

/// What was asked for, before anybody was authenticated: nothing costly was done for it.
pub(super) enum Asked {
    Nothing,
    Csr(Arc<ProvenRequest>),
    P12(Zeroizing<String>),
}

/// A key that can be certified.
pub(super) enum Key {
    Csr(Arc<ProvenRequest>),
    P12(UserKey, Dialect, Zeroizing<String>),
}

impl Service {
    /// Reads the certification request of an acquisition or renewal. That says nothing about contract, product or user,
    /// so that it may be refused before any is known.
    pub(super) async fn read_csr(&self, request: &Request, now: Timestamp) -> Result<Asked, Refused> {
        match &request.act {
            Act::Acquire { key: KeyRequest::Csr(octets), .. } | Act::Renew(KeyRequest::Csr(octets)) => {
                match read_csr(octets) {
                    Ok(proven) => Ok(Asked::Csr(Arc::new(proven))),
                    Err(why) => {
                        self.record(entry(request, now, refusal(&why))).await?;
                        Err(Refused::Key(why.into()))
                    }
                }
            }
            Act::Acquire { key: KeyRequest::P12(password), .. } | Act::Renew(KeyRequest::P12(password)) => {
                Ok(Asked::P12(password.clone()))
            }
            _ => Ok(Asked::Nothing),
        }
    }

    /// Whether the product delivers keys so: told only to who was authenticated.
    pub(super) async fn check_delivery(
        &self,
        request: &Request,
        asked: &Asked,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let way = match asked {
            Asked::Nothing => return Ok(()),
            Asked::Csr(_) => KeyDelivery::Csr,
            Asked::P12(_) => KeyDelivery::P12,
        };
        if !profile.delivery.keys.contains(&way) {
            return Err(self.refuse(request, now, "key", "the product delivers keys in another way").await);
        }
        match asked {
            Asked::P12(password) if !is_taken(password, profile.delivery.p12_password) => {
                let why =
                    "at most 128 octets of characters of the Basic Multilingual Plane, and not empty for this product";
                Err(self.refuse(request, now, "key.p12_password", why).await)
            }
            _ => Ok(()),
        }
    }

    /// Checks the key that is about to be certified for what takes its time.
    async fn check_thoroughly(&self, proven: Arc<ProvenRequest>) -> Result<Result<Key, String>, Refused> {
        let failed = || Refused::Unavailable("the key could not be checked".into());
        let _turn = self.making_keys.acquire().await.map_err(|_| failed())?;
        let checked = tokio::task::spawn_blocking(move || match proven.key().check_thoroughly() {
            Ok(()) => Ok(Key::Csr(proven)),
            Err(weak) => Err(weak.to_string()),
        });
        checked.await.map_err(|_| failed())
    }

    /// Makes the key that the service is to make.
    pub(super) async fn make_key(
        &self,
        asked: Asked,
        request: &Request,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<Option<Key>, Refused> {
        let password = match asked {
            Asked::Nothing => return Ok(None),
            Asked::Csr(proven) => match self.check_thoroughly(proven).await? {
                Ok(key) => return Ok(Some(key)),
                Err(why) => {
                    self.record(entry(request, now, refusal(&why))).await?;
                    return Err(Refused::Key(why.into()));
                }
            },
            Asked::P12(password) => password,
        };
        let (kind, dialect) = match profile.delivery.p12_dialect {
            P12Dialect::Aes256Sha256 => (DeliveredKey::EcdsaP256, Dialect::Aes256Sha256),
            // What reads no other dialect has no elliptic curves either.
            P12Dialect::TripleDesSha1 => (DeliveredKey::Rsa2048, Dialect::TripleDesSha1),
        };
        let failed = || Refused::Unavailable("no key could be made".into());
        let _turn = self.making_keys.acquire().await.map_err(|_| failed())?;
        let made = tokio::task::spawn_blocking(move || UserKey::generate(kind)).await;
        let key = made.map_err(|_| failed())?.map_err(|_| failed())?;
        Ok(Some(Key::P12(key, dialect, password)))
    }
}

/// What PEM has somewhere, and DER of a request does not begin with.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";

fn read_csr(octets: &[u8]) -> Result<ProvenRequest, String> {
    let is_pem = octets.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN) || octets.is_ascii();
    let read = if is_pem { ProvenRequest::from_pem(octets) } else { ProvenRequest::from_der(octets) };
    read.map_err(|error| error.to_string())
}

fn is_taken(password: &str, rule: P12Password) -> bool {
    let in_bmp = |character: char| u32::from(character) <= 0xffff && character != '\0';
    let fits = password.len() <= MOST_PASSWORD_BYTES && password.chars().all(in_bmp);
    fits && !(password.is_empty() && rule == P12Password::Required)
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
