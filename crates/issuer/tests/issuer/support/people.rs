//! Who acts: the bank's desk, its IB system, and users with their secrets and certificates.

use super::client::{Answer, Client, new_key};
use super::gateway_key::GatewayKey;
use super::plan::Issuer;
use crate::common::wait_until;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::CertificateList;
use sekisho_pki::fingerprint::Fingerprint;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Login password of everybody.
pub const LOGIN_PASSWORD: &str = "login-Passw0rd-of-the-user";
/// Execution password (取引実行パスワード) of everybody.
pub const EXECUTION_PASSWORD: &str = "execution-Passw0rd-of-the-user";
/// Confirmation password (確認用パスワード) of everybody.
pub const CONFIRMATION_PASSWORD: &str = "confirmation-Passw0rd-of-the-user";
/// PIN of everybody.
pub const PIN: &str = "24681357";
/// ご契約先確認暗証番号 of every contract.
pub const CONTRACT_PIN: &str = "97531864";
/// Seed of everybody's one-time passwords: 20 octets.
pub const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
/// Everything that must never be in a log.
pub const SECRETS: [&str; 6] = [LOGIN_PASSWORD, EXECUTION_PASSWORD, CONFIRMATION_PASSWORD, PIN, CONTRACT_PIN, SEED];

/// The bank: its desk with two people, and the IB system with the users' screens.
pub struct Bank {
    pub desk: Client,
    pub ib: Client,
    gateway: Arc<GatewayKey>,
}

/// A user with their secrets.
pub struct Person {
    pub contract: String,
    pub user: String,
    ib: Client,
    gateway: Arc<GatewayKey>,
    /// The last time step whose one-time password was given out.
    step: AtomicU64,
}

/// A certificate and its key in a user's hands.
#[derive(Clone, Debug)]
pub struct Held {
    /// PEM.
    pub certificate: String,
    /// PEM, PKCS#8.
    pub key: String,
    /// PEM of those above it, without the root.
    pub chain: Vec<String>,
}

/// A key pair that is to be certified.
pub struct NewKey(rcgen::KeyPair);

impl Bank {
    pub(super) fn new(issuer: &Issuer) -> Self {
        let gateway = Arc::clone(&issuer.plan.gateway);
        Self { desk: issuer.service("desk"), ib: issuer.service("ib"), gateway }
    }

    /// Opens a contract with one-time passwords, sets its confirmation PIN and switches its feature on.
    #[track_caller]
    pub fn open(&self, profile: &str, contract: &str) {
        self.open_off(profile, contract, "used");
        self.switch(contract, "on").done();
    }

    /// Opens a contract whose feature is off; `one_time_password` is `used` or `not-used`.
    #[track_caller]
    pub fn open_off(&self, profile: &str, contract: &str, one_time_password: &str) {
        let body = json!({ "id": contract, "profile": profile, "one_time_password": one_time_password, "staff": staff("paper-form") });
        self.desk.post("/v1/contracts", &body).done();
        let body =
            json!({ "credentials": { "contract-confirmation-pin": CONTRACT_PIN }, "staff": staff("staff-desk") });
        self.desk.put(&format!("/v1/contracts/{contract}/credentials"), &body).accepted();
    }

    /// Registers a user by a form, sets everything they know, and gives the answer to the registration.
    #[track_caller]
    pub fn register(&self, contract: &str, user: &str, role: &str) -> (Person, Value) {
        let body = json!({
            "id": user, "role": role, "staff": staff("paper-form"),
            "contact": { "name": "試験 太郎", "mail": "taro@example.co.jp", "language": "ja" },
        });
        let registered = self.desk.post(&format!("/v1/contracts/{contract}/users"), &body).done();
        self.equip(contract, user);
        (self.person(contract, user), registered)
    }

    /// Sets everything that a user knows.
    #[track_caller]
    pub fn equip(&self, contract: &str, user: &str) {
        let credentials = json!({
            "login-password": LOGIN_PASSWORD, "pin": PIN, "one-time-password": SEED,
            "execution-password": EXECUTION_PASSWORD, "confirmation-password": CONFIRMATION_PASSWORD,
        });
        let body = json!({ "credentials": credentials, "staff": staff("staff-desk") });
        self.desk.put(&format!("/v1/contracts/{contract}/users/{user}/credentials"), &body).accepted();
    }

    /// A user who is there already.
    pub fn person(&self, contract: &str, user: &str) -> Person {
        Person {
            contract: contract.to_owned(),
            user: user.to_owned(),
            ib: self.ib.clone(),
            gateway: Arc::clone(&self.gateway),
            step: AtomicU64::new(0),
        }
    }

