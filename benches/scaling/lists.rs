//! Revoked certificates: loading their list, the memory of its index, looking a serial number up.

use super::certificates::Sequence;
use super::measure::cpu;
use super::measure::results::{Results, thousands};
use super::revocation::{NOW, TestCa, many_entries, random_serial};
use super::{short, steps};
use sekisho_pki::serial::SerialNumber;
use sekisho_trust::{ListParts, Question, TrustSnapshot};

/// Look-ups that are measured.
const LOOKUPS: usize = 200_000;

/// Serial numbers that are asked about: more than any processor's cache holds of the index.
const ASKED: usize = 50_000;

/// Beyond all that are revoked.
const NEVER_REVOKED: usize = 1_000_000_000;

pub fn run(greatest: usize, results: &mut Results) {
    results.table(
        "Revoked certificates on one list (serial numbers of 20 octets): CPU time",
        &[
            "revoked",
            "list, octets",
            "read, checked and indexed",
            "index, octets",
            "each",
            "look-up, revoked",
            "look-up, good",
        ],
    );
    let ca = TestCa::root("Bench CA");
    let key = ca.certificate.authority_key();
    for count in steps(&[10, 1_000, 100_000, 1_000_000], greatest) {
        let der = ca.list().entries(many_entries(count, random_serial)).sign();
        let load = |_: usize| {
            let list = ListParts { file: "bench".into(), der: &der };
            TrustSnapshot::from_parts(&[ca.parts("bench", None)], &[list], None, NOW).unwrap().snapshot
        };
        let loads = (1_000_000 / count).clamp(1, 100);
        let loading = cpu::each(loads, load);
        let snapshot = load(0);
        let octets = snapshot.status(NOW)[0].index_octets;
        let mut place = Sequence::default();
        let mut serials = |first: usize| -> Vec<SerialNumber> {
            let mut serial = |_| random_serial(first + place.next() % count);
            (0..ASKED).map(|index| SerialNumber::from_der_content(&serial(index)).unwrap()).collect()
        };
        let [revoked, good] = [serials(0), serials(NEVER_REVOKED)].map(|serials| {
            let ask = |index: usize| snapshot.revocation(&Question::client(&key, &serials[index % ASKED]), NOW);
            cpu::each(ASKED, ask);
            cpu::each(LOOKUPS, ask)
        });
        results.row(&[
            thousands(count),
            thousands(der.len()),
            format!("{:.2} ms", loading.as_secs_f64() * 1e3),
            thousands(octets),
            format!("{:.1}", octets as f64 / count as f64),
            short(revoked),
            short(good),
        ]);
    }
}
