//! `sekisho-issuer audit verify` finds what the state has and the log has not, over SQLite and PostgreSQL alike; and nothing in a
//! state that came about by acts.

use crate::common::issuer_binary;
use crate::postgres;
use crate::support::{Bank, Plan};
use std::process::Command;

/// Serial of a certificate that nobody issued.
const FORGED: &str = "493f35ac57540e9e3e6f0768d9b924f2";

/// What a store is over: the URL of its database, or nothing where it is SQLite.
struct Base(Option<String>);

impl Base {
    fn both() -> [Self; 2] {
        [Self(None), Self(Some(postgres::new_database()))]
    }

    fn plan(&self, profiles: &[&str]) -> Plan {
        match &self.0 {
            Some(url) => Plan::new(profiles).on_postgres(url),
            None => Plan::new(profiles),
        }
    }

    /// Octets as the database's SQL writes them.
    fn octets(&self, hex: &str) -> String {
        if self.0.is_some() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    }

    /// A copy of a store whose issuer has ended.
    fn copy(&self, plan: &Plan) -> (Self, Plan) {
        let Some(url) = &self.0 else { return (Self(None), plan.sibling()) };
        let copy = postgres::new_database();
        postgres::sql("postgres", &format!("DROP DATABASE {}", postgres::name(&copy)));
        let (from, to) = (postgres::name(url), postgres::name(&copy));
        postgres::sql("postgres", &format!("CREATE DATABASE {to} TEMPLATE {from}"));
        let plan = plan.sibling().with(url, &copy);
        (Self(Some(copy)), plan)
    }

    /// Behind the store's back.
    fn sql(&self, plan: &Plan, statements: &str) {
        match &self.0 {
            Some(url) => {
                postgres::sql(postgres::name(url), statements);
            }
            None => {
                let script = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
                let mut python = Command::new("python3");
                python.args(["-c", script]).arg(plan.path("issuer.db")).arg(statements);
                assert!(python.status().unwrap().success(), "{statements}");
            }
        }
    }
}

