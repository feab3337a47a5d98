//! Everybody's configuration, as a bank would write it.

use super::{GATEWAYS, Wanted, fingerprint, issuer_folder};
use crate::configuration::{self, Addresses as GatewayAddresses, IDENTITY, IssuerPart};
use crate::issuer::configuration::{Node, write};
use crate::issuer::files::Files;
use crate::issuer::{Addresses, SITE};
use crate::pki::PkiDir;
use crate::process::Output;
use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The issuers' server certificate in the development PKI: of their name and of the loopback address.
pub(super) const ISSUER_SERVER: &str = "issuer-nodes";

/// The one product of this demo, which is its authority's name too.
pub(super) const AUTHORITY: &str = "shinkin";
/// That authority, and the commonName of its certificate.
pub(super) const AUTHORITIES: [(&str, &str); 1] = [(AUTHORITY, "Sekisho Demo Shinkin CA")];

/// How gateways reach the issuers.
#[derive(Clone, Copy)]
pub enum Reached<'a> {
    /// At their own addresses.
    Directly,
    /// Elsewhere: given the numbers of gateway and issuer, and the issuer's API or the address of its lists, what stands
    /// between.
    Through(&'a dyn Fn(usize, usize, SocketAddr) -> SocketAddr),
}

impl Reached<'_> {
    /// Where a gateway finds the issuers that have these addresses.
    pub(super) fn addresses(self, gateway: usize, own: &[SocketAddr]) -> Vec<SocketAddr> {
        match self {
            Self::Directly => own.to_vec(),
            Self::Through(way) => own.iter().enumerate().map(|(issuer, own)| way(gateway, issuer, *own)).collect(),
        }
    }
}

/// Who has which file and port.
pub(super) struct Layout {
    folder: PathBuf,
    postgres: PathBuf,
    port: u16,
    output: Output,
    upstream: SocketAddr,
    change: fn(String) -> String,
    services: String,
}

/// A gateway's name: as the issuers know it.
pub(super) fn gateway_name(number: usize) -> String {
    format!("gateway-{}", number + 1)
}

