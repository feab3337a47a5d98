//! Pools of upstream peers: health, choice, connection settings.

mod balance;
mod health;

pub(in crate::gateway) use balance::Key;

use crate::gateway::base::key_material::{certificates, certified_key, not_after, private_key, unusable};
use crate::gateway::base::limits::Limit;
use balance::{Balancer, Candidate};
use futures_util::FutureExt as _;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use pingora_load_balancing::discovery::Static;
use pingora_load_balancing::{Backend, Backends};
use sekisho_config::{Config, ConfigError, HealthCheck, Peer, PeerAddress, Pool as PoolConfig, UpstreamTls};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeSet, HashMap, hash_map::DefaultHasher};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A file with no certificate in it, given to pingora in place of the system's roots, which are never used: every
/// TLS pool names its own CA.
pub(in crate::gateway) const NO_ROOTS: &str = "/dev/null";

/// Upstream connections kept idle for reuse, over all pools and peers.
pub(in crate::gateway) const IDLE_UPSTREAM_CONNECTIONS: usize = 1024;

/// Bytes of an answer that an HTTP/2 peer may send ahead: the least that RFC 9113 section 6.9.2 knows for a connection,
/// and one request at a time is on each.
const UPSTREAM_WINDOW: u32 = 65_535;

/// All pools, by name.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Pools(HashMap<Arc<str>, Arc<Pool>>);

/// A pool, ready for use. Dropping the last reference ends its health checks.
pub(in crate::gateway) struct Pool {
    config: PoolConfig,
    balancer: Balancer,
    backends: Arc<Backends>,
    peers: Vec<PoolPeer>,
    tls: Option<TlsMaterial>,
    group: u64,
    /// Requests under way, with whichever peer.
    in_flight: Arc<AtomicUsize>,
    /// Set once it is in force.
    health_checks: OnceLock<JoinHandle<()>>,
}

/// One peer and how many requests it is serving for us.
struct PoolPeer {
    backend: Backend,
    /// Its lot in consistent hashing.
    seed: u64,
    in_flight: Arc<AtomicUsize>,
    /// A permit for each connection that may be in the making at once.
    opening: Arc<Semaphore>,
}

/// A chosen peer, counted as busy until this is dropped.
#[derive(Debug)]
pub(in crate::gateway) struct Lease {
    pub(in crate::gateway) address: SocketAddr,
    /// To be held while a connection to it is opened.
    pub(in crate::gateway) opening: Arc<Semaphore>,
    in_flight: Arc<AtomicUsize>,
    pool: Arc<AtomicUsize>,
}

/// Why no peer is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum NoPeer {
    /// None is healthy that was not tried yet.
    Unhealthy,
    /// This limit is reached.
    Busy(Limit),
}

struct TlsMaterial {
    server_name: String,
    anchors: Arc<[WrappedX509]>,
    client: Option<Arc<CertKey>>,
    /// notAfter of the client certificate.
    not_after: Option<Timestamp>,
}

impl Pools {
    /// Compiles every pool; a pool whose configuration did not change is taken over from `previous` with its health
    /// and counts. Nobody is connected to before [`Self::check_health`].
    pub(in crate::gateway) fn compile(config: &Config, previous: Option<&Self>) -> Result<Self, Vec<ConfigError>> {
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
                None => match Pool::new(pool, material, group) {
                    Ok(new) => {
                        pools.0.insert(pool.name.clone(), Arc::new(new));
                    }
                    Err(error) => errors.push(error),
                },
            }
        }
        if errors.is_empty() { Ok(pools) } else { Err(errors) }
    }

    /// Begins the health checks of pools that have none under way: to be called of pools that come into force.
    pub(in crate::gateway) fn check_health(&self, runtime: &Handle) {
        for pool in self.0.values() {
            if let Some(check) = &pool.config.health_check {
                pool.health_checks.get_or_init(|| spawn_health_checks(pool.backends.clone(), check, runtime));
            }
        }
    }

    /// The pool of this name.
    pub(in crate::gateway) fn get(&self, name: &str) -> Option<&Arc<Pool>> {
        self.0.get(name)
    }

    /// Returns the name of every pool with a client certificate, and the certificate's notAfter.
    pub(in crate::gateway) fn client_certificates(&self) -> impl Iterator<Item = (&Arc<str>, Timestamp)> {
        self.0.iter().filter_map(|(name, pool)| Some((name, pool.tls.as_ref()?.not_after?)))
    }

    /// Name, peer address and health of every peer, for metrics.
    pub(in crate::gateway) fn health(&self) -> Vec<(Arc<str>, String, bool)> {
        self.0
            .values()
            .flat_map(|pool| {
                pool.peers.iter().map(|peer| {
                    let healthy = pool.backends.ready(&peer.backend);
                    (pool.config.name.clone(), peer.backend.addr.to_string(), healthy)
                })
            })
            .collect()
    }
}

