//! One's own renewal and revocation through a gateway that follows the feed: the answer comes, and nothing after it.

use crate::common::{Gateway, Output, TestPki, curl, wait_until};
use crate::support::{Held, Issuer, NewKey, Person, Plan};
use serde_json::{Value, json};

const SITE: &str = "issuer.localhost";
const CONTRACT: &str = "A1234567";

/// A gateway before the issuer's own API, which follows its feed.
struct Before {
    gateway: Gateway,
    pki: TestPki,
}

impl Before {
    fn new(issuer: &Issuer, authority: &str) -> Self {
        let pki = TestPki::new();
        pki.issue_server(SITE, &[SITE], sekisho_runtime::clock::now()).unwrap();
        let service = issuer.plan.pki.service_named("gateway-1");
        let write = |name: &str, content: &str| std::fs::write(pki.path(name), content).unwrap();
        write("gateway.pem", &service.certificate);
        write("gateway.key", &service.key);
        write("services-ca.pem", &issuer.plan.pki.ca);
        write("assertion.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
        let feed = rcgen::KeyPair::from_pem(&std::fs::read_to_string(issuer.plan.path("feed.key")).unwrap()).unwrap();
        write("feed.pub.pem", &feed.public_key_pem());
        let gateway = Gateway::start_in(&pki, &configuration(issuer, authority), &issuer.plan.environment());
        // The issuer believes this gateway's assertions, too.
        let keys: Value = serde_json::from_str(&gateway.admin_get("/.well-known/jwks.json").1).unwrap();
        let mut known: Value = serde_json::from_str(&issuer.plan.gateway.jwks()).unwrap();
        known["keys"].as_array_mut().unwrap().extend(keys["keys"].as_array().unwrap().iter().cloned());
        issuer.plan.write("gateway.jwks", &known.to_string());
        Self { gateway, pki }
    }

    /// An act of somebody on themselves, in their browser.
    fn act(&self, person: &Person, held: &Held, version: &str, act: &str, body: &Value) -> Output {
        let name = format!("client-{}", person.user);
        let chain = [&[held.certificate.clone()][..], &held.chain].concat().concat();
        std::fs::write(self.pki.path(&format!("{name}.pem")), chain).unwrap();
        std::fs::write(self.pki.path(&format!("{name}.key")), &held.key).unwrap();
        let key = format!("idempotency-key: {}-{act}", person.user);
        let (url, body) = (self.gateway.url(SITE, &person.path(act)), body.to_string());
        let headers = ["-H", "content-type: application/json", "-H", &key];
        curl(&self.gateway, &self.pki, Some(&name), &[&[version, "-d", &body][..], &headers, &[&url]].concat())
    }
}

fn configuration(issuer: &Issuer, authority: &str) -> String {
    let path = |name: &str| issuer.plan.path(name).display().to_string();
    let (root, issuing) = (path("ca/made/root/root.pem"), path(&format!("ca/{authority}/issuing.pem")));
    let (lists, api) = (path("lists"), issuer.address("api"));
    let port = api.port();
    format!(
        r#"[gateway]
listen = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
access_log = "stdout"
state_folder = "state"

[gateway.assertion]
key_file = "assertion.key"
issuer = "sekisho"

[gateway.feed]
urls = ["https://localhost:{port}"]
ca = "services-ca.pem"
certificate = "gateway.pem"
key = "gateway.key"
public_key_files = ["feed.pub.pem"]

[[ca]]
name = "root"
certificate = {root:?}
revocation = "none"

[[ca]]
name = "issuing"
issued_by = "root"
certificate = {issuing:?}
revocation = {{ crl = [{lists:?}], feed = true }}
identity = '(?<user_id>[^ ]+) (?<contract_id>A[0-9]+) .*'

[[pool]]
name = "issuer"
peers = ["{api}"]
tls = {{ server_name = "localhost", ca = "services-ca.pem" }}

[[site]]
name = "issuer"
server_names = ["{SITE}"]
certificate = "{SITE}.pem"
key = "{SITE}.key"
client_auth = "required"
ca = ["root"]
refusal = "page"

[[site.route]]
path = "/"
pool = "issuer"
finish = "10s"
"#
    )
}

/// 200 with the whole answer, and whoever comes again with that certificate is refused.
#[track_caller]
fn done(at: &Before, person: &Person, held: &Held, version: &str, act: &str, body: &Value) -> Value {
    let answer = at.act(person, held, version, act, body);
    assert_eq!(answer.status(), 200, "{answer:?}\n{}", at.gateway.output());
    let again = at.act(person, held, version, act, body);
    assert_eq!(again.status(), 403, "{again:?}");
    serde_json::from_str(answer.body()).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[test]
fn who_revokes_their_own_certificate_through_the_gateway_is_answered() {
    let issuer = Plan::new(&["hokugin"]).with_feed(&["gateway-1"]).and("wait = \"5s\"").start();
    let bank = issuer.bank();
    bank.open("hokugin", CONTRACT);
    let at = Before::new(&issuer, "hkg");
    for (user, version) in [("master01", "--http1.1"), ("master02", "--http2")] {
        let (person, _) = bank.register(CONTRACT, user, "master");
        let held = person.acquire(None, &["login-password"]);
        let body = json!({ "factors": person.factors(&["confirmation-password"]) });
        let answer = done(&at, &person, &held, version, "revoke", &body);
        assert_eq!(answer["propagation"]["have"], json!(1), "{answer}");
        assert_eq!(answer["user"]["label"]["ja"], "失効済", "{answer}");
    }
    wait_until("both were cut", || at.gateway.metric(r#"sekisho_cut_connections_total{reason="revoked"}"#) > 1.5);
}

#[test]
fn who_renews_their_certificate_through_the_gateway_is_given_the_new_one() {
    let login = &["login-password", "one-time-password"];
    let issuer = Plan::new(&["anser-bizsol"]).with_feed(&["gateway-1"]).and("wait = \"5s\"").start();
    let bank = issuer.bank();
    bank.open("anser-bizsol", CONTRACT);
    let acquired = [("logid031", "--http1.1"), ("logid032", "--http2")].map(|(user, version)| {
        let (person, _) = bank.register(CONTRACT, user, "general");
        (user, version, person.acquire(None, login))
    });
    // The window is open.
    let issuer = issuer.days_ahead(330);
    let (bank, at) = (issuer.bank(), Before::new(&issuer, "bsl"));
    for (user, version, held) in acquired {
        let (person, key) = (bank.person(CONTRACT, user), NewKey::new());
        let body = json!({ "factors": person.factors(login), "key": { "csr": key.request() } });
        let renewed = key.held(&done(&at, &person, &held, version, "renew", &body));
        assert_ne!(renewed.serial(), held.serial());
        assert_eq!(bank.user(&person)["serial"], renewed.serial().as_str());
    }
}
