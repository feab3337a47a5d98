//! What hostile clients do.

use crate::frames::{Frames, Method};
use crate::stand::{Client, Stand};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

/// An abuse by its name, and what each hostile connection does.
pub struct Abuse {
    pub name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A hundred streams of each connection wait for an application that does not answer.
    SlowStreams {
        certificate: bool,
    },
    /// Answers without end that the client does not take.
    UntakenHttp2 {
        certificate: bool,
    },
    UntakenHttp1,
    /// Streams begun and reset while the gateway connects to a peer that does not accept.
    Reset,
    /// The same, but the gateway is made to reset them (CVE-2025-8671).
    MadeReset,
    /// Bodies that begin and never go on.
    StuckBodies,
    /// Handshakes and headers that begin and never go on.
    StuckHandshakes,
    StuckHeaders,
}

pub const ABUSES: [Abuse; 10] = [
    Abuse {
        name: "100 slow HTTP/2 streams a connection, no certificate",
        kind: Kind::SlowStreams { certificate: false },
    },
    Abuse {
        name: "100 slow HTTP/2 streams a connection, one certificate",
        kind: Kind::SlowStreams { certificate: true },
    },
    Abuse { name: "answers not taken, HTTP/2, no certificate", kind: Kind::UntakenHttp2 { certificate: false } },
    Abuse { name: "answers not taken, HTTP/2, one certificate", kind: Kind::UntakenHttp2 { certificate: true } },
    Abuse { name: "answers not taken, HTTP/1.1", kind: Kind::UntakenHttp1 },
    Abuse { name: "streams reset while connecting upstream", kind: Kind::Reset },
    Abuse { name: "streams made to be reset while connecting upstream", kind: Kind::MadeReset },
    Abuse { name: "request bodies that do not come, HTTP/2", kind: Kind::StuckBodies },
    Abuse { name: "handshakes that do not go on", kind: Kind::StuckHandshakes },
    Abuse { name: "headers that do not go on", kind: Kind::StuckHeaders },
];

/// Streams that a connection is allowed to have open.
const STREAMS: u32 = 100;
/// A window that a client opens and never uses up by taking anything.
const WINDOW: u32 = 16 << 20;
/// Before a connection that was ended is made again.
const AGAIN: Duration = Duration::from_millis(50);

/// Begins it, on so many connections at a time, until the set is dropped.
pub fn begin(abuse: &Abuse, stand: &Stand, connections: usize) -> JoinSet<()> {
    let kind = abuse.kind;
    let client = match kind {
        Kind::SlowStreams { certificate: true } | Kind::UntakenHttp2 { certificate: true } => stand.customer(),
        _ => stand.stranger(),
    };
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let client = client.clone();
        tasks.spawn(async move {
            loop {
                // However it ended: a hostile client comes again.
                drop(once(kind, &client).await);
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    tasks
}

/// One connection, until the gateway ends it.
async fn once(kind: Kind, client: &Client) -> io::Result<()> {
    match kind {
        Kind::SlowStreams { .. } => {
            let mut frames = Frames::connect(&client.clone().http2(), WINDOW).await?;
            frames.take_everything();
            for _ in 0..STREAMS {
                frames.request(Method::Get, "/hang").await?;
            }
            busy(&mut frames).await
        }
        Kind::UntakenHttp2 { .. } => {
            let mut frames = Frames::connect(&client.clone().http2(), WINDOW).await?;
            for _ in 0..STREAMS {
                frames.request(Method::Get, "/endless").await?;
            }
            std::future::pending().await
        }
        Kind::UntakenHttp1 => {
            let mut tls = client.connect().await?;
            let request = format!("GET /endless HTTP/1.1\r\nHost: {}\r\n\r\n", client.site());
            tls.write_all(request.as_bytes()).await?;
            tls.flush().await?;
            std::future::pending().await
        }
        Kind::Reset | Kind::MadeReset => {
            let mut frames = Frames::connect(&client.clone().http2(), WINDOW).await?;
            frames.take_everything();
            loop {
                let stream = frames.request(Method::Get, "/dead").await?;
                match kind {
                    Kind::Reset => frames.reset(stream).await?,
                    _ => frames.make_it_reset(stream).await?,
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Kind::StuckBodies => {
            let mut frames = Frames::connect(&client.clone().http2(), WINDOW).await?;
            frames.take_everything();
            for _ in 0..STREAMS {
                let stream = frames.request(Method::Post, "/upload").await?;
                frames.data(stream, b"x").await?;
            }
            std::future::pending().await
        }
        Kind::StuckHandshakes => {
            let mut tcp = client.tcp().await?;
            tcp.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await?;
            gone(&mut tcp).await
        }
        Kind::StuckHeaders => {
            let mut tls = client.connect().await?;
            tls.write_all(b"GET / HTTP/1.1\r\nHost:").await?;
            tls.flush().await?;
            gone(&mut tls).await
        }
    }
}

/// Asks again now and then, so that streams which ended are replaced.
async fn busy(frames: &mut Frames) -> io::Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        frames.request(Method::Get, "/hang").await?;
    }
}

/// Waits until the gateway ends it.
async fn gone(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<()> {
    tokio::io::copy(stream, &mut tokio::io::sink()).await.map(drop)
}
