//! Every default, once. `config/sekisho.toml` states the same values and argues each; a test keeps the two equal.

use super::types::{Fetch, HeaderNames, Limits, NotReadyWhen, Tickets};
use http::HeaderName;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// `gateway.admin`: loopback, because metrics and readiness tell of customers and certificates.
pub const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9443);
/// `gateway.threads` as written: 0 is one a core, since the gateway waits on nothing but sockets.
pub const THREADS: usize = 0;
/// `gateway.drain_timeout`: a file upload or a slow screen ends within it; a supervisor's own stop timeout is 90 s.
pub const DRAIN_TIMEOUT: Duration = seconds(30);
/// `gateway.watch_files`: a new revocation list counts without anyone remembering to send a signal.
pub const WATCH_FILES: bool = true;

/// `gateway.not_ready_when`: a gateway that has not taken up what the others have is the one to send nobody to.
pub const NOT_READY_WHEN: [NotReadyWhen; 2] = [NotReadyWhen::ReloadRefused, NotReadyWhen::CrlNotInForce];

/// `gateway.assertion.issuer`.
pub const ASSERTION_ISSUER: &str = "sekisho";
/// `gateway.assertion.lifetime`: covers clock skew between gateway and application; each request gets its own.
pub const ASSERTION_LIFETIME: Duration = seconds(60);

/// `pool.connect_timeout`: three SYNs (0, 1 and 3 s) inside one data centre.
pub const POOL_CONNECT_TIMEOUT: Duration = seconds(3);
/// `pool.read_timeout`: the slowest screens of an IB application (statements, bulk transfers) answer within it.
pub const POOL_READ_TIMEOUT: Duration = seconds(60);
/// `pool.write_timeout`: an upstream that takes nothing for this long is not coming back.
pub const POOL_WRITE_TIMEOUT: Duration = seconds(30);
/// `pool.idle_timeout`: below the 75 s of nginx and the 60 s of most application servers, so that we close first.
pub const POOL_IDLE_TIMEOUT: Duration = seconds(50);
/// `pool.retries`: one failed peer is hidden; two failures at once are an outage that retries would feed.
pub const POOL_RETRIES: usize = 1;
/// `pool.requests_in_flight`: half of all connections may wait for one application.
pub const POOL_REQUESTS_IN_FLIGHT: usize = 10_000;
/// `pool.requests_in_flight_per_peer`: ten times what an application server works on at once; the rest waits there.
pub const POOL_REQUESTS_IN_FLIGHT_PER_PEER: usize = 2_048;
/// `pool.connections_opening_per_peer`: half of the shortest usual backlog of a listener (128).
pub const POOL_CONNECTIONS_OPENING_PER_PEER: usize = 64;
/// `pool.peers[].weight`.
pub const PEER_WEIGHT: usize = 1;

/// `pool.health_check.interval`.
pub const HEALTH_INTERVAL: Duration = seconds(5);
/// `pool.health_check.timeout`.
pub const HEALTH_TIMEOUT: Duration = seconds(2);
/// `pool.health_check.failures`: one lost packet takes no peer out; three intervals do.
pub const HEALTH_FAILURES: usize = 3;
/// `pool.health_check.successes`: a peer that flaps stays out.
pub const HEALTH_SUCCESSES: usize = 2;

/// `gateway.feed.lost_after`: five heartbeats, of which one node's death takes two at most.
pub const FEED_LOST_AFTER: Duration = seconds(10);

/// `ca.revocation.ocsp.timeout`: three SYNs to a responder in another data centre; the client's first request waits.
pub const OCSP_TIMEOUT: Duration = seconds(3);
/// `ca.revocation.ocsp.refresh`: 10,000 connected clients ask a responder 33 times a second.
pub const OCSP_REFRESH: Duration = seconds(300);

