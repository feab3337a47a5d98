//! `sekisho-issuer ca issue-crl`: a root's own revocation list, made where its key is.

use super::{PublicationPoints, Signer, read_certificate};
use sekisho_ca::Authority;
use sekisho_ca::crl::{CrlNumber, Due, PartCount, PartIndex, Published, Reason, RevocationRegister, Revoked};
use sekisho_pki::crl::CertificateList;
use sekisho_pki::pem;
use sekisho_pki::signature::verify_certificate;
use sekisho_runtime::clock;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Make the revocation list of an offline CA: of the certificates of CAs below it.
#[derive(Debug, clap::Args)]
pub(super) struct IssueCrl {
    #[command(flatten)]
    issuer: Signer,
    /// The list before this one: what is on it stays, and the number goes on from it. Only the first list is made
    /// without.
    #[arg(long, value_name = "FILE", required_unless_present = "first")]
    previous: Option<PathBuf>,
    /// Make the first list, with number 1.
    #[arg(long, conflicts_with = "previous")]
    first: bool,
    /// Certificate to be revoked, PEM; may be given several times.
    #[arg(long, value_name = "FILE")]
    revoke: Vec<PathBuf>,
    /// Why: ca-compromise, superseded, cessation-of-operation or unspecified.
    #[arg(long, default_value = "unspecified", value_parser = reason)]
    reason: Reason,
    /// Days until nextUpdate.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=400))]
    days: i64,
    /// File to make, DER; it must not be there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn reason(text: &str) -> Result<Reason, String> {
    match text {
        "ca-compromise" => Ok(Reason::CaCompromise),
        "superseded" => Ok(Reason::Superseded),
        "cessation-of-operation" => Ok(Reason::CessationOfOperation),
        "unspecified" => Ok(Reason::Unspecified),
        _ => Err("a reason is ca-compromise, superseded, cessation-of-operation or unspecified".to_owned()),
    }
}

impl IssueCrl {
    pub(super) fn run(&self) -> Result<String, String> {
        let now = clock::now();
        let issuer = self.issuer.authority(PublicationPoints::default())?;
        let mut register = RevocationRegister::new(PartCount::MIN);
        if let Some(previous) = &self.previous {
            take_over(&mut register, &issuer, previous)?;
        }
        for path in &self.revoke {
            let certificate = read_certificate(path)?;
            let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            verify_certificate(certificate.der(), issuer.certificate().subject_public_key_info())
                .map_err(|_| about(&"it was not issued by this CA"))?;
            let revoked = Revoked {
                serial: certificate.serial(),
                at: now,
                reason: self.reason,
                not_after: certificate.not_after(),
            };
            register.revoke(&revoked).map_err(|error| about(&error))?;
        }
        let part = PartIndex::of(&issuer.certificate().serial(), PartCount::MIN);
        let due = Due { this_update: now, next_update: now.plus_seconds(self.days * DAY) };
        let list = register.sign_full(&issuer, part, due).map_err(|error| error.to_string())?;
        write_new(&self.out, &list.der)?;
        let (number, count) = (list.facts.number.value(), register.len());
        Ok(format!("made {}: number {number}, {count} revoked, until {}", self.out.display(), due.next_update))
    }
}

/// What is on the last list, and its number.
fn take_over(register: &mut RevocationRegister, issuer: &Authority, path: &Path) -> Result<(), String> {
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| about(&error))?;
    let lists = pem::revocation_lists(&bytes).map_err(|error| about(&error.message))?;
    let [der] = lists.as_slice() else { return Err(about(&"there is more than one list in it")) };
    let list = CertificateList::parse(der).map_err(|error| about(&error))?;
    list.verify_signature(issuer.certificate().subject_public_key_info())
        .map_err(|_| about(&"it was not signed by this CA"))?;
    let number = list.header().number.ok_or_else(|| about(&"it has no number"))?;
    // Numbers made here have 64 bits.
    let number = number.to_string().parse().map_err(|_| about(&"its number is not one of ours"))?;
    let part = PartIndex::of(&issuer.certificate().serial(), PartCount::MIN);
    for entry in list.entries() {
        let entry = entry.map_err(|error| about(&error))?;
        let reason = entry.reason.into();
        // Its notAfter is not known here; what outlives its issuer is nothing's.
        let not_after = issuer.certificate().not_after();
        let revoked = Revoked { serial: entry.serial, at: entry.revoked_at, reason, not_after };
        register.revoke(&revoked).map_err(|error| about(&error))?;
    }
    let last = Published { number: CrlNumber::from_stored(number), this_update: list.header().this_update };
    register.resume(part, last).map_err(|error| about(&error))
}

/// Makes a file that was not there; when it cannot be written it is not there afterwards either.
fn write_new(path: &Path, content: &[u8]) -> Result<(), String> {
    let about = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(about)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| {
        // There is nobody left to tell.
        let _ = std::fs::remove_file(path);
        about(error)
    })
}
