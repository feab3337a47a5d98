//! One contract with its users, and what the outside has seen of it.

use crate::profile::{self, Factor, Profile, RoleName};
use crate::*;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const DAY: i64 = 86_400;

/// A shipped profile.
pub(super) fn profile(name: &str) -> Profile {
    let text = match name {
        "bizstation" => include_str!("../../../../config/profiles/bizstation.toml"),
        "anser-bizsol" => include_str!("../../../../config/profiles/anser-bizsol.toml"),
        "shinkin" => include_str!("../../../../config/profiles/shinkin.toml"),
        "hokugin" => include_str!("../../../../config/profiles/hokugin.toml"),
        _ => panic!("{name}"),
    };
    profile::parse(text, name).unwrap()
}

pub(super) fn time(text: &str) -> Timestamp {
    Timestamp::from_rfc_3339(text).unwrap()
}

pub(super) fn desk() -> StaffPair {
    StaffPair::new(StaffId("maker".into()), StaffId("checker".into())).unwrap()
}

/// What gateways see: built from effects alone, and not from the records that the rules keep.
#[derive(Clone, Debug, Default)]
pub(super) struct Outside {
    /// Certificates that were handed over: whose, and until when.
    pub(super) handed_over: BTreeMap<SerialNumber, (UserKey, Timestamp)>,
    pub(super) signed: BTreeMap<SerialNumber, Intent>,
    pub(super) revoked: BTreeSet<SerialNumber>,
}

impl Outside {
    pub(super) fn live(&self, user: &UserKey, now: Timestamp) -> Vec<SerialNumber> {
        let certificates = self.handed_over.iter();
        let live =
            certificates.filter(|(serial, (of, until))| of == user && now <= *until && !self.revoked.contains(serial));
        live.map(|(serial, _)| *serial).collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) profile: Arc<Profile>,
    pub(super) contract: Contract,
    pub(super) users: BTreeMap<String, User>,
    pub(super) address: Counter,
    pub(super) now: Timestamp,
    pub(super) outside: Outside,
    pub(super) names: Names,
    serials: u32,
    requests: u32,
}

impl World {
    /// A contract of the profile whose users the bank's desk has registered.
    pub(super) fn new(name: &str, contract: &str, users: &[(&str, &str)]) -> Self {
        let mut world = Self {
            profile: Arc::new(profile(name)),
            contract: Contract {
                id: ContractId::new(contract).unwrap(),
                feature: Feature::Off,
                one_time_password: ContractOneTimePassword::Used,
                wrong_tries: Counter::default(),
            },
            users: BTreeMap::new(),
            address: Counter::default(),
            now: time("2022-10-01T03:00:00Z"),
            outside: Outside::default(),
            serials: 0,
            names: Names::Free,
            requests: 0,
        };
        world.on_paper("", Command::SwitchOn).unwrap();
        for (user, role) in users {
            let register = world.register(user, role);
            world.on_paper(user, register).unwrap();
        }
        world
    }

    pub(super) fn register(&mut self, user: &str, role: &str) -> Command {
        let offer = self.offer();
        Command::Register { user: UserId::new(user).unwrap(), role: RoleName(role.into()), offer }
    }

    /// A fresh request, with a fresh secret where the profile has one.
    pub(super) fn offer(&mut self) -> OfferRequest {
        self.requests += 1;
        let mut digest = [7; 32];
        digest[..4].copy_from_slice(&self.requests.to_be_bytes());
        let secret = self.profile.acquisition.secret.is_some().then_some(SecretDigest(digest));
        OfferRequest { request: RequestId(format!("request {}", self.requests).into()), secret }
    }

    pub(super) fn issuing(&mut self) -> Issuing {
        self.serials += 1;
        let mut content = vec![0x11; 16];
        content[12..].copy_from_slice(&self.serials.to_be_bytes());
        Issuing {
            serial: SerialNumber::from_der_content(&content).unwrap(),
            microseconds: 560_435,
            earliest: Timestamp::from_unix(0),
        }
    }

    pub(super) fn user(&self, name: &str) -> &User {
        &self.users[name]
    }

    pub(super) fn view(&self, name: &str) -> UserView {
        view(&self.profile, self.user(name), self.now)
    }

    /// The label of the state as the product's list shows it, and whether it shows an expiry.
    pub(super) fn shown(&self, name: &str) -> (String, Option<String>) {
        let view = self.view(name);
        let expiry = view.expiry.map(|expiry| expiry.to_string());
        (self.profile.states.label(view.certificate).ja.clone(), expiry)
    }

    pub(super) fn live_serial(&self, name: &str) -> Option<SerialNumber> {
        self.user(name).live(self.now).map(|held| held.serial)
    }

    /// The secret of the offer that stands, as its user would type it.
    pub(super) fn right_secret(&self, name: &str) -> Option<SecretDigest> {
        match &self.users.get(name)?.next {
            Next::Offered(offer) | Next::Acquiring { offer: Some(offer), .. } => offer.secret,
            _ => None,
        }
    }

    /// Every factor, checked just now.
    pub(super) fn every_proof(&self, name: &str) -> Vec<Proof> {
        let factors: Vec<Factor> = Factor::ALL.map(|(_, factor)| factor).to_vec();
        self.proofs(name, &factors)
    }