impl Default for Fetch {
    fn default() -> Self {
        Self {
            // Fifty megabytes, a list of a million, at 20 Mbit/s.
            timeout: seconds(30),
            // Five times the list of a million certificates, as for a file.
            list_bytes: 256 << 20,
            // What most CAs publish at least once in.
            interval: seconds(3_600),
            // Lists are signed, so that http:// is what CAs use; the system's roots are never believed.
            ca: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A handshake is two round trips and a PIN dialog is before it; 10 s is a very slow mobile link.
            handshake_timeout: seconds(10),
            // Two descriptors each (client, upstream) fit the usual hard limit of 65,536 with room to spare.
            connections: 20_000,
            // A company's users leave by one proxy address: 40 browsers with six connections each.
            connections_per_address: 256,
            // Off: behind a balancer without PROXY protocol every client has one address, and the bound above holds.
            new_connections_per_second_per_address: 0,
            // What nginx (4 x 8 KiB) and most application servers take.
            request_header_bytes: 32 * 1024,
            // The largest bulk-transfer file (総合振込) of the seeds' products is a few MB.
            request_body_bytes: 100 * 1024 * 1024,
            // Slowloris: the header is sent by a program in one go.
            header_timeout: seconds(10),
            // Browsers open a connection again at no cost to the user: sessions resume.
            idle_timeout: seconds(60),
            body_idle_timeout: seconds(60),
            // None: long polls and large downloads are legitimate, and body_idle_timeout bounds a silent one.
            request_timeout: Duration::ZERO,
            // Bounds what one connection accumulates and lets balancers spread load again; what nginx does.
            requests_per_connection: 1_000,
            // Two requests under way on each of an address's connections.
            requests_in_flight_per_address: 512,
            // One person's browser has a hundred streams; a program's certificate has a connection or two more.
            requests_in_flight_per_certificate: 128,
            // As many as a browser opens to one host, and some: each waits for a handshake inside one data centre.
            connections_opening_per_connection: 16,
            // A quarter of the smallest machine that 20,000 connections fit on.
            body_bytes_in_flight: 512 * 1024 * 1024,
            // Apache's mod_reqtimeout; the worst mobile link moves ten times as much.
            slow_body_bytes_per_second: 500,
            // The least RFC 9113 section 6.5.2 recommends.
            http2_concurrent_streams: 100,
            // A browser that leaves a page resets every stream once: 100 at most, by the line above.
            http2_resets: 100,
            http2_reset_window: seconds(10),
            // Leaf, three issuing CAs, a cross certificate and a root sent needlessly.
            chain_certificates: 6,
            // Six certificates of RSA-4096 with long extensions are 12 to 18 KiB.
            chain_bytes: 32 * 1024,
        }
    }
}

impl Default for Tickets {
    fn default() -> Self {
        // One working day from one use of the client's key (and of its PIN); every resumption is checked anew.
        Self { secret_file: None, lifetime: seconds(8 * 3600) }
    }
}

impl Default for HeaderNames {
    fn default() -> Self {
        let on = |name| Some(HeaderName::from_static(name));
        Self {
            contract_id: on("x-sekisho-contract-id"),
            user_id: on("x-sekisho-user-id"),
            common_name: on("x-sekisho-common-name"),
            serial: on("x-sekisho-serial"),
            issuer: on("x-sekisho-issuer"),
            ca: on("x-sekisho-ca"),
            not_before: on("x-sekisho-not-before"),
            not_after: on("x-sekisho-not-after"),
            days_left: on("x-sekisho-days-left"),
            fingerprint: on("x-sekisho-fingerprint"),
            verification: on("x-sekisho-verification"),
            resumed: on("x-sekisho-resumed"),
            authenticated_at: on("x-sekisho-authenticated-at"),
            client_cert: on("client-cert"),
            // Off: some kilobytes a request that few applications read.
            client_cert_chain: None,
            assertion: on("x-sekisho-assertion"),
            ca_draining: on("x-sekisho-ca-draining"),
            request_id: on("x-sekisho-request-id"),
            strip: Vec::new(),
        }
    }
}
