//! `sekisho ca`: the rotation of certification authorities, planned with their users in view.

mod plan;

use std::process::ExitCode;

/// Plan the rotation of certification authorities.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Plan(plan::Arguments),
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::Plan(arguments) => plan::run(arguments),
    }
}
