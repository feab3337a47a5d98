//! Reference numbers of requests: in the answer, in the logs and in the audit log.

use aws_lc_rs::rand;
use std::sync::Arc;

/// Crockford's base 32: no `I`, `L`, `O` or `U`, which are misread or misheard on the telephone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A new one, as the gateway's: `7Q3F-K0ZD-93MX-A1VT`, 80 random bits.
///
/// `None` without randomness: then nothing can be done safely at all.
pub(super) fn generate() -> Option<Arc<str>> {
    let mut octets = [0_u8; 16];
    rand::fill(&mut octets).ok()?;
    let mut text = String::with_capacity(19);
    for (place, octet) in octets.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        let index = usize::from(octet & 31);
        text.push(ALPHABET.get(index).map_or('0', |letter| char::from(*letter)));
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_requests_have_one_number() {
        let numbers: HashSet<_> = (0..1_000).map(|_| generate().unwrap()).collect();
        assert_eq!(numbers.len(), 1_000);
        for number in numbers {
            assert!(number.len() == 19 && number.split('-').all(|group| group.len() == 4), "{number}");
        }
    }
}
