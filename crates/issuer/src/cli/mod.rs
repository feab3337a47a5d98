//! The command line of `sekisho-issuer`: one file a subcommand.

mod audit;
mod ca;
mod serve;
mod store;

use clap::Parser as _;
use std::process::ExitCode;

/// Sekisho's issuance service: contracts, users, certificates and their whole life.
#[derive(Debug, clap::Parser)]
#[command(name = "sekisho-issuer", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Ca(ca::Arguments),
    Audit(audit::Arguments),
    Store(store::Arguments),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Ca(arguments) => ca::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
    }
}
