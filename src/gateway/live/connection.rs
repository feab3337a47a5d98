//! A live connection: who is at its end, and whether that still holds.

use crate::gateway::base::cut::CutSwitch;
use crate::gateway::base::limits::Limit;
use crate::gateway::live::admissions::{Admissions, Admitted, Permit};
use crate::gateway::request::headers::{Forwarding, IdentityHeaders, SessionKind};
use crate::gateway::snapshot::site::{Site, Snapshot};
use crate::gateway::tls::handshake::{Accepted, Client, PendingClient};
use crate::gateway::tls::tls_version;
use crate::gateway::verify::{self, ChainCache, Decision, Reason, Refusal, VerifiedClient};
use arc_swap::{ArcSwap, ArcSwapOption};
use sekisho_config::{ClientAuth, RefusalStyle};
use sekisho_pki::time::Timestamp;
use sekisho_trust::Need;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a connection that was cut may take to log and leave in order; then it is dropped as it is.
const CUT_GRACE: Duration = Duration::from_millis(50);

/// What the TLS handshake settled.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct TlsFacts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub(in crate::gateway) version: &'static str,
    pub(in crate::gateway) cipher: &'static str,
    pub(in crate::gateway) key_exchange: &'static str,
    pub(in crate::gateway) resumed: bool,
    pub(in crate::gateway) http2: bool,
}

/// A client and the headers that tell the upstream about it, rendered once.
#[derive(Debug)]
pub(in crate::gateway) struct Identified {
    pub(in crate::gateway) client: Client,
    /// The snapshot this was looked at and rendered by.
    generation: u64,
    /// What was trusted then: it changes more often than what headers are rendered from.
    trust_generation: u64,
    /// A client refused now that was verified before: a new snapshot may know better (a fresh list after a stale one).
    lapsed: Option<VerifiedClient>,
    pub(in crate::gateway) headers: IdentityHeaders,
    /// The draining CA that its certificate hangs on.
    pub(in crate::gateway) draining: Option<Arc<str>>,
}

/// A live connection.
#[derive(Debug)]
pub(in crate::gateway) struct Connection {
    pub(in crate::gateway) id: u64,
    pub(in crate::gateway) peer: SocketAddr,
    pub(in crate::gateway) server_name: Option<String>,
    pub(in crate::gateway) tls: TlsFacts,
    pub(in crate::gateway) authenticated_at: Timestamp,
    pub(in crate::gateway) cut: CutSwitch,
    /// `Forwarded` and its kind, the same on every request.
    pub(in crate::gateway) forwarding: Forwarding,
    /// Tells pingora to serve what is under way and then to end the connection in good order.
    retire: watch::Sender<bool>,
    site: Arc<str>,
    client: ArcSwap<Identified>,
    /// Requests begun, and neither ended nor refused.
    in_flight: AtomicUsize,
    /// Those that were admitted.
    admissions: Admissions,
    /// Those, whose refusal is still being told among them.
    under_way: AtomicUsize,
    /// Requests begun since the handshake.
    requests: AtomicU32,
    /// Milliseconds after `opened` at which the last request ended.
    quiet_since: AtomicU64,
    /// HTTP/2 streams reset by the client in the window that began at `reset_window`.
    resets: AtomicU32,
    reset_window: AtomicU64,
    opened: Instant,
    /// HTTP/1.1: whether a request's header is being waited for, and the milliseconds after `opened` (plus one) at
    /// which its first octet came; 0: not yet.
    awaiting_header: AtomicBool,
    header_began: AtomicU64,
    /// Octets that came since the header is being waited for.
    header_octets: AtomicUsize,
    /// The limit that the last write told the client of.
    last_words: ArcSwapOption<Limit>,
}

