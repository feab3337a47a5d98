//! What the sources of revocation ask of `[gateway]`.

use super::gateway::Read;
use super::reader::Document;
use super::types::{Ca, Placed, RevocationSource, RevocationSources};

/// Records what is missing in `[gateway]` for the sources of these CAs.
pub(super) fn check(document: &Document, read: &Read, cas: &[Ca]) {
    for sources in cas.iter().filter_map(sources) {
        // One error a key is enough to find it by.
        let of_url = sources.urls.first().map(|url| &url.place);
        let fetched = of_url.or(sources.points.first().map(|point| &point.place));
        if let Some(first) = fetched.filter(|_| read.gateway.state_folder.is_none()) {
            let message = "is fetched and must be kept for a start without network; write state_folder in [gateway]";
            document.refuse(first, message);
        }
        if read.fetch.ca.is_none() {
            sources.urls.iter().filter(|url| is_https(url)).for_each(|url| {
                let message = "is https:// and no CA of its server is known; write ca in [gateway.fetch], or http://, \
                               since the list is signed";
                document.refuse(&url.place, message);
            });
            if let Some(ocsp) = sources.ocsp.as_ref().filter(|ocsp| is_https(&ocsp.url)) {
                let message = "is https:// and no CA of its server is known; write ca in [gateway.fetch], or http://, \
                               since the answer is signed";
                document.refuse(&ocsp.url.place, message);
            }
        }
    }
}

fn sources(ca: &Ca) -> Option<&RevocationSources> {
    match &ca.revocation {
        RevocationSource::None => None,
        RevocationSource::From(sources) => Some(sources),
    }
}

fn is_https(url: &Placed<String>) -> bool {
    url.value.starts_with("https://")
}
