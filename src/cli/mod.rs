//! The command line: one file a subcommand.

mod verify;

use clap::Parser as _;
use std::process::ExitCode;

/// Sekisho (関所): a mutual-TLS gateway for corporate internet banking.
#[derive(Debug, clap::Parser)]
#[command(version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(verify::Arguments),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Verify(arguments) => verify::run(&arguments),
    }
}
