//! One record and one count for every handshake, whatever came of it (requirement O2), and nobody else is disturbed.

use crate::common::{Setup, TlsClient, TlsConnection, Version, curl, openssl_s_client, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

fn is_authentication(record: &Value) -> bool {
    record["kind"] == "authentication"
}

/// Waits for the record of a refused handshake and compares everything that is known of it; `certificate` tells its
/// certificate from others.
#[track_caller]
pub fn assert_refused(
    setup: &Setup,
    site: &str,
    reason: &str,
    version: Version,
    certificate: impl Fn(&Value) -> bool,
) -> Value {
    let record = setup.gateway.record(&format!("{reason} at {site}"), |record| {
        let refused = is_authentication(record) && record["outcome"] != "accepted";
        refused && record["server_name"] == site && certificate(&record["certificate"])
    });
    assert_eq!((&record["outcome"], &record["reason"]), (&json!("refused"), &json!(reason)), "{record}");
    assert_eq!((&record["site"], &record["resumed"]), (&json!(site), &json!(false)), "{record}");
    assert_eq!(record["tls"]["version"], version_name(version), "{record}");
    assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{record}");
    assert!(record["evidence"].as_str().unwrap().len() > 10, "{record}");
    assert_eq!(record["certificate"]["fingerprint"].as_str().unwrap().len(), 64, "{record}");
    record
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    }
}

/// Every handshake so far has one record, and all are counted under what the records say.
#[track_caller]
pub fn assert_each_recorded_and_counted(setup: &Setup, handshakes: usize) {
    wait_until("every handshake is recorded", || setup.gateway.records(is_authentication).len() >= handshakes);
    let records = setup.gateway.records(is_authentication);
    assert_eq!(records.len(), handshakes, "{records:#?}");
    let counted = |record: &Value| {
        let [outcome, reason, resumed, site] =
            ["outcome", "reason", "resumed", "site"].map(|key| record[key].to_string().replace('"', ""));
        let labels = format!("outcome=\"{outcome}\",reason=\"{reason}\",resumed=\"{resumed}\",site=\"{site}\"");
        setup.gateway.metric(&format!("sekisho_handshakes_total{{{labels}}}"))
    };
    for record in &records {
        let alike = records
            .iter()
            .filter(|other| ["outcome", "reason", "resumed", "site"].iter().all(|key| other[key] == record[key]))
            .count();
        assert!((counted(record) - f64::from(u32::try_from(alike).unwrap())).abs() < 0.5, "{alike} of {record}");
    }
    assert!(!setup.gateway.output().contains("panicked"), "{}", setup.gateway.output());
}

/// A good client whose connection was open before, and that is served all the while.
#[derive(Debug)]
pub struct Bystander(TlsConnection);

impl Bystander {
    /// How many it makes.
    pub const HANDSHAKES: usize = 1;

    pub fn new(setup: &Setup) -> Self {
        let good = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
        Self(good.connect(&setup.gateway, "ib.localhost").unwrap())
    }

