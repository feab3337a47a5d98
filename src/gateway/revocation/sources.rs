//! The sources of revocation as they stand: for metrics, and in words at the admin address.

use crate::gateway::Gateway;
use crate::gateway::revocation::outstanding::{self, Problem};
use sekisho_config::NotReadyWhen;
use sekisho_pki::time::Timestamp;
use sekisho_trust::feed::Following;
use sekisho_trust::sources::{FetchError, FetchErrorKind, FetchOutcome, SourceStatus};
use sekisho_trust::{Alarm, Authority, AuthorityStatus, ListStatus, Readiness, TrustSnapshot};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What the last load refused, kept or found stale.
#[derive(Debug, Default)]
pub(in crate::gateway) struct LastAlarms(Mutex<Vec<Alarm>>);

/// One list in force, and where it came from.
pub(in crate::gateway) struct InForce {
    pub(in crate::gateway) ca: String,
    /// A URL or a file.
    pub(in crate::gateway) source: String,
    pub(in crate::gateway) list: ListStatus,
}

/// Why a source has nothing new.
pub(in crate::gateway) struct SourceError {
    pub(in crate::gateway) ca: String,
    pub(in crate::gateway) source: String,
    pub(in crate::gateway) reason: FetchErrorKind,
}

/// Every source at a moment.
pub(in crate::gateway) struct Sources {
    pub(in crate::gateway) fetched: Vec<SourceStatus>,
    pub(in crate::gateway) in_force: Vec<InForce>,
    pub(in crate::gateway) errors: Vec<SourceError>,
    /// CAs of which a CRL was refused or cannot be read, and may be newer than the one in force.
    pub(in crate::gateway) outdated: Vec<String>,
    outstanding: Value,
    authorities: Vec<AuthorityStatus>,
    alarms: Vec<Alarm>,
    trust: Arc<TrustSnapshot>,
    stream: Stream,
}

/// Whether a node of the issuer is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    NotConfigured,
    Lost,
    Followed,
}

impl LastAlarms {
    /// Puts these in the place of the last ones, and returns `true` if they are others.
    pub(in crate::gateway) fn replace(&self, alarms: &[Alarm]) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let are_others = *last != alarms;
        *last = alarms.to_vec();
        are_others
    }

    pub(in crate::gateway) fn get(&self) -> Vec<Alarm> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Looks at every source.
pub(in crate::gateway) fn look(gateway: &Gateway, now: Timestamp) -> Sources {
    let (fetched, alarms) = (gateway.fetcher.status(), gateway.alarms.get());
    let snapshot = gateway.snapshot();
    let authorities = snapshot.trust.status(now);
    let urls: BTreeMap<&Path, &str> = fetched.iter().map(|one| (&*one.path, &*one.target.url)).collect();
    let source_of = |file: &str| urls.get(Path::new(file)).copied().unwrap_or(file).to_owned();
    let lists = authorities.iter().flat_map(|status| status.lists.iter().map(move |list| (status, list)));
    let in_force = lists
        .map(|(status, list)| InForce { ca: status.ca.to_string(), source: source_of(&list.file), list: list.clone() })
        .collect();
    let failed = fetched.iter().filter_map(|one| {
        let reason = one.outcome.as_ref()?.as_ref().err().map(FetchError::kind)?;
        Some(SourceError { ca: one.target.ca.to_string(), source: one.target.url.to_string(), reason })
    });
    let refused = alarms.iter().filter(|alarm| !alarm.file.is_empty()).map(|alarm| SourceError {
        ca: alarm.ca.as_deref().unwrap_or_default().to_owned(),
        source: source_of(&alarm.file),
        reason: FetchErrorKind::Refused(alarm.kind),
    });
    let errors = failed.chain(refused).collect();
    let stream = match &snapshot.feed {
        None => Stream::NotConfigured,
        Some(_) if gateway.feed.is_connected() => Stream::Followed,
        Some(_) => Stream::Lost,
    };
    let problems = outstanding::problems(gateway, now);
    let all = |problem: &Problem| problem.when == NotReadyWhen::CrlNotInForce && problem.ca.is_none();
    let concerns_all = problems.iter().any(all);
    let is_outdated = |ca: &str| concerns_all || problems.iter().any(|problem| problem.ca.as_deref() == Some(ca));
    let outdated = authorities.iter().map(|status| status.ca.to_string()).filter(|ca| is_outdated(ca)).collect();
    let outstanding = outstanding::json(gateway);
    Sources {
        outdated,
        outstanding,
        fetched,
        in_force,
        errors,
        authorities,
        alarms,
        trust: Arc::clone(&snapshot.trust),
        stream,
    }
}

impl Sources {
    /// For people and scripts; times in RFC 3339.
    pub(in crate::gateway) fn json(&self, generation: u64, now: Timestamp) -> Value {
        let cas: Vec<_> = self.authorities.iter().map(|status| self.authority(status, now)).collect();
        let blocks = self.trust.live().blocks.len();
        let mut all = json!({
            "at": now.to_string(), "generation": generation, "cas": cas, "feed": self.feed(), "blocks": blocks
        });
        if let (Value::Object(all), Value::Object(outstanding)) = (&mut all, &self.outstanding) {
            all.extend(outstanding.clone());
        }
        all
    }

