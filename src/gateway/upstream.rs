//! Pools of upstream peers: health, choice, connection settings.

use super::site::{certificates, certified_key, private_key, unusable};
use super::upgrade::UpgradeConnector;
use crate::config::{Balance, Config, ConfigError, HealthCheck, Peer, PeerAddress, Pool as PoolConfig, UpstreamTls};
use crate::pki::certificate::Certificate;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::TransportConnector;
use pingora_core::connectors::http::Connector as HttpConnector;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use pingora_load_balancing::discovery::Static;
use pingora_load_balancing::health_check::{HealthCheck as PingoraHealthCheck, HttpHealthCheck, TcpHealthCheck};
use pingora_load_balancing::selection::{Consistent, RoundRobin};
use pingora_load_balancing::{Backend, Backends, LoadBalancer};
use std::collections::{BTreeSet, HashMap, hash_map::DefaultHasher};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A file with no certificate in it, given to pingora in place of the system's roots, which are never used: every
/// TLS pool names its own CA.
pub(super) const NO_ROOTS: &str = "/dev/null";

/// Upstream connections kept idle for reuse, over all pools and peers.
pub(super) const IDLE_UPSTREAM_CONNECTIONS: usize = 1024;

/// All pools, by name.
#[derive(Debug, Default)]
pub(super) struct Pools(HashMap<Arc<str>, Arc<Pool>>);

/// A pool, ready for use. Dropping the last reference ends its health checks.
pub(super) struct Pool {
    config: PoolConfig,
    balancer: Balancer,
    peers: Vec<PoolPeer>,
    tls: Option<TlsMaterial>,
    group: u64,
    health_checks: Option<JoinHandle<()>>,
}

/// One peer and how many requests it is serving for us.
struct PoolPeer {
    backend: Backend,
    in_flight: Arc<AtomicUsize>,
}

enum Balancer {
    RoundRobin(Arc<LoadBalancer<RoundRobin>>),
    Consistent(Arc<LoadBalancer<Consistent>>),
}

/// A chosen peer, counted as busy until this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) address: SocketAddr,
    in_flight: Option<Arc<AtomicUsize>>,
}

struct TlsMaterial {
    server_name: String,
    anchors: Arc<[WrappedX509]>,
    client: Option<Arc<CertKey>>,
}

impl Pools {
    /// Compiles every pool; a pool whose configuration did not change is taken over from `previous` with its health
    /// and counts.
    pub(super) fn compile(
        config: &Config,
        previous: Option<&Self>,
        runtime: &Handle,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut pools = Self::default();
        let mut errors = Vec::new();
        for pool in &config.pools {
            let material = match pool.tls.as_ref().map(TlsMaterial::load).transpose() {
                Ok(material) => material,
                Err(found) => {
                    errors.extend(found);
                    continue;
                }
            };
            let group = fingerprint(pool, material.as_ref());
            let unchanged = previous.and_then(|previous| previous.get(&pool.name)).filter(|old| old.group == group);
            match unchanged {
                Some(old) => {
                    pools.0.insert(pool.name.clone(), old.clone());
                }
                None => match Pool::start(pool, material, group, runtime) {
                    Ok(pool_started) => {
                        pools.0.insert(pool.name.clone(), Arc::new(pool_started));
                    }
                    Err(error) => errors.push(error),
                },
            }
        }
        if errors.is_empty() { Ok(pools) } else { Err(errors) }
    }

    /// The pool of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Pool>> {
        self.0.get(name)
    }

    /// Name, peer address and health of every peer, for metrics.
    pub(super) fn health(&self) -> Vec<(Arc<str>, String, bool)> {
        self.0
            .values()
            .flat_map(|pool| {
                pool.peers.iter().map(|peer| {
                    let healthy = pool.balancer.backends().ready(&peer.backend);
                    (pool.config.name.clone(), peer.backend.addr.to_string(), healthy)
                })
            })
            .collect()
    }
}

impl Pool {
    fn start(config: &PoolConfig, tls: Option<TlsMaterial>, group: u64, runtime: &Handle) -> Result<Self, ConfigError> {
        let backends: BTreeSet<Backend> =
            config.peers.iter().map(|peer| backend(peer, config)).collect::<Result<_, _>>()?;
        let peers =
            backends.iter().map(|backend| PoolPeer { backend: backend.clone(), in_flight: Arc::default() }).collect();
        let mut discovered = Backends::new(Static::new(backends));
        if let Some(check) = &config.health_check {
            discovered.set_health_check(health_check(check, config, tls.as_ref())?);
        }
        let balancer = Balancer::build(discovered, config.balance);
        // The peers are static: this reads them once and cannot fail.
        let _ = runtime.block_on(balancer.update());
        let health_checks = config.health_check.as_ref().map(|check| balancer.spawn_health_checks(check, runtime));
        Ok(Self { config: config.clone(), balancer, peers, tls, group, health_checks })
    }