    /// An act of the desk on a user; `channel` is `paper-form` or `staff-desk`.
    #[track_caller]
    pub fn act(&self, person: &Person, act: &str, channel: &str) -> Answer {
        self.desk.post(&person.path(act), &json!({ "staff": staff(channel) }))
    }

    /// Switches a contract's feature, `on` or `off`, by a form.
    #[track_caller]
    pub fn switch(&self, contract: &str, to: &str) -> Answer {
        let body = json!({ "staff": staff("paper-form") });
        self.desk.post(&format!("/v1/contracts/{contract}/switch-{to}"), &body)
    }

    /// The user as services see them.
    #[track_caller]
    pub fn user(&self, person: &Person) -> Value {
        self.ib.get(&format!("/v1/contracts/{}/users/{}", person.contract, person.user)).done()
    }

    /// The state's word: `issued`.
    #[track_caller]
    pub fn state(&self, person: &Person) -> String {
        self.user(person)["state"].as_str().unwrap().to_owned()
    }

    /// The last entries of a user's history, newest first: command and result.
    #[track_caller]
    pub fn history(&self, person: &Person) -> Vec<(String, String)> {
        let listed = self.ib.get(&format!("/v1/contracts/{}/users/{}/history", person.contract, person.user)).done();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (text(entry, "command"), text(entry, "result")))
            .collect()
    }
}

/// Two people of the desk.
pub fn staff(channel: &str) -> Value {
    json!({ "maker": "t0123", "checker": "t0456", "channel": channel })
}

impl Person {
    /// The path of an act on them.
    pub fn path(&self, act: &str) -> String {
        format!("/v1/contracts/{}/users/{}/{act}", self.contract, self.user)
    }

    /// A one-time password that was not given out before and counts for some seconds yet. Three time steps are taken at
    /// any moment, so that three can be asked for in a row.
    #[track_caller]
    pub fn one_time_password(&self) -> String {
        /// In seconds: what is typed shortly before a step ends is checked in the next one.
        const COUNTS_YET: u64 = 10;
        let now = || u64::try_from(self.gateway.now().unix()).unwrap();
        let oldest = (now() + COUNTS_YET) / 30 - 1;
        let step = (self.step.load(Ordering::Relaxed) + 1).max(oldest);
        assert!(step <= oldest + 2, "a fourth one-time password within half a minute; let another person act");
        wait_until("the newest step has come", || step <= now() / 30 + 1);
        self.step.store(step, Ordering::Relaxed);
        totp(SEED, step)
    }

    /// The factors of these names, as the user types them.
    pub fn factors(&self, names: &[&str]) -> Value {
        let typed = |name: &&str| {
            let text = match *name {
                "login-password" => LOGIN_PASSWORD.to_owned(),
                "execution-password" => EXECUTION_PASSWORD.to_owned(),
                "confirmation-password" => CONFIRMATION_PASSWORD.to_owned(),
                "pin" => PIN.to_owned(),
                "contract-confirmation-pin" => CONTRACT_PIN.to_owned(),
                "one-time-password" => self.one_time_password(),
                other => panic!("no factor {other}"),
            };
            ((*name).to_owned(), Value::from(text))
        };
        Value::Object(names.iter().map(typed).collect::<Map<_, _>>())
    }

    /// A body in which this person acts with these factors, and what else it says.
    pub fn body(&self, factors: &[&str], more: Value) -> Value {
        self.body_with(self.factors(factors), more)
    }

