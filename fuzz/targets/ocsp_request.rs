//! An OCSP request (RFC 6960), as anybody sends it to the responder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_ca::ocsp::OcspRequest;

fuzz_target!(|body: &[u8]| {
    let _ = OcspRequest::from_der(body).map_err(|error| error.to_string());
});
