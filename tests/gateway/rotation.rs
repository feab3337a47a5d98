//! A CA is replaced (requirement G11): while it drains its clients are let in, and application, log and metric are told;
//! and `sekisho ca plan` says beforehand whom a new configuration would lock out.

use crate::blocks_desk::ask;
use crate::common::{
    ClientRequest, Gateway, Setup, Signer, TestApp, TestPki, TlsClient, Version, binary, openssl_s_client, wait_until,
};
use crate::lapse::{ALERT, PAGE, STAYS, configuration};
use serde_json::{Value, json};
use std::process::{Command, Output};

const SITES: [(&str, &str); 2] = [(ALERT, "required"), (PAGE, "required")];
const BOTH: [&str; 2] = ["root", "other"];

/// A configuration in which a CA is draining.
fn draining(config: &str, ca: &str) -> String {
    let name = format!("[[ca]]\nname = \"{ca}\"\n");
    let changed = config.replacen(&name, &format!("{name}state = \"draining\"\n"), 1);
    assert_ne!(config, changed);
    changed
}

fn start(change: impl FnOnce(String) -> String) -> Setup {
    let (pki, app) = (TestPki::new(), TestApp::new());
    pki.issue_server(STAYS, &[STAYS], sekisho_runtime::clock::now()).unwrap();
    let now = sekisho_runtime::clock::now();
    for (name, common_name, signer) in [
        ("client-ann", "00001111111 ann 1635", Signer::Issuing),
        ("client-bob", "00001111111 bob 1635", Signer::OtherIssuing),
        ("client-administrator", "00002222222 1635", Signer::OtherIssuing),
    ] {
        pki.issue_client(name, &ClientRequest { signer, ..ClientRequest::good(common_name, now) }).unwrap();
    }
    let gateway = Gateway::start(&pki, &change(configuration(&app, &BOTH, &SITES)));
    Setup { gateway, app, pki }
}

#[track_caller]
fn comes(setup: &Setup, client: &str, site: &str, path: &str) {
    let (answer, _) = TlsClient::new(&setup.pki, Some(client), Version::Tls13).get(&setup.gateway, site, path).unwrap();
    assert_eq!(answer.status, 200, "{client} at {site}");
}

#[track_caller]
fn reload(setup: &Setup, config: &str) {
    setup.gateway.reload(config);
}

