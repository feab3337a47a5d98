//! Sites: what the configuration and the files it names become, compiled once and published whole.

use crate::gateway::base::admin_token::AdminToken;
use crate::gateway::base::key_material::certified_key;
use crate::gateway::request::access::RouteTable;
use crate::gateway::request::assertion::Signer;
use crate::gateway::request::authority::{Host, SiteNames};
use crate::gateway::request::headers::StripSet;
use crate::gateway::request::upstream::{Pool, Pools};
use crate::gateway::snapshot::feed_source;
use crate::gateway::verify::{ChainLimits, SitePolicy};
use rustls::DistinguishedName;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use sekisho_config::{CaState, ClientAuth, Config, ConfigError, Contact, RefusalStyle};
use sekisho_runtime::metrics::OwnCertificate;
use sekisho_trust::{self as trust, Authority, Role, TrustSnapshot};
use std::sync::Arc;

/// Everything a connection or request is judged by, immutable (invariant 2).
///
/// A copy costs a few pointers, so that what is live in `trust` can be replaced alone.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Snapshot {
    /// Grows by one with each reload.
    pub(in crate::gateway) generation: u64,
    pub(in crate::gateway) config: Arc<Config>,
    /// The certificates that the gateway itself uses.
    pub(in crate::gateway) certificates: Arc<[OwnCertificate]>,
    pub(in crate::gateway) trust: Arc<TrustSnapshot>,
    pub(in crate::gateway) sites: Arc<SiteTable>,
    pub(in crate::gateway) pools: Arc<Pools>,
    pub(in crate::gateway) signer: Option<Arc<Signer>>,
    /// The issuer's feed, where one is followed.
    pub(in crate::gateway) feed: Option<Arc<feed_source::Source>>,
    /// Every name that a client may not send to an upstream.
    pub(in crate::gateway) strip: Arc<StripSet>,
    /// Who may change the block list; nobody without it.
    pub(in crate::gateway) admin_token: Option<Arc<AdminToken>>,
}

/// A site, ready for use.
#[derive(Debug)]
pub(in crate::gateway) struct Site {
    pub(in crate::gateway) name: Arc<str>,
    pub(in crate::gateway) client_auth: ClientAuth,
    pub(in crate::gateway) refusal: RefusalStyle,
    pub(in crate::gateway) portal_url: Option<String>,
    pub(in crate::gateway) contact: Option<Contact>,
    pub(in crate::gateway) certified_key: Arc<CertifiedKey>,
    pub(in crate::gateway) policy: SitePolicy,
    /// Names of the accepted CAs, sent to clients so that they offer a fitting certificate.
    pub(in crate::gateway) hints: Vec<DistinguishedName>,
    pub(in crate::gateway) routes: RouteTable,
}

/// All sites, found by name or by server name.
#[derive(Debug)]
pub(in crate::gateway) struct SiteTable {
    sites: Vec<Arc<Site>>,
    server_names: SiteNames<usize>,
    default: Option<usize>,
}

