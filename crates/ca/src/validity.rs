//! Validity periods (RFC 5280 section 4.1.2.5): one year, ended to the second or with the day.

use sekisho_pki::time::Timestamp;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// First and last valid second, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

/// How the end of a certificate is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the second of the acquisition, a year later.
    ToTheSecond,
    /// To 23:59:59 UTC of that day: 08:59:59 in Japan, as BizSOL shows it.
    EndOfDay,
}

impl Validity {
    /// One calendar year from `now`; of 29 February, to 28 February.
    pub fn one_year(now: Timestamp, rounding: Rounding) -> Self {
        Self::years(now, 1, rounding)
    }

    /// `years` calendar years from `now`.
    pub fn years(now: Timestamp, years: u16, rounding: Rounding) -> Self {
        let later = plus_years(now, years);
        let not_after = match rounding {
            Rounding::ToTheSecond => later,
            Rounding::EndOfDay => Timestamp::from_unix(later.unix().div_euclid(DAY) * DAY + DAY - 1),
        };
        Self { not_before: now, not_after }
    }

    /// The same, of which the first `seconds` lie before now: for gateways whose clocks are behind.
    #[must_use]
    pub const fn backdated(self, seconds: u32) -> Self {
        Self { not_before: self.not_before.plus_seconds(-(seconds as i64)), ..self }
    }
}

/// The same date and time of day in a later year.
fn plus_years(at: Timestamp, years: u16) -> Timestamp {
    let text = at.to_string();
    let later = text.split_once('-').and_then(|(year, rest)| {
        let year = year.parse::<u32>().ok()? + u32::from(years);
        let same = Timestamp::from_rfc_3339(&format!("{year:04}-{rest}"));
        // Only 29 February does not exist in every year.
        same.or_else(|| Timestamp::from_rfc_3339(&format!("{year:04}-{}", rest.replacen("02-29", "02-28", 1))))
    });
    // Beyond the year 9999, where certificates end.
    later.unwrap_or(Timestamp::from_unix(253_402_300_799))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_ends_to_the_second_or_with_the_day() {
        for (now, rounding, expected) in [
            ("2026-11-22T03:00:01Z", Rounding::ToTheSecond, "2027-11-22T03:00:01Z"),
            ("2026-11-22T03:00:01Z", Rounding::EndOfDay, "2027-11-22T23:59:59Z"),
            // 2010-12-01 08:59:59 in Japan.
            ("2009-11-30T00:00:00Z", Rounding::EndOfDay, "2010-11-30T23:59:59Z"),
            ("2026-11-22T23:59:59Z", Rounding::EndOfDay, "2027-11-22T23:59:59Z"),
            ("2028-02-29T12:00:00Z", Rounding::ToTheSecond, "2029-02-28T12:00:00Z"),
            ("2027-03-01T12:00:00Z", Rounding::ToTheSecond, "2028-03-01T12:00:00Z"),
        ] {
            let now = Timestamp::from_rfc_3339(now).unwrap();
            let validity = Validity::one_year(now, rounding);
            assert_eq!((validity.not_before, validity.not_after.to_string().as_str()), (now, expected));
        }
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        let now = Timestamp::from_rfc_3339("9999-06-01T00:00:00Z").unwrap();
        assert_eq!(Validity::one_year(now, Rounding::EndOfDay).not_after.to_string(), "9999-12-31T23:59:59Z");
    }
}
