//! Lists that are fetched: begun and ended with the configuration, told in metrics and log, put in force by a reload.

use crate::gateway::Gateway;
use crate::gateway::base::cause::Cause;
use sekisho_config::{Config, ConfigError, RevocationSource};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_trust::TrustSnapshot;
use sekisho_trust::sources::ocsp::Asker;
use sekisho_trust::sources::{self, FetchOutcome, FetchReport, Fetched, Host, KeptLists};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a list of a million takes to be judged and loaded on a busy machine.
const READING: Duration = Duration::from_secs(5);

/// How long a first start waits for lists. A server that hangs must not keep whoever looks after this process from
/// hearing of it.
const PRIMING: Duration = Duration::from_secs(5);

/// Where fetched lists are kept, if this configuration has any to fetch.
pub(in crate::gateway) fn kept(config: &Config) -> Option<KeptLists> {
    has_fetched(config).then(|| config.gateway.state_folder.as_ref().map(|folder| KeptLists::at(&folder.value)))?
}

/// Makes sure that lists can be kept, and fetches those that never were, once: a first start is not one without lists.
///
/// # Errors
/// At `gateway.state_folder`, or at `ca` in `[gateway.fetch]`.
pub(in crate::gateway) fn prime(config: &Config, runtime: &Handle) -> Result<Vec<FetchReport>, ConfigError> {
    let Some(kept) = open(config)? else { return Ok(Vec::new()) };
    let primed = async {
        tokio::time::timeout(PRIMING, sources::prime(&config.cas, &config.fetch, &kept)).await.unwrap_or_else(|_| {
            tracing::warn!(
                "lists take too long to be waited for at the start; their CAs are not ready until they are here"
            );
            Ok(Vec::new())
        })
    };
    runtime.block_on(primed)
}

/// Fetches what the configuration in force names from now on, and nothing else.
///
/// # Errors
/// As [`prime`]; what was fetched before is fetched on.
pub(in crate::gateway) fn follow(
    gateway: &Arc<Gateway>,
    wake: &Sender<Cause>,
    runtime: &Handle,
) -> Result<(), ConfigError> {
    let config = gateway.snapshot().config.clone();
    gateway.questions.asker.trust_servers(&config.fetch)?;
    let Some(kept) = open(&config)? else {
        gateway.fetcher.stop();
        return Ok(());
    };
    let host: Arc<dyn Host> = Arc::new(Waking { gateway: Arc::downgrade(gateway), wake: wake.clone() });
    gateway.fetcher.follow(&config, &kept, &host, runtime)
}

/// Counts and logs what an attempt came to.
pub(in crate::gateway) fn report(gateway: &Gateway, report: &FetchReport) {
    let target = &*report.target;
    let (ca, url) = (&*target.ca, &*target.url);
    gateway.metrics.crl_fetches_total(ca, url, FetchOutcome::of(&report.outcome)).inc();
    match &report.outcome {
        Ok(Fetched::New) => tracing::info!(ca, url, source = target.kind.name(), "a new list was fetched"),
        Ok(Fetched::Unchanged) => tracing::debug!(ca, url, source = target.kind.name(), "the list is the same"),
        Err(error) => {
            let kept = "the list before it stays in force";
            tracing::warn!(ca, url, source = target.kind.name(), reason = error.kind().as_str(), %error, "fetch failed; {kept}");
        }
    }
}

/// Fetches the lists at a certificate's distribution points. What comes is in force when this returns; it returns in any
/// case, and nobody waits for the same points again.
pub(in crate::gateway) async fn lists_at(gateway: &Gateway, issuer: &AuthorityKey, urls: &[Arc<str>]) {
    let snapshot = gateway.snapshot();
    let authority = snapshot.trust.authority(issuer);
    let ca = authority.and_then(|authority| snapshot.config.cas.iter().find(|ca| ca.name == *authority.name()));
    let Some(ca) = ca else {
        // A reload took the CA out.
        return;
    };
    let mut attempts = Vec::new();
    for url in urls {
        match gateway.fetcher.point(ca, url) {
            Ok(attempt) => attempts.push(attempt),
            Err(error) => tracing::warn!(ca = %ca.name, %url, %error, "a distribution point is not fetched"),
        }
    }
    let in_force = async {
        for mut attempt in attempts {
            // An error is its end: a reload took it out.
            let _ = attempt.wait_for(|ended| *ended > 0).await;
        }
        gateway.loads.settled().await;
    };
    // Beyond the fetch itself: for a place among the downloads, and for the list to be read.
    if tokio::time::timeout(snapshot.config.fetch.timeout + READING, in_force).await.is_err() {
        tracing::warn!(ca = %ca.name, ?urls, "the lists at these distribution points take too long to be waited for");
    }
    urls.iter().for_each(|url| gateway.fetcher.book().tried(&ca.name, url));
}

/// Reads the CAs of servers at `https://` URLs, of CRLs and OCSP responders.
///
/// # Errors
/// At `ca` in `[gateway.fetch]`.
pub(in crate::gateway) fn check(config: &Config) -> Result<(), ConfigError> {
    Asker::default().trust_servers(&config.fetch)
}

fn open(config: &Config) -> Result<Option<KeptLists>, ConfigError> {
    let folder = config.gateway.state_folder.as_ref().filter(|_| has_fetched(config));
    folder.map(KeptLists::open).transpose()
}

fn has_fetched(config: &Config) -> bool {
    config.cas.iter().any(|ca| match &ca.revocation {
        RevocationSource::None => false,
        RevocationSource::From(sources) => !(sources.urls.is_empty() && sources.points.is_empty()),
    })
}

/// The gateway, as the fetcher sees it.
struct Waking {
    gateway: Weak<Gateway>,
    wake: Sender<Cause>,
}

impl Host for Waking {
    fn trust(&self) -> Option<Arc<TrustSnapshot>> {
        self.gateway.upgrade().map(|gateway| gateway.snapshot().trust.clone())
    }

    fn fetched(&self, report: &FetchReport) {
        let is_new = matches!(report.outcome, Ok(Fetched::New));
        if let Some(gateway) = self.gateway.upgrade() {
            self::report(&gateway, report);
            if is_new {
                gateway.loads.want();
            }
        }
        if is_new {
            // The gateway is stopping when nobody listens.
            let _ = self.wake.send(Cause::Lists);
        }
    }
}
