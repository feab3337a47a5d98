//! Distinguished names (RFC 5280 section 4.1.2.4).

use crate::pki::certificate::CertificateError;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Attributes a name may have: the products' names have about ten, and every one is an allocation.
pub const MAX_NAME_ATTRIBUTES: usize = 64;

/// The OID of commonName, 2.5.4.3, as DER content.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// A distinguished name: its exact DER and the attributes found in it.
///
/// Two names are equal when their DER is: RFC 5280 section 7.1's folding of case and space is not done, here or in
/// webpki, so that no two spellings of a CA can be taken for one.
#[derive(Clone)]
pub struct DistinguishedName {
    der: Vec<u8>,
    header: usize,
    relative_names: Vec<Vec<Attribute>>,
}

/// One attribute type and value of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    /// Content octets of the type's OBJECT IDENTIFIER.
    oid: Vec<u8>,
    value: AttributeValue,
}

/// The value of a name's attribute, as it stands in the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeValue {
    /// The ASN.1 type it is encoded in.
    pub string_type: StringType,
    /// Its content octets, not validated against that type.
    pub bytes: Vec<u8>,
}

/// ASN.1 type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringType {
    /// UTF8String.
    Utf8,
    /// PrintableString.
    Printable,
    /// IA5String.
    Ia5,
    /// BMPString: UTF-16BE without surrogates.
    Bmp,
    /// TeletexString (T61String).
    Teletex,
    /// UniversalString: UTF-32BE.
    Universal,
    /// Another identifier octet.
    Other(u8),
}

impl DistinguishedName {
    /// Parses exactly one Name: `SEQUENCE OF SET OF SEQUENCE { OBJECT IDENTIFIER, ANY }`. An empty name is one.
    ///
    /// # Errors
    /// [`CertificateError::Name`] for another shape, trailing octets, non-minimal lengths or more than
    /// [`MAX_NAME_ATTRIBUTES`] attributes.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let (content, rest) = element(der, SEQUENCE).ok_or(malformed("it is not a SEQUENCE"))?;
        if !rest.is_empty() {
            return Err(malformed("octets follow it"));
        }
        let mut relative_names = Vec::new();
        let mut attributes = 0;
        let mut sets = content;
        while !sets.is_empty() {
            let (mut set, rest) = element(sets, SET).ok_or(malformed("a relative name is not a SET"))?;
            let mut relative_name = Vec::with_capacity(1);
            while !set.is_empty() {
                attributes += 1;
                if attributes > MAX_NAME_ATTRIBUTES {
                    return Err(malformed("it has too many attributes"));
                }
                let (pair, rest) = element(set, SEQUENCE).ok_or(malformed("an attribute is not a SEQUENCE"))?;
                relative_name.push(Attribute::parse(pair)?);
                set = rest;
            }
            if relative_name.is_empty() {
                return Err(malformed("a relative name is empty"));
            }
            relative_names.push(relative_name);
            sets = rest;
        }
        Ok(Self { der: der.to_vec(), header: der.len() - content.len(), relative_names })
    }

    /// The whole DER SEQUENCE.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The content of the SEQUENCE, without tag and length: as webpki's `TrustAnchor` has it.
    pub fn content(&self) -> &[u8] {
        self.der.get(self.header..).unwrap_or_default()
    }

    /// Every commonName of the name, wherever it stands.
    pub fn common_names(&self) -> impl Iterator<Item = &AttributeValue> {
        self.relative_names.iter().flatten().filter(|attribute| attribute.oid == COMMON_NAME).map(|found| &found.value)
    }
}

impl Attribute {
    fn parse(pair: &[u8]) -> Result<Self, CertificateError> {
        let (oid, rest) = element(pair, OBJECT_IDENTIFIER).ok_or(malformed("an attribute has no type"))?;
        let (identifier, value, rest) = any_element(rest).ok_or(malformed("an attribute has no value"))?;
        if !rest.is_empty() {
            return Err(malformed("octets follow an attribute's value"));
        }
        let value = AttributeValue { string_type: StringType::of(identifier), bytes: value.to_vec() };
        Ok(Self { oid: oid.to_vec(), value })
    }
}

impl StringType {
    const fn of(identifier: u8) -> Self {
        match identifier {
            0x0c => Self::Utf8,
            0x13 => Self::Printable,
            0x14 => Self::Teletex,
            0x16 => Self::Ia5,
            0x1c => Self::Universal,
            0x1e => Self::Bmp,
            other => Self::Other(other),
        }
    }

    /// The identifier octet.
    const fn identifier(self) -> u8 {
        match self {
            Self::Utf8 => 0x0c,
            Self::Printable => 0x13,
            Self::Teletex => 0x14,
            Self::Ia5 => 0x16,
            Self::Universal => 0x1c,
            Self::Bmp => 0x1e,
            Self::Other(identifier) => identifier,
        }
    }
}

