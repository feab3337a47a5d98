//! From a recorded intent to a certificate in its user's hands.

use super::act::chain;
use super::key::Key;
use super::plan::{Plan, name};
use super::write::{self, Context};
use super::{ChangedStatus, Delivered, Done, Refused, Service};
use crate::audit::Entry;
use crate::authorities::IssuingAuthority;
use crate::store::{Ask, CompletedRow, Found, StoreError, UserRow, Write};
use sekisho_ca::certificate::{Purpose, Template};
use sekisho_ca::validity::Validity;
use sekisho_lifecycle::{self as lifecycle, Actor, Command, Intent, Names, PublicReason, Situation, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_runtime::clock;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What was made: the certificate's DER, and the .p12 where the key was made here.
type Made = (Arc<[u8]>, Option<(String, Zeroizing<Vec<u8>>)>);

impl Service {
    /// Signs exactly what was recorded, then completes it. Only after that commit the certificate leaves the house.
    pub(super) async fn make(
        &self,
        plan: &Arc<Plan>,
        user: &UserKey,
        intent: &Intent,
        key: Key,
        mut done: Done,
    ) -> Result<Done, Refused> {
        let (certificate, p12) = match self.sign(plan, intent, key).await {
            Ok(made) => made,
            Err(why) => {
                self.interrupt(user, &plan.profile.name, intent.serial).await?;
                return Err(Refused::Unavailable(why.into()));
            }
        };
        let completed = CompletedRow { serial: intent.serial, der: Arc::clone(&certificate) };
        let (row, changed) = self.complete(plan, user, completed).await?;
        // The renewed certificate's, and before it what the act itself changed.
        done.changed = changed.or(done.changed);
        match row {
            Some(row) => done.user = Some(row),
            // It was revoked, locked or suspended while it was being signed.
            None => return Err(Refused::Rules(PublicReason::NotPossibleNow)),
        }
        let chain = chain(&plan.authority);
        done.delivered = Some(Delivered { serial: intent.serial, certificate, chain, p12 });
        Ok(done)
    }

    /// Signs on a thread of its own, since keys may be slow or elsewhere; its turn lasts until it is signed, also when
    /// nobody waits any more.
    async fn sign(&self, plan: &Arc<Plan>, intent: &Intent, key: Key) -> Result<Made, String> {
        let stopped = || "signing was stopped".to_owned();
        let turn = Arc::clone(&self.signing).acquire_owned().await.map_err(|_| stopped())?;
        let (intent, plan) = (intent.clone(), Arc::clone(plan));
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            sign(&plan, &intent, key)
        });
        made.await.map_err(|_| stopped())?
    }

    /// The second transaction: the user's row as it is then; `None` when it must not be completed any more.
    async fn complete(
        &self,
        plan: &Arc<Plan>,
        user: &UserKey,
        completed: CompletedRow,
    ) -> Result<(Option<UserRow>, Option<ChangedStatus>), StoreError> {
        let plan = Arc::clone(plan);
        self.change_status(Ask::on(user), move |found| {
            let now = clock::now();
            let context = Context {
                profile: &plan.profile,
                authority: &plan.authority.name,
                reference: &plan.request.reference,
                now,
            };
            let serial = completed.serial;
            let (mut write, row) = by_service(&context, found, &Command::Complete { serial });
            if row.is_some() {
                write.certificate = Some(completed);
            }
            write.audit.iter_mut().for_each(|entry| entry.serial = Some(serial));
            (write, row)
        })
        .await
    }

    /// Gives up the certificate of that serial, if it is still what is being made for the user.
    pub(super) async fn interrupt(&self, user: &UserKey, profile: &str, serial: SerialNumber) -> Result<(), Refused> {
        let unconfigured = || Refused::Unavailable(format!("profile {profile:?} is not configured here").into());
        let profile = Arc::clone(self.parts.profiles.get(profile).ok_or_else(unconfigured)?);
        let name = self.parts.authorities.of_profile(&profile.name).map(|authority| Arc::clone(&authority.name));
        let authority = name.ok_or_else(unconfigured)?;
        self.change(Ask::on(user), move |found| {
            let reference = Arc::from("recovery");
            let context =
                Context { profile: &profile, authority: &authority, reference: &reference, now: clock::now() };
            if found.user.as_ref().and_then(under_way) != Some(serial) {
                return (Write::default(), ());
            }
            let (mut write, _) = by_service(&context, found, &Command::Interrupt);
            write.audit.iter_mut().for_each(|entry| entry.serial = Some(serial));
            (write, ())
        })
        .await?;
        Ok(())
    }
}

/// A command of the service's own on one user.
fn by_service(context: &Context<'_>, found: &Found, command: &Command) -> (Write, Option<UserRow>) {
    let entry = |event| Entry::new(event, context.now, &"issuer".into(), context.reference);
    let (Some(contract), Some(row)) = (&found.contract, &found.user) else { return (Write::default(), None) };
    let user = Some(row.user.clone());
    let situation = Situation { contract: contract.contract.clone(), user, address: None, names: Names::Free };
    match lifecycle::decide(context.profile, &situation, &Actor::Service, command, context.now) {
        Err(denial) => {
            let audit = vec![entry(&denial.audit)];
            (Write { audit, ..Write::default() }, None)
        }
        Ok(decision) => {
            let mut write = write::effects(context, found, &decision);
            let user = decision.user.clone().unwrap_or_else(|| row.user.clone());
            let row = UserRow { user, ..row.clone() };
            write.users.push(row.clone());
            write.audit.push(entry(&decision.audit));
            (write, Some(row))
        }
    }
}

fn sign(plan: &Plan, intent: &Intent, key: Key) -> Result<Made, String> {
    let IssuingAuthority { authority, chain, .. } = &*plan.authority;
    let subject = name(intent).map_err(|error| error.to_string())?;
    let validity = Validity { not_before: intent.not_before, not_after: intent.not_after };
    let template = Template { subject: &subject, validity, purpose: Purpose::Client };
    let public_key = match &key {
        Key::Csr(request) => request.key(),
        Key::P12(made, ..) => made.public_key(),
    };
    let prepared = authority.prepare(intent.serial, &template, public_key).map_err(|error| error.to_string())?;
    let certificate = authority.sign(prepared).map_err(|error| error.to_string())?;
    let der: Arc<[u8]> = certificate.der().as_ref().into();
    let p12 = match key {
        Key::Csr(_) => None,
        Key::P12(made, dialect, password) => {
            let above: Vec<_> = std::iter::once(authority.certificate()).chain(chain).collect();
            let file = made
                .into_p12(&certificate, &above, dialect, &intent.common_name, &password)
                .map_err(|error| error.to_string())?;
            Some((plan.profile.delivery.p12_name.clone(), Zeroizing::new(file)))
        }
    };
    Ok((der, p12))
}

/// The serial that is under way for a user.
pub(super) fn under_way(row: &UserRow) -> Option<SerialNumber> {
    row.user.next.intent().map(|intent| intent.serial)
}
