//! TLS termination (RFC 8446, RFC 5246): ClientHello, site, handshake, client verification.
//!
//! Each connection gets a `ServerConfig` of its own (some microseconds beside a handshake's hundreds), because the
//! verifier and the ticketer must know the site, the snapshot in force and each other.

use crate::gateway::Gateway;
use crate::gateway::base::suites::SuiteOrder;
use crate::gateway::snapshot::site::{Site, Snapshot};
use crate::gateway::tls::alert;
pub(in crate::gateway) use crate::gateway::tls::client::{Client, PendingClient};
use crate::gateway::tls::client_signature::{self, Protocol};
use crate::gateway::tls::linger::Linger;
use crate::gateway::tls::session::Session;
use crate::gateway::tls::tcp::BufferedTcp;
use crate::gateway::tls::tickets::ConnectionTicketer;
use crate::gateway::verify::{self, Decision, Reason, Refusal};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert, ServerConnection, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, HandshakeKind, InvalidMessage, ServerConfig, SignatureScheme};
use sekisho_config::{ClientAuth, RefusalStyle};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// A finished handshake.
pub(in crate::gateway) struct Accepted {
    pub(in crate::gateway) tls: TlsStream<BufferedTcp>,
    pub(in crate::gateway) site: Arc<Site>,
    pub(in crate::gateway) snapshot: Arc<Snapshot>,
    pub(in crate::gateway) client: Client,
    pub(in crate::gateway) resumed: bool,
    /// When the client proved its key: at this handshake, or at the one this session resumes.
    pub(in crate::gateway) authenticated_at: Timestamp,
}

/// A handshake that came to nothing.
#[derive(Debug)]
pub(in crate::gateway) struct Failure {
    /// The site, once it was known.
    pub(in crate::gateway) site: Option<Arc<Site>>,
    /// The server name the client asked for.
    pub(in crate::gateway) server_name: Option<String>,
    /// `TLSv1.3` or `TLSv1.2`, if it came to be known.
    pub(in crate::gateway) tls_version: Option<&'static str>,
    pub(in crate::gateway) cause: FailureCause,
    /// What is left of the connection, for [`linger`].
    pub(in crate::gateway) tcp: Option<BufferedTcp>,
}

/// Why a handshake failed.
#[derive(Debug)]
pub(in crate::gateway) enum FailureCause {
    /// The client's certificate was refused.
    Refused(Refusal),
    /// No site has this server name, or there was none and no site is the default.
    NoSite,
    /// The peer or the network broke off, or spoke no TLS that we do.
    Tls(io::Error),
    /// It was not done within `handshake_timeout`.
    Timeout,
}

/// What a connection with this server name is handshaken with (see [`crate::gateway::Terminator`]).
pub(in crate::gateway) fn config_for(gateway: &Arc<Gateway>, server_name: Option<&str>) -> Option<Arc<ServerConfig>> {
    let snapshot = gateway.snapshot();
    let site = snapshot.sites.for_server_name(server_name)?;
    server_config(gateway, &snapshot, &site, &Arc::default(), SuiteOrder::Ours).ok().map(Arc::new)
}

/// Whether a finished handshake ends with a verified client, without what the handshake itself found out (see
/// [`crate::gateway::Terminator`]).
pub(in crate::gateway) fn stands(gateway: &Gateway, server_name: Option<&str>, connection: &ServerConnection) -> bool {
    let snapshot = gateway.snapshot();
    let Some(site) = snapshot.sites.for_server_name(server_name) else { return false };
    matches!(conclude(connection, gateway, &snapshot, &site, &Session::default()), (Client::Verified(_), _))
}

/// For the log: a client that has a certificate and may not use it here looks the same.
const NO_CERTIFICATE: &str = "the client presented no certificate; one whose issuer the site does not name, or whose key is none \
                              of P-256, P-384, Ed25519 and RSA (rsaEncryption), is not presented either";

/// Tickets after each handshake of TLS 1.3: each resumption brings the next one, and a browser opens one connection
/// (HTTP/2). One more would cost another sealing of the client's chain, and as many octets, on every connection.
const TICKETS: usize = 1;

/// How long a refused peer may take to close, and how much of what it says meanwhile is read. A client that has got
/// the alert closes within a round trip; the first flight it had sent is a few kilobytes.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_OCTETS: usize = 64 * 1024;

