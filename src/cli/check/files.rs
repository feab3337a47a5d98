//! The files that a configuration names.

use crate::config::{Config, ConfigError, Placed};
use crate::gateway;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Loads every file that the configuration names, as a starting gateway does; what is odd but not wrong comes back as
/// warnings.
///
/// # Errors
/// Every file that a starting gateway would refuse, by the key that names it.
pub(super) fn load(config: &Config) -> Result<Vec<String>, Vec<ConfigError>> {
    let alarms = gateway::check(config.clone()).map_err(|mut errors| {
        errors.sort_by_key(|error| error.place.line);
        errors
    })?;
    let open = secrets(config).filter(|path| is_open_to_all(path)).map(|path| {
        let shown = path.value.display();
        format!("{}: {shown} is open to every user of this machine; chmod o= it", path.place)
    });
    Ok(alarms.iter().map(ToString::to_string).chain(open).collect())
}

/// Private keys and the ticket secret. The admin token's file is refused when others can read it; `previous_key_files` may hold public keys, which are nobody's secret.
fn secrets(config: &Config) -> impl Iterator<Item = &Placed<PathBuf>> {
    let of_sites = config.sites.iter().map(|site| &site.key);
    let of_clients = config.pools.iter().filter_map(|pool| pool.tls.as_ref()?.client.as_ref()).map(|(_, key)| key);
    let of_assertions = config.assertion.iter().map(|assertion| &assertion.key_file);
    let of_feed = config.feed.iter().map(|feed| &feed.key);
    of_sites.chain(of_clients).chain(of_assertions).chain(of_feed).chain(&config.tickets.secret_file)
}

fn is_open_to_all(path: &Placed<PathBuf>) -> bool {
    std::fs::metadata(&path.value).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}
