//! What a feed needs before it starts.

use crate::support::Plan;
use crate::world::plan;
use std::os::unix::fs::PermissionsExt;

fn refused(plan: &Plan) -> String {
    let (status, _, told) = plan.check();
    assert!(!status.success(), "it was accepted");
    told
}

#[test]
fn a_gateway_without_a_feed_to_follow_is_one_line() {
    let told = refused(&Plan::new(&["hokugin"]).with("rights = [\"read\"]", "rights = [\"feed\"]"));
    assert!(told.contains("feed: is missing") && told.contains("key_file"), "{told}");
}

#[test]
fn a_key_that_others_may_read_is_one_line() {
    let plan = plan(&["g1"]);
    std::fs::set_permissions(plan.path("feed.key"), PermissionsExt::from_mode(0o640)).unwrap();
    let told = refused(&plan);
    assert!(told.contains("feed.key_file") && told.contains("0640"), "{told}");
}

#[test]
fn a_key_of_another_kind_or_none_is_one_line() {
    let plan = plan(&["g1"]);
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    plan.write("feed.key", &p384);
    let told = refused(&plan);
    assert!(told.contains("feed.key_file") && told.contains("not a P-256 private key"), "{told}");
    plan.write("feed.key", "nothing");
    assert!(refused(&plan).contains("there is no PEM private key in it"));
    std::fs::remove_file(plan.path("feed.key")).unwrap();
    assert!(refused(&plan).contains("No such file"));
}
