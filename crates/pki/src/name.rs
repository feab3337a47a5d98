//! Distinguished names (RFC 5280 section 4.1.2.4).

use crate::certificate::CertificateError;
use std::fmt;

/// Attributes a name may have: the products' names have about ten, and every one is an allocation.
pub const MAX_NAME_ATTRIBUTES: usize = 64;

/// The OID of commonName, 2.5.4.3, as DER content.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The OID of emailAddress, 1.2.840.113549.1.9.1, as DER content.
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

/// A distinguished name: its exact DER and the attributes found in it.
///
/// Two names are equal by the comparison of RFC 5280 section 7.1: UTF8String, PrintableString and IA5String hold the same
/// text in other octets, case does not count, nor does space at the ends or how much of it stands between words. Of the
/// preparation of strings (RFC 4518) one part is left out, Unicode normalisation: two names that are the same after it
/// only are two names, so that no certificate is taken for another's. Values of other types are compared as octets.
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

    /// It has no attribute.
    pub fn is_empty(&self) -> bool {
        self.relative_names.is_empty()
    }

    /// It begins with all of another name: it stands in the directory at or below it.
    pub fn is_within(&self, above: &Self) -> bool {
        let is_long_enough = self.relative_names.len() >= above.relative_names.len();
        let mut pairs = self.relative_names.iter().zip(&above.relative_names);
        is_long_enough && pairs.all(|(own, above)| is_same_relative_name(own, above))
    }

    /// It has the attribute emailAddress (PKCS#9).
    pub fn has_email_address(&self) -> bool {
        self.relative_names.iter().flatten().any(|attribute| attribute.oid == EMAIL_ADDRESS)
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

    fn is_same(&self, other: &Self) -> bool {
        let same_text = || match (self.value.comparable(), other.value.comparable()) {
            (Some(own), Some(other)) => prepared(own).eq(prepared(other)),
            _ => false,
        };
        self.oid == other.oid && (self.value == other.value || same_text())
    }
}

/// A text as caseIgnoreMatch compares it (RFC 4518 sections 2.2 and 2.6.1): in lower case, one space between words, none at
/// the ends.
fn prepared(text: &str) -> impl Iterator<Item = char> {
    let words = text.split(char::is_whitespace).filter(|word| !word.is_empty());
    words.enumerate().flat_map(|(index, word)| {
        let space = (index > 0).then_some(' ');
        space.into_iter().chain(word.chars().flat_map(char::to_lowercase))
    })
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
        let same = |(own, other): (&Vec<Attribute>, &Vec<Attribute>)| is_same_relative_name(own, other);
        self.der == other.der
            || (self.relative_names.len() == other.relative_names.len()
                && self.relative_names.iter().zip(&other.relative_names).all(same))
    }
}

impl Eq for DistinguishedName {}

/// The same attributes in whatever order (X.501 section 13.5.2): each of the one is in the other and the other way round.
fn is_same_relative_name(one: &[Attribute], other: &[Attribute]) -> bool {
    let all_in = |some: &[Attribute], others: &[Attribute]| some.iter().all(|a| others.iter().any(|b| a.is_same(b)));
    one.len() == other.len() && all_in(one, other) && all_in(other, one)
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}

