//! Active health checks of a pool's peers.

use super::TlsMaterial;
use super::connector_options;
use super::http_peer;
use async_trait::async_trait;
use pingora_core::connectors::TransportConnector;
use pingora_core::connectors::http::Connector as HttpConnector;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::{HealthCheck, HttpHealthCheck};
use sekisho_config::{ConfigError, HealthCheck as Settings, Pool};
use std::time::Duration;

/// A check as configured, to be run by pingora.
///
/// # Errors
/// A path that is no path.
pub(super) fn check(
    settings: &Settings,
    pool: &Pool,
    tls: Option<&TlsMaterial>,
) -> Result<Box<dyn HealthCheck + Send + Sync>, ConfigError> {
    let peer = template(pool, tls, settings.timeout);
    let Some(path) = &settings.path else {
        let connector = TransportConnector::new(Some(connector_options()));
        let (failures, successes) = (settings.failures, settings.successes);
        return Ok(Box::new(ConnectionCheck { peer, connector, failures, successes, timeout: settings.timeout }));
    };
    let host = tls.map_or("localhost", |tls| tls.server_name.as_str());
    let mut http = HttpHealthCheck::new_custom(host, tls.is_some(), HttpConnector::new(Some(connector_options())));
    http.peer_template = peer;
    http.consecutive_failure = settings.failures;
    http.consecutive_success = settings.successes;
    let uri = path
        .parse()
        .map_err(|error| ConfigError { place: pool.place.clone(), message: format!("health_check.path: {error}") })?;
    http.req.set_uri(uri);
    Ok(Box::new(http))
}

/// A connection, with its TLS handshake where the pool has TLS. pingora's own check of this kind makes no handshake
/// unless it is given a name, and then knows neither our CA nor our certificate.
struct ConnectionCheck {
    peer: HttpPeer,
    connector: TransportConnector,
    failures: usize,
    successes: usize,
    timeout: Duration,
}

#[async_trait]
impl HealthCheck for ConnectionCheck {
    async fn check(&self, target: &Backend) -> pingora_core::Result<()> {
        let mut peer = self.peer.clone();
        peer._address = target.addr.clone();
        match tokio::time::timeout(self.timeout, self.connector.new_stream(&peer)).await {
            Ok(connected) => connected.map(drop),
            Err(_) => pingora_core::Error::e_explain(pingora_core::ErrorType::ConnectTimedout, "health check"),
        }
    }

    fn health_threshold(&self, success: bool) -> usize {
        if success { self.successes } else { self.failures }
    }
}

/// How to connect for a check; the address is each peer's.
fn template(pool: &Pool, tls: Option<&TlsMaterial>, timeout: Duration) -> HttpPeer {
    let mut peer = http_peer(&SocketAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1))), pool, tls);
    peer.options.connection_timeout = Some(timeout);
    peer.options.total_connection_timeout = Some(timeout);
    peer.options.read_timeout = Some(timeout);
    peer
}
