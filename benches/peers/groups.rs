//! What is measured: groups of servers that run at once, and the rows that are measured on them in turns.

use crate::arguments::{Arguments, is_quick};
use crate::client::{BODIES, Body, EMPTY, UPLOAD};
use crate::measure::server::binary;
use crate::process::Server;
use crate::products::{Headers, Log, Product, Wanted};
use crate::report::{Report, Row, Series};
use crate::stand::{List, Stand};
use crate::work::{self, Measured, uncounted};
use crate::{http2, report};
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};
use std::path::PathBuf;
use std::sync::Arc;

/// Servers that run at once.
pub struct Group {
    contenders: Vec<Contender>,
    headers: Headers,
    log: Log,
    rows: Vec<Planned>,
    /// The rows of memory and start, if they are measured here: the begin of their names.
    start: Option<&'static str>,
}

/// One of them.
struct Contender {
    name: &'static str,
    product: Product,
    list: List,
}

/// A row to measure.
#[derive(Clone, Copy)]
struct Planned {
    key: &'static str,
    title: &'static str,
    work: Work,
    /// Operations a round.
    count: usize,
}

#[derive(Clone, Copy)]
enum Work {
    Handshakes { kind: HandshakeKind, who: Who, at_once: usize },
    Requests { connections: usize, body: Body },
    Http2 { streams: usize },
}

/// Whose handshakes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// One certificate.
    One,
    /// One certificate with a key of RSA-2048.
    Rsa,
    /// A thousand certificates in turn, each of which was seen before.
    Thousand,
    /// Certificates of which none was ever seen before.
    New,
}

/// Handshakes at once, and connections with requests at once, unless the row says otherwise.
const AT_ONCE: usize = 8;
const CONNECTIONS: usize = 32;
/// nginx and HAProxy verify the signature of a list of a million in every full handshake: a tenth of a second.
const COUNT_WITH_A_MILLION: usize = 16;
/// Starts with a list of a million.
const STARTS: usize = 3;

use HandshakeKind::{Full, Resumed};

fn shake(key: &'static str, title: &'static str, kind: HandshakeKind, who: Who, at_once: usize) -> Planned {
    Planned { key, title, work: Work::Handshakes { kind, who, at_once }, count: 480 }
}

fn keep(key: &'static str, title: &'static str, connections: usize, body: Body, count: usize) -> Planned {
    Planned { key, title, work: Work::Requests { connections, body }, count }
}

