//! Hands mails to the bank's mail server (RFC 5321, RFC 3207, RFC 8314).

use super::lines::Lines;
use super::message::{Sender, address};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use sekisho_config::issuer::{MailConfig, MailTls};
use sekisho_config::{ConfigError, Place, Placed};
use sekisho_pki::pem;
use sekisho_runtime::process::secret_file;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// To connect, shake hands and log in. A mail server next door that needs longer is not there.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// For one mail. RFC 5321 section 4.5.3.2 would wait ten minutes for the last answer, lest a mail come twice; a relay
/// that queues answers at once, and a repeat has the same Message-ID.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// To take leave: nothing depends on it.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Octets of the file with the CAs; the whole of a distribution's are 250 KiB.
const MOST_CA_BYTES: u64 = 1 << 20;

/// Octets of the file with the password.
const MOST_PASSWORD_BYTES: u64 = 4_096;

/// The mail server, and how it is reached.
pub(super) struct Mailer {
    host: String,
    port: u16,
    protection: Protection,
    credentials: Option<Credentials>,
    pub(super) sender: Sender,
}

enum Protection {
    StartTls(TlsParameters),
    Implicit(TlsParameters),
    LoopbackOnly,
}

/// Why a mail was not taken. Its text is for the store; it may have the receiver's address, as servers repeat it.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no server that takes mail from here: unreachable, its certificate, its login, its view of the sender. No
    /// other mail would do better now.
    NoServer(String),
    /// Not now: 4xx, or the connection broke, and then it may have been taken.
    NotNow(String),
    /// Never: 5xx to the receiver or to the mail itself.
    Never(String),
}

/// One connection at most, opened when it is needed.
pub(super) struct Session<'a> {
    mailer: &'a Mailer,
    connection: Option<AsyncSmtpConnection>,
}

impl Mailer {
    /// From the configuration; reads the files that it names.
    pub(super) fn load(config: &MailConfig) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut keep = |error: ConfigError| errors.push(error);
        let tls = match config.tls {
            MailTls::None => None,
            _ => tls_parameters(config).map_err(&mut keep).ok(),
        };
        let login = config.login.as_ref().filter(|_| config.tls != MailTls::None);
        let credentials = login.and_then(|(user, file)| {
            let password = password(file).map_err(&mut keep).ok()?;
            Some(Credentials::new(user.clone(), password.to_string()))
        });
        let from = mailbox(&config.from);
        if from.is_none() {
            keep(at_key("from", "is not a mail address, nor a name and <address>".to_owned()));
        }
        match (config.tls, tls, from) {
            (kind, tls, Some(from)) if errors.is_empty() => Ok(Self {
                host: config.host.clone(),
                port: config.port,
                protection: match (kind, tls) {
                    (MailTls::StartTls, Some(tls)) => Protection::StartTls(tls),
                    (MailTls::Implicit, Some(tls)) => Protection::Implicit(tls),
                    _ => Protection::LoopbackOnly,
                },
                credentials,
                sender: Sender { from, portal_url: config.portal_url.clone() },
            }),
            _ => Err(errors),
        }
    }

    /// A session without a connection yet.
    pub(super) fn session(&self) -> Session<'_> {
        Session { mailer: self, connection: None }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let connect = async {
            let mut connection = match &self.protection {
                Protection::StartTls(tls) => {
                    let mut connection = self.plain().await?;
                    if !connection.can_starttls() {
                        let why = "the mail server offers no STARTTLS; nothing is sent in clear";
                        return Err(Failure::NoServer(why.to_owned()));
                    }
                    connection.starttls(tls.clone(), &self.hello()).await.map_err(Failure::no_server)?;
                    connection
                }
                Protection::Implicit(tls) => {
                    let server = (self.host.as_str(), self.port);
                    let tls = Some(tls.clone());
                    AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), &self.hello(), tls, None)
                        .await
                        .map_err(Failure::no_server)?
                }
                Protection::LoopbackOnly => self.plain().await?,
            };
            if let Some(credentials) = &self.credentials {
                connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(Failure::no_server)?;
            }
            Ok(connection)
        };
        let late = |_| Failure::NoServer("the mail server did not answer in time".to_owned());
        timeout(CONNECT_TIMEOUT, connect).await.map_err(late)?
    }

    /// Greeted, in clear.
    async fn plain(&self) -> Result<AsyncSmtpConnection, Failure> {
        let failed = |error: std::io::Error| Failure::NoServer(format!("the mail server cannot be reached: {error}"));
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
        let peer = stream.peer_addr().map_err(failed)?;
        if matches!(self.protection, Protection::LoopbackOnly) && !peer.ip().is_loopback() {
            let why = format!("the mail server is at {}, not on this machine; nothing is sent in clear", peer.ip());
            return Err(Failure::NoServer(why));
        }
        let stream = Box::new(Lines::new(stream, peer));
        AsyncSmtpConnection::connect_with_transport(stream, &self.hello()).await.map_err(Failure::no_server)
    }

    /// The sender's domain: this machine need not have a name that the mail server knows.
    fn hello(&self) -> ClientId {
        ClientId::Domain(self.sender.from.email.domain().to_owned())
    }
}

