//! PEM files (RFC 7468): textual encodings between `-----BEGIN` and `-----END` lines.
//!
//! Text outside of such blocks is skipped, as openssl's `-text` output needs; what seems to be a block and is none is an
//! error, and so is a block under another label of what the file is read for. A long list is decoded line by line, so
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
/// [`PemError`] when a block is broken, is a certificate under another label, or there is no `CERTIFICATE` block.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    if is_der(bytes) {
        return Err(whole_file("it is DER, not PEM: openssl x509 -inform DER -in FILE -out FILE.pem"));
    }
    let mut found = Vec::new();
    for block in Blocks::new(bytes, "CERTIFICATE") {
        let block = block?;
        match block.label {
            "CERTIFICATE" => found.push(CertificateDer::from(block.decode()?)),
            "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" | "X.509 CERTIFICATE" => {
                let label = block.label;
                return Err(block.error(&format!("a {label}, not a CERTIFICATE: openssl x509 -in FILE -out FILE.pem")));
            }
            "PKCS7" | "CMS" => return Err(block.error(PKCS7)),
            _ => {}
        }
    }
    if found.is_empty() { Err(whole_file("there is no PEM certificate in it")) } else { Ok(found) }
}

/// The one private key of a file: PKCS#8, SEC 1 or PKCS#1, not encrypted.
///
/// # Errors
/// [`PemError`] when a block is broken, when there is no private key, more than one, or one that is encrypted or in a
/// form of another program.
pub fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    if is_der(bytes) {
        return Err(whole_file("it is DER, not PEM: openssl pkey -inform DER -in FILE -out FILE.pem"));
    }
    let mut found = None;
    for block in Blocks::new(bytes, "PRIVATE KEY") {
        let block = block?;
        if block.is_encrypted() {
            return Err(block.error(ENCRYPTED));
        }
        let key: PrivateKeyDer<'static> = match block.label {
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(block.decode()?).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(block.decode()?).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(block.decode()?).into(),
            other if other.ends_with("PRIVATE KEY") => {
                return Err(
                    block.error(&format!("a {other} is not read: write the key as PKCS#8 (openssl pkcs8 -topk8)"))
                );
            }
            _ => continue,
        };
        if found.replace(key).is_some() {
            return Err(block.error("there is a second private key"));
        }
    }
    found.ok_or_else(|| whole_file("there is no PEM private key in it"))
}

/// The CRLs of a file: `X509 CRL` blocks, or one CRL in DER as it is. At least one.
///
/// # Errors
/// [`PemError`] when a block is broken, anything looks like a CRL and cannot be read, or there is no CRL.
pub fn revocation_lists(bytes: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, PemError> {
    if is_der(bytes) {
        return Ok(vec![Cow::Borrowed(bytes)]);
    }
    let mut found = Vec::new();
    for block in Blocks::new(bytes, "CRL") {
        let block = block?;
        match block.label {
            "X509 CRL" => found.push(Cow::Owned(block.decode()?)),
            "PKCS7" | "CMS" => return Err(block.error(PKCS7)),
            other if other.to_ascii_uppercase().contains("CRL") => {
                return Err(
                    block.error(&format!("the block {other} is not read; its label must be X509 CRL (RFC 7468)"))
                );
            }
            _ => {}
        }
    }
    if found.is_empty() { Err(whole_file("there is no revocation list in it, PEM or DER")) } else { Ok(found) }
}

/// Every block of a file with its label, for whoever tells several kinds apart.
///
/// # Errors
/// [`PemError`] when a block is broken or an encrypted key.
pub fn labelled(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, PemError> {
    let read = |block: Result<Block<'_>, PemError>| {
        let block = block?;
        if block.is_encrypted() {
            return Err(block.error(ENCRYPTED));
        }
        Ok((block.label.to_owned(), block.decode()?))
    };
    Blocks::new(bytes, "KEY").map(read).collect()
}

const ENCRYPTED: &str = "the private key is encrypted; decrypt it first";

/// What holds certificates and CRLs, and is neither.
const PKCS7: &str = "PKCS#7 is not read: openssl pkcs7 -in FILE -print_certs (for its CRLs, openssl crl)";

/// The byte order mark of UTF-8, which Windows' editors write and joining files brings into the middle.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A SEQUENCE with a length of 128 or more, as every certificate, key and signed CRL is: no text begins so.
const fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0xff, ..])
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

/// Walks the blocks of a file. A block that is not recognized must not look like text between blocks: what it holds
/// would be missing silently.
struct Blocks<'a> {
    lines: Lines<'a>,
    /// What the file is read for, as its labels have it: a line that seems to begin such a block is one, or an error.
    wanted: &'static str,
    failed: bool,
}

/// Walks lines, counted.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

impl<'a> Blocks<'a> {
    const fn new(bytes: &'a [u8], wanted: &'static str) -> Self {
        Self { lines: Lines { bytes, at: 0, number: 0 }, wanted, failed: false }
    }