/// Every group.
pub fn all() -> Vec<Group> {
    let three = |list| {
        let contender = move |(name, product)| Contender { name, product, list };
        report::NAMES.into_iter().zip([Product::Nginx, Product::Haproxy, Product::Sekisho]).map(contender)
    };
    let with = |list, further: Option<Contender>| three(list).chain(further).collect::<Vec<_>>();
    let without_list = Contender { name: report::NGINX_WITHOUT_LIST, product: Product::Nginx, list: List::None };
    let at_thousand = Contender { name: report::AT_THOUSAND, product: Product::Sekisho, list: List::Thousand };
    let [_, body_1k, body_16k, body_256k] = BODIES;
    let group = |contenders, rows| Group { contenders, headers: Headers::Few, log: Log::Off, rows, start: None };
    vec![
        group(
            with(List::Thousand, Some(without_list)),
            vec![
                shake("1k-full", "full handshake + request, list of 1,000", Full, Who::One, AT_ONCE),
                shake("1k-resumed", "resumed handshake + request, list of 1,000", Resumed, Who::One, AT_ONCE),
                keep("keepalive-0", "kept-alive request, no body", CONNECTIONS, EMPTY, 4_800),
                keep("keepalive-alone", "the same, one connection alone", 1, EMPTY, 4_000),
                keep("keepalive-1k", "kept-alive request, 1 KB", CONNECTIONS, body_1k, 4_800),
                keep("keepalive-16k", "kept-alive request, 16 KB", CONNECTIONS, body_16k, 2_400),
                keep("keepalive-256k", "kept-alive request, 256 KB", 4, body_256k, 400),
                keep("keepalive-upload", "kept-alive request that sends 16 KB", CONNECTIONS, UPLOAD, 2_400),
                Planned {
                    key: "http2",
                    title: "HTTP/2 request, 32 streams of one connection",
                    work: Work::Http2 { streams: 32 },
                    count: 4_800,
                },
                shake("1k-alone-full", "full handshake + request, one at a time", Full, Who::One, 1),
                shake("1k-alone-resumed", "resumed handshake + request, one at a time", Resumed, Who::One, 1),
                shake("1k-rsa-full", "full handshake + request, RSA-2048 client", Full, Who::Rsa, AT_ONCE),
                shake("1k-rsa-resumed", "resumed handshake + request, RSA-2048 client", Resumed, Who::Rsa, AT_ONCE),
                shake("1k-thousand-full", "full, 1,000 certificates in turn", Full, Who::Thousand, AT_ONCE),
                shake("1k-thousand-resumed", "resumed, 1,000 certificates in turn", Resumed, Who::Thousand, AT_ONCE),
                Planned {
                    count: 120,
                    ..shake("1k-new-full", "full, certificates never seen", Full, Who::New, AT_ONCE)
                },
            ],
        ),
        group(
            with(List::None, None),
            vec![
                shake("none-full", "full handshake + request, no list", Full, Who::One, AT_ONCE),
                shake("none-resumed", "resumed handshake + request, no list", Resumed, Who::One, AT_ONCE),
            ],
        ),
        Group {
            start: Some("1m"),
            ..group(
                with(List::Million, Some(at_thousand)),
                vec![
                    shake("1m-full", "full handshake + request, list of 1,000,000", Full, Who::One, AT_ONCE),
                    shake("1m-resumed", "resumed handshake + request, list of 1,000,000", Resumed, Who::One, AT_ONCE),
                    keep("1m-keepalive", "kept-alive request, list of 1,000,000", CONNECTIONS, EMPTY, 4_800),
                ],
            )
        },
        Group {
            headers: Headers::All,
            ..group(
                with(List::Thousand, None),
                vec![
                    shake("headers-full", "full handshake + request, every header", Full, Who::One, AT_ONCE),
                    keep("headers-keepalive", "kept-alive request, every header", CONNECTIONS, EMPTY, 4_800),
                ],
            )
        },
        Group {
            log: Log::File,
            ..group(
                with(List::Thousand, None),
                vec![
                    shake("log-full", "full handshake + request, logged to a file", Full, Who::One, AT_ONCE),
                    keep("log-keepalive", "kept-alive request, logged to a file", CONNECTIONS, EMPTY, 4_800),
                ],
            )
        },
    ]
}

/// The names of all rows.
pub fn names() -> impl Iterator<Item = &'static str> {
    let of_group = |group: Group| {
        let rows: Vec<_> = group.rows.iter().map(|row| row.key).collect();
        rows.into_iter().chain(group.start.map(|_| START)).chain(group.start.map(|_| MEMORY))
    };
    all().into_iter().flat_map(of_group).chain([crate::revocation_rows::KEY])
}

/// Rows of the group with a million.
const START: &str = "1m-start";
const MEMORY: &str = "1m-memory";

/// A contender that runs.
struct Running {
    name: &'static str,
    list: List,
    server: Server,
    starts: Vec<f64>,
}

/// Measures the rows of a group that are asked for.
pub fn run(group: &Group, stand: &Stand, arguments: &Arguments, report: &mut Report) {
    let rows: Vec<_> = group.rows.iter().filter(|row| arguments.wants(row.key)).collect();
    let start = group.start.is_some() && arguments.wants(START);
    let memory = group.start.is_some() && arguments.wants(MEMORY);
    if rows.is_empty() && !start && !memory {
        return;
    }
    let mut running = start_all(group, stand, arguments, if start && !is_quick() { STARTS } else { 1 });
    for row in rows {
        report.add(measure(row, &running, stand, arguments.rounds()));
    }
    let figures = |key, title, unit, values: &dyn Fn(&mut Running) -> Vec<f64>, running: &mut Vec<Running>| {
        let series = running.iter_mut().map(|it| Series::of_values(it.name, values(it))).collect();
        Row { key, title, unit, series }
    };
    if start {
        let values = |it: &mut Running| std::mem::take(&mut it.starts);
        report.add(figures(START, "start to the first handshake, list of 1,000,000", "s", &values, &mut running));
    }
    if memory {
        let now = |it: &mut Running| vec![it.server.memory().0];
        report.add(figures(MEMORY, "resident memory, list of 1,000,000", "MB", &now, &mut running));
        let most = |it: &mut Running| vec![it.server.memory().1];
        report.add(figures("1m-peak", "the most it ever was", "MB", &most, &mut running));
    }
}

