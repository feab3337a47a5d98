//! `sekisho gateway`: the gateway itself.

use crate::gateway;
use sekisho_config as config;
use sekisho_runtime::telemetry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the gateway until SIGTERM or SIGINT. SIGHUP reloads the configuration and everything it names.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config/sekisho.toml")]
    config: PathBuf,
}

/// Runs it. Whatever is wrong at start is told, one error a line, and ends with code 1.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    telemetry::install_diagnostics();
    let outcome = config::load(&arguments.config).and_then(|config| gateway::run(config, &arguments.config));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("sekisho: {error}"));
            ExitCode::FAILURE
        }
    }
}
