//! The plan, for people and as JSON.

use super::compare::{CaPlan, Change, Comparison, Crowd};
use super::seen::Log;
use sekisho_config::CaState;
use serde_json::{Value, json};
use std::fmt::{self, Write as _};

/// What is told.
pub(super) struct Report {
    text: String,
    json: Value,
    visits: u64,
    locked_out: Crowd,
}

impl Report {
    /// From what was compared.
    pub(super) fn new([old, new]: [String; 2], days: u16, log: &Log, comparison: &Comparison<'_>) -> Self {
        let mut locked_out = Crowd::default();
        let mut who = Vec::new();
        for locked in comparison.locked_out() {
            locked_out.add(locked.person);
            let (contract, user) = locked.person;
            who.push(json!({
                "site": locked.site, "contract": contract, "user": user, "ca": locked.ca,
                "why": locked.why.words(), "last_seen": locked.last_seen,
            }));
        }
        let cas = comparison.cas();
        let mut text = format!(
            "From {old} to {new}, by {} authentications of the last {days} days (since {}).\n",
            log.visits, log.since
        );
        cas.iter().for_each(|plan| text += &ca_text(plan));
        text += &notes(log, comparison);
        text += &match (log.visits, locked_out.is_empty()) {
            (0, _) => "NOBODY CAME in these logs and days: they do not say who would be locked out.\n".to_owned(),
            (_, true) => "Nobody who came would be locked out.\n".to_owned(),
            (_, false) => format!("{} WOULD BE LOCKED OUT.\n", counts(&locked_out)),
        };
        let json = json!({
            "old": old, "new": new, "days": days, "since": log.since,
            "logs": {
                "files": log.files, "authentications": log.visits, "older": log.older, "begin": log.begins,
                "unreadable_lines": log.bad, "unreadable_examples": log.examples, "unknown_ca": comparison.unknown_ca,
            },
            "cas": cas.iter().map(ca_json).collect::<Vec<_>>(),
            "locked_out": { "contracts": locked_out.contracts(), "users": locked_out.users(), "who": who },
        });
        Self { text, json, visits: log.visits, locked_out }
    }

    /// One JSON object.
    pub(super) const fn json(&self) -> &Value {
        &self.json
    }

    /// Whether nobody came, so that nothing follows.
    pub(super) const fn says_nothing(&self) -> bool {
        self.visits == 0
    }

    /// Whether somebody who came would not get in.
    pub(super) fn locks_somebody_out(&self) -> bool {
        !self.locked_out.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn ca_text(plan: &CaPlan<'_>) -> String {
    let state = |state: Option<CaState>| state.map_or("absent", CaState::as_str);
    let (was, will_be) = (state(plan.was), state(plan.will_be));
    let word = match plan.change {
        Change::Stays => "",
        Change::Drains => "  DRAINS",
        Change::Returns => "  returns",
        Change::Goes => "  GOES",
        Change::Comes => "  comes",
    };
    let mut text = format!("CA {} ({}): {was} -> {will_be}{word}\n", plan.ca.name, plan.ca.subject);
    // Writing to a String does not fail.
    if let Some(last_seen) = plan.last_seen {
        let _ = writeln!(text, "  seen: {}, last {last_seen}", counts(&plan.seen));
    } else if plan.change != Change::Comes {
        let _ = writeln!(text, "  seen: nobody");
    }
    if !plan.locked_out.is_empty() {
        let _ = writeln!(text, "  LOCKED OUT: {}", counts(&plan.locked_out));
    }
    for ((site, why), people) in &plan.by_site {
        let _ = writeln!(text, "    at site {site}: {} ({})", why.words(), counts(people));
    }
    if !plan.moved.is_empty() {
        let _ = writeln!(text, "  {} have come with another certificate too, which gets in", counts(&plan.moved));
    }
    text
}

fn ca_json(plan: &CaPlan<'_>) -> Value {
    let crowd = |people: &Crowd| json!({ "contracts": people.contracts(), "users": people.users() });
    let by_site = plan.by_site.iter().map(|((site, why), people)| {
        json!({ "site": site, "why": why.words(), "contracts": people.contracts(), "users": people.users() })
    });
    json!({
        "name": plan.ca.name, "subject": plan.ca.subject,
        "was": plan.was.map(CaState::as_str), "will_be": plan.will_be.map(CaState::as_str), "change": plan.change.name(),
        "seen": crowd(&plan.seen), "last_seen": plan.last_seen, "moved": crowd(&plan.moved),
        "locked_out": crowd(&plan.locked_out), "locked_out_by_site": by_site.collect::<Vec<_>>(),
    })
}

/// What one should know of the logs before one believes the plan.
fn notes(log: &Log, comparison: &Comparison<'_>) -> String {
    let mut text = String::new();
    if let Some(begins) = log.begins.filter(|begins| *begins > log.since) {
        let _ = writeln!(text, "note: the logs begin at {begins}; who came only before that is not known");
    }
    if comparison.unknown_ca > 0 {
        let count = comparison.unknown_ca;
        let _ = writeln!(text, "note: {count} authentications by a CA that the first file does not have are left out");
    }
    if log.bad > 0 {
        let _ = writeln!(text, "note: {} lines are no records and are left out:", log.bad);
        log.examples.iter().for_each(|example| text += &format!("  {example}\n"));
    }
    text
}

fn counts(people: &Crowd) -> String {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (contracts, users) = (people.contracts(), people.users());
    format!("{contracts} contract{}, {users} user{}", plural(contracts), plural(users))
}
