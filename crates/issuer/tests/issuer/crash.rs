//! kill -9 at random moments, and a disk that is full: what clients were told still holds, and nothing is there twice.
//!
//! Clients act on users of their own and keep what they were told. After each death the issuer is started again and
//! everything is compared: what was told, the users' states, the revocation list, the history, the notices, the chain.

use crate::common::{issuer_binary, wait_for, wait_until};
use crate::support::{Bank, Client, Issuer, NewKey, Person, Plan, new_key, staff};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};

const CONTRACT: &str = "H1";

/// One client's user and what it was told of it.
struct Told {
    user: String,
    /// Serials in the order they were handed out.
    acquired: Vec<String>,
    /// Serials that it was told are revoked.
    revoked: BTreeSet<String>,
    /// Whether it was told that the user is suspended.
    suspended: bool,
    /// Suspensions that were lifted since the last certificate.
    resumed: u32,
    /// An act that got no answer: it may have been done or not. What it was, and its idempotency key and body.
    unanswered: Option<(&'static str, String, Value)>,
}

impl Told {
    fn live(&self) -> Option<&String> {
        self.acquired.last().filter(|serial| !self.revoked.contains(*serial))
    }

    /// What comes next: many quick acts on each certificate, so that there is always one under way.
    fn next_act(&self) -> &'static str {
        match self.live() {
            None => "acquire",
            Some(_) if self.suspended => "resume",
            Some(_) if self.resumed < 10 => "suspend",
            Some(_) => "revoke",
        }
    }
}

fn person(bank: &Bank, user: &str) -> Person {
    bank.person(CONTRACT, user)
}

/// Acts on one user, in turn acquiring and revoking, until there is no answer. Says of each answer that it came.
fn act_until_it_dies(bank: &Bank, told: &mut Told, answered: &Sender<()>) {
    let person = person(bank, &told.user);
    loop {
        let act = told.next_act();
        let body = match act {
            "acquire" => person.acquisition(None, &["login-password"], &NewKey::new().request()),
            "revoke" => json!({ "reason": "superseded", "staff": staff("staff-desk") }),
            _ => json!({ "staff": staff("staff-desk") }),
        };
        let key = new_key();
        match send(client(bank, act), &person, act, &key, &body) {
            Some(answer) => {
                told.hear(act, &answer);
                // Nobody listens any more once the issuer is being killed.
                let _ = answered.send(());
            }
            None => {
                told.unanswered = Some((act, key, body));
                return;
            }
        }
    }
}

/// Who does it: the IB system for the user, or the desk.
fn client<'b>(bank: &'b Bank, act: &str) -> &'b Client {
    if act == "acquire" { &bank.ib } else { &bank.desk }
}

/// The body of a good answer; none when the connection broke or the store was not there.
fn send(client: &Client, person: &Person, act: &str, key: &str, body: &Value) -> Option<Value> {
    let headers = [("idempotency-key", key)];
    let answer = client.try_send(reqwest::Method::POST, &person.path(act), &headers, Some(body.to_string().into()));
    let answer = answer.ok()?;
    if answer.status == 503 {
        return None;
    }
    Some(answer.done())
}

impl Told {
    fn hear(&mut self, act: &str, answer: &Value) {
        match act {
            "acquire" => {
                self.acquired.push(answer["user"]["serial"].as_str().expect("a serial").to_owned());
                self.resumed = 0;
            }
            "suspend" => self.suspended = true,
            "resume" => (self.suspended, self.resumed) = (false, self.resumed + 1),
            _ => self.revoked.extend(self.live().cloned()),
        }
    }

