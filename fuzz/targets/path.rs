//! A request target: what is admitted is what the application is asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho::gateway::request::access::Target;

fuzz_target!(|raw: &[u8]| {
    let _ = Target::parse(raw).map_err(|error| error.to_string());
});
