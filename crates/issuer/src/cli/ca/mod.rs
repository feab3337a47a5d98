//! `sekisho-issuer ca`: certification authorities, made once and by hand.

mod files;
mod revocation_list;
mod rotate;

use files::NewFolder;
use sekisho_ca::authority::PublicUrl;
use sekisho_ca::crl::DistributionPoints;
use sekisho_ca::hierarchy::{self, Made, Wanted};
use sekisho_ca::key_file::{self, Passphrase};
use sekisho_ca::name::{AttributeType, Name};
use sekisho_ca::{Authority, KeyKind, PublicationPoints};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::pem;
use sekisho_runtime::clock;
use sekisho_runtime::standard_output::say;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make certification authorities.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(Box<Init>),
    IssueIntermediate(Box<IssueIntermediate>),
    Rotate(Box<rotate::Rotate>),
    IssueCrl(Box<revocation_list::IssueCrl>),
}

/// Make a root and an issuing CA below it. Take FOLDER/root offline afterwards: only the issuing CA's files are needed.
#[derive(Debug, clap::Args)]
struct Init {
    /// Folder to make; it must not be there, or be empty.
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    subject: Subject,
    /// commonName of the root.
    #[arg(long, value_name = "NAME")]
    root_name: String,
    /// commonName of the issuing CA.
    #[arg(long, value_name = "NAME")]
    issuing_name: String,
    /// Key of the root: p256 or p384.
    #[arg(long, value_name = "KIND", default_value = "p384")]
    root_key: KeyKind,
    /// Key of the issuing CA: p256 or p384.
    #[arg(long, value_name = "KIND", default_value = "p256")]
    issuing_key: KeyKind,
    /// Life of the root in years.
    #[arg(long, value_name = "YEARS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=50))]
    root_years: u16,
    /// Life of the issuing CA in years.
    #[arg(long, value_name = "YEARS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    issuing_years: u16,
    /// CAs that may follow below the root.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    root_path_length: u8,
    #[command(flatten)]
    root_passphrase: RootPassphrase,
    #[command(flatten)]
    passphrase: NewPassphrase,
    #[command(flatten)]
    points: Points,
}

/// The CA that signs, on the machine where its key is.
#[derive(Debug, clap::Args)]
struct Signer {
    /// Certificate of the CA above, PEM.
    #[arg(long, value_name = "FILE")]
    issuer_certificate: PathBuf,
    /// Encrypted private key of the CA above, PEM.
    #[arg(long, value_name = "FILE")]
    issuer_key: PathBuf,
    #[command(flatten)]
    issuer_passphrase: RootPassphrase,
}

/// Make a CA below another.
#[derive(Debug, clap::Args)]
struct IssueIntermediate {
    #[command(flatten)]
    issuer: Signer,
    /// Folder to make; it must not be there, or be empty.
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    subject: Subject,
    /// commonName of the new CA.
    #[arg(long)]
    name: String,
    /// Its key: p256 or p384.
    #[arg(long, value_name = "KIND", default_value = "p256")]
    key: KeyKind,
    /// Its life in years.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    years: u16,
    /// CAs that may follow below it.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=8))]
    path_length: u8,
    #[command(flatten)]
    passphrase: NewPassphrase,
    #[command(flatten)]
    points: Points,
}

#[derive(Debug, clap::Args)]
struct Subject {
    /// countryName, two capital letters.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// organizationName.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
}

/// Of the key that signs: a root's, or another CA's.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct RootPassphrase {
    /// File with the passphrase of the upper CA's key; mode 0600.
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
    /// Environment variable with it.
    #[arg(long, value_name = "NAME")]
    root_passphrase_variable: Option<String>,
}

/// Of the key that is made.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct NewPassphrase {
    /// File with the passphrase of the issuing CA's key; mode 0600.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Environment variable with it.
    #[arg(long, value_name = "NAME")]
    passphrase_variable: Option<String>,
}

/// Written into the certificate of the lower CA: where the upper one publishes.
#[derive(Debug, clap::Args)]
struct Points {
    /// URL of the upper CA's revocation list.
    #[arg(long, value_name = "URL")]
    crl_url: Option<String>,
    /// URL of the upper CA's OCSP responder.
    #[arg(long, value_name = "URL")]
    ocsp_url: Option<PublicUrl>,
    /// URL of the upper CA's certificate in DER.
    #[arg(long, value_name = "URL")]
    ca_issuers_url: Option<PublicUrl>,
}

