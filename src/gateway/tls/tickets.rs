//! Session tickets (RFC 8446 section 4.6.1, RFC 5077) that every gateway with the shared secret can resume, and that
//! are re-checked **before** the session is resumed.
//!
//! rustls hands a session's state to a ticketer as opaque octets. Ours seals them together with what a re-check needs
//! (the path's serials and issuers, who the client was, and when it authenticated), bound to the site and its policy by the cipher's
//! associated data. A ticket whose client would be refused today is not accepted: the handshake becomes a full one, in
//! which the ordinary verification refuses with the true alert. Whoever resumes is checked once more after the handshake.

use crate::gateway::snapshot::site::Site;
use crate::gateway::verify::{self, Link, LinksDecision, TicketHolder};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;
use sekisho_config::ClientAuth;
use sekisho_pki::fingerprint::{AuthorityKey, Fingerprint};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_trust::TrustSnapshot;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Octets of the epoch number at a ticket's head.
const EPOCH_LEN: usize = 8;
/// Secrets shorter than this are refused: a ticket key must not be guessable.
pub(in crate::gateway) const MIN_SECRET_LEN: usize = 32;
/// Certificates in a path, for the ticket's count octet; the presented chain is limited far below it.
const MAX_LINKS: usize = 32;
/// A ticket longer than this is not even tried: rustls's own state holds the client's chain, which is limited to
/// tens of kilobytes.
const MAX_TICKET_LEN: usize = 96 * 1024;

/// The ticket keys of all sites, derived from one secret by time.
pub(in crate::gateway) struct TicketKeys {
    secret: Vec<u8>,
    lifetime: Duration,
    recent: Mutex<Vec<(u64, Arc<SealingKey>)>>,
}

struct SealingKey(LessSafeKey);

