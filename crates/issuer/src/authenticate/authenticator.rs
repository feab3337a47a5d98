//! Who a request is from: a service or a user, by what was proven and not by what was written.

use super::assertion::{Assertion, AssertionError, Expected, ForRequest, Unverified};
use super::caller::{Caller, Right, Rights, ShownCertificate};
use super::host;
use super::keys::{Keys, NoKey};
use crate::listen::Peer;
use crate::store::Store;
use http::HeaderName;
use http::request::Parts;
use sekisho_config::issuer::{GatewayKeys, ServiceConfig};
use sekisho_config::{ConfigError, Place};
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::time::Timestamp;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Tells who calls.
pub struct Authenticator {
    store: Arc<dyn Store>,
    /// By the SHA-256 of their certificate.
    services: HashMap<[u8; 32], Service>,
    gateway: Option<Gateway>,
}

struct Service {
    name: Arc<str>,
    rights: Rights,
}

struct Gateway {
    keys: Arc<Keys>,
    header: HeaderName,
    user_header: HeaderName,
    issuer: String,
    audiences: [String; 1],
    user_audiences: Vec<String>,
}

/// Why nobody is known to call. Whoever asked learns no more than its text says; [`Self::for_log`] has the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAuthenticated {
    /// Nothing proves who it is: 401, the same for every reason.
    Refused(Why),
    /// It cannot be known now: 503.
    Unavailable(Arc<str>),
}

/// What is wrong with what a request came with; for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It came with nothing that could prove anything.
    Nobody,
    /// Its TLS certificate is of no `[[service]]`.
    UnknownService,
    /// There are several headers where one assertion should be, or it is not text.
    Header,
    /// The request names no host, several, or none that is well formed.
    Host,
    /// Assertions are believed of nobody: there is no `[gateway]`.
    NoGateway,
    /// The assertion is not to be believed.
    Assertion(AssertionError),
    /// The assertion names a certificate that is neither a service's nor one that this service issued.
    UnknownCertificate,
    /// The TLS certificate is one caller's, the assertion is about another.
    Disagreeing,
}

impl Authenticator {
    /// From the configuration. Reads the gateway's keys where they are in a file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(
        store: Arc<dyn Store>,
        services: &[ServiceConfig],
        gateway: Option<&GatewayKeys>,
    ) -> Result<Self, ConfigError> {
        Ok(Self { store, services: by_fingerprint(services)?, gateway: gateway.map(Gateway::new).transpose()? })
    }

    /// What [`Self::new`] finds wrong, without a store: reads the gateway's keys where they are in a file.
    ///
    /// # Errors
    /// What is wrong with the services, and what with the gateway.
    pub fn check(services: &[ServiceConfig], gateway: Option<&GatewayKeys>) -> Result<(), Vec<ConfigError>> {
        let services = by_fingerprint(services).err();
        let errors: Vec<_> = services.into_iter().chain(gateway.and_then(|keys| Gateway::new(keys).err())).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Who a request is from.
    ///
    /// A service by the certificate of its own TLS connection; a service or a user by the gateway's assertion about this
    /// very request. Where there are both they must agree.
    ///
    /// # Errors
    /// [`NotAuthenticated`].
    pub async fn caller(&self, peer: &Peer, head: &Parts, now: Timestamp) -> Result<Caller, NotAuthenticated> {
        let by_tls = peer.certificate.and_then(|fingerprint| self.service(&fingerprint));
        let asserted = self.asserted(head, now).await?;
        match (by_tls, asserted) {
            (Some(service), None) => Ok(service),
            (None, Some(asserted)) => Ok(asserted),
            (Some(service), Some(asserted)) if service == asserted => Ok(service),
            (Some(_), Some(_)) => Err(Why::Disagreeing.into()),
            (None, None) if peer.certificate.is_some() => Err(Why::UnknownService.into()),
            (None, None) => Err(Why::Nobody.into()),
        }
    }

    /// The token in the header in which a service hands on its user's assertion; for [`Self::handed_on`].
    ///
    /// # Errors
    /// [`Why::Header`].
    pub fn handed_on_token<'h>(&self, head: &'h Parts) -> Result<Option<&'h str>, NotAuthenticated> {
        self.gateway.as_ref().map_or(Ok(None), |gateway| one(head, &gateway.user_header))
    }

    /// With which certificate a user came to the service that hands on the assertion it got. That the caller is a
    /// service which may do so is for the caller of this to know.
    ///
    /// # Errors
    /// [`NotAuthenticated`].
    pub async fn handed_on(&self, token: &str, now: Timestamp) -> Result<ShownCertificate, NotAuthenticated> {
        let gateway = self.gateway.as_ref().ok_or(Why::NoGateway)?;
        let assertion = gateway.believe(token, &gateway.user_audiences, ForRequest::Another, now).await?;
        self.user(&assertion).await
    }

    /// Whom the gateway's assertion about this request names; `None` without one.
    async fn asserted(&self, head: &Parts, now: Timestamp) -> Result<Option<Caller>, NotAuthenticated> {
        // Without a [gateway] the header is as any other that anybody may write.
        let Some(gateway) = &self.gateway else { return Ok(None) };
        let Some(token) = one(head, &gateway.header)? else { return Ok(None) };
        let host = host::requested(head).ok_or(Why::Host)?;
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let request = ForRequest::This { method: head.method.as_str(), host: &host, path, query };
        let assertion = gateway.believe(token, &gateway.audiences, request, now).await?;
        match self.service(&assertion.certificate) {
            Some(service) => Ok(Some(service)),
            None => self.user(&assertion).await.map(Caller::User).map(Some),
        }
    }

    fn service(&self, fingerprint: &[u8; 32]) -> Option<Caller> {
        let service = self.services.get(fingerprint)?;
        Some(Caller::Service { name: Arc::clone(&service.name), rights: service.rights.clone() })
    }

    /// Whose certificate it is. Whether it lives is for the lifecycle to say, in the transaction of the act.
    async fn user(&self, assertion: &Assertion) -> Result<ShownCertificate, NotAuthenticated> {
        let row = self.store.certificate_by_fingerprint(&assertion.certificate).await;
        let row = row.map_err(|error| NotAuthenticated::Unavailable(error.to_string().into()))?;
        let row = row.ok_or(Why::UnknownCertificate)?;
        // What the store found is looked at again: nothing else binds the user to the key that the gateway saw.
        let is_it = row.der.as_deref().is_some_and(|der| sha256(&[der]) == assertion.certificate);
        if !is_it {
            return Err(Why::UnknownCertificate.into());
        }
        Ok(ShownCertificate { of: row.user, serial: row.intent.serial, at: assertion.at })
    }
}

