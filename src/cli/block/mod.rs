//! `sekisho block`: the block lists of several gateways, changed and read at once.

mod client;
mod listing;

use client::{Answer, Ask, Gateways};
use sekisho_runtime::clock;
use sekisho_runtime::standard_output::say;
use sekisho_trust::blocks::{BlockId, Written};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Exit code when a gateway does not have the change, or does not answer.
const NOT_ALL: u8 = 1;
/// Exit code of wrong usage.
const UNUSABLE: u8 = 2;

/// Refuse somebody at once, or let them in again, on several gateways.
///
/// Exit code 0: every gateway did it; 1: not every one, and which; 2: wrong usage or an unreadable token.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Add(Box<Add>),
    List(List),
    Remove(Remove),
}

/// Which gateways, and the right to ask them.
#[derive(Debug, clap::Args)]
struct Where {
    /// A gateway's admin address, http://ADDRESS:PORT; again for each further one.
    #[arg(long = "gateway", value_name = "URL", required = true)]
    gateways: Vec<String>,
    /// File with the gateways' admin token; mode 0600.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

/// Refuse a certificate, a user or a whole contract, and cut what is open.
#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    target: Target,
    /// Why; it stands in the log of every refusal.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who does it; it stands in the log.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// When it ends by itself, RFC 3339 in UTC.
    #[arg(long, value_name = "TIME", conflicts_with = "lasting")]
    expires: Option<String>,
    /// How long it lasts: 90m, 24h, 7d.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    lasting: Option<Duration>,
}

/// Exactly one of these.
#[derive(Debug, clap::Args)]
struct Target {
    /// Serial number of a certificate, hex.
    #[arg(long, value_name = "HEX", requires = "ca", conflicts_with_all = ["fingerprint", "contract"])]
    serial: Option<String>,
    /// The CA that issued it, by its name in the gateways' configuration.
    #[arg(long, value_name = "NAME", requires = "serial")]
    ca: Option<String>,
    /// SHA-256 of a certificate, hex.
    #[arg(long, value_name = "HEX", conflicts_with = "contract")]
    fingerprint: Option<String>,
    /// A contract (契約者ID): everybody of it, or with --user one of them.
    #[arg(long, value_name = "ID", required_unless_present_any = ["serial", "fingerprint"])]
    contract: Option<String>,
    /// A user (利用者ID) of the contract.
    #[arg(long, value_name = "ID", requires = "contract")]
    user: Option<String>,
}

/// Show who is blocked where.
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    at: Where,
}

/// Let somebody in again.
#[derive(Debug, clap::Args)]
struct Remove {
    /// The block's number, as `add` and `list` show it; the same on every gateway.
    #[arg(value_parser = block_id)]
    id: BlockId,
    #[command(flatten)]
    at: Where,
    /// Why; it stands in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who does it; it stands in the log.
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.command {
        Command::Add(add) => add.run(),
        Command::List(list) => list.run(),
        Command::Remove(remove) => remove.run(),
    };
    match done {
        Ok((said, true)) => say(said, ExitCode::SUCCESS),
        Ok((said, false)) => say(said, ExitCode::from(NOT_ALL)),
        Err(why) => {
            eprintln!("sekisho block: {why}");
            ExitCode::from(UNUSABLE)
        }
    }
}

impl Add {
    fn run(&self) -> Result<(String, bool), String> {
        let expires = match self.lasting {
            None => self.expires.clone(),
            Some(lasting) => {
                let seconds = i64::try_from(lasting.as_secs()).map_err(|_| "--for is too long".to_owned())?;
                Some(clock::now().plus_seconds(seconds).to_string())
            }
        };
        let Target { serial, ca, fingerprint, contract, user } = &self.target;
        let block = Written {
            serial: serial.clone(),
            ca: ca.clone(),
            fingerprint: fingerprint.clone(),
            contract: contract.clone(),
            user: user.clone(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            expires,
            ..Written::default()
        };
        let ask = Ask::Add(serde_json::to_value(&block).map_err(|error| error.to_string())?);
        self.at.gateways()?.ask(&ask).map(|answers| report(&answers))
    }
}

impl List {
    fn run(&self) -> Result<(String, bool), String> {
        let answers = self.at.gateways()?.ask(&Ask::List)?;
        Ok(listing::of(&answers))
    }
}

impl Remove {
    fn run(&self) -> Result<(String, bool), String> {
        let ask = Ask::Remove(self.id, json!({ "reason": self.reason, "by": self.by }));
        self.at.gateways()?.ask(&ask).map(|answers| report(&answers))
    }
}

impl Where {
    fn gateways(&self) -> Result<Gateways, String> {
        Gateways::new(&self.gateways, &self.token_file)
    }
}

/// A line for each gateway and one in all; whether all have it.
fn report(answers: &[Answer]) -> (String, bool) {
    let (mut said, mut have) = (String::new(), 0);
    for Answer { gateway, outcome } in answers {
        match outcome {
            Ok(done) => {
                have += 1;
                let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
                let (act, id, cut) = (text(&done["act"]), text(&done["block"]["id"]), &done["cut"]);
                said += &format!("{gateway}: {act} {id}, connections cut: {cut}\n");
            }
            Err(why) => said += &format!("{gateway}: FAILED: {why}\n"),
        }
    }
    said += &format!("{have} of {} gateways have it\n", answers.len());
    (said, have == answers.len())
}

fn block_id(text: &str) -> Result<BlockId, String> {
    BlockId::parse(text).ok_or_else(|| "not a block's number: 16 hex digits".to_owned())
}

/// A whole number and `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a duration such as 90m, 24h or 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "m", "90", "0h", "-1h", "1.5h", "1w", "99999999999999999999d", "時", "1時"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