impl fmt::Display for StringType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8 => f.write_str("UTF8String"),
            Self::Printable => f.write_str("PrintableString"),
            Self::Teletex => f.write_str("TeletexString"),
            Self::Ia5 => f.write_str("IA5String"),
            Self::Universal => f.write_str("UniversalString"),
            Self::Bmp => f.write_str("BMPString"),
            Self::Other(identifier) => write!(f, "ASN.1 type 0x{identifier:02x}"),
        }
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for DistinguishedName {}

impl Hash for DistinguishedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.der.hash(state);
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}

/// RFC 4514: most specific relative name first, special characters escaped. Control characters are `\XX`, so that a
/// name cannot forge a line of a log. A value without a text form, or of a type without a short name, is `#` and the
/// hex of its DER (section 2.4).
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, relative_name) in self.relative_names.iter().rev().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            for (index, attribute) in relative_name.iter().enumerate() {
                if index > 0 {
                    f.write_str("+")?;
                }
                attribute.fmt(f)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (short_name(&self.oid), self.value.text()) {
            (Some(name), Some(text)) => {
                write!(f, "{name}=")?;
                write_escaped(f, &text)
            }
            (Some(name), None) => {
                write!(f, "{name}=#")?;
                self.value.write_hex(f)
            }
            (None, _) => {
                write!(f, "{}=#", dotted(&self.oid))?;
                self.value.write_hex(f)
            }
        }
    }
}

impl AttributeValue {
    /// The value as text, where its type says without doubt which characters its octets are.
    fn text(&self) -> Option<String> {
        match self.string_type {
            StringType::Utf8 | StringType::Printable | StringType::Ia5 => String::from_utf8(self.bytes.clone()).ok(),
            StringType::Bmp if self.bytes.len().is_multiple_of(2) => {
                let units: Vec<u16> = self.bytes.as_chunks().0.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
                String::from_utf16(&units).ok()
            }
            _ => None,
        }
    }

    /// The hex of the value's DER, whose identifier has one octet.
    fn write_hex(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.string_type.identifier())?;
        let length = self.bytes.len();
        if length < 0x80 {
            write!(f, "{length:02x}")?;
        } else {
            let octets = length.to_be_bytes();
            let octets = octets.get(length.leading_zeros() as usize / 8..).unwrap_or_default();
            write!(f, "{:02x}", 0x80 | octets.len())?;
            octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        }
        self.bytes.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let last = text.chars().count().wrapping_sub(1);
    for (index, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(f, "\\{character}")?,
            ' ' if index == 0 || index == last => f.write_str("\\ ")?,
            '#' if index == 0 => f.write_str("\\#")?,
            character if character.is_control() => {
                let mut octets = [0; 4];
                character.encode_utf8(&mut octets).bytes().try_for_each(|octet| write!(f, "\\{octet:02X}"))?;
            }
            character => write!(f, "{character}")?,
        }
    }
    Ok(())
}

/// Short names of attribute types: RFC 4514 section 3 and, from the LDAP registry it names, those CAs use.
fn short_name(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x04] => "SN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "STREET",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x55, 0x04, 0x0c] => "title",
        [0x55, 0x04, 0x2a] => "GN",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "emailAddress",
        _ => return None,
    })
}

/// Dotted decimal of an OBJECT IDENTIFIER's content; arcs that do not fit in 128 bits read as `?`.
pub(crate) fn dotted(oid: &[u8]) -> String {
    let mut text = String::new();
    let mut arc = Some(0_u128);
    for octet in oid {
        arc = arc.and_then(|arc| arc.checked_mul(128)).map(|arc| arc | u128::from(octet & 0x7f));
        if octet & 0x80 == 0 {
            match (arc, text.is_empty()) {
                (Some(arc @ 0..80), true) => text = format!("{}.{}", arc / 40, arc % 40),
                (Some(arc), true) => text = format!("2.{}", arc - 80),
                (Some(arc), false) => text += &format!(".{arc}"),
                (None, _) => text += ".?",
            }
            arc = Some(0);
        }
    }
    text
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Splits one DER element with this identifier from the front: its content and what follows.
fn element(input: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    let (identifier, content, rest) = any_element(input)?;
    (identifier == expected).then_some((content, rest))
}

/// Splits one DER element from the front: identifier (low tag numbers only), content and what follows.
fn any_element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (identifier, input) = input.split_first()?;
    if identifier & 0x1f == 0x1f {
        return None;
    }
    let (length, input) = definite_length(input)?;
    let (content, rest) = input.split_at_checked(length)?;
    Some((*identifier, content, rest))
}

/// A definite, minimal length of at most three octets (16 MiB) and what follows.
fn definite_length(input: &[u8]) -> Option<(usize, &[u8])> {
    match input {
        [length @ 0..=0x7f, rest @ ..] => Some((usize::from(*length), rest)),
        [0x81, length @ 0x80..=0xff, rest @ ..] => Some((usize::from(*length), rest)),
        [0x82, high @ 0x01..=0xff, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        [0x83, high @ 0x01..=0xff, middle, low, rest @ ..] => {
            Some((usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low), rest))
        }
        _ => None,
    }
}

const fn malformed(what: &'static str) -> CertificateError {
    CertificateError::Name(what)
}
