//! A request's way through the gateway: still good? route and access, headers, upstream, response, log.
//!
//! `http1` and `http2` take requests from a connection, `request` judges each and tells what became of it, `forward` is the
//! two pipes between client and upstream. pingora reads what comes in HTTP/1.1 on either side, keeps and makes
//! connections to upstreams and speaks HTTP/2 to them; h2 speaks it to clients.

mod account;
mod admit;
mod answer;
mod body;
mod context;
mod duplex;
mod failure;
mod forward;
mod http1;
mod http2;
mod idle;
mod outgoing;
mod own;
mod pace;
mod peer;
mod places;
mod progress;
mod request;
mod respond;
mod served;
mod wire;

use super::Gateway;
use crate::gateway::live::connection::Connection;
use crate::gateway::live::stream::ClientStream;
use own::OwnConnections;
use peer::Upstreams;
use places::Places;
use served::Served;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the requests of all connections share.
pub(super) struct Proxy {
    gateway: Arc<Gateway>,
    upstreams: Arc<Upstreams>,
    places: Arc<Places>,
}

impl Proxy {
    /// A proxy for all connections of a gateway.
    pub(super) fn service(gateway: Arc<Gateway>) -> Self {
        Self { gateway, upstreams: Arc::default(), places: Arc::default() }
    }

    /// Serves the requests of a connection until it ends.
    pub(super) async fn serve(self: &Arc<Self>, connection: Arc<Connection>, stream: Box<ClientStream>) {
        let limits = &self.gateway.snapshot().config.limits;
        let http2 = connection.tls.http2;
        let opening = Arc::new(Semaphore::new(limits.connections_opening_per_connection));
        let own = OwnConnections::of(self.upstreams.clone());
        let served = Arc::new(Served { connection, opening, own });
        if http2 {
            http2::serve(self, &served, stream, limits).await;
        } else {
            http1::serve(self, &served, stream).await;
        }
    }
}
