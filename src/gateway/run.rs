//! Accepting connections, and the gateway's life from bind to drain.

use crate::gateway::Gateway;
use crate::gateway::admin;
use crate::gateway::base::cause::Cause;
use crate::gateway::base::descriptors::Descriptors;
use crate::gateway::base::limits::ACCEPT_PAUSE;
use crate::gateway::base::limits::Limit;
use crate::gateway::base::suites::crypto_provider;
use crate::gateway::control::reload::{self, Telling};
use crate::gateway::control::watch::FileWatch;
use crate::gateway::live::connection::Connection;
use crate::gateway::live::publish;
use crate::gateway::live::records::{AuthenticationRecord, Outcome, unenforced};
use crate::gateway::live::stream::ClientStream;
use crate::gateway::metrics;
use crate::gateway::metrics::Resumed;
use crate::gateway::proxy::Proxy;
use crate::gateway::revocation::answers;
use crate::gateway::revocation::blocks::{self, Blocks};
use crate::gateway::revocation::feed;
use crate::gateway::revocation::fetch;
use crate::gateway::revocation::last_in_force;
use crate::gateway::revocation::outstanding::Outstanding;
use crate::gateway::revocation::settle;
use crate::gateway::revocation::sources::LastAlarms;
use crate::gateway::revocation::withdrawn;
use crate::gateway::tls::handshake::{self, Client, Failure, FailureCause};
use crate::gateway::tls::tcp::BufferedTcp;
use crate::gateway::tls::tickets::TicketKeys;
use crate::gateway::verify::ChainCache;
use arc_swap::ArcSwap;
use sekisho_config::{CaState, Config, ConfigError, Place};
use sekisho_runtime::clock;
use sekisho_runtime::process::signals::{self, Heard, Signals};
use sekisho_runtime::telemetry::log::RecordLog;
use sekisho_trust::Live;
use sekisho_trust::sources::Fetcher;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Connections the kernel holds until they are accepted: some milliseconds' worth in a storm of them.
const ACCEPT_BACKLOG: i32 = 4096;
/// How often connections are looked over for what only time changes: slow headers, expired certificates.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// How often live connections are judged anew when no new snapshot came: some microseconds each.
const ENFORCE_INTERVAL: Duration = Duration::from_secs(1);