impl Pool {
    fn new(config: &PoolConfig, tls: Option<TlsMaterial>, group: u64) -> Result<Self, ConfigError> {
        let backends: BTreeSet<Backend> =
            config.peers.iter().map(|peer| backend(peer, config)).collect::<Result<_, _>>()?;
        let peers = backends.iter().map(|backend| PoolPeer::new(backend, config)).collect();
        let mut discovered = Backends::new(Static::new(backends));
        if let Some(check) = &config.health_check {
            discovered.set_health_check(health::check(check, config, tls.as_ref())?);
        }
        // The peers are static: this reads them once, waits for nothing and cannot fail.
        let _ = discovered.update(drop).now_or_never();
        let (backends, balancer) = (Arc::new(discovered), Balancer::new(config.balance));
        let health_checks = OnceLock::new();
        let in_flight = Arc::default();
        Ok(Self { config: config.clone(), balancer, backends, peers, tls, group, in_flight, health_checks })
    }

    /// The pool's settings.
    pub(in crate::gateway) fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// A healthy peer for a request that has tried `tried` already; `key` decides with consistent hashing.
    ///
    /// # Errors
    /// There is none, or each has as many requests as it may.
    pub(in crate::gateway) fn choose(&self, key: Key<'_>, tried: &[SocketAddr]) -> Result<Lease, NoPeer> {
        // Counted before it is looked at, so that no two take the last place.
        let pool = Taken::of(&self.in_flight);
        if pool.before >= self.config.requests_in_flight {
            return Err(NoPeer::Busy(Limit::RequestsInFlight));
        }
        let candidates: Vec<_> = self
            .peers
            .iter()
            .enumerate()
            .filter(|(_, peer)| self.fits(peer, tried))
            .map(|(index, peer)| Candidate {
                index,
                weight: peer.backend.weight,
                in_flight: peer.in_flight.load(Ordering::Relaxed),
                seed: peer.seed,
            })
            .collect();
        let is_any = !candidates.is_empty();
        let with_room: Vec<_> = candidates
            .into_iter()
            .filter(|candidate| candidate.in_flight < self.config.requests_in_flight_per_peer)
            .collect();
        let chosen = self.balancer.choose(&with_room, key).and_then(|candidate| self.peers.get(candidate.index));
        let Some(chosen) = chosen else {
            return Err(if is_any { NoPeer::Busy(Limit::RequestsInFlightPerPeer) } else { NoPeer::Unhealthy });
        };
        let peer = Taken::of(&chosen.in_flight);
        if peer.before >= self.config.requests_in_flight_per_peer {
            return Err(NoPeer::Busy(Limit::RequestsInFlightPerPeer));
        }
        let (address, opening) = (chosen.backend.addr.clone(), chosen.opening.clone());
        Ok(Lease { address, opening, in_flight: peer.keep(), pool: pool.keep() })
    }

    /// Whether there is a healthy peer besides `tried`.
    pub(in crate::gateway) fn has_another(&self, tried: &[SocketAddr]) -> bool {
        self.peers.iter().any(|peer| self.fits(peer, tried))
    }

    fn fits(&self, peer: &PoolPeer, tried: &[SocketAddr]) -> bool {
        // Without checks every peer counts as healthy, for ever.
        !tried.contains(&peer.backend.addr)
            && (self.config.health_check.is_none() || self.backends.ready(&peer.backend))
    }

    /// How to connect to a chosen peer for a request of the client's connection with this number.
    pub(in crate::gateway) fn peer(&self, lease: &Lease, client: u64) -> HttpPeer {
        let mut peer = http_peer(&lease.address, &self.config, self.tls.as_ref());
        // What a kept connection is found by.
        peer.group_key = if self.config.share_connections { self.group } else { of_client(self.group, client) };
        peer
    }

