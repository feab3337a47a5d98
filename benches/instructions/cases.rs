//! The operations, in the process that is counted. Each is done a few times first, so that what happens once is not in it.

use super::world::{Bank, LISTS, NEW_CLIENTS, revocation::NOW};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection};
use sekisho::gateway::Terminator;
use sekisho::gateway::base::request_id::RequestId;
use sekisho::gateway::request::access::{RouteMatch, RouteTable, Target};
use sekisho::gateway::request::authority::request_host;
use sekisho::gateway::request::headers::{Forwarding, IdentityHeaders, RequestFacts, SessionKind, StripSet, strip};
use sekisho::gateway::verify::{ChainCache, recheck, verify};
use sekisho_config::{self as config, HeaderNames, Place, Route};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const SITE: &str = "ib.localhost";

/// What callgrind counted before a case's own operations has a name that begins so.
pub const WARM: &str = "warm: ";

/// Handshakes of a case: their randomness averages out.
const HANDSHAKES: usize = 8;

/// Other operations of a case.
const OPERATIONS: usize = 64;

/// Every case.
pub fn run(folder: &Path) {
    handshakes(folder);
    for entries in LISTS {
        decisions(&Bank::read(folder, entries), entries);
    }
    requests(&Bank::read(folder, LISTS[0]));
}

/// What callgrind counts: from its entry to its end.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Where callgrind writes down what it has counted since the case before.
#[inline(never)]
fn case_is_over(name: &str, operations: usize) {
    println!("{name}\t{operations}");
}

/// Does an operation some times uncounted, then counted.
fn case<T>(name: &str, mut operation: impl FnMut() -> T) {
    (0..4).for_each(|_| drop(black_box(operation())));
    (0..OPERATIONS).for_each(|_| drop(measured(&mut operation)));
    case_is_over(name, OPERATIONS);
}

/// The gateway's half of handshakes over memory.
struct Handshakes<'a> {
    folder: &'a Path,
    terminator: Terminator,
}

fn handshakes(folder: &Path) {
    let text = std::fs::read_to_string("config/sekisho.toml").unwrap();
    let text = text.replace("../certs/dev", &folder.join("pki").display().to_string());
    let parsed = config::parse(&text, "bench", Path::new("config")).unwrap();
    let gateway = Handshakes { folder, terminator: Terminator::new(parsed).unwrap() };
    let returning = gateway.client("client-good", Resumption::disabled());
    gateway.case("handshake, full, returning client", |_| returning.clone(), HandshakeKind::Full);
    let new: Vec<_> =
        (0..NEW_CLIENTS).map(|number| gateway.client(&format!("new-{number}"), Resumption::disabled())).collect();
    gateway.case("handshake, full, client first seen", |index| new[index].clone(), HandshakeKind::Full);
    let resuming = gateway.client("client-good", Resumption::store(Arc::new(ClientSessionMemoryCache::new(8))));
    gateway.handshake(&resuming);
    gateway.case("handshake, resumed and re-checked", |_| resuming.clone(), HandshakeKind::Resumed);
}

impl Handshakes<'_> {
    fn case(&self, name: &str, client: impl Fn(usize) -> Arc<ClientConfig>, kind: HandshakeKind) {
        let warm = NEW_CLIENTS - HANDSHAKES;
        for index in 0..NEW_CLIENTS {
            if index == warm {
                // What the first ones cost is thrown away with a dump of its own.
                case_is_over(&format!("{WARM}{name}"), 1);
            }
            assert_eq!(self.handshake(&client(index)), Some(kind), "the handshake that was to be counted");
        }
        case_is_over(name, HANDSHAKES);
    }

    /// One handshake, tickets included. What the server does is counted, what the client does is not.
    fn handshake(&self, client: &Arc<ClientConfig>) -> Option<HandshakeKind> {
        let name = ServerName::try_from(SITE).unwrap();
        let mut client = ClientConnection::new(client.clone(), name).unwrap();
        let config = measured(|| self.terminator.server_config(Some(SITE))).unwrap();
        let mut server = measured(|| ServerConnection::new(config)).unwrap();
        while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
            let mut flight = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut flight).unwrap();
            }
            let mut answer = Vec::new();
            measured(|| {
                let mut rest = &flight[..];
                while !rest.is_empty() {
                    server.read_tls(&mut rest).unwrap();
                    server.process_new_packets().unwrap();
                }
                while server.wants_write() {
                    server.write_tls(&mut answer).unwrap();
                }
            });
            let mut rest = &answer[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        let kind = server.handshake_kind();
        if kind == Some(HandshakeKind::Resumed) {
            // rustls restored the chain and asked nobody; the gateway decides on it again.
            assert!(measured(|| self.terminator.stands(Some(SITE), &server)), "a good client");
        }
        kind
    }

    fn client(&self, name: &str, resumption: Resumption) -> Arc<ClientConfig> {
        let path = |file: &str| self.folder.join("pki").join(file);
        let chain = |name: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_file_iter(path(&format!("{name}.pem"))).unwrap().map(Result::unwrap).collect()
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain("server-ca"));
        let key = PrivateKeyDer::from_pem_file(path(&format!("{name}.key"))).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(sekisho::gateway::crypto_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain(name), key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = resumption;
        Arc::new(config)
    }
}

