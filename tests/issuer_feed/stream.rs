//! What a gateway hears.

use crate::follower::Follower;
use crate::support::{Bank, Held, Issuer, Person, Plan};

/// An issuer of one product with a feed for these gateways.
pub fn plan(gateways: &[&str]) -> Plan {
    Plan::new(&["hokugin"]).with_feed(gateways)
}

/// A user with a certificate.
pub fn user(bank: &Bank, user: &str) -> (Person, Held) {
    let (person, _) = bank.register("H1", user, "general");
    let held = person.acquire(None, &["login-password"]);
    (person, held)
}

#[test]
fn a_revocation_is_told_to_a_gateway_that_follows() {
    let issuer: Issuer = plan(&["g1"]).start();
    let bank = issuer.bank();
    bank.open("hokugin", "H1");
    let (person, held) = user(&bank, "u1");
    let mut gateway = Follower::open(&issuer, "g1", None);
    let first = gateway.message();
    assert_eq!((first.from(), first.to(), first.changes().len()), (0, 0, 0));
    assert_eq!(first.lists().len(), 1);
    let done = bank.act(&person, "revoke", "staff-desk").done();
    assert_eq!(done["propagation"]["sequence"], 1, "{done}");
    let changes = gateway.changes_up_to(1);
    assert_eq!(changes, [(1, held.serial(), "revoked".to_owned(), "unspecified".to_owned())]);
}
