//! Certificates a second: a user's own request, its proof of possession checked, the rules asked, an intent recorded,
//! signed, completed; two durable transactions with their audit records and a notice.

use super::Sizes;
use super::bank::{Bank, PASSWORD, by_staff, by_user};
use super::measure::cpu;
use super::measure::results::{Results, thousands};
use super::measure::samples::Samples;
use rcgen::{CertificateParams, KeyPair};
use sekisho_issuer::authenticate::Factors;
use sekisho_issuer::service::{Act, KeyRequest, Service};
use sekisho_lifecycle::UserKey;
use sekisho_lifecycle::profile::Factor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Clients at a time.
const AT_A_TIME: [usize; 3] = [1, 32, 256];

pub async fn run(banks: &[(&str, Bank)], sizes: &Sizes, results: &mut Results) {
    results.table(
        "Certificates stored and audited",
        &[
            "store",
            "clients",
            "passwords",
            "certificates",
            "a second",
            "issuer CPU, µs",
            "database CPU, µs",
            "two cores by CPU, a second",
            "p50 ms",
            "p99 ms",
        ],
    );
    for (name, bank) in banks {
        for (prefix, clients) in ('A'..).zip(AT_A_TIME) {
            // One client waits for the disk every time.
            let certificates = if clients == 1 { sizes.certificates / 20 } else { sizes.certificates };
            let people = people(bank, prefix, certificates).await;
            let measured = measure(&bank.service, people, clients).await;
            results.row(&measured.cells(name, clients, "elsewhere"));
        }
        let people = people(bank, 'P', sizes.passwords).await;
        for (user, _) in &people {
            let password = Factors(vec![(Factor::LoginPassword, Zeroizing::new(PASSWORD.to_owned()))]);
            bank.checking.execute(by_staff(user, Act::Equip(password))).await.unwrap();
        }
        let measured = measure(&bank.checking, people, 32).await;
        results.row(&measured.cells(name, 32, "here (Argon2id)"));
    }
}

/// Users with their certification requests.
pub async fn people(bank: &Bank, prefix: char, count: usize) -> Vec<(UserKey, Vec<u8>)> {
    let users = bank.register(prefix, count).await;
    users.into_iter().map(|user| (user, csr())).collect()
}

fn csr() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// What came of it.
struct Measured {
    count: usize,
    took: Duration,
    /// Of the issuer's threads and of the database's processes.
    spent: (Duration, Duration),
    latency: Samples,
}

impl Measured {
    fn cells(&self, store: &str, clients: usize, passwords: &str) -> Vec<String> {
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / self.count as f64;
        vec![
            store.to_owned(),
            clients.to_string(),
            passwords.to_owned(),
            thousands(self.count),
            thousands((self.count as f64 / self.took.as_secs_f64()) as usize),
            format!("{:.0}", each(self.spent.0)),
            // SQLite works in the issuer's own threads.
            if store == "SQLite" { "–".to_owned() } else { format!("{:.0}", each(self.spent.1)) },
            thousands((2e6 / each(self.spent.0 + self.spent.1)) as usize),
            format!("{:.1}", self.latency.percentile(50.0)),
            format!("{:.1}", self.latency.percentile(99.0)),
        ]
    }
}

async fn measure(service: &Arc<Service>, people: Vec<(UserKey, Vec<u8>)>, clients: usize) -> Measured {
    let (people, next) = (Arc::new(people), Arc::new(AtomicUsize::new(0)));
    let (told, mut latencies) = mpsc::unbounded_channel();
    let (before, begin) = (spent(), Instant::now());
    let work = |_| {
        let (service, people, next, told) = (Arc::clone(service), Arc::clone(&people), Arc::clone(&next), told.clone());
        tokio::spawn(async move {
            while let Some((user, csr)) = people.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begin = Instant::now();
                let acquire = Act::Acquire { secret: None, key: KeyRequest::Csr(csr.clone()) };
                let done = service.execute(by_user(user, acquire)).await.unwrap();
                assert!(done.delivered.is_some(), "a certificate");
                told.send(begin.elapsed()).unwrap();
            }
        })
    };
    for worker in (0..clients).map(work).collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let (took, after) = (begin.elapsed(), spent());
    drop(told);
    let mut latency = Samples::default();
    while let Some(one) = latencies.recv().await {
        latency.push(one);
    }
    assert_eq!(latency.len(), people.len());
    Measured { count: people.len(), took, spent: (after.0 - before.0, after.1.saturating_sub(before.1)), latency }
}

fn spent() -> (Duration, Duration) {
    (cpu::of_process(std::process::id()), cpu::of_descendants())
}
