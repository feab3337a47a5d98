//! Who came: the accepted authentications of access logs.

use sekisho_pki::time::Timestamp;
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Octets of a line; the longest record of ours has some 8 KiB.
const MAX_LINE_OCTETS: u64 = 64 << 10;
/// Lines that cannot be read and are shown; all are counted.
const MAX_EXAMPLES: usize = 3;

/// One accepted authentication.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) at: Timestamp,
    pub(super) site: String,
    /// The CA's configured name; a log of an older version has none.
    pub(super) ca: Option<String>,
    /// The CA's subject.
    pub(super) issuer: String,
    pub(super) contract: Option<String>,
    pub(super) user: Option<String>,
    pub(super) common_name: Option<String>,
}

/// What the logs were like.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) since: Timestamp,
    /// Accepted authentications since then, and before.
    pub(super) visits: u64,
    pub(super) older: u64,
    /// Lines that cannot be read, and the first of them.
    pub(super) bad: u64,
    pub(super) examples: Vec<String>,
    /// The earliest time of any record.
    pub(super) begins: Option<Timestamp>,
    pub(super) files: usize,
}

#[derive(Deserialize)]
struct Record {
    kind: Option<String>,
    time: Option<String>,
    outcome: Option<String>,
    site: Option<String>,
    certificate: Option<Certificate>,
}

#[derive(Deserialize)]
struct Certificate {
    subject: String,
    issuer: String,
    ca: Option<String>,
    contract_id: Option<String>,
    user_id: Option<String>,
}

impl Log {
    /// Nothing read yet.
    pub(super) const fn since(since: Timestamp) -> Self {
        Self { since, visits: 0, older: 0, bad: 0, examples: Vec::new(), begins: None, files: 0 }
    }

    /// Reads a file and tells each authentication that was accepted since then. A line that is none of ours is counted
    /// and passed over: a log may have been cut in the middle of one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn read(&mut self, path: &Path, tell: &mut impl FnMut(Visit)) -> Result<(), String> {
        let unreadable = |error: std::io::Error| format!("{}: cannot be read: {error}", path.display());
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        self.files += 1;
        let (mut line, mut number) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            number += 1;
            let read = (&mut file).take(MAX_LINE_OCTETS).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') && read as u64 == MAX_LINE_OCTETS {
                file.skip_until(b'\n').map_err(unreadable)?;
                self.bad_line(path, number, "it is longer than a record");
                continue;
            }
            match self.record(line.trim_ascii()) {
                Ok(Some(visit)) => tell(visit),
                Ok(None) => {}
                Err(why) => self.bad_line(path, number, &why),
            }
        }
    }

    fn record(&mut self, line: &[u8]) -> Result<Option<Visit>, String> {
        if line.is_empty() {
            return Ok(None);
        }
        let record: Record = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        // Diagnostics may stand between the records.
        if record.kind.is_none() {
            return Ok(None);
        }
        let at = record.time.as_deref().and_then(Timestamp::from_rfc_3339).ok_or("it has no time")?;
        self.begins = Some(self.begins.map_or(at, |begins| begins.min(at)));
        if record.kind.as_deref() != Some("authentication") || record.outcome.as_deref() != Some("accepted") {
            return Ok(None);
        }
        let certificate = record.certificate.ok_or("it was accepted without a certificate")?;
        if at < self.since {
            self.older += 1;
            return Ok(None);
        }
        self.visits += 1;
        Ok(Some(Visit {
            at,
            site: record.site.ok_or("it has no site")?,
            ca: certificate.ca,
            issuer: certificate.issuer,
            contract: certificate.contract_id,
            user: certificate.user_id,
            common_name: common_name(&certificate.subject),
        }))
    }

    fn bad_line(&mut self, path: &Path, number: u64, why: &str) {
        self.bad += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(format!("{}:{number}: {why}", path.display()));
        }
    }
}

/// The CN of a name in RFC 4514, which has one where a certificate was accepted; none when it is escaped in a way that
/// has no one text.
fn common_name(subject: &str) -> Option<String> {
    let mut rest = subject;
    loop {
        let (attribute, value) = rest.split_once('=')?;
        let (text, after) = unescaped(value)?;
        if attribute.eq_ignore_ascii_case("CN") {
            return Some(text);
        }
        rest = after;
    }
}

/// The value up to the next `,` or `+` that is not escaped, and what follows it.
fn unescaped(value: &str) -> Option<(String, &str)> {
    let mut octets = Vec::new();
    let mut rest = value;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..)?;
        match character {
            ',' | '+' => break,
            '\\' => match rest.get(..2).and_then(octet) {
                Some(octet) => {
                    octets.push(octet);
                    rest = rest.get(2..)?;
                }
                None => {
                    let escaped = rest.chars().next()?;
                    octets.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = rest.get(escaped.len_utf8()..)?;
                }
            },
            character => octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some((String::from_utf8(octets).ok()?, rest))
}

/// Of two hex digits; `from_str_radix` alone would take a sign.
fn octet(digits: &str) -> Option<u8> {
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_name_is_found_wherever_it_stands_and_unescaped() {
        for (subject, name) in [
            ("CN=00009876543 riyousya 1635,O=Bank,C=JP", Some("00009876543 riyousya 1635")),
            ("O=Bank\\, Ltd,CN=a\\,b\\+c\\\\d,C=JP", Some("a,b+c\\d")),
            ("OU=x+CN=y,C=JP", Some("y")),
            ("CN=\\E6\\97\\A5", Some("日")),
            ("CN=\\E6", None),
            ("O=CN\\=x,C=JP", None),
            ("", None),
        ] {
            assert_eq!(common_name(subject).as_deref(), name, "{subject}");
        }
    }
}
