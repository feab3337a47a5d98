//! Lists that `openssl ca` made, certificates that name them, and what `openssl verify` says beside us.

use crate::revocation::NOW;
use crate::support::*;
use sekisho_config::{AnchorExpiry, WithoutNumber};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::pem;
use sekisho_trust::{AlarmKind, AuthorityParts, ListPolicy, Question, RevocationParts};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// `NOW` and the day around it.
const DAY_BEFORE: &str = "20261121000000Z";
const DAY_AFTER: &str = "20261123000000Z";

const CONFIG: &str = "\
[ca]
default_ca = this
[this]
database = index.txt
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 30
unique_subject = no
[numbered]
crlnumber = number
database = index.txt
certificate = ca.pem
private_key = ca.key
default_md = sha256
unique_subject = no
[complete]
authorityKeyIdentifier = keyid
freshestCRL = URI:http://crl.example.jp/delta.crl
[delta]
authorityKeyIdentifier = keyid
2.5.29.27 = critical, ASN1:INTEGER:$ENV::BASE
[part]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical, @here
[part_delta]
authorityKeyIdentifier = keyid
2.5.29.27 = critical, ASN1:INTEGER:$ENV::BASE
issuingDistributionPoint = critical, @here
[here]
fullname = URI:$ENV::POINT
[users]
issuingDistributionPoint = critical, @only_users
[only_users]
onlyuser = TRUE
[keys]
issuingDistributionPoint = critical, @only_keys
[only_keys]
onlysomereasons = keyCompromise, CACompromise
[client]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
crlDistributionPoints = $ENV::POINT_OF_CLIENT
[client_of_keys]
crlDistributionPoints = keys_point
[keys_point]
fullname = URI:http://crl.example.jp/1.crl
reasons = keyCompromise, CACompromise
";

/// A CA of OpenSSL in a folder.
struct OpenSsl {
    folder: tempfile::TempDir,
    parts: AuthorityParts,
}

/// One list: its extensions, its number, what stands in it as `serial,reason`.
struct List<'a> {
    extensions: &'a str,
    number: &'a str,
    base: &'a str,
    point: &'a str,
    entries: &'a [(&'a str, &'a str)],
}

impl List<'_> {
    const COMPLETE: List<'static> = List { extensions: "complete", number: "05", base: "0", point: "-", entries: &[] };
}

