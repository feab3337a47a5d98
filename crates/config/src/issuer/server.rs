//! Reads `[issuer]`, `[store]` and `[limits]`.

use super::types::{ApiTls, Issuer, IssuerLimits, StoreConfig, StoreUrl};
use super::{defaults, must};
use crate::gateway::{address, log_target, overlap};
use crate::reader::{Item, Section};
use crate::types::{LogTarget, Placed};
use crate::values::{duration, integer, memory, placed, placed_path, text};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// `[issuer]`.
pub(super) fn read(mut section: Section<'_>) -> Issuer {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen_advice = "write the address of the API: \"127.0.0.1:8445\"";
    let public_advice = "write the address that serves lists, OCSP and CA certificates: \"0.0.0.0:80\"";
    let issuer = Issuer {
        listen: must(&mut section, "listen", listen_advice, nowhere, address),
        public_listen: must(&mut section, "public_listen", public_advice, nowhere, address),
        admin: section.or("admin", defaults::ADMIN, address),
        secret_file: section.required(
            "secret_file",
            "write the path of a file made by: openssl rand -base64 32",
            placed_path,
        ),
        log: section.or("log", LogTarget::Stdout, log_target),
        drain_timeout: section
            .or("drain_timeout", defaults::DRAIN_TIMEOUT, |item| duration(item, Duration::ZERO..=HOUR)),
        tls: section.section("tls").map(tls),
    };
    refuse_shared_addresses(&section, &issuer);
    if !section.has("tls") && !issuer.listen.ip().is_loopback() {
        let message = format!(
            "{} is no loopback address, and without [issuer.tls] requests and acquisition secrets would cross the \
             network in clear; add [issuer.tls] or listen on 127.0.0.1",
            issuer.listen
        );
        section.document.refuse(&section.place_of("listen"), message);
    }
    section.finish();
    issuer
}

/// `[issuer.tls]`.
fn tls(mut section: Section<'_>) -> ApiTls {
    let tls = ApiTls {
        certificate: section.required("certificate", "write the PEM file of the chain, leaf first", placed_path),
        key: section.required("key", "write the PEM file of the certificate's private key", placed_path),
        client_ca: section.required(
            "client_ca",
            "write the PEM file of the CAs whose certificates services come with",
            placed_path,
        ),
    };
    section.finish();
    tls
}

fn refuse_shared_addresses(section: &Section<'_>, issuer: &Issuer) {
    let listeners = [("listen", issuer.listen), ("public_listen", issuer.public_listen), ("admin", issuer.admin)];
    for (index, (key, address)) in listeners.iter().enumerate() {
        if let Some((earlier, _)) = listeners.iter().take(index).find(|(_, other)| overlap(other, address)) {
            let message = format!("{address} is also the address of {earlier}; give each its own");
            section.document.refuse(&section.place_of(key), message);
        }
    }
}

/// `[store]`.
pub(super) fn store(mut section: Section<'_>) -> StoreConfig {
    let default = Placed {
        value: StoreUrl::Sqlite(section.document.join(defaults::STORE_URL.trim_start_matches("sqlite:"))),
        place: section.place_of("url"),
    };
    let store = StoreConfig {
        url: section.or("url", default, store_url),
        connections: section.or("connections", defaults::STORE_CONNECTIONS, |item| integer(item, 1..=256)),
        waiting: section.or("waiting", defaults::STORE_WAITING, |item| integer(item, 1..=1_000_000)),
        together: section.or("together", defaults::STORE_TOGETHER, |item| integer(item, 1..=10_000)),
    };
    section.finish();
    store
}

/// `sqlite:FILE` or `postgres://…`. A wrong one is never shown: it may hold a password.
fn store_url(item: &Item<'_>) -> Option<Placed<StoreUrl>> {
    const RIGHT: &str = "write \"sqlite:issuer.db\" or \"postgres://user@host/database\"";
    let Some(text) = item.as_str().and_then(|_| text(item)) else {
        item.refuse(format!("is not the URL of a store; {RIGHT}"));
        return None;
    };
    let url = if let Some(path) = text.strip_prefix("sqlite:") {
        if path.is_empty() || path.starts_with("//") || path.contains(['?', ':']) {
            item.refuse(
                "is not the path of a file; write \"sqlite:issuer.db\" or \"sqlite:/var/lib/sekisho/issuer.db\"",
            );
            return None;
        }
        StoreUrl::Sqlite(item.document.join(path))
    } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        StoreUrl::Postgres(text)
    } else {
        item.refuse(format!("is not the URL of a store; {RIGHT}"));
        return None;
    };
    Some(placed(item, url))
}

/// `[limits]`. A range's lower end still serves; its upper end is where a limit stops being one.
pub(super) fn limits(mut section: Section<'_>) -> IssuerLimits {
    let default = IssuerLimits::default();
    let limits = IssuerLimits {
        // Below 4 KiB no request with an RSA-4096 key fits.
        body: section.or("body", default.body, |item| memory(item, 4_096..=1 << 20)),
        request_timeout: section.or("request_timeout", default.request_timeout, |item| {
            duration(item, Duration::from_secs(1)..=Duration::from_secs(600))
        }),
        requests_per_second: section
            .or("requests_per_second", default.requests_per_second, |item| integer(item, 1..=1_000_000)),
        burst: section.or("burst", default.burst, |item| integer(item, 1..=1_000_000)),
        public_requests_per_second: section.or(
            "public_requests_per_second",
            default.public_requests_per_second,
            |item| integer(item, 1..=1_000_000),
        ),
        connections: section.or("connections", default.connections, |item| integer(item, 1..=1_000_000)),
        // 256 are 5 GiB.
        password_checks: section.or("password_checks", default.password_checks, |item| integer(item, 1..=256)),
        // What is kept and asks for more than the upper ends is not computed.
        password_memory: section
            .or("password_memory", default.password_memory, |item| memory(item, 7 << 20..=256 << 20)),
        password_passes: section.or("password_passes", default.password_passes, |item| integer(item, 1..=16)),
    };
    section.finish();
    limits
}