    /// Repeats what got no answer, with its key: it is done now, once, or it cannot be any more.
    fn settle(&mut self, bank: &Bank) {
        let Some((act, key, body)) = self.unanswered.take() else { return };
        let person = person(bank, &self.user);
        let client = client(bank, act);
        let headers = [("idempotency-key", key.as_str())];
        let send = |key: &str| {
            let headers = [("idempotency-key", key)];
            client.send(reqwest::Method::POST, &person.path(act), &headers, Some(body.to_string().into()))
        };
        // Beside other nodes what was begun is given up only once no request could be at it any more.
        let first = wait_for("an answer other than in-progress", || {
            let answer = client.send(reqwest::Method::POST, &person.path(act), &headers, Some(body.to_string().into()));
            let in_progress = answer.status == 409 && answer.problem() == "in-progress";
            (!in_progress).then_some(answer)
        });
        match (act, first.status) {
            (_, 200) => self.hear(act, &first.json()),
            // It was begun and interrupted by the death; its key says so for ever, and another one begins anew. With
            // PostgreSQL it could still be another node's work until a request's time is over.
            ("acquire", 409) => {
                assert!(["not-repeatable", "in-progress"].contains(&first.problem().as_str()), "{first}");
                let with_new_key = person.acquisition(None, &["login-password"], &NewKey::new().request());
                let again = client.send(
                    reqwest::Method::POST,
                    &person.path(act),
                    &[("idempotency-key", &new_key())],
                    Some(with_new_key.to_string().into()),
                );
                self.hear(act, &again.done());
            }
            _ => panic!("{act}: {first}, then {}", send(&new_key())),
        }
    }
}

