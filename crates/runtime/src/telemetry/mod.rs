//! Logs: diagnostics on standard error, records where the configuration says.

pub mod bounded;
mod diagnostics;
pub mod log;
pub mod outbound;

use tracing_subscriber::EnvFilter;

/// Writes diagnostics as JSON lines to standard error, from `info` up; `RUST_LOG` says otherwise.
///
/// pingora's own lines are kept from `warn` up: what happens to a request is in the access record. rustls's from `error`
/// up: it warns of what any stranger may send, and what a handshake comes to is in its authentication record.
pub fn install_diagnostics() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,pingora=warn,rustls=error"));
    // Of a line that cannot be written it would tell on standard error, which is what cannot be written: a panic.
    let subscriber = tracing_subscriber::fmt().log_internal_errors(false);
    let subscriber = subscriber.event_format(diagnostics::JsonLines).with_env_filter(filter);
    // A second installation (tests) leaves the first in place.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}
