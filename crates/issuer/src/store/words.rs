//! Words and numbers in columns, and what they mean.

use super::Language;
use super::value::{Columns, Corrupt, Value};
use sekisho_lifecycle::profile::NoticeEvent;
use sekisho_lifecycle::{ContractOneTimePassword, Counter, Feature, LockedBy, Standing};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;

pub(super) const FEATURE: [(&str, Feature); 2] = [("off", Feature::Off), ("on", Feature::On)];

pub(super) const ONE_TIME_PASSWORD: [(&str, ContractOneTimePassword); 2] =
    [("used", ContractOneTimePassword::Used), ("not-used", ContractOneTimePassword::NotUsed)];

pub(super) const STANDING: [(&str, Standing); 3] =
    [("active", Standing::Active), ("suspended", Standing::Suspended), ("deleted", Standing::Deleted)];

pub(super) const LOCKED_BY: [(&str, LockedBy); 3] =
    [("wrong-tries", LockedBy::WrongTries), ("wrong-acts", LockedBy::WrongActs), ("operator", LockedBy::Operator)];

pub(super) const LANGUAGE: [(&str, Language); 2] = [("ja", Language::Japanese), ("en", Language::English)];

pub(super) const NOTICE: [(&str, NoticeEvent); 4] = [
    ("issued", NoticeEvent::Issued),
    ("reissued", NoticeEvent::Reissued),
    ("revoked", NoticeEvent::Revoked),
    ("locked", NoticeEvent::Locked),
];

/// The word of a value; each table above has every value of its type.
pub(super) fn of<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// What a word means.
pub(super) fn read<T: Copy>(table: &[(&'static str, T)], word: &str) -> Result<T, Corrupt> {
    table.iter().find(|(known, _)| *known == word).map(|(_, value)| *value).ok_or(Corrupt("an unknown word"))
}

/// Three columns of a counter.
pub(super) fn counter_columns(counter: &Counter) -> [Value; 3] {
    let time = |time: Option<Timestamp>| time.map(Timestamp::unix).into();
    [i64::from(counter.wrong).into(), time(counter.first_at), time(counter.locked_at)]
}

/// From three columns.
pub(super) fn counter(columns: &mut Columns) -> Result<Counter, Corrupt> {
    Ok(Counter {
        wrong: u32(columns.int()?)?,
        first_at: columns.maybe_int()?.map(Timestamp::from_unix),
        locked_at: columns.maybe_int()?.map(Timestamp::from_unix),
    })
}

/// A moment.
pub(super) fn seconds(columns: &mut Columns) -> Result<Timestamp, Corrupt> {
    columns.int().map(Timestamp::from_unix)
}

pub(super) fn serial(octets: &[u8]) -> Result<SerialNumber, Corrupt> {
    SerialNumber::from_der_content(octets).map_err(|_| Corrupt("not a serial number"))
}

pub(super) fn maybe_serial(columns: &mut Columns) -> Result<Option<SerialNumber>, Corrupt> {
    columns.maybe_bytes()?.map(|octets| serial(&octets)).transpose()
}

pub(super) fn digest(columns: &mut Columns) -> Result<[u8; 32], Corrupt> {
    columns.bytes()?.try_into().map_err(|_| Corrupt("a digest of another length"))
}

/// An ID, where it is one.
pub(super) fn identifier<T>(id: Option<T>) -> Result<T, Corrupt> {
    id.ok_or(Corrupt("not an identifier"))
}

pub(super) fn u32(number: i64) -> Result<u32, Corrupt> {
    u32::try_from(number).map_err(|_| Corrupt("a number out of its range"))
}

pub(super) fn u64(number: i64) -> Result<u64, Corrupt> {
    u64::try_from(number).map_err(|_| Corrupt("a number out of its range"))
}

/// A number of which no database has room for more: growing by one for each change, none gets there.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn reason(code: i64) -> Result<RevocationReason, Corrupt> {
    let code = u8::try_from(code).map_err(|_| Corrupt("not a reason"))?;
    let reason = RevocationReason::from_code(code);
    if reason.code() == code { Ok(reason) } else { Err(Corrupt("not a reason")) }
}

/// Octets from lower-case hex.
pub(super) fn unhex(text: &str) -> Result<Vec<u8>, Corrupt> {
    let not_hex = Corrupt("not hex");
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(not_hex);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(not_hex);
    }
    pairs.iter().map(|[high, low]| Ok(digit(*high)? << 4 | digit(*low)?)).collect()
}
