//! What one request is judged and written by: headers, access, authority, assertion, refusal pages, choice of upstream.

pub(in crate::gateway) mod upstream;

pub mod access;
pub mod assertion;
pub mod authority;
pub mod headers;
pub mod refusal;
