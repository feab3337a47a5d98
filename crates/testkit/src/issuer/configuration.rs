//! The issuer's configuration of the demo, as a bank would write it, and what the gateway's has about the issuer.

use super::files::{AUTHORITIES, FOLDER};
use super::{Addresses, SERVER};
use crate::configuration::{IDENTITY, IssuerPart};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The four products' profiles: those that are shipped.
const PROFILES: [(&str, &str); 4] = [
    ("bizstation", include_str!("../../../../config/profiles/bizstation.toml")),
    ("anser-bizsol", include_str!("../../../../config/profiles/anser-bizsol.toml")),
    ("shinkin", include_str!("../../../../config/profiles/shinkin.toml")),
    ("hokugin", include_str!("../../../../config/profiles/hokugin.toml")),
];

/// What is in the products' common names.
pub const IDENTITIES: [(&str, &str); 4] = [
    ("bizstation", "(?<contract_id>[A-Za-z0-9]{1,16}) (?<user_id>[A-Za-z0-9]{1,16})"),
    // The CN has the login ID only, which is unique in the bank.
    ("anser-bizsol", "(?<user_id>[A-Za-z0-9._@-]{1,30}) A[0-9]{3} [0-9]{20}"),
    ("shinkin", IDENTITY),
    ("hokugin", "(?<user_id>[A-Za-z0-9._@-]{1,30}) A[0-9]{3} [0-9]{20}"),
];

/// What differs from one issuer to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    /// The configuration's name.
    pub(crate) file: &'a str,
    /// Where it listens.
    pub(crate) addresses: Addresses,
    /// Its server certificate's name in the development PKI.
    pub(crate) server: &'a str,
    /// `[store] url`.
    pub(crate) store: &'a str,
    /// `publish_folder`, which must be there.
    pub(crate) published: &'a str,
    /// The products, which are their authorities' names too.
    pub(crate) products: &'a [&'a str],
    /// Further tables.
    pub(crate) tables: &'a str,
}

impl Node<'_> {
    /// The demo's one issuer.
    pub(crate) fn only(addresses: Addresses) -> Self {
        let (store, published) = ("sqlite:issuer.db", "published");
        const ALL: &[&str] = &[AUTHORITIES[0].0, AUTHORITIES[1].0, AUTHORITIES[2].0, AUTHORITIES[3].0];
        Self { file: "issuer.toml", addresses, server: SERVER, store, published, products: ALL, tables: "" }
    }
}

/// The configuration, the profiles beside it, and its path. The fingerprint of the IB application's certificate is
/// taken from its file.
pub(crate) fn write(folder: &Path, site: &str, node: &Node<'_>) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let profiles = folder.join("profiles");
    std::fs::create_dir_all(&profiles)?;
    for (name, text) in PROFILES {
        std::fs::write(profiles.join(format!("{name}.toml")), text)?;
    }
    let path = folder.join(node.file);
    std::fs::write(&path, render(site, node, &fingerprint(&folder.join("../service-ib.pem"))?))?;
    Ok(path)
}

/// SHA-256 of the first certificate in a PEM file, in hex, as a `[[service]]` has it.
pub(crate) fn fingerprint(pem: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let certificates = sekisho_pki::pem::certificates(&std::fs::read(pem)?).map_err(|error| error.message)?;
    let first = certificates.first().ok_or("no certificate")?;
    Ok(sekisho_pki::fingerprint::sha256(&[first]).iter().map(|octet| format!("{octet:02x}")).collect())
}

fn render(site: &str, node: &Node<'_>, fingerprint: &str) -> String {
    let Node { addresses: Addresses { api, public, admin }, server, store, published, products, tables, .. } = node;
    let mut text = format!(
        r#"# Written by `sekisho-demo`; every key with its default and reason is in config/issuer.toml.

[issuer]
listen = "{api}"
public_listen = "{public}"
admin = "{admin}"
secret_file = "issuer.secret"

[issuer.tls]
certificate = "../{server}.pem"
key = "../{server}.key"
client_ca = "../root-ca.pem"

[store]
url = "{store}"

# The IB application: it acts for users with what they typed, and for the bank's desk.
[[service]]
name = "ib-application"
fingerprint = "{fingerprint}"
rights = ["online", "desk", "read"]

# Users who come through the gateway with their certificate.
[gateway]
issuer = "sekisho-demo"
audience = "{site}"
user_audiences = ["{site}"]
jwks_file = "jwks.json"

[credentials]
kind = "built-in"

[limits]
requests_per_second = 1000
burst = 1000
{tables}"#
    );
    for name in *products {
        text += &format!("\n[[profile]]\nfile = \"profiles/{name}.toml\"\n");
    }
    for name in *products {
        text += &format!(
            r#"
[[authority]]
name = "{name}"
profiles = ["{name}"]
certificate = "pki/{name}/issuing.pem"
chain = "pki/{name}/chain.pem"
key = "pki/{name}/issuing.key"
passphrase_file = "issuing.passphrase"
crl_url = "http://{public}/crl/{name}/0.crl"
ocsp_url = "http://{public}/ocsp/{name}"
ca_issuers_url = "http://{public}/ca/{name}.cer"
publish_folder = "{published}"
"#
        );
    }
    text
}

/// What the gateway's configuration says about the issuer: its CAs, where to reach it, and the key of the assertions.
pub(crate) fn of_gateway(issuer: SocketAddr) -> IssuerPart {
    let routes = "\n[[site.route]]\npath = \"/v1\"\npool = \"issuer\"\nrequire = [\"certificate\"]\nfinish = \"2s\"\n";
    IssuerPart { tables: tables(issuer), authorities: &["bank-root"], routes }
}

fn tables(issuer: SocketAddr) -> String {
    let mut text = format!(
        r#"
# What users come with to the issuance service: signed, so that it need not trust the network.
[gateway.assertion]
key_file = "{FOLDER}/assertion.key"
issuer = "sekisho-demo"

[[ca]]
name = "bank-root"
certificate = "{FOLDER}/pki/root/root.pem"
revocation = {{ crl = ["{FOLDER}/root.crl"] }}
"#
    );
    for (name, identity) in IDENTITIES {
        let contract = if identity.contains("contract_id") { "" } else { "contract_in_name = false\n" };
        text += &format!(
            r#"
[[ca]]
name = "{name}"
issued_by = "bank-root"
certificate = "{FOLDER}/pki/{name}/issuing.pem"
revocation = {{ crl = ["{FOLDER}/published/{name}-0.crl"] }}
identity = '{identity}'
{contract}"#
        );
    }
    text + &format!(
        r#"
[[pool]]
name = "issuer"
peers = ["{issuer}"]
tls = {{ server_name = "{SERVER}", ca = "server-ca.pem" }}
"#
    )
}
