//! `sekisho load`: load for the handshake path of a mutual-TLS server (requirement O5).

use crate::load::{
    Group, HttpVersion, Identity, Kind, Mark, Pace, Plan, TlsVersion, read_folder, read_pair, run as run_load,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use sekisho_pki::pem;
use sekisho_runtime::standard_output::say;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Exit code of a run in which something did not come out as asked.
const NOT_AS_ASKED: u8 = 1;
/// Exit code of wrong usage.
const UNUSABLE: u8 = 2;

/// Put load on a mutual-TLS server: full and resumed handshakes, kept-alive requests, clients that must be refused.
///
/// Prints a line a second to standard error while it runs, and then rate, latency percentiles and errors by kind.
/// With --rate, latency counts from the moment at which an operation was due, so that a server that stalls shows.
///
/// Exit code 0: everything came out as asked; 1: something did not; 2: wrong usage, or the run could not begin.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What is asked for: `https://ib.example.jp:8443/path`.
    url: String,
    /// Where to connect instead of the URL's host.
    #[arg(long, value_name = "ADDRESS:PORT")]
    connect: Option<SocketAddr>,
    /// PEM of the CAs that the server's certificate may be of.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// A client certificate's PEM chain; with --key.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "clients")]
    cert: Option<PathBuf>,
    /// Its private key in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// A folder of client certificates, NAME.pem with NAME.key, used in rotation.
    #[arg(long, value_name = "FOLDER")]
    clients: Option<PathBuf>,
    /// What one operation is.
    #[arg(long, value_enum, default_value = "full")]
    kind: KindName,
    /// TLS versions to offer.
    #[arg(long, value_enum, default_value = "any")]
    tls: TlsName,
    /// The one key exchange to offer; rustls's choice when absent.
    #[arg(long, value_enum)]
    group: Option<GroupName>,
    /// HTTP version.
    #[arg(long, value_enum, default_value = "1.1")]
    http: HttpName,
    /// Operations at a time; with keep-alive over HTTP/1.1 the number of connections.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    concurrency: u32,
    /// With keep-alive over HTTP/2: how many of them share a connection.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    streams: u32,
    /// Operations to begin each second (open loop). As fast as the server lets when absent (closed loop).
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// How long to measure.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// How long to run before that.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// After which an operation is given up.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Run a shell command during the load and report before and after it apart: 5s='kill -HUP 1234'. May be repeated.
    #[arg(long, value_name = "TIME=COMMAND")]
    at: Vec<Mark>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Threads of the load generator.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// No line a second.
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindName {
    /// Connection, full handshake, request.
    Full,
    /// Connection, resumed handshake, request.
    Resumed,
    /// Request on a kept connection.
    KeepAlive,
    /// No certificate is shown; a refusal is expected.
    NoCertificate,
    /// A certificate that must be refused is shown (revoked, expired): a refusal is expected.
    Refused,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TlsName {
    Any,
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum GroupName {
    X25519,
    P256,
    #[value(name = "x25519mlkem768")]
    X25519MlKem768,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum HttpName {
    #[value(name = "1.1")]
    Http1,
    #[value(name = "2")]
    Http2,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let plan = match plan(arguments) {
        Ok(plan) => plan,
        Err(message) => return unusable(&message),
    };
    let threads = usize::from(arguments.threads);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return unusable(&error.to_string()),
    };
    let is_quiet = arguments.quiet;
    let progress = move |line: &str| {
        if !is_quiet {
            eprintln!("{line}");
        }
    };
    match runtime.block_on(run_load(plan, progress)) {
        Ok(report) => {
            let code = if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_ASKED) };
            if arguments.json {
                match serde_json::to_string(&report) {
                    Ok(json) => say(format_args!("{json}\n"), code),
                    Err(error) => unusable(&error.to_string()),
                }
            } else {
                if std::io::stderr().is_terminal() && !is_quiet {
                    eprintln!();
                }
                say(report, code)
            }
        }
        Err(error) => unusable(&error.to_string()),
    }
}

fn plan(arguments: &Arguments) -> Result<Plan, String> {
    let url: http::Uri = arguments.url.parse().map_err(|error| format!("{}: {error}", arguments.url))?;
    let (Some("https"), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err(format!("{}: write https://HOST/PATH", arguments.url));
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(443);
    let target = arguments.connect.map_or_else(|| resolve(&host, port), Ok)?;
    let kind = kind(arguments.kind);
    let clients = clients(arguments)?;
    match kind {
        Kind::NoCertificate if !clients.is_empty() => {
            return Err("--kind no-certificate shows none: leave --cert and --clients out".to_owned());
        }
        Kind::Refused | Kind::Resumed if clients.is_empty() => {
            return Err(format!("--kind {} needs --cert and --key, or --clients", kind.name()));
        }
        _ => {}
    }
    if let Some(late) = arguments.at.iter().find(|mark| mark.at >= arguments.duration) {
        return Err(format!("--at {:?}: the run ends after {:?}", late.at, arguments.duration));
    }
    Ok(Plan {
        target,
        server_name: host,
        authority: authority.to_string(),
        path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        kind,
        tls: match arguments.tls {
            TlsName::Any => TlsVersion::Any,
            TlsName::Tls12 => TlsVersion::Tls12,
            TlsName::Tls13 => TlsVersion::Tls13,
        },
        group: arguments.group.map(|group| match group {
            GroupName::X25519 => Group::X25519,
            GroupName::P256 => Group::P256,
            GroupName::X25519MlKem768 => Group::X25519MlKem768,
        }),
        http: match arguments.http {
            HttpName::Http1 => HttpVersion::Http1,
            HttpName::Http2 => HttpVersion::Http2,
        },
        pace: arguments.rate.map_or(Pace::Closed, Pace::Rate),
        concurrency: arguments.concurrency as usize,
        streams: arguments.streams as usize,
        duration: arguments.duration,
        warm_up: arguments.warm_up,
        timeout: arguments.timeout,
        clients,
        roots: Arc::new(roots(&arguments.ca)?),
        marks: arguments.at.clone(),
    })
}

const fn kind(name: KindName) -> Kind {
    match name {
        KindName::Full => Kind::Full,
        KindName::Resumed => Kind::Resumed,
        KindName::KeepAlive => Kind::KeepAlive,
        KindName::NoCertificate => Kind::NoCertificate,
        KindName::Refused => Kind::Refused,
    }
}

fn clients(arguments: &Arguments) -> Result<Vec<Identity>, String> {
    match (&arguments.cert, &arguments.key, &arguments.clients) {
        (Some(certificate), Some(key), _) => {
            read_pair(certificate, key).map(|one| vec![one]).map_err(|error| error.to_string())
        }
        (_, _, Some(folder)) => read_folder(folder).map_err(|error| error.to_string()),
        _ => Ok(Vec::new()),
    }
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let wrong = |why: String| format!("{}: {why}", file.display());
    let octets = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let certificates = pem::certificates(&octets).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(CertificateDer::from(certificate.to_vec())).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(roots)
}

/// Names below `localhost` are this machine's (RFC 6761 section 6.3), whatever its resolver says.
fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let mut found = (host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    found.next().ok_or_else(|| format!("{host} has no address"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.strip_suffix('s').unwrap_or(text).parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    // Far beyond what one machine begins; and all that is due is counted, begun or not.
    let most = 1_000_000.0;
    if rate > 0.0 && rate <= most { Ok(rate) } else { Err(format!("write a number above 0, at most {most}")) }
}

fn unusable(message: &str) -> ExitCode {
    eprintln!("sekisho load: {message}");
    ExitCode::from(UNUSABLE)
}