    /// A body in which this person acts with what they typed.
    pub fn body_with(&self, factors: Value, more: Value) -> Value {
        let mut body = json!({
            "acting_user": { "contract": self.contract, "user": self.user },
            "factors": factors, "client_address": "192.0.2.7",
        });
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            body[name] = value;
        }
        body
    }

    /// An act of theirs on somebody (or themselves) at the IB system's screens, which they entered with a certificate
    /// or without one.
    #[track_caller]
    pub fn act(&self, certificate: Option<&Held>, on: &Person, act: &str, factors: &[&str]) -> Answer {
        self.act_with(certificate, on, act, self.body(factors, json!({})))
    }

    /// The same with any body.
    #[track_caller]
    pub fn act_with(&self, certificate: Option<&Held>, on: &Person, act: &str, body: Value) -> Answer {
        self.act_with_key(certificate, on, act, &new_key(), body)
    }

    /// The same with that idempotency key.
    #[track_caller]
    pub fn act_with_key(&self, certificate: Option<&Held>, on: &Person, act: &str, key: &str, body: Value) -> Answer {
        self.through_ib(certificate).post_with_key(&on.path(act), key, &body)
    }

    /// The IB system, which hands on with which certificate they came.
    pub fn through_ib(&self, certificate: Option<&Held>) -> Client {
        match certificate {
            Some(held) => self.ib.handing_on(&held.fingerprint(), &self.gateway),
            None => self.ib.clone(),
        }
    }

    /// Acquires with a new key and a certification request.
    #[track_caller]
    pub fn acquire(&self, secret: Option<&str>, factors: &[&str]) -> Held {
        let key = NewKey::new();
        let answer = self.try_acquire(secret, factors, &key);
        key.held(&answer.done())
    }

    /// Asks for a certificate on a key.
    #[track_caller]
    pub fn try_acquire(&self, secret: Option<&str>, factors: &[&str], key: &NewKey) -> Answer {
        self.act_with(None, self, "acquire", self.acquisition(secret, factors, &key.request()))
    }

    /// The body of an acquisition.
    pub fn acquisition(&self, secret: Option<&str>, factors: &[&str], csr: &str) -> Value {
        let mut more = json!({ "key": { "csr": csr } });
        if let Some(secret) = secret {
            more["acquisition_password"] = secret.into();
        }
        self.body(factors, more)
    }

    /// Acquires a .p12 file with that password.
    #[track_caller]
    pub fn acquire_p12(&self, secret: Option<&str>, factors: &[&str], password: &str) -> (Value, Vec<u8>) {
        let mut more = json!({ "key": { "p12_password": password } });
        if let Some(secret) = secret {
            more["acquisition_password"] = secret.into();
        }
        let done = self.act_with(None, self, "acquire", self.body(factors, more)).done();
        let content = BASE64_STANDARD.decode(done["p12"]["content"].as_str().unwrap()).unwrap();
        (done, content)
    }
}

/// RFC 6238 with HMAC-SHA-1, six digits.
pub fn totp(seed: &str, step: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(seed).unwrap();
    let totp = totp_rs::Builder::new()
        .with_algorithm(totp_rs::Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(30)
        .with_skew(0)
        .with_secret(secret.as_bytes().to_vec())
        .build()
        .unwrap();
    totp.generate(step * 30).to_string()
}

impl NewKey {
    /// A P-256 key.
    pub fn new() -> Self {
        Self(rcgen::KeyPair::generate().unwrap())
    }

    /// A PKCS#10 request of it in PEM that names nobody.
    pub fn request(&self) -> String {
        self.request_of("")
    }

    /// A PKCS#10 request of it with that CN, or none.
    pub fn request_of(&self, common_name: &str) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !common_name.is_empty() {
            params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        }
        params.serialize_request(&self.0).unwrap().pem().unwrap()
    }

    /// The certificate that an answer gave for it.
    #[track_caller]
    pub fn held(&self, done: &Value) -> Held {
        Held {
            certificate: done["certificate"].as_str().expect("a certificate").to_owned(),
            key: self.0.serialize_pem(),
            chain: done["chain"].as_array().unwrap().iter().map(|pem| pem.as_str().unwrap().to_owned()).collect(),
        }
    }
}

impl Held {
    /// Its DER.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    /// What it says.
    pub fn parsed(&self) -> Certificate {
        Certificate::parse(&self.der()).unwrap()
    }

    /// Its serial number in hex.
    pub fn serial(&self) -> String {
        self.parsed().serial().to_string()
    }

    /// SHA-256 of its DER.
    pub fn fingerprint(&self) -> [u8; 32] {
        *Fingerprint::of(&self.der()).as_bytes()
    }

    /// Its subject as `openssl` writes it (RFC 2253, UTF-8).
    #[track_caller]
    pub fn subject(&self) -> String {
        let arguments = ["x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8"];
        let line = openssl(&arguments, self.certificate.as_bytes());
        line.trim().trim_start_matches("subject=").trim().to_owned()
    }
}

/// Runs openssl over something; its standard output.
#[track_caller]
pub fn openssl(arguments: &[&str], stdin: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Serials in hex and reason codes of a list.
#[track_caller]
pub(super) fn entries_of(der: &[u8]) -> Vec<(String, Option<u8>)> {
    let list = CertificateList::parse(der).unwrap();
    let entries = list.entries().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.serial.to_string(), Some(entry.reason as u8))).collect()
}
