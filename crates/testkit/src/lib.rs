//! `sekisho-demo`: a development PKI, a demo IB application, an issuance service with four contracts, and a gateway
//! between them and curl.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
pub mod binaries;
pub mod check;
pub mod cluster;
pub mod configuration;
pub mod harness;
pub mod issuer;
pub mod ocsp;
pub mod pki;
pub mod postgres;
pub mod process;
pub mod revocation;

use app::App;
use check::{Target, Verdict};
use configuration::Addresses;
use pki::{Made, PkiDir};
use process::{GatewayProcess, Output, Signal};
use sekisho_runtime::clock;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// How long the gateway may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Below the PKI's folder: the processes' logs, and everything there is to try.
const LOG_FOLDER: &str = "log";

/// Commands on the screen; all of them are in a file.
const SHOWN_LINES: usize = 3;

/// How long the gateway may drain at the end.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// A demo's parts, all running; they stop when it is dropped.
struct Demo {
    pki: PkiDir,
    gateway: GatewayProcess,
    issuer: issuer::Issuer,
    _application: App,
    runtime: tokio::runtime::Runtime,
}

/// Serves the demo until Ctrl-C.
///
/// # Errors
/// When the PKI cannot be made or the gateway does not come up.
pub fn serve(folder: &Path, port: u16) -> Result<(), Box<dyn Error>> {
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    // 9443 beside 8443, as in the reference configuration; 0 takes any.
    let admin_port = if port == 0 { 0 } else { port.checked_add(1000).unwrap_or(0) };
    let admin = SocketAddr::from(([127, 0, 0, 1], admin_port));
    let demo = Demo::start(folder, listen, admin, Logs::InFiles)?;
    let stop = {
        let _entered = demo.runtime.enter();
        StopSignals::listen()?
    };
    demo.show(folder)?;
    demo.runtime.block_on(stop.one());
    demo.stop();
    Ok(())
}

/// Serves the cluster until Ctrl-C, from this binary.
///
/// # Errors
/// As [`cluster::serve`].
pub fn serve_cluster(folder: &Path, port: u16) -> Result<(), Box<dyn Error>> {
    cluster::serve(folder, port)
}

/// Tries what the cluster promises, in a temporary folder unless one is given; whether all of it held.
///
/// # Errors
/// As [`cluster::check`].
pub fn check_cluster(folder: Option<&Path>) -> Result<Passed, Box<dyn Error>> {
    let scratch = if folder.is_none() { Some(Scratch::make()?) } else { None };
    let folder = folder.or(scratch.as_ref().map(|scratch| scratch.0.as_path())).unwrap_or(Path::new("certs/dev"));
    cluster::check(folder)
}

/// Runs every line of the demo on free ports; whether all of them passed.
///
/// Without a folder a PKI of its own is made in a temporary one, so that a demo that is running is not disturbed.
///
/// # Errors
/// When the PKI cannot be made or the gateway does not come up.
pub fn check(folder: Option<&Path>) -> Result<Passed, Box<dyn Error>> {
    let scratch = if folder.is_none() { Some(Scratch::make()?) } else { None };
    let folder = folder.or(scratch.as_ref().map(|scratch| scratch.0.as_path())).unwrap_or(Path::new("certs/dev"));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut demo = Demo::start(folder, any, any, Logs::Kept)?;
    // The target borrows the folder, not the PKI, which the last check changes.
    let target = Target { gateway: demo.gateway.tls(), certificates: folder };
    let mut results: Vec<_> = check::lines()
        .into_iter()
        .map(|line| match line.run(target) {
            Verdict::Pass => (line.claim, Ok(())),
            Verdict::Fail(seen) => {
                let expected = line.expectation.to_string();
                (line.claim.clone(), Err(format!("expected {expected}\n     {seen}\n     {}", line.command(target))))
            }
        })
        .collect();
    results.extend(check::check_live_revocation(&mut demo.pki, target));
    results.extend(demo.issuer.walk(target.gateway).into_iter().map(|step| {
        let said = |seen| format!("{seen}\n     {}", step.command);
        (step.claim, step.result.map_err(said))
    }));
    let failed = results.iter().filter(|(_, result)| result.is_err()).count();
    for (claim, result) in &results {
        match result {
            Ok(()) => println!("PASS {claim}"),
            Err(seen) => println!("FAIL {claim}\n     {seen}"),
        }
    }
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed > 0 {
        println!("What the gateway said last:\n{}", demo.gateway.last_lines(20));
        println!("What the issuer said last:\n{}", demo.issuer.last_lines(20));
    }
    Ok(if failed == 0 { Passed::All } else { Passed::Some })
}

/// What becomes of what gateway and issuer log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logs {
    /// It is shown if something fails.
    Kept,
    /// It goes to files below the PKI's folder, made anew at each start.
    InFiles,
}

impl Logs {
    fn output(self, folder: &Path, name: &str) -> std::io::Result<Output> {
        if self == Self::Kept {
            return Ok(Output::Keep);
        }
        let folder = folder.join(LOG_FOLDER);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        std::fs::write(&path, "")?;
        Ok(Output::File(path))
    }
}

/// How many lines passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Every one.
    All,
    /// Not every one.
    Some,
}