impl SiteTable {
    /// Compiles every site with its key (of [`certified_keys`]); all errors at once.
    pub(in crate::gateway) fn compile(
        config: &Config,
        trust: &TrustSnapshot,
        keys: Vec<CertifiedKey>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut sites = Vec::with_capacity(config.sites.len());
        let mut errors = Vec::new();
        for (site, key) in config.sites.iter().zip(keys) {
            trust::make_way();
            match compile_site(site, config, trust, key) {
                Ok(compiled) => sites.push(Arc::new(compiled)),
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let names =
            config.sites.iter().enumerate().flat_map(|(index, site)| {
                site.server_names.iter().map(move |server_name| (server_name.as_str(), index))
            });
        let default = config.sites.iter().position(|site| site.default);
        Ok(Self { sites, server_names: SiteNames::new(names), default })
    }

    /// Returns every site.
    pub(in crate::gateway) fn iter(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().map(|site| &**site)
    }

    /// The site of a ClientHello: by its server name, or the default site when there is none.
    ///
    /// An unknown name is never the default site's. An IP address is no name (RFC 6066 section 3 forbids it as HostName):
    /// rustls leaves it out, so that whoever sends one is served as the browser is that was given an address and sends
    /// none. The request's host has to be the default site's own all the same.
    pub(in crate::gateway) fn for_server_name(&self, server_name: Option<&str>) -> Option<Arc<Site>> {
        let index = match server_name {
            Some(server_name) => self.server_names.find(&Host::parse(server_name).ok()?)?,
            None => self.default?,
        };
        self.sites.get(index).cloned()
    }

    /// The site of a request's host.
    pub(in crate::gateway) fn for_host(&self, host: &Host) -> Option<Arc<Site>> {
        self.sites.get(self.server_names.find(host)?).cloned()
    }

    /// The site of this name. There are few: a walk is as quick as a table.
    pub(in crate::gateway) fn named(&self, name: &str) -> Option<Arc<Site>> {
        self.sites.iter().find(|site| &*site.name == name).cloned()
    }
}

impl Snapshot {
    /// The pool of a route; `config::load` has made sure that it exists.
    pub(in crate::gateway) fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.get(name)
    }
}

/// Every site's certificate chain and key, in the order of the configuration; all errors at once.
pub(in crate::gateway) fn certified_keys(
    config: &Config,
    provider: &CryptoProvider,
) -> Result<Vec<CertifiedKey>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let keys = config.sites.iter().filter_map(|site| {
        trust::make_way();
        certified_key(&site.certificate, &site.key, provider).map_err(|found| errors.extend(found)).ok()
    });
    let keys = keys.collect();
    if errors.is_empty() { Ok(keys) } else { Err(errors) }
}

fn compile_site(
    site: &sekisho_config::Site,
    config: &Config,
    trust: &TrustSnapshot,
    certified_key: CertifiedKey,
) -> Result<Site, Vec<ConfigError>> {
    let policy = SitePolicy::new(site, &config.cas, trust, ChainLimits::from(&config.limits))?;
    let hints = hints(&policy, config, trust);
    Ok(Site {
        name: site.name.clone(),
        client_auth: site.client_auth,
        refusal: site.refusal,
        portal_url: site.portal_url.clone(),
        contact: site.contact.clone(),
        certified_key: Arc::new(certified_key),
        policy,
        hints,
        routes: RouteTable::new(&site.routes),
    })
}

/// The names of all CAs whose clients may enter, those that are draining after the others: a client that has certificates
/// of both is to show the one that stays. Each name once: a renewed key has the name of the one before.
///
/// The CAs below those that the site names are among them: a client that holds its leaf only (a Java key store, a smart
/// card) finds it by the name of its direct issuer (RFC 8446 section 4.2.4, RFC 5246 section 7.4.4).
fn hints(policy: &SitePolicy, config: &Config, trust: &TrustSnapshot) -> Vec<DistinguishedName> {
    let may_issue = |ca: &&Authority| ca.role() == Role::Issuer && policy.accepts(&ca.key());
    let mut cas: Vec<&Authority> = trust.authorities().iter().filter(may_issue).collect();
    let is_draining = |ca: &&Authority| {
        let above = |below: &&Authority| below.issued_by().and_then(|key| trust.authority(&key));
        let mut line = std::iter::successors(Some(*ca), above);
        line.any(|ca| config.state_of(ca.name()) == CaState::Draining)
    };
    cas.sort_by_key(is_draining);
    let mut hints: Vec<DistinguishedName> = Vec::with_capacity(cas.len());
    for ca in cas {
        let name = DistinguishedName::from(ca.certificate().subject().der().to_vec());
        if !hints.iter().any(|known| known.as_ref() == name.as_ref()) {
            hints.push(name);
        }
    }
    hints
}
