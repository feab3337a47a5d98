//! `sekisho ca plan`: who would be locked out by another configuration, by who came lately (requirement G11).

mod compare;
mod report;
mod seen;
mod side;

use compare::Comparison;
use report::Report;
use seen::Log;
use sekisho_runtime::clock;
use sekisho_runtime::standard_output::say;
use side::Side;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code when somebody would be locked out.
const LOCKED_OUT: u8 = 1;
/// Exit code of wrong usage, of what cannot be read, and of logs that say nothing.
const UNUSABLE: u8 = 2;

const DAY: i64 = 86_400;

/// Say which CAs another configuration takes away, drains and adds, and which contracts and users that came lately it
/// would lock out.
///
/// Exit code 0: nobody of the logs; 1: somebody; 2: wrong usage, unreadable input, or logs in which nobody came, which
/// say nothing. Only certificates that were accepted are counted. What is judged: whether their CA is configured and
/// accepted at the site, for the contract, with the CN's pattern; not expiry or revocation.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration that is to come.
    #[arg(value_name = "NEW.toml")]
    new: PathBuf,
    /// The configuration that is in force, under which the logs were written.
    #[arg(long, value_name = "OLD.toml")]
    config: PathBuf,
    /// A gateway's access log; again for each further one.
    #[arg(long = "log", value_name = "FILE", required = true)]
    logs: Vec<PathBuf>,
    /// How far to look back.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Print one JSON object, which names who is locked out.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match plan(arguments) {
        Ok(report) => {
            let code = ExitCode::from(if report.says_nothing() {
                UNUSABLE
            } else if report.locks_somebody_out() {
                LOCKED_OUT
            } else {
                0
            });
            if arguments.json { say(format_args!("{}\n", report.json()), code) } else { say(report, code) }
        }
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("sekisho ca plan: {error}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

fn plan(arguments: &Arguments) -> Result<Report, Vec<String>> {
    let (old, new) = match (Side::load(&arguments.config), Side::load(&arguments.new)) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => return Err([old.err(), new.err()].into_iter().flatten().flatten().collect()),
    };
    let since = clock::now().plus_seconds(-DAY * i64::from(arguments.days));
    let (mut comparison, mut log) = (Comparison::new(&old, &new), Log::since(since));
    for path in &arguments.logs {
        log.read(path, &mut |visit| comparison.came(visit)).map_err(|error| vec![error])?;
    }
    let names = [&arguments.config, &arguments.new].map(|path| path.display().to_string());
    Ok(Report::new(names, arguments.days, &log, &comparison))
}
