//! One-time passwords by time: TOTP (RFC 6238) with HMAC-SHA-1, six digits and thirty seconds, which every authenticator
//! app and token has.

use sekisho_pki::time::Timestamp;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed of RFC 6238 appendix B.
    const SEED: &[u8] = b"12345678901234567890";

    #[test]
    fn the_test_vectors_of_rfc_6238_are_right_in_their_step() {
        // Appendix B has eight digits; six are the last of them (RFC 4226 section 5.3: modulo 10^digits).
        for (seconds, step, password) in [
            (59, 0x1, "94287082"),
            (1_111_111_109, 0x0235_23ec, "07081804"),
            (1_111_111_111, 0x0235_23ed, "14050471"),
            (1_234_567_890, 0x0273_ef07, "89005924"),
            (2_000_000_000, 0x03f9_40aa, "69279037"),
            (20_000_000_000, 0x27bc_86aa, "65353130"),
        ] {
            assert_eq!(time_step(Some(SEED), &password[2..], Timestamp::from_unix(seconds)), Some(step), "{seconds}");
        }
    }

    #[test]
    fn the_step_before_and_after_are_taken_and_no_other() {
        // 94287082 is that of the seconds 30 to 59.
        for (seconds, expected) in
            [(0, Some(1)), (29, Some(1)), (60, Some(1)), (89, Some(1)), (90, None), (-1, Some(1))]
        {
            assert_eq!(time_step(Some(SEED), "287082", Timestamp::from_unix(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn what_is_not_six_digits_is_wrong() {
        for typed in ["", "28708", "2870820", "94287082", "+28708", " 28708", "287082 ", "２８７０８２", "28708\0"]
        {
            assert_eq!(time_step(Some(SEED), typed, Timestamp::from_unix(59)), None, "{typed}");
        }
    }

    #[test]
    fn nobodys_one_time_password_is_never_right() {
        let nobodys =
            Builder::new().with_digits(6).with_secret(NOBODYS.to_vec()).build().unwrap().generate(59).to_string();
        assert_eq!(time_step(Some(&NOBODYS), &nobodys, Timestamp::from_unix(59)), Some(1));
        assert_eq!(time_step(None, &nobodys, Timestamp::from_unix(59)), None);
    }

    #[test]
    fn a_seed_is_base32_of_128_bits_or_more() {
        let base32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for text in [base32, &base32.to_lowercase(), "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"] {
            assert_eq!(seed(text).unwrap().as_slice(), SEED, "{text}");
        }
        assert_eq!(seed("GEZDGNBVGY3TQOJQGEZDGNBVGY======").unwrap().len(), 16);
        for text in ["", "GEZDGNBVGY3TQOJQGEZDGNBV", "GEZDGNBVGY3TQOJQ1018", "not base32!", &"A".repeat(8 * 13)] {
            assert!(seed(text).is_none(), "{text}");
        }
    }
}
