//! One kind of value each: what is accepted, and what the message says otherwise.

use super::reader::{Item, show};
use super::types::Placed;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// `true` or `false`.
pub fn boolean(item: &Item<'_>) -> Option<bool> {
    let value = item.value.as_bool();
    if value.is_none() {
        item.refuse_type("a boolean", "true or false");
    }
    value
}

/// Text that is not empty and has no control characters.
pub fn text(item: &Item<'_>) -> Option<String> {
    let Some(text) = item.as_str() else {
        item.refuse_type("a text", "it in double quotes");
        return None;
    };
    if text.is_empty() {
        item.refuse("is empty; write a text, or leave the key out");
        return None;
    }
    if text.chars().any(char::is_control) {
        item.refuse(format!("{} has a control character in it", show(item.value)));
        return None;
    }
    Some(text.to_owned())
}

/// A short name for logs and metric labels: ASCII letters, digits, `.`, `_` and `-`.
pub fn name(item: &Item<'_>) -> Option<String> {
    /// Metric labels and log fields stay readable.
    const LONGEST_NAME: usize = 64;
    let text = text(item)?;
    let fits = text.len() <= LONGEST_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if !fits {
        let right = format!("1 to {LONGEST_NAME} of A-Z a-z 0-9 . _ -");
        item.refuse_type("a name", &right);
        return None;
    }
    Some(text)
}

/// A path, joined to the configuration file's folder.
pub fn path(item: &Item<'_>) -> Option<PathBuf> {
    text(item).map(|path| item.document.join(&path))
}

/// A path with its place, for the errors of whoever opens it.
pub fn placed_path(item: &Item<'_>) -> Option<Placed<PathBuf>> {
    Some(Placed { value: path(item)?, place: item.place.clone() })
}

/// A value with its place.
pub fn placed<T>(item: &Item<'_>, value: T) -> Placed<T> {
    Placed { value, place: item.place.clone() }
}

/// A list, each element read by `read`; the elements that are right.
pub fn list<'d, T>(item: &Item<'d>, read: impl FnMut(&Item<'d>) -> Option<T>) -> Option<Vec<T>> {
    let Some(elements) = item.elements() else {
        let right = match item.as_str() {
            Some(_) => format!("[{}]", show(item.value)),
            None => "[…]".to_owned(),
        };
        item.refuse_type("a list", &right);
        return None;
    };
    Some(elements.iter().filter_map(read).collect())
}

/// A list of at least one element; `why` says what an empty one would mean.
pub fn some_of<'d, T>(item: &Item<'d>, why: &str, read: impl FnMut(&Item<'d>) -> Option<T>) -> Option<Vec<T>> {
    if item.elements().is_some_and(|elements| elements.is_empty()) {
        item.refuse(format!("is an empty list; {why}"));
        return None;
    }
    list(item, read)
}

/// A word out of a few, each with what it stands for.
pub fn one_of<T: Copy>(item: &Item<'_>, what: &str, answers: &[(&str, T)]) -> Option<T> {
    let found = item.as_str().and_then(|text| answers.iter().find(|(word, _)| *word == text));
    if found.is_none() {
        item.refuse_type(what, &choices(answers.iter().map(|(word, _)| *word)));
    }
    found.map(|(_, answer)| *answer)
}

