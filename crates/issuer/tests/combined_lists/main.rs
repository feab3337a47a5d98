//! Lists that are combined: deltas over their base, lists of parts, and lists that RFC 5280 would not have (requirement
//! R1), as octets down to what no honest CA would sign, by `openssl ca`, and by Sekisho's own issuer.

use sekisho_testkit::revocation;

mod deltas;
mod issuer;
mod malformed;
mod memory;
mod openssl;
mod parts;
mod settings;
mod support;
