//! What a million revoked certificates take, in one list or in parts with deltas, and that replaced lists are freed
//! (requirement R3).

use crate::revocation::*;
use crate::support::*;
use sekisho_trust::{Revocation, RevocationList};
use std::sync::{Arc, Weak};

const MILLION: usize = 1_000_000;

fn uri(part: usize) -> String {
    format!("http://crl.example.jp/{part}.crl")
}

fn lists_of(loaded: &Loaded) -> Vec<Weak<RevocationList>> {
    let authority = loaded.snapshot.authority_named("a").unwrap();
    let Revocation::Lists(lists) = authority.revocation() else { panic!("it has lists") };
    lists.all().map(Arc::downgrade).collect()
}

#[test]
fn a_million_in_sixteen_parts_with_deltas_takes_25_megabytes() {
    let ca = TestCa::root("A");
    let entries = |first: usize, count: usize| many_entries(count, |place| random_serial(first + place));
    let in_part = (MILLION - 16 * 1_000) / 16;
    let mut lists = Vec::new();
    for part in 0..16 {
        let first = part * MILLION / 16;
        lists.push(ca.list().number(5).at_point(&uri(part)).entries(entries(first, in_part)).sign());
        let delta = ca.list().number(6).at_point(&uri(part)).delta(5);
        lists.push(delta.entries(entries(first + in_part, 1_000)).sign());
    }
    let loaded = load(&ca, &lists.iter().map(Vec::as_slice).collect::<Vec<_>>(), None);
    assert_eq!(loaded.alarms, []);
    let status = loaded.status();
    assert_eq!((status.entries, status.lists.len()), (MILLION, 32));
    assert!(status.index_octets <= 25 * MILLION, "{}", status.index_octets);
}

#[test]
fn no_list_outlives_the_snapshot_that_replaced_it() {
    let ca = TestCa::root("A");
    let list = |number: u64, delta: Option<u64>, part: usize| {
        let builder = ca.list().number(number).this_update(NOW.plus_seconds(number as i64 - DAY)).at_point(&uri(part));
        let builder = builder.entries(many_entries(500, random_serial));
        match delta {
            Some(base) => builder.delta(base).sign(),
            None => builder.sign(),
        }
    };
    let mut loaded: Option<Loaded> = None;
    let mut replaced: Vec<Weak<RevocationList>> = Vec::new();
    let mut octets = Vec::new();
    let mut full = Vec::new();
    for swap in 0..100_u64 {
        // The base moves every other time, its delta every time; a delta that cannot be combined comes now and then.
        let base = 10 + swap / 2 * 10;
        let beyond = if swap % 10 == 9 { 5 } else { 0 };
        if swap % 2 == 0 {
            full = [0, 1].map(|part| list(base, None, part)).into();
        }
        let deltas = [0, 1].map(|part| list(base + 1 + swap % 2 + beyond, Some(base + beyond), part));
        let lists: Vec<&[u8]> = full.iter().chain(&deltas).map(Vec::as_slice).collect();
        let now = load(&ca, &lists, loaded.as_ref());
        if let Some(before) = loaded.replace(now) {
            replaced.extend(lists_of(&before));
        }
        octets.push(loaded.as_ref().unwrap().status().index_octets);
    }
    let in_force = lists_of(loaded.as_ref().unwrap());
    let still = |list: &Weak<RevocationList>| in_force.iter().any(|one| one.ptr_eq(list));
    let alive: Vec<_> = replaced.iter().filter(|list| list.strong_count() > 0 && !still(list)).collect();
    assert!(replaced.len() >= 396, "{}", replaced.len());
    assert_eq!(alive.len(), 0, "lists that are in force no more and in memory still");
    let (least, most) = (octets.iter().min().unwrap(), octets.iter().max().unwrap());
    assert!(*most <= least * 3 / 2, "{least} to {most} octets");
}

/// Set in the process that measures its own memory: other tests' is not in it.
const MEASURING: &str = "SEKISHO_TEST_MEASURES_MEMORY";

/// The gateway reads files: nothing that it keeps of them grows either.
#[test]
fn a_hundred_swaps_of_files_leave_the_process_as_large_as_it_was() {
    if std::env::var_os(MEASURING).is_some() {
        return swap_a_hundred_files();
    }
    let this = ["--exact", "memory::a_hundred_swaps_of_files_leave_the_process_as_large_as_it_was"];
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(this).env(MEASURING, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn swap_a_hundred_files() {
    let ca = TestCa::root("A");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.pem"), &ca.pem).unwrap();
    let cas = [configured(folder.path())];
    let entries = many_entries(100_000, random_serial);
    let mut snapshot = None;
    let mut sizes = Vec::new();
    for swap in 0..100 {
        let list = ca.list().number(swap + 1).this_update(NOW.plus_seconds(swap as i64 - DAY)).entries(entries.clone());
        std::fs::write(folder.path().join("lists").join("a.crl"), list.sign()).unwrap();
        let outcome = sekisho_trust::load(&cas, snapshot.as_deref(), NOW).unwrap();
        assert_eq!(outcome.snapshot.status(NOW)[0].crl_number, Some((swap + 1).to_string()));
        snapshot = Some(outcome.snapshot);
        sizes.push(resident_octets());
    }
    let index = snapshot.unwrap().status(NOW)[0].index_octets;
    let (early, late) = (sizes[20..30].iter().max().unwrap(), sizes[90..].iter().min().unwrap());
    // Seventy lists that stayed would be seventy times this.
    assert!(*late <= early + 2 * index, "{early} octets at first, {late} at last, an index has {index}");
}

fn configured(folder: &std::path::Path) -> sekisho_config::Ca {
    use sekisho_config::{AnchorExpiry, Ca, Placed, RevocationSource, RevocationSources};
    let placed = |name: &str| Placed { value: folder.join(name), place: Default::default() };
    std::fs::create_dir(folder.join("lists")).unwrap();
    Ca {
        name: "a".into(),
        place: Default::default(),
        certificate: placed("a.pem"),
        issued_by: None,
        state: Default::default(),
        revocation: RevocationSource::From(RevocationSources {
            files: vec![placed("lists")],
            ..RevocationSources::default()
        }),
        anchor_expiry: AnchorExpiry::Check,
        identity: None,
        contracts: None,
        guidance: Default::default(),
    }
}

/// What this process takes of the machine's memory.
fn resident_octets() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
