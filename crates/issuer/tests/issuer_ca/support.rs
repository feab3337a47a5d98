//! A hierarchy in memory, and the real tools over a temporary folder.

use sekisho_ca::authority::PublicUrl;
use sekisho_ca::certificate::{Purpose, Template};
use sekisho_ca::crl::{DistributionPoints, PartCount};
use sekisho_ca::hierarchy::{self, Wanted};
use sekisho_ca::name::{AttributeType, Name};
use sekisho_ca::p12::{DeliveredKey, UserKey};
use sekisho_ca::validity::{Rounding, Validity};
use sekisho_ca::{Authority, FileKey, KeyKind, PublicationPoints, download, serial};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use std::path::Path;
use std::process::{Command, Output};

/// A root and an issuing CA below it.
pub struct Hierarchy {
    pub root: Authority,
    pub issuing: Authority,
    issuing_pkcs8: Vec<u8>,
}

/// The tools look at the real clock.
pub fn now() -> Timestamp {
    sekisho_runtime::clock::now()
}

pub fn name(common_name: &str) -> Name {
    Name::new(vec![
        (AttributeType::Organization, "(9999)NTT DATA CORPORATION".to_owned()),
        (AttributeType::OrganizationalUnit, "(9999)ANSER-WEB(BizSOL) CA - G4".to_owned()),
        (AttributeType::CommonName, common_name.to_owned()),
    ])
    .unwrap()
}

pub fn wanted(common_name: &str, key: KeyKind, path_len: u8) -> Wanted {
    Wanted { name: name(common_name), key, years: 10, path_len }
}

pub fn points(parts: u16, deltas: bool) -> PublicationPoints {
    let part = if parts > 1 { "-{part}" } else { "" };
    let delta = deltas.then(|| format!("http://pki.example.jp/delta{part}.crl"));
    let parts = PartCount::new(parts).unwrap();
    PublicationPoints {
        revocation_lists: Some(
            DistributionPoints::new(&format!("http://pki.example.jp/issuing{part}.crl"), delta.as_deref(), parts)
                .unwrap(),
        ),
        ocsp: Some("http://ocsp.example.jp/".parse::<PublicUrl>().unwrap()),
        ca_issuers: Some("http://pki.example.jp/issuing.cer".parse().unwrap()),
    }
}

impl Hierarchy {
    pub fn new(points: PublicationPoints) -> Self {
        Self::of(KeyKind::EcdsaP256, points)
    }

    pub fn of(issuing: KeyKind, issuing_points: PublicationPoints) -> Self {
        // A minute ago, so that a certificate that is backdated fits in.
        let begin = now().plus_seconds(-60);
        let root = hierarchy::root(&wanted("Test Root", KeyKind::EcdsaP384, 1), begin).unwrap();
        let root = root.into_authority(points(1, false)).unwrap();
        let issuing_wanted = Wanted { years: 5, ..wanted("Test Issuing", issuing, 0) };
        let issuing = hierarchy::intermediate(&issuing_wanted, &root, begin).unwrap();
        let issuing_pkcs8 = issuing.key.to_pkcs8().unwrap().to_vec();
        Self { root, issuing: issuing.into_authority(issuing_points).unwrap(), issuing_pkcs8 }
    }

    /// The issuing CA's key once more.
    pub fn issuing_key(&self) -> FileKey {
        FileKey::from_pkcs8(&self.issuing_pkcs8).unwrap()
    }

    /// A user's certificate and key.
    pub fn user(&self, common_name: &str, kind: DeliveredKey) -> (Certificate, UserKey) {
        let key = UserKey::generate(kind).unwrap();
        let subject = name(common_name);
        let validity = Validity::one_year(now(), Rounding::ToTheSecond);
        let template = Template { subject: &subject, validity, purpose: Purpose::Client };
        let prepared = self.issuing.prepare(serial::random().unwrap(), &template, key.public_key()).unwrap();
        (self.issuing.sign(prepared).unwrap(), key)
    }

    /// Writes `root.pem` and `issuing.pem`.
    pub fn write(&self, folder: &Path) {
        write_pem(&folder.join("root.pem"), self.root.certificate());
        write_pem(&folder.join("issuing.pem"), self.issuing.certificate());
    }
}

pub fn write_pem(path: &Path, certificate: &Certificate) {
    std::fs::write(path, download::pem("CERTIFICATE", certificate.der())).unwrap();
}

/// Runs a tool in a folder; the line is split at spaces.
pub fn tool(folder: &Path, line: &str) -> Output {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words.map(|word| if word == "''" { "" } else { word })).current_dir(folder);
    command.stdin(std::process::Stdio::null()).output().unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// The same, which must succeed; gives what it printed on both streams.
pub fn succeeds(folder: &Path, line: &str) -> String {
    let output = tool(folder, line);
    let text = text(&output);
    assert!(output.status.success(), "{line}\n{text}");
    text
}

/// The same, which must fail.
pub fn fails(folder: &Path, line: &str) -> String {
    let output = tool(folder, line);
    let text = text(&output);
    assert!(!output.status.success(), "{line}\n{text}");
    text
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