/// `sekisho-issuer audit verify`: its exit code, and what it said.
fn audit(plan: &Plan) -> (Option<i32>, String) {
    let config = plan.write_config();
    let output = Command::new(issuer_binary()).args(["audit", "verify", "--config"]).arg(config).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[track_caller]
fn clean(plan: &Plan) {
    let (code, said) = audit(plan);
    assert!(code == Some(0) && said.contains("none of them changed"), "{said}");
}

/// The lines about rows, after the one that counts them.
#[track_caller]
fn found(plan: &Plan) -> Vec<String> {
    let (code, said) = audit(plan);
    assert_eq!(code, Some(1), "{said}");
    let mut lines = said.lines().map(|line| line.trim_start_matches("sekisho-issuer audit: ").to_owned());
    let first = lines.next().unwrap();
    assert!(first.starts_with("the log is whole and the state is not what it says, "), "{said}");
    lines.collect()
}

#[track_caller]
fn has(lines: &[String], wanted: &str) {
    assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted:?} is not in {lines:#?}");
}

fn acquire(bank: &Bank, contract: &str, user: &str) -> String {
    bank.register(contract, user, "general").0.acquire(None, &["login-password"]).serial()
}

/// A store with a user in every state; the revoked one's serial.
fn every_state(base: &Base) -> (Plan, String) {
    let issuer = base.plan(&["hokugin", "shinkin"]).start();
    let bank = issuer.bank();
    bank.open("hokugin", "H1");
    let act = |user: &str, act: &str| bank.act(&bank.person("H1", user), act, "staff-desk").done();
    bank.register("H1", "none", "general");
    let revoked = acquire(&bank, "H1", "revoked");
    act("revoked", "revoke");
    acquire(&bank, "H1", "issued");
    acquire(&bank, "H1", "held");
    act("held", "suspend");
    acquire(&bank, "H1", "released");
    act("released", "suspend");
    act("released", "resume");
    acquire(&bank, "H1", "deleted");
    bank.act(&bank.person("H1", "deleted"), "delete", "paper-form").done();
    bank.open("hokugin", "H2");
    acquire(&bank, "H2", "ended");
    bank.switch("H2", "off").done();
    reissued(&bank);
    clean(&issuer.plan);
    (issuer.stop().1, revoked)
}

/// By a form, twice: the second offer withdraws the first, and revokes what came of it.
fn reissued(bank: &Bank) {
    bank.open("shinkin", "00009876543");
    let (person, _) = bank.register("00009876543", "reissued", "user");
    let factors = &["pin", "one-time-password"];
    person.acquire(None, factors);
    bank.act(&person, "reissue", "paper-form").done();
    person.acquire(None, factors);
}

#[test]
fn every_state_that_acts_lead_to_is_accounted_for_by_the_log() {
    for base in Base::both() {
        let (plan, _) = every_state(&base);
        clean(&plan);
        let issuer = plan.start();
        clean(&issuer.plan);
    }
}

#[test]
fn what_was_taken_over_after_a_restore_is_accounted_for() {
    let issuer = Plan::new(&["hokugin"]).start();
    issuer.bank().open("hokugin", "H1");
    let kept = acquire(&issuer.bank(), "H1", "kept");
    let held = acquire(&issuer.bank(), "H1", "held");
    let (_, plan) = issuer.stop();
    let backup = std::fs::read(plan.path("issuer.db")).unwrap();
    let issuer = plan.start();
    let bank = issuer.bank();
    let lost = acquire(&bank, "H1", "lost");
    for (user, act) in [("kept", "revoke"), ("lost", "revoke"), ("held", "suspend")] {
        bank.act(&bank.person("H1", user), act, "staff-desk").done();
    }
    issuer.wait_for_list("hkg", &kept, Some(0));
    issuer.wait_for_list("hkg", &lost, Some(0));
    issuer.wait_for_list("hkg", &held, Some(6));
    let (_, plan) = issuer.stop();
    for file in ["issuer.db-wal", "issuer.db-shm"] {
        let _ = std::fs::remove_file(plan.path(file));
    }
    std::fs::write(plan.path("issuer.db"), backup).unwrap();
    let (status, said, error) = plan.store_command(&["reconcile"]);
    assert!(status.success() && said.contains("2 revocations and 1 holds were taken over, 1 of them"), "{said}{error}");
    clean(&plan);
    // One that was taken over, and no record says so. The first octet of a serial may be a zero that is not told.
    let of_lost = format!("serial IN (x'{lost}', x'00{lost}')");
    Base(None).sql(&plan, &format!("UPDATE statuses SET serial = x'{FORGED}' WHERE {of_lost}"));
    let lines = found(&plan);
    has(&lines, &format!("says that the status of {lost} was taken over, and it has none"));
    has(&lines, &format!("table statuses: {FORGED} was revoked"));
}

#[test]
fn a_certificate_that_is_on_no_record_is_found_and_so_is_who_holds_it() {
    for base in Base::both() {
        let (plan, _) = every_state(&base);
        let forged = base.octets(FORGED);
        let columns = "authority, common_name, organizational_unit, organization, not_before, not_after, der";
        let of = |column: &str| format!("(SELECT {column} FROM certificates WHERE serial = {forged})");
        let statements = format!(
            "INSERT INTO certificates (serial, contract, user_id, {columns}, issue_number, public_key, begun_at)
             SELECT {forged}, 'H1', 'none', {columns}, 1, public_key, begun_at - 100000
             FROM certificates WHERE der IS NOT NULL ORDER BY serial LIMIT 1;
             UPDATE users SET certificate = 'held', serial = {forged}, not_before = {}, not_after = {},
             issue_number = 1, issues = 1, registered_at = since WHERE contract = 'H1' AND id = 'none'",
            of("not_before"),
            of("not_after"),
        );
        base.sql(&plan, &statements);
        let lines = found(&plan);
        has(&lines, &format!("table certificates: {FORGED} of user none of H1 was completed, and no record says"));
        has(&lines, &format!("table users: user none of H1 holds {FORGED}, and no record says"));
        assert_eq!(lines.len(), 2, "{lines:#?}");
        // And one that was only begun.
        base.sql(&plan, &format!("UPDATE certificates SET der = NULL WHERE serial = {forged}"));
        let begun = format!("table certificates: {FORGED} of user none of H1 was begun, and no record says so");
        has(&found(&plan), &begun);
    }
}

#[test]
fn a_log_that_was_taken_away_whole_is_missed_and_the_lines_are_few() {
    for base in Base::both() {
        let (plan, _) = every_state(&base);
        let zeros = base.octets(&"00".repeat(32));
        base.sql(&plan, &format!("DELETE FROM audit; UPDATE head SET sequence = 0, hash = {zeros}"));
        let lines = found(&plan);
        assert_eq!(lines.len(), 20, "{lines:#?}");
        has(&lines, "table certificates: ");
        has(&lines, " was completed, and no record says that it was issued");
        // Of what comes after them.
        base.sql(&plan, "DELETE FROM certificates");
        let lines = found(&plan);
        has(&lines, "was revoked (sequence 1), and no record says so");
        has(&lines, "table users: user deleted of H1 is there, and no record says that they were registered");
        has(&lines, "table users: user deleted of H1 is deleted, and no record says so");
    }
}

#[test]
fn a_log_that_was_cut_before_a_revocation_is_missed_by_what_was_done_since() {
    for base in Base::both() {
        let (plan, revoked) = every_state(&base);
        let revocation = "(SELECT min(sequence) FROM audit WHERE text LIKE '%\"command\":\"revoke\"%')";
        let of = |column: &str| format!("(SELECT {column} FROM certificates WHERE certificates.serial = users.serial)");
        let statements = format!(
            "DELETE FROM audit WHERE sequence >= {revocation};
             UPDATE head SET sequence = (SELECT max(sequence) FROM audit), status = 0,
             hash = (SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1);
             DELETE FROM statuses;
             UPDATE users SET certificate = 'held', not_before = {}, not_after = {}, registered_at = since,
             revoked_at = NULL, reason = NULL WHERE certificate = 'revoked'",
            of("not_before"),
            of("not_after"),
        );
        base.sql(&plan, &statements);
        let lines = found(&plan);
        has(&lines, "of user issued of H1 was completed, and no record says that it was issued");
        has(&lines, "of user deleted of H1 was completed, and no record says that it was issued");
        // A log that ends there is that of a backup, whose head somebody has kept.
        assert!(!lines.iter().any(|line| line.contains(&revoked)), "{lines:#?}");
    }
}

#[test]
fn a_standing_or_a_status_that_no_record_made_is_found() {
    for base in Base::both() {
        let (plan, revoked) = every_state(&base);
        for (statement, wanted) in [
            (
                "UPDATE users SET standing = 'active' WHERE id = 'held'".to_owned(),
                "table users: user held of H1 is active, and record ".to_owned(),
            ),
            (
                "UPDATE users SET standing = 'suspended' WHERE id = 'issued'".to_owned(),
                "table users: user issued of H1 is suspended, and no record says so".to_owned(),
            ),
            (
                "DELETE FROM statuses WHERE status <> 'revoked'".to_owned(),
                "table users: user held of H1 is suspended and holds ".to_owned(),
            ),
            (
                "INSERT INTO statuses (sequence, authority, serial, status, at, not_after)
                 SELECT 99, authority, serial, 'released', at - 100000, not_after FROM statuses WHERE sequence = 1"
                    .to_owned(),
                format!("table statuses: {revoked} was released (sequence 99), and no record says so"),
            ),
            (
                // With everything that tells of it, but for the record.
                "DELETE FROM statuses WHERE sequence = 1;
                 UPDATE users SET certificate = 'held', not_before = 1, not_after = 9999999999, registered_at = 1,
                 revoked_at = NULL, reason = NULL WHERE id = 'revoked'"
                    .to_owned(),
                format!("table users: user revoked of H1 holds {revoked}, and record "),
            ),
            (
                // As the one before, of a reissue: what it revoked is on its record.
                "DELETE FROM statuses WHERE reason = 4".to_owned(),
                "was revoked, and no status has it".to_owned(),
            ),
        ] {
            let (base, copy) = base.copy(&plan);
            base.sql(&copy, &statement);
            has(&found(&copy), &wanted);
        }
    }
}

#[test]
fn a_row_that_no_issuer_wrote_so_is_named_and_the_others_are_looked_at() {
    for base in Base::both() {
        let (plan, revoked) = every_state(&base);
        let short = base.octets("00");
        let statements = format!(
            "UPDATE certificates SET public_key = {short} WHERE user_id = 'issued';
             UPDATE statuses SET status = 'forgotten' WHERE sequence = 2;
             UPDATE users SET standing = 'unknown' WHERE id = 'issued';
             UPDATE users SET standing = 'suspended' WHERE contract = 'H2'"
        );
        base.sql(&plan, &statements);
        let lines = found(&plan);
        has(&lines, "table certificates: the ");
        has(&lines, "and so what comes then, cannot be read: a digest of another length");
        has(
            &lines,
            "table statuses: the row behind sequence 1, and so what comes then, cannot be read: an unknown status",
        );
        has(&lines, "table users: of H1 the one behind held, and so what comes then, cannot be read: ");
        has(&lines, "table users: user ended of H2 is suspended, and no record says so");
        assert!(!lines.iter().any(|line| line.contains(&revoked)), "{lines:#?}");
    }
}
