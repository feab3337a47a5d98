//! PEM (RFC 7468), as a fetched CRL or a file has it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_pki::pem;

fuzz_target!(|bytes: &[u8]| {
    let _ = pem::certificates(bytes).map_err(|error| error.to_string());
    let _ = pem::private_key(bytes).map_err(|error| error.to_string());
});
