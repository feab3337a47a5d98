//! An issuer is ready while it can write.

use crate::common::wait_until;
use crate::postgres;
use crate::support::{Issuer, Plan};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

/// Another process that holds a SQLite file's write lock until its input ends.
struct Locker(Child);

impl Locker {
    fn of(plan: &Plan) -> Self {
        let script = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()
connection.execute('ROLLBACK')";
        let mut command = Command::new("python3");
        let command = command.args(["-c", script]).arg(plan.path("issuer.db"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        Self(child)
    }

    fn release(mut self) {
        let mut stdin = self.0.stdin.take().unwrap();
        stdin.flush().unwrap();
        drop(stdin);
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_ready(issuer: &Issuer) -> bool {
    issuer.admin_get("/readyz").0 == 200
}

#[test]
fn an_issuer_whose_file_another_process_has_locked_is_not_ready() {
    let issuer = Issuer::of(&["bizstation"]);
    assert!(is_ready(&issuer));
    let locker = Locker::of(&issuer.plan);
    wait_until("it is not ready", || !is_ready(&issuer));
    let (_, why) = issuer.admin_get("/readyz");
    assert!(why.contains("the store"), "{why}");
    locker.release();
    wait_until("it is ready again", || is_ready(&issuer));
}

#[test]
fn an_issuer_whose_database_takes_no_writes_is_not_ready() {
    let url = postgres::new_database();
    let issuer = Plan::new(&["bizstation"]).on_postgres(&url).start();
    assert!(is_ready(&issuer));
    let database = postgres::name(&url).to_owned();
    let read_only = |word: &str| {
        postgres::sql("postgres", &format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = {word}"));
        // What is connected keeps what it began with.
        let backends = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'");
        postgres::sql("postgres", &backends);
    };
    read_only("on");
    wait_until("it is not ready", || issuer.admin_get("/readyz").1.contains("read-only"));
    read_only("off");
    wait_until("it is ready again", || is_ready(&issuer));
}
