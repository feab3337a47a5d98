//! The issuer's life: files, store, recovery, publication, listeners, and the way back.

use super::access::{Access, observed};
use super::admin::{self, Admin};
use super::api::{self, ApiState};
use super::authenticate::{Authenticator, BuiltIn, Credentials, Delegated, PasswordCost};
use super::background::{log_audit_head, recover, recover_always, wake_publisher};
use super::counted::{CountedCredentials, CountedStore};
use super::feed::{Feed, FeedParts};
use super::files::{Files, keep};
use super::listen::{self, ConnectionLimits, Listener};
use super::metrics::{ListenerName, Metrics};
use super::outbox::{self, OutboxParts};
use super::profiles::Profiles;
use super::publish::{self, Publisher};
use super::secret::ServiceSecret;
use super::service::{Service, ServiceParts, Wakes};
use super::store::{self, Store};
use axum::Router;
use rustls::ServerConfig;
use sekisho_config::issuer::{IssuerConfig, IssuerLimits, StoreUrl};
use sekisho_config::{ConfigError, Place, Placed};
use sekisho_runtime::metrics::OwnCertificate;
use sekisho_runtime::process;
use sekisho_runtime::process::signals::{self, Heard, Signals};
use sekisho_runtime::telemetry::log::RecordLog;
use std::fs::{File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the runtime waits for work that cannot be ended (a password hash, a blocked disk) once all else is done.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How long background tasks may take to end what they are at: a mail that is on its way, a list that is written.
const TASK_WAIT: Duration = Duration::from_secs(5);

/// Runs an issuer until it is told to stop (SIGTERM, SIGINT) and has drained.
///
/// # Errors
/// Every error of the files that the configuration names, or the first of the machine and the store, at start; the
/// issuer then has served nobody.
pub fn run(config: IssuerConfig) -> Result<(), Vec<ConfigError>> {
    process::keep_secrets_in_memory();
    let files = Files::load(&config)?;
    let records = RecordLog::open(&config.issuer.log).map_err(|error| at_start(&format!("issuer.log: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("issuer")
        .build()
        .map_err(|error| at_start(&format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        let bound = Bound::bind(&config, files.tls.as_ref().map(|tls| Arc::clone(&tls.config))).await?;
        let issuer = Issuer::start(config, files, Arc::new(records)).await?;
        issuer.serve(bound).await
    });
    runtime.shutdown_timeout(LAST_WAIT);
    outcome
}

/// Reads everything that the configuration names and opens nothing but files: what `--check` does.
///
/// # Errors
/// Every error of the files that the configuration names.
pub fn check(config: &IssuerConfig) -> Result<(), Vec<ConfigError>> {
    Files::load(config).map(|_| ())
}

/// The three addresses.
struct Bound {
    api: Listener,
    public: Listener,
    admin: Listener,
}

impl Bound {
    /// Binds every address, or none.
    async fn bind(config: &IssuerConfig, tls: Option<Arc<ServerConfig>>) -> Result<Self, Vec<ConfigError>> {
        // A request that is being worked on is not a silent connection.
        let limits = ConnectionLimits::new(config.limits.connections).answering_within(config.limits.request_timeout);
        let bind = async |key: &str, address: SocketAddr, tls, limits| {
            Listener::bind(address, tls, limits)
                .await
                .map_err(|error| at_start(&format!("issuer.{key}: {address}: {error}")))
        };
        let mut errors = Vec::new();
        let api = keep(&mut errors, bind("listen", config.issuer.listen, tls, limits).await);
        let public = keep(&mut errors, bind("public_listen", config.issuer.public_listen, None, limits.shared()).await);
        let admin = keep(&mut errors, bind("admin", config.issuer.admin, None, limits).await);
        match (api, public, admin) {
            (Some(api), Some(public), Some(admin)) => Ok(Self { api, public, admin }),
            _ => Err(errors),
        }
    }
}

/// An issuer that has everything it needs.
struct Issuer {
    config: IssuerConfig,
    store: Arc<dyn Store>,
    service: Arc<Service>,
    authenticator: Arc<Authenticator>,
    publisher: Arc<Publisher>,
    feed: Option<Arc<Feed>>,
    metrics: Arc<Metrics>,
    certificates: Arc<[OwnCertificate]>,
    records: Arc<RecordLog>,
    /// Ends the listeners.
    stop: watch::Sender<bool>,
    /// Ends what works in the background, once the listeners have drained.
    rest: watch::Sender<bool>,
    background: Vec<JoinHandle<()>>,
    /// Held while it runs.
    _alone: Option<File>,
}

impl Issuer {
    /// Opens the store, ends what a crash left, publishes what is revoked, and starts what works in the background.
    async fn start(config: IssuerConfig, files: Files, records: Arc<RecordLog>) -> Result<Self, Vec<ConfigError>> {
        signals::survive().map_err(|error| at_start(&format!("cannot install signal handlers: {error}")))?;
        let metrics = Arc::new(Metrics::new().map_err(|error| at_start(&error.to_string()))?);
        let certificates = files.own_certificates();
        let alone = alone(&config.store.url)?;
        let opened = store::open(&config.store, Arc::clone(&files.secret)).await;
        let opened = opened.map_err(|error| at(&config.store.url.place, &error))?;
        let store: Arc<dyn Store> = Arc::new(CountedStore { store: opened, metrics: Arc::clone(&metrics) });
        claim_names(&*store, &files.profiles).await.map_err(|why| at(&config.store.url.place, &why))?;
        let authenticator = Authenticator::new(Arc::clone(&store), &config.services, config.gateway.as_ref());
        let authenticator = authenticator.map_err(|error| vec![error])?;
        let (credentials, built_in) = credentials(files.delegated, &config, &store, &files.secret)?;
        let wakes = Arc::new(Wakes::default());
        let service = Arc::new(Service::new(ServiceParts {
            store: Arc::clone(&store),
            profiles: Arc::clone(&files.profiles),
            authorities: Arc::clone(&files.authorities),
            credentials: Arc::new(CountedCredentials { credentials, metrics: Arc::clone(&metrics) }),
            built_in,
            secret: files.secret,
            wakes: Arc::clone(&wakes),
        }));
        recover(&service, &config).await.map_err(|why| at_start(&why))?;
        let keys = files.authorities.iter();
        let keys = keys.map(|one| (Arc::clone(&one.name), one.authority.certificate().authority_key())).collect();
        let (stop, rest) = (watch::Sender::new(false), watch::Sender::new(false));
        let statuses = Arc::clone(&wakes.statuses);
        let publisher = Publisher::start(Arc::clone(&store), files.authorities, statuses, rest.subscribe()).await;
        let publisher = publisher.map_err(|error| at_start(&error.to_string()))?;
        let feed = match (&config.feed, files.feed_key) {
            (Some(feed), Some(key)) => {
                let parts = FeedParts {
                    store: Arc::clone(&store),
                    config: feed.clone(),
                    key,
                    authorities: keys,
                    covered: publisher.covered(),
                    start: publisher.caught_up_to(),
                    stopping: stop.subscribe(),
                    shutdown: rest.subscribe(),
                    metrics: metrics.feed(),
                };
                Some(Feed::start(parts).await.map_err(|error| at_start(&error.to_string()))?)
            }
            _ => None,
        };
        let outbox = outbox::run(OutboxParts {
            store: Arc::clone(&store),
            profiles: files.profiles,
            mail: config.mail.clone(),
            wake: Arc::clone(&wakes.notices),
            shutdown: rest.subscribe(),
        })?;
        let recovery = recover_always(Arc::clone(&service), config.clone(), rest.subscribe());
        let others = wake_publisher(store.signals(), Arc::clone(&wakes), rest.subscribe());
        let heads = log_audit_head(Arc::clone(&store), rest.subscribe());
        let background = vec![tokio::spawn(outbox), tokio::spawn(recovery), tokio::spawn(others), tokio::spawn(heads)];
        let authenticator = Arc::new(authenticator);
        Ok(Self {
            config,
            store,
            service,
            authenticator,
            publisher,
            feed,
            metrics,
            certificates,
            records,
            stop,
            rest,
            background,
            _alone: alone,
        })
    }

    /// Serves until a signal says stop and the last request is done, or `drain_timeout` has passed.
    async fn serve(self, bound: Bound) -> Result<(), Vec<ConfigError>> {
        let signals =
            Signals::listen().map_err(|error| at_start(&format!("cannot install signal handlers: {error}")))?;
        let drain = self.config.issuer.drain_timeout;
        for (kind, listener) in [("api", &bound.api), ("public", &bound.public), ("admin", &bound.admin)] {
            tracing::info!(kind, address = %listener.local_address(), "listening");
        }
        let api = tokio::spawn(listen::serve(bound.api, self.api(), self.stop.subscribe(), drain));
        let public = tokio::spawn(listen::serve(bound.public, self.public(), self.stop.subscribe(), drain));
        // It answers to the end: a load balancer has to be told that we are draining.
        let admin = tokio::spawn(listen::serve(bound.admin, self.admin(), self.rest.subscribe(), Duration::ZERO));
        let outcome = tokio::select! {
            () = obey(signals, &self.records) => Ok(()),
            () = self.publisher.went_back() => Err(at_start(
                "the store is not the one that was read before: it was restored from a backup, or a standby took its \
                 place that had not everything. This node has ended, to be started anew",
            )),
        };
        tracing::info!("stopping: no new connections, requests under way may finish");
        self.stop.send_replace(true);
        for task in [api, public] {
            note_end("a listener", task.await);
        }
        self.finish(admin).await;
        outcome
    }

    /// Ends what works in the background, then the store.
    async fn finish(self, admin: JoinHandle<()>) {
        self.rest.send_replace(true);
        let tasks = async {
            for task in self.background {
                note_end("a background task", task.await);
            }
            if let Some(feed) = &self.feed {
                feed.join().await;
            }
            self.publisher.join().await;
            note_end("a listener", admin.await);
        };
        if tokio::time::timeout(TASK_WAIT, tasks).await.is_err() {
            tracing::warn!("background tasks did not end in time and are dropped");
        }
        self.store.close().await;
        self.records.flush();
        tracing::info!("stopped");
    }

    fn api(&self) -> Router {
        let router = api::router(ApiState {
            service: Arc::clone(&self.service),
            authenticator: Arc::clone(&self.authenticator),
            limits: self.config.limits.clone(),
            feed: self.feed.clone(),
        });
        observed(router, self.access(ListenerName::Api))
    }

    fn public(&self) -> Router {
        let router = publish::router(Arc::clone(&self.publisher), &self.config.limits);
        observed(router, self.access(ListenerName::Public))
    }

    fn admin(&self) -> Router {
        admin::router(Admin {
            store: Arc::clone(&self.store),
            publisher: Arc::clone(&self.publisher),
            feed: self.feed.clone(),
            metrics: Arc::clone(&self.metrics),
            certificates: Arc::clone(&self.certificates),
            records: Arc::clone(&self.records),
            stopping: self.stop.subscribe(),
        })
    }

    fn access(&self, listener: ListenerName) -> Access {
        Access { listener, metrics: Arc::clone(&self.metrics), records: Arc::clone(&self.records) }
    }
}

/// The lock by which one issuer at a time uses a SQLite file: two would each publish lists of their own, which contradict
/// each other. It ends with the process, however that ends.
fn alone(url: &Placed<StoreUrl>) -> Result<Option<File>, Vec<ConfigError>> {
    let StoreUrl::Sqlite(path) = &url.value else { return Ok(None) };
    let mut name = path.clone().into_os_string();
    name.push(".lock");
    let cannot = |error: &dyn std::fmt::Display| at(&url.place, &format!("{}: {error}", name.display()));
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
    let file = file.map_err(|error| cannot(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(cannot(&"another issuer uses this file; stop it, or use PostgreSQL for several issuers"))
        }
        Err(TryLockError::Error(error)) => Err(cannot(&error)),
    }
}

/// Sees to it that no two users of a product can have one name in their certificates.
async fn claim_names(store: &dyn Store, profiles: &Profiles) -> Result<(), String> {
    for profile in profiles.iter() {
        let shared = store.claim_names(profile).await.map_err(|error| error.to_string())?;
        if !shared.is_empty() {
            let named: Vec<String> = shared.iter().map(ToString::to_string).collect();
            return Err(format!(
                "users of profile {:?} have one name in their certificates, so that gateways take them for one user: {}. \
                 Delete all but one of each with the release that made them, which revokes their certificates",
                profile.name,
                named.join("; ")
            ));
        }
    }
    Ok(())
}

/// Who checks factors; and the same once more where they are built in and can be set.
type CheckedBy = (Arc<dyn Credentials>, Option<Arc<BuiltIn>>);

fn credentials(
    delegated: Option<Delegated>,
    config: &IssuerConfig,
    store: &Arc<dyn Store>,
    secret: &Arc<ServiceSecret>,
) -> Result<CheckedBy, Vec<ConfigError>> {
    if let Some(delegated) = delegated {
        return Ok((Arc::new(delegated), None));
    }
    let IssuerLimits { password_checks, password_memory, password_passes, .. } = config.limits;
    let memory_kib = u32::try_from(password_memory >> 10).unwrap_or(u32::MAX);
    let built_in = BuiltIn::new(Arc::clone(store), Arc::clone(secret), password_checks);
    let built_in = built_in.with_cost(PasswordCost { memory_kib, passes: password_passes });
    let built_in = Arc::new(built_in.map_err(|why| at_start(&format!("limits.password_memory: {why}")))?);
    Ok((Arc::clone(&built_in) as Arc<dyn Credentials>, Some(built_in)))
}

/// Does what signals ask for, until one says stop. What the configuration names is read at a start only.
async fn obey(mut signals: Signals, records: &RecordLog) {
    loop {
        match signals.next().await {
            Heard::Stop => return,
            Heard::Reload | Heard::ReopenLogs => records.reopen(),
        }
    }
}

fn note_end(what: &str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "{what} failed");
    }
}

/// An error of the machine we start on.
fn at_start(message: &str) -> Vec<ConfigError> {
    let place = Place { file: "start".into(), ..Place::default() };
    vec![ConfigError { place, message: message.to_owned() }]
}

fn at(place: &Place, error: &dyn std::fmt::Display) -> Vec<ConfigError> {
    vec![ConfigError { place: place.clone(), message: error.to_string() }]
}
