//! What a gateway does for the issuer: it says, signed, with which certificate a request came.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sekisho_pki::time::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};

/// The `aud` of requests to the issuer.
pub const AUDIENCE: &str = "issuer";
/// The `aud` of requests to the IB application.
pub const USER_AUDIENCE: &str = "ib";
/// The `kid`.
const KEY_ID: &str = "test-gateway";

/// A gateway's signing key.
pub struct GatewayKey {
    key: EcdsaKeyPair,
    /// Seconds by which the clock that the issuer sees is ahead.
    ahead: AtomicI64,
}

impl GatewayKey {
    pub fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { key, ahead: AtomicI64::new(0) }
    }

    /// From now on everybody's clock is so many days ahead.
    pub fn set_days_ahead(&self, days: u32) {
        self.ahead.store(i64::from(days) * 86_400, Ordering::Relaxed);
    }

    /// The time, as everybody sees it.
    pub fn now(&self) -> Timestamp {
        sekisho_runtime::clock::now().plus_seconds(self.ahead.load(Ordering::Relaxed))
    }

    /// What the gateway publishes.
    pub fn jwks(&self) -> String {
        let point = self.key.public_key().as_ref();
        let text = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
        let (x, y) = (text(&point[1..33]), text(&point[33..65]));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": KEY_ID, "use": "sig", "alg": "ES256", "x": x, "y": y }] })
            .to_string()
    }

    /// The assertion about one request, by the SHA-256 of the certificate that it came with.
    pub fn assertion(&self, certificate: &[u8; 32], audience: &str, method: &str, path: &str) -> String {
        self.signed(&self.claims(certificate, audience, method, path))
    }

    /// What the gateway would say now.
    pub fn claims(&self, certificate: &[u8; 32], audience: &str, method: &str, path: &str) -> Value {
        let now = self.now().unix();
        json!({
            "iss": "sekisho", "aud": audience, "sub": "C1 u1", "iat": now, "nbf": now, "exp": now + 60,
            "jti": "7Q3F-K0ZD-93MX-A1VT", "auth_time": now, "contract_id": "C1",
            "htm": method, "htu": format!("https://issuer.localhost{path}"),
            "cnf": { "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(certificate) },
        })
    }

    /// Any claims, signed.
    pub fn signed(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "sekisho-client+jwt", "kid": KEY_ID });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}
