//! One name, one user: what certificates name is unique in the whole bank.

use crate::support::{Answer, Issuer, Person, Plan, staff};
use serde_json::json;

/// Runs SQL on an issuer's store beside it.
fn sql(plan: &Plan, statements: &str) {
    let script = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
for statement in sys.argv[2].split(';'):
    connection.execute(statement)";
    let mut command = std::process::Command::new("python3");
    let output = command.args(["-c", script]).arg(plan.path("issuer.db")).arg(statements).output().unwrap();
    assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn registers(master: &Person, id: &str, factors: &[&str]) -> Answer {
    let body = master.body(factors, json!({ "id": id, "role": "general" }));
    let holder = master.acquire(None, LOGIN);
    master.through_ib(Some(&holder)).post(&format!("/v1/contracts/{}/users", master.contract), &body)
}

const LOGIN: &[&str] = &["login-password"];

#[test]
fn a_login_id_is_one_customers_even_after_its_user_was_deleted() {
    let issuer = Issuer::of(&["anser-bizsol", "hokugin"]);
    let bank = issuer.bank();
    for (profile, first, second) in [("anser-bizsol", "A0000001", "B0000001"), ("hokugin", "A0000002", "B0000002")] {
        for contract in [first, second] {
            bank.open_off(profile, contract, "not-used");
            bank.switch(contract, "on").done();
        }
        let login = format!("hanako-{first}");
        let (victim, _) = bank.register(first, &login, "master");
        // By the desk.
        let body = json!({ "id": login, "role": "master", "staff": staff("paper-form") });
        let by_desk = || bank.desk.post(&format!("/v1/contracts/{second}/users"), &body);
        by_desk().refused(409, "not-possible-now");
        // By the other customer's own master, online, with everything proven.
        let (master, _) = bank.register(second, &format!("evil-{second}"), "master");
        let factors = &["confirmation-password"];
        registers(&master, &login, factors).refused(409, "not-possible-now");
        // The login ID finds its contract, and no other does.
        let found = bank.ib.get(&format!("/v1/profiles/{profile}/users/{login}")).done();
        assert_eq!((found["contract"].as_str(), found["user"].as_str()), (Some(first), Some(login.as_str())));
        bank.ib.get(&format!("/v1/profiles/{profile}/users/nobody")).refused(403, "not-permitted");
        bank.act(&victim, "delete", "paper-form").done();
        by_desk().refused(409, "not-possible-now");
    }
}

#[test]
fn a_role_whose_certificates_name_no_user_is_one_users_at_a_time() {
    let issuer = Issuer::of(&["shinkin"]);
    let bank = issuer.bank();
    bank.open("shinkin", "00009876543");
    let (first, _) = bank.register("00009876543", "kanri1", "administrator");
    let body = json!({ "id": "kanri2", "role": "administrator", "staff": staff("paper-form") });
    let second = || bank.desk.post("/v1/contracts/00009876543/users", &body);
    second().refused(409, "not-possible-now");
    bank.register("00009876543", "riyousya", "user");
    // The fixed word of the names is nobody's ID.
    let body = json!({ "id": "1635", "role": "user", "staff": staff("paper-form") });
    bank.desk.post("/v1/contracts/00009876543/users", &body).refused(409, "not-possible-now");
    bank.act(&first, "delete", "paper-form").done();
    second().done();
}

#[test]
fn an_id_of_dots_alone_is_refused() {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", "A0000001");
    for id in [".", ".."] {
        let body = json!({ "id": id, "role": "general", "staff": staff("paper-form") });
        bank.desk.post("/v1/contracts/A0000001/users", &body).refused(409, "not-possible-now");
    }
}

#[test]
fn a_store_in_which_two_customers_have_one_login_id_is_refused_with_their_names() {
    let issuer = Issuer::of(&["anser-bizsol"]);
    let bank = issuer.bank();
    bank.open("anser-bizsol", "A0000001");
    bank.open("anser-bizsol", "B0000001");
    bank.register("A0000001", "hanako", "general");
    bank.register("B0000001", "taro", "general");
    let (status, plan) = issuer.stop();
    assert!(status.success());
    // As a release left it that kept login IDs apart within a contract only.
    let columns = "role, standing, wrong, certificate, issues, offers, language, since";
    sql(
        &plan,
        &format!(
            "DELETE FROM unique_names; INSERT INTO users (contract, id, {columns})
            SELECT 'B0000001', id, {columns} FROM users WHERE id = 'hanako'"
        ),
    );
    let (status, output) = plan.refused();
    assert_eq!(status.code(), Some(1), "{output}");
    for word in [
        "issuer.toml:",
        "store.url",
        "\"hanako\"",
        "\"A0000001\"",
        "\"B0000001\"",
        "anser-bizsol",
        "Delete all but one",
    ] {
        assert!(output.contains(word), "{word:?} is not in {output}");
    }
    assert!(!output.contains("\"taro\""), "{output}");
    // One of them deleted: the other keeps the ID, as everybody else does.
    sql(&plan, "UPDATE users SET standing = 'deleted' WHERE contract = 'A0000001'");
    let issuer = plan.start();
    let bank = issuer.bank();
    for (login, contract) in [("hanako", "B0000001"), ("taro", "B0000001")] {
        let found = bank.ib.get(&format!("/v1/profiles/anser-bizsol/users/{login}")).done();
        assert_eq!(found["contract"], contract);
    }
    let body = json!({ "id": "taro", "role": "general", "staff": staff("paper-form") });
    bank.desk.post("/v1/contracts/A0000001/users", &body).refused(409, "not-possible-now");
}
