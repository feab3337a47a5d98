//! One user's way: acquire, use at the gateway, reissue, old one refused, revoke, refused.

use super::api::{Answer, Api};
use super::files::{Acquired, Files};
use super::lives::{Life, Opens, Revoker, STEP_UP};
use super::seed;
use crate::process::poll;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

/// The gateway's site.
pub const SITE: &str = "ib.localhost";

/// The walking user's ID.
const USER: &str = "walker";

/// How long a revocation may take to reach the gateway.
const PATIENCE: Duration = Duration::from_secs(20);

/// Seconds of a one-time password's step: the second acquisition within one takes the next.
const STEP: i64 = 30;

/// One step of a walk.
#[derive(Debug)]
pub struct Step {
    /// What it shows.
    pub claim: String,
    /// What was done.
    pub command: String,
    /// Whether it went so, or what was seen.
    pub result: Result<(), String>,
}

struct Walk<'a> {
    service: &'a Api,
    keeper: Api,
    life: &'a Life,
    files: &'a Files,
    gateway: SocketAddr,
    steps: Vec<Step>,
}

/// Takes one contract's walking user through their life; ends at the first step that goes wrong.
pub(super) fn walk(service: &Api, files: &Files, life: &Life, gateway: SocketAddr) -> Vec<Step> {
    let keeper = files.of(life, life.keeper.0, 1);
    let keeper = service.through(gateway, SITE, keeper.certificate, keeper.key);
    let mut walk = Walk { service, keeper, life, files, gateway, steps: Vec::new() };
    // What went wrong is the last step.
    let _ = walk.go();
    walk.steps
}

impl Walk<'_> {
    fn go(&mut self) -> Result<(), ()> {
        let life = self.life;
        let (keeper, _) = life.keeper;
        let users = format!("/v1/contracts/{}/users", life.contract);
        let of_walker = |act: &str| format!("{users}/{USER}/{act}");
        let step_up = json!({ life.step_up: STEP_UP });

        let body = json!({ "id": USER, "role": life.role, "factors": step_up });
        let answer = self.keeper.send("POST", &users, Some("walk-register"), &body);
        let registered = self.note(&format!("{keeper} registers {USER} through the gateway 利用者登録"), answer)?;
        let secret = seed::secret(life, &registered).map_err(|_| ())?;
        let equipped = seed::equip(self.service, life, USER);
        self.keep("the bank gives them their factors", equipped)?;

        self.acquire("acquires 取得", 1, secret, 0)?;
        self.used("and is known at the gateway", 1)?;

        let again = if life.opens == Opens::Login {
            let answer = self.keeper.send("POST", &of_walker("revoke"), None, &json!({ "factors": step_up }));
            self.note(&format!("a new PC: {keeper} revokes, so that {USER} may acquire again 失効→再発行"), answer)?;
            None
        } else {
            let reissue = json!({ "factors": step_up });
            let answer = self.keeper.send("POST", &of_walker("reissue"), Some("walk-reissue"), &reissue);
            let answer = self.note(&format!("a new PC: {keeper} reissues 再発行"), answer)?;
            seed::secret(life, &answer).map_err(|_| ())?
        };
        self.refused("the old certificate is refused", 1)?;
        self.acquire("acquires again", 2, again, -STEP)?;
        self.used("the new certificate is good", 2)?;
        self.refused("the old one stays refused", 1)?;

        let answer = match life.revoker {
            Revoker::Keeper => self.keeper.send("POST", &of_walker("revoke"), None, &json!({ "factors": step_up })),
            Revoker::Desk => {
                let body = json!({ "reason": "key-compromise", "staff": seed::staff("staff-desk") });
                self.service.send("POST", &of_walker("revoke"), None, &body)
            }
        };
        let by = if life.revoker == Revoker::Keeper { keeper } else { "the bank's desk" };
        self.note(&format!("{by} revokes 失効"), answer)?;
        self.refused("and it is refused", 2)?;

        let history = self.service.get(&of_walker("history"));
        let told = |word: &str| history.body.to_string().contains(word);
        let complete = ["register", "acquire", "complete", "revoke"].into_iter().all(told);
        let result = if complete { Ok(history) } else { Err(history.seen()) };
        self.keep("the history 操作履歴 tells all of it", result)?;
        Ok(())
    }

    fn acquire(&mut self, claim: &str, count: u32, secret: Option<String>, ago: i64) -> Result<(), ()> {
        let into = self.files.of(self.life, USER, count);
        let answer = seed::acquire(self.service, self.life, USER, secret, ago, Some(&into));
        self.keep(&format!("{USER} {claim}"), answer).map(|_| ())
    }

    /// A page of the IB application, with that certificate.
    fn used(&mut self, claim: &str, count: u32) -> Result<(), ()> {
        let answer = self.page(count);
        self.note(claim, answer).map(|_| ())
    }

    fn refused(&mut self, claim: &str, count: u32) -> Result<(), ()> {
        let is_refused = |answer: Answer| answer.errors.contains("alert certificate revoked").then_some(answer);
        let refused = poll(PATIENCE, || is_refused(self.page(count)));
        let result = refused.ok_or_else(|| format!("accepted for {PATIENCE:?}"));
        self.keep(claim, result).map(|_| ())
    }

    fn page(&self, count: u32) -> Answer {
        let Acquired { certificate, key } = self.files.of(self.life, USER, count);
        self.service.through(self.gateway, SITE, certificate, key).get("/echo")
    }

    fn note(&mut self, claim: &str, answer: Answer) -> Result<Answer, ()> {
        let command = answer.command.clone();
        let result = answer.done();
        self.step(claim, command, result)
    }

    fn keep(&mut self, claim: &str, result: Result<Answer, String>) -> Result<Answer, ()> {
        let command = result.as_ref().map_or(String::new(), |answer| answer.command.clone());
        self.step(claim, command, result)
    }

    fn step(&mut self, claim: &str, command: String, result: Result<Answer, String>) -> Result<Answer, ()> {
        let claim = format!("{} {}: {claim}", self.life.profile, self.life.contract);
        let (answer, result) = match result {
            Ok(answer) => (Ok(answer), Ok(())),
            Err(seen) => (Err(()), Err(seen)),
        };
        self.steps.push(Step { claim, command, result });
        answer
    }
}
