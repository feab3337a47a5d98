//! The honest client: fifty requests a second at set times, half of them on new connections.

use crate::measure::samples::Samples;
use crate::stand::Client;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

/// Between two requests.
const INTERVAL: Duration = Duration::from_millis(20);
/// When a person gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of its requests.
#[derive(Default)]
pub struct Honest {
    latencies: Samples,
    failed: usize,
    first_error: Option<String>,
}

impl Honest {
    pub fn sent(&self) -> usize {
        self.latencies.len() + self.failed
    }

    pub fn success_percent(&self) -> f64 {
        self.latencies.len() as f64 / self.sent().max(1) as f64 * 100.0
    }

    pub fn p50(&self) -> f64 {
        self.latencies.percentile(50.0)
    }

    pub fn p99(&self) -> f64 {
        self.latencies.percentile(99.0)
    }

    pub fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }
}

/// A latency counts from when its request was to be sent.
pub async fn load(client: Client, span: Duration) -> Honest {
    let kept: Arc<Mutex<Vec<TlsStream<TcpStream>>>> = Arc::default();
    let mut tasks = JoinSet::new();
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let count = usize::try_from(span.as_millis() / INTERVAL.as_millis()).unwrap();
    for number in 0..count {
        let due: Instant = tick.tick().await.into();
        let (client, kept) = (client.clone(), Arc::clone(&kept));
        tasks.spawn(async move {
            let outcome = tokio::time::timeout(PATIENCE, one(&client, &kept, number % 2 == 0)).await;
            outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(|()| due.elapsed())
        });
    }
    let mut honest = Honest::default();
    while let Some(outcome) = tasks.join_next().await {
        match outcome.unwrap() {
            Ok(latency) => honest.latencies.push(latency),
            Err(error) => {
                honest.failed += 1;
                honest.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
    honest
}

async fn one(client: &Client, kept: &Mutex<Vec<TlsStream<TcpStream>>>, fresh: bool) -> io::Result<()> {
    let idle = if fresh { None } else { kept.lock().await.pop() };
    let mut tls = match idle {
        Some(tls) => tls,
        None => client.connect().await?,
    };
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", client.site());
    tls.write_all(request.as_bytes()).await?;
    tls.flush().await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\nok\n") {
        if tls.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !answer.starts_with(b"HTTP/1.1 200"[..answer.len().min(12)].as_ref()) {
            return Err(io::Error::other(String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned()));
        }
    }
    if !fresh {
        kept.lock().await.push(tls);
    }
    Ok(())
}