impl Session<'_> {
    /// Hands a mail over. `Ok`: the server has taken it.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.mailer.connect().await?,
        };
        // A connection that broke, or whose mail ended in the middle, is not used again.
        let late = |_| Failure::NotNow("the mail server did not take it in time".to_owned());
        let sent = timeout(SEND_TIMEOUT, transfer(&mut connection, message)).await.map_err(late)?;
        let usable = match &sent {
            Ok(()) => true,
            Err(Failure::NoServer(_)) => false,
            Err(_) => matches!(timeout(QUIT_TIMEOUT, connection.command(Rset)).await, Ok(Ok(_))),
        };
        self.connection = usable.then_some(connection);
        sent
    }

    /// Takes leave.
    pub(super) async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // The server has taken every mail already.
            let _ = timeout(QUIT_TIMEOUT, connection.quit()).await;
        }
    }
}

/// One mail, step by step: what a refusal means depends on the step. The text is 7-bit and the addresses are ASCII, so that
/// no extension is needed.
async fn transfer(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Failure> {
    let envelope = message.envelope();
    let of_the_sender = |error: Error| match error.is_permanent() {
        // Not the receiver's doing: this server takes no mail of this sender.
        true => Failure::no_server(error),
        false => Failure::of_the_mail(error),
    };
    connection.command(Mail::new(envelope.from().cloned(), Vec::new())).await.map_err(of_the_sender)?;
    for to in envelope.to() {
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(Failure::of_the_mail)?;
    }
    connection.command(Data).await.map_err(Failure::of_the_mail)?;
    connection.message(&message.formatted()).await.map_err(Failure::of_the_mail)?;
    Ok(())
}

impl Failure {
    fn no_server(error: Error) -> Self {
        Self::NoServer(error.to_string())
    }

    fn of_the_mail(error: Error) -> Self {
        // RFC 4954 section 6 and RFC 5321 section 3.8: a login is missing, or the service ends; not this mail's fault.
        const NOT_OF_THE_MAIL: [u16; 5] = [421, 530, 534, 535, 538];
        let of_the_server = error.status().is_some_and(|code| NOT_OF_THE_MAIL.contains(&code.into()));
        match (of_the_server, error.is_permanent()) {
            (true, _) => Self::NoServer(error.to_string()),
            (false, true) => Self::Never(error.to_string()),
            (false, false) => Self::NotNow(error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer(why) | Self::NotNow(why) | Self::Never(why) => f.write_str(why),
        }
    }
}

fn tls_parameters(config: &MailConfig) -> Result<TlsParameters, ConfigError> {
    let mut builder = TlsParametersBuilder::new(config.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
    if let Some(ca) = &config.ca {
        builder = builder.certificate_store(CertificateStore::None);
        let octets = read(&ca.value, MOST_CA_BYTES).map_err(|why| at(&ca.place, &ca.value, &why))?;
        let certificates = pem::certificates(&octets).map_err(|error| at(&ca.place, &ca.value, &error.to_string()))?;
        for certificate in certificates {
            let certificate = Certificate::from_der(certificate.to_vec());
            let certificate = certificate.map_err(|error| at(&ca.place, &ca.value, &error.to_string()))?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| match &config.ca {
        Some(ca) => at(&ca.place, &ca.value, &error.to_string()),
        None => at_key("tls", error.to_string()),
    })
}

fn password(file: &Placed<PathBuf>) -> Result<Zeroizing<String>, ConfigError> {
    let refuse = |why: &str| at(&file.place, &file.value, why);
    let octets = secret_file::read(&file.value, MOST_PASSWORD_BYTES).map_err(|error| refuse(&error.to_string()))?;
    let text = std::str::from_utf8(&octets).map_err(|_| refuse("is not UTF-8"))?.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.contains(char::is_control) {
        return Err(refuse("is not a password on one line"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(most + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if octets.len() as u64 > most { Err(format!("has more than {most} octets")) } else { Ok(octets) }
}

/// `address` or `Name <address>`, the name in any script and not quoted.
fn mailbox(text: &str) -> Option<Mailbox> {
    let (name, within) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, within)) => (name.trim().trim_matches('"'), within),
        None => ("", text),
    };
    if name.contains(char::is_control) {
        return None;
    }
    Some(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address(within)?))
}

fn at(place: &Place, file: &Path, why: &str) -> ConfigError {
    ConfigError { place: place.clone(), message: format!("{}: {why}", file.display()) }
}

fn at_key(key: &str, message: String) -> ConfigError {
    ConfigError { place: Place { key: format!("mail.{key}"), ..Place::default() }, message }
}
