use super::*;
use sekisho_config::{OcspSource, Placed};
use sekisho_pki::certificate::Certificate;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};

/// A CA whose responder is there.
fn responder(address: SocketAddr, timeout: Duration) -> Responder {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let url = Placed { value: format!("http://{address}/"), ..Placed::default() };
    let source = OcspSource { url, timeout, refresh: Duration::from_secs(300), nonce: OcspNonce::Sent };
    Responder::new(&"ca".into(), &Certificate::parse(certificate.der()).unwrap(), &source).unwrap()
}

/// Answers each connection with these octets; without any it says nothing. Tells of each that came.
fn serve(answer: Option<Vec<u8>>) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut tcp in listener.incoming().map_while(Result::ok) {
            let _ = tell.send(());
            if let Some(answer) = &answer {
                let _ = tcp.read(&mut [0; 4096]);
                let _ = tcp.write_all(answer);
            }
            open.push(tcp);
        }
    });
    (address, told)
}

fn http(body: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {body}\r\n\r\n");
    [head.into_bytes(), vec![0x30; body]].concat()
}

async fn ask(asker: &Asker, responder: &Responder) -> Option<AskError> {
    let serial = SerialNumber::from_der_content(&[1]).unwrap();
    let place = asker.place(responder).await?;
    Some(asker.ask(place, responder, &serial).await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_that_is_slow_keeps_no_question_to_another_waiting_and_is_blamed_for_no_queue() {
    let (slow, came) = serve(None);
    let (other, _) = serve(Some(http(1)));
    let (slow, other) = (responder(slow, Duration::from_secs(60)), responder(other, Duration::from_secs(60)));
    let (slow, asker) = (Arc::new(slow), Arc::new(Asker::default()));
    let under_way: Vec<_> = (0..MAX_AT_ONCE)
        .map(|_| {
            let (asker, slow) = (Arc::clone(&asker), Arc::clone(&slow));
            tokio::spawn(async move { ask(&asker, &slow).await })
        })
        .collect();
    tokio::task::spawn_blocking(move || (0..MAX_AT_ONCE).for_each(|_| came.recv().unwrap())).await.unwrap();
    // All its places are taken: one more finds none as long as those last.
    let impatient = responder_of(&slow, Duration::from_millis(1));
    assert!(asker.place(&impatient).await.is_none());
    let answered = ask(&asker, &other).await.unwrap();
    assert_eq!((answered.outcome.as_str(), answered.blame), ("malformed", Blame::Answer));
    for question in under_way {
        question.abort();
        assert!(question.await.unwrap_err().is_cancelled());
    }
    assert!(asker.place(&impatient).await.is_some(), "the places are free again");
}

#[tokio::test]
async fn a_responder_that_says_nothing_in_time_or_is_not_there_is_blamed() {
    let (silent, _came) = serve(None);
    let error = ask(&Asker::default(), &responder(silent, Duration::from_millis(50))).await.unwrap();
    assert_eq!((error.outcome.as_str(), error.blame), ("timeout", Blame::Responder));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = ask(&Asker::default(), &responder(nobody, Duration::from_secs(60))).await.unwrap();
    assert_eq!((error.outcome.as_str(), error.blame), ("unreachable", Blame::Responder));
}

/// The same CA with another `timeout`.
fn responder_of(responder: &Responder, timeout: Duration) -> Responder {
    let source = OcspSource {
        url: Placed { value: responder.url.clone(), ..Placed::default() },
        timeout,
        refresh: responder.refresh,
        nonce: responder.nonce,
    };
    Responder::new(&responder.ca, &responder.certificate, &source).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_32_kib_is_read_and_one_octet_more_is_not() {
    for (octets, name) in [(MAX_RESPONSE_OCTETS, "malformed"), (MAX_RESPONSE_OCTETS + 1, "too-large")] {
        let (address, _) = serve(Some(http(octets)));
        let error = ask(&Asker::default(), &responder(address, Duration::from_secs(60))).await.unwrap();
        assert_eq!((error.outcome.as_str(), error.blame), (name, Blame::Answer), "{octets}");
    }
}

/// TLS with a certificate of this CA for 127.0.0.1, and an answer that is no OCSP.
async fn serve_tls(ca: &rcgen::Issuer<'_, rcgen::KeyPair>) -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, ca).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let _ = tls.read(&mut [0; 4096]).await;
            let _ = tls.write_all(&http(1)).await;
            let _ = tls.shutdown().await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_behind_https_is_believed_by_the_configured_cas_and_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let ca = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let path = folder.path().join(name);
        std::fs::write(&path, parameters.self_signed(&key).unwrap().pem()).unwrap();
        (
            rcgen::Issuer::new(parameters, key),
            Fetch { ca: Some(Placed { value: path, ..Placed::default() }), ..Fetch::default() },
        )
    };
    let ((issuer, configured), (_, other)) = (ca("configured"), ca("other"));
    let address = serve_tls(&issuer).await;
    let mut responder = responder(address, Duration::from_secs(60));
    responder.url = responder.url.replace("http:", "https:");
    let asker = Asker::default();
    assert_eq!(ask(&asker, &responder).await.unwrap().outcome.as_str(), "unreachable", "nobody is believed by default");
    for (fetch, name) in [(&other, "unreachable"), (&configured, "malformed"), (&Fetch::default(), "unreachable")] {
        asker.trust_servers(fetch).unwrap();
        assert_eq!(ask(&asker, &responder).await.unwrap().outcome.as_str(), name);
    }
    let garbage =
        Fetch { ca: Some(Placed { value: folder.path().to_owned(), ..Placed::default() }), ..Fetch::default() };
    assert!(asker.trust_servers(&garbage).is_err());
}
