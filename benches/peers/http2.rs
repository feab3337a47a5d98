//! Requests over one HTTP/2 connection, so many at once.

use crate::measure::client::SITE;
use crate::measure::samples::Samples;
use crate::process::Server;
use crate::work::{Measured, uncounted};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Opens a connection and sends `count` requests without body over it, `streams` at once.
pub fn requests(server: &Server, config: &Arc<ClientConfig>, streams: usize, count: usize) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let connector = TlsConnector::from(Arc::clone(config));
        let tls = connector.connect(ServerName::try_from(SITE).unwrap(), tcp).await.unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "HTTP/2 was to be measured");
        let (requests, connection) = h2::client::handshake(tls).await.unwrap();
        let driver = tokio::spawn(connection);
        run(&requests, streams, uncounted(count)).await;
        let (before, began) = (server.account(), Instant::now());
        let samples = run(&requests, streams, count).await;
        let measured = Measured::new(server.account().since(&before), began.elapsed(), samples);
        drop(requests);
        driver.abort();
        measured
    })
}

async fn run(requests: &SendRequest<Bytes>, streams: usize, count: usize) -> Samples {
    let stream = |_| {
        let mut requests = requests.clone();
        tokio::spawn(async move {
            let mut samples = Samples::default();
            for _ in 0..count.div_ceil(streams) {
                let began = Instant::now();
                one(&mut requests).await;
                samples.push(began.elapsed());
            }
            samples
        })
    };
    let tasks: Vec<_> = (0..streams).map(stream).collect();
    let mut samples = Samples::default();
    for task in tasks {
        samples.extend(&task.await.unwrap());
    }
    samples
}

async fn one(requests: &mut SendRequest<Bytes>) {
    std::future::poll_fn(|context| requests.poll_ready(context)).await.unwrap();
    let request = Request::get(format!("https://{SITE}/0")).header("user-agent", "bench").header("accept", "*/*");
    let (answer, _) = requests.send_request(request.body(()).unwrap(), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        assert!(data.unwrap().is_empty(), "another body");
    }
}
