//! A CRL (RFC 5280), as a distribution point serves it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_pki::crl::{CertificateList, MalformedList};

fuzz_target!(|der: &[u8]| match CertificateList::parse(der) {
    Ok(crl) => {
        // Each entry is right or says why.
        crl.entries().for_each(|entry| drop(entry.map_err(|error| error.to_string())));
        crl.serials().for_each(|serial| drop(serial.map_err(|error| error.to_string())));
        let _ = crl.verify_signature(der);
    }
    Err(error) => drop(MalformedList::parse(der, &error)),
});
