//! Lists of parts of a CA's certificates (RFC 5280 section 5.2.5), made by `openssl ca`, before the running gateway: each
//! client is judged by the list of its own distribution point (requirement R1).

use crate::asked::{Asked, now, reason};
use crate::common::{
    ClientRequest, Gateway, Http2, Setup, Signer, TestApp, TestPki, TlsClient, Version, alert, wait_for, wait_until,
};
use crate::lapse::{ALERT, Closed, PAGE, Paths};
use crate::responder::{Behaviour, Front, Says};
use rcgen::CrlDistributionPoint;
use rustls::AlertDescription;
use std::fmt::Write as _;
use std::process::Command;

const CONFIG: &str = "\
[this]
database = index.txt
crlnumber = number
certificate = issuing-ca.pem
private_key = issuing-ca.key
default_md = sha256
unique_subject = no
[part]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical, @here
[part_delta]
authorityKeyIdentifier = keyid
2.5.29.27 = critical, ASN1:INTEGER:$ENV::BASE
issuingDistributionPoint = critical, @here
[here]
fullname = URI:$ENV::POINT
";

/// The folder of lists that the gateway watches.
const FOLDER: &str = "parts";

const HOUR: u32 = 3_600;

/// A list of one part.
#[derive(Clone, Copy)]
struct Part<'a> {
    name: &'a str,
    number: u32,
    /// The number of the list that it builds on, if it is a delta.
    base: Option<u32>,
    /// Until nextUpdate.
    seconds: u32,
    revoked: &'a [&'a str],
}

const ONE: Part<'static> = Part { name: "1", number: 5, base: None, seconds: HOUR, revoked: &[] };
const TWO: Part<'static> = Part { name: "2", number: 9, base: None, seconds: HOUR, revoked: &[] };

fn point(name: &str) -> String {
    format!("http://crl.example.jp/{name}.crl")
}

/// A client whose certificate names the list of this part.
fn client(pki: &TestPki, name: &str, part: &str) {
    let request = ClientRequest::good(&format!("00009876543 {} 1635", name.replace('-', "")), now());
    let mut parameters = request.parameters().unwrap();
    parameters.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![point(part)] }];
    pki.issue(name, Signer::Issuing, &parameters, &request.key.generate().unwrap()).unwrap();
}

