//! What an operator does to a store while no issuer runs.

use super::audit::{ActResult, Entry};
use super::files::Files;
use super::reconcile::{self, Reconciled, Sources};
use super::secret::ServiceSecret;
use super::store::{self, Ask, Store, StoreError, Write, change};
use sekisho_config::issuer::IssuerConfig;
use sekisho_config::{ConfigError, Place};
use sekisho_lifecycle::{ActorName, ContractId, Target};
use sekisho_runtime::clock;
use std::sync::Arc;

/// Makes a new, empty store.
///
/// # Errors
/// There is one already, or it cannot be made.
pub fn init_store(config: &IssuerConfig) -> Result<(), Vec<ConfigError>> {
    let file = &config.issuer.secret_file;
    let secret = ServiceSecret::load(&file.value).map_err(|error| at(&file.place, &error))?;
    block_on(async {
        let made = store::init(&config.store, Arc::new(secret)).await;
        made.map_err(|error| at(&config.store.url.place, &error))
    })
}

/// Takes revocations into the store that it lacks.
///
/// # Errors
/// In words; what was taken over until then stays.
pub fn reconcile_store(config: IssuerConfig, sources: &Sources) -> Result<Reconciled, Vec<ConfigError>> {
    let files = Files::load(&config)?;
    let secret = Arc::clone(&files.secret);
    with_store(&config, secret, async |store| reconcile::reconcile(store, &files.authorities, sources).await)
}

/// Dates CRLs by this machine's clock again; gives how many were dated later.
///
/// # Errors
/// The store.
pub fn accept_clock(config: IssuerConfig) -> Result<u64, Vec<ConfigError>> {
    let files = Files::load(&config)?;
    with_store(&config, files.secret, async |store| redate(store).await.map_err(|error| error.to_string()))
}

async fn redate(store: &dyn Store) -> Result<u64, StoreError> {
    let now = clock::now();
    let Some(contract) = ContractId::new("-") else { return Ok(0) };
    let entry = Entry {
        at: now,
        caller: "issuer".into(),
        actor: Some(ActorName::Service),
        command: "accept-clock".into(),
        target: Target::Unknown(contract.clone()),
        channel: None,
        screen: None,
        form: None,
        serial: None,
        address: None,
        reference: "accept-clock".into(),
        result: ActResult::Done,
    };
    let record = move |_: &store::Found| (Write { audit: vec![entry], ..Write::default() }, ());
    change(store, Ask::about(contract), record).await?;
    store.redate_lists(now).await
}

fn with_store<T>(
    config: &IssuerConfig,
    secret: Arc<ServiceSecret>,
    work: impl AsyncFnOnce(&dyn Store) -> Result<T, String>,
) -> Result<T, Vec<ConfigError>> {
    let place = &config.store.url.place;
    block_on(async {
        let store = store::open(&config.store, secret).await.map_err(|error| at(place, &error))?;
        let done = work(&*store).await.map_err(|why| at(place, &why));
        store.close().await;
        done
    })
}

fn block_on<T>(work: impl Future<Output = Result<T, Vec<ConfigError>>>) -> Result<T, Vec<ConfigError>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let place = Place { file: "start".into(), ..Place::default() };
    runtime.map_err(|error| at(&place, &error))?.block_on(work)
}

fn at(place: &Place, error: &dyn std::fmt::Display) -> Vec<ConfigError> {
    vec![ConfigError { place: place.clone(), message: error.to_string() }]
}
