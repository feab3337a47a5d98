use crate::mail_server_or_skip;
use crate::support::{Bank, ISSUED, MailServer, Options, mail, reachable};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sekisho_config::Placed;
use sekisho_config::issuer::{MailConfig, MailTls};
use sekisho_issuer::outbox::{self, OutboxParts};
use sekisho_lifecycle::Certificate;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::watch;

/// A CA, and a server's certificate of it.
struct Pki {
    folder: TempDir,
}

impl Pki {
    fn new(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "Mail CA");
        let ca_key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![server.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.path().join("chain.pem"), leaf.pem() + &key.serialize_pem()).unwrap();
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self, tls: &'static str) -> Options {
        Options { tls, chain: Some(self.file("chain.pem")), ..Options::default() }
    }
}

fn placed(value: PathBuf) -> Placed<PathBuf> {
    Placed { value, place: Default::default() }
}

fn protected(port: u16, tls: MailTls, ca: &Pki) -> MailConfig {
    MailConfig { tls, ca: Some(placed(ca.file("ca.pem"))), ..mail(port) }
}

async fn with_notice() -> Bank {
    let bank = Bank::open().await;
    bank.user("taro", reachable("taro"), Certificate::None).await;
    bank.notice("taro", ISSUED, "issued/2001").await;
    bank
}

/// The server learns of no mail; the notice waits.
async fn nothing_is_sent(mail: MailConfig, server: MailServer) {
    let bank = with_notice().await;
    let outbox = bank.outbox(Some(mail));
    bank.wait("taro", "it was tried twice", |row| row.attempts >= 2).await;
    outbox.stop().await;
    let told = server.stop().await;
    assert!(told.iter().any(|told| told["event"] == "connection"), "nobody called");
    assert!(told.iter().all(|told| told["event"] == "connection"), "{told:?}");
}

#[tokio::test]
async fn mail_goes_behind_starttls_and_implicit_tls_with_a_login() {
    for (word, tls) in [("starttls", MailTls::StartTls), ("implicit", MailTls::Implicit)] {
        let pki = Pki::new("127.0.0.1");
        let login = Some(("sekisho", "密 word"));
        let mut server = mail_server_or_skip!(Options { login, ..pki.options(word) });
        let password = pki.file("password");
        std::fs::write(&password, "密 word\n").unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let bank = with_notice().await;
        let login = Some(("sekisho".to_owned(), placed(password)));
        let outbox = bank.outbox(Some(MailConfig { login, ..protected(server.port, tls, &pki) }));
        assert_eq!(server.next("login").await["right"], true, "{word}");
        let mail = server.next("mail").await;
        assert_eq!((&mail["tls"], &mail["login"]), (&true.into(), &"sekisho".into()), "{word}");
        bank.wait("taro", "it is marked", |row| row.sent_at.is_some()).await;
        outbox.stop().await;
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_in_clear() {
    let pki = Pki::new("127.0.0.1");
    let server = mail_server_or_skip!(Options::default());
    nothing_is_sent(protected(server.port, MailTls::StartTls, &pki), server).await;
}

#[tokio::test]
async fn a_server_with_a_certificate_of_another_ca_gets_nothing() {
    let pki = Pki::new("127.0.0.1");
    let other = Pki::new("127.0.0.1");
    for (word, tls) in [("starttls", MailTls::StartTls), ("implicit", MailTls::Implicit)] {
        let server = mail_server_or_skip!(pki.options(word));
        nothing_is_sent(protected(server.port, tls, &other), server).await;
    }
}

#[tokio::test]
async fn a_server_with_another_name_gets_nothing() {
    let pki = Pki::new("mail.example.jp");
    let server = mail_server_or_skip!(pki.options("starttls"));
    nothing_is_sent(protected(server.port, MailTls::StartTls, &pki), server).await;
}

#[tokio::test]
async fn a_wrong_login_loses_no_notice() {
    let pki = Pki::new("127.0.0.1");
    let server = mail_server_or_skip!(Options { login: Some(("sekisho", "right")), ..pki.options("starttls") });
    let password = pki.file("password");
    std::fs::write(&password, "wrong").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let bank = with_notice().await;
    let login = Some(("sekisho".to_owned(), placed(password)));
    let outbox = bank.outbox(Some(MailConfig { login, ..protected(server.port, MailTls::StartTls, &pki) }));
    bank.wait("taro", "it was tried twice", |row| row.attempts >= 2).await;
    outbox.stop().await;
    let told = server.stop().await;
    assert!(told.iter().any(|told| told["event"] == "login" && told["right"] == false), "{told:?}");
    assert!(told.iter().all(|told| told["event"] != "mail"), "{told:?}");
}

#[tokio::test]
async fn files_and_senders_that_cannot_be_used_are_told_at_the_start() {
    let pki = Pki::new("127.0.0.1");
    let bank = Bank::open().await;
    let good = protected(1, MailTls::StartTls, &pki);
    let password = pki.file("password");
    std::fs::write(&password, "secret-word").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o640)).unwrap();
    let with_login = |file: &Path| Some(("sekisho".to_owned(), placed(file.to_owned())));
    let missing = pki.file("missing");
    for (wrong, words) in [
        (MailConfig { ca: Some(placed(missing.clone())), ..good.clone() }, "missing: No such file"),
        (MailConfig { ca: Some(placed(password.clone())), ..good.clone() }, "password: "),
        (MailConfig { login: with_login(&missing), ..good.clone() }, "missing: cannot be read: No such file"),
        (MailConfig { login: with_login(&password), ..good.clone() }, "its mode is 0640"),
        (MailConfig { login: with_login(&pki.file("empty")), ..good.clone() }, "not a password on one line"),
        (MailConfig { from: "IB Center".to_owned(), ..good.clone() }, "is not a mail address"),
        (MailConfig { from: "IB\r\nBcc: x <ib@example.jp>".to_owned(), ..good.clone() }, "is not a mail address"),
    ] {
        std::fs::write(pki.file("empty"), "\n").unwrap();
        std::fs::set_permissions(pki.file("empty"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let parts = OutboxParts {
            store: bank.store.clone(),
            profiles: bank.profiles.clone(),
            mail: Some(wrong),
            wake: Default::default(),
            shutdown: watch::channel(false).1,
        };
        let Err(errors) = outbox::run(parts) else { panic!("{words}: it was taken") };
        let [error] = &errors[..] else { panic!("{words}: {errors:?}") };
        assert!(error.message.contains(words), "{words}: {error}");
        assert!(!error.to_string().contains("secret-word"), "{error}");
    }
}
