//! Processes under measure: gateways with room for many connections, and the demo application as a process of its own.

use sekisho_testkit::app::App;
use sekisho_testkit::binaries;
use sekisho_testkit::configuration::{self, Addresses, IssuerPart};
use sekisho_testkit::process::{GatewayProcess, Output, ServerProcess};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long anything may take to come up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Set in the child process that is the application.
const APPLICATION: &str = "SEKISHO_BENCH_APPLICATION";

/// Set once the limit on descriptors is lifted.
const LIFTED: &str = "SEKISHO_BENCH_LIFTED";

/// Serves the application if this process was started for that, and lifts the limit on open files to what the system
/// allows. To be called first.
pub fn begin() {
    if std::env::var_os(APPLICATION).is_some() {
        serve_application();
    }
    if std::env::var_os(LIFTED).is_none() {
        // There is no call for it without unsafe code; the shell has one.
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n $(ulimit -H -n); exec \"$0\" \"$@\""]);
        let error =
            shell.arg(std::env::current_exe().unwrap()).args(std::env::args_os().skip(1)).env(LIFTED, "1").exec();
        panic!("sh: {error}");
    }
}

/// Starts the application in a process of its own, so that its sockets are not ours.
pub fn application() -> ServerProcess {
    let mut command = Command::new(std::env::current_exe().unwrap());
    ServerProcess::listening(command.env(APPLICATION, "1"), &["application"], Output::Keep, PATIENCE).unwrap()
}

fn serve_application() -> ! {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = App::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = app.address().unwrap();
        println!("{}", serde_json::json!({ "message": "listening", "kind": "application", "address": address }));
        std::future::pending::<()>().await;
    });
    unreachable!("it is killed");
}

/// The demo's configuration before that application, with room.
pub fn configured(application: SocketAddr) -> String {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let addresses = Addresses { listen: any, admin: any, upstream: application };
    with_room(configuration::render(&addresses, &IssuerPart::default()))
}

/// A configuration with limits for ten thousand connections from one address that last as long as the bench.
pub fn with_room(configuration: String) -> String {
    let replaced = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "the demo's configuration lacks {from}");
        text.replacen(from, to, 1)
    };
    let limits = "[gateway.limits]\nconnections = 20000\nconnections_per_address = 20000\nidle_timeout = \"1h\"\n\
                  body_idle_timeout = \"1h\"\nrequests_per_connection = 100000000\n\n[[ca]]";
    let text = replaced(configuration, "[[ca]]", limits);
    replaced(text, "health_check = { path = \"/healthz\" }", "read_timeout = \"1h\"")
}

/// The program under measure: this build's, or another to compare it with.
pub fn binary() -> PathBuf {
    std::env::var_os("SEKISHO_BENCH_BINARY").map_or_else(|| binaries::gateway().unwrap(), PathBuf::from)
}

/// Starts a gateway with that configuration in a file of that name.
pub fn gateway(folder: &Path, name: &str, configuration: &str) -> GatewayProcess {
    let path = folder.join(name);
    std::fs::write(&path, configuration).unwrap();
    GatewayProcess::start(&binary(), &path, Output::Keep, PATIENCE).unwrap_or_else(|error| panic!("{error}"))
}

/// A field of the kernel's account of a process (`VmRSS`, `VmHWM`), in MB.
pub fn memory(process: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1e3
}