/// RFC 4514: most specific relative name first, special characters escaped. Control and invisible characters are `\XX`, so
/// that a name cannot forge a line of a log or read as another. A value without a text form, or of a type without a short name, is `#` and the
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

    /// The text, where section 7.1 compares texts and not octets.
    fn comparable(&self) -> Option<&str> {
        match self.string_type {
            StringType::Utf8 | StringType::Printable | StringType::Ia5 => std::str::from_utf8(&self.bytes).ok(),
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

/// Control characters split headers and log lines; invisible ones make two names look like one: general category Cf, the
/// line and paragraph separators, and whatever Unicode calls default-ignorable or has no glyph (fillers, the grapheme
/// joiner, variation selectors, the blank Braille pattern).
pub const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
        | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let last = text.chars().count().wrapping_sub(1);
    for (index, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(f, "\\{character}")?,
            ' ' if index == 0 || index == last => f.write_str("\\ ")?,
            '#' if index == 0 => f.write_str("\\#")?,
            character if is_hidden(character) => {
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
        EMAIL_ADDRESS => "emailAddress",
        _ => return None,
    })
}

/// Dotted decimal of an OBJECT IDENTIFIER's content; arcs that do not fit in 128 bits read as `?`.
pub fn dotted(oid: &[u8]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrapped(identifier: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let header = match content.len() {
            0..=0x7f => vec![identifier, length[1]],
            0x80..=0xff => vec![identifier, 0x81, length[1]],
            _ => vec![identifier, 0x82, length[0], length[1]],
        };
        [header, content.to_vec()].concat()
    }

    fn attribute(oid: &[u8], identifier: u8, value: &[u8]) -> Vec<u8> {
        wrapped(SEQUENCE, &[wrapped(OBJECT_IDENTIFIER, oid), wrapped(identifier, value)].concat())
    }

    fn name_der(relative_names: &[&[&[u8]]]) -> Vec<u8> {
        let sets: Vec<u8> = relative_names.iter().flat_map(|attributes| wrapped(SET, &attributes.concat())).collect();
        wrapped(SEQUENCE, &sets)
    }

    #[track_caller]
    fn assert_shown(oid: &[u8], identifier: u8, value: &[u8], shown: &str) {
        let name = DistinguishedName::parse(&name_der(&[&[&attribute(oid, identifier, value)]])).unwrap();
        assert_eq!(name.to_string(), shown);
    }

    #[test]
    fn a_name_is_shown_most_specific_first_with_its_several_values() {
        let (country, unit, name) = (
            attribute(&[0x55, 4, 6], 0x13, b"JP"),
            attribute(&[0x55, 4, 11], 0x0c, "(9999)ANSER-WEB(BizSOL)".as_bytes()),
            attribute(COMMON_NAME, 0x0c, "日本太郎".as_bytes()),
        );
        let der = name_der(&[&[&country], &[&unit, &name]]);
        let parsed = DistinguishedName::parse(&der).unwrap();
        assert_eq!(parsed.to_string(), "OU=(9999)ANSER-WEB(BizSOL)+CN=日本太郎,C=JP");
        assert_eq!(parsed.der(), der);
        assert_eq!(parsed.content(), &der[2..]);
        assert_eq!(parsed.common_names().count(), 1);
        assert_eq!(DistinguishedName::parse(&[0x30, 0]).unwrap().to_string(), "");
    }

    #[test]
    fn special_and_control_characters_are_escaped() {
        assert_shown(COMMON_NAME, 0x0c, br#"#a,b+c"d\e<f>g;h "#, r#"CN=\#a\,b\+c\"d\\e\<f\>g\;h\ "#);
        assert_shown(COMMON_NAME, 0x0c, b" x", r"CN=\ x");
        assert_shown(COMMON_NAME, 0x0c, b" ", r"CN=\ ");
        assert_shown(COMMON_NAME, 0x0c, b"a\r\nb\0", r"CN=a\0D\0Ab\00");
        assert_shown(COMMON_NAME, 0x0c, "a\u{85}".as_bytes(), r"CN=a\C2\85");
        assert_shown(COMMON_NAME, 0x0c, "a\u{202e}b\u{2028}".as_bytes(), r"CN=a\E2\80\AEb\E2\80\A8");
    }

    #[test]
    fn values_without_a_certain_text_are_shown_as_their_der() {
        assert_shown(COMMON_NAME, 0x1e, &[0x65, 0xe5, 0x67, 0x2c], "CN=日本");
        assert_shown(COMMON_NAME, 0x1e, &[0x65], "CN=#1e0165");
        assert_shown(COMMON_NAME, 0x14, &[0xa4], "CN=#1401a4");
        assert_shown(COMMON_NAME, 0x0c, &[0xff], "CN=#0c01ff");
        assert_shown(&[0x2a, 0x03, 0x04], 0x0c, b"x", "1.2.3.4=#0c0178");
        assert_shown(&[0x2a, 0x03, 0x04], 0x0c, &[b'x'; 200], &format!("1.2.3.4=#0c81c8{}", "78".repeat(200)));
    }

    #[test]
    fn object_identifiers_read_as_dotted_decimal() {
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]), "1.2.840.113549.1.1.11");
        assert_eq!(dotted(&[0x55, 0x04, 0x03]), "2.5.4.3");
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        assert_eq!(dotted(&[&[0xff; 30][..], &[0x7f, 0x01]].concat()), ".?.1");
    }

    #[test]
    fn spellings_of_one_name_are_equal_and_other_names_are_not() {
        const UTF8: u8 = 0x0c;
        const PRINTABLE: u8 = 0x13;
        let organisation = |kind: u8, value: &str| attribute(&[0x55, 4, 10], kind, value.as_bytes());
        let name = |kind: u8, value: &str| {
            DistinguishedName::parse(&name_der(&[
                &[&organisation(kind, "Bank")],
                &[&attribute(COMMON_NAME, kind, value.as_bytes())],
            ]))
            .unwrap()
        };
        let one = name(UTF8, "Issuing CA");
        for (kind, same) in
            [(PRINTABLE, "Issuing CA"), (UTF8, "ISSUING ca"), (PRINTABLE, "  issuing \t  ca "), (0x16, "Issuing CA")]
        {
            assert_eq!(one, name(kind, same), "{same:?}");
        }
        // Another text, another type of string that is not compared as text, space in a word, an umlaut that only looks alike.
        for (kind, other) in
            [(UTF8, "Issuing CA 2"), (0x14, "Issuing CA"), (UTF8, "IssuingCA"), (UTF8, "I ssuing CA"), (UTF8, "")]
        {
            assert_ne!(one, name(kind, other), "{other:?}");
        }
        assert_eq!(name(UTF8, "ÄRZTE"), name(UTF8, "ärzte"));
        assert_ne!(name(UTF8, "\u{c4}"), name(UTF8, "A\u{308}"), "nothing is normalised");
        let sets = |sets: &[&[&[u8]]]| DistinguishedName::parse(&name_der(sets)).unwrap();
        let (a, b) = (organisation(UTF8, "a"), organisation(UTF8, "b"));
        let upper = organisation(PRINTABLE, "A");
        assert_eq!(sets(&[&[&a, &b]]), sets(&[&[&b, &upper]]), "a set has no order");
        assert_ne!(sets(&[&[&a, &b]]), sets(&[&[&a], &[&b]]), "a sequence has");
        assert_ne!(sets(&[&[&a], &[&b]]), sets(&[&[&b], &[&a]]));
        assert_ne!(sets(&[&[&a, &a]]), sets(&[&[&a, &b]]));
        assert_ne!(sets(&[&[&a]]), sets(&[&[&a], &[&b]]));
        assert_ne!(sets(&[&[&a]]), sets(&[&[&attribute(COMMON_NAME, UTF8, b"a")]]));
    }

    #[test]
    fn another_shape_is_no_name() {
        let good = name_der(&[&[&attribute(COMMON_NAME, 0x0c, b"x")]]);
        let refused = |der: &[u8], why: &str| {
            let error = DistinguishedName::parse(der).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&[], "not a SEQUENCE");
        refused(&[good.clone(), vec![0]].concat(), "octets follow it");
        refused(&good[..good.len() - 1], "not a SEQUENCE");
        refused(&wrapped(SEQUENCE, &attribute(COMMON_NAME, 0x0c, b"x")), "not a SET");
        refused(&name_der(&[&[]]), "is empty");
        refused(&name_der(&[&[&wrapped(SET, b"")]]), "attribute is not a SEQUENCE");
        refused(&name_der(&[&[&wrapped(SEQUENCE, &wrapped(0x04, b"x"))]]), "no type");
        refused(&name_der(&[&[&wrapped(SEQUENCE, &wrapped(6, COMMON_NAME))]]), "no value");
        let three = [wrapped(6, COMMON_NAME), wrapped(0x0c, b"x"), wrapped(0x0c, b"y")].concat();
        refused(&name_der(&[&[&wrapped(SEQUENCE, &three)]]), "octets follow an attribute's value");
        let one = attribute(COMMON_NAME, 0x0c, b"x");
        refused(&name_der(&[&vec![&one[..]; MAX_NAME_ATTRIBUTES + 1]]), "too many attributes");
        assert!(DistinguishedName::parse(&name_der(&[&vec![&one[..]; MAX_NAME_ATTRIBUTES]])).is_ok());
        // Lengths that are not minimal, and one of indefinite form.
        for length in [&[0x81, 0x03][..], &[0x82, 0x00, 0x03], &[0x83, 0, 0, 3], &[0x80], &[0x84, 0, 0, 0, 3]] {
            refused(&[&[SEQUENCE], length, &[SET, 1, 0]].concat(), "not a SEQUENCE");
        }
    }

    proptest! {
        #[test]
        fn a_shown_name_holds_no_control_character(value in prop::collection::vec(any::<u8>(), 0..40), kind in any::<u8>()) {
            let der = name_der(&[&[&attribute(COMMON_NAME, kind & 0x1e, &value)]]);
            let name = DistinguishedName::parse(&der).unwrap();
            prop_assert!(!name.to_string().chars().any(is_hidden));
        }
    }
}
