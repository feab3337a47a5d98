//! Requests at set times (an open loop).

use crate::measure::client::SITE;
use crate::stand::Stand;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients, each with a connection of its own.
const CLIENTS: u32 = 16;

/// Between two requests of one client: 16 clients send 800 a second, a busy morning of a bank on two cores.
const EVERY: Duration = Duration::from_millis(20);

/// When a request was to be sent, and how long after that it was answered.
pub type Request = (Instant, Duration);

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Request>>>,
}

impl Load {
    pub fn start(stand: &Stand) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (config, gateway, begin) = (stand.client(), stand.gateway(), Instant::now() + EVERY * 10);
        let client = |number: u32| {
            let (config, stop, begin) = (config.clone(), stop.clone(), begin + EVERY * number / CLIENTS);
            std::thread::spawn(move || send_on_time(config, gateway, begin, &stop))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), stop }
    }

    /// Everything that was measured.
    pub fn stop(self) -> Vec<Request> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    }
}

/// A thread of its own, since a runtime's timers count whole milliseconds.
fn send_on_time(config: Arc<ClientConfig>, gateway: SocketAddr, begin: Instant, stop: &AtomicBool) -> Vec<Request> {
    let tcp = TcpStream::connect(gateway).unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from(SITE).unwrap();
    let mut tls = StreamOwned::new(ClientConnection::new(config, name).unwrap(), tcp);
    request(&mut tls);
    let mut requests = Vec::with_capacity(32_768);
    let mut due = begin;
    while !stop.load(Ordering::Relaxed) {
        rest(due.saturating_duration_since(Instant::now()));
        request(&mut tls);
        requests.push((due, due.elapsed()));
        due += EVERY;
    }
    requests
}

fn request(tls: &mut StreamOwned<ClientConnection, TcpStream>) {
    tls.write_all(b"GET /healthz HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\r\n\r\nok\n") {
        let read = tls.read(&mut buffer).expect("nobody revoked this certificate");
        assert!(read > 0, "nobody revoked this certificate");
        answer.extend_from_slice(&buffer[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Lets time pass.
#[allow(clippy::disallowed_methods, reason = "a load is sent by the clock")]
pub fn rest(time: Duration) {
    std::thread::sleep(time);
}
