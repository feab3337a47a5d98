//! A certificate (RFC 5280), as a client presents it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_pki::certificate::Certificate;

fuzz_target!(|der: &[u8]| {
    if let Ok(certificate) = Certificate::parse(der) {
        // What is read again is the same.
        let again = Certificate::parse(certificate.der()).expect("it was read before");
        assert_eq!(again.serial(), certificate.serial());
        assert_eq!(again.subject().to_string(), certificate.subject().to_string());
    }
});
