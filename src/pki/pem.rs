//! PEM files (RFC 7468): textual encodings between `-----BEGIN` and `-----END` lines.
//!
//! Text outside of such blocks is skipped, as openssl's `-text` output needs. A long list is decoded line by line, so
//! that its text and its DER are all that is in memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use std::borrow::Cow;
use std::fmt;

/// Why a file is not the PEM that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemError {
    /// The line, counted from 1; 0 when the file as a whole is wrong.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The certificates of a file, in their order; at least one.
///
/// # Errors
/// [`PemError`] when a block is broken or there is no `CERTIFICATE` block.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let mut found = Vec::new();
    for block in Blocks::new(bytes) {
        let block = block?;
        if block.label == "CERTIFICATE" {
            found.push(CertificateDer::from(block.decode()?));
        }
    }
    if found.is_empty() { Err(whole_file("there is no PEM certificate in it")) } else { Ok(found) }
}

/// The one private key of a file: PKCS#8, SEC 1 or PKCS#1, not encrypted.
///
/// # Errors
/// [`PemError`] when a block is broken, when there is no private key, more than one, or an encrypted one.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let mut found = None;
    for block in Blocks::new(bytes) {
        let block = block?;
        let key: PrivateKeyDer<'static> = match block.label {
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(block.decode()?).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(block.decode()?).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(block.decode()?).into(),
            "ENCRYPTED PRIVATE KEY" => return Err(block.error("the private key is encrypted; decrypt it first")),
            _ => continue,
        };
        if found.replace(key).is_some() {
            return Err(block.error("there is a second private key"));
        }
    }
    found.ok_or_else(|| whole_file("there is no PEM private key in it"))
}

/// The revocation lists of a file: `X509 CRL` blocks, or one list in DER as it is. At least one.
///
/// # Errors
/// [`PemError`] when a block is broken or there is no list.
pub fn revocation_lists(bytes: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, PemError> {
    // A SEQUENCE with a length of 128 or more, as every signed list has: no text begins so.
    if matches!(bytes, [0x30, 0x80..=0xff, ..]) {
        return Ok(vec![Cow::Borrowed(bytes)]);
    }
    let mut found = Vec::new();
    for block in Blocks::new(bytes) {
        let block = block?;
        if block.label == "X509 CRL" {
            found.push(Cow::Owned(block.decode()?));
        }
    }
    if found.is_empty() { Err(whole_file("there is no revocation list in it, PEM or DER")) } else { Ok(found) }
}

fn whole_file(message: &str) -> PemError {
    PemError { line: 0, message: message.to_owned() }
}

/// One block: its label, and the lines between BEGIN and END.
struct Block<'a> {
    label: &'a str,
    body: &'a [u8],
    /// The line of BEGIN.
    line: usize,
}

/// Walks the blocks of a file.
struct Blocks<'a> {
    lines: Lines<'a>,
    failed: bool,
}

/// Walks lines, counted.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

impl<'a> Blocks<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { lines: Lines { bytes, at: 0, number: 0 }, failed: false }
    }

    fn read(&mut self) -> Result<Option<Block<'a>>, PemError> {
        let label = loop {
            let Some(line) = self.lines.next() else { return Ok(None) };
            if let Some(label) = label(line, b"-----BEGIN ") {
                break label;
            }
        };
        let (begin, start) = (self.lines.number, self.lines.at);
        loop {
            let end = self.lines.at;
            let Some(line) = self.lines.next() else {
                return Err(PemError { line: begin, message: format!("the block {label} has no END line") });
            };
            if !line.starts_with(b"-----") {
                continue;
            }
            return if self::label(line, b"-----END ") == Some(label) {
                let body = self.lines.bytes.get(start..end).unwrap_or_default();
                Ok(Some(Block { label, body, line: begin }))
            } else {
                let message = format!("the END line of the block {label} belongs here");
                Err(PemError { line: self.lines.number, message })
            };
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, PemError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let block = self.read();
        self.failed = block.is_err();
        block.transpose()
    }
}

