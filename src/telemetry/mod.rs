//! Logs: diagnostics on standard error, records where the configuration says.

pub mod log;
pub mod outbound;

use tracing_subscriber::EnvFilter;

/// Writes diagnostics as JSON lines to standard error, from `info` up; `RUST_LOG` says otherwise.
///
/// pingora's own lines are kept from `warn` up: what happens to a request is in the access record.
pub fn install_diagnostics() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,pingora=warn"));
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter);
    // A second installation (tests) leaves the first in place.
    let _ = subscriber.with_writer(std::io::stderr).with_current_span(false).try_init();
}
