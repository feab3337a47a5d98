//! A signed statement of who is calling, so that the IB application need not trust the network (requirement G7).
//!
//! A compact JWS (RFC 7515) of a JWT (RFC 7519), ES256 (RFC 7518 section 3.4), for one request:
//!
//! | claim | meaning |
//! |---|---|
//! | `iss` | `[gateway.assertion] issuer` |
//! | `aud` | the site's name |
//! | `sub` | the certificate's CN |
//! | `iat`, `nbf`, `exp` | the time of the request, the same, and `lifetime` later |
//! | `jti` | the request's reference number |
//! | `auth_time` | when the client proved possession of its key (OpenID Connect Core section 2) |
//! | `contract_id`, `user_id` | absent when the certificate has none |
//! | `captures` | the CA pattern's other captures, by name |
//! | `ca` | the configured name of the CA that issued the certificate |
//! | `cnf` | `x5t#S256`: SHA-256 of the certificate (RFC 8705 section 3.1) |
//! | `htm`, `htu` | the method, and `https://` + host + path as the client sent it, without port and query (named as in RFC 9449 section 4.2) |
//! | `htq` | SHA-256, base64url, of the query as it goes to the upstream: what follows the first `?`, or nothing |
//!
//! The receiver checks `typ`, the signature by the key `kid` of the JWKS, `iss`, `aud`, `exp`, and that `htm`, `htu` and
//! `htq` are the request's: then the assertion of one request cannot serve a request for anything else.
//!
//! Two things it does not do. It does not bind the body, which is not there yet when the header goes on. And until `exp`
//! the same request can be made again with it, unless the receiver remembers each `jti` for `lifetime`. Whoever can do
//! either sees the traffic between gateway and application: `[pool.tls]` keeps it from them.

use crate::gateway::base::request_id::RequestId;
use crate::gateway::verify::VerifiedClient;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::Method;
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// The `typ` of the header (RFC 8725 section 3.11): no other JWT of the gateway's or the bank's can pass for one.
pub const TYPE: &str = "sekisho-client+jwt";

/// What precedes the 65 octets of an uncompressed point in a P-256 SubjectPublicKeyInfo (RFC 5480 section 2).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Signs assertions with one P-256 key, and publishes it with its predecessors.
pub struct Signer {
    key: EcdsaKeyPair,
    key_id: String,
    /// The protected header, base64url.
    header: String,
    issuer: String,
    lifetime: i64,
    jwks: String,
}

/// The request an assertion is for.
#[derive(Clone, Copy, Debug)]
pub struct AssertedRequest<'a> {
    /// The site's name.
    pub site: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The host's name in normal form, without port ([`crate::gateway::request::authority::Host::name`]).
    pub host: &'a str,
    /// The path as it goes to the upstream, without query ([`crate::gateway::request::access::Target::path`]).
    pub path: &'a str,
    /// The query as it goes to the upstream, without its `?`.
    pub query: &'a str,
    /// The time of the request.
    pub now: Timestamp,
    /// When the client proved possession of its key: the end of the first handshake, for a resumed session.
    pub authenticated_at: Timestamp,
    /// The reference number.
    pub request_id: &'a RequestId,
}

/// Why a key file is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not PEM.
    Pem(String),
    /// No `PRIVATE KEY`, `EC PRIVATE KEY` or (of a previous key) `PUBLIC KEY` block.
    Absent,
    /// More than one key.
    Several,
    /// Another kind of key than EC P-256, or a broken one.
    NotP256,
}

/// Which of the configured key files is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerError {
    /// `key_file`.
    Current(KeyError),
    /// `previous_key_files`, counted from 0.
    Previous(usize, KeyError),
    /// A key could not be made, or a signature: the cryptographic library failed.
    Cryptography,
}

/// A public key's point: `0x04`, x, y.
type Point = [u8; 65];