/// `"a", "b" or "c"`.
pub fn choices<'t>(words: impl Iterator<Item = &'t str>) -> String {
    let mut words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

/// A whole number in a range.
pub fn integer<T>(item: &Item<'_>, range: RangeInclusive<T>) -> Option<T>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    let right = format!("{} to {}", range.start(), range.end());
    let Some(number) = item.value.as_integer() else {
        item.refuse_type("a whole number", &right);
        return None;
    };
    let value = i128::from_str_radix(number.as_str(), number.radix()).ok().and_then(|number| T::try_from(number).ok());
    let value = value.filter(|value| range.contains(value));
    if value.is_none() {
        item.refuse(format!("{} is out of range; write {right}", show(item.value)));
    }
    value
}

/// A duration in a range: `"500ms"`, `"10s"`, `"5m"`, `"6h"`, `"7d"`.
pub fn duration(item: &Item<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
    let Some(duration) = item.as_str().and_then(parse_duration) else {
        item.refuse_type(
            "a duration",
            "a whole number and its unit in quotes: \"500ms\", \"10s\", \"5m\", \"6h\" or \"7d\"",
        );
        return None;
    };
    if !range.contains(&duration) {
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        item.refuse(format!("{} is out of range; write \"{least}\" to \"{most}\"", show(item.value)));
        return None;
    }
    Some(duration)
}

/// A number of octets in a range: `65536`, `"64KiB"`, `"10MB"`.
pub fn octets(item: &Item<'_>, range: RangeInclusive<u64>) -> Option<u64> {
    let octets = match item.value.as_integer() {
        Some(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        None => item.as_str().and_then(parse_octets),
    };
    let Some(octets) = octets else {
        item.refuse_type(
            "a size",
            "octets as a whole number, or with a unit in quotes: \"64KiB\", \"10MiB\" or \"10MB\"",
        );
        return None;
    };
    if !range.contains(&octets) {
        let (least, most) = (show_octets(*range.start()), show_octets(*range.end()));
        item.refuse(format!("{} is out of range; write \"{least}\" to \"{most}\"", show(item.value)));
        return None;
    }
    Some(octets)
}

/// As [`octets`], for what is held in memory.
pub fn memory(item: &Item<'_>, range: RangeInclusive<u64>) -> Option<usize> {
    octets(item, range).and_then(|octets| usize::try_from(octets).ok())
}

/// Units of time, longest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn parse_duration(text: &str) -> Option<Duration> {
    parse_quantity(text, &TIME_UNITS).map(Duration::from_millis)
}

/// A duration as it would be written in the file, in the largest unit that fits.
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let unit = TIME_UNITS.iter().find(|(_, size)| milliseconds.is_multiple_of(u128::from(*size)) && milliseconds > 0);
    match unit {
        Some((unit, size)) => format!("{}{unit}", milliseconds / u128::from(*size)),
        None => "0s".to_owned(),
    }
}

/// Units of size, largest first.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

fn parse_octets(text: &str) -> Option<u64> {
    parse_quantity(text, &SIZE_UNITS)
}

fn show_octets(octets: u64) -> String {
    let unit = SIZE_UNITS.iter().find(|(unit, size)| octets.is_multiple_of(*size) && octets > 0 && unit.contains("iB"));
    match unit {
        Some((unit, size)) => format!("{}{unit}", octets / size),
        None => format!("{octets}B"),
    }
}

/// A whole number directly followed by a unit.
fn parse_quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, milliseconds) in
            [("0s", 0), ("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("6h", 21_600_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(milliseconds)), text);
        }
        for wrong in
            ["", "s", "10", "10 s", " 10s", "-1s", "1.5s", "10S", "10sec", "1h30m", "१s", "99999999999999999999s"]
        {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_duration(&format!("{}d", u64::MAX)), None, "must not wrap");
    }

    #[test]
    fn a_size_has_binary_or_decimal_units() {
        for (text, octets) in [("0B", 0), ("64KiB", 65_536), ("10MB", 10_000_000), ("1GiB", 1 << 30), ("3kB", 3_000)] {
            assert_eq!(parse_octets(text), Some(octets), "{text}");
        }
        for wrong in ["", "64", "64K", "64kib", "64 KiB", "-1B", "18446744073709551615GiB"] {
            assert_eq!(parse_octets(wrong), None, "{wrong}");
        }
        assert_eq!(show_octets(65_536), "64KiB");
        assert_eq!(show_octets(1_000), "1000B");
    }

    #[test]
    fn choices_read_as_a_sentence() {
        assert_eq!(choices(["a"].into_iter()), "\"a\"");
        assert_eq!(choices(["a", "b", "c"].into_iter()), "\"a\", \"b\" or \"c\"");
    }
}
