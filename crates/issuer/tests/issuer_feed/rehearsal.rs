//! What `docs/guide/backup-and-restore.md` tells to do, done: a backup, more revocations, the store lost and restored.

use crate::common::{Gateway, Version, alert, wait_until};
use crate::gateway::{ALERT, Following, configuration};
use crate::support::{Held, Plan};
use crate::world::{bank, plan, plan_on_postgres, user};
use rustls::AlertDescription;
use std::path::Path;
use std::process::Command;

/// How a database is backed up while the issuer runs, and how it comes back.
struct Database<'a> {
    back_up: &'a dyn Fn(&Plan),
    restore: &'a dyn Fn(&Plan),
}

fn get(at: &Following, held: &Held) -> Result<u16, Option<AlertDescription>> {
    let answer = at.client(held, Version::Tls13).get(&at.gateway, ALERT, "/echo");
    answer.map(|(answer, _)| answer.status).map_err(|error| alert(&error))
}

const REVOKED: Result<u16, Option<AlertDescription>> = Err(Some(AlertDescription::CertificateRevoked));

fn rehearse(plan: Plan, database: &Database<'_>) {
    let issuer = plan.and("wait = \"10s\"").start();
    let office = bank(&issuer);
    let [(first, one), (second, two), (_, three)] = ["u1", "u2", "u3"].map(|name| user(&office, name));
    let at = Following::new(&issuer, "gateway-1");
    (database.back_up)(&issuer.plan);
    // Revoked after the backup: the gateway has the list that has it, and only that.
    office.act(&first, "revoke", "staff-desk").done();
    wait_until("the list has it", || at.gateway.metric(r#"sekisho_feed_changes_not_in_crl{ca="hkg"}"#) < 1.0);
    assert_eq!((get(&at, &one), get(&at, &three)), (REVOKED, Ok(200)));
    // The store is lost.
    let plan = issuer.kill();
    (database.restore)(&plan);
    let (_, said) = plan.refused();
    assert!(said.contains("the store lacks what was published there: 1 revocations"), "{said}");
    assert_eq!(get(&at, &one), REVOKED);
    let state = at.pki.path("state").display().to_string();
    let (status, said, error) = plan.store_command(&["reconcile", "--gateway-state", &state]);
    assert!(status.success() && said.contains("1 revocations and 0 holds were taken over"), "{said}{error}");
    let issuer = plan.start();
    // At another port, as it happens.
    at.gateway.write_config(&configuration(&issuer, &at.app));
    wait_until("the gateway follows it", || {
        at.gateway.metric("sekisho_feed_connected") > 0.0 && at.gateway.admin_get("/readyz").0 == 200
    });
    assert_eq!((get(&at, &one), get(&at, &two), get(&at, &three)), (REVOKED, Ok(200), Ok(200)));
    issuer.wait_for_list("hkg", &one.serial(), Some(0));
    // It goes on, and nothing was let in again, at a gateway that starts now neither.
    let answer = issuer.bank().act(&second, "revoke", "staff-desk").done();
    assert_eq!(answer["propagation"]["have"], 1, "{answer}");
    let config = std::fs::read_to_string(at.gateway.config()).unwrap();
    let Following { gateway, app, pki } = at;
    drop(gateway);
    let at = Following { gateway: Gateway::start(&pki, &config), app, pki };
    wait_until("it follows", || at.gateway.admin_get("/readyz").0 == 200);
    assert_eq!((get(&at, &one), get(&at, &two), get(&at, &three)), (REVOKED, REVOKED, Ok(200)));
}

/// SQLite's own way to copy a database that is in use.
fn vacuum_into(from: &Path, to: &Path) {
    let script = "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', (sys.argv[2],))";
    let done = Command::new("python3").args(["-c", script]).arg(from).arg(to).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_restored_sqlite_store_is_brought_back_as_the_guide_says() {
    rehearse(
        plan(&["gateway-1"]),
        &Database {
            back_up: &|plan| vacuum_into(&plan.path("issuer.db"), &plan.path("backup.db")),
            restore: &|plan| {
                for file in ["issuer.db", "issuer.db-wal", "issuer.db-shm"] {
                    let _ = std::fs::remove_file(plan.path(file));
                }
                let mut install = Command::new("install");
                install.args(["-m", "0600"]).arg(plan.path("backup.db")).arg(plan.path("issuer.db"));
                assert!(install.status().unwrap().success());
            },
        },
    );
}

#[test]
fn a_restored_postgresql_store_is_brought_back_as_the_guide_says() {
    let (plan, url) = plan_on_postgres(&["gateway-1"]);
    let name = crate::postgres::name(&url);
    rehearse(
        plan,
        &Database {
            back_up: &|plan| crate::postgres::dump(name, &plan.path("backup.dump")),
            restore: &|plan| crate::postgres::restore(name, &plan.path("backup.dump")),
        },
    );
}
