//! A TLS connection: ClientHello, session, tickets, handshake, the end of a connection.

pub(in crate::gateway) mod alert;
pub(in crate::gateway) mod client;
pub(in crate::gateway) mod client_signature;
pub(in crate::gateway) mod handshake;
pub(in crate::gateway) mod linger;
pub(in crate::gateway) mod session;
pub(in crate::gateway) mod tcp;
pub(in crate::gateway) mod tickets;
pub(in crate::gateway) mod tls_version;
