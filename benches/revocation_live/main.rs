//! From the issuer's answer to refusal, with ten thousand live connections over three gateways (requirement R5).
//!
//! `make bench-revocation`. Thousands of connections rest, poll or hold a WebSocket open and are nobody's business; some
//! certificates are revoked one after the other, each with connections of every kind at every gateway. Measured from the
//! moment the answer to the revocation has come: until each of those connections is cut, and until a new one is refused.
//! Whoever else's connection ended would be a failure.

#[path = "../measure/mod.rs"]
mod measure;
mod report;
mod stand;

use measure::client::{Identity, Use, request, until_cut};
use measure::server;
use report::Report;
use stand::Stand;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections that nobody may touch.
const CONNECTIONS: usize = 10_000;
/// Certificates they belong to.
const HOLDERS: usize = 100;
/// Certificates that are revoked.
const REVOKED: usize = 50;
/// Handshakes at a time while everything is opened.
const AT_A_TIME: usize = 64;
/// Between two requests of a resting connection: as a person reads a page.
const REST: Duration = Duration::from_secs(10);
/// Between two requests of a busy one.
const BUSY: Duration = Duration::from_millis(5);
/// How long a revocation may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two revocations.
const PAUSE: Duration = Duration::from_millis(150);

/// What the connections of a certificate that is to be revoked are used for, at each gateway.
const USES: [Use; 6] =
    [Use::Resting(REST), Use::Resting(REST), Use::Resting(BUSY), Use::LongPoll, Use::Stream, Use::WebSocket];

fn main() {
    server::begin();
    let connections = std::env::var("SEKISHO_BENCH_CONNECTIONS").map_or(CONNECTIONS, |text| text.parse().unwrap());
    let revoked = std::env::var("SEKISHO_BENCH_REVOKED").map_or(REVOKED, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stand = Stand::start(HOLDERS.min(connections), revoked);
    let gateways = stand.gateways();
    runtime.block_on(async {
        let others = Others::open(&stand.holders, &gateways, connections).await;
        println!("{}", stand.memory());
        let mut report = Report::default();
        for number in 0..revoked {
            tokio::time::sleep(PAUSE).await;
            measure_one(&stand, number, &gateways, &mut report).await;
        }
        let (ended, requests) = (others.ended.load(Ordering::SeqCst), others.requests.load(Ordering::SeqCst));
        println!("{requests} requests of the others were answered meanwhile; {ended} of their connections ended");
        assert_eq!(ended, 0, "connections of certificates that nobody revoked ended\n{}", stand.trouble());
        println!("{}", stand.memory());
        report.print(connections);
    });
}

/// Connections of certificates that are not revoked.
struct Others {
    ended: Arc<AtomicUsize>,
    requests: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Others {
    async fn open(holders: &[Identity], gateways: &[SocketAddr], count: usize) -> Self {
        let began = Instant::now();
        let others = Self { ended: Arc::default(), requests: Arc::default(), _tasks: JoinSet::new() };
        let (limit, opened) = (Arc::new(Semaphore::new(AT_A_TIME)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let holder = holders[number % holders.len()].clone();
            let gateway = gateways[number / holders.len() % gateways.len()];
            // Three of five rest, one polls, and one in ten each streams nothing or waits on a WebSocket.
            let purpose = match number / (holders.len() * gateways.len()) % 10 {
                0..6 => Use::Resting(REST),
                6..9 => Use::LongPoll,
                _ => Use::WebSocket,
            };
            let (limit, opened, ended, requests) =
                (limit.clone(), opened.clone(), others.ended.clone(), others.requests.clone());
            tasks.spawn(async move {
                let place = limit.acquire().await.unwrap();
                let tls = holder.begin(gateway, purpose).await.expect("a connection");
                drop(place);
                opened.fetch_add(1, Ordering::SeqCst);
                let error = until_cut(tls, purpose, || {
                    requests.fetch_add(1, Ordering::Relaxed);
                })
                .await;
                eprintln!("a connection ended that should not ({}): {error}", purpose.name());
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
        while opened.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(others.ended.load(Ordering::SeqCst), 0);
        }
        println!(
            "{count} connections over {} gateways opened in {:.1} s",
            gateways.len(),
            began.elapsed().as_secs_f64()
        );
        Self { _tasks: tasks, ..others }
    }
}

/// Opens one certificate's connections, revokes it, and waits until all of them are gone and new ones refused.
async fn measure_one(stand: &Stand, number: usize, gateways: &[SocketAddr], report: &mut Report) {
    let identity = stand.revocable[number].clone();
    let mut cuts = JoinSet::new();
    for gateway in gateways {
        for purpose in USES {
            let tls = identity.begin(*gateway, purpose).await;
            let tls = tls.unwrap_or_else(|error| panic!("a connection: {error}\n{}", stand.trouble()));
            cuts.spawn(async move {
                let _ = until_cut(tls, purpose, || {}).await;
                (purpose.name(), Instant::now())
            });
        }
    }
    // A long poll says nothing when it has reached the application.
    tokio::time::sleep(PAUSE).await;
    assert!(cuts.try_join_next().is_none(), "a connection ended before its certificate was revoked");
    let revocation = stand.revoke(number).await;
    let mut refusals = JoinSet::new();
    for gateway in gateways {
        let (identity, gateway) = (identity.clone(), *gateway);
        refusals.spawn(async move {
            while new_connection_is_served(&identity, gateway).await {}
            ("new connection", Instant::now())
        });
    }
    let all = async {
        let mut ends = cuts.join_all().await;
        ends.extend(refusals.join_all().await);
        ends
    };
    let ends = tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("certificate {number} is accepted"));
    for (kind, at) in ends {
        report.add(kind, at, &revocation);
    }
    report.add_answer(&revocation);
}

async fn new_connection_is_served(identity: &Identity, gateway: SocketAddr) -> bool {
    match identity.connect(gateway).await {
        Ok(mut tls) => request(&mut tls).await.is_ok(),
        Err(_) => false,
    }
}