impl OpenSsl {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("openssl.cnf"), CONFIG).unwrap();
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 3650 \
                       -subj /CN=A -addext keyUsage=keyCertSign,cRLSign";
        succeeds(folder.path(), request, &[]);
        let der = pem::certificates(&fs::read(folder.path().join("ca.pem")).unwrap()).unwrap();
        let parts = AuthorityParts {
            name: "a".into(),
            certificate: Certificate::parse(&der[0]).unwrap(),
            issued_by: None,
            anchor_expiry: AnchorExpiry::Check,
            revocation: RevocationParts::Lists(ListPolicy::default()),
        };
        Self { folder, parts }
    }

    /// Makes a list and leaves it in `name` as PEM, for `openssl verify`.
    fn list(&self, name: &str, list: &List<'_>) -> Vec<u8> {
        let mut index = String::new();
        for (serial, reason) in list.entries {
            let reason = if reason.is_empty() { String::new() } else { format!(",{reason}") };
            writeln!(index, "R\t360101000000Z\t261120000000Z{reason}\t{serial}\tunknown\t/CN=x").unwrap();
        }
        self.write("index.txt", &index);
        self.write("number", list.number);
        let section = if list.number.is_empty() { "this" } else { "numbered" };
        let extensions =
            if list.extensions.is_empty() { String::new() } else { format!("-crlexts {}", list.extensions) };
        let line = format!(
            "ca -config openssl.cnf -name {section} -gencrl {extensions} -crl_lastupdate {DAY_BEFORE} \
             -crl_nextupdate {DAY_AFTER} -out {name}"
        );
        succeeds(self.folder.path(), &line, &[("BASE", list.base), ("POINT", list.point)]);
        let text = fs::read(self.folder.path().join(name)).unwrap();
        pem::revocation_lists(&text).unwrap()[0].to_vec()
    }

    /// A client's certificate with these extensions, in `client.pem`.
    fn client(&self, serial: &str, extensions: &str, point: &str) -> Certificate {
        let environment = [("BASE", "0"), ("POINT", "-"), ("POINT_OF_CLIENT", point)];
        let request = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout client.key -out client.csr \
                       -subj /CN=client";
        succeeds(self.folder.path(), request, &[]);
        let sign = format!(
            "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -set_serial {serial} -days 300 -extfile openssl.cnf \
             -extensions {extensions} -out client.pem"
        );
        succeeds(self.folder.path(), &sign, &environment);
        let der = pem::certificates(&fs::read(self.folder.path().join("client.pem")).unwrap()).unwrap();
        Certificate::parse(&der[0]).unwrap()
    }

    fn load(&self, lists: &[&[u8]]) -> Loaded {
        load_parts(&self.parts, lists, None, NOW)
    }

    /// What OpenSSL makes of `client.pem` with these lists.
    fn openssl_accepts(&self, lists: &[&str]) -> bool {
        let all: Vec<u8> = lists.iter().flat_map(|name| fs::read(self.folder.path().join(name)).unwrap()).collect();
        fs::write(self.folder.path().join("lists.pem"), all).unwrap();
        // The certificates begin now, and the lists are of the day that all tests here are on.
        let line =
            "verify -no_check_time -CAfile ca.pem -CRLfile lists.pem -crl_check -extended_crl -use_deltas client.pem";
        openssl(self.folder.path(), line, &[]).0
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }
}

