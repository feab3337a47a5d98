//! Cipher suites and key exchanges of the gateway's handshakes, in order of preference.

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ClientHello;

/// The cryptography of every handshake, in order of preference.
///
/// AES-128-GCM first: with AES-256 the key schedule's SHA-384 has no hardware help and costs 7 % of a full and 19 % of
/// a resumed handshake. Key exchange: X25519MLKEM768 (post-quantum) where the client has it, then X25519, P-256, P-384.
pub fn crypto_provider() -> CryptoProvider {
    use aws_lc_rs::{cipher_suite as suite, kx_group};
    CryptoProvider {
        cipher_suites: vec![
            suite::TLS13_AES_128_GCM_SHA256,
            suite::TLS13_AES_256_GCM_SHA384,
            suite::TLS13_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    }
}

/// Whose order of cipher suites counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum SuiteOrder {
    /// That of [`crypto_provider`].
    Ours,
    /// The client's: it would rather have ChaCha20 than AES, as clients without AES instructions do.
    Clients,
}

impl SuiteOrder {
    /// OpenSSL's clients put AES-256 first, for which they have no need and whose hash costs most (see
    /// [`crypto_provider`]): the first suite that both ends have only tells whether the client's machine does AES.
    pub(in crate::gateway) fn of(hello: &ClientHello<'_>, provider: &CryptoProvider) -> Self {
        let ours = |suite: &&CipherSuite| provider.cipher_suites.iter().any(|ours| ours.suite() == **suite);
        match hello.cipher_suites().iter().find(ours) {
            Some(
                CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            ) => Self::Clients,
            _ => Self::Ours,
        }
    }
}
