//! The certificates that the gateway itself uses, for the metric of their expiry.

use super::feed_source::Source;
use super::site::SiteTable;
use crate::gateway::base::key_material::not_after;
use crate::gateway::request::upstream::Pools;
use sekisho_runtime::metrics::{CertificateUse, OwnCertificate};
use sekisho_trust::TrustSnapshot;
use std::sync::Arc;

/// Returns those of the sites, the pools, the feed and the CAs.
pub(in crate::gateway) fn own_certificates(
    sites: &SiteTable,
    pools: &Pools,
    feed: Option<&Source>,
    trust: &TrustSnapshot,
) -> Arc<[OwnCertificate]> {
    let own = |purpose, name: &Arc<str>, not_after| OwnCertificate { purpose, name: Arc::clone(name), not_after };
    let of_sites = sites.iter().filter_map(|site| {
        let not_after = not_after(site.certified_key.cert.first()?)?;
        Some(own(CertificateUse::Site, &site.name, not_after))
    });
    let of_pools =
        pools.client_certificates().map(|(pool, not_after)| own(CertificateUse::UpstreamClient, pool, not_after));
    let of_feed = feed.and_then(Source::not_after);
    let of_feed = of_feed.map(|not_after| own(CertificateUse::FeedClient, &"feed".into(), not_after));
    let of_cas = trust
        .authorities()
        .iter()
        .map(|authority| own(CertificateUse::Ca, authority.name(), authority.certificate().not_after()));
    of_sites.chain(of_pools).chain(of_feed).chain(of_cas).collect()
}
