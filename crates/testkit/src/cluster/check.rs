//! What the cluster promises, tried: processes are killed, and every gateway refuses who was revoked.

use super::users::{Page, User, revocation_body};
use super::{Cluster, GATEWAYS, ISSUERS, Wanted};
use crate::Passed;
use crate::process::{Output, poll};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// How long a revocation may take to reach every gateway, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that was tried, and what was seen where it went wrong.
type Step = (&'static str, Result<(), String>);

/// Runs the whole cluster on free ports and tries what it promises; whether all of it held.
///
/// # Errors
/// When the cluster does not come up.
pub fn check(folder: &Path) -> Result<Passed, Box<dyn Error>> {
    let wanted = Wanted { folder, port: 0, output: Output::Keep, change: |text| text };
    let mut cluster = Cluster::start(&wanted)?;
    let mut steps = Vec::new();
    let ended = cluster.try_everything(&mut steps);
    for (claim, result) in &steps {
        match result {
            Ok(()) => println!("PASS {claim}"),
            Err(seen) => println!("FAIL {claim}\n     {seen}"),
        }
    }
    let failed = steps.iter().filter(|(_, result)| result.is_err()).count();
    println!("{} passed, {failed} failed", steps.len() - failed);
    if let Err(error) = &ended {
        println!("It ended early: {error}");
    }
    Ok(if failed == 0 && ended.is_ok() { Passed::All } else { Passed::Some })
}

impl Cluster {
    fn try_everything(&mut self, steps: &mut Vec<Step>) -> Result<(), Box<dyn Error>> {
        let names = ["anna", "ben", "chie", "dan", "emi", "fumi"];
        let users = names.iter().enumerate().map(|(number, name)| self.acquire(number % ISSUERS, name));
        let users = users.collect::<Result<Vec<_>, _>>()?;
        let [anna, ben, chie, dan, emi, fumi] = &users[..] else { return Err("six users".into()) };

        let everybody = || users.iter().try_for_each(|user| self.served(user));
        steps.push(("users of either issuer are served at every gateway", everybody()));
        steps.push(("who is revoked at one issuer is refused at every gateway", self.revoked(0, anna)));

        self.kill_issuer(0);
        steps.push(("with an issuer killed, the other's revocation reaches every gateway", self.revoked(1, ben)));
        self.start_issuer(0)?;
        self.kill_issuer(1);
        steps.push(("and the other way round", self.revoked(0, chie)));
        self.start_issuer(1)?;

        self.postgres().stop();
        let answer = self.send_revocation(0, dan);
        let unavailable = if answer.status == 503 { Ok(()) } else { Err(answer.seen()) };
        steps.push(("without the database a revocation is refused, not forgotten", unavailable));
        self.postgres().start_again()?;
        steps.push(("after the database's crash a revocation reaches every gateway", self.revoked(1, dan)));

        self.kill_gateway(2);
        let revoked = self.revoked_at(0, emi, &[0, 1]);
        self.start_gateway(2)?;
        let revoked = revoked.and_then(|()| self.refused(2, emi));
        steps.push(("a gateway that was down learns of what it missed", revoked));
        steps.push(("who was not revoked is served at every gateway", self.served(fumi)));
        Ok(())
    }

    fn served(&self, user: &User) -> Result<(), String> {
        (0..GATEWAYS).try_for_each(|gateway| {
            let served = || Some(self.page(gateway, user)).filter(|page| *page == Page::Served);
            let found = poll(PATIENCE, served);
            found
                .map(drop)
                .ok_or_else(|| format!("{} at gateway {}: {:?}", user.name, gateway + 1, self.page(gateway, user)))
        })
    }

    fn refused(&self, gateway: usize, user: &User) -> Result<(), String> {
        let refused = || Some(self.page(gateway, user)).filter(|page| *page == Page::RefusedAsRevoked);
        let found = poll(PATIENCE, refused);
        found
            .map(drop)
            .ok_or_else(|| format!("{} at gateway {}: {:?}", user.name, gateway + 1, self.page(gateway, user)))
    }

    fn revoked(&self, issuer: usize, user: &User) -> Result<(), String> {
        self.revoked_at(issuer, user, &[0, 1, 2])
    }

    /// Revokes, as soon as the issuer is there again, and waits until those gateways refuse.
    fn revoked_at(&self, issuer: usize, user: &User, gateways: &[usize]) -> Result<(), String> {
        let done = || Some(self.send_revocation(issuer, user)).filter(|answer| answer.status == 200);
        poll(PATIENCE, done).ok_or_else(|| self.send_revocation(issuer, user).seen())?;
        gateways.iter().try_for_each(|gateway| self.refused(*gateway, user))
    }

    /// What to try with a cluster that runs.
    pub(super) fn guide(&self) -> Result<String, Box<dyn Error>> {
        let user = self.acquire(0, "riyousya")?;
        let mut text = String::from("\n関所クラスタ / Sekisho cluster\n\n");
        for number in 0..ISSUERS {
            let process = self.issuer_process(number).map_or(0, |process| process.id());
            writeln!(text, "issuer {}   https://{}   process {process}", number + 1, self.issuer(number))?;
        }
        for number in 0..GATEWAYS {
            let process = self.gateway_process(number).map_or(0, |process| process.id());
            let (tls, admin) = (self.gateway(number), self.gateway_admin(number));
            writeln!(text, "gateway {}  https://{tls}   process {process}, http://{admin}/metrics", number + 1)?;
        }
        writeln!(text, "\nTry, at each gateway (200 with the user's certificate):\n")?;
        for number in 0..GATEWAYS {
            writeln!(text, "{}", self.ask(number, &user).command)?;
        }
        writeln!(
            text,
            "\nRevoke it 失効, at either issuer; the answer says how many gateways have it, and since when:\n"
        )?;
        for number in 0..ISSUERS {
            writeln!(text, "{}", self.as_desk(number).command("POST", &user.revocation_path(), &revocation_body()))?;
        }
        writeln!(
            text,
            "\nWho has it:\n\n{}",
            self.as_desk(0).get(&format!("/v1/revocations/{}", user.serial)).command
        )?;
        writeln!(
            text,
            "\nThen the three above say: alert certificate revoked. Kill any process with `kill -9` before or"
        )?;
        writeln!(text, "meanwhile: no revocation is lost, and no gateway stays behind. Start one again:\n")?;
        for config in self.configurations() {
            writeln!(text, "{config}")?;
        }
        text += "\nCtrl-C ends it.";
        Ok(text)
    }

    /// The command line of each process.
    fn configurations(&self) -> Vec<String> {
        let issuers = (0..ISSUERS)
            .map(|number| format!("sekisho-issuer serve --config {}", self.layout.issuer_file(number).display()));
        let gateways =
            self.gateways.iter().map(|gateway| format!("sekisho gateway --config {}", gateway.config.display()));
        issuers.chain(gateways).collect()
    }
}