impl Connection {
    pub(in crate::gateway) fn new(id: u64, peer: SocketAddr, accepted: &Accepted) -> Self {
        let session = accepted.tls.get_ref().1;
        let tls = TlsFacts {
            version: session.protocol_version().map_or("unknown", tls_version::name),
            cipher: session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown"),
            key_exchange: session.negotiated_key_exchange_group().and_then(|group| group.name().as_str()).unwrap_or(""),
            resumed: accepted.resumed,
            http2: session.alpn_protocol() == Some(b"h2"),
        };
        let client = Identified::new(accepted.client.clone(), &accepted.snapshot, &tls, accepted.authenticated_at);
        Self {
            id,
            peer,
            server_name: session.server_name().map(str::to_owned),
            authenticated_at: accepted.authenticated_at,
            cut: CutSwitch::default(),
            forwarding: Forwarding::new(peer),
            retire: watch::Sender::new(false),
            site: accepted.site.name.clone(),
            client: ArcSwap::from_pointee(client),
            tls,
            in_flight: AtomicUsize::new(0),
            admissions: Admissions::default(),
            under_way: AtomicUsize::new(0),
            requests: AtomicU32::new(0),
            quiet_since: AtomicU64::new(0),
            resets: AtomicU32::new(0),
            reset_window: AtomicU64::new(0),
            opened: Instant::now(),
            awaiting_header: AtomicBool::new(true),
            header_began: AtomicU64::new(0),
            header_octets: AtomicUsize::new(0),
            last_words: ArcSwapOption::empty(),
        }
    }

    /// Told of each write: the limit it tells the client of, if it does.
    pub(in crate::gateway) fn set_last_words(&self, limit: Option<Limit>) {
        if limit.is_some() || self.last_words.load().is_some() {
            self.last_words.store(limit.map(Arc::new));
        }
    }

    /// The limit that the client was told of last.
    pub(in crate::gateway) fn last_words(&self) -> Option<Limit> {
        self.last_words.load().as_deref().copied()
    }

    /// Lets requests under way end and no further one begin; HTTP/2 clients are told with GOAWAY.
    pub(in crate::gateway) fn retire(&self) {
        self.retire.send_replace(true);
    }

    /// Becomes true when the connection retires.
    pub(in crate::gateway) fn retiring(&self) -> watch::Receiver<bool> {
        self.retire.subscribe()
    }

    /// The name of the site whose handshake this was.
    pub(in crate::gateway) fn site_name(&self) -> &Arc<str> {
        &self.site
    }

    /// The site as the snapshot in force has it, if it still exists.
    pub(in crate::gateway) fn site(&self, snapshot: &Snapshot) -> Option<Arc<Site>> {
        snapshot.sites.named(&self.site)
    }

    /// Who this is **now**, by the snapshot in force: the same checks as in a handshake (invariant 1).
    ///
    /// Costs an index lookup for each certificate of the path while the CAs stay the same.
    pub(in crate::gateway) fn authorize(&self, site: &Site, snapshot: &Snapshot, now: Timestamp) -> Arc<Identified> {
        let known = self.client.load();
        match judge(&known, site, snapshot, now) {
            Verdict::Unchanged => known.clone(),
            Verdict::Now(client) => self.identify(&known, client, snapshot),
            // Not kept: the next look may be after the answer came.
            Verdict::Pending(refusal) => {
                let client = Client::Refused(refusal);
                Arc::new(Identified::new(client, snapshot, &self.tls, self.authenticated_at))
            }
        }
    }

    /// What has to be asked for before it can be told whether this client has its right; nothing for nearly everyone.
    pub(in crate::gateway) fn needs(&self, snapshot: &Snapshot, now: Timestamp) -> Vec<Need> {
        let known = self.client.load();
        match (&known.client, &known.lapsed) {
            (Client::Verified(client), _) | (Client::Refused(_), Some(client)) => {
                verify::needs(client, &snapshot.trust, now)
            }
            (Client::Pending(pending), _) => pending.needs.clone(),
            (Client::Anonymous | Client::Refused(_), _) => Vec::new(),
        }
    }

    /// Decides again on a client whose status was pending in the handshake; returns the final decision, if this made it.
    pub(in crate::gateway) fn settle(
        &self,
        snapshot: &Snapshot,
        cache: &ChainCache,
        now: Timestamp,
    ) -> Option<Arc<Identified>> {
        let known = self.client.load();
        let (Client::Pending(before), Some(site)) = (&known.client, self.site(snapshot)) else {
            return None;
        };
        let decision = verify::verify(&before.presented, &site.policy, &snapshot.trust, Some(cache), now);
        let client = Client::of(decision, || before.presented.clone());
        let is_final = match &client {
            Client::Pending(PendingClient { needs, .. }) => needs.is_empty() && !before.needs.is_empty(),
            Client::Anonymous | Client::Verified(_) | Client::Refused(_) => true,
        };
        let decided = Arc::new(Identified::new(client, snapshot, &self.tls, self.authenticated_at));
        // Of several requests that waited, one tells it.
        let before = self.client.compare_and_swap(&*known, decided.clone());
        (is_final && Arc::ptr_eq(&before, &known)).then_some(decided)
    }

