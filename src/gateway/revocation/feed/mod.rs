//! The issuer's feed, followed (requirement R6): what it tells is in force, and live connections are cut, before it is
//! kept on disk, and on disk before it is acknowledged.
//!
//! ```text
//! follow (which node, when again) → stream (one connection: events, signature, joins) → apply (in force, cut)
//!                                                        keep (disk) ← message ┘
//!                                                        └→ acknowledge (a second connection to the same node)
//! ```
//! One task and one thread for the whole gateway; nothing here is on a request's path.

mod acknowledge;
mod apply;
mod follow;
mod keep;
mod stream;
mod witness;

pub(in crate::gateway) use follow::follow;

use crate::gateway::Gateway;
use crate::gateway::snapshot::site::Snapshot;
use sekisho_config::{Config, ConfigError};
use sekisho_trust::feed::{KeepError, Keeper, Recalled};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;

/// Its folder in the state folder.
const FOLDER: &str = "feed";

/// What a gateway has of the feed beside its snapshot.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Feed {
    /// Told of each reload.
    reloaded: Notify,
    /// The file, until the thread that writes it takes it.
    keeper: Mutex<Option<Keeper>>,
    /// Which gateway this is of those with its certificate.
    instance: OnceLock<Arc<str>>,
    /// From a stream's first message to its end.
    connected: AtomicBool,
}

impl Feed {
    /// Told of each reload: the feed may be another one, or another CA may follow it.
    pub(in crate::gateway) fn reloaded(&self) {
        self.reloaded.notify_one();
    }

    /// Which gateway this is of those with its certificate: random, and kept in the feed's folder, so that a restart is no
    /// other gateway. Where it cannot be kept it is another one after each start.
    fn instance(&self, gateway: &Gateway) -> Arc<str> {
        let of_folder = || {
            let config = gateway.snapshot().config.clone();
            let file = config.gateway.state_folder.as_ref().map(|folder| folder.value.join(FOLDER).join("instance"));
            let known = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
            let known = known.map(|text| text.trim().to_owned()).filter(|text| is_instance(text));
            let instance = known.unwrap_or_else(|| {
                let mut random = [0; 8];
                // Without randomness gateways with one certificate are told as one.
                let _ = aws_lc_rs::rand::fill(&mut random);
                let made: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
                let written = file.map_or(Ok(()), |file| std::fs::write(file, format!("{made}\n")));
                if let Err(error) = written {
                    tracing::warn!(%error, "which gateway this is cannot be kept; after a restart it is another one");
                }
                made
            });
            Arc::from(instance)
        };
        Arc::clone(self.instance.get_or_init(of_folder))
    }

    /// Notes that a node is followed, or is no longer.
    fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    /// Returns `true` while a node of the issuer is followed.
    pub(in crate::gateway) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    fn take_keeper(&self) -> Option<Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is on disk, read before anybody is served: who was revoked stays refused without the issuer.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(in crate::gateway) fn recall(
        config: &Config,
        snapshot: Snapshot,
    ) -> Result<(Self, Snapshot), Vec<ConfigError>> {
        let (Some(_), Some(state)) = (&config.feed, &config.gateway.state_folder) else {
            return Ok((Self::default(), snapshot));
        };
        let folder = state.value.join(FOLDER);
        let (keeper, recalled) = Keeper::open(&folder).map_err(|error| {
            let message = format!("{}: {error}", folder.display());
            vec![ConfigError { place: state.place.clone(), message }]
        })?;
        let mut live = snapshot.trust.live().clone();
        live.feed = Arc::new(reported(recalled).view);
        let snapshot = Snapshot { trust: Arc::new(snapshot.trust.with_live(live)), ..snapshot };
        Ok((Self { keeper: Mutex::new(Some(keeper)), ..Self::default() }, snapshot))
    }
}

/// What a state folder has of the feed, without taking it.
pub(in crate::gateway) fn read(state_folder: &Path) -> std::io::Result<Recalled> {
    Recalled::read(&state_folder.join(FOLDER))
}

fn is_instance(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Opens the folder of a feed that a reload has brought.
fn open(gateway: &Gateway) -> Result<(Keeper, Recalled), KeepError> {
    let config = gateway.snapshot().config.clone();
    let folder = config.gateway.state_folder.as_ref().map_or_else(PathBuf::new, |folder| folder.value.join(FOLDER));
    Keeper::open(&folder).map(|(keeper, recalled)| (keeper, reported(recalled)))
}

fn reported(recalled: Recalled) -> Recalled {
    if let Some(damage) = &recalled.damage {
        tracing::error!(damage, "what the feed told was kept on a disk that lost some of it; the feed begins anew");
    }
    if recalled.torn {
        tracing::warn!(
            "the last line of what the feed told is torn on the disk: a crash, or a disk that lost what it had;              clients are refused that are not known good until the issuer has told again what comes there"
        );
    }
    Recalled { view: recalled.view.from_disk(), ..recalled }
}