fn openssl(folder: &Path, line: &str, environment: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(line.split_whitespace()).env_remove("OPENSSL_CONF");
    for name in ["BASE", "POINT", "POINT_OF_CLIENT"] {
        command.env(name, "-");
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[track_caller]
fn succeeds(folder: &Path, line: &str, environment: &[(&str, &str)]) {
    let (succeeded, said) = openssl(folder, line, environment);
    assert!(succeeded, "openssl {line}: {said}");
}

fn standing(loaded: &Loaded, certificate: &Certificate, ca: &OpenSsl) -> Standing {
    let (key, serial) = (ca.parts.certificate.authority_key(), certificate.serial());
    loaded.ask(&Question::client(&key, &serial).at(certificate.distribution_points()), NOW)
}

#[test]
fn openssls_deltas_are_combined_as_openssl_combines_them() {
    let ca = OpenSsl::new();
    let hold = ("02", "holdInstruction,holdInstructionNone");
    let base = ca.list("base.pem", &List { entries: &[("01", "keyCompromise"), hold], ..List::COMPLETE });
    let delta = List { extensions: "delta", number: "07", base: "5", point: "-", entries: &[("03", "superseded")] };
    let released = List { entries: &[("02", "removeFromCRL"), ("03", "superseded")], ..delta };
    let delta_der = ca.list("delta.pem", &delta);
    let released_der = ca.list("released.pem", &released);
    let held = Standing::Revoked(RevocationReason::CertificateHold, "5".to_owned());
    let superseded = || Standing::Revoked(RevocationReason::Superseded, "7".to_owned());
    for (serial, without, with) in [
        ("1", revoked("5"), revoked("5")),
        ("2", held, good("7")),
        ("3", superseded(), superseded()),
        ("4", good("7"), good("7")),
    ] {
        let client = ca.client(serial, "client", "URI:http://crl.example.jp/ca.crl");
        let both = ca.load(&[&delta_der, &base]);
        assert_eq!((both.alarms.len(), standing(&both, &client, &ca)), (0, without), "{serial}");
        assert_eq!(standing(&ca.load(&[&released_der, &base]), &client, &ca), with, "{serial}, released");
        let is_good = |standing: &Standing| matches!(standing, Standing::Good(_));
        for (delta, der) in [("delta.pem", &delta_der), ("released.pem", &released_der)] {
            let ours = is_good(&standing(&ca.load(&[der, &base]), &client, &ca));
            assert_eq!(ca.openssl_accepts(&["base.pem", delta]), ours, "{serial} by {delta}");
        }
    }
}

#[test]
fn a_delta_of_openssl_beyond_its_base_is_not_combined() {
    let ca = OpenSsl::new();
    let base = ca.list("base.pem", &List::COMPLETE);
    let beyond =
        List { extensions: "delta", number: "09", base: "6", entries: &[("03", "superseded")], ..List::COMPLETE };
    let loaded = ca.load(&[&base, &ca.list("delta.pem", &beyond)]);
    assert_eq!(loaded.kinds(), [AlarmKind::DeltaWithoutBase]);
    let client = ca.client("4", "client", "URI:http://crl.example.jp/ca.crl");
    assert!(matches!(standing(&loaded, &client, &ca), Standing::Unavailable(_)));
    let client = ca.client("3", "client", "URI:http://crl.example.jp/ca.crl");
    assert_eq!(standing(&loaded, &client, &ca), Standing::Revoked(RevocationReason::Superseded, "9".to_owned()));
}

#[test]
fn openssls_parts_speak_of_the_certificates_that_name_them() {
    let ca = OpenSsl::new();
    let (one, two) = ("http://crl.example.jp/1.crl", "http://crl.example.jp/2.crl");
    let part = List { extensions: "part", point: one, ..List::COMPLETE };
    let one_der = ca.list("one.pem", &List { entries: &[("01", "keyCompromise")], ..part });
    let two_der = ca.list("two.pem", &List { point: two, number: "09", ..part });
    let lists: [&[u8]; 2] = [&one_der, &two_der];
    for (serial, point, expected) in [
        ("1", one, Some(revoked("5"))),
        ("4", one, Some(good("5"))),
        ("4", "HTTP://CRL.example.jp/1.crl", Some(good("5"))),
        ("4", two, Some(good("9"))),
        ("4", "http://crl.example.jp/3.crl", None),
        ("4", "http://crl.example.jp/1.CRL", None),
    ] {
        let client = ca.client(serial, "client", &format!("URI:{point}"));
        let found = standing(&ca.load(&lists), &client, &ca);
        match expected {
            Some(expected) => assert_eq!(found, expected, "{serial} at {point}"),
            None => assert!(matches!(found, Standing::Unavailable(_)), "{serial} at {point}: {found:?}"),
        }
        if !point.starts_with("HTTP") {
            let accepted = ca.openssl_accepts(&["one.pem", "two.pem"]);
            assert_eq!(accepted, matches!(standing(&ca.load(&lists), &client, &ca), Standing::Good(_)), "{point}");
        }
    }
    // The other part's list is not there.
    let client = ca.client("4", "client", &format!("URI:{two}"));
    assert!(matches!(standing(&ca.load(&[&one_der]), &client, &ca), Standing::Unavailable(_)));
    let twice = ca.client("4", "client", &format!("URI:{two},URI:{one}"));
    assert_eq!(standing(&ca.load(&[&one_der]), &twice, &ca), good("5"), "any of its points will do");
}

#[test]
fn openssls_delta_of_a_part_is_of_that_part() {
    let ca = OpenSsl::new();
    let one = "http://crl.example.jp/1.crl";
    let part = List { extensions: "part", point: one, ..List::COMPLETE };
    let base = ca.list("one.pem", &part);
    let delta = List { extensions: "part_delta", number: "07", base: "5", entries: &[("03", "superseded")], ..part };
    let loaded = ca.load(&[&base, &ca.list("delta.pem", &delta)]);
    assert_eq!(loaded.alarms, []);
    let client = ca.client("3", "client", &format!("URI:{one}"));
    assert_eq!(standing(&loaded, &client, &ca), Standing::Revoked(RevocationReason::Superseded, "7".to_owned()));
    let client = ca.client("4", "client", &format!("URI:{one}"));
    assert_eq!(standing(&loaded, &client, &ca), good("7"));
}

#[test]
fn openssls_lists_of_users_and_of_some_reasons_say_what_they_can() {
    let ca = OpenSsl::new();
    let users =
        ca.list("users.pem", &List { extensions: "users", entries: &[("01", "keyCompromise")], ..List::COMPLETE });
    let client = ca.client("4", "client", "URI:http://crl.example.jp/1.crl");
    assert_eq!(standing(&ca.load(&[&users]), &client, &ca), good("5"));
    assert!(ca.openssl_accepts(&["users.pem"]));
    let keys = ca.list("keys.pem", &List { extensions: "keys", entries: &[("01", "keyCompromise")], ..List::COMPLETE });
    assert!(matches!(standing(&ca.load(&[&keys]), &client, &ca), Standing::Unavailable(_)));
    assert!(!ca.openssl_accepts(&["keys.pem"]));
    // A point for some reasons does not vouch for the others, even where its list would.
    let of_keys = ca.client("4", "client_of_keys", "-");
    let part = List { extensions: "part", point: "http://crl.example.jp/1.crl", ..List::COMPLETE };
    let part = ca.list("part.pem", &part);
    assert!(matches!(standing(&ca.load(&[&part]), &of_keys, &ca), Standing::Unavailable(_)));
    assert_eq!(standing(&ca.load(&[&part, &ca.list("complete.pem", &List::COMPLETE)]), &of_keys, &ca), good("5"));
}

#[test]
fn openssls_list_of_version_1_without_number_is_taken_by_setting_only() {
    let mut ca = OpenSsl::new();
    let list = ca.list("list.pem", &List { extensions: "", number: "", entries: &[("01", "")], ..List::COMPLETE });
    let client = ca.client("4", "client", "URI:http://crl.example.jp/ca.crl");
    let refused = ca.load(&[&list]);
    assert_eq!(refused.kinds(), [AlarmKind::NoNumber, AlarmKind::Missing]);
    let policy = ListPolicy { without_number: WithoutNumber::Accept, ..ListPolicy::default() };
    ca.parts.revocation = RevocationParts::Lists(policy);
    let taken = ca.load(&[&list]);
    assert_eq!((taken.alarms.len(), standing(&taken, &client, &ca)), (0, good("?")));
    assert_eq!(taken.of(1), Standing::Revoked(RevocationReason::Unspecified, "?".to_owned()));
}

/// The gateway's own decision on `client.pem`, by the built binary, on the day it runs.
#[test]
fn sekisho_verify_takes_such_a_list_when_asked_to() {
    let ca = OpenSsl::new();
    ca.client("4", "client", "URI:http://crl.example.jp/ca.crl");
    ca.write("index.txt", "");
    succeeds(ca.folder.path(), "ca -config openssl.cnf -name this -gencrl -out list.pem", &[]);
    let verify = |more: &[&str]| {
        let mut command = Command::new(sekisho_testkit::harness::binary());
        command.current_dir(ca.folder.path()).args(["verify", "--ca", "ca.pem", "--chain", "client.pem"]);
        let output = command.args(["--crl", "list.pem"]).args(more).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = verify(&[]);
    assert!(code == Some(1) && said.contains("no-number: ca CN=A, list.pem: it has no CRLNumber"), "{said}");
    let (code, said) = verify(&["--without-next-update", "1"]);
    assert!(code == Some(1) && said.contains("no-number"), "one is not the other: {said}");
    let (code, said) = verify(&["--without-number"]);
    assert!(code == Some(0) && said.contains("accepted: CN=client"), "{said}");
}