    fn identify(&self, known: &Identified, client: Client, snapshot: &Snapshot) -> Arc<Identified> {
        let lapsed = match &client {
            Client::Refused(_) => known.verified().or(known.lapsed.as_ref()).cloned(),
            Client::Anonymous | Client::Verified(_) | Client::Pending(_) => None,
        };
        let identified = Identified::new(client, snapshot, &self.tls, self.authenticated_at);
        let identified = Arc::new(Identified { lapsed, ..identified });
        self.client.store(identified.clone());
        identified
    }

    /// The client as last looked at, for logs.
    pub(in crate::gateway) fn last_known(&self) -> Arc<Identified> {
        self.client.load_full()
    }

    /// Whether a snapshot that is in force already takes this client's right away, and if so cuts what is under way.
    ///
    /// Where nothing was admitted a request that is being judged or refused is refused in words, which are not to be
    /// cut; a site with refusal pages does so with the next request, too. An answer to the very act that revoked the
    /// client's own certificate may finish where its route says so.
    pub(in crate::gateway) fn enforce(&self, snapshot: &Snapshot, now: Timestamp) -> Option<Cut> {
        let site = self.site(snapshot);
        let page = site.as_ref().is_some_and(|site| site.refusal == RefusalStyle::Page);
        self.admissions.look(|Admitted { requests, finishing, longest }| {
            let refusal = match &site {
                Some(site) => self.refusal(site, snapshot, now)?,
                None => Refusal::new(Reason::NotPermitted, "the site is no longer configured"),
            };
            if site.is_some() && (finishing > 0 || !self.cut.is_open()) && self.is_itself_revoked(snapshot, now) {
                // One that is finishing already ends by its time.
                let deadline = tokio::time::Instant::now() + longest;
                return self.cut.finish_until(deadline).then_some(Cut { refusal, finishing });
            }
            if requests == 0 && (page || self.under_way.load(Ordering::SeqCst) > 0) {
                return None;
            }
            self.cut.throw().then_some(Cut { refusal, finishing: 0 })
        })
    }

    /// Whether it is the client's own certificate that is revoked, and not one above it.
    fn is_itself_revoked(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        let known = self.client.load();
        let client = known.verified().or(known.lapsed.as_ref());
        client.is_some_and(|client| verify::is_leaf_revoked(client, &snapshot.trust, now))
    }

    /// Waits until the connection was cut and had time to end by itself. One that waits for its upstream to take more of
    /// a body looks neither at its client nor at the cut.
    pub(in crate::gateway) async fn cut_and_stuck(&self) {
        if self.cut.over().await && self.admissions.look(|admitted| admitted.requests) > 0 {
            self.cut.exceed();
        }
        self.cut.throw();
        tokio::time::sleep(CUT_GRACE).await;
    }

    /// Waits until a request has to end whatever it is doing: its connection was thrown and has had its grace, or its
    /// client has lost its right and this request may not finish.
    pub(in crate::gateway) async fn lost(&self, permit: &Permit) {
        self.cut.closing().await;
        if !permit.ends_at_once() {
            self.cut.thrown().await;
            tokio::time::sleep(CUT_GRACE).await;
        }
    }

    /// Why this client is refused now. Headers of one that is not are rendered with its next request, not here, where
    /// ten thousand connections are gone through within the time a revocation may take.
    fn refusal(&self, site: &Site, snapshot: &Snapshot, now: Timestamp) -> Option<Refusal> {
        let known = self.client.load();
        match judge(&known, site, snapshot, now) {
            Verdict::Now(Client::Refused(refusal)) => {
                self.identify(&known, Client::Refused(refusal.clone()), snapshot);
                Some(refusal)
            }
            // By other CAs or another policy the whole path was verified: not again at each look until the next request.
            Verdict::Now(Client::Verified(now)) => {
                if known.verified().is_some_and(|before| !before.is_on_the_ground_of(&now)) {
                    let renewed = Identified {
                        client: Client::Verified(now),
                        generation: known.generation,
                        trust_generation: known.trust_generation,
                        lapsed: None,
                        headers: known.headers.clone(),
                        draining: known.draining.clone(),
                    };
                    // A request that looked at the same time knows as much, and has rendered its headers.
                    self.client.compare_and_swap(&*known, Arc::new(renewed));
                }
                None
            }
            // A pending client has had nothing admitted, or its status is queried by what keeps answers fresh: what comes
            // of it cuts.
            Verdict::Now(Client::Anonymous | Client::Pending(_)) | Verdict::Pending(_) => None,
            Verdict::Unchanged => match &known.client {
                Client::Refused(refusal) => Some(refusal.clone()),
                Client::Anonymous | Client::Verified(_) | Client::Pending(_) => None,
            },
        }
    }

