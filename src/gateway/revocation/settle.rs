//! What a client's status needs is asked for here: its first request waits for it, and nobody else's does.
//!
//! `verify` refuses with what it [`Need`]s where a source has not been asked yet. The handshake begins the questions and
//! goes on; [`settle`] waits for them before a request is admitted and decides anew, by the same `verify`. One question
//! is asked once, however many connections wait for its answer.

use crate::gateway::Gateway;
use crate::gateway::live::connection::Connection;
use crate::gateway::live::records::{AuthenticationRecord, unenforced};
use crate::gateway::revocation::answers;
use crate::gateway::revocation::fetch;
use crate::gateway::snapshot::site::Snapshot;
use sekisho_runtime::clock;
use sekisho_trust::Need;
use sekisho_trust::sources::ocsp::Asker;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// An answer may show that something else is needed (no answer at the responder: then a list); each kind once or twice.
const MAX_ROUNDS: usize = 4;

/// Questions under way at once, of all clients: as many as connections by default. One that finds no room is not asked,
/// and who needs it is refused for now.
const MAX_UNDER_WAY: usize = 20_000;

/// The questions under way, each with what tells its end (the channel closes), and who asks.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Questions {
    under_way: Mutex<HashMap<Need, watch::Receiver<()>>>,
    pub(in crate::gateway) asker: Asker,
}

/// Waits until everything that the client's status needs was asked for, each as long as its source's `timeout` at most,
/// and decides anew on a client that was waiting for it.
///
/// Costs two looks at what is borrowed anyway when nothing is to be asked.
pub(in crate::gateway) async fn settle(gateway: &Arc<Gateway>, connection: &Arc<Connection>) {
    let began = Instant::now();
    let mut asked: Vec<Need> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let snapshot = gateway.snapshot();
        decide(gateway, connection, &snapshot, began);
        if !snapshot.trust.asks() {
            return;
        }
        let mut needs = connection.needs(&snapshot, clock::now());
        // One request waits for a question once.
        needs.retain(|need| !asked.contains(need));
        if needs.is_empty() {
            return;
        }
        asked.extend_from_slice(&needs);
        for mut ended in begin(gateway, &needs) {
            // An error is the end of the question: its sender is gone.
            while ended.changed().await.is_ok() {}
        }
    }
    decide(gateway, connection, &gateway.snapshot(), began);
}

/// Decides anew on a client that was waiting; the last word is recorded, as that of a handshake is.
fn decide(gateway: &Gateway, connection: &Connection, snapshot: &Snapshot, began: Instant) {
    let now = clock::now();
    let Some(decided) = connection.settle(snapshot, &gateway.chain_cache, now) else {
        return;
    };
    let took = began.elapsed();
    let record = AuthenticationRecord::finished(connection, &decided.client, now, took);
    gateway.metrics.pending_revocation_checks_total(connection.site_name(), record.outcome, record.reason).inc();
    gateway.metrics.pending_revocation_check_duration_seconds().observe(took.as_secs_f64());
    if let Some(unenforced) = unenforced(&decided.client) {
        gateway.metrics.count_unenforced(unenforced);
    }
    gateway.records.write(&record);
}

/// Asks what is not being asked already, without waiting; what comes back ends with each question.
pub(in crate::gateway) fn begin(gateway: &Arc<Gateway>, needs: &[Need]) -> Vec<watch::Receiver<()>> {
    needs.iter().filter_map(|need| gateway.questions.join(gateway, need)).collect()
}

impl Questions {
    fn join(&self, gateway: &Arc<Gateway>, need: &Need) -> Option<watch::Receiver<()>> {
        let mut under_way = self.lock();
        if let Some(ended) = under_way.get(need) {
            return Some(ended.clone());
        }
        // What came back is in force before its question ends: whoever looks only now need not ask again.
        if answers::is_known(gateway, need) {
            return None;
        }
        if under_way.len() >= MAX_UNDER_WAY {
            answers::not_sent(gateway, need);
            return None;
        }
        let (end, ended) = watch::channel(());
        under_way.insert(need.clone(), ended.clone());
        let question = Question { gateway: gateway.clone(), need: need.clone(), _end: end };
        // A task of its own: a client that goes away does not take the others' answer with it.
        tokio::spawn(async move { ask(&question).await });
        Some(ended)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Need, watch::Receiver<()>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question under way; it ends when this is dropped, even by a panic.
struct Question {
    gateway: Arc<Gateway>,
    need: Need,
    _end: watch::Sender<()>,
}

impl Drop for Question {
    fn drop(&mut self) {
        self.gateway.questions.lock().remove(&self.need);
    }
}

/// Asks, and puts in force what is answered, before it returns.
async fn ask(question: &Question) {
    match &question.need {
        Need::Answer { issuer, serial } => answers::ask(&question.gateway, issuer, serial).await,
        Need::Lists { issuer, urls } => fetch::lists_at(&question.gateway, issuer, urls).await,
    }
}