    fn read(&mut self) -> Result<Option<Block<'a>>, PemError> {
        if matches!(self.lines.bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return Err(whole_file("it is text in UTF-16; save it in ASCII or UTF-8"));
        }
        let label = loop {
            let Some(line) = self.lines.next() else { return Ok(None) };
            if let Some(label) = label(line, b"-----BEGIN ") {
                break label;
            }
            self.refuse_boundary(line)?;
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

    /// Refuses a line between blocks that is no text (RFC 7468 section 2): the boundary of a block that is mistyped, or
    /// has something before it.
    fn refuse_boundary(&self, line: &[u8]) -> Result<(), PemError> {
        let text = String::from_utf8_lossy(line).to_ascii_uppercase();
        let seems_to_begin = |(_, label): (&str, &str)| label.contains(self.wanted);
        let message = if text.contains("--BEGIN") || text.split_once("BEGIN ").is_some_and(seems_to_begin) {
            "this seems to begin a block and does not: write -----BEGIN LABEL----- alone on its line"
        } else if text.contains("-----END ") {
            "this ends a block that does not begin"
        } else {
            return Ok(());
        };
        Err(PemError { line: self.lines.number, message: message.to_owned() })
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

    /// PKCS#8 has a label for it, the older forms a header (RFC 1421 section 4.6.1.1).
    fn is_encrypted(&self) -> bool {
        let header = b"Proc-Type: 4,ENCRYPTED";
        self.label == "ENCRYPTED PRIVATE KEY" || self.body.windows(header.len()).any(|window| window == header)
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
        let line = rest.get(..length)?;
        Some(line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii())
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

    #[test]
    fn a_byte_order_mark_hides_no_block() {
        let mark = "\u{feff}";
        for label in ["X509 CRL", "CERTIFICATE", "PRIVATE KEY"] {
            let count = |text: &str| match label {
                "X509 CRL" => revocation_lists(text.as_bytes()).unwrap().len(),
                "CERTIFICATE" => certificates(text.as_bytes()).unwrap().len(),
                _ => usize::from(private_key(text.as_bytes()).is_ok()),
            };
            let one = block(label, "AQID");
            assert_eq!(count(&format!("{mark}{one}")), 1, "{label}");
            if label != "PRIVATE KEY" {
                assert_eq!(count(&format!("{mark}{one}{mark}{one}notes\n{mark}{one}")), 3, "{label}");
            }
        }
    }

    /// The block after it is read, and would stand for the whole file.
    #[test]
    fn whatever_looks_like_a_crl_and_is_not_read_is_an_error() {
        let good = block("X509 CRL", "AQID");
        for hidden in [
            block("CRL", "BAUG"),
            block("X.509 CRL", "BAUG"),
            block("x509 crl", "BAUG"),
            block("X509 CRL ", "BAUG"),
            block("PKCS7", "BAUG"),
            block("CMS", "BAUG"),
            good.replace("-----BEGIN", "----BEGIN"),
            good.replace("-----BEGIN", "\u{200b}-----BEGIN"),
            good.replace("-----BEGIN", "x-----BEGIN"),
            good.replace("-----BEGIN", "\u{2013}\u{2013}BEGIN"),
            good.replace("-----BEGIN", "-----Begin"),
            good.replace("-----BEGIN ", "-----BEGIN"),
            good.replace("CRL-----\nAQID", "CRL----\nAQID"),
            good.replace("CRL-----\nAQID", "CRL-----x\nAQID"),
            good.replace("-----BEGIN X509 CRL-----\n", ""),
        ] {
            for text in [format!("{hidden}{good}"), format!("{good}{hidden}")] {
                let error = revocation_lists(text.as_bytes()).expect_err(&text);
                assert!(error.line > 0, "{text}: {error}");
            }
        }
        let utf16: Vec<u8> = "\u{feff}-----BEGIN".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(message(revocation_lists(&utf16)), "it is text in UTF-16; save it in ASCII or UTF-8");
        // Text as openssl and people write it, and other blocks, are no error.
        let text =
            format!("Certificate Revocation List (CRL):\nthe CRL of June\n{}{good}", block("CERTIFICATE", "AQID"));
        assert_eq!(revocation_lists(text.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_the_usual_pem_is_refused_with_what_to_do() {
        let der = [0x30, 0x82, 1, 0];
        assert!(message(certificates(&der)).contains("openssl x509 -inform DER"));
        assert!(message(private_key(&der)).contains("openssl pkey -inform DER"));
        let of = |label: &str| block(label, "AQID");
        assert!(message(certificates(of("TRUSTED CERTIFICATE").as_bytes())).contains("openssl x509 -in"));
        assert!(message(certificates(of("PKCS7").as_bytes())).contains("openssl pkcs7"));
        assert!(message(private_key(of("OPENSSH PRIVATE KEY").as_bytes())).contains("openssl pkcs8"));
        let old = block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAQID");
        assert!(message(private_key(old.as_bytes())).contains("is encrypted"));
    }
}