/// Has OpenSSL make a list and puts it into the folder in one rename.
fn publish(pki: &TestPki, part: &Part<'_>) {
    let folder = pki.folder();
    let mut index = String::new();
    for name in part.revoked {
        let serial: String = pki.serial(name).unwrap().as_bytes().iter().map(|octet| format!("{octet:02X}")).collect();
        writeln!(index, "R\t360101000000Z\t260101000000Z,keyCompromise\t{serial}\tunknown\t/CN=x").unwrap();
    }
    std::fs::write(folder.join("openssl.cnf"), CONFIG).unwrap();
    std::fs::write(folder.join("index.txt"), index).unwrap();
    std::fs::write(folder.join("number"), format!("{:04X}\n", part.number)).unwrap();
    let extensions = if part.base.is_some() { "part_delta" } else { "part" };
    let seconds = part.seconds.to_string();
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(["ca", "-config", "openssl.cnf", "-name", "this", "-gencrl", "-crlexts", extensions])
        .args(["-crlsec", &seconds, "-out", "made.pem"])
        .env_remove("OPENSSL_CONF")
        .env("POINT", point(part.name))
        .env("BASE", part.base.unwrap_or_default().to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kind = if part.base.is_some() { "delta" } else { "base" };
    std::fs::create_dir_all(folder.join(FOLDER)).unwrap();
    std::fs::rename(folder.join("made.pem"), folder.join(FOLDER).join(format!("{}-{kind}.pem", part.name))).unwrap();
}

/// The demo's configuration with the folder in place of the issuing CA's list.
fn configuration(app: &TestApp) -> String {
    let demo = Setup::configuration(app);
    let (root, issuing) = demo.split_once("issued_by = \"root\"\n").unwrap();
    let issuing = issuing.replacen("\"crl.pem\"", &format!("\"{FOLDER}\""), 1);
    format!("{root}issued_by = \"root\"\n{issuing}")
}

/// A gateway with these lists; two clients of each part of two, one of a third, and the demo's, who name none.
fn start(lists: impl FnOnce(&TestPki)) -> Setup {
    let (pki, app) = (TestPki::new(), TestApp::new());
    for (name, part) in [("of-one", "1"), ("leaves-one", "1"), ("of-two", "2"), ("leaves-two", "2"), ("of-three", "3")]
    {
        client(&pki, name, part);
    }
    lists(&pki);
    let gateway = Gateway::start(&pki, &configuration(&app));
    Setup { gateway, app, pki }
}

/// The alert of a new handshake; `None` when the client is served.
fn refusal(setup: &Setup, client: &str, version: Version) -> Option<AlertDescription> {
    let answer = TlsClient::new(&setup.pki, Some(client), version).get(&setup.gateway, ALERT, "/echo");
    match answer {
        Ok((answer, _)) => {
            assert_eq!(answer.status, 200, "{client}");
            None
        }
        Err(error) => Some(alert(&error).unwrap_or_else(|| panic!("{client}: {error:?}"))),
    }
}

#[test]
fn a_client_is_judged_by_the_list_of_its_own_distribution_point_and_by_no_other() {
    let setup = start(|pki| {
        publish(pki, &Part { revoked: &["leaves-one"], ..ONE });
        publish(pki, &Part { revoked: &["leaves-two"], ..TWO });
    });
    let unknown = Some(AlertDescription::CertificateUnknown);
    for version in [Version::Tls12, Version::Tls13] {
        for (client, expected) in [
            ("of-one", None),
            ("leaves-one", Some(AlertDescription::CertificateRevoked)),
            ("of-two", None),
            ("leaves-two", Some(AlertDescription::CertificateRevoked)),
            // Its list is not there; and of who names none, no part says that it is good.
            ("of-three", unknown),
            ("client-good", unknown),
        ] {
            setup.app.forget_requests();
            assert_eq!(refusal(&setup, client, version), expected, "{client} {version:?}");
            let reached = setup.app.requests().iter().filter(|request| request.target == "/echo").count();
            assert_eq!(reached, usize::from(expected.is_none()), "{client} {version:?}");
        }
    }
    // The records say by which list, and what was missing.
    let of = |client: &str| {
        let name = client.replace('-', "");
        setup.gateway.record(client, |record| {
            let subject = record["certificate"]["subject"].as_str().unwrap_or_default();
            record["kind"] == "authentication" && subject.contains(&name)
        })
    };
    assert_eq!(of("of-one")["certificate"]["crl_number"], "5");
    assert_eq!(of("of-two")["certificate"]["crl_number"], "9");
    assert_eq!(of("leaves-two")["reason"], "revoked");
    let missing = of("of-three");
    assert_eq!(missing["reason"], "revocation-unavailable");
    let evidence = missing["evidence"].as_str().unwrap();
    assert!(evidence.contains("no revocation list of its distribution point was accepted"), "{evidence}");
    assert!(evidence.contains(&point("3")), "{evidence}");
}

#[test]
fn a_new_list_or_delta_of_a_part_closes_every_path_of_whom_it_revokes_and_no_other() {
    for delta in [false, true] {
        let setup = start(|pki| {
            publish(pki, &ONE);
            publish(pki, &TWO);
        });
        let leaving = [ALERT, PAGE].map(|site| Paths::open(&setup, Some("leaves-one"), site));
        let staying = [("of-one", ALERT), ("leaves-two", PAGE)];
        let staying = staying.map(|(client, site)| Paths::open(&setup, Some(client), site));
        let base = delta.then_some(ONE.number);
        publish(&setup.pki, &Part { number: ONE.number + 1, base, revoked: &["leaves-one"], ..ONE });
        let closed = Closed { alert: AlertDescription::CertificateRevoked, reason: "revoked" };
        leaving.into_iter().for_each(|paths| paths.are_closed(&setup, &closed));
        staying.into_iter().for_each(|paths| paths.are_open(&setup));
    }
}

#[test]
fn a_part_that_grows_stale_closes_its_own_clients_until_its_next_list_is_there() {
    let setup = start(|pki| {
        publish(pki, &ONE);
        publish(pki, &TWO);
    });
    let versions = [Version::Tls12, Version::Tls13];
    let tickets = versions.map(|version| {
        let client = TlsClient::new(&setup.pki, Some("of-two"), version);
        client.get(&setup.gateway, ALERT, "/echo").unwrap();
        assert!(client.get(&setup.gateway, ALERT, "/echo").unwrap().1.resumed());
        client
    });
    let of_two = Paths::open(&setup, Some("of-two"), PAGE);
    let of_one = Paths::open(&setup, Some("of-one"), ALERT);
    let client = TlsClient::new(&setup.pki, Some("leaves-two"), Version::Tls13);
    let mut kept = Http2::connect(&client, &setup.gateway, PAGE).unwrap();
    assert_eq!(kept.get(PAGE, "/echo").unwrap().0, 200);
    publish(&setup.pki, &Part { number: TWO.number + 1, seconds: 3, ..TWO });
    wait_until("its next list is in force and stale", || {
        let (status, text) = setup.gateway.admin_get("/readyz");
        status == 503 && text.contains("2-base.pem is stale")
    });
    let closed = Closed { alert: AlertDescription::CertificateUnknown, reason: "revocation-unavailable" };
    of_two.are_closed(&setup, &closed);
    setup.app.forget_requests();
    let (status, text) = kept.get(PAGE, "/echo").unwrap();
    assert!(status == 403 && text.contains("revocation-unavailable"), "{status} {text}");
    // A ticket does not know the points: it is found out right after the resumption.
    for client in &tickets {
        let answer = client.get(&setup.gateway, ALERT, "/echo");
        assert!(answer.as_ref().map_or(true, |(answer, _)| answer.status == 403), "a resumed session was served");
    }
    assert_eq!(refusal(&setup, "of-two", Version::Tls13), Some(AlertDescription::CertificateUnknown));
    assert!(setup.app.requests().iter().all(|request| request.target == "/healthz"));
    of_one.are_open(&setup);
    publish(&setup.pki, &Part { number: TWO.number + 2, ..TWO });
    wait_until("it is ready", || setup.gateway.admin_get("/readyz").0 == 200);
    assert_eq!(kept.get(PAGE, "/echo").unwrap().0, 200, "on the same connection");
    assert_eq!(refusal(&setup, "of-two", Version::Tls13), None);
}

#[test]
fn a_responder_is_heard_before_the_list_of_the_certificates_point_and_while_it_is_away_that_decides() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    for (name, part) in [("of-one", "1"), ("leaves-one", "1"), ("of-two", "2"), ("of-three", "3"), ("also-three", "3")]
    {
        client(&pki, name, part);
    }
    publish(&pki, &Part { revoked: &["leaves-one"], ..ONE });
    publish(&pki, &TWO);
    let front = Front::new(Behaviour::Closes);
    let sources = format!(", crl = [\"{FOLDER}\"]");
    let gateway = Gateway::start(&pki, &Asked::configuration(&app, &front, "", &sources));
    let asked = Asked { gateway, app, pki, front };
    let says = asked.answers(|answer| answer);
    assert_eq!(asked.get("of-three", PAGE).status, 200, "it is told good, and there is no list of its point");
    // Who is revoked is told so, unless the look at live connections, once a second, cuts that request: then the next is.
    let told = |client: &str| {
        let client = TlsClient::new(&asked.pki, Some(client), Version::Tls13);
        let answer = wait_for("an answer", || client.get(&asked.gateway, PAGE, "/echo").ok());
        reason(&answer.0)
    };
    *says.lock().unwrap() = Says::Revoked(1);
    assert_eq!(told("of-two"), "revoked", "although its list says that it is good");
    asked.front.now(Behaviour::Closes);
    assert_eq!(asked.get("of-one", PAGE).status, 200);
    assert_eq!(told("leaves-one"), "revoked");
    assert_eq!(told("also-three"), "revocation-unavailable");
    assert_eq!(asked.reached(), 2);
}
