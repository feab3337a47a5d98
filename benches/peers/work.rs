//! What is measured: operations of one kind on one server, once.

use crate::client::{Body, Connection, EMPTY, exchange};
use crate::measure::samples::Samples;
use crate::process::{Server, Spent};
use rustls::{ClientConfig, HandshakeKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One round's figures of one server.
pub struct Measured {
    /// Microseconds of the server's CPU for each operation.
    pub cpu: f64,
    /// Operations a second, as this one client on one core had them.
    pub rate: f64,
    /// How long each took, as the client saw it.
    pub samples: Samples,
    /// What the server had of its core.
    pub spent: Spent,
}

impl Measured {
    /// Of as many operations as there are samples.
    pub fn new(spent: Spent, took: Duration, samples: Samples) -> Self {
        let count = samples.len() as f64;
        let cpu = spent.running.as_secs_f64() * 1e6 / count;
        Self { cpu, rate: count / took.as_secs_f64(), samples, spent }
    }
}

/// Handshakes with one request each, `at_once` at a time, by clients in turn from the `first` on; some before that
/// do not count.
pub fn handshakes(
    server: &Server,
    clients: &[Arc<ClientConfig>],
    first: usize,
    at_once: usize,
    count: usize,
    expected: HandshakeKind,
) -> Measured {
    let request = EMPTY.request();
    let mut clients = clients.iter().cycle().skip(first % clients.len());
    let run = |count: usize| {
        let mut samples = Samples::default();
        while samples.len() < count {
            let some = clients.by_ref().take(at_once.min(count - samples.len()));
            let mut open: Vec<_> =
                some.map(|client| Connection::begin(client, server.address, &request).unwrap()).collect();
            open.iter_mut().for_each(|connection| connection.shake_hands().unwrap());
            for mut connection in open {
                connection.receive(&[]).unwrap();
                assert_eq!(connection.kind(), Some(expected), "the kind of handshake that was to be measured");
                samples.push(connection.began.elapsed());
            }
        }
        samples
    };
    measured(server, count, run)
}

/// Operations before those that count: the processor's caches are full of the server that had its turn before.
pub fn uncounted(count: usize) -> usize {
    count.div_ceil(10)
}

/// Runs so many operations after some that do not count.
fn measured(server: &Server, count: usize, mut run: impl FnMut(usize) -> Samples) -> Measured {
    run(uncounted(count));
    let (before, began) = (server.account(), Instant::now());
    let samples = run(count);
    Measured::new(server.account().since(&before), began.elapsed(), samples)
}

/// Every client once, a few at a time, whatever the kind of handshake: to fill caches and to get tickets.
pub fn warm_up(server: &Server, clients: &[Arc<ClientConfig>]) {
    for client in clients {
        exchange(client, server.address, &EMPTY).unwrap();
    }
}

/// Requests on connections that are kept, one on each at a time.
pub fn requests(
    server: &Server,
    client: &Arc<ClientConfig>,
    connections: usize,
    body: &Body,
    count: usize,
) -> Measured {
    let (request, content) = (body.request(), body.content());
    let mut open: Vec<_> = (0..connections).map(|_| exchange(client, server.address, body).unwrap()).collect();
    let run = |count: usize| {
        let mut samples = Samples::default();
        while samples.len() < count {
            for connection in &mut open {
                connection.began = Instant::now();
                connection.send(&request).unwrap();
            }
            for connection in &mut open {
                connection.receive(&content).unwrap();
                samples.push(connection.began.elapsed());
            }
        }
        samples
    };
    measured(server, count, run)
}
