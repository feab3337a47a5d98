//! One act, as it is written down.

use sekisho_lifecycle::profile::{Channel, Label};
use sekisho_lifecycle::{ActorName, AuditEvent, Outcome, Target};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// One act, done or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who spoke to the service: the name of a `[[service]]`, `gateway` for a user's own assertion, `issuer` for the
    /// service itself.
    pub caller: Arc<str>,
    /// Who acted; `None` where nobody could be told.
    pub actor: Option<ActorName>,
    /// The command's word: `revoke`.
    pub command: Arc<str>,
    /// On whom.
    pub target: Target,
    /// The way it came; `None` for the service itself.
    pub channel: Option<Channel>,
    /// The screen's id: `BRSK019`.
    pub screen: Option<Arc<str>>,
    /// The paper form.
    pub form: Option<Label>,
    /// The certificate it was about.
    pub serial: Option<SerialNumber>,
    /// The client's address, as a service told it.
    pub address: Option<Arc<str>>,
    /// The request's reference number: in the answer, in the logs and here.
    pub reference: Arc<str>,
    /// How it went.
    pub result: Result,
}

/// How an act went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Result {
    /// It was done.
    Done,
    /// It was not; why, exactly. Not for users' eyes.
    Refused(Arc<str>),
}

/// An entry in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// From 1, without gaps.
    pub sequence: u64,
    /// The act.
    pub entry: Entry,
    /// Its canonical text, which the hash covers.
    pub text: String,
    /// HMAC over the hash before it, its sequence number and its text.
    pub hash: [u8; 32],
}

impl Entry {
    /// What the lifecycle says about an act, and what it cannot know.
    pub fn new(event: &AuditEvent, at: Timestamp, caller: &Arc<str>, reference: &Arc<str>) -> Self {
        Self {
            at,
            caller: Arc::clone(caller),
            actor: Some(event.actor.clone()),
            command: event.command.into(),
            target: event.target.clone(),
            channel: event.channel,
            screen: event.screen.clone(),
            form: event.form.clone(),
            serial: None,
            address: None,
            reference: Arc::clone(reference),
            result: match &event.outcome {
                Outcome::Done => Result::Done,
                Outcome::Refused(reason) => Result::Refused(reason.to_string().into()),
            },
        }
    }
}
