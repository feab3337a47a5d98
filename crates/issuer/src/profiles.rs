//! The products that this issuer serves.

use sekisho_config::{ConfigError, Placed};
use sekisho_lifecycle::profile::{self, Profile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Profiles by name.
#[derive(Debug, Default)]
pub struct Profiles(BTreeMap<Arc<str>, Arc<Profile>>);

impl Profiles {
    /// Reads every file.
    ///
    /// # Errors
    /// Every error of every file, and names that come twice.
    pub fn load(files: &[Placed<PathBuf>]) -> Result<Self, Vec<ConfigError>> {
        let (mut profiles, mut errors) = (BTreeMap::new(), Vec::new());
        for file in files {
            match profile::load(&file.value) {
                Ok(profile) => {
                    let name = Arc::clone(&profile.name);
                    if profiles.insert(Arc::clone(&name), Arc::new(profile)).is_some() {
                        let message = format!("the profile {name:?} was read from another file before");
                        errors.push(ConfigError { place: file.place.clone(), message });
                    }
                }
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() { Ok(Self(profiles)) } else { Err(errors) }
    }

    /// The profile of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.0.get(name)
    }

    /// Every profile, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.0.values()
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }
}
