//! The issuer's throughput: certificates stored and audited, revocations beside a million, OCSP answers, lists; on SQLite
//! and PostgreSQL. `make bench-issuance`.
//!
//! `benches/issuer_store.rs` has the store alone and `benches/issuer_ca.rs` single operations of the authority: here is
//! the way of a request through the service.

mod bank;
mod issue;
mod lists;
#[path = "../../../../benches/measure/mod.rs"]
mod measure;
mod ocsp;
use sekisho_testkit::postgres;
mod revoke;

use bank::Bank;
use measure::results::{Results, size};
use sekisho_config::issuer::StoreUrl;

/// The issuer's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let sizes = Sizes {
        certificates: size("CERTIFICATES", 10_000),
        passwords: size("PASSWORDS", 200),
        revoked: size("REVOKED", 1_000_000),
        answers: size("ANSWERS", 10_000),
    };
    // One for each core, as the issuer has.
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("issuer").enable_all().build().unwrap();
    let mut results = Results::new();
    // A temporary folder can be in memory: the build's own is on a disk.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let sqlite = || StoreUrl::Sqlite(folder.path().join("issuer.db"));
    let urls = [("SQLite", sqlite()), ("PostgreSQL", StoreUrl::Postgres(postgres::new_database()))];
    let banks: Vec<(&str, Bank)> =
        urls.into_iter().map(|(name, url)| (name, runtime.block_on(Bank::new(folder.path(), name, url)))).collect();
    runtime.block_on(issue::run(&banks, &sizes, &mut results));
    ocsp::run(&runtime, &banks, &sizes, &mut results);
    runtime.block_on(revoke::run(&banks, &sizes, &mut results));
    lists::run(&sizes, &mut results);
    results.put("issuance");
}

/// How much of everything; `SEKISHO_BENCH_CERTIFICATES` and so on say otherwise.
struct Sizes {
    /// Certificates that are issued.
    certificates: usize,
    /// Those of them whose users' passwords are checked here.
    passwords: usize,
    /// Certificates that are revoked already.
    revoked: usize,
    /// Certificates that OCSP is asked about.
    answers: usize,
}