    /// The same for a request that asks for an upgrade: HTTP/1.1, on a connection that no other request is given.
    pub(in crate::gateway) fn upgrade_peer(&self, lease: &Lease, client: u64) -> HttpPeer {
        let mut peer = self.peer(lease, client);
        peer.options.alpn = ALPN::H1;
        peer
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(task) = self.health_checks.get() {
            task.abort();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.pool.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place taken in a count, given back unless it is kept.
struct Taken<'a> {
    count: &'a Arc<AtomicUsize>,
    before: usize,
    kept: bool,
}

impl<'a> Taken<'a> {
    fn of(count: &'a Arc<AtomicUsize>) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed), kept: false }
    }

    fn keep(mut self) -> Arc<AtomicUsize> {
        self.kept = true;
        self.count.clone()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.config).finish_non_exhaustive()
    }
}

impl PoolPeer {
    fn new(backend: &Backend, config: &PoolConfig) -> Self {
        let seed = balance::hash(backend.addr.to_string().as_bytes());
        let opening = Arc::new(Semaphore::new(config.connections_opening_per_peer));
        Self { backend: backend.clone(), seed, in_flight: Arc::default(), opening }
    }
}

fn spawn_health_checks(backends: Arc<Backends>, check: &HealthCheck, runtime: &Handle) -> JoinHandle<()> {
    let mut ticks = {
        let _runtime = runtime.enter();
        tokio::time::interval(check.interval)
    };
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    runtime.spawn(async move {
        loop {
            ticks.tick().await;
            backends.run_health_check(true).await;
        }
    })
}

impl TlsMaterial {
    fn load(config: &UpstreamTls) -> Result<Self, Vec<ConfigError>> {
        let mut wrapped = Vec::new();
        for anchor in certificates(&config.ca).map_err(|error| vec![error])? {
            // pingora would panic on what cannot be parsed.
            Certificate::parse(&anchor).map_err(|error| vec![unusable(&config.ca, &error)])?;
            wrapped.push(WrappedX509::new(anchor.to_vec(), parse_x509));
        }
        let mut not_after = None;
        let client = match &config.client {
            None => None,
            Some((certificate, key)) => {
                // Read as a server's chain and key are, so that a pair that does not belong together is found now.
                let pair = certified_key(certificate, key, &crate::gateway::base::suites::crypto_provider())?;
                not_after = pair.cert.first().and_then(self::not_after);
                let private_key = private_key(key).map_err(|error| vec![error])?;
                let chain = pair.cert.iter().map(|certificate| certificate.to_vec()).collect();
                Some(Arc::new(CertKey::new(chain, private_key.secret_der().to_vec())))
            }
        };
        Ok(Self { server_name: config.server_name.clone(), anchors: wrapped.into(), client, not_after })
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
        // What a peer may send of an answer before the client has taken any: pingora offers 8 MiB.
        peer.options.h2_stream_window_size = Some(UPSTREAM_WINDOW);
        peer.options.h2_connection_window_size = Some(UPSTREAM_WINDOW);
    }
    peer
}

pub(in crate::gateway) fn connector_options() -> ConnectorOptions {
    let mut options = ConnectorOptions::new(IDLE_UPSTREAM_CONNECTIONS);
    options.ca_file = Some(NO_ROOTS.to_owned());
    options
}

/// A pool's group as one client's connection has it.
fn of_client(group: u64, client: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (group, client).hash(&mut hasher);
    hasher.finish()
}

/// What a pool is made of; another value means another pool, whose connections are not shared.
fn fingerprint(pool: &PoolConfig, tls: Option<&TlsMaterial>) -> u64 {
    let mut hasher = DefaultHasher::new();
    // `Debug` shows every field but the places, which move when the file is edited elsewhere.
    let mut shown = pool.clone();
    shown.place = sekisho_config::Place::default();
    if let Some(tls) = &mut shown.tls {
        tls.ca.place = sekisho_config::Place::default();
        if let Some((certificate, key)) = &mut tls.client {
            certificate.place = sekisho_config::Place::default();
            key.place = sekisho_config::Place::default();
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
