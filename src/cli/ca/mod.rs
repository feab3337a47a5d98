//! `sekisho ca`: certification authorities, made by hand and replaced with their users in view.

#[cfg(feature = "issuer")]
mod make;
mod plan;

use std::process::ExitCode;

/// Make certification authorities, and plan their rotation.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[cfg(feature = "issuer")]
    #[command(flatten)]
    Make(make::Command),
    Plan(plan::Arguments),
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        #[cfg(feature = "issuer")]
        Command::Make(command) => make::run(command),
        Command::Plan(arguments) => plan::run(arguments),
    }
}
