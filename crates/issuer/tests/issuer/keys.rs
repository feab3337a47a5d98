//! Keys that protect nothing are certified for nobody, and whoever asked is told why.

use crate::support::{Issuer, NewKey};
use num_bigint::BigUint;
use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SignatureAlgorithm, SigningKey};
use sekisho_pki::fingerprint::sha256;
use serde_json::Value;

/// An RSA key of which everybody can compute the private exponent.
struct Factored {
    modulus: BigUint,
    private: BigUint,
    info: Vec<u8>,
}

impl Factored {
    /// `phi` is the number of what is prime to the modulus; none where 65537 has no inverse there.
    fn new(modulus: BigUint, phi: &BigUint) -> Option<Self> {
        let private = BigUint::from(65_537_u32).modinv(phi)?;
        let integer = |number: &BigUint| der(2, &[&[0][..], &number.to_bytes_be()].concat());
        // The exponent has a byte less without its leading zero.
        let info = der(0x30, &[integer(&modulus), vec![2, 3, 1, 0, 1]].concat());
        Some(Self { modulus, private, info })
    }
}

impl PublicKeyData for Factored {
    fn der_bytes(&self) -> &[u8] {
        &self.info
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for Factored {
    /// RFC 8017 section 8.2.1.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let prefix = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
        let digest = [&prefix[..], &sha256(&[message])].concat();
        let padding = vec![0xff; 256 - 3 - digest.len()];
        let block = [&[0, 1][..], &padding, &[0], &digest].concat();
        let signed = BigUint::from_bytes_be(&block).modpow(&self.private, &self.modulus).to_bytes_be();
        Ok([vec![0; 256 - signed.len()], signed].concat())
    }
}

/// The neutral point as an Ed25519 key, for which R = that point and S = 0 sign everything.
struct Neutral([u8; 32]);

impl PublicKeyData for Neutral {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl SigningKey for Neutral {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok([self.0, [0; 32]].concat())
    }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let length = if length < 128 { vec![length as u8] } else { [&[0x82][..], &length.to_be_bytes()].concat() };
    [&[tag][..], &length, content].concat()
}

fn request(key: &impl SigningKey) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key).unwrap().pem().unwrap()
}

/// A prime of so many bits, by openssl.
fn prime(bits: u32) -> BigUint {
    let text = crate::support::openssl(&["prime", "-generate", "-bits", &bits.to_string(), "-hex"], b"");
    BigUint::parse_bytes(text.trim().as_bytes(), 16).unwrap()
}

fn is_prime(number: &BigUint) -> bool {
    let text = crate::support::openssl(&["prime", &number.to_string()], b"");
    text.contains("is prime")
}

#[test]
fn a_key_that_protects_nothing_is_refused_and_the_reason_is_told_and_recorded() {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", "H0000001");
    let (user, _) = bank.register("H0000001", "ippan01", "general");
    let one = || BigUint::from(1_u32);
    let whole = (0..).find_map(|_| {
        let modulus = prime(2048);
        let phi = &modulus - one();
        Factored::new(modulus, &phi)
    });
    let close = (0..).find_map(|_| {
        let first = prime(1024);
        let second = (1_u32..).map(|step| &first + step * 2).find(is_prime).unwrap();
        Factored::new(&first * &second, &((&first - one()) * (&second - one())))
    });
    let small = (0..).find_map(|_| {
        // 67 times it has 2048 bits or one less.
        let other = prime(2042);
        let modulus = &other * 67_u32;
        let key = Factored::new(modulus, &((&other - one()) * 66_u32));
        key.filter(|key| key.modulus.bits() == 2048)
    });
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let garbage = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".to_owned();
    for (csr, reason) in [
        (request(&whole.unwrap()), "is a prime"),
        (request(&close.unwrap()), "so close"),
        (request(&small.unwrap()), "a multiple of 67"),
        (request(&Neutral(neutral)), "small order"),
        (garbage, "not a certification request"),
        (NewKey::new().request_of("somebody else"), "names another user"),
    ] {
        let body = user.acquisition(None, &["login-password"], &csr);
        let answer = user.act_with(None, &user, "acquire", body);
        answer.refused(422, "key-not-acceptable");
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(reason), "{reason:?}: {detail}");
        let listed = bank.ib.get("/v1/contracts/H0000001/users/ippan01/history?limit=1").done();
        let recorded = listed["items"][0]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(recorded.contains(reason), "{reason:?}: {listed}");
        issuer.record("the refusal", |record: &Value| record["why"].as_str().is_some_and(|why| why.contains(reason)));
    }
    user.acquire(None, &["login-password"]);
}