impl Block<'_> {
    fn decode(&self) -> Result<Vec<u8>, PemError> {
        let mut der = Vec::with_capacity(self.body.len() / 4 * 3);
        let mut lines = Lines { bytes: self.body, at: 0, number: self.line };
        // Base64 goes by four characters; a line may end in between.
        let mut carried: Vec<u8> = Vec::new();
        let mut padded = false;
        while let Some(line) = lines.next() {
            let broken = |message: &str| PemError { line: lines.number, message: message.to_owned() };
            if line.is_empty() {
                continue;
            }
            if padded {
                return Err(broken("base64 goes on after its end"));
            }
            carried.extend(line.iter().filter(|octet| !octet.is_ascii_whitespace()));
            let whole = carried.len() - carried.len() % 4;
            padded = carried.contains(&b'=');
            let groups = carried.get(..whole).unwrap_or_default();
            STANDARD.decode_vec(groups, &mut der).map_err(|_| broken("not base64"))?;
            carried.drain(..whole);
        }
        if carried.is_empty() { Ok(der) } else { Err(self.error("the base64 is incomplete")) }
    }

    fn error(&self, message: &str) -> PemError {
        PemError { line: self.line, message: message.to_owned() }
    }
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|octet| *octet == b'\n').map_or(rest.len(), |newline| newline + 1);
        self.at += length;
        self.number += 1;
        Some(rest.get(..length)?.trim_ascii())
    }
}

/// The label of a BEGIN or END line.
fn label<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a str> {
    std::str::from_utf8(line.strip_prefix(start)?.strip_suffix(b"-----")?).ok()
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}: {}", self.message),
        }
    }
}

impl std::error::Error for PemError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    fn message(error: Result<impl fmt::Debug, PemError>) -> String {
        error.unwrap_err().to_string()
    }

    #[test]
    fn blocks_are_found_among_text_and_other_blocks() {
        let text = format!(
            "subject=/CN=x\r\n{}{}notes{}",
            block("PRIVATE KEY", "AQI="),
            block("CERTIFICATE", "AQID"),
            ["\n", &block("CERTIFICATE", "BAU\nG\n")].concat()
        );
        let found = certificates(text.as_bytes()).unwrap();
        assert_eq!(found.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(), [&[1, 2, 3][..], &[4, 5, 6]]);
        assert_eq!(private_key(text.as_bytes()).unwrap().secret_der(), [1, 2]);
        let windows = block("CERTIFICATE", "AQID").replace('\n', "\r\n");
        assert_eq!(certificates(windows.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn a_broken_block_is_refused_with_its_line() {
        let certificate = |body: &str| message(certificates(format!("x\n{}", block("CERTIFICATE", body)).as_bytes()));
        assert_eq!(certificate("AQI*"), "line 3: not base64");
        assert_eq!(certificate("AQ"), "line 2: the base64 is incomplete");
        assert_eq!(certificate("AQI=\nAQID"), "line 4: base64 goes on after its end");
        let cut = "-----BEGIN CERTIFICATE-----\nAQID\n";
        assert_eq!(message(certificates(cut.as_bytes())), "line 1: the block CERTIFICATE has no END line");
        let nested = format!("{cut}-----BEGIN CERTIFICATE-----\n");
        assert_eq!(
            message(certificates(nested.as_bytes())),
            "line 3: the END line of the block CERTIFICATE belongs here"
        );
    }

    #[test]
    fn a_file_without_what_is_wanted_is_refused() {
        for bytes in [&b""[..], b"garbage", b"\0\xff\xfe", block("PUBLIC KEY", "AQID").as_bytes()] {
            assert_eq!(message(certificates(bytes)), "there is no PEM certificate in it");
            assert_eq!(message(private_key(bytes)), "there is no PEM private key in it");
            assert_eq!(message(revocation_lists(bytes)), "there is no revocation list in it, PEM or DER");
        }
    }

    #[test]
    fn two_private_keys_or_an_encrypted_one_are_refused() {
        let two = [block("PRIVATE KEY", "AQID"), block("EC PRIVATE KEY", "AQID")].concat();
        assert_eq!(message(private_key(two.as_bytes())), "line 4: there is a second private key");
        let encrypted = block("ENCRYPTED PRIVATE KEY", "AQID");
        assert_eq!(
            message(private_key(encrypted.as_bytes())),
            "line 1: the private key is encrypted; decrypt it first"
        );
    }

    #[test]
    fn a_list_in_der_is_taken_as_it_is_and_several_in_pem_each() {
        let der = [0x30, 0x82, 1, 0];
        assert_eq!(revocation_lists(&der).unwrap(), [Cow::Borrowed(&der[..])]);
        let two = [block("X509 CRL", "AQID"), block("X509 CRL", "BAUG")].concat();
        assert_eq!(revocation_lists(two.as_bytes()).unwrap(), [vec![1, 2, 3], vec![4, 5, 6]]);
    }
}
