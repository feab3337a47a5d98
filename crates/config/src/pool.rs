//! Reads `[[pool]]`.

use super::defaults;
use super::reader::{Item, Section, Unique};
use super::server_name::upstream_name;
use super::types::{Balance, HealthCheck, Peer, PeerAddress, Pool, UpstreamTls};
use super::values::{boolean, duration, integer, name, one_of, placed_path, some_of};
use std::net::SocketAddr;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// `[[pool]]`.
pub(super) fn read(sections: Vec<Section<'_>>) -> Vec<Pool> {
    let mut names = Unique::new("the name of a pool");
    sections.into_iter().map(|section| read_one(section, &mut names)).collect()
}

fn read_one(mut section: Section<'_>, names: &mut Unique) -> Pool {
    let place = section.place.clone();
    let pool_name = section.required("name", "write a short name for routes, logs and metrics", |item| {
        let name = name(item)?;
        names.check(item.document, &item.place, &name);
        Some(name)
    });
    let peers_advice = "write the upstream's addresses: [\"10.0.0.1:8080\", \"unix:/run/ib.sock\"]";
    let peers = section.required("peers", peers_advice, |item| peers(item, peers_advice));
    let tls = section.section("tls").map(upstream_tls);
    let http_place = section.place_of("http");
    let http2 = section.or("http", false, |item| one_of(item, "an HTTP version", &[("1.1", false), ("2", true)]));
    if http2 && !section.has("tls") {
        section
            .document
            .refuse(&http_place, "\"2\" needs tls, by which the version is agreed (ALPN); add tls or write \"1.1\"");
    }
    let pool = Pool {
        name: pool_name.into(),
        place,
        peers,
        balance: section.or("balance", Balance::RoundRobin, balance),
        tls,
        http2,
        health_check: section.section("health_check").map(health_check),
        connect_timeout: section
            .or("connect_timeout", defaults::POOL_CONNECT_TIMEOUT, |item| duration(item, MILLISECOND..=HOUR)),
        read_timeout: section
            .or("read_timeout", defaults::POOL_READ_TIMEOUT, |item| duration(item, MILLISECOND..=HOUR)),
        write_timeout: section
            .or("write_timeout", defaults::POOL_WRITE_TIMEOUT, |item| duration(item, MILLISECOND..=HOUR)),
        idle_timeout: section
            .or("idle_timeout", defaults::POOL_IDLE_TIMEOUT, |item| duration(item, MILLISECOND..=HOUR)),
        share_connections: section.or("share_connections", true, boolean),
        // Ten tries of one request are an outage made worse.
        retries: section.or("retries", defaults::POOL_RETRIES, |item| integer(item, 0..=10)),
        requests_in_flight: section
            .or("requests_in_flight", defaults::POOL_REQUESTS_IN_FLIGHT, |item| integer(item, 1..=1_000_000)),
        requests_in_flight_per_peer: section.or(
            "requests_in_flight_per_peer",
            defaults::POOL_REQUESTS_IN_FLIGHT_PER_PEER,
            |item| integer(item, 1..=1_000_000),
        ),
        connections_opening_per_peer: section.or(
            "connections_opening_per_peer",
            defaults::POOL_CONNECTIONS_OPENING_PER_PEER,
            |item| integer(item, 1..=100_000),
        ),
    };
    section.finish();
    pool
}

fn balance(item: &Item<'_>) -> Option<Balance> {
    let answers = [
        ("round-robin", Balance::RoundRobin),
        ("least-connections", Balance::LeastConnections),
        ("consistent-hash", Balance::ConsistentHash),
    ];
    one_of(item, "a way to balance", &answers)
}

fn peers(item: &Item<'_>, advice: &str) -> Option<Vec<Peer>> {
    let mut addresses = Unique::new("a peer of this pool");
    let peers: Vec<(Peer, String, super::types::Place)> = some_of(item, advice, |element| {
        let (peer, written) = peer(element)?;
        Some((peer, written, element.place.clone()))
    })?;
    for (_, written, place) in &peers {
        addresses.check(item.document, place, written);
    }
    Some(peers.into_iter().map(|(peer, ..)| peer).collect())
}

/// `"10.0.0.1:8080"`, `"unix:/run/ib.sock"` or `{ address = …, weight = … }`, and the address as a name.
fn peer(item: &Item<'_>) -> Option<(Peer, String)> {
    let (address, weight) = match item.section() {
        None => (peer_address(item), defaults::PEER_WEIGHT),
        Some(mut section) => {
            let advice = "write the peer's address: \"10.0.0.1:8080\"";
            let address = section.required("address", advice, |item| Some(peer_address(item)));
            // 1000 to 1 is a peer that is nearly out; a balancer keeps one slot for each unit of weight.
            let weight = section.or("weight", defaults::PEER_WEIGHT, |item| integer(item, 1..=1000));
            section.finish();
            (address, weight)
        }
    };
    let address = address?;
    let written = match &address {
        PeerAddress::Tcp(address) => address.to_string(),
        PeerAddress::Unix(path) => path.display().to_string(),
    };
    Some((Peer { address, weight }, written))
}

fn peer_address(item: &Item<'_>) -> Option<PeerAddress> {
    let right =
        "an IP address and a port, \"10.0.0.1:8080\", or a socket, \"unix:/run/ib.sock\" (names are not resolved)";
    let address = item.as_str().and_then(|text| match text.strip_prefix("unix:") {
        Some("") => None,
        Some(path) => Some(PeerAddress::Unix(item.document.join(path))),
        None => text.parse().ok().filter(|address: &SocketAddr| address.port() != 0).map(PeerAddress::Tcp),
    });
    if address.is_none() {
        item.refuse_type("a peer address", right);
    }
    address
}

/// `tls = { … }` or `[pool.tls]`.
fn upstream_tls(mut section: Section<'_>) -> UpstreamTls {
    let server_name =
        section.required("server_name", "write the name that the upstream's certificate must have", upstream_name);
    let ca =
        section.required("ca", "write the PEM file of its trust anchors; system roots are never used", placed_path);
    let certificate = section.optional("certificate", placed_path);
    let key = section.optional("key", placed_path);
    match (section.has("certificate"), section.has("key")) {
        (true, false) => section.refuse_missing("key", "a client certificate needs its private key"),
        (false, true) => section.refuse_missing("certificate", "a private key needs its client certificate"),
        _ => {}
    }
    section.finish();
    UpstreamTls { server_name, ca, client: certificate.zip(key) }
}

/// `health_check = { … }` or `[pool.health_check]`.
fn health_check(mut section: Section<'_>) -> HealthCheck {
    let check = HealthCheck {
        path: section.optional("path", super::route::request_path),
        interval: section.or("interval", defaults::HEALTH_INTERVAL, |item| duration(item, MILLISECOND * 100..=HOUR)),
        timeout: section.or("timeout", defaults::HEALTH_TIMEOUT, |item| duration(item, MILLISECOND..=HOUR)),
        failures: section.or("failures", defaults::HEALTH_FAILURES, |item| integer(item, 1..=100)),
        successes: section.or("successes", defaults::HEALTH_SUCCESSES, |item| integer(item, 1..=100)),
    };
    if check.timeout > check.interval {
        let message = "is longer than interval; a check must end before the next one begins";
        section.document.refuse(&section.place_of("timeout"), message);
    }
    section.finish();
    check
}
