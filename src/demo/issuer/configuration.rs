//! The issuer's configuration of the demo, as a bank would write it, and what the gateway's has about the issuer.

use super::files::{AUTHORITIES, FOLDER};
use super::{Addresses, SERVER};
use crate::demo::configuration::{IDENTITY, IssuerPart};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The four products' profiles: those that are shipped.
const PROFILES: [(&str, &str); 4] = [
    ("bizstation", include_str!("../../../config/profiles/bizstation.toml")),
    ("anser-bizsol", include_str!("../../../config/profiles/anser-bizsol.toml")),
    ("shinkin", include_str!("../../../config/profiles/shinkin.toml")),
    ("hokugin", include_str!("../../../config/profiles/hokugin.toml")),
];

/// What is in the products' common names.
const IDENTITIES: [(&str, &str); 4] = [
    ("bizstation", "(?<contract_id>[A-Za-z0-9]{1,16}) (?<user_id>[A-Za-z0-9]{1,16})"),
    // The login ID is the bank's own and names contract and user at once.
    ("anser-bizsol", "(?<contract_id>(?<user_id>[A-Za-z0-9._@-]{1,30})) A[0-9]{3} [0-9]{20}"),
    ("shinkin", IDENTITY),
    ("hokugin", "(?<contract_id>(?<user_id>[A-Za-z0-9._@-]{1,30})) A[0-9]{3} [0-9]{20}"),
];

/// `issuer.toml`, the profiles beside it, and its path. The fingerprint of the IB application's certificate is taken
/// from its file.
pub(super) fn write(folder: &Path, site: &str, addresses: Addresses) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let profiles = folder.join("profiles");
    std::fs::create_dir_all(&profiles)?;
    for (name, text) in PROFILES {
        std::fs::write(profiles.join(format!("{name}.toml")), text)?;
    }
    let pem = std::fs::read(folder.join("../service-ib.pem"))?;
    let certificates = crate::pki::pem::certificates(&pem).map_err(|error| error.message)?;
    let fingerprint =
        certificates.first().map(|der| crate::pki::fingerprint::sha256(&[der])).ok_or("no certificate")?;
    let fingerprint: String = fingerprint.iter().map(|octet| format!("{octet:02x}")).collect();
    let path = folder.join("issuer.toml");
    std::fs::write(&path, render(site, addresses, &fingerprint))?;
    Ok(path)
}

fn render(site: &str, addresses: Addresses, fingerprint: &str) -> String {
    let Addresses { api, public, admin } = addresses;
    let mut text = format!(
        r#"# Written by `sekisho demo`; every key with its default and reason is in config/issuer.toml.

[issuer]
listen = "{api}"
public_listen = "{public}"
admin = "{admin}"
secret_file = "issuer.secret"

[issuer.tls]
certificate = "../{SERVER}.pem"
key = "../{SERVER}.key"
client_ca = "../root-ca.pem"

[store]
url = "sqlite:issuer.db"

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
"#
    );
    for (name, _) in PROFILES {
        text += &format!("\n[[profile]]\nfile = \"profiles/{name}.toml\"\n");
    }
    for (name, _) in AUTHORITIES {
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
publish_folder = "published"
"#
        );
    }
    text
}

/// What the gateway's configuration says about the issuer: its CAs, where to reach it, and the key of the assertions.
pub(super) fn of_gateway(issuer: SocketAddr) -> IssuerPart {
    let routes = "\n[[site.route]]\npath = \"/v1\"\npool = \"issuer\"\nrequire = [\"certificate\"]\n";
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
        text += &format!(
            r#"
[[ca]]
name = "{name}"
issued_by = "bank-root"
certificate = "{FOLDER}/pki/{name}/issuing.pem"
revocation = {{ crl = ["{FOLDER}/published/{name}-0.crl"] }}
identity = '{identity}'
"#
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
