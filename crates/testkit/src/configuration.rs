//! The gateway configuration of the demo, as a bank would write it.

use std::net::SocketAddr;
use std::path::Path;

/// What differs from one demo to the next.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Where the gateway serves TLS.
    pub listen: SocketAddr,
    /// Its admin address.
    pub admin: SocketAddr,
    /// The IB application.
    pub upstream: SocketAddr,
}

/// What the configuration has about an issuance service behind the gateway.
#[derive(Clone, Debug, Default)]
pub struct IssuerPart {
    /// Its CAs, its pool and the key of the assertions; empty without one.
    pub tables: String,
    /// Further names in the IB site's list of CAs.
    pub authorities: &'static [&'static str],
    /// Routes of the IB site.
    pub routes: &'static str,
}

/// The name of the configuration file in the PKI's folder.
pub const FILE: &str = "sekisho.toml";

/// The identity pattern of Shinkin banks' common names: contract ID, user ID (an administrator's has none), 1635.
pub const IDENTITY: &str = "(?<contract_id>[0-9]{11}) (?:(?<user_id>[A-Za-z0-9]{1,30}) )?1635";

/// `sekisho.toml` for a PKI folder; paths in it are relative to that folder.
pub fn render(addresses: &Addresses, issuer: &IssuerPart) -> String {
    let Addresses { listen, admin, upstream } = addresses;
    let IssuerPart { tables, authorities, routes } = issuer;
    let further: String = authorities.iter().map(|name| format!(", \"{name}\"")).collect();
    format!(
        r#"# Written by `sekisho-demo`; every key with its default and reason is in config/sekisho.toml.

[gateway]
listen = ["{listen}"]
admin = "{admin}"
access_log = {{ file = "access.log" }}
watch_files = true
{tables}
[[ca]]
name = "root"
certificate = "root-ca.pem"
revocation = {{ crl = ["crl.pem"] }}

[[ca]]
name = "issuing"
issued_by = "root"
certificate = "issuing-ca.pem"
revocation = {{ crl = ["crl.pem"] }}
identity = '{IDENTITY}'

[[pool]]
name = "ib"
peers = ["{upstream}"]
health_check = {{ path = "/healthz" }}

# A bad certificate gets the TLS alert that is true.
[[site]]
server_names = ["ib.localhost"]
certificate = "ib.localhost.pem"
key = "ib.localhost.key"
client_auth = "required"
ca = ["root"{further}]
refusal = "alert"
{routes}
[[site.route]]
path = "/"
pool = "ib"
require = ["certificate"]

[[site.route]]
path = "/users"
pool = "ib"
require = ["certificate", "user_id"]

[[site.route]]
path = "/administrators"
pool = "ib"
require = ["certificate", "!user_id"]

# A bad certificate gets a page that says what to do.
[[site]]
server_names = ["portal.localhost"]
certificate = "portal.localhost.pem"
key = "portal.localhost.key"
client_auth = "required"
ca = ["root"]
refusal = "page"
portal_url = "https://acquire.localhost:{port}/help"

[[site.route]]
path = "/"
pool = "ib"
require = ["certificate"]

# Where who was refused goes for another certificate: it asks for none.
[[site]]
server_names = ["acquire.localhost"]
certificate = "acquire.localhost.pem"
key = "acquire.localhost.key"
client_auth = "none"

[[site.route]]
path = "/help"
pool = "ib"
"#,
        port = listen.port()
    )
}

/// Writes it into `folder` and gives its path.
///
/// # Errors
/// When the file cannot be written.
pub fn write(folder: &Path, addresses: &Addresses, issuer: &IssuerPart) -> std::io::Result<std::path::PathBuf> {
    let path = folder.join(FILE);
    std::fs::write(&path, render(addresses, issuer))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_config::{self as config, RefusalStyle};

    #[test]
    fn the_demo_serves_a_configuration_without_errors() {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = Addresses { listen: local(8443), admin: local(9443), upstream: local(8081) };
        let config = config::parse(&render(&addresses, &IssuerPart::default()), FILE, Path::new("/certs")).unwrap();
        assert_eq!(config.gateway.listen, [local(8443)]);
        let styles: Vec<_> = config.sites.iter().map(|site| site.refusal).collect();
        assert_eq!(styles, [RefusalStyle::Alert, RefusalStyle::Page, RefusalStyle::Alert]);
        let issuing = config.cas.iter().find(|ca| &*ca.name == "issuing").unwrap();
        assert_eq!(issuing.certificate.value, Path::new("/certs/issuing-ca.pem"));
    }
}
