//! A request's host: `Host`, `:authority`, or the name in a ClientHello.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho::gateway::request::authority::Host;

fuzz_target!(|text: &str| {
    if let Ok(host) = Host::parse(text) {
        let written = host.to_string();
        let again = Host::parse(&written).expect("what was written can be read");
        assert_eq!(again.to_string(), written);
    }
});
