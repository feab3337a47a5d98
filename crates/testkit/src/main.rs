//! The `sekisho-demo` binary.

use clap::Parser as _;
use sekisho_testkit::{self as demo, Passed};
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes a development PKI, starts a demo IB application, an issuer and the gateway, and shows what to try.
#[derive(Debug, clap::Parser)]
#[command(name = "sekisho-demo", version, about)]
struct Arguments {
    /// Runs every line itself, prints a table and exits; takes free ports and a PKI of its own.
    #[arg(long)]
    check: bool,
    /// Port of the gateway; the admin address takes the one 1000 above. 0 takes free ones. With --cluster the gateways
    /// take PORT, PORT+10 and PORT+20, the issuers' APIs PORT+2 and PORT+12.
    #[arg(long, default_value_t = 8443, conflicts_with = "check")]
    port: u16,
    /// Two issuers on one PostgreSQL and three gateways instead of one of each.
    #[arg(long)]
    cluster: bool,
    /// Folder of the development PKI [default: certs/dev, certs/dev/cluster; with --check a temporary one].
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = &Arguments::parse();
    if arguments.cluster {
        return exit(run_cluster(arguments));
    }
    let done = if arguments.check {
        demo::check(arguments.folder.as_deref())
    } else {
        let folder = arguments.folder.clone().unwrap_or_else(|| PathBuf::from("certs/dev"));
        demo::serve(&folder, arguments.port).map(|()| Passed::All)
    };
    exit(done)
}
fn run_cluster(arguments: &Arguments) -> Result<Passed, Box<dyn std::error::Error>> {
    if arguments.check {
        return demo::check_cluster(arguments.folder.as_deref());
    }
    let folder = arguments.folder.clone().unwrap_or_else(|| PathBuf::from("certs/dev/cluster"));
    demo::serve_cluster(&folder, arguments.port).map(|()| Passed::All)
}

fn exit(done: Result<Passed, Box<dyn std::error::Error>>) -> ExitCode {
    match done {
        Ok(Passed::All) => ExitCode::SUCCESS,
        Ok(Passed::Some) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sekisho-demo: {error}");
            ExitCode::FAILURE
        }
    }
}