/// What the application was told of the draining CA in the request for a path.
fn told(setup: &Setup, path: &str) -> Vec<String> {
    let request = setup.app.request_of(path);
    request.headers.get_all("x-sekisho-ca-draining").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn clients_of_a_draining_ca_are_let_in_and_application_log_and_metric_are_told() {
    let setup = start(|config| config);
    let count = |ca: &str, state: &str| {
        setup.gateway.metric(&format!("sekisho_ca_handshakes_total{{ca=\"{ca}\",state=\"{state}\"}}"))
    };
    let old = TlsClient::new(&setup.pki, Some("client-bob"), Version::Tls13);
    let (_, mut live) = old.get(&setup.gateway, ALERT, "/before").unwrap();
    assert_eq!(told(&setup, "/before"), [] as [&str; 0]);
    assert!((count("other-issuing", "active") - 1.0).abs() < 0.5);
    // The issuing CA itself, and then the root above it.
    for (round, ca) in ["other-issuing", "other"].into_iter().enumerate() {
        reload(&setup, &draining(&configuration(&setup.app, &BOTH, &SITES), ca));
        assert_eq!(live.get(ALERT, &format!("/live/{ca}")).unwrap().status, 200);
        assert_eq!(told(&setup, &format!("/live/{ca}")), [ca], "a live connection too");
        comes(&setup, "client-bob", ALERT, &format!("/bob/{ca}"));
        comes(&setup, "client-ann", ALERT, &format!("/ann/{ca}"));
        assert_eq!(told(&setup, &format!("/bob/{ca}")), [ca]);
        assert_eq!(told(&setup, &format!("/ann/{ca}")), [] as [&str; 0]);
        let rounds = f64::from(u32::try_from(round + 1).unwrap());
        assert!((count("other-issuing", "draining") - rounds).abs() < 0.5);
        assert!((count("root-issuing", "active") - rounds).abs() < 0.5);
        let of_bob = |kind: &'static str| move |record: &Value| record["kind"] == kind && record["draining_ca"] == ca;
        let handshake = setup.gateway.record("bob's handshake", of_bob("authentication"));
        assert_eq!(
            (&handshake["outcome"], &handshake["certificate"]["ca"]),
            (&json!("accepted"), &json!("other-issuing"))
        );
        let access = setup.gateway.record("bob's request", of_bob("access"));
        assert_eq!(access["user_id"], "bob", "{access}");
        let of_ann = |record: &Value| !record["draining_ca"].is_null() && record["user_id"] == "ann";
        assert_eq!(setup.gateway.records(of_ann), [] as [Value; 0]);
    }
}

#[test]
fn nobody_can_say_of_themselves_that_their_ca_is_draining() {
    let setup = start(|config| draining(&config, "other"));
    for (client, path, expected) in [("client-ann", "/a", &[][..]), ("client-bob", "/b", &["other"])] {
        let client = TlsClient::new(&setup.pki, Some(client), Version::Tls13);
        let mut connection = client.connect(&setup.gateway, ALERT).unwrap();
        let forged = "X-Sekisho-CA-Draining: forged\r\nx_sekisho.ca_draining: forged\r\n";
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {ALERT}\r\n{forged}\r\n").as_bytes()).unwrap();
        assert_eq!(connection.receive().unwrap().status, 200);
        assert_eq!(told(&setup, path), expected);
        let headers = format!("{:?}", setup.app.request_of(path).headers);
        assert!(!headers.contains("forged"), "{headers}");
    }
}

#[test]
fn hints_name_active_cas_first_and_draining_ones_after() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    pki.issue_server(STAYS, &[STAYS], sekisho_runtime::clock::now()).unwrap();
    // One of another name: those of the development PKI share theirs, which is told once.
    let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout third.key -out third.pem \
        -subj '/CN=Third Root' -days 30 -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign";
    assert!(Command::new("sh").args(["-c", make]).current_dir(pki.folder()).output().unwrap().status.success());
    let identity = sekisho_testkit::configuration::IDENTITY;
    let third = format!(
        "[[ca]]\nname = \"third\"\ncertificate = \"third.pem\"\nrevocation = \"none\"\nidentity = '{identity}'\n\n[[site]]"
    );
    let config = configuration(&app, &BOTH, &SITES).replacen("[[site]]", &third, 1);
    let config = config.replace("ca = [\"root\", \"other\"]", "ca = [\"root\", \"third\", \"other\"]");
    let gateway = Gateway::start(&pki, &config);
    let setup = Setup { gateway, app, pki };
    let hints = || {
        let said = openssl_s_client(&setup.gateway, &setup.pki, None, &["-servername", PAGE], "").stdout;
        let (_, hints) =
            said.split_once("Acceptable client certificate CA names\n").unwrap_or_else(|| panic!("{said}"));
        let names = hints.lines().take_while(|line| line.contains("CN"));
        names.map(|line| line.rsplit("CN = ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The CAs below the named ones too: a client that holds its leaf only finds it by its direct issuer's name.
    let (shared, below, third) = ("Sekisho Development Root CA", "Sekisho Development Issuing CA", "Third Root");
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(hints()), [below, shared, third]);
    reload(&setup, &draining(&draining(&config, "root"), "other"));
    assert_eq!((hints()[0].as_str(), sorted(hints())), (third, [below, shared, third].map(str::to_owned).to_vec()));
    // While one of the two CAs of a name stays, the name does.
    reload(&setup, &draining(&draining(&config, "root"), "third"));
    assert_eq!((hints()[2].as_str(), sorted(hints())), (third, [below, shared, third].map(str::to_owned).to_vec()));
}

fn sekisho(setup: &Setup, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).current_dir(setup.pki.folder()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// A gateway at which people came, and its log in a file.
fn visited() -> Setup {
    let setup = start(|config| config);
    // One person with certificates of both, one with a new one only, one with an old one, and an administrator.
    comes(&setup, "client-good", ALERT, "/echo");
    comes(&setup, "client-other-ca", ALERT, "/echo");
    comes(&setup, "client-ann", ALERT, "/echo");
    comes(&setup, "client-bob", ALERT, "/echo");
    comes(&setup, "client-bob", PAGE, "/echo");
    comes(&setup, "client-administrator", ALERT, "/echo");
    // Who was refused is nobody to lock out.
    assert!(
        TlsClient::new(&setup.pki, Some("client-revoked"), Version::Tls13).get(&setup.gateway, ALERT, "/").is_err()
    );
    let is_visit = |record: &Value| record["kind"] == "authentication" && record["outcome"] == "accepted";
    wait_until("all are on record", || setup.gateway.records(is_visit).len() == 6);
    let log: String = setup.gateway.records(|_| true).iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(setup.pki.path("access.log"), log).unwrap();
    std::fs::copy(setup.gateway.config(), setup.pki.path("old.toml")).unwrap();
    setup
}

fn plan(setup: &Setup, new: &str, more: &[&str]) -> Output {
    std::fs::write(setup.pki.path("new.toml"), new).unwrap();
    let arguments = ["ca", "plan", "new.toml", "--config", "old.toml", "--log", "access.log"];
    sekisho(setup, &[&arguments[..], more].concat())
}

/// The paragraph of a CA.
fn about<'t>(told: &'t str, ca: &str) -> &'t str {
    let start = told.find(&format!("CA {ca} (")).unwrap_or_else(|| panic!("no {ca} in {told}"));
    let end = told[start..].match_indices('\n').find(|(at, _)| !told[start + at + 1..].starts_with("  "));
    &told[start..start + end.map_or(told.len() - start, |(at, _)| at)]
}

#[test]
fn a_plan_counts_who_would_be_locked_out_by_a_ca_that_goes() {
    let setup = visited();
    let output = plan(&setup, &configuration(&setup.app, &["root"], &SITES), &[]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.starts_with("From old.toml to new.toml, by 6 authentications of the last 30 days (since 20"),
        "{told}"
    );
    let gone = about(&told, "other-issuing");
    assert!(gone.contains("): active -> absent  GOES\n  seen: 3 contracts, 3 users, last 20"), "{gone}");
    assert!(gone.contains("\n  LOCKED OUT: 2 contracts, 2 users\n"), "{gone}");
    assert!(gone.contains("\n    at site ib.localhost: the CA is not there (2 contracts, 2 users)\n"), "{gone}");
    assert!(gone.contains("\n    at site portal.localhost: the CA is not there (1 contract, 1 user)\n"), "{gone}");
    assert!(gone.ends_with("\n  1 contract, 1 user have come with another certificate too, which gets in"), "{gone}");
    let stays = about(&told, "root-issuing");
    assert!(stays.contains("): active -> active\n  seen: 2 contracts, 2 users, last 20"), "{stays}");
    assert!(!stays.contains("LOCKED"), "{stays}");
    assert!(about(&told, "root").ends_with("  seen: nobody"), "{told}");
    assert!(told.contains("\nnote: the logs begin at 20"), "{told}");
    assert!(told.ends_with("\n2 contracts, 2 users WOULD BE LOCKED OUT.\n"), "{told}");
}

#[test]
fn a_plan_in_json_names_who_is_locked_out_and_where() {
    let setup = visited();
    let output = plan(&setup, &configuration(&setup.app, &["root"], &SITES), &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let who: Vec<_> = plan["locked_out"]["who"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!((&one["ca"], &one["why"]), (&json!("other-issuing"), &json!("the CA is not there")), "{one}");
            json!([one["site"], one["contract"], one["user"]])
        })
        .collect();
    let expected = [
        json!([ALERT, "00001111111", "bob"]),
        json!([ALERT, "00002222222", null]),
        json!([PAGE, "00001111111", "bob"]),
    ];
    assert_eq!(who, expected, "{plan}");
    assert_eq!((&plan["locked_out"]["contracts"], &plan["locked_out"]["users"]), (&json!(2), &json!(2)));
    let changes: Vec<_> = plan["cas"].as_array().unwrap().iter().map(|ca| json!([ca["name"], ca["change"]])).collect();
    let expected = [["root", "stays"], ["root-issuing", "stays"], ["other", "goes"], ["other-issuing", "goes"]]
        .map(|pair| json!(pair));
    assert_eq!(changes, expected, "{plan}");
}

#[test]
fn a_plan_tells_what_drains_and_what_comes_and_locks_nobody_out() {
    let setup = visited();
    // The log was written while there was one root; the other comes and the first one drains.
    let new = draining(&configuration(&setup.app, &BOTH, &SITES), "root");
    std::fs::write(setup.pki.path("old.toml"), configuration(&setup.app, &["root"], &SITES)).unwrap();
    let output = plan(&setup, &new, &[]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let drains = about(&told, "root-issuing");
    assert!(drains.contains("): active -> draining  DRAINS\n  seen: 2 contracts, 2 users, last 20"), "{drains}");
    assert!(about(&told, "other-issuing").ends_with("): absent -> active  comes"), "{told}");
    assert!(
        told.contains("\nnote: 4 authentications by a CA that the first file does not have are left out\n"),
        "{told}"
    );
    assert!(told.ends_with("\nNobody who came would be locked out.\n"), "{told}");
}

#[test]
fn a_plan_sees_sites_contracts_and_patterns_too() {
    let setup = visited();
    let same = configuration(&setup.app, &BOTH, &SITES);
    let issuing = "[[ca]]\nname = \"other-issuing\"\n";
    let identity = sekisho_testkit::configuration::IDENTITY;
    let (before, after) = same.split_once(issuing).unwrap();
    let spoiled = |from: &str, to: &str| {
        assert!(after.contains(from));
        format!("{before}{issuing}{}", after.replacen(from, to, 1))
    };
    for (new, why, users) in [
        (same.replacen("ca = [\"root\", \"other\"]", "ca = [\"root\"]", 1), "the site does not accept the CA", 2),
        (spoiled("issued_by", "contracts = [\"00002222222\"]\nissued_by"), "the CA is not for the contract", 1),
        (
            spoiled(identity, "(?<contract_id>[0-9]{11}) [a-z]+ 1635"),
            "the CA's identity pattern does not match the CN",
            1,
        ),
        (configuration(&setup.app, &BOTH, &SITES[..1]), "the site is not there", 1),
    ] {
        let output = plan(&setup, &new, &[]);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let gone = about(&told, "other-issuing");
        assert!(gone.contains(&format!(": {why} (")), "{why}: {told}");
        assert!(gone.contains(&format!(", {users} user")), "{why}: {told}");
    }
    // A renamed CA and a renamed site are the same ones.
    let renamed = same.replace("\"other-issuing\"", "\"renamed\"").replace("[[site]]\n", "[[site]]\nname = \"NAME\"\n");
    let renamed = renamed.replacen("NAME", "one", 1).replacen("NAME", "two", 1);
    let output = plan(&setup, &renamed, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_plan_leaves_out_and_tells_what_is_old_or_no_record_and_says_nothing_by_an_empty_log() {
    let setup = visited();
    let log = std::fs::read_to_string(setup.pki.path("access.log")).unwrap();
    let new = configuration(&setup.app, &["root"], &SITES);
    let visit = log.lines().find(|line| line.contains("\"accepted\"") && line.contains("\"bob\"")).unwrap();
    let time = serde_json::from_str::<Value>(visit).unwrap()["time"].as_str().unwrap().to_owned();
    let long_ago = sekisho_runtime::clock::now().plus_seconds(-40 * 86_400).to_string();
    let old = visit.replace(&time, &long_ago);
    let noise = format!("{}\nnot JSON\n{}\n{{\"message\":\"listening\"}}\n\n", &visit[..40], "x".repeat(100_000));
    let of_old_version = visit.replace(",\"ca\":\"other-issuing\"", "").replace("\"ca\":\"other-issuing\",", "");
    assert!(!of_old_version.contains("\"ca\":"), "{of_old_version}");
    std::fs::write(setup.pki.path("access.log"), format!("{noise}{old}\n{of_old_version}\n")).unwrap();
    let told = text(&plan(&setup, &new, &[]));
    assert!(told.contains("by 1 authentications of the last 30 days"), "{told}");
    assert!(told.contains("\nnote: 3 lines are no records and are left out:\n  access.log:1: EOF"), "{told}");
    assert!(
        told.contains("\n  access.log:2: ") && told.contains("\n  access.log:3: it is longer than a record\n"),
        "{told}"
    );
    assert!(!told.contains("note: the logs begin"), "{told}");
    assert!(told.ends_with("\n1 contract, 1 user WOULD BE LOCKED OUT.\n"), "by the issuer's name: {told}");
    let more_days = text(&plan(&setup, &new, &["--days", "60"]));
    assert!(more_days.contains("by 2 authentications of the last 60 days"), "{more_days}");

    for log in ["", &format!("{old}\n")] {
        std::fs::write(setup.pki.path("access.log"), log).unwrap();
        let output = plan(&setup, &new, &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let told = text(&output);
        assert!(
            told.ends_with("\nNOBODY CAME in these logs and days: they do not say who would be locked out.\n"),
            "{told}"
        );
    }
}

#[test]
fn a_plan_needs_files_that_are_right() {
    let setup = visited();
    let new = configuration(&setup.app, &["root"], &SITES);
    let output = plan(&setup, &new, &["--log", "missing.log"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("missing.log: cannot be read: No such file"), "{output:?}");
    let output = plan(&setup, &new.replace("\"draining\"", "x").replacen("[[ca]]", "[[ca]]\nstate = \"gone\"", 1), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).contains(r#"ca[0].state: "gone" is not the state of a CA; write "active" or "draining""#),
        "{output:?}"
    );
    let output = plan(&setup, &new.replacen("\"root-ca.pem\"", "\"no-ca.pem\"", 1), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("no-ca.pem: cannot be read: No such file"), "{output:?}");
    assert_eq!(plan(&setup, &new, &["--days", "0"]).status.code(), Some(2));
    // The admin address has nothing of this.
    assert_eq!(ask(&setup.gateway.admin_url("/plan"), &[], b"").status, 404);
}
