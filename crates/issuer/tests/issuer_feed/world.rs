//! Issuers with a feed, and changes of status in numbers that no API call would give in time.

use crate::follower::connect;
use crate::support::{Bank, Held, Issuer, Person, Plan};
use sekisho_config::issuer::{StoreConfig, StoreUrl};
use sekisho_config::{Place, Placed};
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::{Ask, Status, StatusChange, Store, Write, change, open};
use sekisho_lifecycle::ContractId;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

/// An issuer of one product with a feed for these gateways.
pub fn plan(gateways: &[&str]) -> Plan {
    Plan::new(&["hokugin"]).with_feed(gateways)
}

/// The same over a new PostgreSQL database: the plan and the database's URL.
pub fn plan_on_postgres(gateways: &[&str]) -> (Plan, String) {
    let url = crate::postgres::new_database();
    (plan(gateways).on_postgres(&url), url)
}

/// The bank of an issuer with a contract that is open.
pub fn bank(issuer: &Issuer) -> Bank {
    let bank = issuer.bank();
    bank.open("hokugin", "H1");
    bank
}

/// A user with a certificate.
pub fn user(bank: &Bank, user: &str) -> (Person, Held) {
    let (person, _) = bank.register("H1", user, "general");
    let held = person.acquire(None, &["login-password"]);
    (person, held)
}

/// Says that a gateway has everything up to a number; status and body.
pub fn acknowledge(issuer: &Issuer, gateway: &str, feed: &str, place: &(u64, String)) -> (u16, Value) {
    let (to, mark) = place;
    let body = serde_json::json!({ "feed": feed, "to": to, "mark": mark }).to_string();
    let mut tls = connect(&issuer.plan, issuer.address("api"), gateway);
    write!(
        tls,
        "POST /v1/feed/acknowledgements HTTP/1.1\r\nhost: issuer.localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    // The end of TLS may be missing after `connection: close`.
    let _ = tls.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// A store on an issuer's own database: what another node is to it.
pub struct Beside {
    runtime: tokio::runtime::Runtime,
    store: Arc<dyn Store>,
}

impl Beside {
    pub fn open(plan: &Plan, url: &str) -> Self {
        let url = match url.strip_prefix("sqlite:") {
            Some(file) => StoreUrl::Sqlite(plan.path(file)),
            None => StoreUrl::Postgres(url.to_owned()),
        };
        let url = Placed { value: url, place: Place::default() };
        let config = StoreConfig { url, connections: 2, waiting: 10_000, together: 128 };
        let secret = Arc::new(ServiceSecret::load(&plan.path("issuer.secret")).unwrap());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = runtime.block_on(open(&config, secret)).unwrap_or_else(|error| panic!("{error}"));
        Self { runtime, store }
    }

    /// What stands at a number, as an acknowledgement has it.
    pub fn place(&self, sequence: u64) -> (u64, String) {
        let place = self.runtime.block_on(sekisho_issuer::store::Place::at(&*self.store, sequence)).unwrap();
        (sequence, place.expect("there is such a change").mark.to_string())
    }

    /// Revokes a certificate of an authority that this issuer does not have.
    pub fn revoke_of(&self, authority: &str, number: u64) {
        let statuses = vec![StatusChange { authority: authority.into(), ..revocation(number) }];
        let write = Write { statuses, ..Write::default() };
        let ask = Ask::about(ContractId::new("H1").unwrap());
        self.runtime.block_on(change(&*self.store, ask, |_| (write, ()))).unwrap();
    }

    /// Revokes so many certificates that nobody has, in acts of `together` changes each, all acts at once.
    pub fn revoke(&self, from: u64, count: u64, together: u64) {
        self.runtime.block_on(async {
            let mut acts = Vec::new();
            for first in (from..from + count).step_by(usize::try_from(together).unwrap()) {
                let store = Arc::clone(&self.store);
                let numbers = first..(first + together).min(from + count);
                acts.push(tokio::spawn(async move {
                    let statuses = numbers.map(revocation).collect();
                    let write = Write { statuses, ..Write::default() };
                    change(&*store, Ask::about(ContractId::new("H1").unwrap()), |_| (write, ())).await.unwrap();
                }));
            }
            for act in acts {
                act.await.unwrap();
            }
        });
    }
}

/// Without its runtime the store cannot be closed in order; nobody reads it any more.
impl Drop for Beside {
    fn drop(&mut self) {
        self.runtime.block_on(self.store.close());
    }
}

fn revocation(number: u64) -> StatusChange {
    let now = sekisho_runtime::clock::now();
    let authority = Arc::from("hkg");
    let status = Status::Revoked(RevocationReason::KeyCompromise);
    StatusChange { authority, serial: serial(number), status, at: now, not_after: now.plus_years(1) }
}

/// The serial number of a certificate that nobody has.
pub fn serial(number: u64) -> SerialNumber {
    SerialNumber::from_der_content(&[&[0x51; 8][..], &number.to_be_bytes()].concat()).unwrap()
}
