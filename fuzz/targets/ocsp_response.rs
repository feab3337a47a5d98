//! An OCSP response (RFC 6960), as a responder, or whoever is on the way, sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::ocsp::{IssuerId, Question, verify};
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use std::sync::LazyLock;

/// Any CA: the signature of what is fuzzed is hardly ever its own.
static CA: LazyLock<Certificate> = LazyLock::new(|| {
    let der = pem::certificates(include_bytes!("../ca.pem")).expect("PEM").remove(0);
    Certificate::parse(&der).expect("a certificate")
});

static ISSUER: LazyLock<IssuerId> = LazyLock::new(|| IssuerId::of(&CA).expect("its name and key"));

fuzz_target!(|response: &[u8]| {
    let serial = CA.serial();
    let question = Question { issuer: &ISSUER, serial: &serial, nonce: None };
    let _ = verify(response, &question, &CA, Timestamp::from_unix(1_780_272_000)).map_err(|error| error.to_string());
});
