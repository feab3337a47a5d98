//! What becomes of a certificate that is revoked while it is used: at each server as its operator would do it.
//!
//! nginx is reloaded, HAProxy is given the list over its runtime API, the gateway watches the file. Ticket keys of
//! nginx and HAProxy are files, as where there is more than one node.

use crate::client::{Body, Connection, EMPTY, Identity, exchange};
use crate::measure::server::binary;
use crate::process::Server;
use crate::products::{HAPROXY_SOCKET, Headers, Log, Product, Wanted};
use crate::report::NAMES;
use crate::revocation::write_entry;
use crate::stand::{List, Stand};
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};
use sekisho_pki::certificate::Certificate;
use sekisho_runtime::clock;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The name of these rows.
pub const KEY: &str = "revoked";

/// How long after the new list it is watched what still works.
const WATCHED: Duration = Duration::from_secs(5);
/// How long a server may take until the new list is in force.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two requests of a connection in use.
const PAUSE: Duration = Duration::from_millis(5);
/// A response that takes longer than all of this.
const SLOW: Body = Body { path: "/slow", octets: 256 * 1024, ..EMPTY };

/// A row: what became of it at each server.
pub struct Revoked {
    pub what: &'static str,
    pub outcomes: Vec<(&'static str, String)>,
}

/// Measures them.
pub fn run(stand: &Stand) -> Vec<Revoked> {
    write_ticket_keys(stand);
    let products = [Product::Nginx, Product::Haproxy, Product::Sekisho];
    let outcomes: Vec<_> = products.into_iter().map(|product| at(stand, product)).collect();
    let row = |(index, what): (usize, &'static str)| {
        let of_each = outcomes.iter().map(|outcomes: &[String; 4]| outcomes[index].clone());
        Revoked { what, outcomes: NAMES.into_iter().zip(of_each).collect() }
    };
    let names = [
        "revoked certificate, new full handshake",
        "revoked certificate, resumed session",
        "revoked certificate, live connection in use",
        "revoked certificate, response under way",
    ];
    names.into_iter().enumerate().map(row).collect()
}

fn at(stand: &Stand, product: Product) -> [String; 4] {
    let lists = stand.pki().path(List::Changing.file().unwrap());
    stand.write_lists(&lists, 1, Vec::new());
    let wanted = Wanted { product, list: List::Changing, headers: Headers::Few, log: Log::Off };
    let server = stand.start(wanted, &binary());
    let identity = stand.identities(1).remove(0);
    let sessions = stand.clients.config(&identity, Resumption::in_memory_sessions(8));
    let full = stand.clients.config(&identity, Resumption::disabled());
    let kinds = [(); 2].map(|()| exchange(&sessions, server.address, &EMPTY).unwrap().kind());
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed].map(Some), "sessions resume before it is revoked");
    let stop = Arc::new(AtomicBool::new(false));
    let in_use = exchange(&full, server.address, &EMPTY).unwrap();
    let mut under_way = exchange(&full, server.address, &EMPTY).unwrap();
    under_way.send(&SLOW.request()).unwrap();
    under_way.forget();
    under_way.read().unwrap();
    let in_use = thread::spawn({
        let stop = Arc::clone(&stop);
        move || use_until_cut(in_use, &stop)
    });
    let under_way = thread::spawn({
        let stop = Arc::clone(&stop);
        move || read_until_cut(under_way, &stop)
    });

    let mut entries = Vec::new();
    write_entry(&mut entries, &serial(&identity), clock::now().plus_seconds(-60), Some(1));
    stand.write_lists(&lists, 2, entries);
    let published = Instant::now();
    publish(product, &server, &lists);
    let refusal = until_refused(&full, &server);
    let refused = published.elapsed();
    let resumed = match exchange(&sessions, server.address, &EMPTY) {
        Ok(connection) => {
            assert_eq!(connection.kind(), Some(HandshakeKind::Resumed));
            "accepted".to_owned()
        }
        Err(error) => format!("refused ({})", short(&error)),
    };
    while published.elapsed() < WATCHED {
        thread::park_timeout(Duration::from_millis(50));
    }
    stop.store(true, Ordering::SeqCst);
    let [in_use, under_way] = [in_use, under_way].map(|thread| thread.join().unwrap().told(published));
    [format!("refused after {} ms ({})", refused.as_millis(), short(&refusal)), resumed, in_use, under_way]
}

