//! The command line: one file a subcommand.

#[cfg(feature = "issuer")]
mod audit;
#[cfg(feature = "issuer")]
mod ca;
mod check;
mod demo;
mod gateway;
#[cfg(feature = "issuer")]
mod issuer;
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
    Load(load::Arguments),
    Demo(demo::Arguments),
    #[cfg(feature = "issuer")]
    Issuer(issuer::Arguments),
    #[cfg(feature = "issuer")]
    Ca(ca::Arguments),
    #[cfg(feature = "issuer")]
    Audit(audit::Arguments),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Gateway(arguments) => gateway::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "issuer")]
        Command::Issuer(arguments) => issuer::run(&arguments),
        #[cfg(feature = "issuer")]
        Command::Ca(arguments) => ca::run(&arguments),
        #[cfg(feature = "issuer")]
        Command::Audit(arguments) => audit::run(&arguments),
    }
}
