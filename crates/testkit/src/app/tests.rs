use super::*;
use std::process::Command;

async fn started() -> App {
    App::start(([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// What curl prints.
async fn curl(app: &App, path: &str, arguments: &'static [&'static str]) -> String {
    let url = format!("http://{}{path}", app.address().unwrap());
    tokio::task::spawn_blocking(move || {
        let output = Command::new("curl").args(["-sS"]).args(arguments).arg(url).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_tells_what_came_and_the_request_is_remembered() {
    let app = started().await;
    let said = curl(&app, "/echo?a=b", &["-H", "X-Twice: 1", "-H", "X-Twice: 2"]).await;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((said["method"].as_str(), said["target"].as_str()), (Some("GET"), Some("/echo?a=b")));
    let twice = said["headers"].as_array().unwrap().iter().filter(|field| field[0] == "x-twice").count();
    assert_eq!(twice, 2);
    let requests = app.requests();
    assert_eq!((requests.len(), requests[0].target.as_str()), (1, "/echo?a=b"));
    app.forget_requests();
    assert!(app.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_counts_and_digests_and_download_gives_what_was_asked() {
    let app = started().await;
    let said = curl(&app, "/upload", &["--data-binary", "abc"]).await;
    assert!(said.contains(r#""bytes":3"#), "{said}");
    assert!(said.contains("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{said}");
    assert_eq!(curl(&app, "/download?bytes=70000", &[]).await.len(), 70_000);
    assert_eq!(curl(&app, "/download?bytes=70000&chunked", &[]).await.len(), 70_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests() {
    let app = started().await;
    let again = format!("http://{}/healthz", app.address().unwrap()).leak();
    let arguments: &'static [&'static str] = vec![&*again].leak();
    assert_eq!(curl(&app, "/healthz", arguments).await, "ok\nok\n");
    assert_eq!(app.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_answered_with_what_it_said_and_plain_http_with_426() {
    let app = started().await;
    let address = app.address().unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{address}/ws"), stream).await.unwrap();
    use futures_util::{SinkExt as _, StreamExt as _};
    socket.send("関所".into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), "関所".into());
    assert!(curl(&app, "/ws", &["-w", "%{http_code}"]).await.ends_with("426"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_application_leaves_no_connection() {
    let app = started().await;
    let mut stream = tokio::net::TcpStream::connect(app.address().unwrap()).await.unwrap();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(b"GET /stream?seconds=600 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 64];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    drop(app);
    // Ends, by end of file or reset; it does not hang.
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}