    /// The issuer's feed; nothing where none is configured.
    fn feed(&self) -> Value {
        if self.stream == Stream::NotConfigured {
            return Value::Null;
        }
        let feed = &self.trust.live().feed;
        json!({
            "connected": self.stream == Stream::Followed,
            "feed": feed.position().map(|position| &*position.feed),
            "sequence": feed.position().map(|position| position.to),
            "heard_at": feed.heard().map(text),
        })
    }

    /// How a CA's responder does; nothing where it has none.
    fn responder(&self, authority: &Authority) -> Value {
        let Some(responder) = authority.responder() else { return Value::Null };
        let answers = &self.trust.live().answers;
        let trouble = answers.trouble(&authority.key());
        let state = match &trouble {
            None => "answering",
            Some(trouble) if trouble.retry_at.is_some() => "down",
            Some(_) => "failing",
        };
        json!({
            "url": responder.url,
            "state": state,
            "answers": answers.answers_of(&authority.key()),
            "failures": trouble.as_ref().map_or(0, |trouble| trouble.failures),
            "since": trouble.as_ref().map(|trouble| text(trouble.since)),
            "error": trouble.as_ref().map(|trouble| &*trouble.why),
            "due_at": trouble.as_ref().and_then(|trouble| trouble.retry_at).map(text),
        })
    }

    /// How a CA follows the feed; nothing where it does not.
    fn following(&self, authority: &Authority, now: Timestamp) -> Value {
        let feed = &self.trust.live().feed;
        let (state, lapse) = match feed.following(&authority.key(), now) {
            Following::NotConfigured => return Value::Null,
            Following::Current => ("current", None),
            Following::Lapsed(lapse) => ("lapsed", Some(lapse)),
        };
        json!({
            "state": state,
            "since": lapse.as_ref().map(|lapse| text(lapse.since)),
            "error": lapse.as_ref().map(|lapse| lapse.why),
            "withdrawn": feed.withdrawn_of(&authority.key()),
            "held_changes": feed.held_of(&authority.key()),
        })
    }

    fn authority(&self, status: &AuthorityStatus, now: Timestamp) -> Value {
        let (readiness, why) = match &status.readiness {
            Readiness::NotChecked => ("not-checked", None),
            Readiness::Fresh => ("fresh", None),
            Readiness::Tolerated => ("stale-tolerated", None),
            Readiness::Reported(why) => ("unavailable-reported", Some(why)),
            Readiness::Unavailable(why) => ("unavailable", Some(why)),
        };
        let authority = self.trust.authority_named(&status.ca);
        let lists = self.in_force.iter().filter(|one| *one.ca == *status.ca).map(|one| list(one, now));
        let sources = self.fetched.iter().filter(|one| one.target.ca == status.ca).map(source);
        let alarms = self
            .alarms
            .iter()
            .filter(|alarm| alarm.ca.as_ref() == Some(&status.ca))
            .map(|alarm| json!({ "file": &*alarm.file, "kind": alarm.kind.as_str(), "message": alarm.message }));
        json!({
            "ca": &*status.ca,
            "readiness": readiness,
            "why": why,
            "entries": status.entries,
            "index_octets": status.index_octets,
            "lists": lists.collect::<Vec<_>>(),
            "fetched": sources.collect::<Vec<_>>(),
            "ocsp": authority.map(|authority| self.responder(authority)),
            "feed": authority.map(|authority| self.following(authority, now)),
            "alarms": alarms.collect::<Vec<_>>(),
        })
    }
}

fn list(one: &InForce, now: Timestamp) -> Value {
    let list = &one.list;
    json!({
        "source": one.source,
        "number": list.number.as_deref(),
        "base_number": list.base,
        "distribution_points": list.points,
        "this_update": list.this_update.to_string(),
        "next_update": list.next_update.map(text),
        "age_seconds": now.unix().saturating_sub(list.this_update.unix()),
        "entries": list.entries,
    })
}

fn source(one: &SourceStatus) -> Value {
    let (outcome, error) = match &one.outcome {
        None => (None, None),
        Some(outcome) => (Some(FetchOutcome::of(outcome).as_str()), outcome.as_ref().err().map(ToString::to_string)),
    };
    json!({
        "kind": one.target.kind.name(),
        "url": &*one.target.url,
        "outcome": outcome,
        "error": error,
        "failures": one.failures,
        "tried_at": one.tried_at.map(text),
        "answered_at": one.answered_at.map(text),
        "due_at": one.due_at.map(text),
        "number": one.list.as_ref().and_then(|list| list.number.clone()),
        "next_update": one.list.as_ref().and_then(|list| list.next_update).map(text),
    })
}

fn text(at: Timestamp) -> String {
    at.to_string()
}