/// The decision on a chain, beside a list of so many.
fn decisions(bank: &Bank, entries: usize) {
    let Bank { trust, policy, chain } = bank;
    case(&format!("verify, first seen, list of {entries}"), || {
        verify(chain, policy, trust, None, NOW).into_result().unwrap()
    });
    let cache = ChainCache::default();
    let again = || verify(chain, policy, trust, Some(&cache), NOW).into_result().unwrap();
    case(&format!("verify, returning, list of {entries}"), again);
    let client = verify(chain, policy, trust, None, NOW).into_result().unwrap();
    case(&format!("recheck, list of {entries}"), || recheck(&client, policy, trust, NOW).into_result().unwrap());
}

/// As Chromium sends them.
const BROWSER: &[(&str, &str)] = &[
    ("host", "ib.example.jp"),
    ("connection", "keep-alive"),
    ("cache-control", "max-age=0"),
    ("sec-ch-ua", "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Windows\""),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("referer", "https://ib.example.jp/ib/top.do"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "ja,en-US;q=0.9,en;q=0.8"),
    ("cookie", "JSESSIONID=0123456789ABCDEF0123456789ABCDEF"),
];

/// The parts of a request's admission that can be called one by one.
fn requests(bank: &Bank) {
    let Bank { trust, policy, chain } = bank;
    let client = verify(chain, policy, trust, None, NOW).into_result().unwrap();
    let names = HeaderNames::default();
    let set = StripSet::new(&names);
    let field =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let browser: HeaderMap = BROWSER.iter().map(field).collect();
    let identity = IdentityHeaders::verified(&client, SessionKind::Full, NOW, &names);
    let forwarding = Forwarding::new(([192, 0, 2, 7], 50_000).into());
    let request_id = RequestId::generate();
    let facts = RequestFacts { now: NOW, request_id: &request_id, assertion: None };
    let mut copies: Vec<HeaderMap> = (0..OPERATIONS + 4).map(|_| browser.clone()).collect();
    case("request, headers stripped and set", || {
        let mut headers = copies.pop().unwrap();
        strip(&mut headers, &set);
        identity.apply(&mut headers, &facts).unwrap();
        forwarding.apply(&mut headers, "ib.example.jp").unwrap();
        headers
    });
    case("request, target taken apart", || Target::parse(black_box(b"/ib/user/top.do?screen=1")).unwrap());
    case("request, host", || request_host(http::Version::HTTP_11, None, &browser).unwrap());
    let routes = ["/", "/ib", "/ib/user", "/ib/admin", "/static", "/api/v1", "/api/v2", "/login"].map(|path| Route {
        place: Place::default(),
        path: path.to_owned(),
        methods: Vec::new(),
        pool: "ib".into(),
        require: Vec::new(),
        timeout: None,
        finish: None,
    });
    let table = RouteTable::new(&routes);
    case("request, route found among 8", || match table.find(black_box("/ib/user/top.do"), &Method::GET) {
        RouteMatch::Route(matched) => matched.route.path().len(),
        _ => panic!("there is a route"),
    });
    case("request, numbered", RequestId::generate);
}