    /// Counts a request in until the guard is dropped: from here on the connection is neither idle nor waiting for a
    /// header.
    pub(in crate::gateway) fn begin_request(self: &Arc<Self>, permit: Arc<Permit>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.under_way.fetch_add(1, Ordering::SeqCst);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.tls.http2 {
            self.awaiting_header.store(false, Ordering::Relaxed);
            self.header_began.store(0, Ordering::Relaxed);
        }
        InFlight { connection: self.clone(), permit, is_admitted: false, finishing: None, is_idle: false }
    }

    /// Requests begun since the handshake, the current one among them.
    pub(in crate::gateway) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Milliseconds without a request under way; none while there is one.
    pub(in crate::gateway) fn idle_millis(&self) -> Option<u64> {
        (self.in_flight.load(Ordering::SeqCst) == 0)
            .then(|| self.age_millis().saturating_sub(self.quiet_since.load(Ordering::Relaxed)))
    }

    /// Called when pingora begins to wait for a request's header.
    pub(in crate::gateway) fn await_header(&self) {
        self.header_began.store(0, Ordering::Relaxed);
        self.header_octets.store(0, Ordering::Relaxed);
        self.awaiting_header.store(true, Ordering::Relaxed);
    }

    /// Called when octets came from the client.
    pub(in crate::gateway) fn octets_arrived(&self, count: usize) {
        if self.tls.http2 || !self.awaiting_header.load(Ordering::Relaxed) {
            return;
        }
        self.header_octets.fetch_add(count, Ordering::Relaxed);
        if self.header_began.load(Ordering::Relaxed) == 0 {
            self.header_began.store(self.age_millis() + 1, Ordering::Relaxed);
        }
    }

    /// HTTP/2: told after each read whether a header, or the preface, is begun and not whole.
    pub(in crate::gateway) fn header_under_way(&self, is: bool) {
        if !is {
            self.header_began.store(0, Ordering::Relaxed);
        } else if self.header_began.load(Ordering::Relaxed) == 0 {
            self.header_began.store(self.age_millis() + 1, Ordering::Relaxed);
        }
    }

    /// Octets of a header that is still incomplete (HTTP/1.1 only). Asked before more is read.
    pub(in crate::gateway) fn header_octets(&self) -> usize {
        if self.awaiting_header.load(Ordering::Relaxed) { self.header_octets.load(Ordering::Relaxed) } else { 0 }
    }

    /// Milliseconds since the first octet of a header that is still incomplete.
    pub(in crate::gateway) fn header_pending_millis(&self) -> Option<u64> {
        let began = self.header_began.load(Ordering::Relaxed);
        (began != 0 && self.awaiting_header.load(Ordering::Relaxed))
            .then(|| self.age_millis().saturating_sub(began - 1))
    }

