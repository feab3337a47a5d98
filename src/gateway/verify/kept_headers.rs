//! Headers that are kept with a verified chain: a place for them, which `request::headers` fills.

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue};
use sekisho_config::HeaderNames;
use std::sync::Arc;

/// What a chain's certificates say in headers. Whoever comes back with the chain, on whatever connection, gets them
/// without their being written again: most of what a connection's headers cost is hex, dates and base64.
#[derive(Debug, Default)]
pub(in crate::gateway) struct ChainHeaders(ArcSwapOption<Written>);

#[derive(Debug)]
struct Written {
    /// The configuration's names then.
    names: HeaderNames,
    fields: Arc<[(HeaderName, HeaderValue)]>,
}

impl ChainHeaders {
    /// The fields under these names; those of another configuration are written anew.
    pub(in crate::gateway) fn get(
        &self,
        names: &HeaderNames,
        write: impl FnOnce() -> Arc<[(HeaderName, HeaderValue)]>,
    ) -> Arc<[(HeaderName, HeaderValue)]> {
        if let Some(kept) = self.0.load().as_deref().filter(|kept| kept.names == *names) {
            return Arc::clone(&kept.fields);
        }
        let fields = write();
        self.0.store(Some(Arc::new(Written { names: names.clone(), fields: Arc::clone(&fields) })));
        fields
    }
}
