//! Reference numbers: what a refused customer reads out on the telephone, and what the log is searched for.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Random octets of a reference number: 80 bits make a clash within 10^9 requests less likely than one in a million.
const OCTETS: usize = 10;

/// Numbers that a thread draws at once: one draw costs as much as fifty numbers cost alone, most of it to set up.
const BATCH: usize = 48;

/// Characters of its text: 16 of Crockford's base 32 and three hyphens.
const TEXT: usize = 19;

/// Crockford's base 32: no `I`, `L`, `O` or `U`, which are misread or misheard.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The reference number of one request: `7Q3F-K0ZD-93MX-A1VT`.
///
/// It stands in the refusal page, the access log, the header to the upstream and the assertion's `jti`.
/// It is no secret, but nobody can guess the next one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; TEXT]);

impl RequestId {
    /// A new one, from the process's random generator.
    pub fn generate() -> Self {
        // Without randomness no TLS handshake would have come this far; still, a request must not go unnumbered.
        Self::from_octets(DRAWN.with_borrow_mut(Drawn::next).unwrap_or_else(unguessable_count))
    }

    /// The number whose bits these are.
    pub fn from_octets(octets: [u8; OCTETS]) -> Self {
        let mut bits = octets.iter().fold(0_u128, |bits, octet| bits << 8 | u128::from(*octet)) << 48;
        let mut text = [b'-'; TEXT];
        for place in (0..TEXT).filter(|place| place % 5 != 4) {
            // The uppermost five bits: always below 32.
            text[place] = ALPHABET[(bits >> 123) as usize];
            bits <<= 5;
        }
        Self(text)
    }

    /// Its text: ASCII, safe in a header, a URN and HTML.
    pub fn as_str(&self) -> &str {
        // Only ALPHABET and hyphens were written.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Random octets drawn ahead, each for one number.
struct Drawn {
    numbers: [[u8; OCTETS]; BATCH],
    left: usize,
}

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { numbers: [[0; OCTETS]; BATCH], left: 0 }) };
}

impl Drawn {
    fn next(&mut self) -> Option<[u8; OCTETS]> {
        if self.left == 0 {
            aws_lc_rs::rand::fill(self.numbers.as_flattened_mut()).ok()?;
            self.left = BATCH;
        }
        self.left -= 1;
        self.numbers.get(self.left).copied()
    }
}

/// A count under a keyed hash whose key is random to the process.
fn unguessable_count() -> [u8; OCTETS] {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let (high, low) = (KEY.hash_one((0_u8, count)), KEY.hash_one((1_u8, count)));
    let mut octets = [0; OCTETS];
    octets[..8].copy_from_slice(&high.to_be_bytes());
    octets[8..].copy_from_slice(&low.to_be_bytes()[..2]);
    octets
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_bit_is_in_the_text() {
        assert_eq!(RequestId::from_octets([0; 10]).as_str(), "0000-0000-0000-0000");
        assert_eq!(RequestId::from_octets([0xff; 10]).as_str(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        assert_eq!(RequestId::from_octets([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).as_str(), "0000-0000-0000-0001");
        assert_eq!(RequestId::from_octets([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]).as_str(), "G000-0000-0000-0000");
        let texts: HashSet<_> = (0..80)
            .map(|bit| {
                let mut octets = [0; 10];
                octets[bit / 8] = 1_u8 << (bit % 8);
                RequestId::from_octets(octets)
            })
            .collect();
        assert_eq!(texts.len(), 80);
    }

    #[test]
    fn no_two_requests_have_one_number_even_without_a_random_generator() {
        let numbers: HashSet<_> = (0..10_000).map(|_| RequestId::generate()).collect();
        assert_eq!(numbers.len(), 10_000);
        let counted: HashSet<_> = (0..10_000).map(|_| unguessable_count()).collect();
        assert_eq!(counted.len(), 10_000);
    }

    #[test]
    fn a_number_has_no_character_that_is_misread() {
        for _ in 0..1_000 {
            let text = RequestId::generate().to_string();
            assert_eq!(text.len(), TEXT);
            assert!(text.split('-').all(|group| group.len() == 4), "{text}");
            assert!(!text.contains(['I', 'L', 'O', 'U']) && text.is_ascii(), "{text}");
        }
    }
}
