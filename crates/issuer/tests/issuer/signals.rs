//! Signals: what each does to an issuer, and that none sent by mistake ends it.

use crate::common::{Signal, wait_until};
use crate::support::Issuer;

#[test]
fn signals_do_what_they_do_to_a_gateway() {
    let mut issuer = Issuer::of(&["hokugin"]);
    for name in ["USR1", "HUP", "USR2", "ALRM", "PIPE"] {
        issuer.signal(Signal::Other(name));
        wait_until(name, || issuer.output().contains(&format!("\"signal\":\"{name}\"")));
    }
    assert_eq!(issuer.admin_get("/readyz").0, 200);
    issuer.signal(Signal::Other("QUIT"));
    assert!(issuer.wait_for_end().success());
}
