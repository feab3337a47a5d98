//! Whom a block is for, and the number that follows from it.

use sekisho_pki::fingerprint::{AuthorityKey, Fingerprint, sha256};
use sekisho_pki::serial::{MAX_SERIAL_OCTETS, SerialNumber};
use std::fmt;
use std::sync::Arc;

/// Octets of a block's number: two of ten thousand blocks have one number once in 10^11 gateways.
const ID_OCTETS: usize = 8;

/// Whom a block is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One certificate, a CA's too, by its issuer and serial number.
    Certificate {
        /// The issuer's name in the configuration when the block was made; for people.
        ca: Arc<str>,
        /// The issuer: a renamed or renewed CA is still the one that was meant.
        issuer: AuthorityKey,
        /// The serial number.
        serial: SerialNumber,
    },
    /// One client certificate, by the SHA-256 of its DER.
    Fingerprint(Fingerprint),
    /// Every certificate of one user, those still to be issued too.
    User {
        /// The contract ID (契約者ID).
        contract: String,
        /// The user ID (利用者ID).
        user: String,
    },
    /// Every certificate of one contract: all users and the administrators.
    Contract(String),
}

/// A block's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId([u8; ID_OCTETS]);

impl Target {
    /// `certificate`, `fingerprint`, `user` or `contract`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "certificate",
            Self::Fingerprint(_) => "fingerprint",
            Self::User { .. } => "user",
            Self::Contract(_) => "contract",
        }
    }

    /// The number of a block with this target, whatever else it says.
    pub fn id(&self) -> BlockId {
        let length = |text: &str| (text.len() as u64).to_be_bytes();
        let kind = self.kind().as_bytes();
        let hash = match self {
            Self::Certificate { issuer, serial, .. } => sha256(&[kind, b":", issuer.as_bytes(), serial.as_bytes()]),
            Self::Fingerprint(fingerprint) => sha256(&[kind, b":", fingerprint.as_bytes()]),
            Self::User { contract, user } => {
                sha256(&[kind, b":", &length(contract), contract.as_bytes(), user.as_bytes()])
            }
            Self::Contract(contract) => sha256(&[kind, b":", contract.as_bytes()]),
        };
        let mut id = [0; ID_OCTETS];
        id.iter_mut().zip(hash).for_each(|(place, octet)| *place = octet);
        BlockId(id)
    }
}

impl BlockId {
    /// From its text; `None` for anything that [`fmt::Display`] does not write.
    pub fn parse(text: &str) -> Option<Self> {
        let octets = octets_of(text)?.try_into().ok()?;
        let id = Self(octets);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockId({self})")
    }
}

/// A serial number as people have it, from a log of ours or from `openssl x509 -serial` or `-text`: hex of a positive
/// number, in either case, `:` between octets or not, with a sign octet or without.
pub fn serial_from_hex(text: &str) -> Option<SerialNumber> {
    // A colon follows each octet, and there are some more for a sign octet.
    if text.len() > 3 * (MAX_SERIAL_OCTETS + 1) {
        return None;
    }
    let groups = text.split(':').collect::<Vec<_>>();
    if groups.len() > 1 && groups.iter().any(|group| group.len() != 2) {
        return None;
    }
    let digits = groups.concat();
    let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
    let positive = [&[0], octets_of(&digits)?.as_slice()].concat();
    if positive.len() < 2 {
        return None;
    }
    SerialNumber::from_der_content(&positive).ok()
}

/// 32 octets of hex in either case, `:` between octets or not.
pub(super) fn sha256_from_hex(text: &str) -> Option<[u8; 32]> {
    /// With a colon between each two.
    const LONGEST: usize = 32 * 3 - 1;
    if text.len() == LONGEST && text.split(':').any(|group| group.len() != 2) {
        return None;
    }
    match text.len() {
        64 => octets_of(text)?.try_into().ok(),
        LONGEST => octets_of(&text.replace(':', ""))?.try_into().ok(),
        _ => None,
    }
}

fn octets_of(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_read_as_tools_write_it() {
        let serial = |octets: &[u8]| SerialNumber::from_der_content(octets).unwrap();
        for text in ["80ff", "80FF", "0080ff", "80:ff", "00:80:FF"] {
            assert_eq!(serial_from_hex(text), Some(serial(&[0, 0x80, 0xff])), "{text}");
        }
        assert_eq!(serial_from_hex("1"), Some(serial(&[1])));
        assert_eq!(serial_from_hex("0"), Some(serial(&[0])));
        let long = "7f".repeat(MAX_SERIAL_OCTETS);
        assert!(serial_from_hex(&long).is_some());
        for wrong in
            ["", ":", "0x80", "8 0", "-1", "8:0ff", "80:ff:", ":80", "zz", "é", &format!("{long}7f"), &"0".repeat(999)]
        {
            assert_eq!(serial_from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_fingerprint_is_read_as_tools_write_it() {
        let plain = "0123456789abcdef".repeat(4);
        let octets = sha256_from_hex(&plain).unwrap();
        assert_eq!(octets[..2], [0x01, 0x23]);
        let pairs: Vec<_> = plain.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
        assert_eq!(sha256_from_hex(&pairs.join(":").to_uppercase()), Some(octets));
        for wrong in ["", &plain[1..], &format!("{plain}0"), &pairs.join("-"), &format!("{}:0", "a".repeat(93))] {
            assert_eq!(sha256_from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_follows_from_the_target_and_no_two_run_into_each_other() {
        let user = |contract: &str, user: &str| Target::User { contract: contract.into(), user: user.into() }.id();
        assert_ne!(user("12", "3"), user("1", "23"));
        assert_ne!(user("1", ""), Target::Contract("1".into()).id());
        let of_ca = |ca: &str| {
            let (issuer, serial) = (AuthorityKey::from_bytes([1; 32]), serial_from_hex("1").unwrap());
            Target::Certificate { ca: ca.into(), issuer, serial }.id()
        };
        assert_eq!(of_ca("old name"), of_ca("new name"));
        let id = user("1", "2");
        assert_eq!(BlockId::parse(&id.to_string()), Some(id));
        for wrong in ["", "00", &id.to_string()[1..], "0123456789ABCDEF", "0123456789abcdeg"] {
            assert_eq!(BlockId::parse(wrong), None, "{wrong}");
        }
    }
}
