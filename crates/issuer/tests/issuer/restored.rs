//! A store that was lost, mistyped or restored un-revokes nobody, and neither does a clock that was wrong once.

use crate::common::issuer_binary;
use crate::support::{Issuer, Plan};
use sekisho_pki::crl::CertificateList;
use sekisho_runtime::clock;
use std::process::Command;

#[track_caller]
fn refused(plan: &Plan) -> String {
    let (status, said) = plan.refused();
    assert!(!status.success(), "{said}");
    said
}

/// `sekisho-issuer audit verify` of the store.
fn audit(plan: &Plan) -> (Option<i32>, String) {
    let config = plan.path("issuer.toml");
    let output = Command::new(issuer_binary()).args(["audit", "verify", "--config"]).arg(config).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn remove_store(plan: &Plan) {
    for file in ["issuer.db", "issuer.db-wal", "issuer.db-shm"] {
        let _ = std::fs::remove_file(plan.path(file));
    }
}

#[test]
fn a_store_that_was_lost_or_restored_publishes_nothing_until_it_has_what_was_published() {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", "H1");
    let held = bank.register("H1", "u1", "general").0.acquire(None, &["login-password"]);
    let (_, plan) = issuer.stop();
    std::fs::copy(plan.path("issuer.db"), plan.path("backup.db")).unwrap();
    // After the backup: one that it knows is revoked, and one that it does not.
    let issuer = plan.start();
    let bank = issuer.bank();
    let late = bank.register("H1", "u2", "general").0.acquire(None, &["login-password"]);
    for user in ["u1", "u2"] {
        bank.act(&bank.person("H1", user), "revoke", "staff-desk").done();
    }
    [&held, &late].into_iter().for_each(|held| issuer.wait_for_list("hkg", &held.serial(), Some(0)));
    let (_, plan) = issuer.stop();
    let published = std::fs::read(plan.path("lists/hkg-0.crl")).unwrap();

    remove_store(&plan);
    let said = refused(&plan);
    assert!(said.contains("there is no store") && said.contains("sekisho-issuer store init"), "{said}");
    let (code, said) = audit(&plan);
    assert!(code == Some(2) && said.contains("there is no store"), "{said}");
    assert!(!plan.path("issuer.db").exists(), "neither made one");

    assert!(plan.store_command(&["init"]).0.success());
    let said = refused(&plan);
    assert!(said.contains("the store lacks what was published there: 2 revocations"), "a new one: {said}");

    remove_store(&plan);
    std::fs::copy(plan.path("backup.db"), plan.path("issuer.db")).unwrap();
    let said = refused(&plan);
    assert!(said.contains("the store lacks what was published there: 2 revocations"), "the backup: {said}");
    assert!(
        said.contains("is greater than any of the store's") && said.contains("sekisho-issuer store reconcile"),
        "{said}"
    );
    assert_eq!(std::fs::read(plan.path("lists/hkg-0.crl")).unwrap(), published, "it stays as it was");

    for taken in [2, 0] {
        let (status, said, error) = plan.store_command(&["reconcile"]);
        let wanted = format!("{taken} revocations and 0 holds were taken over, {} of them", taken / 2);
        assert!(status.success() && said.contains(&wanted), "{said}{error}");
    }
    let issuer = plan.start();
    [&held, &late].into_iter().for_each(|held| issuer.wait_for_list("hkg", &held.serial(), Some(0)));
    let user = issuer.service("reader").get("/v1/contracts/H1/users/u1").done();
    assert_eq!(user["state"], "revoked", "{user}");
    let (_, plan) = issuer.stop();
    assert_eq!(audit(&plan).0, Some(0));
}

#[test]
fn a_revocation_that_was_taken_out_behind_the_stores_back_is_found_by_the_audit() {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", "H1");
    let revoked = bank.register("H1", "u1", "general").0.acquire(None, &["login-password"]);
    let kept = bank.register("H1", "u2", "general").0.acquire(None, &["login-password"]);
    bank.act(&bank.person("H1", "u1"), "revoke", "staff-desk").done();
    let (_, plan) = issuer.stop();
    assert_eq!(audit(&plan).0, Some(0));
    for (statement, found) in [
        (
            "DELETE FROM statuses".to_owned(),
            format!("says that {} was revoked, and no status has it", revoked.serial()),
        ),
        (
            "UPDATE users SET certificate = 'held', not_before = 1, not_after = 9999999999, registered_at = 1, \
             revoked_at = NULL, reason = NULL WHERE id = 'u1'"
                .to_owned(),
            format!("user u1 of H1 holds {}, which is revoked", revoked.serial()),
        ),
        (
            "UPDATE users SET certificate = 'none', serial = NULL, not_before = NULL, not_after = NULL, \
             issue_number = NULL, registered_at = NULL WHERE id = 'u2'"
                .to_owned(),
            format!("says that {} was issued; it is neither its user's nor revoked", kept.serial()),
        ),
    ] {
        let copy = plan.sibling();
        let path = copy.path("issuer.db");
        let done = Command::new("python3")
            .args(["-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"])
            .arg(path)
            .arg(&statement)
            .status();
        assert!(done.unwrap().success());
        copy.write_config();
        let (code, said) = audit(&copy);
        assert!(code == Some(1) && said.contains(&found), "{statement}: {said}");
    }
}

#[test]
fn a_hold_that_was_published_is_taken_over_and_can_be_released() {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", "H1");
    let held = bank.register("H1", "u1", "general").0.acquire(None, &["login-password"]);
    let (_, plan) = issuer.stop();
    std::fs::copy(plan.path("issuer.db"), plan.path("backup.db")).unwrap();
    let issuer = plan.start();
    let bank = issuer.bank();
    bank.act(&bank.person("H1", "u1"), "suspend", "staff-desk").done();
    issuer.wait_for_list("hkg", &held.serial(), Some(6));
    let (_, plan) = issuer.stop();
    remove_store(&plan);
    std::fs::copy(plan.path("backup.db"), plan.path("issuer.db")).unwrap();
    let said = refused(&plan);
    assert!(said.contains("0 revocations, 1 holds"), "{said}");
    let (status, said, error) = plan.store_command(&["reconcile"]);
    assert!(status.success() && said.contains("0 revocations and 1 holds were taken over"), "{said}{error}");
    let issuer = plan.start();
    issuer.wait_for_list("hkg", &held.serial(), Some(6));
    let bank = issuer.bank();
    bank.act(&bank.person("H1", "u1"), "resume", "staff-desk").done();
    issuer.wait_for_list("hkg", &held.serial(), None);
}

#[test]
fn lists_are_not_dated_into_the_future_and_after_one_wrong_start_there_is_a_way_back() {
    let issuer = Plan::new(&["hokugin"]).days_ahead(30).start();
    let plan = issuer.stop().1.days_ahead(0);
    let said = refused(&plan);
    assert!(said.contains("nothing is published into the future") && said.contains("accept-clock"), "{said}");
    let (status, said, error) = plan.store_command(&["accept-clock"]);
    assert!(status.success() && said.contains("1 CRLs were dated later"), "{said}{error}");
    let issuer = plan.start();
    let (_, der) = issuer.public_get("/crl/hkg/0.crl");
    let this_update = CertificateList::parse(&der).unwrap().header().this_update;
    assert!(this_update <= clock::now(), "{this_update}");
}

#[test]
fn a_node_whose_clock_is_not_the_databases_publishes_nothing() {
    let plan = Plan::new(&["hokugin"]).on_postgres(&crate::postgres::new_database()).days_ahead(1);
    assert!(plan.store_command(&["init"]).0.success());
    let (status, said) = plan.refused();
    assert!(!status.success() && said.contains("this node's clock says") && said.contains("the database's"), "{said}");
    assert!(!plan.path("lists/hkg-0.crl").exists());
}
