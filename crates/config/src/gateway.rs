//! Reads `[gateway]` and the tables below it.

use super::defaults;
use super::guidance;
use super::header_names;
use super::reader::{Item, Section};
use super::types::{Assertion, Feed, Fetch, Gateway, HeaderNames, Limits, LogTarget, NotReadyWhen, Tickets, TokenFrom};
use super::values::{boolean, duration, integer, list, memory, octets, one_of, path, placed_path, some_of, text};
use std::net::SocketAddr;
use std::time::Duration;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const HOUR: Duration = seconds(3_600);
const DAY: Duration = seconds(86_400);
const MEBIBYTE: u64 = 1 << 20;

/// What `[gateway]` holds.
pub(super) struct Read {
    pub(super) gateway: Gateway,
    pub(super) limits: Limits,
    pub(super) tickets: Tickets,
    pub(super) headers: HeaderNames,
    pub(super) assertion: Option<Assertion>,
    pub(super) feed: Option<Feed>,
    pub(super) fetch: Fetch,
}

/// `[gateway]`.
pub(super) fn read(mut section: Section<'_>) -> Read {
    let listen_advice = "write the addresses to serve TLS on: [\"0.0.0.0:443\", \"[::]:443\"]";
    let gateway = Gateway {
        listen: section.required("listen", listen_advice, |item| some_of(item, listen_advice, address)),
        admin: section.or("admin", defaults::ADMIN, address),
        threads: cores_if_zero(section.or("threads", defaults::THREADS, |item| integer(item, 0..=1024))),
        drain_timeout: section
            .or("drain_timeout", defaults::DRAIN_TIMEOUT, |item| duration(item, Duration::ZERO..=HOUR)),
        watch_files: section.or("watch_files", defaults::WATCH_FILES, boolean),
        not_ready_when: section.or("not_ready_when", defaults::NOT_READY_WHEN.to_vec(), not_ready_when),
        access_log: section.or("access_log", LogTarget::Stdout, log_target),
        state_folder: section.optional("state_folder", placed_path),
        admin_token_file: section.optional("admin_token_file", placed_path),
        admin_token_from: section.or("admin_token_from", TokenFrom::Loopback, token_from),
        contact: section.section("contact").map(guidance::contact),
    };
    refuse_shared_addresses(&section, &gateway);
    if section.has("feed") && !section.has("state_folder") {
        section.refuse_missing("state_folder", "[gateway.feed] keeps what it was told there");
    }
    if gateway.admin_token_file.is_some() && !section.has("state_folder") {
        let message = "needs a folder in which the block list is kept; write state_folder = \"/var/lib/sekisho\"";
        section.document.refuse(&section.place_of("admin_token_file"), message);
    }
    let read = Read {
        limits: limits(section.section_or_defaults("limits")),
        tickets: tickets(section.section_or_defaults("tickets")),
        headers: header_names::read(section.section_or_defaults("headers")),
        assertion: section.section("assertion").map(assertion),
        feed: section.section("feed").map(super::feed::read),
        fetch: fetch(section.section_or_defaults("fetch")),
        gateway,
    };
    section.finish();
    read
}

/// `[gateway.limits]`. A range's lower end still serves; its upper end is where a limit stops being one.
fn limits(mut section: Section<'_>) -> Limits {
    let default = Limits::default();
    let millisecond = Duration::from_millis(100);
    let limits = Limits {
        handshake_timeout: section
            .or("handshake_timeout", default.handshake_timeout, |item| duration(item, millisecond..=seconds(300))),
        connections: section.or("connections", default.connections, |item| integer(item, 1..=1_000_000)),
        connections_per_address: section
            .or("connections_per_address", default.connections_per_address, |item| integer(item, 1..=1_000_000)),
        new_connections_per_second_per_address: section.or(
            "new_connections_per_second_per_address",
            default.new_connections_per_second_per_address,
            |item| integer(item, 0..=1_000_000),
        ),
        request_header_bytes: section.or("request_header_bytes", default.request_header_bytes, |item| {
            // Below 1 KiB no browser's request fits.
            memory(item, 1_024..=MEBIBYTE)
        }),
        request_body_bytes: section
            .or("request_body_bytes", default.request_body_bytes, |item| octets(item, 1..=1 << 40)),
        header_timeout: section
            .or("header_timeout", default.header_timeout, |item| duration(item, millisecond..=seconds(300))),
        idle_timeout: section.or("idle_timeout", default.idle_timeout, |item| duration(item, millisecond..=HOUR)),
        body_idle_timeout: section
            .or("body_idle_timeout", default.body_idle_timeout, |item| duration(item, millisecond..=HOUR)),
        request_timeout: section
            .or("request_timeout", default.request_timeout, |item| duration(item, Duration::ZERO..=DAY)),
        requests_per_connection: section
            .or("requests_per_connection", default.requests_per_connection, |item| integer(item, 1..=1_000_000_000)),
        requests_in_flight_per_address: section.or(
            "requests_in_flight_per_address",
            default.requests_in_flight_per_address,
            |item| integer(item, 1..=1_000_000),
        ),
        requests_in_flight_per_certificate: section.or(
            "requests_in_flight_per_certificate",
            default.requests_in_flight_per_certificate,
            |item| integer(item, 1..=1_000_000),
        ),
        connections_opening_per_connection: section.or(
            "connections_opening_per_connection",
            default.connections_opening_per_connection,
            |item| integer(item, 1..=10_000),
        ),
        // A piece is up to 64 KiB.
        body_bytes_in_flight: section
            .or("body_bytes_in_flight", default.body_bytes_in_flight, |item| octets(item, 1 << 16..=1 << 40)),
        slow_body_bytes_per_second: section.or(
            "slow_body_bytes_per_second",
            default.slow_body_bytes_per_second,
            |item| integer(item, 0..=1_000_000),
        ),
        http2_concurrent_streams: section
            .or("http2_concurrent_streams", default.http2_concurrent_streams, |item| integer(item, 1..=10_000)),
        http2_resets: section.or("http2_resets", default.http2_resets, |item| integer(item, 1..=100_000)),
        http2_reset_window: section
            .or("http2_reset_window", default.http2_reset_window, |item| duration(item, seconds(1)..=HOUR)),
        chain_certificates: section.or("chain_certificates", default.chain_certificates, |item| integer(item, 1..=16)),
        chain_bytes: section.or("chain_bytes", default.chain_bytes, |item| memory(item, 1_024..=256 * 1_024)),
    };
    section.finish();
    limits
}

