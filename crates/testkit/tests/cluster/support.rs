//! A cluster with relays between each gateway and each issuer, and what tests wait for.

use crate::common::{PATIENCE, TestApp};
use crate::relay::Relay;
use sekisho_testkit::cluster::{Cluster, GATEWAYS, Page, Reached, User, Wanted};
use sekisho_testkit::process::Output;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// `lost_after` of the gateways in these tests: two heartbeats and a half.
pub const LOST_AFTER: Duration = Duration::from_secs(5);

/// Two issuers on one PostgreSQL, three gateways, and a relay on each way between them.
pub struct Bank {
    pub cluster: Cluster,
    relays: Vec<(usize, Relay)>,
    _app: TestApp,
    _folder: tempfile::TempDir,
}

impl Bank {
    /// Starts it.
    pub fn new() -> Self {
        let (folder, app) = (tempfile::tempdir().unwrap(), TestApp::new());
        let pki = folder.path().join("pki");
        let wanted = Wanted { folder: &pki, port: 0, output: Output::Keep, change };
        let relays = RefCell::new(Vec::new());
        let way = |gateway, _issuer, address| {
            let relay = Relay::to(address);
            let address = relay.address();
            relays.borrow_mut().push((gateway, relay));
            address
        };
        let cluster = Cluster::before(&wanted, app.address().unwrap(), Reached::Through(&way));
        let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
        Self { cluster, relays: relays.into_inner(), _app: app, _folder: folder }
    }

    /// Users with certificates, who are served.
    pub fn users<const COUNT: usize>(&self) -> [User; COUNT] {
        // The first opens the contract.
        let first = self.user("user0");
        let rest = std::thread::scope(|scope| {
            let acquire = |number| scope.spawn(move || self.user(&format!("user{number}")));
            let acquiring: Vec<_> = (1..COUNT).map(acquire).collect();
            acquiring.into_iter().map(|acquired| acquired.join().unwrap()).collect::<Vec<_>>()
        });
        let users: Vec<User> = std::iter::once(first).chain(rest).collect();
        users.try_into().expect("so many")
    }

    /// A user with a certificate, who is served at one gateway or another.
    pub fn user(&self, name: &str) -> User {
        let user = self.cluster.acquire(0, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.wait_for_page(name.len() % GATEWAYS, &user, &Page::Served);
        user
    }

    /// Every way from a gateway to the issuers: their feeds and their lists.
    pub fn relays_of(&self, gateway: usize) -> impl Iterator<Item = &Relay> {
        self.relays.iter().filter(move |(of, _)| *of == gateway).map(|(_, relay)| relay)
    }

    /// Revokes at that issuer; the answer must be a good one.
    #[track_caller]
    pub fn revoke(&self, issuer: usize, user: &User) -> serde_json::Value {
        let (status, body) = self.cluster.revoke(issuer, user);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Revokes at that issuer as soon as it can; what was done before without an answer is answered now.
    #[track_caller]
    pub fn revoke_at_last(&self, issuer: usize, user: &User) {
        let mut last = None;
        let done = sekisho_testkit::process::poll(PATIENCE, || {
            let (status, _) = last.insert(self.cluster.revoke(issuer, user));
            (*status == 200).then_some(())
        });
        assert!(done.is_some(), "issuer {issuer} and {}: {last:?}", user.name);
    }

    /// Waits until a gateway does this with a user.
    #[track_caller]
    pub fn wait_for_page(&self, gateway: usize, user: &User, wanted: &Page) {
        let mut last = None;
        let found = sekisho_testkit::process::poll(PATIENCE, || {
            last = Some(self.cluster.page(gateway, user));
            (last.as_ref() == Some(wanted)).then_some(())
        });
        let said = || self.cluster.gateway_process(gateway).map_or(String::new(), |process| process.last_lines(30));
        assert!(found.is_some(), "{} at gateway {gateway}: {last:?}\n{}", user.name, said());
    }

    /// Waits until every gateway refuses a user as revoked.
    #[track_caller]
    pub fn wait_for_refusal(&self, user: &User) {
        (0..GATEWAYS).for_each(|gateway| self.wait_for_page(gateway, user, &Page::RefusedAsRevoked));
    }

    /// A gateway serves nobody of these for so long.
    #[track_caller]
    pub fn never_served(&self, gateway: usize, users: &[&User], time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for user in users {
                assert_ne!(self.cluster.page(gateway, user), Page::Served, "{} at gateway {gateway}", user.name);
            }
        }
    }
}

/// Lists stand still once they are read: what comes later comes by the feed.
fn change(config: String) -> String {
    let replaced = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "the cluster's configuration lacks {from}");
        text.replacen(from, to, 1)
    };
    let lost_after = format!("lost_after = \"{}s\"", LOST_AFTER.as_secs());
    replaced(replaced(config, "lost_after = \"10s\"", &lost_after), "watch_files = true", "watch_files = false")
}