impl Signer {
    /// From the contents of `key_file` (PKCS#8 or SEC 1 PEM) and of `previous_key_files` (private or public).
    ///
    /// # Errors
    /// [`SignerError`] naming the file.
    pub fn from_pem(
        key: &[u8],
        previous: &[impl AsRef<[u8]>],
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Self, SignerError> {
        let key = match one_key(key).map_err(SignerError::Current)? {
            PemKey::Private(key) => key,
            PemKey::Public(_) => return Err(SignerError::Current(KeyError::Absent)),
        };
        let previous = previous.iter().enumerate().map(|(place, pem)| {
            let point = one_key(pem.as_ref()).and_then(|key| key.point());
            point.map_err(|error| SignerError::Previous(place, error))
        });
        Self::new(key, previous.collect::<Result<_, _>>()?, issuer, lifetime)
    }

    /// With a new key that lives as long as the process: for a demonstration.
    ///
    /// # Errors
    /// [`SignerError::Cryptography`].
    pub fn generate(issuer: &str, lifetime: Duration) -> Result<Self, SignerError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| SignerError::Cryptography)?;
        Self::new(key, Vec::new(), issuer, lifetime)
    }

    /// The assertion that this client makes this request.
    ///
    /// # Errors
    /// [`SignerError::Cryptography`]: the request must not go on without it.
    pub fn sign(&self, client: &VerifiedClient, request: &AssertedRequest<'_>) -> Result<String, SignerError> {
        let claims = self.claims(client, request).to_string();
        let mut token = String::with_capacity(self.header.len() + claims.len() * 4 / 3 + 96);
        token.push_str(&self.header);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.key.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| SignerError::Cryptography)?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The `kid`: the key's thumbprint (RFC 7638).
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public keys as a JWK Set (RFC 7517 section 5), the current one first; its media type is
    /// `application/jwk-set+json`.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    fn new(key: EcdsaKeyPair, previous: Vec<Point>, issuer: &str, lifetime: Duration) -> Result<Self, SignerError> {
        let point: Point = key.public_key().as_ref().try_into().map_err(|_| SignerError::Cryptography)?;
        let mut points = vec![point];
        previous.into_iter().for_each(|previous| {
            if !points.contains(&previous) {
                points.push(previous);
            }
        });
        let keys: Vec<Value> = points.iter().map(jwk).collect();
        let key_id = thumbprint(&point);
        let header = json!({ "alg": "ES256", "typ": TYPE, "kid": key_id }).to_string();
        Ok(Self {
            key,
            key_id,
            header: BASE64_URL_SAFE_NO_PAD.encode(header),
            issuer: issuer.to_owned(),
            lifetime: i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX),
            jwks: json!({ "keys": keys }).to_string(),
        })
    }

    fn claims(&self, client: &VerifiedClient, request: &AssertedRequest<'_>) -> Value {
        let identity = client.identity();
        // A capture's name is the operator's: in an object of their own, none can pass for a registered claim.
        let mut captures = Map::new();
        for (name, value) in identity.captures() {
            if name != "contract_id" && name != "user_id" {
                captures.insert(name.to_string(), value.to_string().into());
            }
        }
        let mut claims = json!({
            "iss": self.issuer,
            "aud": request.site,
            "sub": identity.common_name(),
            "iat": request.now.unix(),
            "nbf": request.now.unix(),
            "exp": request.now.plus_seconds(self.lifetime).unix(),
            "jti": request.request_id.as_str(),
            "auth_time": request.authenticated_at.unix(),
            "cnf": { "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(client.fingerprint().as_bytes()) },
            "ca": &**client.ca(),
            "htm": request.method.as_str(),
            "htu": format!("https://{}{}", request.host, request.path),
            "htq": BASE64_URL_SAFE_NO_PAD.encode(sha256(&[request.query.as_bytes()])),
        });
        if let Some(claims) = claims.as_object_mut() {
            let optional = [("contract_id", identity.contract_id()), ("user_id", identity.user_id())];
            claims.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
            if !captures.is_empty() {
                claims.insert("captures".to_owned(), captures.into());
            }
        }
        claims
    }
}

enum PemKey {
    Private(EcdsaKeyPair),
    Public(Point),
}

impl PemKey {
    fn point(&self) -> Result<Point, KeyError> {
        match self {
            Self::Private(key) => key.public_key().as_ref().try_into().map_err(|_| KeyError::NotP256),
            Self::Public(point) => Ok(*point),
        }
    }
}

/// The one key of a PEM file; other blocks (`EC PARAMETERS`, which OpenSSL writes first) are passed over.
fn one_key(text: &[u8]) -> Result<PemKey, KeyError> {
    let mut key = None;
    for (label, der) in pem::labelled(text).map_err(|error| KeyError::Pem(error.to_string()))? {
        let found = match &*label {
            "PRIVATE KEY" | "EC PRIVATE KEY" => {
                let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
                PemKey::Private(key.map_err(|_| KeyError::NotP256)?)
            }
            "PUBLIC KEY" => PemKey::Public(point_of_spki(&der)?),
            other if other.ends_with("KEY") => return Err(KeyError::NotP256),
            _ => continue,
        };
        if key.replace(found).is_some() {
            return Err(KeyError::Several);
        }
    }
    key.ok_or(KeyError::Absent)
}

fn point_of_spki(der: &[u8]) -> Result<Point, KeyError> {
    let point = der.strip_prefix(&P256_SPKI_PREFIX).ok_or(KeyError::NotP256)?;
    // On the curve, or receivers would choke on the key set.
    aws_lc_rs::signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::NotP256)?;
    point.try_into().map_err(|_| KeyError::NotP256)
}

/// Coordinates of a point, base64url (RFC 7518 section 6.2.1).
fn coordinates(point: &Point) -> [String; 2] {
    let (x, y) = point[1..].split_at(32);
    [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate))
}

fn jwk(point: &Point) -> Value {
    let [x, y] = coordinates(point);
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": thumbprint(point), "use": "sig", "alg": "ES256" })
}

/// RFC 7638 section 3: SHA-256 of the required members in lexicographic order, without spaces.
fn thumbprint(point: &Point) -> String {
    let [x, y] = coordinates(point);
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(sha256(&[members.as_bytes()]))
}

/// Without the private key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(error) => write!(f, "not PEM: {error}"),
            Self::Absent => f.write_str("no unencrypted PRIVATE KEY or EC PRIVATE KEY block"),
            Self::Several => f.write_str("more than one key"),
            Self::NotP256 => f.write_str(
                "not an EC P-256 key; make one by `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`",
            ),
        }
    }
}

impl fmt::Display for SignerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current(error) | Self::Previous(_, error) => error.fmt(f),
            Self::Cryptography => f.write_str("the cryptographic library failed"),
        }
    }
}

impl std::error::Error for KeyError {}
impl std::error::Error for SignerError {}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
