//! Takes notices that are due, sends them and marks them.

use super::mailer::{CONNECT_TIMEOUT, Failure, Mailer, SEND_TIMEOUT, Session};
use super::message::message;
use crate::profiles::Profiles;
use crate::store::{Ask, Everyone, NoticeAbout, NoticeRow, Store, StoreError};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Notices taken at a time: few, so that those of a node that stops wait for another no longer than [`LEASE`].
const AT_A_TIME: u32 = 16;

/// Seconds for which taken notices are this node's. None is begun that might not end within.
const LEASE: i64 = 300;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Between attempts to mark what was sent, while the store does not answer.
const MARK_AGAIN: Duration = Duration::from_secs(1);

/// Characters of a reason that are kept.
const MOST_REASON_CHARACTERS: usize = 200;

/// Sends what is due.
pub(super) struct Delivery {
    pub(super) store: Arc<dyn Store>,
    pub(super) profiles: Arc<Profiles>,
    /// None: notices are on the screen only.
    pub(super) mailer: Option<Mailer>,
    /// Attempts before a notice is given up.
    pub(super) attempts: u32,
    /// The wait after the first attempt.
    pub(super) retry: Duration,
    pub(super) shutdown: watch::Receiver<bool>,
}

/// Whether more may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// As many were taken as may be at a time.
    Perhaps,
    /// No more.
    None,
}

/// How an attempt went.
enum Attempt {
    Sent,
    /// For the screen only, or never to be taken by the receiver's server.
    GivenUp(String),
    NotNow(String),
    /// And no other notice would do better.
    NoServer(String),
}

impl Delivery {
    /// Takes some notices and tries each once.
    pub(super) async fn round(&self) -> Result<Due, StoreError> {
        let now = clock::now();
        let until = now.plus_seconds(LEASE);
        let rows = self.store.take_notices(now, until, AT_A_TIME).await?;
        let due = if rows.len() >= AT_A_TIME as usize { Due::Perhaps } else { Due::None };
        let mut session = self.mailer.as_ref().map(Mailer::session);
        let mut no_server = None;
        for row in &rows {
            if *self.shutdown.borrow() || !fits_before(until) {
                // The lease runs out, and another node or the next start takes them.
                break;
            }
            let attempt = match &no_server {
                Some(why) => Attempt::NoServer(String::clone(why)),
                None => self.attempt(session.as_mut(), row).await?,
            };
            if let Attempt::NoServer(why) = &attempt {
                if no_server.is_none() {
                    tracing::warn!(why, "notices cannot be mailed now");
                }
                no_server = Some(why.clone());
            }
            self.mark(row, &attempt, until).await?;
        }
        if let Some(session) = &mut session {
            session.close().await;
        }
        Ok(due)
    }

    async fn attempt(&self, session: Option<&mut Session<'_>>, row: &NoticeRow) -> Result<Attempt, StoreError> {
        let (Some(mailer), Some(session)) = (&self.mailer, session) else {
            return Ok(Attempt::GivenUp("not to be sent: no mail server is configured".to_owned()));
        };
        let Some(profile) = self.profiles.get(&row.profile) else {
            tracing::error!(profile = &*row.profile, "a contract's profile is not configured; its notices wait");
            return Ok(Attempt::NotNow("the contract's profile is not configured".to_owned()));
        };
        let mail = match message(&mailer.sender, &profile.product, row) {
            Ok(mail) => mail,
            Err(why) => return Ok(Attempt::GivenUp(why.to_string())),
        };
        if !self.is_still_so(row).await? {
            return Ok(Attempt::GivenUp("not to be sent: the certificate was replaced or revoked".to_owned()));
        }
        Ok(match session.send(&mail).await {
            Ok(()) => Attempt::Sent,
            Err(Failure::NoServer(why)) => Attempt::NoServer(why),
            Err(Failure::NotNow(why)) => Attempt::NotNow(why),
            Err(Failure::Never(why)) => Attempt::GivenUp(why),
        })
    }