/// Everything that was told, compared with everything that is there.
fn check(issuer: &Issuer, bank: &Bank, all: &[Told]) {
    let mut serials = BTreeSet::new();
    for told in all {
        for serial in &told.acquired {
            assert!(serials.insert(serial.clone()), "serial {serial} was given out twice");
        }
    }
    for told in all {
        let person = person(bank, &told.user);
        let user = bank.user(&person);
        match told.live() {
            Some(serial) => {
                assert_eq!((user["state"].as_str(), user["serial"].as_str()), (Some("issued"), Some(serial.as_str())));
            }
            None if told.acquired.is_empty() => assert_eq!(user["state"], "not_issued"),
            None => assert_eq!(user["state"], "revoked"),
        }
        let standing = if told.suspended { "suspended" } else { "active" };
        assert_eq!(user["standing"], standing, "{user}");
        // What is suspended is on hold, and on the list as well.
        let live = told.live().filter(|_| !told.suspended).cloned();
        wait_until("the list has every certificate but the one that lives", || {
            let listed: BTreeSet<_> = issuer.list("hkg").into_iter().map(|(serial, _)| serial).collect();
            told.acquired.iter().all(|serial| listed.contains(serial) != (live.as_ref() == Some(serial)))
        });
        notices_are_told_once(bank, &person, told);
    }
    let output = Command::new(issuer_binary())
        .args(["audit", "verify", "--config"])
        .arg(issuer.plan.path("issuer.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    history_has_what_was_told(issuer, all);
}

fn notices_are_told_once(bank: &Bank, person: &Person, told: &Told) {
    let path = format!("/v1/contracts/{CONTRACT}/users/{}/notices?limit=200", person.user);
    let mut count = BTreeMap::new();
    for notice in bank.ib.get(&path).done()["items"].as_array().unwrap() {
        let about = format!("{}/{}", notice["about"], notice["serial"]);
        *count.entry(about).or_insert(0) += 1;
    }
    assert!(count.values().all(|times| *times == 1), "{count:?}");
    let newest = told.acquired.last();
    let issued =
        |serial: &String| count.keys().any(|about| about.contains("issued") && about.contains(serial.as_str()));
    assert!(newest.is_none_or(issued), "{newest:?} in {count:?}");
}

/// Each certificate that was handed out was begun once and completed once.
fn history_has_what_was_told(issuer: &Issuer, all: &[Told]) {
    let output = Command::new(issuer_binary())
        .args(["audit", "export", "--config"])
        .arg(issuer.plan.path("issuer.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut completed = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        if entry["command"] == "complete" && entry["result"] == "done" {
            *completed.entry(entry["serial"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    for serial in all.iter().flat_map(|told| &told.acquired) {
        assert_eq!(completed.get(serial), Some(&1), "{serial}");
    }
}

/// Opens the contract and registers so many users.
fn users(bank: &Bank, count: usize) -> Vec<Told> {
    bank.open("hokugin", CONTRACT);
    let user = |number| {
        let user = format!("u{number}");
        bank.register(CONTRACT, &user, "general");
        Told { user, acquired: Vec::new(), revoked: BTreeSet::new(), suspended: false, resumed: 0, unanswered: None }
    };
    (0..count).map(user).collect()
}

/// Rounds of life and death.
fn die_and_come_back(mut plan: Plan, rounds: u32) {
    let issuer = plan.start();
    let mut all = users(&issuer.bank(), 6);
    plan = issuer.restart().kill();
    let mut acts = 0;
    for round in 0..rounds {
        let issuer = plan.start();
        let bank = issuer.bank();
        for told in &mut all {
            told.settle(&bank);
        }
        check(&issuer, &bank, &all);
        plan = std::thread::scope(|scope| {
            let (answered, answers) = channel();
            for told in &mut all {
                let (bank, answered) = (&bank, answered.clone());
                scope.spawn(move || act_until_it_dies(bank, told, &answered));
            }
            drop(answered);
            // Another number each round: in the middle of whatever the other clients are at, on any machine.
            let number = 60 + round as usize * 37 % 100;
            assert_eq!(answers.iter().take(number).count(), number, "the issuer died by itself");
            issuer.kill()
        });
        acts += all.iter().filter(|told| told.unanswered.is_some()).count();
    }
    let issuer = plan.start();
    let bank = issuer.bank();
    for told in &mut all {
        told.settle(&bank);
    }
    check(&issuer, &bank, &all);
    let told: usize = all.iter().map(|told| told.acquired.len()).sum();
    assert!(acts > 0, "no death hit anything");
    assert!(told > all.len(), "hardly anything was done: {told}");
}

#[test]
fn kill_9_at_any_moment_loses_and_doubles_nothing_that_was_told() {
    die_and_come_back(Plan::new(&["hokugin"]), 5);
}

#[test]
fn kill_9_loses_and_doubles_nothing_over_postgresql_either() {
    let url = crate::postgres::new_database();
    let plan = Plan::new(&["hokugin"]).on_postgres(&url).with("[limits]", "[limits]\nrequest_timeout = \"1s\"");
    die_and_come_back(plan, 3);
}

#[test]
fn a_full_disk_is_503_with_nothing_half_done_until_there_is_room() {
    let issuer = Plan::new(&["hokugin"]).start_with_little_room(2_048);
    let bank = issuer.bank();
    let mut all = users(&bank, 3);
    let (answered, _) = channel();
    std::thread::scope(|scope| {
        for told in &mut all {
            let (bank, answered) = (&bank, answered.clone());
            scope.spawn(move || act_until_it_dies(bank, told, &answered));
        }
    });
    assert!(all.iter().all(|told| told.unanswered.is_some()), "the disk was not full for everybody");
    // Reading goes on, and what was told is what is there.
    for told in &all {
        let user = bank.user(&person(&bank, &told.user));
        assert!(["issued", "revoked", "not_issued", "awaiting_acquisition"].contains(&user["state"].as_str().unwrap()));
    }
    issuer.give_room();
    wait_until("the store takes acts again", || {
        let person = person(&bank, &all[0].user);
        bank.act(&person, "lock", "staff-desk").status != 503
    });
    bank.act(&person(&bank, &all[0].user), "unlock", "paper-form");
    let issuer = issuer.restart();
    let bank = issuer.bank();
    for told in &mut all {
        told.settle(&bank);
    }
    check(&issuer, &bank, &all);
}
