//! The files that a configuration names.

use crate::gateway;
use sekisho_config::{Config, ConfigError};

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
    Ok(alarms.iter().map(ToString::to_string).collect())
}
