//! What a configuration would do, for people and as JSON.

use crate::gateway::request::authority::{Host, SiteNames};
use sekisho_config::{
    AnchorExpiry, Balance, Ca, CaState, ClientAuth, Config, Followed, PeerAddress, Place, Pool, RefusalStyle,
    Requirement, RevocationSource, RevocationSources, Route, Site, TokenFrom, WhenStale, WithoutNumber, show_duration,
};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// A right configuration, told.
#[derive(Serialize)]
pub(super) struct Summary {
    file: String,
    listen: Vec<String>,
    admin: String,
    threads: usize,
    state_folder: Option<String>,
    /// The issuer's nodes whose feed is followed.
    feed: Vec<String>,
    cas: Vec<CaSummary>,
    pools: Vec<PoolSummary>,
    sites: Vec<SiteSummary>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct CaSummary {
    name: String,
    certificate: String,
    issued_by: Option<String>,
    state: &'static str,
    /// Every source: files and URLs as they are written, the others in words.
    revocation: Vec<String>,
    when_stale: String,
    /// What else of its lists is taken than RFC 5280 requires.
    takes: Vec<String>,
    /// User IDs that no client of it may have, and where that follows from.
    refuses: Vec<String>,
}

#[derive(Serialize)]
struct PoolSummary {
    name: String,
    peers: Vec<String>,
    protocol: String,
    balance: &'static str,
    health_check: bool,
    share_connections: bool,
}

#[derive(Serialize)]
struct SiteSummary {
    name: String,
    server_names: Vec<String>,
    default: bool,
    client_auth: &'static str,
    cas: Vec<String>,
    refusal: &'static str,
    routes: Vec<RouteSummary>,
}

#[derive(Serialize)]
struct RouteSummary {
    path: String,
    methods: Vec<String>,
    require: Vec<String>,
    pool: String,
}

impl Summary {
    /// What the configuration of a file would do; `warnings` are those of the files it names.
    pub(super) fn new(file: &Path, config: &Config, mut warnings: Vec<String>) -> Self {
        warnings.extend(oddities(config));
        Self {
            file: file.display().to_string(),
            listen: config.gateway.listen.iter().map(ToString::to_string).collect(),
            admin: config.gateway.admin.to_string(),
            threads: config.gateway.threads,
            state_folder: config.gateway.state_folder.as_ref().map(|folder| folder.value.display().to_string()),
            feed: config.feed.iter().flat_map(|feed| &feed.urls).map(|url| url.value.clone()).collect(),
            cas: config.cas.iter().map(ca).collect(),
            pools: config.pools.iter().map(pool).collect(),
            sites: config.sites.iter().map(|one| site(one, config)).collect(),
            warnings,
        }
    }
}

fn ca(ca: &Ca) -> CaSummary {
    let (revocation, when_stale, takes) = match &ca.revocation {
        RevocationSource::None => (Vec::new(), "never checked".to_owned(), Vec::new()),
        RevocationSource::From(sources) => {
            let policy = match &sources.when_stale {
                WhenStale::Closed => "refuse".to_owned(),
                WhenStale::Grace(time) => format!("accept for {}", show_duration(*time)),
                WhenStale::Open => "accept".to_owned(),
                WhenStale::ReportOnly => "report only".to_owned(),
            };
            (sources_of(sources), policy, takes(sources))
        }
    };
    CaSummary {
        name: ca.name.to_string(),
        certificate: ca.certificate.value.display().to_string(),
        issued_by: ca.issued_by.as_ref().map(ToString::to_string),
        state: ca.state.as_str(),
        revocation,
        when_stale,
        takes,
        refuses: refuses(ca).into_iter().collect(),
    }
}

fn refuses(ca: &Ca) -> Option<String> {
    let (id, place) = (ca.fixed_user_id()?, &ca.identity.as_ref()?.place);
    Some(format!(
        "the user ID {id:?}, which by the pattern in {place} is also in the CN of a client without a user ID; let this CA \
         issue no other form of CN, and nobody have this ID"
    ))
}

fn sources_of(sources: &RevocationSources) -> Vec<String> {
    let files = sources.files.iter().map(|path| path.value.display().to_string());
    let urls = sources.urls.iter().map(|url| url.value.clone());
    let points = sources.points.iter().map(|place| format!("distribution points at {}", place.value));
    let ocsp = sources.ocsp.iter().map(|ocsp| format!("OCSP responder {}", ocsp.url.value));
    let feed = (sources.feed == Followed::Yes).then(|| "the issuer's feed".to_owned());
    files.chain(urls).chain(points).chain(ocsp).chain(feed).collect()
}

fn takes(sources: &RevocationSources) -> Vec<String> {
    let without_number = (sources.without_number == WithoutNumber::Accept)
        .then(|| "lists without CRLNumber, in the order of their thisUpdate".to_owned());
    let without_next_update = sources
        .without_next_update
        .map(|time| format!("lists without nextUpdate, fresh for {} after their thisUpdate", show_duration(time)));
    without_number.into_iter().chain(without_next_update).collect()
}

fn pool(pool: &Pool) -> PoolSummary {
    let tls = match &pool.tls {
        None => "plain text".to_owned(),
        Some(tls) if tls.client.is_some() => format!("mutual TLS to {}", tls.server_name),
        Some(tls) => format!("TLS to {}", tls.server_name),
    };
    let peers = pool.peers.iter().map(|peer| match &peer.address {
        PeerAddress::Tcp(address) => address.to_string(),
        PeerAddress::Unix(path) => format!("unix:{}", path.display()),
    });
    PoolSummary {
        name: pool.name.to_string(),
        peers: peers.collect(),
        protocol: format!("HTTP/{}, {tls}", if pool.http2 { "2" } else { "1.1" }),
        balance: match pool.balance {
            Balance::RoundRobin => "round-robin",
            Balance::LeastConnections => "least-connections",
            Balance::ConsistentHash => "consistent-hash",
        },
        health_check: pool.health_check.is_some(),
        share_connections: pool.share_connections,
    }
}

fn site(site: &Site, config: &Config) -> SiteSummary {
    SiteSummary {
        name: site.name.to_string(),
        server_names: site.server_names.clone(),
        default: site.default,
        client_auth: match site.client_auth {
            ClientAuth::Required => "required",
            ClientAuth::Optional => "optional",
            ClientAuth::None => "none",
        },
        cas: config.cas.iter().filter(|ca| config.lets_in(site, &ca.name)).map(|ca| ca.name.to_string()).collect(),
        refusal: match site.refusal {
            RefusalStyle::Alert => "alert",
            RefusalStyle::Page => "page",
        },
        routes: site.routes.iter().map(route).collect(),
    }
}

fn route(route: &Route) -> RouteSummary {
    let require = route.require.iter().map(|requirement| match requirement {
        Requirement::Certificate => "certificate".to_owned(),
        Requirement::Has(name) => name.clone(),
        Requirement::HasNot(name) => format!("!{name}"),
    });
    RouteSummary {
        path: route.path.clone(),
        methods: route.methods.iter().map(ToString::to_string).collect(),
        require: require.collect(),
        pool: route.pool.to_string(),
    }
}

/// What is right but seldom meant.
fn oddities(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if !config.gateway.admin.ip().is_loopback() {
        found.push(format!("admin {} can be reached from other machines and asks for nothing", config.gateway.admin));
    }
    if config.gateway.admin_token_file.is_some() && config.gateway.admin_token_from == TokenFrom::Anywhere {
        found.push("the admin token is taken over the network, in clear".to_owned());
    }
    for site in &config.sites {
        let mut let_in = config.cas.iter().filter(|ca| config.lets_in(site, &ca.name)).peekable();
        if let_in.peek().is_some() && let_in.all(|ca| config.state_of(&ca.name) == CaState::Draining) {
            found.push(format!("{}: every CA of {:?} is draining, and none takes its place", site.place, site.name));
        }
    }
    for ca in &config.cas {
        if !config.sites.iter().any(|site| config.lets_in(site, &ca.name)) {
            found.push(format!("{}: no site lets in clients of {:?}", ca.place, ca.name));
        }
        match &ca.revocation {
            RevocationSource::None => {
                found.push(format!("{}: certificates of {:?} are never revoked", ca.place, ca.name))
            }
            RevocationSource::From(sources) if sources.when_stale == WhenStale::Open => {
                found.push(format!("{}: {:?} goes on with a stale revocation list for ever", ca.place, ca.name));
            }
            RevocationSource::From(sources) if sources.when_stale == WhenStale::ReportOnly => {
                found.push(format!("{}: {:?} lets in whose revocation cannot be told", ca.place, ca.name));
            }
            RevocationSource::From(_) => {}
        }
        if ca.anchor_expiry == AnchorExpiry::Ignore {
            found.push(format!("{}: {:?} is trusted after it has expired", ca.place, ca.name));
        }
    }
    found.extend(circles(config));
    for pool in &config.pools {
        if !config.sites.iter().flat_map(|site| &site.routes).any(|route| route.pool == pool.name) {
            found.push(format!("{}: no route leads to {:?}", pool.place, pool.name));
        }
        let far = |address: &PeerAddress| matches!(address, PeerAddress::Tcp(address) if !address.ip().is_loopback());
        if pool.tls.is_none() && config.assertion.is_none() && pool.peers.iter().any(|peer| far(&peer.address)) {
            let why = "by plain text and without a signed assertion: who can reach it can say to be anybody";
            found.push(format!("{}: {:?} gets identity headers over the network {why}", pool.place, pool.name));
        }
    }
    found
}

/// Portals that who needs them cannot reach, since a site of this very file asks for a certificate there.
fn circles(config: &Config) -> Vec<String> {
    let names = config.sites.iter().flat_map(|site| site.server_names.iter().map(move |name| (name.as_str(), site)));
    let sites = SiteNames::new(names);
    let leads_to = |url: &str| {
        let host = url.parse::<http::Uri>().ok()?.host().and_then(|host| Host::parse(host).ok())?;
        sites.find(&host).filter(|site| site.client_auth != ClientAuth::None)
    };
    let circle = |(place, url): (&Place, &str)| {
        let site = leads_to(url)?;
        let cure = "who is refused for want of a good one cannot get there; give it client_auth = \"none\"";
        Some(format!("{place}: portal_url leads to site {:?}, which asks for a certificate: {cure}", site.name))
    };
    config.portal_urls().filter_map(circle).collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is right.", self.file)?;
        writeln!(f, "listens on {} (admin {}), {} threads", self.listen.join(", "), self.admin, self.threads)?;
        if let Some(folder) = &self.state_folder {
            writeln!(f, "keeps its state in {folder}")?;
        }
        if !self.feed.is_empty() {
            writeln!(f, "follows the issuer's feed at {}", self.feed.join(", "))?;
        }
        for ca in &self.cas {
            let issuer = ca.issued_by.as_ref().map_or("trust anchor".to_owned(), |above| format!("issued by {above}"));
            let draining = if ca.state == CaState::Draining.as_str() { ", draining" } else { "" };
            writeln!(f, "ca {}: {issuer}, {}{draining}", ca.name, ca.certificate)?;
            match ca.revocation.as_slice() {
                [] => writeln!(f, "  revocation: {}", ca.when_stale)?,
                sources => writeln!(f, "  revocation: {}; when stale: {}", sources.join(", "), ca.when_stale)?,
            }
            for refused in &ca.refuses {
                writeln!(f, "  note: refuses {refused}")?;
            }
            for taken in &ca.takes {
                writeln!(f, "  note: takes {taken}")?;
            }
        }
        for pool in &self.pools {
            let health = if pool.health_check { "health checked" } else { "no health check" };
            let peers = pool.peers.join(", ");
            let shared = if pool.share_connections { "" } else { ", connections not shared between clients" };
            writeln!(f, "pool {}: {peers} ({}, {}, {health}{shared})", pool.name, pool.protocol, pool.balance)?;
        }
        for site in &self.sites {
            let default = if site.default { ", and clients without SNI" } else { "" };
            writeln!(f, "site {}: {}{default}", site.name, site.server_names.join(", "))?;
            let from = if site.cas.is_empty() { String::new() } else { format!(", from {}", site.cas.join(", ")) };
            writeln!(f, "  client certificate: {}{from}; refusal: {}", site.client_auth, site.refusal)?;
            for route in &site.routes {
                let methods = if route.methods.is_empty() { "any method".to_owned() } else { route.methods.join(" ") };
                let require = if route.require.is_empty() {
                    String::new()
                } else {
                    format!(", if {}", route.require.join(" and "))
                };
                writeln!(f, "  {} ({methods}{require}) -> {}", route.path, route.pool)?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}
