//! What is decided inside the transaction: pure, of what was found there.

use super::write;
use super::{Act, By, Done, KeyRequest, Refused, Request, entry, refusal};
use crate::clock;
use crate::issuer::audit::Entry;
use crate::issuer::authorities::IssuingAuthority;
use crate::issuer::ca::name::{AttributeType, Name, NameError};
use crate::issuer::ca::public_key::SubjectKey;
use crate::issuer::ca::request::ProvenRequest;
use crate::issuer::ca::serial;
use crate::issuer::lifecycle::{
    self, Actor, Command, Decision, Effect, Intent, Issuing, Next, OfferRequest, Proof, Reason, RequestId, Situation,
    UserKey,
};
use crate::issuer::profile::Profile;
use crate::issuer::secret::ServiceSecret;
use crate::issuer::store::{Found, Fresh, IdempotencyRow, UserRow, Write};
use crate::pki::time::Timestamp;
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
    NotAKey,
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
        key: Option<(Option<Arc<ProvenRequest>>, SubjectKey)>,
        now: Timestamp,
    ) -> Self {
        let user = request.user.clone();
        let target = user.map(|user| UserKey { contract: request.contract.clone(), user });
        let (csr, public_key) = key.map_or((None, None), |(csr, key)| (csr, Some(key.fingerprint().0)));
        Self { request, profile, authority, target, public_key, proofs, csr, now }
    }

    /// A fresh serial number and the moment.
    pub(super) fn issuing(&self) -> Result<Issuing, Refused> {
        let serial = serial::random().map_err(|_| Refused::Unavailable("no serial number could be made".into()))?;
        Ok(Issuing { serial, microseconds: clock::now_with_microseconds().1 })
    }

    pub(super) fn wants_p12(&self) -> bool {
        matches!(&self.request.act, Act::Acquire { key: KeyRequest::P12(_), .. } | Act::Renew(KeyRequest::P12(_)))
    }

    /// The lifecycle's command, for what its refusals may say; values that need chance are stand-ins.
    pub(super) fn command(&self, found: &Found) -> Command {
        let serial = crate::pki::serial::SerialNumber::from_der_content(&[1]);
        let issuing = serial.ok().map(|serial| Issuing { serial, microseconds: 0 });
        self.full_command(found, issuing, None).unwrap_or(Command::WrongFactor)
    }

    /// Decides, and says what is to be written.
    pub(super) fn decide(&self, found: &Found, issuing: Option<Issuing>, secret: &ServiceSecret) -> (Write, Outcome) {
        if let Some(before) = &found.before {
            if before.request != self.request.digest {
                return (self.refused("the idempotency key was another request's"), Outcome::KeyReused);
            }
            // The lifecycle knows the repeats that show a secret: those of the request whose offer is the last one. Any
            // other was done long ago and must not be done anew, which would revoke what came after it.
            if !self.is_offer() || !self.made_the_last_offer(found) {
                return (Write::default(), Outcome::Repeated(before.clone()));
            }
        }
        let (Some(contract), Some(command)) = (&found.contract, self.full_command(found, issuing, Some(secret))) else {
            return (
                self.refused("the contract is gone"),
                Outcome::Denied(Reason::NotPermitted, Command::Interrupt.into()),
            );
        };
        if self.public_key.is_some() && found.public_key == Fresh::No {
            return (self.refused("the key was certified before"), Outcome::NotAKey);
        }
        let situation = Situation {
            contract: contract.contract.clone(),
            user: found.user.as_ref().map(|row| row.user.clone()),
            address: self.request.address.is_some().then_some(found.address),
        };
        let decided = match (&self.request.by, &found.actor) {
            (By::User { .. }, Some(row)) => {
                let actor = Actor::User { user: &row.user, proofs: &self.proofs };
                lifecycle::decide(&self.profile, &situation, &actor, &command, self.now)
            }
            (By::User { .. }, None) => {
                let reason = Reason::NoSuchUser;
                return (self.refused("there is no such user"), Outcome::Denied(reason, command.into()));
            }
            (By::Staff(pair, channel), _) => {
                let actor = Actor::Staff { pair, channel: *channel };
                lifecycle::decide(&self.profile, &situation, &actor, &command, self.now)
            }
        };
        match decided {
            Err(denial) => {
                let audit = vec![self.entry(Entry::new(
                    &denial.audit,
                    self.now,
                    &self.request.caller.name(),
                    &self.request.reference,
                ))];
                (Write { audit, ..Write::default() }, Outcome::Denied(denial.reason, command.into()))
            }
            Ok(decision) => {
                if let Some(why) = self.named_otherwise(&decision) {
                    return (self.refused(why), Outcome::NotAKey);
                }
                (write::of(self, found, &decision), Outcome::Decided(Box::new(decision)))
            }
        }
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
        Done { contract, user: found.user.clone(), secret: None, delivered: None }
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

    fn made_the_last_offer(&self, found: &Found) -> bool {
        let next = found.user.as_ref().map(|row| &row.user.next);
        match next {
            Some(Next::Offered(offer) | Next::Acquiring { offer: Some(offer), .. }) => {
                self.request.idempotency.as_ref().is_some_and(|key| *key == offer.request.0)
            }
            _ => false,
        }
    }

    pub(super) fn is_offer(&self) -> bool {
        matches!(self.request.act, Act::Offer | Act::Reissue | Act::Register { .. })
    }

    /// Why the client's request does not suit the certificate that it would get.
    fn named_otherwise(&self, decision: &Decision) -> Option<&'static str> {
        let intent = decision.effects.iter().find_map(|effect| match effect {
            Effect::Sign(intent) => Some(intent),
            _ => None,
        })?;
        match (name(intent), &self.csr) {
            (Err(_), _) => Some("the profile's name does not fit into a certificate"),
            (Ok(name), Some(csr)) if csr.key_for(&name).is_err() => Some("the request names another user"),
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
        // Without a key no repeat can be told: the reference is nobody's key.
        let request = self.request.idempotency.clone().unwrap_or_else(|| Arc::clone(&self.request.reference));
        let digest = self.profile.acquisition.secret.as_ref().and_then(|rule| {
            let (secret, target) = (secret?, self.target.as_ref()?);
            let number = user.map_or(0, |row| row.user.offers).saturating_add(1);
            Some(secret.secret_digest(target, &secret.acquisition_secret(target, number, rule.digits)))
        });
        OfferRequest { request: RequestId(request), secret: digest }
    }
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