/// Takes a connection through its handshake.
pub(in crate::gateway) async fn accept(tcp: BufferedTcp, gateway: &Arc<Gateway>) -> Result<Accepted, Failure> {
    let snapshot = gateway.snapshot();
    let mut start = match client_hello(tcp).await {
        Ok(start) => start,
        Err((error, tcp)) => {
            let cause = FailureCause::Tls(error);
            return Err(Failure { site: None, server_name: None, tls_version: None, cause, tcp });
        }
    };
    let server_name = start.client_hello().server_name().map(str::to_owned);
    let Some(site) = snapshot.sites.for_server_name(server_name.as_deref()) else {
        let tcp = refuse_server_name(start.io).await;
        return Err(Failure { site: None, server_name, tls_version: None, cause: FailureCause::NoSite, tcp });
    };
    let session = Arc::new(Session::default());
    let suites = SuiteOrder::of(&start.client_hello(), &gateway.provider);
    let failed = |cause: FailureCause, tcp| {
        let tls_version = session.failed_version(&cause);
        Failure { site: Some(site.clone()), server_name, tls_version, cause, tcp }
    };
    let config = match server_config(gateway, &snapshot, &site, &session, suites) {
        Ok(config) => config,
        Err(error) => return Err(failed(FailureCause::Tls(io::Error::other(error)), None)),
    };
    start.io.let_tickets_wait(session.clone());
    match start.into_stream(Arc::new(config)).into_fallible().await {
        Ok(tls) => {
            let (client, resumed) = conclude(tls.get_ref().1, gateway, &snapshot, &site, &session);
            match client.refusal().filter(|_| site.refusal == RefusalStyle::Alert) {
                Some(refusal) => Err(failed(FailureCause::Refused(refusal.clone()), None)),
                None => {
                    let authenticated_at = session.facts.authenticated_at().filter(|_| resumed);
                    let authenticated_at = authenticated_at.unwrap_or_else(clock::now);
                    Ok(Accepted { tls, site, snapshot, client, resumed, authenticated_at })
                }
            }
        }
        Err((error, tcp)) => {
            let cause = match session.refusal().or_else(|| refused_by_rustls(&error)) {
                Some(refusal) => FailureCause::Refused(refusal),
                None => FailureCause::Tls(error),
            };
            Err(failed(cause, Some(tcp)))
        }
    }
}

/// Sends what is still buffered (the alert), then waits for the peer to close.
pub(in crate::gateway) async fn linger(mut tcp: BufferedTcp) {
    // The peer may be gone: it is refused either way.
    if tcp.shutdown().await.is_ok() {
        let mut linger = Linger::new(LINGER, LINGER_OCTETS);
        poll_fn(|cx| linger.poll(&mut tcp, cx)).await;
    }
}

/// Reads the ClientHello; what is not one gets rustls's alert.
async fn client_hello(
    tcp: BufferedTcp,
) -> Result<tokio_rustls::StartHandshake<BufferedTcp>, (io::Error, Option<BufferedTcp>)> {
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), tcp);
    (&mut acceptor).await.map_err(|error| (error, acceptor.take_io()))
}

/// The alert `unrecognized_name` (RFC 6066 section 3), in the clear: nothing has been agreed yet.
async fn refuse_server_name(mut tcp: BufferedTcp) -> Option<BufferedTcp> {
    const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
    tcp.write_all(&UNRECOGNIZED_NAME).await.ok()?;
    Some(tcp)
}

/// rustls refuses by itself a missing certificate, and a chain longer than it reads (64 KiB; nothing else that a client
/// sends after its ClientHello is large).
fn refused_by_rustls(error: &io::Error) -> Option<Refusal> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::NoCertificatesPresented => Some(Refusal::new(Reason::NoCertificate, NO_CERTIFICATE)),
        rustls::Error::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge | InvalidMessage::HandshakePayloadTooLarge,
        ) => Some(Refusal::new(Reason::BadCertificate, "the client's chain is larger than a handshake message may be")),
        _ => None,
    }
}

