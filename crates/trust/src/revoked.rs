//! The revoked serial numbers of one list as a compact, exact index (requirement R3).
//!
//! A table of buckets points into one array of rows of equal width, each a serial number and four octets of when and
//! why. A serial's bucket comes from a hash of it, so random and sequential serials spread alike; the rows of a bucket
//! (about eight) are sorted and searched by halves, so that no choice of serials makes a lookup slow. A lookup touches
//! the table once and the rows once. One million 20-octet serials take 24.5 MB.
//!
//! It is built in two walks over the list (count, then place), so nothing but the list's octets and the index itself
//! is ever in memory.

use super::background::{OCTETS_AT_ONCE, make_way, making_way};
use sekisho_pki::crl::{CertificateList, CrlError, Entry, ListedSerial, RevocationReason};
use sekisho_pki::serial::{MAX_SERIAL_OCTETS, SerialNumber};
use sekisho_pki::time::Timestamp;

/// Octets of DER a bucket's rows take on average: an entry with a serial of 1 octet has 22, one of 20 octets and a
/// reason 53, so that a bucket has 7 to 17 rows and the table of a million takes half a megabyte.
const OCTETS_PER_BUCKET: usize = 8 * 48;

/// Octets for when and why: 28 bits of minutes since 1970 (until 2480) and 4 bits of reason.
const VALUE_OCTETS: usize = 4;

/// Width of a row with the longest serial.
const MAX_ROW: usize = MAX_SERIAL_OCTETS + VALUE_OCTETS;

const MAX_MINUTES: i64 = (1 << 28) - 1;

/// A serial, sign-extended to one length: the same octets for the same integer.
type Extended = [u8; 24];

/// When and why a certificate was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When, rounded down to the minute; times before 1970 read as 1970.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// The index.
#[derive(Debug)]
pub struct RevokedIndex {
    /// Octets of each row's serial.
    serial_octets: usize,
    /// Rows of all buckets, one after the other.
    rows: Vec<u8>,
    /// For each bucket the number of its first row, and the number of rows at the end.
    buckets: Vec<u32>,
    odd: OddSerials,
}

/// Entries of a list whose serial number is zero, negative or too long: no certificate that is accepted has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OddSerials {
    count: usize,
    /// The first of them, hex of its octets.
    first: String,
}

impl OddSerials {
    fn note(&mut self, octets: &[u8]) {
        if self.count == 0 {
            self.first = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        }
        self.count += 1;
    }

    /// What is odd about the list, if anything is.
    pub fn message(&self) -> Option<String> {
        let Self { count, first } = self;
        (*count > 0).then(|| {
            format!(
                "{count} entries have a serial number that is zero, negative or longer than a certificate's may be, the \
                 first of them {first}: they revoke no certificate; ask the CA which ones it means"
            )
        })
    }
}

impl RevokedIndex {
    /// From a list whose signature has been verified.
    ///
    /// # Errors
    /// [`CrlError`] when an entry cannot be read or understood: then nothing of the list counts.
    pub fn build(list: &CertificateList<'_>) -> Result<Self, CrlError> {
        let bucket_count = list.revoked_octets() / OCTETS_PER_BUCKET + 1;
        let (rows, odd) = (Vec::new(), OddSerials::default());
        let mut index = Self { serial_octets: 1, rows, buckets: vec![0; bucket_count + 1], odd };
        let mut entries = 0_usize;
        for serial in making_way(list.serials()) {
            let serial = match serial? {
                ListedSerial::Positive(serial) => serial,
                ListedSerial::Odd { number, octets } => {
                    index.odd.note(&octets);
                    let Some(serial) = number else { continue };
                    serial
                }
            };
            index.serial_octets = index.serial_octets.max(serial.as_bytes().len());
            let bucket = index.bucket(&extend(&serial));
            if let Some(count) = index.buckets.get_mut(bucket) {
                *count += 1;
            }
            entries += 1;
        }
        index.counts_to_ends();
        index.rows = zeroed(entries * index.row_octets());
        for entry in making_way(list.entries()) {
            index.place(&entry?);
        }
        index.sort_buckets();
        Ok(index)
    }

