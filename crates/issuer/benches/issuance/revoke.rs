//! A revocation where a million are revoked already: until it is committed, and until it is on the lists.

use super::Sizes;
use super::bank::{Bank, by_staff, by_user};
use super::issue::people;
use super::measure::results::{Results, thousands};
use super::measure::samples::Samples;
use sekisho_ca::serial;
use sekisho_issuer::publish::Publisher;
use sekisho_issuer::service::{Act, KeyRequest};
use sekisho_issuer::store::{Ask, Status, StatusChange, Write, change};
use sekisho_lifecycle::UserKey;
use sekisho_pki::crl::RevocationReason;
use sekisho_runtime::clock;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Revocations, one after the other.
const REVOCATIONS: usize = 200;

/// Statuses that are stored at a time when the million is made.
const AT_A_TIME: usize = 5_000;

pub async fn run(banks: &[(&str, Bank)], sizes: &Sizes, results: &mut Results) {
    results.table(
        &format!("One revocation beside {} revoked, lists in 64 parts, one after the other", thousands(sizes.revoked)),
        &["store", "answered, p50 ms", "p99 ms", "on the list, p50 ms", "p99 ms", "publication's start, s"],
    );
    for (name, bank) in banks {
        let users = holders(bank).await;
        for _ in 0..sizes.revoked.div_ceil(AT_A_TIME) {
            fill(bank, &users[0]).await;
        }
        let (shutdown, stopping) = watch::channel(false);
        let begin = Instant::now();
        let wake = Arc::clone(&bank.wakes.statuses);
        let publisher =
            Publisher::start(Arc::clone(&bank.store), Arc::clone(&bank.authorities), wake, stopping).await.unwrap();
        let start = begin.elapsed();
        let (mut answered, mut listed) = (Samples::default(), Samples::default());
        for user in &users {
            let revoke = by_staff(user, Act::Revoke(RevocationReason::KeyCompromise));
            let begin = Instant::now();
            let done = bank.service.execute(revoke).await.unwrap();
            answered.push(begin.elapsed());
            publisher.wait_for(done.changed.expect("a status was changed").sequence).await.unwrap();
            listed.push(begin.elapsed());
        }
        shutdown.send_replace(true);
        publisher.join().await;
        let of = |samples: &Samples| [50.0, 99.0].map(|percent| format!("{:.1}", samples.percentile(percent)));
        let cells = [&[(*name).to_owned()][..], &of(&answered), &of(&listed), &[format!("{:.1}", start.as_secs_f64())]];
        results.row(&cells.concat());
    }
}

/// Users with a certificate each.
async fn holders(bank: &Bank) -> Vec<UserKey> {
    let mut users = Vec::new();
    for (user, csr) in people(bank, 'R', REVOCATIONS).await {
        let acquire = Act::Acquire { secret: None, key: KeyRequest::Csr(csr) };
        bank.service.execute(by_user(&user, acquire)).await.unwrap();
        users.push(user);
    }
    users
}

/// Revokes certificates that nobody has.
async fn fill(bank: &Bank, of: &UserKey) {
    let at = clock::now();
    let one = |_| StatusChange {
        authority: "hokugin".into(),
        serial: serial::random().unwrap(),
        status: Status::Revoked(RevocationReason::Superseded),
        at,
        not_after: at.plus_seconds(365 * 86_400),
    };
    let write = Write { statuses: (0..AT_A_TIME).map(one).collect(), ..Write::default() };
    change(&*bank.store, Ask::about(of.contract.clone()), |_| (write, ())).await.unwrap();
}