/// The secret stays out of logs.
impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketKeys").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl TicketKeys {
    /// Keys from a shared secret, or from a random one when there is none (then only this process can resume).
    ///
    /// A ticket lives between half of `lifetime` and `lifetime`: the key changes every half. Tickets given to resumed
    /// sessions do not prolong it: `lifetime` counts from the use of the client's key.
    pub(in crate::gateway) fn new(secret: Option<Vec<u8>>, lifetime: Duration) -> Self {
        let secret = secret.unwrap_or_else(|| {
            let mut random = vec![0; MIN_SECRET_LEN];
            if rand::fill(&mut random).is_err() {
                random.clear();
            }
            random
        });
        Self { secret, lifetime, recent: Mutex::default() }
    }

    fn epoch_seconds(&self) -> u64 {
        (self.lifetime.as_secs() / 2).max(1)
    }

    fn epoch(&self, now: Timestamp) -> u64 {
        u64::try_from(now.unix()).unwrap_or(0) / self.epoch_seconds()
    }

    /// The key of an epoch; the last few are kept.
    fn key(&self, epoch: u64) -> Option<Arc<SealingKey>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = recent.iter().find(|(known, _)| *known == epoch) {
            return Some(key.clone());
        }
        let key = Arc::new(self.derive(epoch)?);
        recent.retain(|(known, _)| known.abs_diff(epoch) <= 1);
        recent.push((epoch, key.clone()));
        Some(key)
    }

    fn derive(&self, epoch: u64) -> Option<SealingKey> {
        if self.secret.len() < MIN_SECRET_LEN {
            return None;
        }
        let salt = Salt::new(HKDF_SHA256, b"sekisho session ticket v2");
        let epoch = epoch.to_be_bytes();
        let info: [&[u8]; 1] = [&epoch];
        let prk = salt.extract(&self.secret);
        let output = prk.expand(&info, KeyLength).ok()?;
        let mut key = [0; 32];
        output.fill(&mut key).ok()?;
        Some(SealingKey(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?)))
    }

    /// Whether a session is too old to go on without a new proof of the client's key.
    fn is_over(&self, authenticated_at: Timestamp, now: Timestamp) -> bool {
        let age = now.unix().saturating_sub(authenticated_at.unix());
        u64::try_from(age).is_ok_and(|age| age >= self.lifetime.as_secs())
    }

    fn seal(&self, ground: &[u8], now: Timestamp, plain: &[u8]) -> Option<Vec<u8>> {
        let epoch = self.epoch(now);
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let key = self.key(epoch)?;
        key.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(ground), &mut sealed).ok()?;
        Some([&epoch.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    fn open(&self, ground: &[u8], now: Timestamp, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > MAX_TICKET_LEN {
            return None;
        }
        let (epoch, rest) = ticket.split_first_chunk::<EPOCH_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (epoch, current) = (u64::from_be_bytes(*epoch), self.epoch(now));
        // The epoch before is still good; anything else, the future too, is not worth deriving a key for.
        if epoch > current || current - epoch > 1 {
            return None;
        }
        let mut plain = sealed.to_vec();
        let length = self
            .key(epoch)?
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(ground), &mut plain)
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

/// What one connection's ticketer knows of its client: from the ticket that was accepted, or from the verification of
/// a full handshake, whichever came last (a ticket may be opened and the session still not be resumed).
#[derive(Debug, Default)]
pub(in crate::gateway) struct TicketFacts {
    known: Mutex<Facts>,
    sealed: AtomicBool,
}

#[derive(Debug, Default)]
enum Facts {
    /// It showed no certificate.
    #[default]
    Anonymous,
    /// When it authenticated, its path, and who it was.
    Authenticated(Timestamp, Vec<Link>, Option<TicketHolder>),
    /// Its certificate was refused: it shall come back with another and be asked for it, not resume this session.
    /// Neither is a session resumed that began before the certificate's status was known.
    Refused,
    /// It resumes the session of a client that authenticated then, whose revocation status is pending: no further ticket
    /// before it is known.
    Pending(Timestamp),
}

impl TicketFacts {
    /// Tells when the client authenticated, what its path was, and who it was.
    pub(in crate::gateway) fn tell(&self, authenticated_at: Timestamp, links: &[Link], holder: Option<TicketHolder>) {
        *self.known() = Facts::Authenticated(authenticated_at, links.to_vec(), holder);
    }

    /// Tells that the client was refused: it gets no ticket.
    pub(in crate::gateway) fn refuse(&self) {
        *self.known() = Facts::Refused;
    }

    /// Sets when the client of a session authenticated whose revocation status is pending: it gets no further ticket.
    fn set_pending(&self, authenticated_at: Timestamp) {
        *self.known() = Facts::Pending(authenticated_at);
    }

    /// When the client of this session authenticated: at its full handshake.
    pub(in crate::gateway) fn authenticated_at(&self) -> Option<Timestamp> {
        match &*self.known() {
            Facts::Authenticated(at, ..) | Facts::Pending(at) => Some(*at),
            Facts::Anonymous | Facts::Refused => None,
        }
    }

    /// Tells that a ticket was made.
    pub(in crate::gateway) fn note_sealed(&self) {
        self.sealed.store(true, Ordering::Relaxed);
    }

    /// Whether a ticket was made.
    pub(in crate::gateway) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Facts> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ticketer of one connection.
#[derive(Debug)]
pub(in crate::gateway) struct ConnectionTicketer {
    pub(in crate::gateway) keys: Arc<TicketKeys>,
    pub(in crate::gateway) site: Arc<Site>,
    pub(in crate::gateway) trust: Arc<TrustSnapshot>,
    pub(in crate::gateway) facts: Arc<TicketFacts>,
}

impl ProducesTickets for ConnectionTicketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.keys.lifetime.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let now = clock::now();
        let mut state = match &*self.facts.known() {
            Facts::Authenticated(authenticated_at, links, holder) => {
                encode_facts(*authenticated_at, links, holder.as_ref())?
            }
            Facts::Anonymous if self.site.client_auth != ClientAuth::Required => encode_facts(now, &[], None)?,
            Facts::Anonymous | Facts::Refused | Facts::Pending(_) => return None,
        };
        state.extend_from_slice(plain);
        let ticket = self.keys.seal(&self.ground(), now, &state)?;
        self.facts.note_sealed();
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let now = clock::now();
        let state = self.keys.open(&self.ground(), now, ticket)?;
        let (authenticated_at, links, holder, plain) = decode_facts(&state)?;
        if self.keys.is_over(authenticated_at, now) {
            return None;
        }
        if !links.is_empty() {
            match verify::recheck_links(&links, &self.site.policy, &self.trust, now) {
                LinksDecision::Good => {}
                LinksDecision::Pending(_) => {
                    self.facts.set_pending(authenticated_at);
                    return Some(plain.to_vec());
                }
                LinksDecision::Refused(_) => return None,
            }
        } else if self.site.client_auth == ClientAuth::Required {
            // The site was optional when the ticket was made: now it must ask for a certificate.
            return None;
        }
        if let Some(holder) = &holder {
            verify::recheck_holder(holder, &self.trust, now).ok()?;
        }
        self.facts.tell(authenticated_at, &links, holder);
        Some(plain.to_vec())
    }
}

impl ConnectionTicketer {
    /// What a ticket is bound to: the site and all that its policy says, the same on every gateway that has the same
    /// configuration. After a change of the policy every client is verified in a full handshake.
    fn ground(&self) -> Vec<u8> {
        [self.site.policy.fingerprint().as_slice(), self.site.name.as_bytes()].concat()
    }
}

/// `authenticated_at | count | count × (issuer key | notBefore | notAfter | serial length | serial) | holder`, where holder
/// is `0` or `1 | fingerprint | contract length | contract | user length | user`; the length of what is absent is 0.
fn encode_facts(authenticated_at: Timestamp, links: &[Link], holder: Option<&TicketHolder>) -> Option<Vec<u8>> {
    if links.len() > MAX_LINKS {
        return None;
    }
    let mut state = authenticated_at.unix().to_be_bytes().to_vec();
    state.push(u8::try_from(links.len()).ok()?);
    for link in links {
        state.extend_from_slice(link.issued_by.as_bytes());
        state.extend_from_slice(&link.not_before.unix().to_be_bytes());
        state.extend_from_slice(&link.not_after.unix().to_be_bytes());
        state.push(u8::try_from(link.serial.as_bytes().len()).ok()?);
        state.extend_from_slice(link.serial.as_bytes());
    }
    state.push(u8::from(holder.is_some()));
    if let Some(holder) = holder {
        state.extend_from_slice(holder.fingerprint.as_bytes());
        for id in [&holder.contract_id, &holder.user_id] {
            let id = id.as_deref().unwrap_or_default();
            state.extend_from_slice(&u16::try_from(id.len()).ok()?.to_be_bytes());
            state.extend_from_slice(id.as_bytes());
        }
    }
    Some(state)
}

/// What a ticket keeps, and the octets after it.
type Kept<'a> = (Timestamp, Vec<Link>, Option<TicketHolder>, &'a [u8]);

