//! The files that a configuration names.

use crate::config::{Config, ConfigError, Placed, RevocationSource};
use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Octets of a ticket secret: the 256 bits of the keys that are derived from it.
const TICKET_SECRET_OCTETS: u64 = 32;

/// Loads every file that the configuration names; what is odd but not wrong comes back as warnings.
///
/// # Errors
/// Every file that a starting gateway would refuse, by the key that names it.
pub(super) fn load(config: &Config) -> Result<Vec<String>, Vec<ConfigError>> {
    let mut findings = Findings::default();
    authorities(config, &mut findings);
    server_certificates(config, &mut findings);
    secrets(config, &mut findings);
    let Findings { mut errors, warnings } = findings;
    errors.sort_by_key(|error| error.place.line);
    if errors.is_empty() { Ok(warnings) } else { Err(errors) }
}

#[derive(Default)]
struct Findings {
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl Findings {
    fn refuse(&mut self, path: &Placed<PathBuf>, what: impl std::fmt::Display) {
        let message = format!("{} {what}", path.value.display());
        self.errors.push(ConfigError { place: path.place.clone(), message });
    }
}

/// CA certificates and revocation lists.
fn authorities(config: &Config, findings: &mut Findings) {
    for ca in &config.cas {
        open(&ca.certificate, findings);
        if let RevocationSource::Crl { paths, .. } = &ca.revocation {
            for path in paths {
                open(path, findings);
            }
        }
    }
}

/// Certificates of sites, and trust anchors and certificates towards upstreams.
fn server_certificates(config: &Config, findings: &mut Findings) {
    for site in &config.sites {
        open(&site.certificate, findings);
    }
    for tls in config.pools.iter().filter_map(|pool| pool.tls.as_ref()) {
        open(&tls.ca, findings);
        if let Some((certificate, _)) = &tls.client {
            open(certificate, findings);
        }
    }
}

/// Private keys and the ticket secret: there, and not everybody's.
fn secrets(config: &Config, findings: &mut Findings) {
    let of_sites = config.sites.iter().map(|site| &site.key);
    let of_clients = config.pools.iter().filter_map(|pool| pool.tls.as_ref()?.client.as_ref()).map(|(_, key)| key);
    // previous_key_files may hold public keys, which are nobody's secret.
    let of_assertions = config.assertion.iter().map(|assertion| &assertion.key_file);
    for path in of_sites.chain(of_clients).chain(of_assertions) {
        open_secret(path, findings);
    }
    for path in config.assertion.iter().flat_map(|assertion| &assertion.previous_key_files) {
        open(path, findings);
    }
    let Some(path) = &config.tickets.secret_file else { return };
    let octets = open_secret(path, findings).map_or(TICKET_SECRET_OCTETS, |metadata| metadata.len());
    if octets < TICKET_SECRET_OCTETS {
        findings.refuse(path, format!("has {octets} octets; a ticket secret has {TICKET_SECRET_OCTETS} or more"));
    }
}

fn open_secret(path: &Placed<PathBuf>, findings: &mut Findings) -> Option<Metadata> {
    let metadata = open(path, findings)?;
    if metadata.permissions().mode() & 0o007 != 0 {
        let shown = path.value.display();
        findings.warnings.push(format!("{}: {shown} is open to every user of this machine; chmod o= it", path.place));
    }
    Some(metadata)
}

/// Opens a file, or a folder; empty ones are as bad as missing ones.
fn open(path: &Placed<PathBuf>, findings: &mut Findings) -> Option<Metadata> {
    let looked = File::open(&path.value).and_then(|file| file.metadata()).and_then(|metadata| {
        let empty = match metadata.is_dir() {
            true => std::fs::read_dir(&path.value)?.next().is_none(),
            false => metadata.len() == 0,
        };
        if empty { Err(Error::new(ErrorKind::InvalidData, "it is empty")) } else { Ok(metadata) }
    });
    looked.map_err(|error| findings.refuse(path, format!("cannot be read: {error}"))).ok()
}