    /// The pool's settings.
    pub(super) fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// A healthy peer for a request that has tried `tried` already; `key` decides with consistent hashing.
    pub(super) fn choose(&self, key: &[u8], tried: &[SocketAddr]) -> Option<Lease> {
        let fits = |backend: &Backend, healthy: bool| healthy && !tried.contains(&backend.addr);
        // Every peer may have to be looked at once; pingora's iterators repeat a heavy peer up to its weight.
        let attempts = self.config.peers.iter().map(|peer| peer.weight).sum::<usize>().max(self.peers.len());
        let chosen = match (&self.balancer, self.config.balance) {
            (balancer, Balance::LeastConnections) => self.least_connections(balancer.backends(), fits),
            (Balancer::RoundRobin(balancer), _) => balancer.select_with(key, attempts, fits),
            (Balancer::Consistent(balancer), _) => balancer.select_with(key, attempts, fits),
        }?;
        let in_flight =
            self.peers.iter().find(|peer| peer.backend.addr == chosen.addr).map(|peer| peer.in_flight.clone());
        if let Some(count) = &in_flight {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(Lease { address: chosen.addr, in_flight })
    }

    fn least_connections(&self, backends: &Backends, fits: impl Fn(&Backend, bool) -> bool) -> Option<Backend> {
        self.peers
            .iter()
            .filter(|peer| fits(&peer.backend, backends.ready(&peer.backend)))
            // Compared as fractions of the weight, without dividing.
            .min_by(|one, other| {
                let load = |peer: &PoolPeer| peer.in_flight.load(Ordering::Relaxed);
                let weight = |peer: &PoolPeer| peer.backend.weight.max(1);
                (load(one) * weight(other)).cmp(&(load(other) * weight(one)))
            })
            .map(|peer| peer.backend.clone())
    }

    /// How to connect to a chosen peer.
    pub(super) fn peer(&self, lease: &Lease, read_timeout: std::time::Duration) -> HttpPeer {
        let mut peer = http_peer(&lease.address, &self.config, self.tls.as_ref());
        peer.group_key = self.group;
        peer.options.read_timeout = Some(read_timeout);
        peer.options.write_timeout = Some(self.config.write_timeout);
        peer.options.idle_timeout = Some(self.config.idle_timeout);
        peer
    }

    /// The same for a request that asks for an upgrade: HTTP/1.1 on a connection of its own, without a read timeout,
    /// since messages may be far apart.
    pub(super) fn upgrade_peer(&self, lease: &Lease) -> HttpPeer {
        let mut peer = self.peer(lease, std::time::Duration::ZERO);
        peer.group_key = !self.group;
        peer.options.alpn = ALPN::H1;
        peer.options.read_timeout = None;
        peer.options.idle_timeout = Some(std::time::Duration::ZERO);
        peer.options.custom_l4 = Some(Arc::new(UpgradeConnector { connect_timeout: self.config.connect_timeout }));
        peer
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(task) = &self.health_checks {
            task.abort();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(count) = &self.in_flight {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Balancer {
    fn build(backends: Backends, balance: Balance) -> Self {
        match balance {
            Balance::ConsistentHash => Self::Consistent(Arc::new(LoadBalancer::from_backends(backends))),
            Balance::RoundRobin | Balance::LeastConnections => {
                Self::RoundRobin(Arc::new(LoadBalancer::from_backends(backends)))
            }
        }
    }

    fn backends(&self) -> &Backends {
        match self {
            Self::RoundRobin(balancer) => balancer.backends(),
            Self::Consistent(balancer) => balancer.backends(),
        }
    }

    async fn update(&self) -> pingora_core::Result<()> {
        match self {
            Self::RoundRobin(balancer) => balancer.update().await,
            Self::Consistent(balancer) => balancer.update().await,
        }
    }

    fn share(&self) -> Self {
        match self {
            Self::RoundRobin(balancer) => Self::RoundRobin(balancer.clone()),
            Self::Consistent(balancer) => Self::Consistent(balancer.clone()),
        }
    }

    fn spawn_health_checks(&self, check: &HealthCheck, runtime: &Handle) -> JoinHandle<()> {
        let (balancer, interval) = (self.share(), check.interval);
        runtime.spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                balancer.backends().run_health_check(true).await;
            }
        })
    }
}

impl TlsMaterial {
    fn load(config: &UpstreamTls) -> Result<Self, Vec<ConfigError>> {
        let mut wrapped = Vec::new();
        for anchor in certificates(&config.ca).map_err(|error| vec![error])? {
            // pingora would panic on what cannot be parsed.
            Certificate::parse(&anchor).map_err(|error| vec![unusable(&config.ca, &error)])?;
            wrapped.push(WrappedX509::new(anchor.to_vec(), parse_x509));
        }
        let client = match &config.client {
            None => None,
            Some((certificate, key)) => {
                // Read as a server's chain and key are, so that a pair that does not belong together is found now.
                let pair = certified_key(certificate, key, &super::handshake::crypto_provider())?;
                let private_key = private_key(key).map_err(|error| vec![error])?;
                let chain = pair.cert.iter().map(|certificate| certificate.to_vec()).collect();
                Some(Arc::new(CertKey::new(chain, private_key.secret_der().to_vec())))
            }
        };
        Ok(Self { server_name: config.server_name.clone(), anchors: wrapped.into(), client })
    }
}

fn backend(peer: &Peer, pool: &PoolConfig) -> Result<Backend, ConfigError> {
    let addr = match &peer.address {
        PeerAddress::Tcp(address) => SocketAddr::from(*address),
        PeerAddress::Unix(path) => {
            std::os::unix::net::SocketAddr::from_pathname(path).map(SocketAddr::Unix).map_err(|error| ConfigError {
                place: pool.place.clone(),
                message: format!("unix:{}: {error}", path.display()),
            })?
        }
    };
    let mut backend = Backend::new_with_weight("127.0.0.1:1", peer.weight)
        .map_err(|error| ConfigError { place: pool.place.clone(), message: error.to_string() })?;
    backend.addr = addr;
    Ok(backend)
}

fn http_peer(address: &SocketAddr, config: &PoolConfig, tls: Option<&TlsMaterial>) -> HttpPeer {
    let server_name = tls.map(|tls| tls.server_name.clone()).unwrap_or_default();
    // The address is set below; this one only satisfies the constructor, which resolves names.
    let mut peer = HttpPeer::new(std::net::SocketAddr::from(([127, 0, 0, 1], 1)), tls.is_some(), server_name);
    peer._address = address.clone();
    peer.options.connection_timeout = Some(config.connect_timeout);
    peer.options.total_connection_timeout = Some(config.connect_timeout);
    if let Some(tls) = tls {
        peer.options.ca = Some(tls.anchors.clone());
        peer.client_cert_key = tls.client.clone();
        peer.options.alpn = if config.http2 { ALPN::H2 } else { ALPN::H1 };
    }
    peer
}

fn connector_options() -> ConnectorOptions {
    let mut options = ConnectorOptions::new(IDLE_UPSTREAM_CONNECTIONS);
    options.ca_file = Some(NO_ROOTS.to_owned());
    options
}

fn health_check(
    check: &HealthCheck,
    pool: &PoolConfig,
    tls: Option<&TlsMaterial>,
) -> Result<Box<dyn PingoraHealthCheck + Send + Sync>, ConfigError> {
    let template = http_peer(&SocketAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1))), pool, tls);
    let Some(path) = &check.path else {
        let mut tcp = TcpHealthCheck::default();
        tcp.set_connector(TransportConnector::new(Some(connector_options())));
        tcp.peer_template.options.connection_timeout = Some(check.timeout);
        tcp.consecutive_failure = check.failures;
        tcp.consecutive_success = check.successes;
        return Ok(Box::new(tcp));
    };
    let host = tls.map_or("localhost", |tls| tls.server_name.as_str());
    let mut http = HttpHealthCheck::new_custom(host, tls.is_some(), HttpConnector::new(Some(connector_options())));
    http.peer_template = template;
    http.peer_template.options.connection_timeout = Some(check.timeout);
    http.peer_template.options.read_timeout = Some(check.timeout);
    http.consecutive_failure = check.failures;
    http.consecutive_success = check.successes;
    let uri = path
        .parse()
        .map_err(|error| ConfigError { place: pool.place.clone(), message: format!("health_check.path: {error}") })?;
    http.req.set_uri(uri);
    Ok(Box::new(http))
}

/// What a pool is made of; another value means another pool, whose connections are not shared.
fn fingerprint(pool: &PoolConfig, tls: Option<&TlsMaterial>) -> u64 {
    let mut hasher = DefaultHasher::new();
    // `Debug` shows every field but the places, which move when the file is edited elsewhere.
    let mut shown = pool.clone();
    shown.place = crate::config::Place::default();
    if let Some(tls) = &mut shown.tls {
        tls.ca.place = crate::config::Place::default();
        if let Some((certificate, key)) = &mut tls.client {
            certificate.place = crate::config::Place::default();
            key.place = crate::config::Place::default();
        }
    }
    format!("{shown:?}").hash(&mut hasher);
    if let Some(tls) = tls {
        tls.anchors.iter().for_each(|anchor| anchor.borrow_raw_cert().hash(&mut hasher));
        if let Some(client) = &tls.client {
            client.leaf().borrow_raw_cert().hash(&mut hasher);
            client.key().hash(&mut hasher);
        }
    }
    hasher.finish()
}
