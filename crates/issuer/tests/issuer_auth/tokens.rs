//! A signer of assertions in the gateway's format, for what the gateway itself would never write.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sekisho_config::issuer::{GatewayKeys, JwksSource};
use sekisho_pki::time::Timestamp;
use serde_json::{Value, json};

pub const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);

/// A gateway's key.
pub struct TokenSigner {
    key: EcdsaKeyPair,
    kid: String,
}

impl TokenSigner {
    pub fn new(kid: &str) -> Self {
        Self { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid: kid.to_owned() }
    }

    pub fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": self.kid, "use": "sig", "alg": "ES256" })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "sekisho-client+jwt", "kid": self.kid });
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }

    /// `POST https://api.bank.example/v1/contracts` at [`NOW`] with that certificate.
    pub fn token(&self, certificate: [u8; 32]) -> String {
        self.sign(&claims(certificate, NOW))
    }
}

pub fn claims(certificate: [u8; 32], at: Timestamp) -> Value {
    json!({
        "iss": "https://gw.bank.example",
        "aud": "issuer",
        "sub": "whoever",
        "iat": at.unix(),
        "nbf": at.unix(),
        "exp": at.unix() + 30,
        "jti": "0000-0000-0000-0000",
        "contract_id": "FORGED",
        "user_id": "forged",
        "cnf": { "x5t#S256": encode(&certificate) },
        "htm": "POST",
        "htu": "https://api.bank.example/v1/contracts",
    })
}

/// A JWK Set of these signers.
pub fn jwks(signers: &[&TokenSigner]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// `[gateway]` with keys from there.
pub fn gateway(jwks: JwksSource) -> GatewayKeys {
    GatewayKeys {
        header: "X-Sekisho-Assertion".to_owned(),
        user_header: "X-User-Assertion".to_owned(),
        issuer: "https://gw.bank.example".to_owned(),
        audience: "issuer".to_owned(),
        user_audiences: vec!["ib".to_owned(), "ib-admin".to_owned()],
        jwks: crate::support::placed(jwks),
        jwks_ca: None,
    }
}

fn encode(octets: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}
