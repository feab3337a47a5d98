//! The version of TLS in records, of handshakes that fail too.

use rustls::{KeyLog, ProtocolVersion};
use std::sync::OnceLock;

const TLS_1_3: &str = "TLSv1.3";
pub(in crate::gateway) const TLS_1_2: &str = "TLSv1.2";

/// The name of a version in records.
pub(in crate::gateway) const fn name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => TLS_1_3,
        ProtocolVersion::TLSv1_2 => TLS_1_2,
        // We speak no other.
        _ => "unknown",
    }
}

/// Learns that a handshake is TLS 1.3, of which rustls tells nothing once it has failed: key logging is the one thing
/// it asks about between ServerHello and the client's certificate. No secret is asked for, none is kept.
#[derive(Debug, Default)]
pub(in crate::gateway) struct VersionWitness(OnceLock<()>);

impl VersionWitness {
    /// TLS 1.3 if that was agreed on; TLS 1.2, or nothing yet, is none.
    pub(in crate::gateway) fn seen(&self) -> Option<&'static str> {
        self.0.get().map(|()| TLS_1_3)
    }
}

impl KeyLog for VersionWitness {
    fn will_log(&self, label: &str) -> bool {
        if label == "CLIENT_HANDSHAKE_TRAFFIC_SECRET" {
            let _ = self.0.set(());
        }
        false
    }

    fn log(&self, _: &str, _: &[u8], _: &[u8]) {}
}
