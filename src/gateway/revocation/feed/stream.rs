//! One connection to one node of the issuer, from the request to its end.

use super::apply::{Applied, ApplyError, apply};
use crate::gateway::Gateway;
use crate::gateway::metrics::{MessageOutcome, StreamEnd};
use crate::gateway::snapshot::feed_source::Source;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_runtime::telemetry::outbound::describe;
use sekisho_trust::feed::{
    Anew, Event, EventError, Events, FeedFull, FeedView, Following, Join, JoinError, Message, MessageError, Opening,
    Step,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The name of the events that count.
const EVENT: &str = "revocations";

/// The problem type of an issuer whose store is behind what we have ends with this.
const AHEAD: &str = "feed-ahead";

/// Octets of an answer that is no stream.
const MOST_PROBLEM_OCTETS: usize = 16 * 1024;

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum End {
    /// No connection, or no answer in time.
    Connect(String),
    /// Another answer than a stream.
    Refused(StatusCode),
    /// The issuer's store is behind what we have.
    Ahead,
    /// It cannot be read.
    Events(EventError),
    /// A message is not the issuer's, or cannot be.
    Message(MessageError),
    /// A message does not follow what came before.
    Join(JoinError),
    /// There is no room for more changes.
    Full(FeedFull),
    /// A message could not be put in force: why.
    Failed(String),
    /// Nothing that counts came for too long.
    Silent,
    /// The node ended it.
    Ended(String),
}

/// One stream.
pub(super) struct Stream<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) source: &'a Source,
    pub(super) url: &'a str,
    pub(super) opening: Opening,
    pub(super) queue: &'a mpsc::Sender<Applied>,
    /// Messages that came in force.
    pub(super) applied: u64,
    /// When the disk was last told that the feed lives.
    kept_at: Timestamp,
}

impl<'a> Stream<'a> {
    pub(super) const fn new(
        gateway: &'a Arc<Gateway>,
        source: &'a Source,
        url: &'a str,
        opening: Opening,
        queue: &'a mpsc::Sender<Applied>,
    ) -> Self {
        Self { gateway, source, url, opening, queue, applied: 0, kept_at: Timestamp::from_unix(0) }
    }

    /// Follows it until it ends.
    pub(super) async fn follow(&mut self) -> End {
        match self.open().await {
            Ok(response) => self.read(response).await,
            Err(end) => end,
        }
    }

    /// Half of the time after which the feed counts as lost: the other half is for another node.
    fn patience(&self) -> Duration {
        self.source.lost_after / 2
    }

