//! A certification request (PKCS #10, RFC 2986).
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_ca::request::ProvenRequest;

fuzz_target!(|der: &[u8]| {
    let _ = ProvenRequest::from_der(der).map_err(|error| error.to_string());
});