/// Builds, binds, runs and drains.
pub(in crate::gateway) fn run(config: Config, config_path: &Path) -> Result<(), Vec<ConfigError>> {
    let (wake, causes) = mpsc::channel();
    // Before the files are read: what changes from here on is not missed.
    let mut watch = FileWatch::new(&wake, &config.gateway.access_log);
    watch.follow(&config, config_path);
    watch.look(&config, config_path, clock::now(), Instant::now());
    let (gateway, runtime) = build(config)?;
    let (listeners, signals) = {
        let _entered = runtime.enter();
        (
            bind(&gateway)?,
            Signals::listen().map_err(|error| at_start(&format!("cannot install signal handlers: {error}")))?,
        )
    };
    // Only now that nothing stands in the way any more: a start that is refused disturbs nobody.
    gateway.snapshot().pools.check_health(runtime.handle());
    fetch::follow(&gateway, &wake, runtime.handle()).map_err(|error| vec![error])?;
    let reloader = {
        let (gateway, path, wake, handle) =
            (gateway.clone(), config_path.to_owned(), wake.clone(), runtime.handle().clone());
        std::thread::spawn(move || reload::run(&gateway, &path, &causes, &wake, &handle, watch))
    };
    runtime.block_on(serve(&gateway, listeners, signals, &wake));
    // The reloader ends by itself when it hears of it; if it panicked, there is nothing left to save.
    let _ = wake.send(Cause::Stop);
    let _ = reloader.join();
    gateway.last_in_force.settle();
    gateway.records.flush();
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// An error of the machine we start on.
fn at_start(message: &str) -> Vec<ConfigError> {
    vec![ConfigError { place: Place { file: "start".into(), ..Place::default() }, message: message.to_owned() }]
}

/// A gateway and the runtime it is to run on.
pub(in crate::gateway) fn build(config: Config) -> Result<(Arc<Gateway>, Runtime), Vec<ConfigError>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.gateway.threads)
        .enable_all()
        .thread_name("gateway")
        .build()
        .map_err(|error| at_start(&format!("no runtime: {error}")))?;
    // Before anything else is put into the folder.
    if let Some(folder) = &config.gateway.state_folder {
        blocks::begin(&folder.value);
    }
    {
        let _entered = runtime.enter();
        signals::survive().map_err(|error| at_start(&format!("cannot install signal handlers: {error}")))?;
    }
    let provider = crypto_provider();
    // pingora would install ring's otherwise. A second installation (tests) finds the same one in place.
    let _ = provider.clone().install_default();
    let descriptors = Descriptors::raise(&config).map_err(|error| at_start(&error))?;
    let primed = fetch::prime(&config, runtime.handle()).map_err(|error| vec![error])?;
    let (mut snapshot, alarms) = reload::compile(config, None, &provider)?;
    let fetcher = Fetcher::default();
    let live = Live { points: Some(Arc::clone(fetcher.book())), ..snapshot.trust.live().clone() };
    snapshot.trust = Arc::new(snapshot.trust.with_live(live));
    let config = snapshot.config.clone();
    let secret = reload::ticket_secret(&config).map_err(|error| vec![error])?;
    let records = RecordLog::open(&config.gateway.access_log)
        .map_err(|error| at_start(&format!("gateway.access_log: {error}")))?;
    let (feed, snapshot) = feed::Feed::recall(&config, snapshot)?;
    let gateway = Gateway {
        provider: Arc::new(provider),
        tickets: Arc::new(TicketKeys::new(secret, config.tickets.lifetime)),
        chain_cache: ChainCache::default(),
        admission: Arc::default(),
        registry: Arc::default(),
        publishing: publish::Publishing::default(),
        feed,
        loads: publish::Loads::default(),
        withdrawn: withdrawn::KeptWithdrawn::default(),
        last_in_force: last_in_force::KeptInForce::default(),
        fetcher,
        alarms: LastAlarms::default(),
        descriptors,
        outstanding: Outstanding::default(),
        questions: settle::Questions::default(),
        blocks: Blocks::kept_in(config.gateway.state_folder.as_ref().map(|folder| folder.value.clone())),
        metrics: metrics::Metrics::new().map_err(|error| at_start(&error.to_string()))?,
        records,
        snapshot: ArcSwap::from_pointee(snapshot),
    };
    let snapshot = gateway.snapshot();
    gateway.outstanding.accepted(clock::now());
    withdrawn::keep(&gateway);
    gateway.descriptors.warn(&snapshot.config);
    reload::report_alarms(&gateway, &alarms, Telling::All);
    primed.iter().for_each(|report| fetch::report(&gateway, report));
    Ok((Arc::new(gateway), runtime))
}

struct Listeners {
    tls: Vec<TcpListener>,
    admin: TcpListener,
}

/// Binds every address, or none.
fn bind(gateway: &Gateway) -> Result<Listeners, Vec<ConfigError>> {
    let config = gateway.snapshot().config.clone();
    let mut errors = Vec::new();
    let mut tls = Vec::new();
    for address in &config.gateway.listen {
        match listen(*address) {
            Ok(listener) => tls.push(listener),
            Err(error) => errors.extend(at_start(&format!("gateway.listen: {address}: {error}"))),
        }
    }
    match listen(config.gateway.admin) {
        Ok(admin) if errors.is_empty() => Ok(Listeners { tls, admin }),
        Ok(_) => Err(errors),
        Err(error) => {
            errors.extend(at_start(&format!("gateway.admin: {}: {error}", config.gateway.admin)));
            Err(errors)
        }
    }
}

/// An IPv6 address takes IPv6 only, whatever the system's default: `[::]:443` and `0.0.0.0:443` go together.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted gateway takes its address back while connections of the old one are still closing.
    socket.set_reuse_address(true)?;
    // Without it a small response waits for the client's acknowledgement of the one before. Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until a signal says stop and the last request is done, or `drain_timeout` has passed.
