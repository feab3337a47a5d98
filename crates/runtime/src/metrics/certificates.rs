//! When the certificates expire that a process itself uses.

use super::registered::Registered;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

crate::label! {
    /// What a process uses a certificate for.
    pub enum CertificateUse {
        /// A gateway's site, towards browsers.
        Site = "site",
        /// A gateway's connections to the peers of a pool.
        UpstreamClient = "upstream-client",
        /// A gateway's connection to the issuer's feed.
        FeedClient = "feed-client",
        /// A CA: of a gateway, one whose certificates it accepts; of the issuer, one that it signs with.
        Ca = "ca",
        /// The issuer's API.
        Server = "server",
    }
}

crate::metrics! {
    /// Metrics of the certificates that a process itself uses.
    pub struct CertificateMetrics in "sekisho" {
        /// Time at which a certificate that this process uses expires (notAfter), by use and name.
        certificate_not_after_timestamp_seconds: Reading[r#use: CertificateUse, name],
    }
}

/// A certificate that a process itself uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// What the process uses it for.
    pub purpose: CertificateUse,
    /// The name of the site, pool, CA or address.
    pub name: Arc<str>,
    /// notAfter.
    pub not_after: Timestamp,
}

impl CertificateMetrics {
    /// Returns the metrics of these certificates.
    ///
    /// # Errors
    /// Those of [`super::MetricSet::register`].
    pub fn of<'a>(certificates: impl IntoIterator<Item = &'a OwnCertificate>) -> prometheus::Result<Registered<Self>> {
        let metrics = Registered::<Self>::new()?;
        for OwnCertificate { purpose, name, not_after } in certificates {
            metrics.certificate_not_after_timestamp_seconds(*purpose, name).set(not_after.unix());
        }
        Ok(metrics)
    }
}
