//! `sekisho demo`: a development PKI, a demo IB application and a gateway between them and curl.

pub mod app;
pub mod pki;