impl Demo {
    fn start(folder: &Path, listen: SocketAddr, admin: SocketAddr, logs: Logs) -> Result<Self, Box<dyn Error>> {
        let (pki, made) = PkiDir::ensure(folder, clock::now())?;
        if logs == Logs::InFiles {
            let verb = if made == Made::Anew { "made" } else { "found" };
            println!("development PKI {verb} in {}", folder.display());
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let application = runtime.block_on(App::start(([127, 0, 0, 1], 0).into()))?;
        let upstream = application.address().ok_or("the application has no address")?;
        let (issuer, part) = {
            let output = logs.output(folder, "issuer.log")?;
            let issuer = issuer::Issuer::start(&pki, issuer_addresses(listen), output)?;
            let part = issuer.of_gateway();
            (issuer, part)
        };
        let config = configuration::write(folder, &Addresses { listen, admin, upstream }, &part)?;
        let output = logs.output(folder, "gateway.log")?;
        let gateway = GatewayProcess::start(&binaries::gateway()?, &config, output, PATIENCE)?;
        Ok(Self { pki, gateway, issuer, _application: application, runtime })
    }

    fn target(&self) -> Target<'_> {
        Target { gateway: self.gateway.tls(), certificates: self.pki.folder() }
    }

    /// One screen of what there is; everything there is to try goes to a file.
    fn show(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let (target, shown) = (self.target(), folder.display());
        let tries: Vec<_> = check::lines()
            .into_iter()
            .map(|line| format!("# {}\n#   -> {}\n{}\n", line.claim, line.expectation, line.command(target)))
            .collect();
        let mut all = tries.join("\n");
        println!("\n関所デモ / Sekisho demo\n");
        {
            all += &self.walk()?;
        }
        let file = folder.join(LOG_FOLDER).join("try.txt");
        std::fs::write(&file, all)?;
        println!(
            "Try, each with what it should answer ({} more, and every user, in {}):\n",
            tries.len().saturating_sub(SHOWN_LINES),
            file.display()
        );
        tries.iter().take(SHOWN_LINES).for_each(|line| println!("{line}"));
        let (password, port) = (pki::P12_PASSWORD, target.gateway.port());
        println!(
            "Browser   import {shown}/client-good.p12 (password {password}) and server-ca.pem, open https://ib.localhost:{port}/"
        );
        println!("Issuer    http://{}/ca/hokugin.cer, /crl/hokugin/0.crl, OCSP", self.issuer.public());
        println!("Admin     http://{}/metrics, /livez, /readyz", self.gateway.admin());
        println!("Logs      {shown}/{LOG_FOLDER}/gateway.log, issuer.log; records: {shown}/access.log");
        println!("\nCtrl-C ends it.");
        Ok(())
    }

    /// Walks through a certificate's life in each product; prints how that went, and gives every step and every user.
    fn walk(&self) -> Result<String, Box<dyn Error>> {
        let mut all = "\n# 電子証明書の一生 / A certificate's life, once for each product\n\n".to_owned();
        let steps = self.issuer.walk(self.gateway.tls());
        for step in &steps {
            let verdict = if step.result.is_ok() { "ok" } else { "FAILED" };
            all += &format!("# {} ... {verdict}\n{}\n", step.claim, step.command);
            if let Err(seen) = &step.result {
                println!("FAILED {}\n     {seen}", step.claim);
            }
        }
        let failed = steps.iter().filter(|step| step.result.is_err()).count();
        println!("A certificate's life in each product: {} steps walked, {failed} failed", steps.len());
        Ok(format!("{all}\n# 利用者一覧 / Every contract's users\n\n{}\n", self.issuer.table()?))
    }

    /// Lets gateway and issuer end by themselves; one that does not is killed when it is dropped.
    fn stop(mut self) {
        self.gateway.signal(Signal::Terminate);
        self.gateway.wait_for_end(STOP_PATIENCE);
        self.issuer.stop();
    }
}

/// The issuer's addresses beside the gateway's: 8445, 8446 and 9445 with 8443; free ones with free ones.
fn issuer_addresses(gateway: SocketAddr) -> issuer::Addresses {
    let beside = |distance: i32| {
        let port = i32::from(gateway.port()).checked_add(distance).and_then(|port| u16::try_from(port).ok());
        SocketAddr::from(([127, 0, 0, 1], if gateway.port() == 0 { 0 } else { port.unwrap_or(0) }))
    };
    issuer::Addresses { api: beside(2), public: beside(3), admin: beside(1002) }
}

/// Ctrl-C and SIGTERM, which by default would end us and leave the servers behind.
struct StopSignals([Signals; 2]);

impl StopSignals {
    /// From here on none ends us. To be called within a runtime, before anybody is told that it may be sent.
    fn listen() -> std::io::Result<Self> {
        Ok(Self([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]))
    }

    /// Waits for one.
    async fn one(self) {
        let Self([mut terminate, mut interrupt]) = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// A temporary folder, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> std::io::Result<Self> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| std::io::Error::other("no random numbers to be had"))?;
        let name = format!("sekisho-check-{:016x}", u64::from_be_bytes(random));
        let folder = std::env::temp_dir().join(name);
        // `create_dir`, not `_all`: never a folder that is there already.
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