    /// When and why this serial was revoked, if it was.
    pub fn get(&self, serial: &SerialNumber) -> Option<Revoked> {
        if serial.as_bytes().len() > self.serial_octets {
            return None;
        }
        self.find(extend(serial))
    }

    /// Returns `true` if the other index has every serial of this one, revoked where this one has it revoked.
    pub fn is_within(&self, other: &Self) -> bool {
        making_way(self.rows.chunks_exact(self.row_octets())).all(|row| {
            let Some((key, value)) = row.split_at_checked(self.serial_octets) else { return true };
            let sign = if key.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
            let mut extended = [sign; 24];
            let start = extended.len() - key.len();
            extended[start..].copy_from_slice(key);
            // One that is wider than the other's rows is not in it.
            let (beyond, kept) = extended.split_at(extended.len() - other.serial_octets);
            let fits = beyond.iter().all(|octet| *octet == sign)
                && kept.first().is_some_and(|first| (first ^ sign) & 0x80 == 0);
            let found = if fits { other.find(extended) } else { None };
            found.is_some_and(|found| found.reason != RevocationReason::RemoveFromCrl || is_release(value))
        })
    }

    fn find(&self, extended: Extended) -> Option<Revoked> {
        let key = extended.get(extended.len() - self.serial_octets..)?;
        let bucket = self.bucket(&extended);
        let width = self.row_octets();
        let (mut low, mut high) = (self.first_row(bucket), self.first_row(bucket + 1));
        while low < high {
            let middle = usize::midpoint(low, high);
            let row = self.rows.get(middle * width..(middle + 1) * width)?;
            let (row_key, value) = row.split_at_checked(self.serial_octets)?;
            match row_key.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return unpack(value),
            }
        }
        None
    }

    /// Every serial, with when and why it was revoked.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SerialNumber, Revoked)> {
        let rows = self.rows.chunks_exact(self.row_octets());
        rows.filter_map(|row| {
            let (serial, value) = row.split_at_checked(self.serial_octets)?;
            Some((SerialNumber::from_der_content(serial).ok()?, unpack(value)?))
        })
    }

    /// Its entries with odd serial numbers.
    pub const fn odd(&self) -> &OddSerials {
        &self.odd
    }

    /// How many serials it holds.
    pub fn len(&self) -> usize {
        self.rows.len() / self.row_octets()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Octets of memory it has allocated.
    pub fn allocated_octets(&self) -> usize {
        self.rows.capacity() + self.buckets.capacity() * size_of::<u32>()
    }

    const fn row_octets(&self) -> usize {
        self.serial_octets + VALUE_OCTETS
    }

    fn first_row(&self, bucket: usize) -> usize {
        self.buckets.get(bucket).map_or(0, |row| *row as usize)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the product's upper half is below the number of buckets")]
    fn bucket(&self, serial: &Extended) -> usize {
        let count = self.buckets.len().saturating_sub(1) as u128;
        ((u128::from(hash(serial)) * count) >> 64) as usize
    }

    /// Turns each bucket's number of rows into the number of the row after its last.
    fn counts_to_ends(&mut self) {
        let mut end = 0_u32;
        for bucket in &mut self.buckets {
            end += *bucket;
            *bucket = end;
        }
    }

    /// Puts an entry before the rows its bucket has already; after the last entry each bucket points at its first row.
    fn place(&mut self, entry: &Entry) {
        let extended = extend(&entry.serial);
        let bucket = self.bucket(&extended);
        let (width, serial_octets) = (self.row_octets(), self.serial_octets);
        let Some(end) = self.buckets.get_mut(bucket) else { return };
        *end = end.saturating_sub(1);
        let start = *end as usize * width;
        let Some(row) = self.rows.get_mut(start..start + width) else { return };
        let (key, value) = row.split_at_mut(serial_octets);
        key.copy_from_slice(&extended[extended.len() - serial_octets..]);
        value.copy_from_slice(&pack(entry));
    }

    /// Sorts each bucket's rows and drops all but the earliest of a serial that came twice; a revocation goes before a
    /// release.
    fn sort_buckets(&mut self) {
        let (width, serial_octets) = (self.row_octets(), self.serial_octets);
        let mut bucket_rows: Vec<[u8; MAX_ROW]> = Vec::new();
        let (mut read, mut written) = (0, 0);
        for bucket in making_way(0..self.buckets.len().saturating_sub(1)) {
            let end = self.first_row(bucket + 1);
            bucket_rows.clear();
            for row in self.rows.get(read * width..end * width).unwrap_or_default().chunks_exact(width) {
                let mut copy = [0; MAX_ROW];
                copy[..width].copy_from_slice(row);
                bucket_rows.push(copy);
            }
            // The value's minutes stand first in it, so that of equal serials the earliest comes first.
            bucket_rows.sort_unstable();
            bucket_rows.dedup_by(|later, earlier| {
                let is_same = later[..serial_octets] == earlier[..serial_octets];
                // A delta list that both revokes and releases revokes.
                if is_same && is_release(&earlier[serial_octets..width]) {
                    *earlier = *later;
                }
                is_same
            });
            if let Some(first) = self.buckets.get_mut(bucket) {
                *first = u32::try_from(written).unwrap_or(u32::MAX);
            }
            for row in &bucket_rows {
                if let Some(place) = self.rows.get_mut(written * width..(written + 1) * width) {
                    place.copy_from_slice(&row[..width]);
                }
                written += 1;
            }
            read = end;
        }
        if let Some(end) = self.buckets.last_mut() {
            *end = u32::try_from(written).unwrap_or(u32::MAX);
        }
        self.rows.truncate(written * width);
    }
}

/// So many zeroes, made piece by piece: to be given that much memory and to zero it takes tens of milliseconds.
fn zeroed(octets: usize) -> Vec<u8> {
    let mut zeroes = Vec::with_capacity(octets);
    while zeroes.len() < octets {
        zeroes.resize(octets.min(zeroes.len() + OCTETS_AT_ONCE), 0);
        make_way();
    }
    zeroes
}

/// Sign-extends a serial: two serials of one list have the same octets exactly when they are the same integer.
#[inline]
fn extend(serial: &SerialNumber) -> Extended {
    let octets = serial.as_bytes();
    let sign = if octets.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    let mut extended = [sign; 24];
    // MAX_SERIAL_OCTETS is 22.
    let start = extended.len() - octets.len();
    extended[start..].copy_from_slice(octets);
    extended
}

/// A hash that spreads sequential serials: 64-bit words folded through 128-bit products, after wyhash.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the two halves of a product are meant")]
fn hash(serial: &Extended) -> u64 {
    const SECRET: [u64; 3] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3];
    let (words, _) = serial.as_chunks::<8>();
    words.iter().zip(SECRET).fold(SECRET[2], |hash, (word, secret)| {
        let product = u128::from(u64::from_le_bytes(*word) ^ secret) * u128::from(hash ^ SECRET[0]);
        (product as u64) ^ ((product >> 64) as u64)
    })
}

fn pack(entry: &Entry) -> [u8; VALUE_OCTETS] {
    let minutes = entry.revoked_at.unix().div_euclid(60).clamp(0, MAX_MINUTES);
    let minutes = u32::try_from(minutes).unwrap_or_default();
    ((minutes << 4) | u32::from(entry.reason.code())).to_be_bytes()
}

fn is_release(value: &[u8]) -> bool {
    value.last().is_some_and(|last| last & 0xf == RevocationReason::RemoveFromCrl.code())
}

fn unpack(value: &[u8]) -> Option<Revoked> {
    let value = u32::from_be_bytes(value.try_into().ok()?);
    let reason = RevocationReason::from_code((value & 0xf) as u8);
    Some(Revoked { at: Timestamp::from_unix(i64::from(value >> 4) * 60), reason })
}
