//! The strict form of a certificate: DER (X.690) and what RFC 5280 section 4.1 says of each field.
//!
//! [`super::certificate`] reads what a certificate says with a parser that takes some BER. Before a signature is relied on,
//! nothing may be left that another reader could read differently.

use super::der::{DerError, Reader, boolean, tag, time};

/// version `[0]`, explicit.
const VERSION: u8 = 0xa0;
/// extensions `[3]`, explicit.
const EXTENSIONS: u8 = 0xa3;
/// Content of the object identifier 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// Content of the object identifier 2.5.29.37.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];

/// Checks the form of one v3 certificate without unique identifiers.
///
/// # Errors
/// [`DerError`] names the field that is not as it has to be.
pub fn check(certificate: &[u8]) -> Result<(), DerError> {
    let mut outer = Reader::new(certificate);
    let mut fields = outer.inside(tag::SEQUENCE, "Certificate")?;
    outer.end("Certificate")?;
    let signed = fields.element(tag::SEQUENCE, "tbsCertificate")?.content;
    let algorithm = fields.element(tag::SEQUENCE, "signatureAlgorithm")?.content;
    whole_octets(fields.element(tag::BIT_STRING, "signatureValue")?.content, "signatureValue")?;
    fields.end("Certificate")?;
    check_signed(signed, algorithm)
}

/// The tbsCertificate; `algorithm` is the one outside of it, which has to be the same (section 4.1.1.2).
fn check_signed(signed: &[u8], algorithm: &[u8]) -> Result<(), DerError> {
    let mut fields = Reader::new(signed);
    let mut version = fields.inside(VERSION, "version")?;
    if version.element(tag::INTEGER, "version")?.content != [2] {
        return Err(DerError::Value("version"));
    }
    version.end("version")?;
    minimal(fields.element(tag::INTEGER, "serialNumber")?.content, "serialNumber")?;
    if fields.element(tag::SEQUENCE, "signature")?.content != algorithm {
        return Err(DerError::Value("signature"));
    }
    fields.element(tag::SEQUENCE, "issuer")?;
    let mut validity = fields.inside(tag::SEQUENCE, "validity")?;
    let not_before = time(validity.any("notBefore")?, "notBefore")?;
    let not_after = time(validity.any("notAfter")?, "notAfter")?;
    validity.end("validity")?;
    if not_before > not_after {
        return Err(DerError::Value("validity"));
    }
    fields.element(tag::SEQUENCE, "subject")?;
    let mut key = fields.inside(tag::SEQUENCE, "subjectPublicKeyInfo")?;
    key.element(tag::SEQUENCE, "subjectPublicKeyInfo")?;
    whole_octets(key.element(tag::BIT_STRING, "subjectPublicKey")?.content, "subjectPublicKey")?;
    key.end("subjectPublicKeyInfo")?;
    if let Some(extensions) = fields.optional(EXTENSIONS, "extensions")? {
        let mut outer = Reader::new(extensions.content);
        let mut extensions = outer.inside(tag::SEQUENCE, "extensions")?;
        outer.end("extensions")?;
        while !extensions.is_empty() {
            check_extension(extensions.inside(tag::SEQUENCE, "an extension")?)?;
        }
    }
    // issuerUniqueID and subjectUniqueID (section 4.1.2.8) would be behind the key or here.
    fields.end("tbsCertificate")
}

fn check_extension(mut fields: Reader<'_>) -> Result<(), DerError> {
    let oid = fields.element(tag::OBJECT_IDENTIFIER, "an extension")?.content;
    if let Some(critical) = fields.optional(tag::BOOLEAN, "an extension's critical")? {
        boolean(critical.content, "an extension's critical")?;
    }
    let value = fields.element(tag::OCTET_STRING, "an extension's value")?.content;
    fields.end("an extension")?;
    match oid {
        BASIC_CONSTRAINTS => check_basic_constraints(value),
        EXTENDED_KEY_USAGE => check_extended_key_usage(value),
        _ => Ok(()),
    }
}

fn check_basic_constraints(value: &[u8]) -> Result<(), DerError> {
    const WHAT: &str = "basicConstraints";
    let mut outer = Reader::new(value);
    let mut fields = outer.inside(tag::SEQUENCE, WHAT)?;
    outer.end(WHAT)?;
    if let Some(ca) = fields.optional(tag::BOOLEAN, WHAT)? {
        boolean(ca.content, WHAT)?;
    }
    if let Some(length) = fields.optional(tag::INTEGER, WHAT)? {
        minimal(length.content, WHAT)?;
    }
    fields.end(WHAT)
}

/// Section 4.2.1.12: at least one purpose.
fn check_extended_key_usage(value: &[u8]) -> Result<(), DerError> {
    const WHAT: &str = "extKeyUsage";
    let mut outer = Reader::new(value);
    let mut purposes = outer.inside(tag::SEQUENCE, WHAT)?;
    outer.end(WHAT)?;
    purposes.element(tag::OBJECT_IDENTIFIER, WHAT)?;
    while !purposes.is_empty() {
        purposes.element(tag::OBJECT_IDENTIFIER, WHAT)?;
    }
    Ok(())
}

/// A BIT STRING of whole octets.
fn whole_octets(content: &[u8], what: &'static str) -> Result<(), DerError> {
    if matches!(content, [0, _, ..]) { Ok(()) } else { Err(DerError::Value(what)) }
}

/// An INTEGER without a surplus first octet.
fn minimal(content: &[u8], what: &'static str) -> Result<(), DerError> {
    match content {
        [] => Err(DerError::Value(what)),
        [0, second, ..] if second & 0x80 == 0 => Err(DerError::Value(what)),
        [0xff, second, ..] if second & 0x80 != 0 => Err(DerError::Value(what)),
        _ => Ok(()),
    }
}
