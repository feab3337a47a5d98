//! OCSP answers a second over HTTP, from the cache and signed anew.

use super::Sizes;
use super::bank::{Bank, by_user};
use super::issue::people;
use super::measure::cpu;
use super::measure::results::{Results, thousands};
use sekisho_ca::Authority;
use sekisho_config::issuer::IssuerLimits;
use sekisho_issuer::listen::{self, ConnectionLimits, Listener};
use sekisho_issuer::publish::{self, Publisher};
use sekisho_issuer::service::{Act, KeyRequest};
use sekisho_pki::serial::SerialNumber;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections that ask at a time, kept alive.
const CONNECTIONS: usize = 8;

/// How often everybody is asked about.
const ROUNDS: usize = 5;

pub fn run(runtime: &Runtime, banks: &[(&str, Bank)], sizes: &Sizes, results: &mut Results) {
    results.table(
        "OCSP answers over HTTP (POST, kept-alive connections, 8 at a time; client on the same cores)",
        &["store", "answers", "from", "a second", "issuer CPU, µs", "a second and core, by that"],
    );
    for (name, bank) in banks {
        let (shutdown, stopping) = watch::channel(false);
        let (address, requests) = runtime.block_on(async {
            let serials = certificates(bank, sizes.answers).await;
            let wake = Arc::clone(&bank.wakes.statuses);
            let (store, authorities) = (Arc::clone(&bank.store), Arc::clone(&bank.authorities));
            let publisher = Publisher::start(store, authorities, wake, stopping.clone()).await.unwrap();
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = Listener::bind(any, None, ConnectionLimits::new(64)).await.unwrap();
            let address = listener.local_address();
            let router = publish::router(publisher, &limits());
            tokio::spawn(listen::serve(listener, router, stopping, Duration::from_secs(1)));
            let authority = &bank.authorities.named("hokugin").unwrap().authority;
            let requests: Vec<Vec<u8>> = serials.iter().map(|serial| post(&request(authority, serial))).collect();
            (address, Arc::new(requests))
        });
        for (from, rounds) in [("signed anew", 1), ("the cache", ROUNDS)] {
            let answers = requests.len() * rounds;
            let (before, begin) = (cpu::of_threads_named("issuer"), Instant::now());
            ask_all(address, &requests, rounds);
            let (took, spent) = (begin.elapsed(), cpu::of_threads_named("issuer") - before);
            let each = spent.as_secs_f64() / answers as f64;
            results.row(&[
                (*name).to_owned(),
                thousands(answers),
                from.to_owned(),
                thousands((answers as f64 / took.as_secs_f64()) as usize),
                format!("{:.1}", each * 1e6),
                thousands((1.0 / each) as usize),
            ]);
        }
        shutdown.send_replace(true);
    }
}

/// Issues so many, and gives their serial numbers.
async fn certificates(bank: &Bank, count: usize) -> Vec<SerialNumber> {
    let mut acts = JoinSet::new();
    let mut serials = Vec::with_capacity(count);
    for (user, csr) in people(bank, 'Q', count).await {
        if acts.len() >= 256 {
            serials.push(acts.join_next().await.unwrap().unwrap());
        }
        let service = Arc::clone(&bank.service);
        acts.spawn(async move {
            let acquire = Act::Acquire { secret: None, key: KeyRequest::Csr(csr) };
            service.execute(by_user(&user, acquire)).await.unwrap().delivered.unwrap().serial
        });
    }
    serials.extend(acts.join_all().await);
    serials
}

fn ask_all(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, rounds: usize) {
    let ask = |connection: usize| {
        let requests = Arc::clone(requests);
        let ask = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut answer = Vec::with_capacity(4_096);
            for request in (0..rounds).flat_map(|_| requests.iter().skip(connection).step_by(CONNECTIONS)) {
                stream.write_all(request).unwrap();
                read_answer(&mut stream, &mut answer);
            }
        };
        std::thread::Builder::new().name("client".to_owned()).spawn(ask).unwrap()
    };
    (0..CONNECTIONS).map(ask).collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
}

/// Reads one, which must be good.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) {
    answer.clear();
    let mut buffer = [0; 4_096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the connection ended");
        answer.extend_from_slice(&buffer[..read]);
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end]).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if answer.len() >= end + 4 + length.parse::<usize>().unwrap() {
            // OCSPResponse { responseStatus successful, … }: RFC 6960 section 4.2.1.
            assert!(answer[end + 4..].windows(3).take(8).any(|octets| octets == [0x0a, 1, 0]), "a successful answer");
            return;
        }
    }
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /ocsp/hokugin HTTP/1.1\r\nHost: pki.example.jp\r\nContent-Type: application/ocsp-request\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A request by SHA-1 for one serial number of an authority.
fn request(authority: &Authority, serial: &SerialNumber) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let sha1 = |octets: &[u8]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
        element(4, digest.as_ref())
    };
    let certificate = authority.certificate();
    // The last 65 octets of the key's encoding are its point.
    let info = certificate.subject_public_key_info();
    let id = [
        &[0x30, 7, 6, 5, 0x2b, 0x0e, 3, 2, 26][..],
        &sha1(certificate.subject().der()),
        &sha1(&info[info.len() - 65..]),
        &element(2, serial.as_bytes()),
    ];
    (0..5).fold(id.concat(), |content, _| element(0x30, &content))
}

fn limits() -> IssuerLimits {
    IssuerLimits {
        body: 65_536,
        request_timeout: Duration::from_secs(10),
        requests_per_second: 1_000_000,
        burst: 1_000_000,
        public_requests_per_second: 10_000_000,
        connections: 64,
        password_checks: 2,
        password_memory: 19 << 20,
        password_passes: 2,
    }
}
