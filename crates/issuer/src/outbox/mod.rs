//! Notices (S10): out of the store by mail, and into it when a certificate is about to expire.
//!
//! An act puts its notice into the store in its own transaction, so that there is one for each act that was done and for
//! no other. This module takes those that are due under a lease ([`crate::store::Store::take_notices`]), so that
//! of several nodes one sends it, one after the other on one connection.
//!
//! # Once, or at most once more
//! A mail that the server has taken is marked as sent. A crash between the two, or a connection that breaks before the
//! server's last answer, makes the mail be sent again after the lease or the wait: at most the one that was in flight,
//! octet by octet the same with the same Message-ID (it is made of the notice's `once`), so that receivers can tell. Never
//! is one lost: a notice counts as sent only when the server said so.
//!
//! # What becomes of a refusal
//! | the server | the notice |
//! |---|---|
//! | is not there, has no STARTTLS or a wrong certificate, refuses login or sender | waits, and so do the others taken with it |
//! | refuses for now (4xx), or breaks off | waits |
//! | refuses for good (5xx) the receiver or the mail | is given up |
//!
//! The wait doubles up to an hour; after `attempts` a notice is given up. Users without an address, or whose certificate
//! was replaced before they were told that it expires, are not mailed. The notice stays on the screen in any case.
//!
//! What a mail says: [`text`]. *Invariant*: `text` is pure. *Invariant*: nothing is sent in clear beyond this machine.

mod deliver;
mod ladder;
mod lines;
mod mailer;
mod message;
pub mod text;

pub use ladder::Ladder;

use crate::profiles::Profiles;
use crate::store::Store;
use deliver::{Delivery, Due};
use mailer::Mailer;
use sekisho_config::ConfigError;
use sekisho_config::issuer::MailConfig;
use sekisho_runtime::clock;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Between two looks at the outbox, where nobody woke it: retries become due, and other nodes put notices in. Shorter
/// where the first retry is.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Between two scans for users in the ladder: a step is a day, so minutes do not matter.
const SCAN_EVERY: Duration = Duration::from_secs(600);

/// What the outbox needs.
pub struct OutboxParts {
    /// Where notices are.
    pub store: Arc<dyn Store>,
    /// Products' labels and ladders.
    pub profiles: Arc<Profiles>,
    /// The mail server; `None`: notices are on the screen only, and marked as not to be sent.
    pub mail: Option<MailConfig>,
    /// There is a new notice.
    pub wake: Arc<Notify>,
    /// True: stop. The mail that is in flight is ended first.
    pub shutdown: watch::Receiver<bool>,
}

/// Reads the files that `[mail]` names, and opens nothing else.
///
/// # Errors
/// As [`run`].
pub fn check(mail: &MailConfig) -> Result<(), Vec<ConfigError>> {
    Mailer::load(mail).map(drop)
}

/// Sends notices and finds certificates about to expire, until told to stop. The files that the configuration names are
/// read before the future is given out.
///
/// # Errors
/// The CA file, the password file or the sender cannot be used.
pub fn run(parts: OutboxParts) -> Result<impl Future<Output = ()> + Send, Vec<ConfigError>> {
    let mailer = parts.mail.as_ref().map(Mailer::load).transpose()?;
    if mailer.is_none() {
        tracing::info!("no mail server is configured: notices are not mailed, and stay on the screen");
    }
    let (attempts, retry) = parts.mail.as_ref().map_or((1, POLL.1), |mail| (mail.attempts, mail.retry));
    let delivery = Delivery {
        store: Arc::clone(&parts.store),
        profiles: Arc::clone(&parts.profiles),
        mailer,
        attempts,
        retry,
        shutdown: parts.shutdown.clone(),
    };
    Ok(async move {
        tokio::join!(send(delivery, Arc::clone(&parts.wake)), climb(parts));
    })
}

/// Sends, whenever woken and now and then.
async fn send(delivery: Delivery, wake: Arc<Notify>) {
    let poll = delivery.retry.clamp(POLL.0, POLL.1);
    let mut shutdown = delivery.shutdown.clone();
    while !*shutdown.borrow() {
        match delivery.round().await {
            Ok(Due::Perhaps) => continue,
            Ok(Due::None) => {}
            Err(error) => tracing::error!(%error, "notices cannot be read or marked now"),
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(poll) => {}
            changed = shutdown.changed() => if changed.is_err() { return },
        }
    }
}

/// Looks for users who have come to a step of the ladder.
async fn climb(parts: OutboxParts) {
    let OutboxParts { store, profiles, wake, mut shutdown, .. } = parts;
    let mut ladder = Ladder::new();
    while !*shutdown.borrow() {
        let scanned = tokio::select! {
            scanned = ladder.scan(&*store, &profiles, clock::now()) => scanned,
            // What is put in is put in once; the next start goes on.
            _ = shutdown.changed() => return,
        };
        match scanned {
            Ok(0) => {}
            Ok(_) => wake.notify_one(),
            Err(error) => tracing::error!(%error, "users whose certificates expire cannot be told now"),
        }
        tokio::select! {
            () = tokio::time::sleep(SCAN_EVERY) => {}
            changed = shutdown.changed() => if changed.is_err() { return },
        }
    }
}
