//! The issuance service of the demo: four contracts, one a product, with users in every state, each taken through its
//! life by the real `sekisho-issuer serve` and the real gateway.

pub(crate) mod api;
pub(crate) mod configuration;
pub(crate) mod files;
pub(crate) mod lives;
mod one_time_password;
pub(crate) mod seed;
mod walk;

pub use configuration::IDENTITIES;
pub use walk::{SITE, Step};

use super::configuration::IssuerPart;
use super::pki::PkiDir;
use super::process::{Output, ServerProcess};
use crate::binaries;
use api::Api;
use files::Files;
use lives::LIVES;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// How long ago a certificate was issued that has expired by now, and one that may be renewed now (40 days before the
/// end of its year).
const LONG_AGO: i64 = 400 * DAY;
const TEN_MONTHS_AGO: i64 = 340 * DAY;

/// How long the issuer may take to be ready: its four authorities' keys are opened by 600,000 rounds each.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service's name in URLs and in its server certificate.
pub const SERVER: &str = "issuer.localhost";

/// A running issuance service with its contracts and users.
pub struct Issuer {
    process: ServerProcess,
    api: Api,
    files: Files,
}

/// Where the issuer listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The API.
    pub api: SocketAddr,
    /// Lists, OCSP, CA certificates.
    pub public: SocketAddr,
    /// Metrics and readiness.
    pub admin: SocketAddr,
}

impl Issuer {
    /// Makes authorities (once) and a store (anew), issues what must have been issued long ago, starts the service and
    /// fills it.
    ///
    /// # Errors
    /// What could not be made or started.
    pub fn start(pki: &PkiDir, addresses: Addresses, output: Output) -> Result<Self, Box<dyn Error>> {
        let now = clock::now();
        let files = Files::ensure(pki, &files::AUTHORITIES, now)?;
        let config = configuration::write(files.folder(), SITE, &configuration::Node::only(addresses))?;
        make_store(&config)?;
        for ago in [LONG_AGO, TEN_MONTHS_AGO] {
            // Without libfaketime nothing can have been issued long ago: those users are then not there.
            if let Some(past) = Past::new(ago) {
                let issuer = Self::run(&config, Output::Keep, &files, Some(&past))?;
                for life in LIVES {
                    seed::in_the_past(&issuer.api, life, ago == LONG_AGO, ago)?;
                }
                issuer.stop();
            }
        }
        let issuer = Self::run(&config, output, &files, None)?;
        for life in LIVES {
            seed::today(&issuer.api, &issuer.files, life)?;
        }
        Ok(issuer)
    }

    fn run(config: &Path, output: Output, files: &Files, past: Option<&Past>) -> Result<Self, Box<dyn Error>> {
        let mut command = std::process::Command::new(binaries::issuer()?);
        command.args(["serve", "--config"]).arg(config);
        if let Some(past) = past {
            past.apply(&mut command);
        }
        let process = ServerProcess::start(&mut command, &["api", "public", "admin"], output, PATIENCE)?;
        let api = Api::new(process.address("api"), files.certificates());
        Ok(Self { process, api, files: files.clone() })
    }

    /// What the gateway's configuration says about it.
    pub fn of_gateway(&self) -> IssuerPart {
        configuration::of_gateway(self.process.address("api"))
    }

    /// Where it publishes lists.
    pub fn public(&self) -> SocketAddr {
        self.process.address("public")
    }

    /// What it said last.
    pub fn last_lines(&self, count: usize) -> String {
        self.process.last_lines(count)
    }

    /// Takes each contract's walking user through their life: acquire, use at the gateway, reissue, old one refused,
    /// revoke, refused. Each step with what was done and whether it went as it should.
    pub fn walk(&self, gateway: SocketAddr) -> Vec<Step> {
        LIVES.iter().flat_map(|life| walk::walk(&self.api, &self.files, life, gateway)).collect()
    }

    /// Every contract's users and their states, as the service lists them.
    ///
    /// # Errors
    /// When the service does not answer.
    pub fn table(&self) -> Result<String, Box<dyn Error>> {
        let mut table = String::new();
        for life in LIVES {
            table += &seed::table(&self.api, life)?;
        }
        Ok(table)
    }

    /// Lets it end by itself; if it does not in good time, it is killed.
    pub fn stop(mut self) {
        self.process.signal(super::process::Signal::Terminate);
        self.process.wait_for_end(Duration::from_secs(10));
    }
}

/// Makes the store that a configuration names.
pub(crate) fn make_store(config: &Path) -> Result<(), Box<dyn Error>> {
    let made =
        std::process::Command::new(binaries::issuer()?).args(["store", "init", "--config"]).arg(config).output()?;
    if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into_owned().into()) }
}

/// A process in the past, by libfaketime.
struct Past {
    library: PathBuf,
    ago: i64,
}

impl Past {
    fn new(ago: i64) -> Option<Self> {
        // /usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1 on Debian.
        let libraries = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
        let mut candidates = libraries.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        candidates.find(|path| path.exists()).map(|library| Self { library, ago })
    }

    fn apply(&self, command: &mut std::process::Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME", format!("-{}", self.ago))
            // Only the calendar: timers go on as they are.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// An earlier moment, for those who make files.
fn before(now: Timestamp) -> Timestamp {
    now.plus_seconds(-LONG_AGO - 20 * DAY)
}
