//! `sekisho demo`.

use crate::demo::{self, Passed};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes a development PKI, starts a demo IB application and a gateway before it, and shows what to try.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Runs every line itself, prints a table and exits; takes free ports and a PKI of its own.
    #[arg(long)]
    check: bool,
    /// Port of the gateway; the admin address takes the one 1000 above. 0 takes free ones.
    #[arg(long, default_value_t = 8443, conflicts_with = "check")]
    port: u16,
    /// Folder of the development PKI [default: certs/dev; with --check a temporary one].
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = if arguments.check {
        demo::check(arguments.folder.as_deref())
    } else {
        let folder = arguments.folder.clone().unwrap_or_else(|| PathBuf::from("certs/dev"));
        demo::serve(&folder, arguments.port).map(|()| Passed::All)
    };
    match done {
        Ok(Passed::All) => ExitCode::SUCCESS,
        Ok(Passed::Some) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sekisho demo: {error}");
            ExitCode::FAILURE
        }
    }
}
