//! What is decided inside the transaction: pure, of what was found there.

use super::act::idempotency;
use super::prove::barred;
use super::write;
use super::{Act, By, Done, KeyRequest, Refused, Request, entry, refusal};
use crate::audit::Entry;
use crate::authorities::IssuingAuthority;
use crate::secret::ServiceSecret;
use crate::store::{Found, Fresh, IdempotencyRow, UserRow, Write};
use sekisho_ca::name::{AttributeType, Name, NameError};
use sekisho_ca::public_key::SubjectKey;
use sekisho_ca::request::ProvenRequest;
use sekisho_ca::serial;
use sekisho_lifecycle::profile::{Profile, UniqueName};
use sekisho_lifecycle::{
    self as lifecycle, Actor, Against, Command, Decision, Denial, Effect, Intent, Issuing, Names, Next, OfferRequest,
    Proof, Reason, RequestId, Situation, Standing, UserKey,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::sync::Arc;

/// A request with everything that was checked beforehand.
pub(super) struct Plan {
    pub(super) request: Request,
    pub(super) profile: Arc<Profile>,
    pub(super) authority: Arc<IssuingAuthority>,
    /// Whom it is about.
    pub(super) target: Option<UserKey>,
    /// SHA-256 of the public key that is to be certified.
    pub(super) public_key: Option<[u8; 32]>,
    proofs: Vec<Proof>,
    csr: Option<Arc<ProvenRequest>>,
    now: Timestamp,
}

/// What became of it.
pub(super) enum Outcome {
    Decided(Box<Decision>),
    Denied(Reason, Box<Command>),
    /// The key was certified before, or the request is in another's name.
    NotAKey(&'static str),
    /// The acting user may not act now, however right the factors were.
    Barred,
    /// It cannot be done here and now; why, for the log.
    Unavailable(&'static str),
    /// The idempotency key was another request's.
    KeyReused,
    /// The request was done before.
    Repeated(IdempotencyRow),
}

impl Plan {
    pub(super) fn new(
        request: Request,
        profile: Arc<Profile>,
        authority: Arc<IssuingAuthority>,
        proofs: Vec<Proof>,
        now: Timestamp,
    ) -> Self {
        let user = request.user.clone();
        let target = user.map(|user| UserKey { contract: request.contract.clone(), user });
        Self { request, profile, authority, target, public_key: None, proofs, csr: None, now }
    }

    /// With the key that is to be certified, and the client's request for it.
    pub(super) fn certify(&mut self, key: Option<(Option<Arc<ProvenRequest>>, SubjectKey)>) {
        (self.csr, self.public_key) = key.map_or((None, None), |(csr, key)| (csr, Some(key.fingerprint().0)));
    }

    /// Whether the decision would be to sign, by what was found outside the transaction. A repeat's never is.
    pub(super) fn would_sign(&self, found: &Found, secret: &ServiceSecret) -> bool {
        if found.before.is_some() {
            return false;
        }
        let decided = stand_in().and_then(|issuing| {
            let command = self.full_command(found, Some(issuing), Some(secret))?;
            self.judge(found, &command)
        });
        decided.is_some_and(|decided| decided.is_ok_and(|decision| signs(&decision).is_some()))
    }

    /// A fresh serial number and the moment, for an act that may sign.
    pub(super) fn issuing(&self) -> Result<Option<Issuing>, Refused> {
        if !matches!(self.request.act, Act::Acquire { .. } | Act::Renew(_)) {
            return Ok(None);
        }
        let serial = serial::random().map_err(|_| Refused::Unavailable("no serial number could be made".into()))?;
        let earliest = self.authority.authority.certificate().not_before();
        Ok(Some(Issuing { serial, microseconds: clock::now_with_microseconds().1, earliest }))
    }

    pub(super) fn wants_p12(&self) -> bool {
        matches!(&self.request.act, Act::Acquire { key: KeyRequest::P12(_), .. } | Act::Renew(KeyRequest::P12(_)))
    }

    /// The lifecycle's command, for what its refusals may say; values that need chance are stand-ins.
    pub(super) fn command(&self, found: &Found) -> Command {
        self.full_command(found, stand_in(), None).unwrap_or(Command::WrongFactor(Against::Address))
    }

    /// Decides, and says what is to be written.
    pub(super) fn decide(&self, found: &Found, issuing: Option<Issuing>, secret: &ServiceSecret) -> (Write, Outcome) {
        if let Some(before) = &found.before {
            if before.request != self.request.digest {
                return (self.refused("the idempotency key was another request's"), Outcome::KeyReused);
            }
            // The lifecycle shows the secret again of the request whose offer stands, in time. Any other was done and must
            // not be done anew, which would revoke what came after it.
            if !self.is_shown_again(found) {
                return (Write::default(), Outcome::Repeated(before.clone()));
            }
        }
        // Looked at again: many may have tried since the factors were checked.
        if let Some(why) = barred(&self.request, &self.profile, found, self.now) {
            return (self.refused(why), Outcome::Barred);
        }
        let (Some(_), Some(command)) = (&found.contract, self.full_command(found, issuing, Some(secret))) else {
            return (
                self.refused("the contract is gone"),
                Outcome::Denied(Reason::NotPermitted, Command::Interrupt.into()),
            );
        };
        match self.judge(found, &command) {
            None => (self.refused("there is no such user"), Outcome::Denied(Reason::NoSuchUser, command.into())),
            Some(Err(denial)) => (self.denied(found, &denial), Outcome::Denied(denial.reason, command.into())),
            Some(Ok(decision)) => match signs(&decision).and_then(|intent| self.unfit(found, intent)) {
                Some((why, outcome)) => (self.refused(why), outcome),
                None => (write::of(self, found, &decision), Outcome::Decided(Box::new(decision))),
            },
        }
    }

    /// What the lifecycle says; `None`: the acting user is not there.
    fn judge(&self, found: &Found, command: &Command) -> Option<Result<Decision, Denial>> {
        let situation = Situation {
            contract: found.contract.as_ref()?.contract.clone(),
            user: found.user.as_ref().map(|row| row.user.clone()),
            address: self.request.address.is_some().then_some(found.address),
            names: self.names(found),
        };
        let actor = match (&self.request.by, &found.actor) {
            (By::User { .. }, Some(row)) => Actor::User { user: &row.user, proofs: &self.proofs },
            (By::User { .. }, None) => return None,
            (By::Staff(pair, channel), _) => Actor::Staff { pair, channel: *channel },
        };
        Some(lifecycle::decide(&self.profile, &situation, &actor, command, self.now))
    }

    /// The names that the target is to have alone.
    pub(super) fn unique_names(&self) -> Vec<UniqueName> {
        match (&self.request.act, &self.target) {
            (Act::Register { role, .. }, Some(user)) => {
                self.profile.unique_names(user.contract.as_str(), user.user.as_str(), role)
            }
            _ => Vec::new(),
        }
    }

    /// A login ID stays its user's for ever; a role whose certificates name no user is free again with its user's end.
    fn names(&self, found: &Found) -> Names {
        let is_free = |(name, row): &(UniqueName, UserRow)| {
            let same = self.target.as_ref() == Some(&row.user.key);
            same || (name.is_of_a_role() && row.user.standing == Standing::Deleted)
        };
        if found.names.iter().all(is_free) { Names::Free } else { Names::Taken }
    }

    /// A denial's record. A stranger's acquisition counts for contract and address whatever was wrong with it: what was
    /// counted must not tell a guesser that the factors were right.
    fn denied(&self, found: &Found, denial: &Denial) -> Write {
        let entry = Entry::new(&denial.audit, self.now, &self.request.caller.name(), &self.request.reference);
        let mut write = Write { audit: vec![self.entry(entry)], ..Write::default() };
        if matches!((&self.request.act, &self.request.by), (Act::Acquire { .. }, By::User { certificate: None, .. })) {
            let tries = &self.profile.tries;
            write.contract = found.contract.clone().map(|mut row| {
                row.contract.wrong_tries = row.contract.wrong_tries.after_wrong(&tries.contract, self.now);
                row
            });
            let address = found.address.after_wrong(&tries.address, self.now);
            write.address = self.request.address.is_some().then_some(address);
        }
        write
    }

    /// What the caller gets when it was decided.
    pub(super) fn done(&self, found: &Found, decision: &Decision) -> Done {
        let mut done = self.standing(found);
        done.contract.contract = decision.contract.clone();
        if let Some(user) = &decision.user {
            done.user = Some(write::row(self, found, user.clone()));
        }
        done
    }

    /// What there is, where nothing was changed.
    pub(super) fn standing(&self, found: &Found) -> Done {
        let contract = found.contract.clone().unwrap_or_else(|| write::no_contract(self));
        Done { contract, user: found.user.clone(), secret: None, delivered: None, changed: None }
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// An entry with what only the request knows.
    pub(super) fn entry(&self, entry: Entry) -> Entry {
        Entry { address: self.request.address.clone(), ..entry }
    }

    fn refused(&self, why: &str) -> Write {
        Write { audit: vec![entry(&self.request, self.now, refusal(why))], ..Write::default() }
    }

    /// Whether this is the repeat to which the lifecycle shows the secret of the offer that stands.
    fn is_shown_again(&self, found: &Found) -> bool {
        let next = found.user.as_ref().map(|row| &row.user.next);
        match (next, &self.profile.acquisition.secret) {
            (Some(Next::Offered(offer)), Some(rule)) if self.is_offer() => {
                offer.request == self.request_id() && self.now <= offer.made_at.plus_seconds(rule.repeat_for)
            }
            _ => false,
        }
    }

    /// The request as the offer that it makes names it: caller and key, so that no two callers' keys are one. Without a
    /// key no repeat can be told: the reference is nobody's key.
    fn request_id(&self) -> RequestId {
        RequestId(match idempotency(&self.request) {
            Some(key) => format!("{}\n{}", key.caller, key.key).into(),
            None => Arc::clone(&self.request.reference),
        })
    }

    pub(super) fn is_offer(&self) -> bool {
        matches!(self.request.act, Act::Offer | Act::Reissue | Act::Register { .. })
    }

    /// Why an intent cannot be signed for this request.
    fn unfit(&self, found: &Found, intent: &Intent) -> Option<(&'static str, Outcome)> {
        if intent.not_after > self.authority.authority.certificate().not_after() {
            let why = "the certificate would outlive its authority: it is time for sekisho-issuer ca rotate";
            return Some((why, Outcome::Unavailable(why)));
        }
        if self.public_key.is_none() {
            let why = "it became possible only while it was asked for";
            return Some((why, Outcome::Unavailable(why)));
        }
        if found.public_key == Fresh::No {
            return Some(("the key was certified before", Outcome::NotAKey("the key was certified before")));
        }
        match (name(intent), &self.csr) {
            (Err(_), _) => Some((
                "the profile's name does not fit into a certificate",
                Outcome::NotAKey("the profile's name does not fit into a certificate"),
            )),
            (Ok(name), Some(csr)) if csr.key_for(&name).is_err() => {
                Some(("the request names another user", Outcome::NotAKey("the request names another user")))
            }
            (Ok(_), _) => None,
        }
    }

    /// `None` only where a serial number is missing.
    fn full_command(&self, found: &Found, issuing: Option<Issuing>, secret: Option<&ServiceSecret>) -> Option<Command> {
        let offer = || self.offer(found.user.as_ref(), secret);
        Some(match &self.request.act {
            Act::Register { role, .. } => {
                Command::Register { user: self.request.user.clone()?, role: role.clone(), offer: offer() }
            }
            Act::Offer => Command::Offer(offer()),
            Act::Reissue => Command::Reissue(offer()),
            Act::Acquire { secret: typed, .. } => {
                let user = self.target.as_ref()?;
                let digest = |typed: &str| secret.map(|secret| secret.secret_digest(user, typed));
                Command::Acquire { issuing: issuing?, secret: typed.as_ref().and_then(|typed| digest(typed)) }
            }
            Act::Renew(_) => Command::Renew { issuing: issuing? },
            Act::Revoke(reason) => Command::Revoke { reason: *reason },
            Act::Continue => Command::Continue,
            Act::Lock => Command::Lock,
            Act::Unlock => Command::Unlock,
            Act::Suspend => Command::Suspend,
            Act::Resume => Command::Resume,
            Act::Delete => Command::Delete,
            Act::SwitchOn => Command::SwitchOn,
            Act::SwitchOff => Command::SwitchOff,
            Act::Open { .. } | Act::Reach(_) | Act::Equip(_) => return None,
        })
    }

    /// The next offer's secret is derived from its number; a repeat's is not looked at.
    fn offer(&self, user: Option<&UserRow>, secret: Option<&ServiceSecret>) -> OfferRequest {
        let digest = self.profile.acquisition.secret.as_ref().and_then(|rule| {
            let (secret, target) = (secret?, self.target.as_ref()?);
            let number = user.map_or(0, |row| row.user.offers).saturating_add(1);
            Some(secret.secret_digest(target, &secret.acquisition_secret(target, (number, self.now), rule.digits)))
        });
        OfferRequest { request: self.request_id(), secret: digest }
    }
}

/// The intent that a decision signs.
fn signs(decision: &Decision) -> Option<&Intent> {
    decision.effects.iter().find_map(|effect| match effect {
        Effect::Sign(intent) => Some(intent),
        _ => None,
    })
}

/// In the place of a serial number, where only what is decided matters.
fn stand_in() -> Option<Issuing> {
    SerialNumber::from_der_content(&[1]).ok().map(|serial| Issuing {
        serial,
        microseconds: 0,
        earliest: Timestamp::from_unix(0),
    })
}

/// The subject's name of a certificate, the most general attribute first.
pub(super) fn name(intent: &Intent) -> Result<Name, NameError> {
    let attributes = [
        (AttributeType::Organization, intent.organization.clone()),
        (AttributeType::OrganizationalUnit, intent.organizational_unit.clone()),
        (AttributeType::CommonName, Some(intent.common_name.clone())),
    ];
    Name::new(attributes.into_iter().filter_map(|(kind, text)| Some((kind, text?))).collect())
}