async fn serve(gateway: &Arc<Gateway>, listeners: Listeners, signals: Signals, wake: &mpsc::Sender<Cause>) {
    let (stop, stopping) = watch::channel(false);
    let proxy = Arc::new(Proxy::service(gateway.clone()));
    let threads = gateway.snapshot().config.gateway.threads;
    for listener in listeners.tls {
        announce("tls", &listener);
        let listener = Arc::new(listener);
        for _ in 0..threads {
            tokio::spawn(accept_loop(listener.clone(), gateway.clone(), proxy.clone(), stopping.clone()));
        }
    }
    announce("admin", &listeners.admin);
    tokio::spawn(admin::serve(listeners.admin, gateway.clone(), stopping.clone()));
    tokio::spawn(watch_connections(gateway.clone()));
    tokio::spawn(feed::follow(gateway.clone()));
    tokio::spawn(answers::keep_fresh(gateway.clone()));
    obey(signals, gateway, wake).await;
    tracing::info!(connections = gateway.registry.len(), "stopping: no new connections, requests under way may finish");
    // Whoever listens has a receiver; none left means that everything has stopped.
    let _ = stop.send(true);
    gateway.registry.for_each(|connection| connection.retire());
    drain(gateway).await;
}

fn announce(kind: &str, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(kind, %address, "listening");
    }
}

/// Does what signals ask for, until one says stop.
async fn obey(mut signals: Signals, gateway: &Gateway, wake: &mpsc::Sender<Cause>) {
    loop {
        match signals.next().await {
            Heard::Stop => return,
            Heard::ReopenLogs => gateway.records.reopen(),
            Heard::Reload if wake.send(Cause::Signal).is_ok() => {}
            Heard::Reload => tracing::error!("nothing reloads any more: the reloader has ended"),
        }
    }
}

async fn drain(gateway: &Gateway) {
    let deadline = Instant::now() + gateway.snapshot().config.gateway.drain_timeout;
    while gateway.registry.len() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let left = gateway.registry.len();
    if left > 0 {
        tracing::warn!(connections = left, "drain_timeout has passed; the rest is cut");
    }
}

