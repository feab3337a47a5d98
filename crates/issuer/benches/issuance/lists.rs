//! Lists by the number of revoked certificates: CPU time of one thread, no disk and no database.

use super::Sizes;
use super::bank::authorities;
use super::measure::cpu;
use super::measure::results::{Results, thousands};
use sekisho_ca::crl::{Due, PartCount, PartIndex, Reason, RevocationRegister, Revoked};
use sekisho_ca::serial;
use sekisho_runtime::clock;

/// Lists that are made of each size.
const LISTS: usize = 5;

pub fn run(sizes: &Sizes, results: &mut Results) {
    results.table(
        "A full list made and signed, CPU time",
        &[
            "revoked",
            "entries encoded, ms",
            "list, ms",
            "one more and the list again, ms",
            "delta of one, ms",
            "octets",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    // One part: the longest list that there can be.
    let parts = PartCount::new(1).unwrap();
    let authorities = authorities(folder.path(), parts);
    let authority = &authorities.named("hokugin").unwrap().authority;
    for revoked in [10, 1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|count| *count <= sizes.revoked) {
        let part = PartIndex::all(parts).next().unwrap();
        let now = clock::now();
        let due = Due { this_update: now, next_update: now.plus_seconds(86_400) };
        let entry = |_: usize| Revoked {
            serial: serial::random().unwrap(),
            at: now,
            reason: Reason::KeyCompromise,
            not_after: now.plus_seconds(31_536_000),
        };
        let entries: Vec<Revoked> = (0..revoked + 2 * LISTS).map(entry).collect();
        let mut register = RevocationRegister::new(parts);
        let encoded = cpu::each(1, |_| {
            for entry in entries.iter().take(revoked) {
                register.revoke(entry).unwrap();
            }
        });
        let mut octets = 0;
        let whole = cpu::each(LISTS, |_| {
            octets = register.sign_full(authority, part, due).unwrap().der.len();
        });
        let again = cpu::each(LISTS, |index| {
            register.revoke(&entries[revoked + index]).unwrap();
            register.sign_full(authority, part, due).unwrap()
        });
        let delta = cpu::each(LISTS, |index| {
            register.revoke(&entries[revoked + LISTS + index]).unwrap();
            let number = register.next_number(part).unwrap();
            register.delta(authority, part, number, due).unwrap().sign(authority).unwrap()
        });
        let milliseconds = [encoded, whole, again, delta].map(|spent| format!("{:.2}", spent.as_secs_f64() * 1e3));
        results.row(&[&[thousands(revoked)][..], &milliseconds, &[thousands(octets)]].concat());
    }
}