fn decode_facts(state: &[u8]) -> Option<Kept<'_>> {
    let (authenticated_at, rest) = split_time(state)?;
    let (&count, mut rest) = rest.split_first()?;
    let mut links = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (key, after_key) = rest.split_first_chunk::<32>()?;
        let (not_before, after) = split_time(after_key)?;
        let (not_after, after) = split_time(after)?;
        let (&length, after) = after.split_first()?;
        let (serial, after) = after.split_at_checked(usize::from(length))?;
        links.push(Link {
            serial: SerialNumber::from_der_content(serial).ok()?,
            issued_by: AuthorityKey::from_bytes(*key),
            not_before,
            not_after,
            points: None,
        });
        rest = after;
    }
    let (holder, rest) = match rest.split_first()? {
        (0, rest) => (None, rest),
        (1, rest) => split_holder(rest).map(|(holder, rest)| (Some(holder), rest))?,
        _ => return None,
    };
    Some((authenticated_at, links, holder, rest))
}

fn split_holder(octets: &[u8]) -> Option<(TicketHolder, &[u8])> {
    let (fingerprint, rest) = octets.split_first_chunk::<32>()?;
    let (contract_id, rest) = split_id(rest)?;
    let (user_id, rest) = split_id(rest)?;
    Some((TicketHolder { fingerprint: Fingerprint::from_bytes(*fingerprint), contract_id, user_id }, rest))
}