impl Layout {
    /// Makes the folders and the feed's key.
    pub(super) fn prepare(
        wanted: &Wanted<'_>,
        pki: &PkiDir,
        files: &Files,
        upstream: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        for number in 0..super::ISSUERS {
            anew(&files.folder().join(published(number)))?;
        }
        let mut services = String::new();
        for number in 0..GATEWAYS {
            let name = gateway_name(number);
            anew(&pki.path(&name))?;
            std::fs::DirBuilder::new().mode(0o700).create(pki.path(&name).join("state"))?;
            let fingerprint = fingerprint(&pki.path(&format!("{name}.pem")))?;
            services +=
                &format!("\n[[service]]\nname = \"{name}\"\nfingerprint = \"{fingerprint}\"\nrights = [\"feed\"]\n");
        }
        let key = rcgen::KeyPair::generate()?;
        let secret = files.folder().join("feed.key");
        let _ = std::fs::remove_file(&secret);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(secret)?;
        std::io::Write::write_all(&mut file, key.serialize_pem().as_bytes())?;
        std::fs::write(files.folder().join("feed.pub"), key.public_key_pem())?;
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random)?;
        // Not below the PKI: the database's own user must get there, and a socket's path is short.
        let postgres = std::env::temp_dir().join(format!("sekisho-{:016x}", u64::from_be_bytes(random)));
        Ok(Self {
            folder: wanted.folder.to_owned(),
            postgres,
            port: wanted.port,
            output: wanted.output.clone(),
            upstream,
            change: wanted.change,
            services,
        })
    }

    pub(super) fn output(&self) -> Output {
        self.output.clone()
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.postgres.clone()
    }

    /// The port at a distance from the first; 0 with 0.
    fn local(&self, distance: usize) -> SocketAddr {
        let port = u16::try_from(distance).ok().and_then(|distance| self.port.checked_add(distance));
        SocketAddr::from(([127, 0, 0, 1], if self.port == 0 { 0 } else { port.unwrap_or(0) }))
    }

    /// Where an issuer is to listen: 8445, 8446 and 9445 with 8443, the next ten further on.
    pub(super) fn issuer(&self, number: usize) -> Addresses {
        let ten = number * 10;
        Addresses { api: self.local(2 + ten), public: self.local(3 + ten), admin: self.local(1002 + ten) }
    }

    /// Writes an issuer's configuration.
    pub(super) fn write_issuer(
        &self,
        number: usize,
        addresses: Addresses,
        store: &str,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let file = issuer_file(number);
        let services = &self.services;
        let tables = format!(
            "\n# The gateways learn of revocations as they happen.\n[feed]\nkey_file = \"feed.key\"\n{services}"
        );
        let published = published(number);
        let node = Node {
            file: &file,
            addresses,
            server: ISSUER_SERVER,
            store,
            published: &published,
            products: &[AUTHORITY],
            tables: &tables,
        };
        write(&self.folder.join(issuer_folder()), SITE, &node)
    }

    /// Where an issuer's configuration is.
    pub(super) fn issuer_file(&self, number: usize) -> PathBuf {
        self.folder.join(issuer_folder()).join(issuer_file(number))
    }

    /// Writes a gateway's configuration; its path and where it is to listen.
    pub(super) fn write_gateway(
        &self,
        number: usize,
        issuers: &[SocketAddr],
        publics: &[SocketAddr],
    ) -> Result<(PathBuf, SocketAddr, SocketAddr), Box<dyn Error>> {
        let (listen, admin) = (self.local(number * 10), self.local(1000 + number * 10));
        let name = gateway_name(number);
        let addresses = GatewayAddresses { listen, admin, upstream: self.upstream };
        let part = IssuerPart { tables: tables(&name, issuers, publics), authorities: &["bank-root"], routes: "" };
        let text = configuration::render(&addresses, &part);
        let text = text.replacen("file = \"access.log\"", &format!("file = \"{name}/access.log\""), 1);
        let path = self.folder.join(format!("{name}.toml"));
        std::fs::write(&path, (self.change)(text))?;
        Ok((path, listen, admin))
    }

    /// From now on a gateway listens where it does now.
    pub(super) fn fix_gateway(&self, config: &Path, listen: SocketAddr, admin: SocketAddr) -> std::io::Result<()> {
        if self.port != 0 {
            return Ok(());
        }
        let text = std::fs::read_to_string(config)?;
        let free = "\"127.0.0.1:0\"";
        let fixed = text.replacen(free, &format!("\"{listen}\""), 1).replacen(free, &format!("\"{admin}\""), 1);
        if fixed == text { Ok(()) } else { std::fs::write(config, fixed) }
    }
}

fn issuer_file(number: usize) -> String {
    format!("issuer-{}.toml", number + 1)
}

/// An issuer's `publish_folder`.
fn published(number: usize) -> String {
    format!("published-{}", number + 1)
}

fn anew(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir(folder)
}

/// What a gateway's configuration says about the issuers: their feed, their CA, where their lists are.
fn tables(name: &str, issuers: &[SocketAddr], publics: &[SocketAddr]) -> String {
    let issuer = issuer_folder();
    let listed = |urls: Vec<String>| urls.join(", ");
    let urls = listed(issuers.iter().map(|address| format!("\"https://{address}\"")).collect());
    let lists = listed(publics.iter().map(|address| format!("\"http://{address}/crl/{AUTHORITY}/0.crl\"")).collect());
    format!(
        r#"state_folder = "{name}/state"

[gateway.feed]
urls = [{urls}]
ca = "server-ca.pem"
certificate = "{name}.pem"
key = "{name}.key"
public_key_files = ["{issuer}/feed.pub"]
lost_after = "10s"

[[ca]]
name = "bank-root"
certificate = "{issuer}/pki/root/root.pem"
revocation = {{ crl = ["{issuer}/root.crl"] }}

[[ca]]
name = "{AUTHORITY}"
issued_by = "bank-root"
certificate = "{issuer}/pki/{AUTHORITY}/issuing.pem"
revocation = {{ crl_urls = [{lists}], feed = true }}
identity = '{IDENTITY}'

"#
    )
}
