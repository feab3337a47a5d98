//! `sekisho verify`: the gateway's own decision on a certificate chain, with each step (requirement O6).

mod ground;
mod report;

use crate::gateway::verify::verify_traced;
use ground::Ground;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_runtime::standard_output::say;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code of a refusal.
const REFUSED: u8 = 1;
/// Exit code of input that cannot be used.
const UNUSABLE: u8 = 2;

/// Decide on a certificate chain as the gateway's handshake does, and say why.
///
/// Exit code 0: accepted; 1: refused; 2: wrong usage or unreadable input.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// PEM: the presented chain, leaf first. CA certificates in it that a --ca or --issuing CA issued count as
    /// configured issuing CAs, so that their lists can be found.
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// PEM: trust anchors.
    #[arg(long, value_name = "FILE", required_unless_present = "config", conflicts_with = "config")]
    ca: Vec<PathBuf>,
    /// PEM: issuing CAs below them.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    issuing: Vec<PathBuf>,
    /// PEM or DER: revocation lists. A CA without one has no revocation status, which refuses.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    crl: Vec<PathBuf>,
    /// Take lists without CRLNumber too (as `without_number = "accept"`).
    #[arg(long, conflicts_with = "config")]
    without_number: bool,
    /// Take lists without nextUpdate too, as fresh for so many hours (as `without_next_update`).
    #[arg(long, value_name = "HOURS", conflicts_with = "config")]
    without_next_update: Option<u32>,
    /// Say in so many words that no CA has a revocation list (as `revocation = "none"`).
    #[arg(long, conflicts_with_all = ["config", "crl"])]
    no_revocation: bool,
    /// Pattern that the whole CN must match, with named captures. Any CN matches when absent.
    #[arg(long, value_name = "PATTERN", conflicts_with = "config")]
    identity: Option<String>,
    /// The gateway's configuration: CAs, lists, patterns and limits are its, and so is what its state folder has: fetched
    /// lists, the block list, what the issuer's feed told. Whoever asks must be able to read that folder. No OCSP
    /// responder is asked and nothing is fetched.
    #[arg(long, value_name = "FILE", requires = "site")]
    config: Option<PathBuf>,
    /// The site of --config that is asked for.
    #[arg(long, value_name = "NAME", requires = "config")]
    site: Option<String>,
    /// Decide as at this time: RFC 3339 in UTC (2026-06-01T00:00:00Z) or seconds since 1970. Now when absent.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let now = arguments.at.unwrap_or_else(clock::now);
    let ground = match Ground::read(arguments, now) {
        Ok(ground) => ground,
        Err(errors) => {
            for error in errors {
                eprintln!("sekisho verify: {error}");
            }
            return ExitCode::from(UNUSABLE);
        }
    };
    let mut steps = Vec::new();
    let decision =
        verify_traced(&ground.chain, &ground.policy, &ground.trust, now, &mut |step| steps.push(step)).into_result();
    let code = if decision.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) };
    if arguments.json {
        say(format_args!("{}\n", report::json(&decision, &steps, &ground, now)), code)
    } else {
        say(report::text(&decision, &steps, &ground, now), code)
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map(Timestamp::from_unix)
        .ok()
        .or_else(|| Timestamp::from_rfc_3339(text))
        .ok_or_else(|| "write a time in UTC like 2026-06-01T00:00:00Z, or seconds since 1970".to_owned())
}
