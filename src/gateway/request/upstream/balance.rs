//! Which of the peers that may serve a request gets it. Pure: health and leases are the pool's.

use sekisho_config as config;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pool's way to balance.
#[derive(Debug)]
pub(super) enum Balancer {
    /// Turns, in proportion to the weights of the peers there are at the moment.
    RoundRobin(AtomicUsize),
    /// The fewest requests under way for its weight.
    LeastConnections,
    /// Weighted rendezvous hashing: each peer draws a lot for the key and the highest wins, so that a peer which goes
    /// takes only its own keys with it. It needs no ring, and a Unix socket draws as well as an address does.
    ConsistentHash,
}

/// What a consistent hash goes by.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) enum Key<'a> {
    /// The contract ID.
    Contract(&'a str),
    /// The client's address, for a request without one.
    Address(IpAddr),
}

/// A peer as seen by a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its place in the pool.
    pub(super) index: usize,
    pub(super) weight: usize,
    pub(super) in_flight: usize,
    /// [`hash`] of its address.
    pub(super) seed: u64,
}

impl Balancer {
    pub(super) fn new(balance: config::Balance) -> Self {
        match balance {
            config::Balance::RoundRobin => Self::RoundRobin(AtomicUsize::new(0)),
            config::Balance::LeastConnections => Self::LeastConnections,
            config::Balance::ConsistentHash => Self::ConsistentHash,
        }
    }

    /// One of the candidates; none when there are none.
    pub(super) fn choose(&self, candidates: &[Candidate], key: Key<'_>) -> Option<Candidate> {
        match self {
            Self::RoundRobin(turn) => in_turn(candidates, turn.fetch_add(1, Ordering::Relaxed)),
            Self::LeastConnections => candidates.iter().copied().min_by(|one, other| {
                // Compared as fractions of the weight, without dividing.
                (one.in_flight * other.weight).cmp(&(other.in_flight * one.weight))
            }),
            Self::ConsistentHash => {
                let key = key.hash();
                candidates.iter().copied().max_by(|one, other| lot(one, key).total_cmp(&lot(other, key)))
            }
        }
    }
}

impl Key<'_> {
    fn hash(self) -> u64 {
        match self {
            Self::Contract(contract) => hash(contract.as_bytes()),
            Self::Address(IpAddr::V4(address)) => hash(&address.octets()),
            Self::Address(IpAddr::V6(address)) => hash(&address.octets()),
        }
    }
}

/// FNV-1a, 64 bits: the same on every gateway and in every release, which the standard library's hasher does not promise.
pub(super) fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}

/// The candidate whose turn it is: turn numbers are dealt out, a peer of weight 2 having two in each round.
fn in_turn(candidates: &[Candidate], turn: usize) -> Option<Candidate> {
    let total = candidates.iter().map(|candidate| candidate.weight).sum::<usize>();
    let mut place = turn.checked_rem(total)?;
    for candidate in candidates {
        match place.checked_sub(candidate.weight) {
            None => return Some(*candidate),
            Some(rest) => place = rest,
        }
    }
    None
}

/// `-weight / ln(u)` with u uniform in (0, 1): the highest of several is each one's with probability proportional to
/// its weight (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005).
#[expect(clippy::cast_precision_loss, reason = "52 bits of the hash and weights up to 1000 are exact")]
fn lot(candidate: &Candidate, key: u64) -> f64 {
    let uniform = ((mix(candidate.seed ^ mix(key)) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -(candidate.weight as f64) / uniform.ln()
}

/// The finaliser of MurmurHash3, 64 bits: FNV-1a alone leaves keys that differ in their last octet close together.
const fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn candidates(weights: &[usize]) -> Vec<Candidate> {
        let peer = |(index, weight): (usize, &usize)| Candidate {
            index,
            weight: *weight,
            in_flight: 0,
            seed: hash(format!("10.0.0.{index}:8080").as_bytes()),
        };
        weights.iter().enumerate().map(peer).collect()
    }

    fn contract(number: usize) -> String {
        format!("{number:011}")
    }

    fn shares(balancer: &Balancer, candidates: &[Candidate], requests: usize) -> HashMap<usize, usize> {
        let mut shares = HashMap::new();
        for number in 0..requests {
            let chosen = balancer.choose(candidates, Key::Contract(&contract(number))).unwrap();
            *shares.entry(chosen.index).or_default() += 1;
        }
        shares
    }

    #[test]
    fn turns_follow_the_weights_exactly_and_a_missing_peer_leaves_its_share_to_all_others() {
        let balancer = Balancer::new(config::Balance::RoundRobin);
        let all = candidates(&[1, 2, 3]);
        assert_eq!(shares(&balancer, &all, 60), HashMap::from([(0, 10), (1, 20), (2, 30)]));
        assert_eq!(shares(&balancer, &all[..2], 60), HashMap::from([(0, 20), (1, 40)]));
    }

    #[test]
    fn the_least_busy_for_its_weight_is_chosen() {
        let balancer = Balancer::new(config::Balance::LeastConnections);
        let mut all = candidates(&[1, 3]);
        (all[0].in_flight, all[1].in_flight) = (1, 2);
        assert_eq!(balancer.choose(&all, Key::Contract("")).unwrap().index, 1);
        all[1].in_flight = 4;
        assert_eq!(balancer.choose(&all, Key::Contract("")).unwrap().index, 0);
    }

    #[test]
    fn a_contract_stays_with_its_peer_and_one_that_goes_takes_only_its_own() {
        let balancer = Balancer::new(config::Balance::ConsistentHash);
        let all = candidates(&[1, 1, 1, 1]);
        let rest: Vec<_> = all.iter().copied().filter(|peer| peer.index != 2).collect();
        for number in 0..5_000 {
            let contract = contract(number);
            let chosen = |from: &[Candidate]| balancer.choose(from, Key::Contract(&contract)).unwrap().index;
            let home = chosen(&all);
            assert_eq!(chosen(&all), home);
            assert!(home == 2 || chosen(&rest) == home, "contract {contract} moved though its peer is there");
        }
    }

    #[test]
    fn contracts_spread_by_weight_also_when_their_numbers_follow_each_other() {
        let balancer = Balancer::new(config::Balance::ConsistentHash);
        let shares = shares(&balancer, &candidates(&[1, 1, 2]), 8_000);
        for (index, expected) in [(0, 2_000), (1, 2_000), (2, 4_000)] {
            // Four standard deviations of a binomial are 180.
            assert!(shares[&index].abs_diff(expected) < 180, "{shares:?}");
        }
    }

    #[test]
    fn nobody_is_chosen_among_none() {
        for balance in [config::Balance::RoundRobin, config::Balance::LeastConnections, config::Balance::ConsistentHash]
        {
            assert_eq!(Balancer::new(balance).choose(&[], Key::Address([127, 0, 0, 1].into())), None);
        }
    }
}