/// How a connection was when it was watched no more.
enum End {
    Cut(Instant, io::Error),
    Alive(usize),
}

impl End {
    fn told(&self, published: Instant) -> String {
        match self {
            Self::Cut(at, error) => {
                let after = at.saturating_duration_since(published).as_millis();
                format!("ended after {after} ms ({})", short(error))
            }
            Self::Alive(count) => {
                format!("still served {} s later ({count} answers or reads)", WATCHED.as_secs())
            }
        }
    }
}

fn use_until_cut(mut connection: Connection, stop: &AtomicBool) -> End {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        connection.set_patience(PATIENCE);
        let answered = connection.send(&EMPTY.request()).and_then(|()| connection.receive(&[]));
        if let Err(error) = answered {
            return End::Cut(Instant::now(), error);
        }
        count += 1;
        connection.set_patience(PAUSE);
        connection.forget();
        match connection.read() {
            Err(error) if is_pause(&error) => {}
            Ok(_) => return End::Cut(Instant::now(), io::Error::other("something nobody asked for")),
            Err(error) => return End::Cut(Instant::now(), error),
        }
    }
    End::Alive(count)
}

fn read_until_cut(mut connection: Connection, stop: &AtomicBool) -> End {
    connection.set_patience(PAUSE);
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        connection.forget();
        match connection.read() {
            Ok(_) => count += 1,
            Err(error) if is_pause(&error) => {}
            Err(error) => return End::Cut(Instant::now(), error),
        }
    }
    End::Alive(count)
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn until_refused(client: &Arc<ClientConfig>, server: &Server) -> io::Error {
    let began = Instant::now();
    loop {
        match exchange(client, server.address, &EMPTY) {
            Err(error) => return error,
            Ok(_) => assert!(began.elapsed() < PATIENCE, "the new list is not in force"),
        }
    }
}

/// Puts the list in that file into force.
fn publish(product: Product, server: &Server, lists: &Path) {
    match product {
        Product::Nginx => server.reload(),
        Product::Haproxy => {
            let (path, text) = (lists.display(), std::fs::read_to_string(lists).unwrap());
            let told = |command: String| {
                let mut socket = UnixStream::connect(server.folder.join(HAPROXY_SOCKET)).unwrap();
                socket.write_all(command.as_bytes()).unwrap();
                socket.shutdown(Shutdown::Write).unwrap();
                let mut answer = String::new();
                socket.read_to_string(&mut answer).unwrap();
                answer
            };
            let set = told(format!("set ssl crl-file {path} <<\n{text}\n"));
            let committed = told(format!("commit ssl crl-file {path}\n"));
            assert!(committed.contains("Success"), "{set}{committed}");
        }
        Product::Sekisho => {}
    }
}

fn write_ticket_keys(stand: &Stand) {
    use base64::Engine as _;
    let mut keys = [0; 3 * 80];
    aws_lc_rs::rand::fill(&mut keys).unwrap();
    std::fs::write(stand.pki().path("nginx-tickets.key"), &keys[..80]).unwrap();
    let lines = keys.chunks(80).map(|key| base64::engine::general_purpose::STANDARD.encode(key) + "\n");
    std::fs::write(stand.pki().path("haproxy-tickets.keys"), lines.collect::<String>()).unwrap();
}

/// Content of the leaf's serial as DER has it.
fn serial(identity: &Identity) -> Vec<u8> {
    Certificate::parse(identity.leaf()).unwrap().serial().as_bytes().to_vec()
}

/// What an error says, in a word or two.
fn short(error: &io::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim();
    line.rsplit(": ").next().unwrap_or(line).to_owned()
}
