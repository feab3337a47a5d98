//! Points in time, to the second, as RFC 5280 section 4.1.2.5 has them.

use std::fmt::{self, Write as _};

/// Seconds since 1970-01-01T00:00:00Z, possibly negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(into = "String")]
pub struct Timestamp(i64);

/// Seconds in a day.
const DAY: i64 = 86_400;

impl Timestamp {
    /// A timestamp from seconds since the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// From RFC 3339 in UTC, to the second, as [`fmt::Display`] writes it; `None` for another form or a date that does
    /// not exist.
    pub fn from_rfc_3339(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(time, ':')?;
        if !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let time = Self(days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second);
        // A day that does not exist, and missing digits, come back as another text.
        (time.to_string() == text).then_some(time)
    }

    /// Seconds since the Unix epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This time and `seconds` more; saturates.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The same time of day `years` later; 29 February becomes 28 February where the year has none.
    pub fn plus_years(self, years: i64) -> Self {
        let (days, second_of_day) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        let later = days_from_civil(year.saturating_add(years), month, day);
        // A day that does not exist is counted on into March.
        let later = if civil_from_days(later).2 == day { later } else { later - 1 };
        Self(later.saturating_mul(DAY).saturating_add(second_of_day))
    }

    /// The last second of its day in UTC: 23:59:59.
    pub const fn end_of_day(self) -> Self {
        Self(self.0.div_euclid(DAY).saturating_mul(DAY).saturating_add(DAY - 1))
    }

    /// Whole days from `self` until `later`, rounded down; negative once `later` has passed.
    pub const fn days_until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0).div_euclid(DAY)
    }

    /// The moment as rustls and webpki take it; times before 1970 read as 1970.
    pub fn to_unix_time(self) -> rustls::pki_types::UnixTime {
        rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            u64::try_from(self.0).unwrap_or(0),
        ))
    }
}

impl From<Timestamp> for String {
    fn from(value: Timestamp) -> Self {
        value.to_string()
    }
}

/// RFC 3339 in UTC: `2026-11-22T01:31:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second_of_day) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        if !(0..=9999).contains(&year) {
            return write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        }
        // Several for each connection: padding by the formatter costs ten times as much.
        let parts =
            [(year / 100, ""), (year % 100, "-"), (month, "-"), (day, "T"), (hour, ":"), (minute, ":"), (second, "Z")];
        parts.into_iter().try_for_each(|(value, after)| {
            f.write_char(digit(value / 10))?;
            f.write_char(digit(value % 10))?;
            f.write_str(after)
        })
    }
}

fn digit(value: i64) -> char {
    u32::try_from(value).ok().and_then(|value| char::from_digit(value, 10)).unwrap_or('?')
}

/// The proleptic Gregorian date of a day number, counted from 1970-01-01.
///
/// Eras of 400 years and years that begin in March, so that the leap day is last:
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day number of a proleptic Gregorian date, counted from 1970-01-01; the same source.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Three numbers of up to four digits.
fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        (part.len() <= 4 && part.bytes().all(|octet| octet.is_ascii_digit())).then(|| part.parse::<i64>().ok())?
    });
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_311_060, "2026-11-22T01:31:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_unix(seconds).to_string(), text);
        }
    }

    #[test]
    fn rfc_3339_reads_back_and_nothing_else_does() {
        for seconds in [0, 951_782_400, 1_780_272_000, 1_795_311_060, -1, 253_402_300_799] {
            let time = Timestamp::from_unix(seconds);
            assert_eq!(Timestamp::from_rfc_3339(&time.to_string()), Some(time));
        }
        for wrong in [
            "",
            "2026-06-01",
            "2026-06-01T00:00:00",
            "2026-06-01T00:00:00+00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-06-01T24:00:00Z",
            "2026-06-01T00:00:60Z",
            "2026-6-1T0:0:0Z",
            "2026-06-00T00:00:00Z",
            "2026-06-01T00:00:00.5Z",
            "-001-06-01T00:00:00Z",
            "2026-06-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::from_rfc_3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_year_later_is_the_same_day_or_the_last_of_february() {
        for (from, to) in [
            ("2022-10-01T12:00:00Z", "2023-10-01T12:00:00Z"),
            ("2023-03-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2024-02-29T01:02:03Z", "2025-02-28T01:02:03Z"),
            ("2023-12-31T23:59:59Z", "2024-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_rfc_3339(from).unwrap().plus_years(1).to_string(), to);
        }
        let leap = Timestamp::from_rfc_3339("2024-02-29T01:02:03Z").unwrap();
        assert_eq!(leap.plus_years(4).to_string(), "2028-02-29T01:02:03Z");
        assert_eq!(leap.end_of_day().to_string(), "2024-02-29T23:59:59Z");
        assert_eq!(leap.end_of_day().end_of_day(), leap.end_of_day());
    }

    #[test]
    fn days_left_round_down_and_go_below_zero() {
        let now = Timestamp::from_unix(1_000_000);
        assert_eq!(now.days_until(now.plus_seconds(DAY - 1)), 0);
        assert_eq!(now.days_until(now.plus_seconds(DAY)), 1);
        assert_eq!(now.days_until(now.plus_seconds(-1)), -1);
    }
}
