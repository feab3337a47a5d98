//! Harness of the integration tests: the built binary between real clients and a real upstream.
//!
//! Nothing here sleeps to synchronise or fixes a port: the gateway takes free ones and tells them in its log.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::new_without_default,
    clippy::should_implement_trait,
    reason = "a test fails by a panic"
)]

mod http;
mod http2;
pub mod neighbours;
mod process;
pub mod python;
mod tls;
mod tools;

pub use self::http::{Response, WebSocket};
pub use self::http2::{Http2, Http2Request, Http2Stream};
pub use self::process::{Gateway, Setup, binary, demo_binary, issuer_binary, verified};
pub use self::tls::{TlsClient, TlsConnection, Version, alert};
pub use self::tools::{Output, curl, openssl_s_client, promtool_finds_no_fault_in};
pub use crate::pki::{ClientRequest, DAY, KeyKind, PkiDir, Signer};
pub use crate::process::Signal;

use crate::app::App;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;
use std::time::Duration;

/// How long anything that should happen may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a condition holds, ten milliseconds a step; panics with `what` when it does not within [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    assert!(crate::process::poll(PATIENCE, || condition().then_some(())).is_some(), "waited in vain until {what}");
}

/// As [`wait_until`], for something that yields a value.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    crate::process::poll(PATIENCE, look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// A development PKI in a temporary folder.
#[derive(Debug)]
pub struct TestPki {
    pki: PkiDir,
    _folder: tempfile::TempDir,
}

impl TestPki {
    /// Makes one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = PkiDir::create(&folder.path().join("pki"), sekisho_runtime::clock::now()).unwrap();
        Self { pki, _folder: folder }
    }

    /// Issues a good client with that CN.
    pub fn client(&self, name: &str, common_name: &str) {
        self.pki.issue_client(name, &ClientRequest::good(common_name, sekisho_runtime::clock::now())).unwrap();
    }

    /// Puts the named client on the issuing CA's list.
    pub fn revoke_client(&mut self, name: &str) {
        let serial = self.pki.serial(name).unwrap();
        self.pki.revoke(&[serial], sekisho_runtime::clock::now()).unwrap();
    }
}

impl Deref for TestPki {
    type Target = PkiDir;
    fn deref(&self) -> &PkiDir {
        &self.pki
    }
}

impl DerefMut for TestPki {
    fn deref_mut(&mut self) -> &mut PkiDir {
        &mut self.pki
    }
}

/// The runtime that every test application of this process runs on.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

/// The demo IB application as an upstream, for tests that are not asynchronous themselves.
#[derive(Debug)]
pub struct TestApp(App);

impl TestApp {
    /// Plain HTTP on a free port.
    pub fn new() -> Self {
        Self(RUNTIME.block_on(App::start(([127, 0, 0, 1], 0).into())).unwrap())
    }

    /// Plain HTTP on that address.
    pub fn at(address: std::net::SocketAddr) -> Self {
        Self(RUNTIME.block_on(App::start(address)).unwrap())
    }

    /// Plain HTTP on a Unix socket.
    pub fn unix(path: &std::path::Path) -> Self {
        let _guard = RUNTIME.enter();
        Self(RUNTIME.block_on(App::start_unix(path)).unwrap())
    }

    /// TLS on a free port.
    pub fn tls(config: rustls::ServerConfig) -> Self {
        Self(RUNTIME.block_on(App::start_tls(([127, 0, 0, 1], 0).into(), config.into())).unwrap())
    }

    /// `127.0.0.1:PORT`, as a peer in the configuration.
    pub fn peer(&self) -> String {
        self.0.address().unwrap().to_string()
    }

    /// The last request whose target begins with `path`.
    #[track_caller]
    pub fn request_of(&self, path: &str) -> crate::app::RecordedRequest {
        let requests = self.0.requests();
        let found = requests.iter().rev().find(|request| request.target.starts_with(path));
        found.cloned().unwrap_or_else(|| panic!("no request to {path}; there were {requests:?}"))
    }
}

impl Deref for TestApp {
    type Target = App;
    fn deref(&self) -> &App {
        &self.0
    }
}
