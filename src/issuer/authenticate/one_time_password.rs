//! One-time passwords by time: TOTP (RFC 6238) with HMAC-SHA-1, six digits and thirty seconds, which every authenticator
//! app and token has.

use crate::pki::time::Timestamp;
use totp_rs::{Algorithm, Builder, Secret};
use zeroize::Zeroizing;

/// RFC 4226 section 5.3: six at least.
const DIGITS: u8 = 6;

/// Seconds of a time step (RFC 6238 section 5.2).
const STEP: u64 = 30;

/// Steps before and after the present one that are taken, for the way and the clocks (RFC 6238 section 5.2 recommends
/// one).
const STEPS_ASIDE: u16 = 1;

/// Octets of a seed: RFC 4226 section 4 wants 128 bits at least; more than HMAC-SHA-1's block of 64 would be hashed.
const SEED_OCTETS: std::ops::RangeInclusive<usize> = 16..=64;

/// Nobody's seed: what is computed with where nothing is kept, so that it takes as long.
const NOBODYS: [u8; 20] = [0; 20];

/// A seed from base32 (RFC 4648 section 6), with or without padding, spaces and in either case, as apps show it.
pub(super) fn seed(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let plain: Zeroizing<String> = Zeroizing::new(
        text.chars()
            .filter(|character| !matches!(character, ' ' | '='))
            .map(|character| character.to_ascii_uppercase())
            .collect(),
    );
    let secret = Secret::try_from_base32(plain.as_str()).ok()?;
    let seed = Zeroizing::new(secret.as_bytes().to_vec());
    SEED_OCTETS.contains(&seed.len()).then_some(seed)
}

/// The time step whose one-time password was typed, if there is one among those that are taken. It is not yet used up.
pub(super) fn time_step(seed: Option<&[u8]>, typed: &str, now: Timestamp) -> Option<u64> {
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_step_duration(STEP)
        .with_skew(STEPS_ASIDE)
        .with_secret(seed.unwrap_or(&NOBODYS).to_vec())
        .build()
        .ok()?;
    let step = totp.check(typed, u64::try_from(now.unix()).unwrap_or(0));
    // Nobody's is never right, were it typed.
    seed.and(step)
}