    /// Whether a notice still holds. An act stays done; a certificate about to expire may have been replaced while the
    /// notice waited.
    async fn is_still_so(&self, row: &NoticeRow) -> Result<bool, StoreError> {
        let NoticeAbout::Expiry(_) = row.notice.about else { return Ok(true) };
        let to = &row.notice.to;
        let found = self.store.find(&ask(&to.contract, Some(&to.user))).await?;
        let live = found.user.as_ref().and_then(|row| row.user.live(clock::now()).map(|held| held.serial));
        Ok(live.is_some() && live == row.notice.serial)
    }

    /// What is not marked is sent again when the lease is over, so the store is asked until then.
    async fn mark(&self, row: &NoticeRow, attempt: &Attempt, until: Timestamp) -> Result<(), StoreError> {
        loop {
            let marked = match attempt {
                Attempt::Sent => self.store.notice_sent(row.id, clock::now()).await,
                Attempt::GivenUp(why) => self.failed(row, None, why).await,
                Attempt::NotNow(why) | Attempt::NoServer(why) => self.failed(row, self.next(row.attempts), why).await,
            };
            match (marked, attempt) {
                (Err(error), Attempt::Sent) if clock::now() < until && !*self.shutdown.borrow() => {
                    tracing::error!(notice = row.id, %error, "a notice was mailed and cannot be marked");
                    tokio::time::sleep(MARK_AGAIN).await;
                }
                (marked, _) => return marked,
            }
        }
    }

    async fn failed(&self, row: &NoticeRow, next: Option<Timestamp>, why: &str) -> Result<(), StoreError> {
        if next.is_none() {
            // Not why: a server's answer may have the user's address in it, and is in the store. Without a mail server
            // that is so of every notice, and was logged at the start.
            if self.mailer.is_some() {
                tracing::info!(notice = row.id, attempts = row.attempts, "a notice is not mailed; it is on the screen");
            }
        }
        self.store.notice_failed(row.id, next, &one_line(why)).await
    }

    /// When to try again after so many failed attempts and this one; `None`: not any more.
    fn next(&self, attempts: u32) -> Option<Timestamp> {
        let tried = attempts.saturating_add(1);
        let wait = (tried < self.attempts).then(|| wait(self.retry, attempts))?;
        Some(clock::now().plus_seconds(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX)))
    }
}

/// To read a user, and nothing with them.
pub(super) fn ask(contract: &sekisho_lifecycle::ContractId, user: Option<&sekisho_lifecycle::UserId>) -> Ask {
    Ask {
        contract: contract.clone(),
        user: user.cloned(),
        actor: None,
        address: None,
        public_key: None,
        idempotency: None,
        everyone: Everyone::No,
        names: Vec::new(),
    }
}

/// Whether an attempt that begins now ends before.
fn fits_before(until: Timestamp) -> bool {
    let longest = CONNECT_TIMEOUT.saturating_add(SEND_TIMEOUT).as_secs();
    clock::now().plus_seconds(i64::try_from(longest).unwrap_or(i64::MAX)) < until
}

/// Doubled with every failed attempt, up to an hour.
fn wait(first: Duration, attempts: u32) -> Duration {
    let factor = 2_u32.checked_pow(attempts).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(LONGEST_WAIT)
}

/// A server's answer may have several lines.
fn one_line(why: &str) -> String {
    why.chars()
        .take(MOST_REASON_CHARACTERS)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        let minute = Duration::from_secs(60);
        let waits: Vec<_> = (0..8).map(|attempts| wait(minute, attempts).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!(wait(minute, u32::MAX), LONGEST_WAIT);
        assert_eq!(wait(Duration::from_secs(7_200), 0), LONGEST_WAIT);
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(one_line("550 no\r\nsuch user"), "550 no  such user");
        assert_eq!(one_line(&"長".repeat(1_000)).chars().count(), MOST_REASON_CHARACTERS);
    }

    #[test]
    fn a_lease_lasts_for_some_attempts() {
        assert!(fits_before(clock::now().plus_seconds(LEASE)));
        assert!(!fits_before(clock::now().plus_seconds(80)));
    }
}