/// `[gateway.tickets]`.
fn tickets(mut section: Section<'_>) -> Tickets {
    let default = Tickets::default();
    let tickets = Tickets {
        secret_file: section.optional("secret_file", placed_path),
        // RFC 8446 section 4.6.1: never more than seven days.
        lifetime: section.or("lifetime", default.lifetime, |item| duration(item, seconds(60)..=7 * DAY)),
    };
    section.finish();
    tickets
}

/// `[gateway.fetch]`.
fn fetch(mut section: Section<'_>) -> Fetch {
    let default = Fetch::default();
    let fetch = Fetch {
        timeout: section.or("timeout", default.timeout, |item| duration(item, seconds(1)..=seconds(600))),
        // The upper end is what is read from a file.
        list_bytes: section.or("list_bytes", default.list_bytes, |item| octets(item, 1_024..=256 * MEBIBYTE)),
        interval: section.or("interval", default.interval, |item| duration(item, seconds(1)..=7 * DAY)),
        ca: section.optional("ca", placed_path),
    };
    section.finish();
    fetch
}

/// `[gateway.assertion]`.
fn assertion(mut section: Section<'_>) -> Assertion {
    let assertion = Assertion {
        key_file: section.required("key_file", "write the path of a P-256 private key in PEM", placed_path),
        previous_key_files: section.or("previous_key_files", Vec::new(), |item| list(item, placed_path)),
        issuer: section.or("issuer", defaults::ASSERTION_ISSUER.to_owned(), text),
        // An assertion is for one request: beyond ten minutes it is a credential to steal.
        lifetime: section
            .or("lifetime", defaults::ASSERTION_LIFETIME, |item| duration(item, seconds(1)..=seconds(600))),
    };
    section.finish();
    assertion
}

/// An IP address and a port to listen on.
pub(super) fn address(item: &Item<'_>) -> Option<SocketAddr> {
    let address = item.as_str().and_then(|text| text.parse().ok());
    if address.is_none() {
        item.refuse_type("an address", "an IP address and a port: \"127.0.0.1:8443\" or \"[::1]:8443\"");
    }
    address
}

/// Where records go.
pub(super) fn log_target(item: &Item<'_>) -> Option<LogTarget> {
    match item.as_str() {
        Some("stdout") => return Some(LogTarget::Stdout),
        Some("off") => return Some(LogTarget::Off),
        _ => {}
    }
    let Some(mut section) = item.section() else {
        item.refuse_type("a log target", "\"stdout\", \"off\" or { file = \"…\" }");
        return None;
    };
    let file = section.required("file", "write the path of the log file", path);
    section.finish();
    Some(LogTarget::File(file))
}

/// Over which connections the admin token is taken.
fn token_from(item: &Item<'_>) -> Option<TokenFrom> {
    let answers = [("loopback", TokenFrom::Loopback), ("anywhere", TokenFrom::Anywhere)];
    one_of(item, "where the token may come from", &answers)
}

/// What makes the gateway not ready.
fn not_ready_when(item: &Item<'_>) -> Option<Vec<NotReadyWhen>> {
    list(item, |item| one_of(item, "a condition", &NotReadyWhen::ALL))
}

/// Two listeners on one address would be a failure at start, after the old process has drained.
fn refuse_shared_addresses(section: &Section<'_>, gateway: &Gateway) {
    for (index, address) in gateway.listen.iter().enumerate() {
        if let Some(earlier) = gateway.listen.iter().take(index).find(|earlier| overlap(earlier, address)) {
            let message = format!("{address} is already listened on as {earlier}; remove one");
            section.document.refuse(&section.place_of("listen"), message);
        }
    }
    if gateway.listen.iter().any(|address| overlap(address, &gateway.admin)) {
        let message = format!("{} is also an address of listen; give the admin side one of its own", gateway.admin);
        section.document.refuse(&section.place_of("admin"), message);
    }
}

/// Whether two listeners cannot both have their address. Port 0 takes a free one each time.
pub(super) fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    let covers = one.ip().is_unspecified() || other.ip().is_unspecified() || one.ip() == other.ip();
    one.port() != 0 && one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && covers
}

/// `threads = 0` is one a core.
fn cores_if_zero(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}
