//! `sekisho check`, the built program.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A folder that fits the reference configuration, with files that are there and no more.
fn reference_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (config, certs) = (folder.path().join("config"), folder.path().join("certs/dev"));
    std::fs::create_dir_all(&config).unwrap();
    std::fs::create_dir_all(&certs).unwrap();
    std::fs::write(config.join("sekisho.toml"), include_str!("../config/sekisho.toml")).unwrap();
    pki(&certs);
    folder
}

fn check(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.current_dir(folder).args(["check", "--config", "config/sekisho.toml"]).args(more).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn line_of(key: &str) -> usize {
    1 + include_str!("../config/sekisho.toml").lines().position(|line| line.starts_with(key)).unwrap()
}

#[test]
fn a_right_configuration_is_told_and_exits_with_0() {
    let folder = reference_folder();
    let output = check(folder.path(), &[]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for line in [
        "config/sekisho.toml is right.\n",
        "ca dev-issuing: issued by dev-root, config/../certs/dev/issuing-ca.pem\n",
        "  revocation: config/../certs/dev/crl.pem; when stale: refuse\n",
        "  note: refuses the user ID \"1635\", which by the pattern in config/sekisho.toml:",
        "pool ib-app: 127.0.0.1:8081 (HTTP/1.1, plain text, round-robin, no health check)\n",
        "site ib: ib.localhost\n",
        "  client certificate: required, from dev-root, dev-issuing; refusal: alert\n",
        "  client certificate: none; refusal: alert\n",
        "  /users (any method, if user_id) -> ib-app\n",
        "  /administrators (any method, if !user_id) -> ib-app\n",
    ] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
    assert!(!told.contains("warning"), "{told}");
}

#[test]
fn json_holds_the_same_summary() {
    let folder = reference_folder();
    let output = check(folder.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["summary"]["sites"][1]["client_auth"], "none");
    assert_eq!(value["summary"]["sites"][0]["routes"][1]["require"][0], "user_id");
    assert_eq!(value["summary"]["cas"][0]["revocation"][0], "config/../certs/dev/crl.pem");
}

#[test]
fn every_source_of_revocation_is_told() {
    let folder = reference_folder();
    let certs = folder.path().join("certs/dev");
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(certs.join("feed.pub.pem"), key.public_key_pem()).unwrap();
    std::fs::copy(certs.join("ib.localhost.key"), certs.join("gateway.key")).unwrap();
    let path = folder.path().join("config/sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let all = "crl_urls = [\"http://crl.example.jp/biz.crl\"]\ndistribution_points = [\"cdp.example.jp\"]\n\
               ocsp = { url = \"http://ocsp.example.jp/biz\" }\nfeed = true\n";
    let gateway = "state_folder = \"state\"\n[gateway.feed]\nurls = [\"https://issuer-1:8445\"]\n\
                   ca = \"../certs/dev/root-ca.pem\"\ncertificate = \"../certs/dev/ib.localhost.pem\"\n\
                   key = \"../certs/dev/gateway.key\"\npublic_key_files = [\"../certs/dev/feed.pub.pem\"]\n";
    let text = text.replacen("feed = false\n", all, 1);
    let text = text.replacen("admin_token_from = \"loopback\"\n", gateway, 1);
    std::fs::write(&path, text).unwrap();
    let output = check(folder.path(), &[]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for line in [
        "keeps its state in config/state\n",
        "follows the issuer's feed at https://issuer-1:8445\n",
        "  revocation: config/../certs/dev/crl.pem, http://crl.example.jp/biz.crl, distribution points at cdp.example.jp, \
         OCSP responder http://ocsp.example.jp/biz, the issuer's feed; when stale: refuse\n",
    ] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
    assert!(!folder.path().join("config/state").exists(), "a check makes nothing");
    let value: serde_json::Value = serde_json::from_slice(&check(folder.path(), &["--json"]).stdout).unwrap();
    assert_eq!(value["summary"]["cas"][1]["revocation"].as_array().map(Vec::len), Some(5));
    assert_eq!(value["summary"]["feed"][0], "https://issuer-1:8445");
}

#[test]
fn a_missing_list_is_told_without_a_hole_where_its_file_would_be() {
    let folder = reference_folder();
    let path = folder.path().join("config/sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let url = "crl_urls = [\"http://crl.example.jp/biz.crl\"]";
    let (before, after) = text.split_once("[ca.revocation]\n").unwrap();
    let after = after.replacen("crl = [\"../certs/dev/crl.pem\"]", url, 1);
    let text = format!("{before}[ca.revocation]\n{after}");
    std::fs::write(&path, text.replacen("#state_folder = \"/var/lib/sekisho\"", "state_folder = \"state\"", 1))
        .unwrap();
    let told = check(folder.path(), &[]);
    let told = stdout(&told);
    assert!(told.contains("  revocation: http://crl.example.jp/biz.crl; when stale: refuse\n"), "{told}");
    let warning = "warning: missing: ca dev-issuing: no revocation list that says who is good is in force\n";
    assert!(told.contains(warning), "{told}");
}

#[test]
fn every_error_is_a_line_with_file_line_and_key_and_the_exit_code_is_1() {
    let folder = reference_folder();
    let path = folder.path().join("config/sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let broken = text.replacen("client_auth = \"required\"", "client_auth = \"maybe\"", 1);
    std::fs::write(&path, broken.replacen("threads = 0", "threads = -1", 1)).unwrap();
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let expected = [
        format!("config/sekisho.toml:{}: gateway.threads: -1 is out of range; write 0 to 1024", line_of("threads")),
        format!(
            "config/sekisho.toml:{}: site[0].client_auth: \"maybe\" is not a client-auth mode; write \"required\", \"optional\" or \"none\"",
            line_of("client_auth")
        ),
    ];
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), expected);
    let value: serde_json::Value = serde_json::from_slice(&check(folder.path(), &["--json"]).stdout).unwrap();
    assert_eq!(value["errors"][0]["line"], line_of("threads"));
    assert_eq!(value["errors"][1]["key"], "site[0].client_auth");
    assert_eq!(value["errors"].as_array().map(Vec::len), Some(2));
}

#[test]
fn missing_and_empty_files_are_errors_of_the_keys_that_name_them() {
    let folder = reference_folder();
    let certs = folder.path().join("certs/dev");
    std::fs::remove_file(certs.join("ib.localhost.key")).unwrap();
    std::fs::write(certs.join("root-ca.pem"), "").unwrap();
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    let root =
        format!("config/sekisho.toml:{}: ca[0].certificate: config/../certs/dev/root-ca.pem: ", line_of("certificate"));
    let key = format!("config/sekisho.toml:{}: site[0].key: config/../certs/dev/ib.localhost.key: ", line_of("key"));
    assert!(told.contains(&root), "{told}");
    assert!(told.contains(&key), "{told}");
}

#[test]
fn a_private_key_that_others_can_read_is_refused_with_the_cure() {
    let folder = reference_folder();
    let key = folder.path().join("certs/dev/ib.localhost.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let cure = "its mode is 0644: others can read it; make it 0600: chmod 600 config/../certs/dev/ib.localhost.key\n";
    let told = stdout(&output);
    assert!(told.contains("site[0].key: ") && told.contains(cure), "{told}");
}

#[test]
fn a_ticket_secret_is_there_and_long_enough() {
    let folder = reference_folder();
    let path = folder.path().join("config/sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("#secret_file", "secret_file", 1)).unwrap();
    let line = line_of("#secret_file");
    let place = format!("config/sekisho.toml:{line}: gateway.tickets.secret_file: config/ticket.secret: ");
    let missing = format!("{place}cannot be read: No such file or directory (os error 2)\n");
    assert_eq!(stdout(&check(folder.path(), &[])), missing);
    let secret = folder.path().join("config/ticket.secret");
    std::fs::write(&secret, [7; 31]).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), format!("{place}a ticket secret has at least 32 octets, this one 31\n"));
    for (content, mode, why) in [
        (vec![0; 32], 0o600, "all its bytes are alike"),
        ((0..32).collect(), 0o666, "its mode is 0666: others can read it"),
    ] {
        std::fs::write(&secret, content).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = check(folder.path(), &[]);
        assert!(stdout(&output).starts_with(&format!("{place}{why}")), "{}", stdout(&output));
        assert_eq!(output.status.code(), Some(1));
    }
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(check(folder.path(), &[]).status.code(), Some(0));
}

#[test]
fn what_is_right_but_seldom_meant_is_warned_of() {
    let folder = reference_folder();
    let path = folder.path().join("config/sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replacen("admin = \"127.0.0.1:9443\"", "admin = \"0.0.0.0:9443\"", 1);
    let text = text.replacen("peers = [\"127.0.0.1:8081\"]", "peers = [\"10.0.0.1:8081\"]", 1);
    let text = text.replacen("when_stale = \"closed\"", "when_stale = \"open\"", 1);
    let text = text.replacen("anchor_expiry = \"check\"", "anchor_expiry = \"ignore\"", 1);
    let more = "\n[[pool]]\nname = \"spare\"\npeers = [\"127.0.0.1:1\"]\n";
    std::fs::write(&path, text + more).unwrap();
    let output = check(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let warnings: Vec<&str> = stdout(&output).lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 5, "{warnings:#?}");
    for part in
        ["admin 0.0.0.0:9443", "\"ib-app\" gets identity", "stale", "after it has expired", "leads to \"spare\""]
    {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:#?}");
    }
}

#[test]
fn every_source_of_revocation_is_told_and_what_is_taken_beyond_the_standard() {
    let folder = reference_folder();
    let path = folder.path().join("config/sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    // What is said of the issuing CA, with these lines changed.
    let told = |changes: &[(&str, &str)]| {
        let mut text = text.clone();
        for (from, to) in changes {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(&path, text).unwrap();
        let output = check(folder.path(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
        let of_ca = stdout(&output).lines().skip_while(|line| !line.starts_with("ca dev-issuing: ")).skip(1);
        let of_ca = of_ca.take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("  note: refuses"));
        of_ca.map(str::to_owned).collect::<Vec<_>>()
    };
    let number = ("without_number = \"refuse\"", "without_number = \"accept\"");
    let next_update = ("#without_next_update = \"24h\"", "without_next_update = \"24h\"");
    let list = "  revocation: config/../certs/dev/crl.pem; when stale: refuse";
    let of_number = "  note: takes lists without CRLNumber, in the order of their thisUpdate";
    let of_next_update = "  note: takes lists without nextUpdate, fresh for 1d after their thisUpdate";
    assert_eq!(told(&[]), [list], "nothing is taken unless it is said");
    assert_eq!(told(&[number]), [list, of_number]);
    assert_eq!(told(&[next_update]), [list, of_next_update]);
    assert_eq!(told(&[number, next_update]), [list, of_number, of_next_update]);
    let all = [
        ("#state_folder = \"/var/lib/sekisho\"", "state_folder = \"state\""),
        ("#crl_urls", "crl_urls"),
        ("#distribution_points", "distribution_points"),
        ("#[ca.revocation.ocsp]\n#url", "[ca.revocation.ocsp]\nurl"),
    ];
    let sources = "config/../certs/dev/crl.pem, http://crl.example.jp/crl/biz/0.crl, distribution points at crl.example.jp, \
                   OCSP responder http://ocsp.example.jp/ocsp/biz";
    assert_eq!(told(&all), [format!("  revocation: {sources}; when stale: refuse")]);
}

/// Who is refused for want of a good certificate could not get where one is had.
#[test]
fn a_portal_that_asks_for_a_certificate_is_warned_about() {
    let told = |client_auth: &str| {
        let folder = reference_folder();
        let reference = include_str!("../config/sekisho.toml").replace("\nclient_auth = \"none\"", client_auth);
        let written = reference.replace("#portal_url", "portal_url");
        std::fs::write(folder.path().join("config/sekisho.toml"), written).unwrap();
        let output = check(folder.path(), &[]);
        assert!(output.status.success(), "{output:?}");
        let warnings = stdout(&output).lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned);
        warnings.collect::<Vec<_>>()
    };
    assert_eq!(told("\nclient_auth = \"none\""), [] as [&str; 0]);
    for client_auth in
        ["\nclient_auth = \"optional\"\nca = [\"dev-root\"]", "\nclient_auth = \"required\"\nca = [\"dev-root\"]"]
    {
        let warnings = told(client_auth);
        assert_eq!(warnings.len(), 2, "of the site's and of the CA's: {warnings:?}");
        for warning in warnings {
            let what = "portal_url leads to site \"portal\", which asks for a certificate: who is refused";
            assert!(warning.contains(what), "{warning}");
        }
    }
}

/// A root, an issuing CA, their lists and two server certificates, as the reference configuration names them.
fn pki(certs: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
    let ca = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    };
    let list = |issuer: &Issuer<'_, KeyPair>| {
        let now = rcgen::date_time_ymd(2020, 1, 1);
        let params = rcgen::CertificateRevocationListParams {
            this_update: now,
            next_update: rcgen::date_time_ymd(2120, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap().pem().unwrap()
    };
    let write = |name: &str, text: &str| {
        std::fs::write(certs.join(name), text).unwrap();
        std::fs::set_permissions(certs.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let root_key = KeyPair::generate().unwrap();
    write("root-ca.pem", &ca("root").self_signed(&root_key).unwrap().pem());
    let root = Issuer::new(ca("root"), root_key);
    let issuing_key = KeyPair::generate().unwrap();
    write("issuing-ca.pem", &ca("issuing").signed_by(&issuing_key, &root).unwrap().pem());
    let issuing = Issuer::new(ca("issuing"), issuing_key);
    write("crl.pem", &(list(&root) + &list(&issuing)));
    for name in ["ib.localhost", "portal.localhost"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        write(&format!("{name}.pem"), &params.signed_by(&key, &issuing).unwrap().pem());
        write(&format!("{name}.key"), &key.serialize_pem());
    }
}

#[test]
fn a_reader_that_went_away_is_no_error_and_a_full_disk_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let into = |arguments: &str, stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        let output = command.args(arguments.split(' ')).current_dir(folder.path()).stdout(stdout).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let block = "--gateway http://127.0.0.1:1 --token-file token";
    for arguments in [
        "check --config missing.toml".to_owned(),
        "check --config missing.toml --json".to_owned(),
        format!("block list {block}"),
        format!("block remove 0123456789abcdef {block} --reason r --by b"),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(into(&arguments, writer.into()), (1, String::new()), "{arguments}");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = into(&arguments, full.into());
        assert!(code == 2 && said.contains("standard output: ") && !said.contains("panicked"), "{arguments}: {said}");
    }
}