fn server_config(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    site: &Arc<Site>,
    session: &Arc<Session>,
    suites: SuiteOrder,
) -> Result<ServerConfig, rustls::Error> {
    let verifier: Arc<dyn ClientCertVerifier> = match site.client_auth {
        ClientAuth::None => WebPkiClientVerifier::no_client_auth(),
        ClientAuth::Required | ClientAuth::Optional => Arc::new(HandshakeVerifier {
            gateway: gateway.clone(),
            snapshot: snapshot.clone(),
            site: site.clone(),
            session: session.clone(),
        }),
    };
    let mut config = ServerConfig::builder_with_provider(gateway.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(OneKey(site.certified_key.clone())));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = suites == SuiteOrder::Ours;
    config.key_log = session.version.clone();
    config.send_tls13_tickets = TICKETS;
    // Sessions live in tickets only, so that any gateway can resume them; 0-RTT stays off (max_early_data_size 0).
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(ConnectionTicketer {
        keys: gateway.tickets.clone(),
        site: site.clone(),
        trust: snapshot.trust.clone(),
        facts: session.facts.clone(),
    });
    Ok(config)
}

/// Who is at the other end of a finished handshake, and whether it resumed a session: whoever has a certificate is
/// verified by now, or is verified here.
fn conclude(
    connection: &ServerConnection,
    gateway: &Gateway,
    snapshot: &Snapshot,
    site: &Site,
    session: &Session,
) -> (Client, bool) {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let client = match (connection.peer_certificates(), session.decision.get()) {
        (Some(_), Some(Decision::Verified(client))) if !resumed => Client::Verified(client.clone()),
        (Some(chain), _) if site.client_auth != ClientAuth::None => {
            let (trust, cache) = (&snapshot.trust, Some(&gateway.chain_cache));
            let decision = verify::verify(chain, &site.policy, trust, cache, clock::now());
            Client::of(decision, || chain.iter().map(|certificate| certificate.clone().into_owned()).collect())
        }
        _ if site.client_auth == ClientAuth::Required => {
            Client::Refused(Refusal::new(Reason::NoCertificate, NO_CERTIFICATE))
        }
        _ => Client::Anonymous,
    };
    (client, resumed)
}

/// The site is known before the configuration is made, so there is one key to give.
#[derive(Debug)]
struct OneKey(Arc<CertifiedKey>);

impl ResolvesServerCert for OneKey {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Verification inside the handshake.
///
/// With refusal style `alert` a refusal ends the handshake; with `page` it is remembered and the handshake goes on
/// (the proof that the client holds the key is demanded either way), so that the reason can be told in words. A status
/// that is pending refuses no client here: a handshake must not wait for another machine.
#[derive(Debug)]
struct HandshakeVerifier {
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    site: Arc<Site>,
    session: Arc<Session>,
}

impl HandshakeVerifier {
    /// A certificate so wrong that no signature can be checked with it gets the alert of what is wrong with it, where
    /// there would have been a page.
    fn true_error(&self, error: rustls::Error) -> rustls::Error {
        self.session.refusal().map_or(error, |refusal| alert::for_refusal(refusal.reason))
    }
}

impl ClientCertVerifier for HandshakeVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.site.client_auth == ClientAuth::Required && self.site.refusal == RefusalStyle::Alert
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.site.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let trust = &self.snapshot.trust;
        let decision = verify::verify(&chain, &self.site.policy, trust, Some(&self.gateway.chain_cache), clock::now());
        let answer = match &decision {
            Decision::Refused(refusal) if self.site.refusal == RefusalStyle::Alert => {
                Err(alert::for_refusal(refusal.reason))
            }
            Decision::Verified(_) | Decision::Pending(_) | Decision::Refused(_) => Ok(ClientCertVerified::assertion()),
        };
        match &decision {
            Decision::Verified(client) => {
                self.session.facts.tell(client.verified_at(), client.links(), Some(client.ticket_holder()));
            }
            Decision::Pending(_) | Decision::Refused(_) => self.session.facts.refuse(),
        }
        let _ = self.session.decision.set(decision);
        answer
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.gateway.provider.signature_verification_algorithms;
        client_signature::verify(Protocol::Tls12, message, certificate, signature, algorithms)
            .map_err(|error| self.true_error(error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.gateway.provider.signature_verification_algorithms;
        client_signature::verify(Protocol::Tls13, message, certificate, signature, algorithms)
            .map_err(|error| self.true_error(error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        client_signature::SCHEMES.to_vec()
    }
}
