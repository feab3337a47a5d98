//! `sekisho check`: what a configuration would do, or every error in it and in the files it names.

mod files;
mod summary;

use sekisho_config::{self as config, ConfigError};
use sekisho_runtime::standard_output::say;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summary::Summary;

/// Say what a configuration would do, or every error in it and in the files it names.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Answer in JSON: {"errors": […]} or {"summary": …}.
    #[arg(long)]
    json: bool,
}

/// Prints the answer; exit code 0 when the configuration is right, 1 when it is not.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let outcome = examine(&arguments.config);
    let text = match (&outcome, arguments.json) {
        (Ok(summary), false) => summary.to_string(),
        (Err(errors), false) => errors.iter().map(|error| format!("{error}\n")).collect(),
        (Ok(summary), true) => format!("{:#}\n", json!({ "summary": summary })),
        (Err(errors), true) => format!("{:#}\n", json!({ "errors": errors.iter().map(as_json).collect::<Vec<_>>() })),
    };
    say(text, if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the configuration and everything it names, as a starting gateway would.
fn examine(path: &Path) -> Result<Summary, Vec<ConfigError>> {
    let config = config::load(path)?;
    let warnings = files::load(&config)?;
    Ok(Summary::new(path, &config, warnings))
}

fn as_json(error: &ConfigError) -> serde_json::Value {
    json!({
        "file": error.place.file.as_ref(),
        "line": error.place.line,
        "key": error.place.key,
        "message": error.message,
    })
}