/// Runs it: one line and exit code 1 when something is wrong, and nothing is left behind.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let outcome = match &arguments.command {
        Command::Init(init) => init.run(),
        Command::IssueIntermediate(issue) => issue.run(),
        Command::Rotate(rotate) => rotate.run(),
        Command::IssueCrl(issue) => issue.run(),
    };
    match outcome {
        Ok(report) => say(format_args!("{report}\n"), ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("sekisho-issuer ca: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Init {
    fn run(&self) -> Result<String, String> {
        let root_passphrase = self.root_passphrase.read()?;
        let passphrase = self.passphrase.read()?;
        let points = self.points.publication()?;
        let now = clock::now();
        let folder = NewFolder::begin(&self.folder)?;

        let wanted = Wanted {
            name: self.subject.name(&self.root_name)?,
            key: self.root_key,
            years: self.root_years,
            path_len: self.root_path_length,
        };
        let root = hierarchy::root(&wanted, now).map_err(|error| format!("the root: {error}"))?;
        write(&folder, "root", "root", &root, &root_passphrase, &[])?;

        let root_certificate = root.certificate.clone();
        let root = root.into_authority(points).map_err(|error| format!("the root: {error}"))?;
        let wanted = Wanted {
            name: self.subject.name(&self.issuing_name)?,
            key: self.issuing_key,
            years: self.issuing_years,
            path_len: self.root_path_length - 1,
        };
        let issuing =
            hierarchy::intermediate(&wanted, &root, now).map_err(|error| format!("the issuing CA: {error}"))?;
        write(&folder, "issuing", "issuing", &issuing, &passphrase, &[&root_certificate])?;
        folder.finish()?;
        Ok(format!(
            "made {0}/root (take it offline) and {0}/issuing\n{1}\n{2}",
            self.folder.display(),
            line(&root_certificate),
            line(&issuing.certificate)
        ))
    }
}

impl IssueIntermediate {
    fn run(&self) -> Result<String, String> {
        let passphrase = self.passphrase.read()?;
        let issuer = self.issuer.authority(self.points.publication()?)?;
        let folder = NewFolder::begin(&self.folder)?;
        let wanted = Wanted {
            name: self.subject.name(&self.name)?,
            key: self.key,
            years: self.years,
            path_len: self.path_length,
        };
        let made = hierarchy::intermediate(&wanted, &issuer, clock::now()).map_err(|error| error.to_string())?;
        write(&folder, "", "issuing", &made, &passphrase, &[issuer.certificate()])?;
        folder.finish()?;
        Ok(format!("made {}\n{}", self.folder.display(), line(&made.certificate)))
    }
}

impl Signer {
    fn authority(&self, points: PublicationPoints) -> Result<Authority, String> {
        let certificate = read_certificate(&self.issuer_certificate)?;
        let key = key_file::load(&self.issuer_key, &self.issuer_passphrase.read()?)
            .map_err(|error| format!("{}: {error}", self.issuer_key.display()))?;
        Authority::new(certificate, Box::new(key), points)
            .map_err(|error| format!("{}: {error}", self.issuer_certificate.display()))
    }
}

/// The first certificate of a PEM file.
fn read_certificate(path: &Path) -> Result<Certificate, String> {
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| about(&error))?;
    let first = pem::certificates(&bytes).map_err(|error| about(&error.message))?.swap_remove(0);
    Certificate::parse(&first).map_err(|error| about(&format!("{error:?}")))
}

impl Subject {
    fn name(&self, common_name: &str) -> Result<Name, String> {
        let country = self.country.iter().map(|text| (AttributeType::Country, text.clone()));
        let organization = self.organization.iter().map(|text| (AttributeType::Organization, text.clone()));
        let common_name = std::iter::once((AttributeType::CommonName, common_name.to_owned()));
        Name::new(country.chain(organization).chain(common_name).collect()).map_err(|error| error.to_string())
    }
}

impl RootPassphrase {
    fn read(&self) -> Result<Passphrase, String> {
        read_passphrase(self.root_passphrase_file.as_deref(), self.root_passphrase_variable.as_deref())
    }
}

impl NewPassphrase {
    fn read(&self) -> Result<Passphrase, String> {
        read_passphrase(self.passphrase_file.as_deref(), self.passphrase_variable.as_deref())
    }
}

fn read_passphrase(file: Option<&Path>, variable: Option<&str>) -> Result<Passphrase, String> {
    match (file, variable) {
        (Some(path), _) => Passphrase::from_file(path).map_err(|error| format!("{}: {error}", path.display())),
        (None, Some(name)) => Passphrase::from_variable(name).map_err(|error| format!("${name}: {error}")),
        (None, None) => Err("a passphrase is needed".to_owned()),
    }
}

impl Points {
    fn publication(&self) -> Result<PublicationPoints, String> {
        let revocation_lists = self.crl_url.as_deref().map(|url| DistributionPoints::whole(url, None)).transpose()?;
        Ok(PublicationPoints { revocation_lists, ocsp: self.ocsp_url.clone(), ca_issuers: self.ca_issuers_url.clone() })
    }
}

/// `NAME.pem`, `NAME.cer` (DER, to be published), `NAME.key` and, below another CA, `chain.pem`.
fn write(
    folder: &NewFolder,
    within: &str,
    name: &str,
    made: &Made,
    passphrase: &Passphrase,
    above: &[&Certificate],
) -> Result<(), String> {
    let pem = |certificate: &Certificate| sekisho_ca::download::pem("CERTIFICATE", certificate.der());
    let key = key_file::to_pem(&made.key, passphrase).map_err(|error| error.to_string())?;
    let own = pem(&made.certificate);
    folder.secret(within, &format!("{name}.key"), key.as_bytes())?;
    folder.public(within, &format!("{name}.pem"), own.as_bytes())?;
    folder.public(within, &format!("{name}.cer"), made.certificate.der())?;
    if above.is_empty() {
        return Ok(());
    }
    let chain: String = std::iter::once(own).chain(above.iter().map(|certificate| pem(certificate))).collect();
    folder.public(within, "chain.pem", chain.as_bytes())
}

fn line(certificate: &Certificate) -> String {
    let (subject, serial) = (certificate.subject(), certificate.serial());
    format!("{subject}, serial {serial}, until {}", certificate.not_after())
}
