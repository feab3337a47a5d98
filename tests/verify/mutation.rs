//! Whatever a client sends: no panic, and nothing but the original is accepted.

use crate::pki::verify;
use crate::pki::{CN, NOW, World};
use proptest::prelude::*;
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::SitePolicy;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::name::DistinguishedName;
use sekisho_trust::TrustSnapshot;
use std::sync::{Arc, LazyLock};

struct Fixed {
    trust: Arc<TrustSnapshot>,
    policy: SitePolicy,
    leaf: Vec<u8>,
    issuing: Vec<u8>,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let policy = world.policy(&trust);
    Fixed { policy, trust, leaf: issuing.leaf(CN).der.to_vec(), issuing: issuing.der.to_vec() }
});

/// Octets flipped, removed, inserted or cut at places of the generator's choice.
fn mutate(original: &[u8], changes: &[(u8, usize, u8)]) -> Vec<u8> {
    let mut octets = original.to_vec();
    for (kind, place, value) in changes {
        let place = place % (octets.len() + 1);
        match kind % 4 {
            0 if place < octets.len() => octets[place] = *value,
            1 if place < octets.len() => drop(octets.remove(place)),
            2 => octets.insert(place, *value),
            _ => octets.truncate(place.max(1)),
        }
    }
    octets
}

fn changes() -> impl Strategy<Value = Vec<(u8, usize, u8)>> {
    // Cutting (3) is rare, so that most changes are inside a whole certificate.
    let kind = prop_oneof![8 => 0..3_u8, 1 => Just(3)];
    prop::collection::vec((kind, 0..2000_usize, any::<u8>()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_leaf_never_panics_and_is_never_accepted(changes in changes()) {
        let leaf = mutate(&FIXED.leaf, &changes);
        let chain = [CertificateDer::from(leaf.clone()), CertificateDer::from(FIXED.issuing.clone())];
        let decision = verify(&chain, &FIXED.policy, &FIXED.trust, None, NOW);
        prop_assert_eq!(decision.is_ok(), leaf == FIXED.leaf, "{:?}", decision);
    }

    #[test]
    fn a_mutated_issuing_ca_never_panics(changes in changes()) {
        let issuing = mutate(&FIXED.issuing, &changes);
        let chain = [CertificateDer::from(FIXED.leaf.clone()), CertificateDer::from(issuing)];
        let _ = verify(&chain, &FIXED.policy, &FIXED.trust, None, NOW);
    }

    #[test]
    fn any_octets_parse_or_are_refused(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(certificate) = Certificate::parse(&octets) {
            prop_assert_eq!(certificate.der().as_ref(), &octets[..]);
        }
        if let Ok(name) = DistinguishedName::parse(&octets) {
            let _ = name.to_string();
        }
    }
}
