//! Certification authorities and signed revocation lists for tests and benches, down to what no honest CA would sign.
//!
//! Its own DER writer: rcgen's lists cannot be malformed and take long at a million entries.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber, SigningKey,
};
use sekisho_config::AnchorExpiry;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use sekisho_trust::{AuthorityParts, ListPolicy, RevocationParts};
use std::sync::Arc;

/// 2026-11-22T00:00:00Z: the day on which every test here takes place.
pub const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);
pub const DAY: i64 = 86_400;

const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_WITH_SHA384: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const SHA512_WITH_RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d, 5, 0];
const SHA256_WITH_RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 5, 0];
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
pub const SHA1_WITH_RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 5, 0];

pub const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
pub const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
pub const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
pub const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
pub const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
pub const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
pub const UNKNOWN: &[u8] = &[0x55, 0x1d, 0x63];

/// A CA with its key.
pub struct TestCa {
    pub key: KeyPair,
    pub params: CertificateParams,
    pub certificate: Certificate,
    pub pem: String,
}

/// Usages of a CA of the common kind.
pub const CA_USAGES: &[KeyUsagePurpose] = &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

impl TestCa {
    pub fn root(name: &str) -> Self {
        Self::new(name, CA_USAGES, IsCa::Ca(BasicConstraints::Unconstrained), 1, None)
    }

    pub fn below(&self, name: &str) -> Self {
        Self::new(name, CA_USAGES, IsCa::Ca(BasicConstraints::Unconstrained), 2, Some(self))
    }

    pub fn new(name: &str, usages: &[KeyUsagePurpose], is_ca: IsCa, serial: u64, issuer: Option<&Self>) -> Self {
        Self::with_key(KeyPair::generate().unwrap(), name, usages, is_ca, serial, issuer)
    }

    pub fn with_key(
        key: KeyPair,
        name: &str,
        usages: &[KeyUsagePurpose],
        is_ca: IsCa,
        serial: u64,
        issuer: Option<&Self>,
    ) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = is_ca;
        params.key_usages = usages.to_vec();
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let certificate = match issuer {
            None => params.self_signed(&key),
            Some(issuer) => params.signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key)),
        }
        .unwrap();
        let pem = certificate.pem();
        Self { key, params, certificate: Certificate::parse(certificate.der()).unwrap(), pem }
    }

    /// A list of this CA, fresh at [`NOW`].
    pub fn list(&self) -> ListBuilder<'_> {
        ListBuilder::new(&self.key, self.certificate.subject().der())
    }

    pub fn parts(&self, name: &str, issued_by: Option<&str>) -> AuthorityParts {
        AuthorityParts {
            name: name.into(),
            certificate: self.certificate.clone(),
            issued_by: issued_by.map(Arc::from),
            anchor_expiry: AnchorExpiry::Check,
            revocation: RevocationParts::Lists(ListPolicy::default()),
        }
    }
}

/// Makes one list.
pub struct ListBuilder<'a> {
    key: &'a KeyPair,
    issuer: Vec<u8>,
    pub this_update: Timestamp,
    pub next_update: Option<Timestamp>,
    pub number: Option<u64>,
    pub version: Option<u8>,
    pub inner_algorithm: Option<&'static [u8]>,
    pub outer_algorithm: Option<&'static [u8]>,
    extensions: Vec<u8>,
    entries: Vec<u8>,
}

impl<'a> ListBuilder<'a> {
    pub fn new(key: &'a KeyPair, issuer: &[u8]) -> Self {
        Self {
            key,
            issuer: issuer.to_vec(),
            this_update: NOW.plus_seconds(-DAY),
            next_update: Some(NOW.plus_seconds(DAY)),
            number: Some(1),
            version: Some(1),
            inner_algorithm: None,
            outer_algorithm: None,
            extensions: Vec::new(),
            entries: Vec::new(),
        }
    }

    pub fn number(mut self, number: impl Into<Option<u64>>) -> Self {
        self.number = number.into();
        self
    }

    pub fn this_update(mut self, time: Timestamp) -> Self {
        self.this_update = time;
        self
    }

    pub fn next_update(mut self, time: impl Into<Option<Timestamp>>) -> Self {
        self.next_update = time.into();
        self
    }

    pub fn version(mut self, version: Option<u8>) -> Self {
        self.version = version;
        self
    }

    pub fn issuer(mut self, issuer: &[u8]) -> Self {
        self.issuer = issuer.to_vec();
        self
    }

    pub fn algorithms(mut self, inner: &'static [u8], outer: &'static [u8]) -> Self {
        (self.inner_algorithm, self.outer_algorithm) = (Some(inner), Some(outer));
        self
    }

    pub fn extension(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        self.extensions.extend(extension(oid, critical, value));
        self
    }

    /// A delta list over this base.
    pub fn delta(self, base: u64) -> Self {
        self.extension(DELTA_CRL_INDICATOR, true, &element(0x02, &integer(base)))
    }

    /// The list of a distribution point.
    pub fn at_point(self, uri: &str) -> Self {
        self.extension(ISSUING_DISTRIBUTION_POINT, true, &point(uri, &[]))
    }

    /// `serial` is the content of the INTEGER.
    pub fn revoke(self, serial: &[u8]) -> Self {
        self.revoke_at(serial, NOW.plus_seconds(-2 * DAY), Some(1))
    }

    pub fn revoke_at(mut self, serial: &[u8], at: Timestamp, reason: Option<u8>) -> Self {
        write_entry(&mut self.entries, serial, at, reason);
        self
    }

    /// An entry with these extensions.
    pub fn entry(mut self, serial: &[u8], extensions: &[u8]) -> Self {
        let content = [element(0x02, serial), time(NOW.plus_seconds(-2 * DAY)), element(0x30, extensions)].concat();
        self.entries.extend(element(0x30, &content));
        self
    }

