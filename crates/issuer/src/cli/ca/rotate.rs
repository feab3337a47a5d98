//! `sekisho-issuer ca rotate`: the successor of an issuing CA.

use super::{NewFolder, NewPassphrase, Points, Signer, Subject, line, read_certificate, write};
use sekisho_ca::KeyKind;
use sekisho_ca::hierarchy::{self, Wanted};
use sekisho_pki::certificate::{Certificate, PublicKeyKind};
use sekisho_pki::signature::verify_certificate;
use sekisho_runtime::clock;
use std::path::PathBuf;

/// Make the successor of an issuing CA: a new key under a new name below the same root. The old one goes on publishing
/// its revocation lists until its last certificate has ended.
#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// Certificate of the CA that is replaced, PEM.
    #[arg(long, value_name = "FILE")]
    current: PathBuf,
    #[command(flatten)]
    issuer: Signer,
    /// Folder to make; it must not be there, or be empty.
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    subject: Subject,
    /// commonName of the successor: another than the current one's, so that nobody takes the one's lists for the
    /// other's (`… G5` after `… G4`).
    #[arg(long)]
    name: String,
    /// Its key: p256 or p384 [default: as the current one's].
    #[arg(long, value_name = "KIND")]
    key: Option<KeyKind>,
    /// Its life in years.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    years: u16,
    #[command(flatten)]
    passphrase: NewPassphrase,
    #[command(flatten)]
    points: Points,
}

impl Rotate {
    pub(super) fn run(&self) -> Result<String, String> {
        let about = |error: &str| format!("{}: {error}", self.current.display());
        let current = read_certificate(&self.current)?;
        let passphrase = self.passphrase.read()?;
        let issuer = self.issuer.authority(self.points.publication()?)?;
        verify_certificate(current.der(), issuer.certificate().subject_public_key_info())
            .map_err(|_| about("it was not issued by the CA that is to sign its successor"))?;
        let constraints = current.basic_constraints().filter(|constraints| constraints.ca);
        let path_len = constraints.ok_or_else(|| about("it is not a CA's certificate"))?.path_len;
        let name = self.subject.name(&self.name)?;
        if name.der() == current.subject().der() {
            return Err("the successor needs another name than the current CA".to_owned());
        }
        let wanted = Wanted {
            name,
            key: self.key.map_or_else(|| kind_of(&current).ok_or_else(|| about("give --key")), Ok)?,
            years: self.years,
            path_len: u8::try_from(path_len.unwrap_or_default()).unwrap_or_default(),
        };
        let folder = NewFolder::begin(&self.folder)?;
        let made = hierarchy::intermediate(&wanted, &issuer, clock::now()).map_err(|error| error.to_string())?;
        write(&folder, "", "issuing", &made, &passphrase, &[issuer.certificate()])?;
        folder.finish()?;
        Ok(format!(
            "made {}\n{}\nto succeed {}\n{NEXT}",
            self.folder.display(),
            line(&made.certificate),
            line(&current)
        ))
    }
}

/// The order matters: a certificate that no gateway knows the CA of is of no use to its user.
const NEXT: &str = "next:
1. gateways: add a [[ca]] for the successor with its revocation list, and reload
2. issuer: add an [[authority]] for it, move the profiles to it, leave the old one there without profiles, and restart
3. gateways: write state = \"draining\" into the old one's [[ca]], and reload
4. when the old one's last certificate has ended, or 'sekisho ca plan NEW.toml' says that nobody is locked out: take it
   out of both";

fn kind_of(certificate: &Certificate) -> Option<KeyKind> {
    match certificate.public_key() {
        PublicKeyKind::EcP256 => Some(KeyKind::EcdsaP256),
        PublicKeyKind::EcP384 => Some(KeyKind::EcdsaP384),
        _ => None,
    }
}
