//! `sekisho-issuer serve`: the issuance service itself.

use crate as issuer;
use sekisho_config as config;
use sekisho_runtime::standard_output::say;
use sekisho_runtime::telemetry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the issuance service until SIGTERM or SIGINT.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config/issuer.toml")]
    config: PathBuf,
    /// Read everything that it names, say what is wrong, and serve nothing
    #[arg(long, conflicts_with = "openapi")]
    check: bool,
    /// Print the API's OpenAPI document
    #[arg(long)]
    openapi: bool,
}

/// Runs it. Whatever is wrong at start is told, one error a line, and ends with code 1.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.openapi {
        return print_openapi();
    }
    let outcome = if arguments.check {
        let checked = config::issuer::load(&arguments.config).and_then(|config| issuer::check(&config));
        checked.map(|()| format!("{}: ok\n", arguments.config.display()))
    } else {
        telemetry::install_diagnostics();
        config::issuer::load(&arguments.config).and_then(issuer::run).map(|()| String::new())
    };
    match outcome {
        Ok(said) => say(said, ExitCode::SUCCESS),
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("sekisho: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print_openapi() -> ExitCode {
    match issuer::api::openapi().to_pretty_json() {
        Ok(document) => say(format_args!("{document}\n"), ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("sekisho: the document cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}