    /// Counts a stream the client reset; true when more than `limit` fell into one `window_millis`.
    pub(in crate::gateway) fn count_reset(&self, limit: u32, window_millis: u64) -> bool {
        let now = self.age_millis();
        if now.saturating_sub(self.reset_window.load(Ordering::Relaxed)) > window_millis {
            self.reset_window.store(now, Ordering::Relaxed);
            self.resets.store(0, Ordering::Relaxed);
        }
        self.resets.fetch_add(1, Ordering::Relaxed) >= limit
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What was cut.
#[derive(Debug)]
pub(in crate::gateway) struct Cut {
    pub(in crate::gateway) refusal: Refusal,
    /// Requests that may still finish their answer.
    pub(in crate::gateway) finishing: usize,
}

/// What a look at a client by a snapshot comes to.
enum Verdict {
    /// As known, headers and all.
    Unchanged,
    /// This is who it is now.
    Now(Client),
    /// A client without any right until its status is known.
    Pending(Refusal),
}

fn judge(known: &Identified, site: &Site, snapshot: &Snapshot, now: Timestamp) -> Verdict {
    let same = known.generation == snapshot.generation;
    let again = |client| match verify::recheck(client, &site.policy, &snapshot.trust, now) {
        Decision::Verified(client) => Verdict::Now(Client::Verified(client)),
        Decision::Pending(pending) => Verdict::Pending(pending.refusal),
        // It was verified before and is kept as `lapsed`, by which it is decided again.
        Decision::Refused(refusal) => Verdict::Now(Client::Refused(refusal)),
    };
    match (&known.client, &known.lapsed) {
        (Client::Verified(client), _) => match again(client) {
            // A list may have grown stale since, which the policy tolerates and the record tells.
            Verdict::Now(Client::Verified(now)) if same && now.unenforced() == client.unenforced() => {
                Verdict::Unchanged
            }
            verdict => verdict,
        },
        // What was unavailable may be there without a new snapshot: answers come between them.
        (Client::Refused(refusal), Some(client))
            if known.trust_generation != snapshot.trust.generation()
                || refusal.reason == Reason::RevocationUnavailable =>
        {
            again(client)
        }
        (Client::Pending(pending), _) => Verdict::Pending(pending.refusal.clone()),
        (Client::Refused(_), _) => Verdict::Unchanged,
        (Client::Anonymous, _) if site.client_auth == ClientAuth::Required => Verdict::Now(Client::Refused(
            Refusal::new(Reason::NoCertificate, "the site has come to require a certificate"),
        )),
        (Client::Anonymous, _) if same => Verdict::Unchanged,
        (Client::Anonymous, _) => Verdict::Now(Client::Anonymous),
    }
}

impl Identified {
    fn new(client: Client, snapshot: &Snapshot, tls: &TlsFacts, authenticated_at: Timestamp) -> Self {
        let names = &snapshot.config.headers;
        let session = if tls.resumed { SessionKind::Resumed } else { SessionKind::Full };
        let (headers, draining) = match &client {
            Client::Verified(client) => {
                let headers = IdentityHeaders::verified(client, session, authenticated_at, names);
                match snapshot.config.draining(client.ca()).map(|ca| Arc::clone(&ca.name)) {
                    Some(ca) => (headers.draining(&ca, names), Some(ca)),
                    None => (headers, None),
                }
            }
            Client::Anonymous | Client::Refused(_) | Client::Pending(_) => {
                (IdentityHeaders::unauthenticated(names), None)
            }
        };
        let (generation, trust_generation) = (snapshot.generation, snapshot.trust.generation());
        Self { client, generation, trust_generation, lapsed: None, headers, draining }
    }

    /// The verified client, if it is one.
    pub(in crate::gateway) fn verified(&self) -> Option<&VerifiedClient> {
        match &self.client {
            Client::Verified(client) => Some(client),
            Client::Anonymous | Client::Refused(_) | Client::Pending(_) => None,
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(in crate::gateway) struct InFlight {
    connection: Arc<Connection>,
    permit: Arc<Permit>,
    is_admitted: bool,
    /// How long it may finish, once it may.
    finishing: Option<Duration>,
    is_idle: bool,
}

impl InFlight {
    /// Judges it, by the snapshot that `judge` finds in force, and counts it among those that a cut would cut if it is
    /// admitted. The connection of one that is refused counts as idle from then on: a client that does not take its
    /// refusal is not waited for longer than any other.
    ///
    /// # Errors
    /// What `judge` refuses with.
    pub(in crate::gateway) fn admit<A, R>(&mut self, judge: impl FnOnce() -> Result<A, R>) -> Result<A, R> {
        let judged = self.connection.admissions.admit(&self.permit, judge);
        self.is_admitted = judged.is_ok();
        if !self.is_admitted {
            self.rest();
        }
        judged
    }

    /// Says that the whole request was written to its upstream, so that nothing more of it will be: its answer may finish
    /// within that time if the client's own certificate is revoked meanwhile.
    pub(in crate::gateway) fn sent(&mut self, finish: Option<Duration>) {
        let (Some(time), None) = (finish, self.finishing) else {
            return;
        };
        let connection = &self.connection;
        let may = connection.admissions.sent(&self.permit, time, || connection.cut.is_open());
        self.finishing = may.then_some(time);
    }

    fn rest(&mut self) {
        if !std::mem::replace(&mut self.is_idle, true) {
            self.connection.quiet_since.store(self.connection.age_millis(), Ordering::Relaxed);
            self.connection.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.is_admitted {
            self.connection.admissions.end(&self.permit, self.finishing);
        }
        self.rest();
        self.connection.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