impl Gateway {
    fn new(config: &GatewayKeys) -> Result<Self, ConfigError> {
        let name = |key: &str, name: &str| {
            let refuse = |_| ConfigError {
                place: Place { file: "[gateway]".into(), line: 0, key: key.to_owned() },
                message: format!("{name:?} is not the name of a header"),
            };
            HeaderName::try_from(name).map_err(refuse)
        };
        Ok(Self {
            keys: Keys::new(config)?,
            header: name("header", &config.header)?,
            user_header: name("user_header", &config.user_header)?,
            issuer: config.issuer.clone(),
            audiences: [config.audience.clone()],
            user_audiences: config.user_audiences.clone(),
        })
    }

    async fn believe(
        &self,
        token: &str,
        audiences: &[String],
        request: ForRequest<'_>,
        now: Timestamp,
    ) -> Result<Assertion, NotAuthenticated> {
        let token = Unverified::parse(token)?;
        let key = self.keys.find(token.key_id(), now).await.map_err(|error| match error {
            NoKey::Unknown => AssertionError::UnknownKey.into(),
            NoKey::Unavailable(why) => NotAuthenticated::Unavailable(why),
        })?;
        Ok(token.verify(&key, &Expected { issuer: &self.issuer, audiences, request }, now)?)
    }
}

/// The value of a header that must not be there twice.
fn one<'h>(head: &'h Parts, name: &HeaderName) -> Result<Option<&'h str>, NotAuthenticated> {
    let mut lines = head.headers.get_all(name).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Why::Header.into());
    }
    line.to_str().map(Some).map_err(|_| Why::Header.into())
}

fn by_fingerprint(configured: &[ServiceConfig]) -> Result<HashMap<[u8; 32], Service>, ConfigError> {
    let mut services = HashMap::new();
    for service in configured {
        let refuse = |key: &str, message: String| ConfigError {
            place: Place { file: format!("[[service]] {}", service.name).into(), line: 0, key: key.to_owned() },
            message,
        };
        let mut rights = Rights::default();
        for word in &service.rights {
            let right = Right::ALL.iter().find(|(known, _)| known == word).map(|(_, right)| *right);
            let right = right.ok_or_else(|| refuse("rights", format!("{word:?} is not a right")))?;
            if !rights.0.contains(&right) {
                rights.0.push(right);
            }
        }
        let known = Service { name: Arc::clone(&service.name), rights };
        if services.insert(service.fingerprint, known).is_some() {
            return Err(refuse("fingerprint", "is another service's".to_owned()));
        }
    }
    Ok(services)
}

impl NotAuthenticated {
    /// What is wrong, for the log and never for an answer.
    pub fn for_log(&self) -> &dyn fmt::Display {
        match self {
            Self::Refused(why) => why,
            Self::Unavailable(why) => why,
        }
    }
}

impl From<Why> for NotAuthenticated {
    fn from(why: Why) -> Self {
        Self::Refused(why)
    }
}

impl From<AssertionError> for NotAuthenticated {
    fn from(error: AssertionError) -> Self {
        Self::Refused(Why::Assertion(error))
    }
}

/// Nothing of the reason.
impl fmt::Display for NotAuthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(_) => "not authenticated",
            Self::Unavailable(_) => "who calls cannot be known now",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "neither a client certificate nor an assertion",
            Self::UnknownService => "the client certificate is of no [[service]]",
            Self::Header => "not one assertion in its header",
            Self::Host => "the request is not for one host",
            Self::NoGateway => "there is no [gateway] whose assertions are believed",
            Self::Assertion(error) => return error.fmt(f),
            Self::UnknownCertificate => "the assertion names a certificate that was not issued here",
            Self::Disagreeing => "the client certificate and the assertion are of different callers",
        })
    }
}

impl std::error::Error for NotAuthenticated {}
