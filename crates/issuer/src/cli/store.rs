//! `sekisho-issuer store`: a new store, and the way back for one that was restored or set back.

use crate as issuer;
use crate::publish::PublishedEntry;
use crate::reconcile::Sources;
use sekisho_config::issuer as configuration;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_runtime::standard_output::say;
use sekisho_trust::feed::Recalled;
use sekisho_trust::withdrawn;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make the issuer's store, or bring back one that was restored.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(Init),
    Reconcile(Reconcile),
    AcceptClock(AcceptClock),
}

/// Make a new, empty store where the configuration says, once, for a new installation.
///
/// An issuer never makes one by itself: a mistyped path or a lost disk would let every revoked certificate in again.
#[derive(Debug, clap::Args)]
struct Init {
    /// The issuer's configuration.
    #[arg(long, value_name = "FILE", default_value = "config/issuer.toml")]
    config: PathBuf,
}

/// Take revocations into the store that it lacks: from the CRLs in `publish_folder`, from others, and from gateways.
///
/// For a store that was restored from a backup, or a standby that was promoted. Stop every issuer first. Each revocation
/// is recorded in the audit log. It may be repeated.
#[derive(Debug, clap::Args)]
struct Reconcile {
    /// The issuer's configuration.
    #[arg(long, value_name = "FILE", default_value = "config/issuer.toml")]
    config: PathBuf,
    /// A further CRL of one of its authorities: what a gateway fetched, for instance.
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// A gateway's state folder, or a copy of it: what it acknowledged is there.
    #[arg(long, value_name = "FOLDER")]
    gateway_state: Vec<PathBuf>,
}

/// Date CRLs by this machine's clock again, although the last ones are dated later.
///
/// For when a clock that was ahead dated CRLs into the future, and is right now.
#[derive(Debug, clap::Args)]
struct AcceptClock {
    /// The issuer's configuration.
    #[arg(long, value_name = "FILE", default_value = "config/issuer.toml")]
    config: PathBuf,
}

/// Runs it: code 1 and one line an error.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let outcome = match &arguments.command {
        Command::Init(Init { config }) => {
            with(config, |config| issuer::init_store(&config)).map(|()| "made".to_owned())
        }
        Command::Reconcile(arguments) => reconcile(arguments),
        Command::AcceptClock(AcceptClock { config }) => with(config, issuer::accept_clock)
            .map(|count| format!("{count} CRLs were dated later than now and are dated by this clock from now on")),
    };
    match outcome {
        Ok(said) => say(format_args!("{said}\n"), ExitCode::SUCCESS),
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("sekisho-issuer store: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn reconcile(arguments: &Reconcile) -> Result<String, Vec<String>> {
    let (mut gateways, mut said) = (Vec::new(), String::new());
    for folder in &arguments.gateway_state {
        let found = kept(folder).map_err(|why| vec![format!("{}: {why}", folder.display())])?;
        said += &format!("{}: {} revocations and holds\n", folder.display(), found.len());
        gateways.extend(found);
    }
    let sources = Sources { crls: arguments.crl.clone(), gateways };
    let done = with(&arguments.config, |config| issuer::reconcile_store(config, &sources))?;
    Ok(format!(
        "{said}{} revocations and {} holds were taken over, {} of them of certificates that the store does not know; {} are of \
         other authorities",
        done.revocations, done.holds, done.unknown, done.foreign
    ))
}

/// What a gateway keeps: what the feed told it, and what CRLs had that have it no more.
fn kept(folder: &Path) -> Result<Vec<(AuthorityKey, PublishedEntry)>, String> {
    if !folder.is_dir() {
        return Err("it is not a folder".to_owned());
    }
    let recalled = Recalled::read(&folder.join("feed")).map_err(|error| format!("feed: {error}"))?;
    if let Some(damage) = recalled.damage {
        eprintln!("sekisho-issuer store: {}: feed: {damage}; what can be read is taken", folder.display());
    }
    let by_feed =
        recalled.view.revocations().map(|(issuer, serial, at, reason)| (issuer, PublishedEntry { serial, reason, at }));
    let book = withdrawn::read(folder)?;
    let by_lists = book.iter().flat_map(|(issuer, withdrawn)| {
        withdrawn.iter().map(|(serial, revoked)| {
            (*issuer, PublishedEntry { serial: *serial, reason: revoked.reason, at: revoked.at })
        })
    });
    let all = by_feed.chain(by_lists);
    Ok(all.filter(|(_, entry)| entry.reason != RevocationReason::RemoveFromCrl).collect())
}

fn with<T>(
    config: &Path,
    work: impl FnOnce(sekisho_config::issuer::IssuerConfig) -> Result<T, Vec<sekisho_config::ConfigError>>,
) -> Result<T, Vec<String>> {
    let done = configuration::load(config).and_then(work);
    done.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}
