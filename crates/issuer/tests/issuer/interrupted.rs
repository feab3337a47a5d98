//! An acquisition that the issuer's death cuts between its two transactions: the intent is recorded, and nobody knows
//! whether it was signed.
//!
//! The death is made to fall there: as soon as the intent is in the database, the test holds the database's write lock,
//! and kills the issuer that waits for it.

use crate::support::{Bank, Issuer, NewKey, Person, Plan};
use sekisho_pki::serial::SerialNumber;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Users who try, one after the other, until one is caught in between.
const USERS: usize = 20;

/// What is left when the issuer died between intent and completion.
struct Cut {
    plan: Plan,
    /// Whose acquisition it was.
    user: String,
    /// What they acquired with.
    secret: Option<String>,
    /// The serial of what was to be signed.
    serial: String,
}

/// Lets users acquire until one is caught.
fn cut(profile: &str, contract: &str, role: &str, factors: &[&str]) -> Cut {
    let issuer = Issuer::of(&[profile]);
    let bank = issuer.bank();
    bank.open(profile, contract);
    let database = issuer.plan.path("issuer.db");
    for number in 0..USERS {
        let user = format!("user{number}");
        let (person, registered) = bank.register(contract, &user, role);
        let secret = registered["acquisition_password"].as_str().map(str::to_owned);
        let over = AtomicBool::new(false);
        let caught = std::thread::scope(|scope| {
            scope.spawn(|| {
                let body = person.acquisition(secret.as_deref(), factors, &NewKey::new().request());
                let headers = [("idempotency-key", user.as_str())];
                let body = Some(body.to_string().into_bytes());
                let client = person.through_ib(None);
                if let Ok(answer) = client.try_send(reqwest::Method::POST, &person.path("acquire"), &headers, body) {
                    assert_eq!(answer.status, 200, "{answer}");
                }
                over.store(true, Ordering::SeqCst);
            });
            let caught = hold_between(&database, &over);
            if caught.is_some() {
                issuer.kill_and_keep();
            }
            caught
        });
        if let Some((serial, lock)) = caught {
            drop(lock);
            return Cut { plan: issuer.plan_of_ended(), user, secret, serial };
        }
    }
    panic!("none of {USERS} acquisitions was caught between its transactions");
}

/// The write lock of the database.
struct Lock {
    _connection: SqliteConnection,
    _runtime: tokio::runtime::Runtime,
}

/// Takes the write lock again and again until there is an intent that is not completed: its serial, and the lock.
fn hold_between(database: &std::path::Path, over: &AtomicBool) -> Option<(String, Lock)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(Duration::ZERO);
    let mut connection = runtime.block_on(options.connect()).unwrap();
    let found = runtime.block_on(async {
        while !over.load(Ordering::SeqCst) {
            if sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.is_err() {
                continue;
            }
            let rows =
                sqlx::query("SELECT serial FROM certificates WHERE der IS NULL").fetch_all(&mut connection).await;
            if let Some(row) = rows.unwrap().first() {
                let octets: Vec<u8> = row.get(0);
                return Some(SerialNumber::from_der_content(&octets).unwrap().to_string());
            }
            sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
            std::thread::yield_now();
        }
        None
    });
    found.map(|serial| (serial, Lock { _connection: connection, _runtime: runtime }))
}

#[track_caller]
fn interrupted(issuer: &Issuer, bank: &Bank, person: &Person, authority: &str, serial: &str) {
    issuer.wait_for_list(authority, serial, Some(5));
    let history = bank.history(person);
    assert_eq!(history[0], ("interrupt".to_owned(), "done".to_owned()), "{history:?}");
    let told = issuer.records(|record| record["message"].as_str().is_some_and(|text| text.contains("interrupted")));
    assert_eq!(told.len(), 1, "operators are told");
    let certificate = bank.ib.get(&person.path("certificate"));
    assert_eq!(certificate.status, 404, "nothing of it ever leaves: {certificate}");
}

#[test]
fn an_interrupted_bizstation_acquisition_is_tried_again_with_the_same_password() {
    let cut = cut("bizstation", "3010429", "user", &["login-password"]);
    let issuer = cut.plan.start();
    let (bank, serial) = (issuer.bank(), cut.serial);
    let person = bank.person("3010429", &cut.user);
    interrupted(&issuer, &bank, &person, "biz", &serial);
    assert_eq!(bank.state(&person), "awaiting_acquisition");
    let held = person.acquire(cut.secret.as_deref(), &["login-password"]);
    assert_ne!(held.serial(), serial);
    issuer.wait_for_list("biz", &held.serial(), None);
}

#[test]
fn an_interrupted_shinkin_acquisition_takes_a_reissue_by_the_administrator() {
    let factors = &["pin", "one-time-password"];
    let cut = cut("shinkin", "00009876543", "user", factors);
    let issuer = cut.plan.start();
    let (bank, serial) = (issuer.bank(), cut.serial);
    let person = bank.person("00009876543", &cut.user);
    interrupted(&issuer, &bank, &person, "shk", &serial);
    bank.act(&person, "offer", "paper-form").refused(409, "not-possible-now");
    bank.act(&person, "reissue", "paper-form").done();
    assert_eq!(bank.user(&person)["state"], "awaiting_acquisition");
    assert_eq!(bank.user(&person)["serial"], Value::Null, "no certificate was ever theirs");
}

#[test]
fn an_interrupted_anser_bizsol_acquisition_is_begun_again_by_the_users_login() {
    let factors = &["login-password", "one-time-password"];
    let cut = cut("anser-bizsol", "A1234567", "general", factors);
    let issuer = cut.plan.start();
    let (bank, serial) = (issuer.bank(), cut.serial);
    let person = bank.person("A1234567", &cut.user);
    interrupted(&issuer, &bank, &person, "bsl", &serial);
    assert_eq!(bank.state(&person), "not_issued");
    // Its one-time password was used; the next one is another.
    person.one_time_password();
    let held = person.acquire(None, factors);
    issuer.wait_for_list("bsl", &held.serial(), None);
    issuer.wait_for_list("bsl", &serial, Some(5));
}