fn start_all(group: &Group, stand: &Stand, arguments: &Arguments, starts: usize) -> Vec<Running> {
    let mut wanted: Vec<(&'static str, Product, List, PathBuf)> = Vec::new();
    for Contender { name, product, list } in group.contenders.iter().filter(|it| arguments.takes(it.name)) {
        wanted.push((*name, *product, *list, binary()));
        if let Some(other) = arguments.also.as_ref().filter(|_| *name == report::OURS) {
            wanted.push((report::ALSO, *product, *list, other.clone()));
        }
    }
    let mut running: Vec<Running> = Vec::new();
    for _ in 0..starts {
        for (name, product, list, gateway) in &wanted {
            let wanted = Wanted { product: *product, list: *list, headers: group.headers, log: group.log };
            let server = stand.start(wanted, gateway);
            let seconds = server.start.as_secs_f64();
            match running.iter_mut().find(|it| it.name == *name) {
                Some(it) => {
                    it.starts.push(seconds);
                    it.server = server;
                }
                None => running.push(Running { name, list: *list, server, starts: vec![seconds] }),
            }
        }
    }
    running
}

/// One row: every server in turn, so many rounds.
fn measure(row: &Planned, running: &[Running], stand: &Stand, rounds: usize) -> Row {
    let clients: Vec<_> = running.iter().map(|it| prepare(row, it, stand)).collect();
    let mut series: Vec<_> = running.iter().map(|it| Series::new(it.name)).collect();
    for round in 0..rounds {
        let new = match row.work {
            Work::Handshakes { who: Who::New, .. } => {
                let new = stand.identities(row.count + uncounted(row.count));
                new.iter().map(|identity| stand.clients.config(identity, Resumption::disabled())).collect()
            }
            _ => Vec::new(),
        };
        // Each round another one begins: none always follows the same other one.
        let mut turns: Vec<_> = running.iter().zip(&clients).zip(&mut series).collect();
        turns.rotate_left(round % running.len());
        for ((it, clients), series) in turns {
            let clients = if new.is_empty() { clients } else { &new };
            series.add(once(row, it, clients, round));
        }
    }
    Row { key: row.key, title: row.title, unit: "µs", series }
}

fn once(row: &Planned, it: &Running, clients: &[Arc<ClientConfig>], round: usize) -> Measured {
    let [first, ..] = clients else { unreachable!("there are clients") };
    match row.work {
        Work::Handshakes { kind, at_once, .. } => {
            let count = count(row, it);
            work::handshakes(&it.server, clients, round * count, at_once, count, kind)
        }
        Work::Requests { connections, body } => work::requests(&it.server, first, connections, &body, row.count),
        Work::Http2 { streams } => http2::requests(&it.server, first, streams, row.count),
    }
}

fn count(row: &Planned, it: &Running) -> usize {
    let slow = it.list == List::Million && !it.name.starts_with(report::OURS);
    if slow && matches!(row.work, Work::Handshakes { kind: Full, .. }) { COUNT_WITH_A_MILLION } else { row.count }
}

/// The clients of a row for one server, which has seen them.
fn prepare(row: &Planned, it: &Running, stand: &Stand) -> Vec<Arc<ClientConfig>> {
    let Work::Handshakes { kind, who, at_once } = row.work else {
        let protocol: &[u8] = if matches!(row.work, Work::Http2 { .. }) { b"h2" } else { b"http/1.1" };
        return vec![stand.clients.config_with(&stand.identity("client-good"), Resumption::disabled(), protocol)];
    };
    let resumption = || match kind {
        Resumed => Resumption::in_memory_sessions(8),
        _ => Resumption::disabled(),
    };
    // Of one certificate a client for each connection at a time, so that each has the ticket it was given last.
    let alike = |name| (0..at_once).map(|_| stand.clients.config(&stand.identity(name), resumption())).collect();
    let clients: Vec<_> = match who {
        Who::One => alike("client-good"),
        Who::Rsa => alike("client-rsa"),
        Who::Thousand => stand.thousand().iter().map(|identity| stand.clients.config(identity, resumption())).collect(),
        Who::New => return Vec::from_iter(alike("client-good")),
    };
    work::warm_up(&it.server, &clients);
    clients
}
