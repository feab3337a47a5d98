//! What the configuration and its files become: immutable, compiled once, published whole.

pub(in crate::gateway) mod feed_source;
pub(in crate::gateway) mod own_certificates;
pub(in crate::gateway) mod site;
