//! A distinguished name (X.501), of a certificate that nobody vouches for yet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_pki::name::DistinguishedName;

fuzz_target!(|der: &[u8]| {
    if let Ok(name) = DistinguishedName::parse(der) {
        let _ = name.to_string();
    }
});