    /// Entries as DER, one after the other.
    pub fn entries(mut self, der: Vec<u8>) -> Self {
        self.entries = der;
        self
    }

    fn algorithm(&self) -> &'static [u8] {
        match self.key.algorithm() {
            algorithm if *algorithm == rcgen::PKCS_RSA_SHA256 => SHA256_WITH_RSA,
            algorithm if *algorithm == rcgen::PKCS_RSA_SHA512 => SHA512_WITH_RSA,
            algorithm if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 => ECDSA_WITH_SHA384,
            algorithm if *algorithm == rcgen::PKCS_ED25519 => ED25519,
            _ => ECDSA_WITH_SHA256,
        }
    }

    /// What is signed: the tbsCertList.
    pub fn tbs(&self) -> Vec<u8> {
        let algorithm = self.algorithm();
        let mut tbs = Vec::with_capacity(self.entries.len() + 512);
        if let Some(version) = self.version {
            tbs.extend(element(0x02, &[version]));
        }
        tbs.extend(self.inner_algorithm.unwrap_or(algorithm));
        tbs.extend(&self.issuer);
        tbs.extend(time(self.this_update));
        tbs.extend(self.next_update.into_iter().flat_map(time));
        if !self.entries.is_empty() {
            write_header(&mut tbs, 0x30, self.entries.len());
            tbs.extend(&self.entries);
        }
        let mut extensions = self.extensions.clone();
        if let Some(number) = self.number {
            extensions.extend(extension(CRL_NUMBER, false, &element(0x02, &integer(number))));
        }
        if !extensions.is_empty() {
            tbs.extend(element(0xa0, &element(0x30, &extensions)));
        }
        element(0x30, &tbs)
    }

    pub fn sign(&self) -> Vec<u8> {
        self.sign_tbs(self.tbs())
    }

    /// A list of whatever is given for its tbsCertList.
    pub fn sign_tbs(&self, tbs: Vec<u8>) -> Vec<u8> {
        let signature = self.key.sign(&tbs).unwrap();
        let mut list = tbs;
        list.extend(self.outer_algorithm.unwrap_or_else(|| self.algorithm()));
        list.extend(element(0x03, &[&[0], signature.as_slice()].concat()));
        element(0x30, &list)
    }

    pub fn pem(&self) -> String {
        pem(&self.sign())
    }
}

pub fn pem(list: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(list);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n"))
}

/// Makes the serial of an index.
pub type MakeSerial = fn(usize) -> [u8; 20];

/// `count` entries with 20-octet serials, a reason and a date: about 50 octets each.
pub fn many_entries(count: usize, serial: impl Fn(usize) -> [u8; 20]) -> Vec<u8> {
    let mut entries = Vec::with_capacity(count * 53);
    for index in 0..count {
        write_entry(&mut entries, &serial(index), NOW.plus_seconds(-((index % 100_000) as i64) * 60), Some(4));
    }
    entries
}

/// A 20-octet serial that looks random and is positive; each index has its own.
pub fn random_serial(index: usize) -> [u8; 20] {
    let digest = sekisho_pki::fingerprint::sha256(&[&(index as u64).to_be_bytes()]);
    let mut serial = [0; 20];
    serial.copy_from_slice(&digest[..20]);
    serial[0] = (serial[0] & 0x7f) | 0x40;
    serial
}

/// A 20-octet serial that counts.
pub fn sequential_serial(index: usize) -> [u8; 20] {
    let mut serial = [0; 20];
    serial[0] = 1;
    serial[12..].copy_from_slice(&(index as u64).to_be_bytes());
    serial
}

/// IssuingDistributionPoint with a URI, and these further fields.
pub fn point(uri: &str, more: &[u8]) -> Vec<u8> {
    let name = element(0xa0, &element(0xa0, &element(0x86, uri.as_bytes())));
    element(0x30, &[&name, more].concat())
}

pub fn write_entry(into: &mut Vec<u8>, serial: &[u8], at: Timestamp, reason: Option<u8>) {
    let mut content = element(0x02, serial);
    content.extend(time(at));
    if let Some(reason) = reason {
        content.extend(element(0x30, &extension(REASON_CODE, false, &[0x0a, 1, reason])));
    }
    into.extend(element(0x30, &content));
}

pub fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut content = element(0x06, oid);
    if critical {
        content.extend([0x01, 0x01, 0xff]);
    }
    content.extend(element(0x04, value));
    element(0x30, &content)
}

pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = Vec::with_capacity(content.len() + 6);
    write_header(&mut element, tag, content.len());
    element.extend(content);
    element
}

fn write_header(into: &mut Vec<u8>, tag: u8, length: usize) {
    into.push(tag);
    if length < 0x80 {
        into.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let skipped = octets.iter().take_while(|octet| **octet == 0).count();
        into.push(0x80 | (octets.len() - skipped) as u8);
        into.extend(&octets[skipped..]);
    }
}

/// Content of a positive INTEGER.
pub fn integer(value: u64) -> Vec<u8> {
    let octets = [&[0][..], &value.to_be_bytes()].concat();
    let surplus = octets.windows(2).take_while(|pair| pair[0] == 0 && pair[1] & 0x80 == 0).count();
    octets[surplus..].to_vec()
}

/// UTCTime or, from 2050 on, GeneralizedTime.
fn time(at: Timestamp) -> Vec<u8> {
    let digits: String = at.to_string().chars().filter(char::is_ascii_digit).collect();
    if digits.as_str() < "2050" {
        element(0x17, format!("{}Z", &digits[2..]).as_bytes())
    } else {
        element(0x18, format!("{digits}Z").as_bytes())
    }
}
