//! The command line: one file a subcommand.

mod check;

use clap::Parser;
use std::process::ExitCode;

/// Sekisho (関所): a mutual-TLS gateway for corporate internet banking.
#[derive(Parser)]
#[command(name = "sekisho", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say what a configuration would do, or every error in it, with file, line and key.
    Check(check::Arguments),
}

/// Runs the command line. Wrong arguments end the process with clap's usage text and exit code 2.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
    }
}
