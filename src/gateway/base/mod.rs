//! What every part of the gateway builds on: key material, request ids, limits, TLS suites.

pub(in crate::gateway) mod admin_token;
pub(in crate::gateway) mod cause;
pub(in crate::gateway) mod cut;
pub(in crate::gateway) mod descriptors;
pub(in crate::gateway) mod key_material;
pub(in crate::gateway) mod limits;
pub(in crate::gateway) mod suites;

pub mod request_id;