    pub(super) fn proofs(&self, name: &str, factors: &[Factor]) -> Vec<Proof> {
        let user = self.user(name);
        let proof = |factor: &Factor| match factor {
            Factor::CurrentCertificate => {
                self.live_serial(name).map(|serial| Proof::certificate(serial, &user.key, self.now))
            }
            other => Proof::secret(*other, &user.key, self.now),
        };
        factors.iter().filter_map(proof).collect()
    }

    pub(super) fn situation(&self, target: &str, with_address: bool) -> Situation {
        Situation {
            contract: self.contract.clone(),
            user: self.users.get(target).cloned(),
            address: with_address.then_some(self.address),
            names: self.names,
        }
    }

    /// Decides, and does what was decided.
    pub(super) fn act(&mut self, actor: &Actor<'_>, target: &str, command: &Command) -> Result<Decision, Denial> {
        let situation = self.situation(target, !matches!(actor, Actor::Staff { .. }));
        let decision = decide(&self.profile, &situation, actor, command, self.now)?;
        self.apply(target, command, &decision);
        Ok(decision)
    }

    fn apply(&mut self, target: &str, command: &Command, decision: &Decision) {
        self.contract = decision.contract.clone();
        self.address = decision.address.unwrap_or(self.address);
        if let Some(user) = &decision.user {
            self.users.insert(target.to_owned(), user.clone());
        }
        for effect in &decision.effects {
            self.see(effect);
        }
        if decision.effects.contains(&Effect::EndEveryUser) {
            for user in self.users.clone().into_values() {
                let (ended, effects) = end_with_contract(&user, self.now);
                self.users.insert(ended.key.user.as_str().to_owned(), ended);
                effects.iter().for_each(|effect| self.see(effect));
            }
        }
        if let (Command::Complete { serial }, Some(user)) = (command, &decision.user) {
            let intent = &self.outside.signed[serial];
            self.outside.handed_over.insert(*serial, (user.key.clone(), intent.not_after));
        }
    }

    fn see(&mut self, effect: &Effect) {
        match effect {
            Effect::Revoke { serial, .. } => {
                self.outside.revoked.insert(*serial);
            }
            Effect::Sign(intent) => {
                let earlier = self.outside.signed.insert(intent.serial, intent.clone());
                assert_eq!(earlier, None, "a serial is signed once");
            }
            _ => {}
        }
    }

    pub(super) fn by_with(
        &mut self,
        actor: &str,
        target: &str,
        command: Command,
        proofs: &[Proof],
    ) -> Result<Decision, Reason> {
        let user = self.user(actor).clone();
        self.act(&Actor::User { user: &user, proofs }, target, &command).map_err(|denial| denial.reason)
    }

    /// A user's act, with everything proven.
    pub(super) fn by(&mut self, actor: &str, target: &str, command: Command) -> Result<Decision, Reason> {
        let proofs = self.every_proof(actor);
        self.by_with(actor, target, command, &proofs)
    }

    /// With these factors proven and no others.
    pub(super) fn proving(
        &mut self,
        factors: &[Factor],
        actor: &str,
        target: &str,
        command: Command,
    ) -> Result<Decision, Reason> {
        let proofs = self.proofs(actor, factors);
        self.by_with(actor, target, command, &proofs)
    }

    pub(super) fn on_paper(&mut self, target: &str, command: Command) -> Result<Decision, Reason> {
        let (pair, channel) = (desk(), StaffChannel::PaperForm);
        self.act(&Actor::Staff { pair: &pair, channel }, target, &command).map_err(|denial| denial.reason)
    }

    pub(super) fn at_the_desk(&mut self, target: &str, command: Command) -> Result<Decision, Reason> {
        let (pair, channel) = (desk(), StaffChannel::StaffDesk);
        self.act(&Actor::Staff { pair: &pair, channel }, target, &command).map_err(|denial| denial.reason)
    }

    pub(super) fn service(&mut self, target: &str, command: Command) -> Result<Decision, Reason> {
        self.act(&Actor::Service, target, &command).map_err(|denial| denial.reason)
    }

    /// Begins an acquisition with the right secret.
    pub(super) fn begin(&mut self, user: &str) -> Result<Intent, Reason> {
        let secret = self.right_secret(user);
        self.begin_with(user, secret)
    }

    pub(super) fn begin_with(&mut self, user: &str, secret: Option<SecretDigest>) -> Result<Intent, Reason> {
        let issuing = self.issuing();
        let decision = self.by(user, user, Command::Acquire { issuing, secret })?;
        let signed = decision.effects.into_iter().find_map(|effect| match effect {
            Effect::Sign(intent) => Some(intent),
            _ => None,
        });
        signed.ok_or_else(|| decision.refusal.expect("either signed or refused"))
    }

    /// Acquires and completes.
    pub(super) fn acquire(&mut self, user: &str) -> Result<Intent, Reason> {
        let intent = self.begin(user)?;
        self.service(user, Command::Complete { serial: intent.serial })?;
        Ok(intent)
    }

    pub(super) fn reissue(&mut self, actor: &str, target: &str) -> Result<Decision, Reason> {
        let offer = self.offer();
        self.by(actor, target, Command::Reissue(offer))
    }

    pub(super) fn revoke(&mut self, actor: &str, target: &str) -> Result<Decision, Reason> {
        self.by(actor, target, revocation())
    }
}

pub(super) fn revocation() -> Command {
    Command::Revoke { reason: sekisho_pki::crl::RevocationReason::Superseded }
}
