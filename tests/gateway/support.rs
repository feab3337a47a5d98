//! Arrangements for tests of pools, limits and HTTP itself.

use crate::common::{Gateway, PATIENCE, Setup, TestApp, TestPki, TlsClient, TlsConnection, Version};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

pub const HOST: &str = "ib.localhost";

/// The demo's configuration with its one pool replaced.
pub fn with_pool(app: &TestApp, pool: &str) -> String {
    let config = Setup::configuration(app);
    let (before, rest) = config.split_once("[[pool]]").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    format!("{before}[[pool]]\nname = \"ib\"\n{pool}\n\n{after}")
}

/// The demo's configuration with some limits.
pub fn with_limits(limits: &str) -> impl FnOnce(String) -> String {
    move |config| config.replacen("[[ca]]", &format!("[gateway.limits]\n{limits}\n\n[[ca]]"), 1)
}

/// A gateway before applications that the test holds.
#[derive(Debug)]
pub struct Pooled {
    pub gateway: Gateway,
    pub pki: TestPki,
}

impl Pooled {
    pub fn new(pool: &str) -> Self {
        Self::on(TestPki::new(), pool)
    }

    pub fn on(pki: TestPki, pool: &str) -> Self {
        Self::with(pki, pool, |config| config)
    }

    /// The same with a configuration that `change` makes of it.
    pub fn with(pki: TestPki, pool: &str, change: impl FnOnce(String) -> String) -> Self {
        let unused = TestApp::new();
        let gateway = Gateway::listening(&pki, &change(with_pool(&unused, pool)));
        Self { gateway, pki }
    }

    pub fn connect(&self) -> TlsConnection {
        self.connect_as("client-good")
    }

    pub fn connect_as(&self, client: &str) -> TlsConnection {
        TlsClient::new(&self.pki, Some(client), Version::Tls13).connect(&self.gateway, HOST).unwrap()
    }

    pub fn status(&self, path: &str) -> u16 {
        self.connect().get(HOST, path).unwrap().status
    }
}

/// `sekisho_limits_reached_total` of a limit.
pub fn met(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric(&format!("sekisho_limits_reached_total{{limit=\"{limit}\"}}"))
}

/// How many requests for a path reached an application.
pub fn reached(app: &TestApp, path: &str) -> usize {
    app.requests().iter().filter(|request| request.target.starts_with(path)).count()
}

/// An upstream that does as a closure says with each connection, after it read a request's header.
pub fn raw_upstream(serve: impl Fn(TcpStream, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut head = Vec::new();
                let mut octet = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut octet) {
                        Ok(1) => head.push(octet[0]),
                        _ => return,
                    }
                }
                serve(stream, String::from_utf8_lossy(&head).into_owned());
            });
        }
    });
    address
}

/// An upstream that gives every request the same octets and closes.
pub fn canned(answer: &'static [u8]) -> SocketAddr {
    raw_upstream(move |mut stream, _| {
        let _ = stream.write_all(answer);
    })
}
