//! The command line: one file a subcommand.

#[cfg(feature = "issuer")]
mod audit;
mod block;
mod ca;
mod check;
mod demo;
mod gateway;
#[cfg(feature = "issuer")]
mod issuer;
mod load;
mod say;
#[cfg(feature = "issuer")]
mod store;
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
    Demo(demo::Arguments),
    #[cfg(feature = "issuer")]
    Issuer(issuer::Arguments),
    Ca(ca::Arguments),
    #[cfg(feature = "issuer")]
    Audit(audit::Arguments),
    #[cfg(feature = "issuer")]
    Store(store::Arguments),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Gateway(arguments) => gateway::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Block(arguments) => block::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "issuer")]
        Command::Issuer(arguments) => issuer::run(&arguments),
        Command::Ca(arguments) => ca::run(&arguments),
        #[cfg(feature = "issuer")]
        Command::Audit(arguments) => audit::run(&arguments),
        #[cfg(feature = "issuer")]
        Command::Store(arguments) => store::run(&arguments),
    }
}