fn split_id(octets: &[u8]) -> Option<(Option<String>, &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    let (id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let id = std::str::from_utf8(id).ok()?;
    Some(((!id.is_empty()).then(|| id.to_owned()), rest))
}

fn split_time(octets: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (time, rest) = octets.split_first_chunk::<8>()?;
    Some((Timestamp::from_unix(i64::from_be_bytes(*time)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn keys(secret: u8) -> TicketKeys {
        TicketKeys::new(Some(vec![secret; 32]), Duration::from_secs(7200))
    }

    #[test]
    fn every_gateway_with_the_secret_opens_a_ticket_and_no_other() {
        let ticket = keys(1).seal(b"ib", NOW, b"state").unwrap();
        assert_eq!(keys(1).open(b"ib", NOW, &ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(keys(2).open(b"ib", NOW, &ticket), None);
    }

    #[test]
    fn a_ticket_is_bound_to_its_site() {
        let ticket = keys(1).seal(b"portal", NOW, b"state").unwrap();
        assert_eq!(keys(1).open(b"ib", NOW, &ticket), None);
    }

    #[test]
    fn a_ticket_ends_with_its_lifetime_and_none_comes_from_the_future() {
        let keys = keys(1);
        let ticket = keys.seal(b"ib", NOW, b"state").unwrap();
        assert!(keys.open(b"ib", NOW.plus_seconds(3600), &ticket).is_some());
        assert_eq!(keys.open(b"ib", NOW.plus_seconds(7200), &ticket), None);
        assert_eq!(keys.open(b"ib", NOW.plus_seconds(-3600), &ticket), None);
    }

    #[test]
    fn a_session_ends_with_its_lifetime_however_often_it_was_resumed() {
        let keys = keys(1);
        assert!(!keys.is_over(NOW, NOW.plus_seconds(7199)));
        assert!(keys.is_over(NOW, NOW.plus_seconds(7200)));
        // Another gateway's clock may be a little ahead.
        assert!(!keys.is_over(NOW, NOW.plus_seconds(-2)));
    }

    #[test]
    fn any_changed_or_missing_octet_spoils_a_ticket() {
        let keys = keys(1);
        let ticket = keys.seal(b"ib", NOW, b"state").unwrap();
        for position in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[position] ^= 1;
            assert_eq!(keys.open(b"ib", NOW, &forged), None, "octet {position}");
            assert_eq!(keys.open(b"ib", NOW, &ticket[..position]), None, "length {position}");
        }
    }

    #[test]
    fn facts_survive_the_round_trip_and_truncation_is_refused() {
        let link = Link {
            serial: SerialNumber::from_der_content(&[1, 2, 3]).unwrap(),
            issued_by: AuthorityKey::from_bytes([7; 32]),
            not_before: NOW,
            not_after: NOW.plus_seconds(60),
            points: None,
        };
        let holder = |user_id: Option<&str>| TicketHolder {
            fingerprint: Fingerprint::from_bytes([9; 32]),
            contract_id: Some("00009876543".into()),
            user_id: user_id.map(str::to_owned),
        };
        for holder in [None, Some(holder(None)), Some(holder(Some("riyousya")))] {
            let mut state = encode_facts(NOW, &[link.clone(), link.clone()], holder.as_ref()).unwrap();
            let facts = state.len();
            state.extend_from_slice(b"rest");
            assert_eq!(decode_facts(&state), Some((NOW, vec![link.clone(), link.clone()], holder, &b"rest"[..])));
            for length in 0..facts {
                assert_eq!(decode_facts(&state[..length]), None);
            }
        }
    }

    #[test]
    fn the_secret_stays_out_of_logs() {
        let keys = TicketKeys::new(Some(b"0123456789abcdef0123456789abcdef".to_vec()), Duration::from_secs(60));
        assert_eq!(format!("{keys:?}"), "TicketKeys { lifetime: 60s, .. }");
    }

    #[test]
    fn without_randomness_there_are_no_tickets() {
        let keys = TicketKeys { secret: Vec::new(), lifetime: Duration::from_secs(60), recent: Mutex::default() };
        assert_eq!(keys.seal(b"ib", NOW, b"state"), None);
    }
}