    #[track_caller]
    pub fn is_served(&mut self) {
        let answer = self.0.get("ib.localhost", "/echo").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A ClientHello of an old version, as its clients sent it: one suite, no extensions.
fn client_hello(record_version: [u8; 2], version: [u8; 2]) -> Vec<u8> {
    let mut hello = vec![22, record_version[0], record_version[1], 0, 45, 1, 0, 0, 41, version[0], version[1]];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    hello
}

#[test]
fn what_is_no_handshake_of_ours_is_one_record_of_its_address_and_no_more() {
    let setup = Setup::new();
    let mut bystander = Bystander::new(&setup);
    let mut noise = vec![0; 16 * 1024];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    noise[0] = 0xff;
    let sslv2 = [&[0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16][..], &[7; 37]].concat();
    let hello = client_hello([3, 1], [3, 3]);
    let bad: [(&str, Vec<u8>); 11] = [
        ("nothing", Vec::new()),
        ("noise", noise),
        ("HTTP in the clear", b"GET / HTTP/1.1\r\nHost: ib.localhost\r\n\r\n".to_vec()),
        ("SSL 2", sslv2),
        ("SSL 3", client_hello([3, 0], [3, 0])),
        ("TLS 1.0", client_hello([3, 1], [3, 1])),
        ("TLS 1.1", client_hello([3, 1], [3, 2])),
        ("half a ClientHello", hello[..20].to_vec()),
        ("a record longer than records are", [&[22, 3, 1, 0xff, 0xff][..], &[1; 2000]].concat()),
        ("a handshake that begins with Finished", vec![22, 3, 3, 0, 4, 20, 0, 0, 0]),
        ("a ClientHello whose lengths are wrong", [&hello[..43], &[0xff; 7][..]].concat()),
    ];
    let count = bad.len();
    for (what, octets) in bad {
        let mut tcp = TcpStream::connect(setup.gateway.tls()).unwrap();
        tcp.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
        let address = tcp.local_addr().unwrap().to_string();
        tcp.write_all(&octets).unwrap();
        tcp.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = tcp.read_to_end(&mut answer);
        assert!(answer.is_empty() || (answer.len() == 7 && answer[0] == 21), "{what}: {answer:?}");
        let record = setup.gateway.record(what, |record| is_authentication(record) && record["client"] == *address);
        assert_eq!((&record["outcome"], &record["reason"]), (&json!("failed"), &json!("tls")), "{what}: {record}");
        assert!(record["evidence"].as_str().unwrap().len() > 3, "{what}: {record}");
        bystander.is_served();
    }
    let old = ["-servername", "ib.localhost", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let answer = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &old, "");
    assert!(answer.stderr.contains(" alert "), "{answer:?}");
    assert_each_recorded_and_counted(&setup, count + 1 + Bystander::HANDSHAKES);
}

#[test]
fn a_record_tells_version_list_number_and_identity_of_a_client_let_in() {
    let setup = Setup::new();
    for version in [Version::Tls12, Version::Tls13] {
        let client = TlsClient::new(&setup.pki, Some("client-good"), version);
        for resumed in [false, true] {
            let (_, connection) = client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
            assert_eq!(connection.resumed(), resumed);
            let record = setup.gateway.record("a client let in", |record| {
                is_authentication(record)
                    && record["tls"]["version"] == version_name(version)
                    && record["resumed"] == resumed
            });
            assert_eq!(record["outcome"], "accepted", "{record}");
            let certificate = &record["certificate"];
            assert_eq!(certificate["serial"], setup.pki.serial("client-good").unwrap().to_string());
            assert_eq!(certificate["subject"], "CN=00009876543 riyousya 1635,O=Sekisho Development,C=JP", "{record}");
            assert_eq!(
                certificate["issuer"], "CN=Sekisho Development Issuing CA,O=Sekisho Development,C=JP",
                "{record}"
            );
            assert_eq!(certificate["crl_number"], setup.pki.crl_number().to_string(), "{record}");
            assert_eq!(
                (&certificate["contract_id"], &certificate["user_id"]),
                (&json!("00009876543"), &json!("riyousya"))
            );
            assert_eq!(record["server_name"], "ib.localhost");
        }
    }
    assert_each_recorded_and_counted(&setup, 4);
}

#[test]
fn a_handshake_without_a_site_or_certificate_is_recorded_with_its_name() {
    let setup = Setup::new();
    for version in [Version::Tls12, Version::Tls13] {
        for (server_name, client, reason) in
            [("nobody.localhost", Some("client-good"), "no-site"), ("ib.localhost", None, "no-certificate")]
        {
            assert!(TlsClient::new(&setup.pki, client, version).get(&setup.gateway, server_name, "/").is_err());
            let record = setup.gateway.record(reason, |record| {
                let no_version_was_agreed_on = reason == "no-site" && record["tls"].is_null();
                is_authentication(record)
                    && record["reason"] == reason
                    && (no_version_was_agreed_on || record["tls"]["version"] == version_name(version))
            });
            assert_eq!((&record["outcome"], &record["server_name"]), (&json!("refused"), &json!(server_name)));
            assert!(record["certificate"].is_null(), "{record}");
        }
    }
    assert_each_recorded_and_counted(&setup, 4);
}

#[test]
fn the_access_record_of_a_request_names_its_client_and_the_reference_number_that_the_application_got() {
    let setup = Setup::new();
    let url = setup.gateway.url("ib.localhost", "/echo?from=records");
    assert_eq!(curl(&setup.gateway, &setup.pki, Some("client-good"), &[&url]).status(), 200);
    let told = setup.app.request_of("/echo").headers["x-sekisho-request-id"].to_str().unwrap().to_owned();
    let record = setup.gateway.record("the request", |record| record["request_id"] == *told);
    assert_eq!((&record["kind"], &record["status"]), (&json!("access"), &json!(200)), "{record}");
    assert_eq!((&record["contract_id"], &record["user_id"]), (&json!("00009876543"), &json!("riyousya")), "{record}");
    assert_eq!((&record["method"], &record["host"]), (&json!("GET"), &json!("ib.localhost")), "{record}");
    // A query may hold what no log should (account numbers).
    assert_eq!(record["path"], "/echo", "{record}");
}

/// As many bytes as a record of one handshake may have, whatever the stranger sent.
const MOST_OF_A_LINE: usize = 16 << 10;

/// The longest line that the gateway has written.
fn longest_line(setup: &Setup) -> usize {
    setup.gateway.output().lines().map(str::len).max().unwrap_or(0)
}

#[test]
fn a_handshake_with_names_without_end_writes_a_line_with_an_end() {
    let setup = Setup::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    let name = format!("{}\u{202e}\u{2028}{}", "n".repeat(100), "m".repeat(10_000));
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name.as_str());
    parameters.distinguished_name.push(rcgen::DnType::OrganizationName, name.as_str());
    let certificate = parameters.self_signed(&key).unwrap().der().clone();
    let identity = Some((vec![certificate], rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap()));
    let client = TlsClient::with_chain(&setup.pki, identity, Version::Tls13);
    assert!(client.get(&setup.gateway, "ib.localhost", "/").is_err());
    let record = setup.gateway.record("the refusal", |record| {
        is_authentication(record) && record["outcome"] == "refused" && record["certificate"].is_object()
    });
    assert!(record["certificate"]["subject"].as_str().unwrap().contains("nnn"), "{record}");
    assert!(longest_line(&setup) < MOST_OF_A_LINE, "{}", longest_line(&setup));
    let hidden = ['\u{202e}', '\u{2028}'];
    assert!(!setup.gateway.output().contains(hidden), "they stand in the log as they came");
}

#[test]
fn a_server_name_that_is_none_is_no_warning() {
    let setup = Setup::new();
    let name = vec![0xff; 15_000];
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let entry = [&[0][..], &length(&name), &name].concat();
    let list = [&length(&entry)[..], &entry].concat();
    let extensions = [&[0, 0][..], &length(&list), &list].concat();
    let hello = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &length(&extensions), &extensions].concat();
    let [_, high, middle, low] = u32::try_from(hello.len()).unwrap().to_be_bytes();
    let handshake = [&[1, high, middle, low][..], &hello].concat();
    let record = [&[22, 3, 1][..], &length(&handshake), &handshake].concat();
    let mut tcp = TcpStream::connect(setup.gateway.tls()).unwrap();
    tcp.write_all(&record).unwrap();
    setup.gateway.record("the failure", |record| is_authentication(record) && record["outcome"] != "accepted");
    let output = setup.gateway.output();
    assert!(!output.contains("\"target\":\"rustls"), "{}", &output[..output.len().min(4000)]);
    assert!(longest_line(&setup) < MOST_OF_A_LINE);
}
