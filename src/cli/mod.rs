//! The command line: one file a subcommand.

mod block;
mod ca;
mod check;
mod gateway;
mod load;
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
    Gateway(gateway::Arguments),
    Check(check::Arguments),
    Verify(verify::Arguments),
    Block(block::Arguments),
    Load(load::Arguments),
    Ca(ca::Arguments),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Gateway(arguments) => gateway::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Block(arguments) => block::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Ca(arguments) => ca::run(&arguments),
    }
}
