//! Revocation: loading a list of a million certificates with its peak memory, and looking serials up.

use sekisho_testkit::revocation;

use criterion::{Criterion, criterion_group};
use revocation::*;
use sekisho_config::{AnchorExpiry, Ca, Place, Placed, RevocationSource, RevocationSources};
use sekisho_pki::serial::SerialNumber;
use sekisho_trust::{ListParts, Question, TrustSnapshot, load};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The gateway's allocator, so that memory is what the gateway would take.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MILLION: usize = 1_000_000;

/// Set in the child process that measures memory: the folder it loads from.
const CHILD: &str = "SEKISHO_BENCH_LOAD";

fn main() {
    match std::env::var_os(CHILD) {
        Some(folder) => load_once(Path::new(&folder)),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}

criterion_group!(benches, lookups, loads);

fn lookups(criterion: &mut Criterion) {
    let ca = TestCa::root("Bench CA");
    let key = ca.certificate.authority_key();
    let kinds: [(&str, MakeSerial); 2] = [("random", random_serial), ("sequential", sequential_serial)];
    for (kind, make) in kinds {
        for count in [10, 100_000, MILLION] {
            let der = ca.list().entries(many_entries(count, make)).sign();
            let list = ListParts { file: "bench".into(), der: &der };
            let snapshot = TrustSnapshot::from_parts(&[ca.parts("bench", None)], &[list], None, NOW).unwrap().snapshot;
            drop(der);
            // More serials than any cache holds, prepared beforehand.
            let serials = |offset: usize| -> Vec<SerialNumber> {
                (0..65_536)
                    .map(|step| SerialNumber::from_der_content(&make((step * 7_919) % count + offset)).unwrap())
                    .collect()
            };
            for (name, serials) in [("hit", serials(0)), ("miss", serials(10 * MILLION))] {
                let mut next = 0_usize;
                criterion.bench_function(&format!("lookup/{kind}/{count}/{name}"), |bencher| {
                    bencher.iter(|| {
                        next = (next + 1) % serials.len();
                        black_box(snapshot.revocation(&Question::client(&key, &serials[next]), NOW))
                    });
                });
            }
        }
    }
}

fn loads(criterion: &mut Criterion) {
    let ca = TestCa::root("Bench CA");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), &ca.pem).unwrap();
    let der = ca.list().entries(many_entries(MILLION, random_serial)).sign();
    std::fs::write(folder.path().join("list.crl"), &der).unwrap();
    println!("list of {MILLION} entries: {} octets", der.len());
    drop(der);
    // In a process of its own: the list's making must not count.
    let child =
        std::process::Command::new(std::env::current_exe().unwrap()).env(CHILD, folder.path()).output().unwrap();
    print!("{}", String::from_utf8_lossy(&child.stdout));
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));

    let cas = [configured(folder.path())];
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    group.bench_function("million/der", |bencher| bencher.iter(|| black_box(load(&cas, None, NOW).unwrap())));
    // A file counts as unchanged only when it had settled before it was read.
    let settled = sekisho_runtime::clock::now().plus_seconds(10);
    let loaded = load(&cas, None, settled).unwrap().snapshot;
    group.bench_function("million/unchanged", |bencher| {
        bencher.iter(|| black_box(load(&cas, Some(&loaded), settled).unwrap()));
    });
    group.finish();
}

/// Loads once and prints time and memory.
fn load_once(folder: &Path) {
    let before = resident();
    let start = Instant::now();
    let outcome = load(&[configured(folder)], None, NOW).unwrap();
    let took = start.elapsed();
    let status = &outcome.snapshot.status(NOW)[0];
    println!(
        "load of {} entries: {} ms; index {} octets; VmHWM {} kB, VmRSS {} kB after, {} kB before",
        status.entries,
        took.as_millis(),
        status.index_octets,
        memory("VmHWM:"),
        resident(),
        before
    );
}

fn resident() -> u64 {
    memory("VmRSS:")
}

/// A field of /proc/self/status, in kB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

fn configured(folder: &Path) -> Ca {
    let place = |key: &str| Place { file: "sekisho.toml".into(), line: 1, key: key.to_owned() };
    let file = |name: &str, key: &str| Placed::<PathBuf> { value: folder.join(name), place: place(key) };
    Ca {
        name: "bench".into(),
        place: place("ca[0]"),
        certificate: file("ca.pem", "ca[0].certificate"),
        issued_by: None,
        state: Default::default(),
        revocation: RevocationSource::From(RevocationSources {
            files: vec![file("list.crl", "ca[0].revocation.crl[0]")],
            ..RevocationSources::default()
        }),
        anchor_expiry: AnchorExpiry::Check,
        identity: None,
        contracts: None,
        guidance: Default::default(),
    }
}
