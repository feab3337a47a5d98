//! RSA moduli that are no product of two secret primes of one size: whoever sees the key has, or soon has, its private
//! half.

use num_bigint::BigUint;

/// Below it every prime is tried as a factor: more than the 752 of CA/Browser Forum BR 6.1.6, and a twentieth of what the
/// request's own signature costs.
const SMALL_PRIMES_BELOW: u32 = 10_000;

/// Rounds of Fermat's factorisation, as BR 6.1.1.3 has them: primes made apart do not come so close.
const FERMAT_ROUNDS: u32 = 100;

/// A prime below [`SMALL_PRIMES_BELOW`] that divides it.
pub(super) fn small_factor(modulus: &[u8]) -> Option<u32> {
    small_primes().find(|prime| remainder(modulus, *prime) == 0)
}

/// What a big-endian number leaves after division by a number below 2^16.
pub(super) fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0, |remainder, byte| ((remainder << 8) | u32::from(*byte)) % divisor.max(1))
}

fn small_primes() -> impl Iterator<Item = u32> {
    let mut composite = vec![false; SMALL_PRIMES_BELOW as usize];
    (2..SMALL_PRIMES_BELOW).filter(move |number| {
        let is_prime = composite.get(*number as usize) == Some(&false);
        if is_prime {
            let multiples = (*number..SMALL_PRIMES_BELOW).step_by(*number as usize);
            multiples.for_each(|multiple| composite.get_mut(multiple as usize).into_iter().for_each(|one| *one = true));
        }
        is_prime
    })
}

/// Returns `true` if it is a prime, as far as Fermat's test to the bases 2 and 3 tells: then everybody can compute the
/// private exponent. No product of two primes that anybody made by chance passes.
pub(super) fn is_prime(modulus: &[u8]) -> bool {
    let modulus = BigUint::from_bytes_be(modulus);
    let one = BigUint::from(1_u32);
    if modulus <= BigUint::from(3_u32) {
        return true;
    }
    let exponent = &modulus - &one;
    [2_u32, 3].iter().all(|base| BigUint::from(*base).modpow(&exponent, &modulus) == one)
}

/// Returns `true` if it is the product of two numbers that are so close that Fermat's factorisation finds them at once.
pub(super) fn has_close_factors(modulus: &[u8]) -> bool {
    let modulus = BigUint::from_bytes_be(modulus);
    let mut middle = modulus.sqrt();
    if &middle * &middle < modulus {
        middle += 1_u32;
    }
    (0..FERMAT_ROUNDS).any(|_| {
        let half_squared = &middle * &middle - &modulus;
        middle += 1_u32;
        let half = half_squared.sqrt();
        &half * &half == half_squared
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[test]
    fn small_primes_are_found_as_factors() {
        assert_eq!(small_primes().take(6).collect::<Vec<_>>(), [2, 3, 5, 7, 11, 13]);
        assert_eq!(small_primes().count(), 1_229);
        for (number, factor) in
            [(67 * 1_000_003, Some(67)), (9_973 * 1_000_003, Some(9_973)), (1_000_003 * 1_000_033, None)]
        {
            assert_eq!(small_factor(&bytes(number)), factor, "{number}");
        }
    }

    #[test]
    fn primes_and_close_primes_are_told_from_products_of_primes_that_are_apart() {
        // The Mersenne primes 2^61-1 and 2^31-1.
        let (long, short) = ((1_u64 << 61) - 1, (1_u64 << 31) - 1);
        assert!(is_prime(&bytes(long)) && !is_prime(&bytes(short * 1_000_003)));
        // 4,294,967,291 and 4,294,967,279 are the largest primes below 2^32.
        let close = 4_294_967_291_u64 * 4_294_967_279;
        assert!(has_close_factors(&bytes(close)) && !is_prime(&bytes(close)));
        assert!(!has_close_factors(&bytes(short * 4_294_967_291)));
        assert!(has_close_factors(&bytes(4_294_967_291_u64 * 4_294_967_291)), "a square");
    }
}