async fn accept_loop(
    listener: Arc<TcpListener>,
    gateway: Arc<Gateway>,
    proxy: Arc<Proxy>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => return,
        };
        match accepted {
            Ok((tcp, _)) if !gateway.descriptors.are_left_after(&tcp) => {
                gateway.metrics.accept_errors_total().inc();
                drop(tcp);
                tracing::error!("connection refused: the remaining descriptors are kept for CRLs, admin and upstreams");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Ok((tcp, peer)) => {
                let connection = take(tcp, peer, gateway.clone(), proxy.clone(), stopping.clone());
                tokio::spawn(connection);
            }
            Err(error) => {
                gateway.metrics.accept_errors_total().inc();
                tracing::error!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, from accept to its end: limits, handshake, record, requests.
async fn take(
    tcp: TcpStream,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    proxy: Arc<Proxy>,
    stopping: watch::Receiver<bool>,
) {
    let began = Instant::now();
    let mut limits = gateway.snapshot().config.limits.clone();
    limits.connections = limits.connections.min(gateway.descriptors.connections());
    let _place = match gateway.admission.enter(peer.ip(), &limits, began) {
        Ok(place) => place,
        Err(exceeded) => {
            gateway.metrics.limits_reached_total(exceeded).inc();
            return;
        }
    };
    // In a box of its own, which is gone when it is over: some kilobytes that no idle connection keeps.
    let accepting = Box::pin(handshake::accept(BufferedTcp::new(tcp), &gateway));
    let handshake = tokio::time::timeout(limits.handshake_timeout, accepting).await;
    let accepted = match handshake {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(failure)) => {
            report_failure(&gateway, &failure, peer, began);
            if let Some(tcp) = failure.tcp {
                Box::pin(handshake::linger(tcp)).await;
            }
            return;
        }
        Err(_) => {
            gateway.metrics.limits_reached_total(Limit::HandshakeTimeout).inc();
            let cause = FailureCause::Timeout;
            let failure = Failure { site: None, server_name: None, tls_version: None, cause, tcp: None };
            return report_failure(&gateway, &failure, peer, began);
        }
    };
    if let Client::Pending(pending) = &accepted.client {
        // The client's key is proven: now its status may be asked for, while its request is on its way.
        settle::begin(&gateway, &pending.needs);
    }
    let connection = Arc::new(Connection::new(gateway.registry.next_id(), peer, &accepted));
    report_success(&gateway, &connection, &accepted.client, began);
    let _kept = gateway.registry.keep(&connection);
    if *stopping.borrow() {
        connection.retire();
    }
    gateway.metrics.connections().inc();
    let stream = Box::new(ClientStream::new(accepted.tls, connection.clone(), limits.request_header_bytes));
    drop(accepted.client);
    tokio::select! {
        () = proxy.serve(connection.clone(), stream) => {}
        () = connection.cut_and_stuck() => {}
    }
    if connection.header_octets() > limits.request_header_bytes.saturating_mul(2) {
        gateway.metrics.limits_reached_total(Limit::RequestHeaderBytes).inc();
    }
    if connection.cut.is_exceeded() {
        gateway.metrics.limits_reached_total(Limit::Finish).inc();
    }
    if let Some(limit) = connection.last_words() {
        gateway.metrics.limits_reached_total(limit).inc();
    }
    gateway.metrics.connections().dec();
}

fn report_success(gateway: &Gateway, connection: &Connection, client: &Client, began: Instant) {
    let took = began.elapsed();
    let outcome = Outcome::of(client);
    let resumed = if connection.tls.resumed { Resumed::True } else { Resumed::False };
    gateway.metrics.handshakes_total(connection.site_name(), outcome.name, outcome.reason, resumed).inc();
    gateway.metrics.handshake_duration_seconds().observe(took.as_secs_f64());
    if let Some(unenforced) = unenforced(client) {
        gateway.metrics.count_unenforced(unenforced);
    }
    if let Client::Verified(client) = client {
        let state = if connection.last_known().draining.is_some() { CaState::Draining } else { CaState::Active };
        gateway.metrics.ca_handshakes_total(client.ca(), state).inc();
    }
    if gateway.records.is_on() {
        gateway.records.write(&AuthenticationRecord::finished(connection, client, clock::now(), took));
    }
}

fn report_failure(gateway: &Gateway, failure: &Failure, peer: SocketAddr, began: Instant) {
    let took = began.elapsed();
    let record = AuthenticationRecord::failed(failure, peer, clock::now(), took);
    let site = failure.site.as_ref().map_or("", |site| &*site.name);
    gateway.metrics.handshakes_total(site, record.outcome, record.reason, Resumed::False).inc();
    gateway.metrics.handshake_duration_seconds().observe(took.as_secs_f64());
    gateway.records.write(&record);
}

/// What time alone changes: headers that never end, certificates that expire and lists that go stale under a
/// connection that is streaming, blocks that end. It goes on while the gateway drains: what is cut then is what would hold it up.
async fn watch_connections(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    let mut enforced = Instant::now();
    let mut expiring: Option<JoinHandle<()>> = None;
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = gateway.snapshot();
        let limits = &snapshot.config.limits;
        gateway.registry.for_each(|connection| {
            let over = |waited: Option<u64>, limit: Duration| waited.is_some_and(|waited| millis(limit) < waited);
            let limit = if over(connection.header_pending_millis(), limits.header_timeout) {
                Limit::HeaderTimeout
            } else if over(connection.idle_millis(), limits.idle_timeout) {
                Limit::IdleTimeout
            } else {
                return;
            };
            if connection.cut.throw() {
                gateway.metrics.limits_reached_total(limit).inc();
            }
        });
        let is_over = snapshot.trust.live().blocks.next_expiry().is_some_and(|expiry| expiry <= clock::now());
        if is_over && expiring.as_ref().is_none_or(JoinHandle::is_finished) {
            let gateway = gateway.clone();
            // Not waited for: it takes as long as the disk does. Were it to panic, it would be tried again.
            expiring = Some(tokio::task::spawn_blocking(move || blocks::expire(&gateway)));
        }
        if enforced.elapsed() >= ENFORCE_INTERVAL {
            publish::enforce(&gateway, &snapshot);
            enforced = Instant::now();
        }
        gateway.admission.forget_quiet(Instant::now());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
