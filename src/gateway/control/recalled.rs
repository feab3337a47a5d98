//! What a gateway would decide by if it started now, without network: its files, and what its state folder has kept. Nothing
//! is written, made or locked, so that it may be asked beside the running gateway.

use crate::gateway::control::reload;
use crate::gateway::revocation::feed;
use crate::gateway::revocation::fetch;
use crate::gateway::revocation::last_in_force;
use crate::gateway::revocation::withdrawn;
use crate::gateway::snapshot::feed_source;
use sekisho_config::{Config, ConfigError, Placed, RevocationSource};
use sekisho_pki::time::Timestamp;
use sekisho_trust::{self as trust, Alarm, Remembered, TrustSnapshot};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was found.
#[derive(Debug)]
pub struct RecalledTrust {
    /// Lists (fetched ones too), the block list, and what the issuer's feed told.
    pub trust: Arc<TrustSnapshot>,
    /// Lists that were not taken, and why.
    pub alarms: Vec<Alarm>,
    /// What a running gateway may know beyond this, a sentence each.
    pub unknown: Vec<String>,
}

/// Reads it.
///
/// # Errors
/// Every CA whose certificate or lists cannot be used, and a state folder that is there and cannot be read: what is in it
/// decides who is refused.
pub fn recalled_trust(config: &Config, now: Timestamp) -> Result<RecalledTrust, Vec<ConfigError>> {
    let state = config.gateway.state_folder.as_ref();
    let kept = fetch::kept(config);
    let mut unknown = Vec::new();
    if let Some(state) = state {
        can_be_read(state, &state.value)?;
        if let Some(kept) = &kept {
            can_be_read(state, kept.folder())?;
        }
        if let Some(last) = last_in_force::at(config) {
            can_be_read(state, last.folder())?;
        }
        if !state.value.exists() {
            unknown.push(format!("{} is not there yet: nothing was kept in it", state.value.display()));
        }
    }
    let withdrawn = withdrawn::remembered(config).map_err(|error| vec![error])?;
    let last = last_in_force::at(config);
    let remembered = Remembered { kept: kept.as_ref(), withdrawn: &withdrawn, last: last.as_ref() };
    let loaded = trust::load_remembering(&config.cas, remembered, None, now)?;
    let mut live = reload::kept_live(config).map_err(|error| vec![error])?;
    if let (Some(_), Some(state)) = (&config.feed, state) {
        let recalled = feed::read(&state.value).map_err(|error| vec![unreadable(state, &state.value, &error)])?;
        if let Some(damage) = recalled.damage {
            unknown.push(format!("what the issuer's feed told is damaged on the disk: {damage}"));
        }
        live.feed = Arc::new(recalled.view);
    }
    let trust = loaded.snapshot.following(feed_source::rules(config, &loaded.snapshot, now)).with_live(live);
    unknown.extend(config.cas.iter().flat_map(|ca| match &ca.revocation {
        RevocationSource::None => Vec::new(),
        RevocationSource::From(sources) => {
            let ocsp = sources.ocsp.iter().map(|ocsp| {
                format!("ca {}: its OCSP responder {} is not asked, which a gateway does", ca.name, ocsp.url.value)
            });
            let points = (!sources.points.is_empty())
                .then(|| format!("ca {}: lists at distribution points are not fetched, which a gateway does", ca.name));
            ocsp.chain(points).collect()
        }
    }));
    Ok(RecalledTrust { trust: Arc::new(trust), alarms: loaded.alarms, unknown })
}

fn can_be_read(state: &Placed<PathBuf>, folder: &Path) -> Result<(), Vec<ConfigError>> {
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(vec![unreadable(state, folder, &error)]),
    }
}

fn unreadable(state: &Placed<PathBuf>, folder: &Path, error: &io::Error) -> ConfigError {
    let message = format!("{}: cannot be read: {error}", folder.display());
    ConfigError { place: state.place.clone(), message }
}
