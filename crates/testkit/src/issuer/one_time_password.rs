//! A user's token: time-based one-time passwords (RFC 6238), SHA-1, six digits, 30 seconds.

use aws_lc_rs::hmac;
use sekisho_pki::time::Timestamp;

/// The seed of every demo user, in base32 and as octets.
pub(super) const SEED: (&str, &[u8; 20]) = ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", b"12345678901234567890");

/// Seconds of a step.
const STEP: i64 = 30;

/// What the token shows at that moment.
pub(super) fn at(moment: Timestamp) -> String {
    let step = u64::try_from(moment.unix() / STEP).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SEED.1);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let octets = tag.as_ref();
    // RFC 4226 section 5.3: dynamic truncation.
    let offset = usize::from(octets.last().copied().unwrap_or_default() & 0xf);
    let four = octets.get(offset..offset + 4).unwrap_or(&[0; 4]);
    let value = four.iter().fold(0_u32, |value, octet| (value << 8) | u32::from(*octet)) & 0x7fff_ffff;
    format!("{:06}", value % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_the_rfc_says() {
        // RFC 6238 appendix B, the last six of its eight digits.
        for (second, expected) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(at(Timestamp::from_unix(second)), expected);
        }
    }
}
