//! A message of the revocation feed. Its signature is verified before anything is read, so it is signed here.
#![no_main]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use libfuzzer_sys::fuzz_target;
use sekisho_pki::es256::PublicKey;
use sekisho_trust::feed::Message;
use std::sync::LazyLock;

static KEY: LazyLock<(EcdsaKeyPair, PublicKey)> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    // SubjectPublicKeyInfo of P-256 (RFC 5480): all but the point is the same for every key.
    let mut spki = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00".to_vec();
    spki.extend_from_slice(key.public_key().as_ref());
    let public = PublicKey::from_spki(&spki).expect("its public key");
    (key, public)
});

fuzz_target!(|payload: &[u8]| {
    let (key, public) = &*KEY;
    let header = format!(r#"{{"alg":"ES256","typ":"sekisho-feed+jwt","kid":"{}"}}"#, public.key_id());
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
    let token = format!("{signed}.{}", BASE64.encode(signature));
    let _ = Message::verify(&token, std::slice::from_ref(public)).map_err(|error| error.to_string());
    // Also as it comes, without a signature that verifies.
    let _ = Message::verify(&String::from_utf8_lossy(payload), std::slice::from_ref(public));
});