    async fn open(&self) -> Result<Response, End> {
        let instance = self.gateway.feed.instance(self.gateway);
        let query = match self.opening {
            Opening::After(last) => format!("?after={last}&instance={instance}"),
            Opening::Anew(_) => format!("?instance={instance}"),
        };
        let request =
            self.source.client.get(format!("{}/v1/feed{query}", self.url)).header(ACCEPT, "text/event-stream");
        let answer = tokio::time::timeout(self.patience(), request.send()).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(End::Connect(describe(&error))),
            Err(_) => return Err(End::Connect("no answer in time".to_owned())),
        };
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if status == StatusCode::OK && kind.split(';').next().map(str::trim) == Some("text/event-stream") {
            return Ok(response);
        }
        if status == StatusCode::CONFLICT && self.is_ahead(response).await {
            return Err(End::Ahead);
        }
        Err(End::Refused(status))
    }

    async fn is_ahead(&self, mut response: Response) -> bool {
        let mut body = Vec::new();
        let whole = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                if body.len() + chunk.len() > MOST_PROBLEM_OCTETS {
                    return;
                }
                body.extend_from_slice(&chunk);
            }
        };
        let _ = tokio::time::timeout(self.patience(), whole).await;
        let problem: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        problem.is_some_and(|problem| problem["type"].as_str().is_some_and(|kind| kind.ends_with(AHEAD)))
    }

    async fn read(&mut self, mut response: Response) -> End {
        let mut events = Events::default();
        let mut join = Join::new(self.opening);
        let mut deadline = Instant::now() + self.patience();
        loop {
            // Also where something always comes: repeats, without end, tell nothing.
            if Instant::now() >= deadline {
                return End::Silent;
            }
            let chunk = match tokio::time::timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return End::Ended("it ended".to_owned()),
                Ok(Err(error)) => return End::Ended(describe(&error)),
                Err(_) => return End::Silent,
            };
            let found = match events.take(&chunk) {
                Ok(found) => found,
                Err(error) => return End::Events(error),
            };
            for event in found.iter().filter(|event| event.kind == EVENT) {
                match self.take(event, &mut join).await {
                    Ok(true) => deadline = Instant::now() + self.patience(),
                    Ok(false) => {}
                    Err(end) => return end,
                }
            }
        }
    }

    /// Takes one event; whether it says how things stand now, or brings this gateway nearer to it.
    async fn take(&mut self, event: &Event, join: &mut Join) -> Result<bool, End> {
        let message = Message::verify(&event.data, &self.source.keys).map_err(End::Message)?;
        let known = self.gateway.snapshot().trust.live().feed.clone();
        let step = join.judge(&message, &known).map_err(End::Join)?;
        let metrics = &self.gateway.metrics.feed;
        if step == Step::Repeat {
            metrics.messages_total(MessageOutcome::Repeated).inc();
            return Ok(false);
        }
        self.report_not_followed(&message);
        if let Step::Begin(why) = step {
            self.report_begin(&message, why, known.position().map(|position| &*position.feed));
        }
        let outcome = if message.changes.is_empty() { MessageOutcome::Heartbeat } else { MessageOutcome::Applied };
        let (signed, is_complete, advances) = (message.at, message.is_complete(), message.to > message.from);
        let applied = apply(self.gateway, message, step).await?;
        metrics.messages_total(outcome).inc();
        if self.applied == 0 {
            self.gateway.feed.set_connected(true);
            tracing::info!(url = self.url, to = applied.message.to, "the issuer's feed is followed");
        }
        self.applied += 1;
        let trust = self.gateway.snapshot().trust.clone();
        let known = &trust.live().feed;
        if !applied.message.lists.is_empty() {
            let lacking = trust.authorities().iter().filter(|authority| known.lacks_lists(&authority.key()));
            lacking.for_each(|authority| self.gateway.fetcher.want(authority.name()));
        }
        let is_now = FeedView::says_now(&applied.message, applied.heard);
        if !is_now && is_complete {
            let clocks_differ = clock::now().unix().saturating_sub(signed.div_euclid(1_000));
            metrics.messages_total(MessageOutcome::Outdated).inc();
            tracing::warn!(
                url = self.url,
                clocks_differ,
                "a message of the feed was not signed now; compare the clocks"
            );
        }
        self.keep(applied).await;
        // A page of a backlog is worth waiting for, and says nothing of now.
        Ok(is_now || advances)
    }

    /// Hands on what the disk has to have: every span, and now and then that the feed lives.
    async fn keep(&mut self, applied: Applied) {
        let seconds = i64::try_from(self.patience().as_secs()).unwrap_or(i64::MAX).max(1);
        let is_due = applied.heard.unix().saturating_sub(self.kept_at.unix()) >= seconds;
        if applied.message.to > applied.message.from || matches!(applied.step, Step::Begin(_)) || is_due {
            self.kept_at = applied.heard;
            // Nobody takes it when the gateway stops.
            let _ = self.queue.send(applied).await;
        }
    }

    /// The issuer counts on the feed for these; here they are in force with the next list only.
    fn report_not_followed(&self, message: &Message) {
        let trust = self.gateway.snapshot().trust.clone();
        let known = &trust.live().feed;
        for authority in trust.authorities() {
            let key = authority.key();
            let changes = message.changes.iter().filter(|change| change.issuer == key).count();
            if changes > 0 && known.following(&key, clock::now()) == Following::NotConfigured {
                let ca = authority.name();
                self.gateway.metrics.feed.not_followed_total(ca).inc_by(changes as u64);
                tracing::warn!(%ca, changes, "the feed tells of certificates of a CA without feed = true");
            }
        }
    }

    fn report_begin(&self, message: &Message, why: Anew, before: Option<&str>) {
        let (url, from) = (self.url, message.from);
        match (why, before) {
            (Anew::Restored, _) => {
                tracing::error!(
                    url,
                    from,
                    "the issuer's store was restored from a backup; what it revoked before stays refused"
                );
            }
            (Anew::Unknown, Some(before)) if before != &*message.feed => {
                tracing::error!(
                    url,
                    from,
                    before,
                    now = &*message.feed,
                    "the issuer's feed is another one; it is followed anew"
                );
            }
            (Anew::Unknown, _) => tracing::info!(url, from, "the issuer's feed is followed from where the lists end"),
        }
    }
}

impl End {
    /// Returns its kind, for metrics and logs.
    pub(super) const fn kind(&self) -> StreamEnd {
        match self {
            Self::Connect(_) => StreamEnd::Connect,
            Self::Refused(_) => StreamEnd::Refused,
            Self::Ahead => StreamEnd::FeedAhead,
            Self::Events(_) => StreamEnd::Events,
            Self::Message(MessageError::Form) => StreamEnd::Form,
            Self::Message(MessageError::Header(_)) => StreamEnd::Header,
            Self::Message(MessageError::Algorithm) => StreamEnd::Algorithm,
            Self::Message(MessageError::Type) => StreamEnd::Type,
            Self::Message(MessageError::UnknownKey(_)) => StreamEnd::UnknownKey,
            Self::Message(MessageError::Signature) => StreamEnd::Signature,
            Self::Message(MessageError::Payload(_)) => StreamEnd::Payload,
            Self::Join(JoinError::Gap { .. }) => StreamEnd::Gap,
            Self::Join(JoinError::Overlap { .. }) => StreamEnd::Overlap,
            Self::Join(JoinError::Backwards) => StreamEnd::Backwards,
            Self::Join(JoinError::AnotherFeed) => StreamEnd::AnotherFeed,
            Self::Join(JoinError::AnotherHistory { .. }) => StreamEnd::AnotherHistory,
            Self::Full(_) => StreamEnd::Full,
            Self::Failed(_) => StreamEnd::Failed,
            Self::Silent => StreamEnd::Silent,
            Self::Ended(_) => StreamEnd::Ended,
        }
    }
}

impl From<ApplyError> for End {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Full(full) => Self::Full(full),
            ApplyError::Failed(why) => Self::Failed(why),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Refused(status) => write!(f, "the answer's status is {status}, or it is no event stream"),
            Self::Ahead => f.write_str("the issuer's store is behind what this gateway was told"),
            Self::Events(error) => error.fmt(f),
            Self::Message(error) => write!(f, "a message is refused: {error}"),
            Self::Join(error) => write!(f, "a message is refused: {error}"),
            Self::Full(error) => error.fmt(f),
            Self::Failed(why) => write!(f, "a message cannot be put in force: {why}"),
            Self::Silent => f.write_str("nothing was heard for half of lost_after"),
            Self::Ended(why) => write!(f, "the stream ended: {why}"),
        }
    }
}
