//! Authorities, keys and secrets of the demo's issuer, in a folder of the development PKI.

use super::lives::Life;
use super::{Past, SERVER, before};
use crate::binaries;
use crate::pki::{ClientRequest, DAY, PkiDir};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use sekisho_pki::time::Timestamp;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder within the development PKI's.
pub(crate) const FOLDER: &str = "issuer";

/// Name of an authority and commonName of its certificate; the first is made with the root.
pub(crate) const AUTHORITIES: [(&str, &str); 4] = [
    ("bizstation", "Sekisho Demo BizSTATION CA"),
    ("anser-bizsol", "Sekisho Demo AnserBizSOL CA"),
    ("shinkin", "Sekisho Demo Shinkin CA"),
    ("hokugin", "Sekisho Demo Hokugin CA"),
];

/// The issuer's files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    certificates: PathBuf,
    folder: PathBuf,
}

/// Where an acquired certificate and its key go.
#[derive(Clone, Debug)]
pub(crate) struct Acquired {
    /// The user's certificate and those above it, PEM.
    pub(crate) certificate: PathBuf,
    /// PEM.
    pub(crate) key: PathBuf,
}

impl Files {
    /// Finds them, or makes them. The store is always made anew: a demo begins with the users it shows.
    pub(crate) fn ensure(pki: &PkiDir, authorities: &[(&str, &str)], now: Timestamp) -> Result<Self, Box<dyn Error>> {
        let files = Self { certificates: pki.folder().to_owned(), folder: pki.path(FOLDER) };
        if !files.folder.join("complete").exists() {
            if files.folder.exists() {
                std::fs::remove_dir_all(&files.folder)?;
            }
            std::fs::create_dir(&files.folder)?;
            files.secrets()?;
            files.assertion_key()?;
            files.authorities(authorities)?;
            std::fs::write(files.folder.join("complete"), "")?;
        }
        pki.issue_server(SERVER, &[SERVER], now)?;
        let service = ClientRequest { not_before: before(now), ..ClientRequest::good("ib-application", now) };
        pki.issue_client("service-ib", &ClientRequest { not_after: now.plus_seconds(365 * DAY), ..service })?;
        files.forget_store()?;
        Ok(files)
    }

    /// The issuer's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The development PKI's folder.
    pub(crate) fn certificates(&self) -> &Path {
        &self.certificates
    }

    /// Where a user's certificate of that count goes.
    pub(crate) fn of(&self, life: &Life, user: &str, count: u32) -> Acquired {
        let file = |kind: &str| self.folder.join(format!("users/{}-{user}-{count}.{kind}", life.profile));
        Acquired { certificate: file("pem"), key: file("key") }
    }

    fn forget_store(&self) -> Result<(), Box<dyn Error>> {
        for name in ["issuer.db", "issuer.db-wal", "issuer.db-shm"] {
            match std::fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        for folder in ["users", "published"] {
            let folder = self.folder.join(folder);
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            std::fs::create_dir(folder)?;
        }
        Ok(())
    }

    fn secrets(&self) -> Result<(), Box<dyn Error>> {
        for name in ["issuer.secret", "root.passphrase", "issuing.passphrase"] {
            let mut octets = [0; 32];
            rand::fill(&mut octets)?;
            self.secret(name, BASE64_STANDARD.encode(octets).as_bytes())?;
        }
        Ok(())
    }

    /// The gateway's key for assertions, and its public half for the issuer.
    fn assertion_key(&self) -> Result<(), Box<dyn Error>> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let der: aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der()?;
        let body = BASE64_STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n");
        self.secret("assertion.key", pem.as_bytes())?;
        let point = key.public_key().as_ref();
        let coordinate = |range| point.get(range).map(|octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets));
        let (x, y) = coordinate(1..33).zip(coordinate(33..65)).ok_or("a P-256 point has 65 octets")?;
        // RFC 7638: the members in the order of their names, without spaces.
        let members = format!(r#""crv":"P-256","kty":"EC","x":"{x}","y":"{y}""#);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{{{members}}}").as_bytes());
        let kid = BASE64_URL_SAFE_NO_PAD.encode(digest);
        let set = format!(r#"{{"keys":[{{{members},"kid":"{kid}","alg":"ES256","use":"sig"}}]}}"#);
        std::fs::write(self.folder.join("jwks.json"), set)?;
        Ok(())
    }

    /// With `sekisho-issuer ca`, as a bank would; long enough ago for certificates that have expired since.
    fn authorities(&self, authorities: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
        let ((first, first_name), others) = authorities.split_first().ok_or("there are authorities")?;
        self.ca(
            &format!("init --folder pki --root-name|Sekisho Demo Root|--issuing-name|{first_name}|--root-years 20"),
            &["--root-passphrase-file", "root.passphrase", "--passphrase-file", "issuing.passphrase"],
        )?;
        std::fs::rename(self.folder.join("pki/issuing"), self.folder.join("pki").join(first))?;
        let signer = ["--issuer-certificate", "pki/root/root.pem", "--issuer-key", "pki/root/root.key"];
        for (name, common_name) in others {
            let mut more = signer.to_vec();
            more.extend(["--root-passphrase-file", "root.passphrase", "--passphrase-file", "issuing.passphrase"]);
            self.ca(&format!("issue-intermediate --folder pki/{name} --name|{common_name}|"), &more)?;
        }
        let mut more = signer.to_vec();
        more.extend(["--root-passphrase-file", "root.passphrase", "--first", "--out", "root.crl", "--days", "400"]);
        // The root's list must hold today: it is the one thing that is made today.
        let mut command = Command::new(binaries::issuer()?);
        command.args(["ca", "issue-crl"]).args(more).current_dir(&self.folder);
        succeeded(&mut command)
    }

    /// Words are divided by spaces, and by bars where one has spaces in it.
    fn ca(&self, line: &str, more: &[&str]) -> Result<(), Box<dyn Error>> {
        let words = line
            .split('|')
            .enumerate()
            .flat_map(|(place, part)| if place % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
        let mut command = Command::new(binaries::issuer()?);
        command.arg("ca").args(words).args(["--organization", "Sekisho Demo Bank"]).args(more);
        command.current_dir(&self.folder);
        if let Some(past) = Past::new(super::LONG_AGO + 20 * super::DAY) {
            past.apply(&mut command);
        }
        succeeded(&mut command)
    }

    fn secret(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.folder.join(name))?;
        file.write_all(content)
    }
}

/// Runs a command to its end.
pub(crate) fn succeeded(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
