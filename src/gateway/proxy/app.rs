//! One connection's HTTP application: pingora's proxy, told whose connection it is.

use super::Proxy;
use super::context::{CONNECTION, PERMIT};
use crate::config::Limits;
use crate::gateway::Gateway;
use crate::gateway::connection::Connection;
use crate::gateway::stream::LINGER;
use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use std::sync::Arc;
use std::time::Duration;

/// Streams reset by the client that h2 itself holds before it says ENHANCE_YOUR_CALM (CVE-2023-44487).
const PENDING_ACCEPT_RESETS: usize = 20;

/// The gateway itself ends idle connections, to the quarter of a second and with a counter; pingora's timers, in whole
/// seconds, are in reserve.
const IDLE_RESERVE: Duration = Duration::from_secs(5);

/// Carries the connection, as a task-local, into every request made on it, HTTP/1.1 and HTTP/2 alike.
pub(in crate::gateway) struct ConnectionApp {
    connection: Arc<Connection>,
    proxy: Arc<Proxy>,
    options: HttpServerOptions,
    limits: Limits,
}

impl ConnectionApp {
    pub(in crate::gateway) fn new(connection: Arc<Connection>, proxy: Arc<Proxy>, gateway: &Gateway) -> Self {
        let limits = gateway.snapshot().config.limits.clone();
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(limits.idle_timeout + IDLE_RESERVE);
        Self { connection, proxy, options, limits }
    }
}

#[async_trait]
impl HttpServerApp for ConnectionApp {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some((self.limits.idle_timeout + IDLE_RESERVE).as_secs()));
        }
        session.set_read_timeout(Some(self.limits.body_idle_timeout));
        session.set_write_timeout(Some(self.limits.body_idle_timeout));
        // An answered request whose body is still coming is read that long, then the connection is closed
        // (CVE-2025-4366).
        session.set_total_drain_timeout(Some(LINGER));
        if !self.connection.tls.http2 {
            self.connection.await_header();
        }
        let permit = Arc::default();
        let request = self.proxy.http.process_new_http(session, shutdown);
        let request = CONNECTION.scope(self.connection.clone(), PERMIT.scope(Arc::clone(&permit), request));
        tokio::select! {
            next = request => next,
            // Of an HTTP/2 connection others may go on; h2 resets the stream of one that is dropped.
            () = self.connection.lost(&permit) => None,
        }
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_concurrent_streams(self.limits.http2_concurrent_streams);
        // Up to twice the limit a header is read, so that it can be answered, counted and logged; h2 answers a longer
        // one by itself, and bounds the CONTINUATION frames of one header by the same number.
        let header_bytes = self.limits.request_header_bytes.saturating_mul(2);
        options.max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX));
        options.max_pending_accept_reset_streams(PENDING_ACCEPT_RESETS);
        Some(options)
    }
}
