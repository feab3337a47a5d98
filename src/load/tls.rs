//! TLS configurations of the load's clients.

use super::identity::Identity;
use super::plan::{Group, HttpVersion, Plan, TlsVersion};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, SupportedProtocolVersion, version};
use std::sync::Arc;

/// Sessions that a worker keeps: it uses the last it was given.
const SESSIONS: usize = 4;

/// Whether connections may resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sessions {
    /// Every handshake is a full one.
    Never,
    /// A store of its own.
    Kept,
}

/// A client's configuration.
///
/// # Errors
/// One line: the provider does not fit, or the key not to the certificate.
pub(super) fn config(
    plan: &Plan,
    identity: Option<&Identity>,
    sessions: Sessions,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider(plan.group)))
        .with_protocol_versions(versions(plan.tls))?
        .with_root_certificates(Arc::clone(&plan.roots));
    let mut config = match identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = match plan.http {
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    config.resumption = match sessions {
        Sessions::Never => Resumption::disabled(),
        Sessions::Kept => Resumption::in_memory_sessions(SESSIONS),
    };
    Ok(Arc::new(config))
}

fn provider(group: Option<Group>) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(group) = group {
        provider.kx_groups = vec![match group {
            Group::X25519 => aws_lc_rs::kx_group::X25519,
            Group::P256 => aws_lc_rs::kx_group::SECP256R1,
            Group::X25519MlKem768 => aws_lc_rs::kx_group::X25519MLKEM768,
        }];
    }
    provider
}

static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

fn versions(tls: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match tls {
        TlsVersion::Any => &BOTH,
        TlsVersion::Tls13 => &BOTH[..1],
        TlsVersion::Tls12 => &BOTH[1..],
    }
}
