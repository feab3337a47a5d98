use super::*;
use regex::Regex;
use std::collections::BTreeSet;
use std::time::Duration;

const REFERENCE: &str = include_str!("../../../../config/issuer.toml");

/// The reference with the keys that are off by default put in force: `#key = …` and `#[table]`.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    REFERENCE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The same with `kind = "delegated"` and its keys in force: what cannot stand beside the defaults.
fn delegated() -> String {
    let text =
        uncommented().replace("kind = \"built-in\"", "kind = \"delegated\"").replace("#:jwks_file", "# jwks_file");
    text.replace("http://127.0.0.1:9443/", "https://gateway.example.internal/").replace("#:", "")
}

fn read(text: &str) -> (IssuerConfig, Vec<KeyUse>) {
    let (config, keys) = parse_with_keys(text, "issuer.toml", Path::new("config"));
    let config = config.unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    (config, keys)
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What a configuration says, without where it says it.
fn said(config: &IssuerConfig) -> String {
    let place = Regex::new(r#"Place \{ file: "[^"]*", line: \d+, key: "[^"]*" \}"#).unwrap();
    place.replace_all(&format!("{config:?}"), "").into_owned()
}

/// The errors of the reference after one change, as lines without the file's name and their line numbers.
#[track_caller]
fn refused(from: &str, to: &str) -> Vec<String> {
    let text = uncommented();
    assert!(text.contains(from), "the reference lacks {from}");
    errors_of(&text.replacen(from, to, 1))
}

fn errors_of(text: &str) -> Vec<String> {
    let errors = parse(text, "", Path::new("config")).expect_err("it is wrong");
    errors.iter().map(|error| format!("{}: {}", error.place.key, error.message)).collect()
}

/// One error, at that key, with these words.
#[track_caller]
fn refused_at(from: &str, to: &str, key: &str, words: &str) {
    let errors = refused(from, to);
    let [error] = &errors[..] else { panic!("{to:?}: not one error: {errors:#?}") };
    assert!(error.starts_with(&format!("{key}: ")), "{to:?}: {error}");
    assert!(error.contains(words), "{to:?}: {error}");
}

#[test]
fn the_reference_configuration_is_right_as_it_stands_and_with_every_key_in_force() {
    let (config, _) = read(REFERENCE);
    assert_eq!(config.profiles.len(), 2);
    assert_eq!(config.authorities.len(), 2);
    assert!(config.issuer.tls.is_none() && config.mail.is_none() && config.services.is_empty(), "off by default");
    let (config, _) = read(&uncommented());
    assert!(config.issuer.tls.is_some());
    assert_eq!(config.services[0].fingerprint[..3], [0x00, 0x11, 0x22]);
    assert_eq!(config.mail.unwrap().attempts, defaults::MAIL_ATTEMPTS);
    let (config, _) = read(&delegated());
    assert!(
        matches!(config.credentials, CredentialsConfig::Delegated { timeout, authorization: Some(_), ca: Some(_), .. }
        if timeout == defaults::CREDENTIALS_TIMEOUT)
    );
}

#[test]
fn every_default_written_in_the_reference_is_the_default_of_the_code() {
    let text = delegated();
    let (whole, keys) = read(&text);
    let whole = said(&whole);
    let defaulted: BTreeSet<&str> = keys.iter().filter(|key| key.defaulted).map(|key| key.shape.as_str()).collect();
    assert!(defaulted.len() > 26, "the readers tell which keys have a default: {}", defaulted.len());
    for shape in defaulted {
        let mut written = keys.iter().filter(|key| key.shape == shape).filter_map(|key| key.line).peekable();
        assert!(written.peek().is_some(), "config/issuer.toml lacks {shape}");
        if shape == "credentials.kind" {
            // It cannot be left out of this text; without it the reference as it stands says built-in.
            let (without, _) = read(&REFERENCE.replace("kind = \"built-in\"", ""));
            assert!(matches!(without.credentials, CredentialsConfig::BuiltIn));
            continue;
        }
        let says_default = written.any(|line| {
            let emptied: Vec<&str> =
                text.lines().enumerate().map(|(index, text)| if index + 1 == line { "" } else { text }).collect();
            let (without, _) = read(&emptied.join("\n"));
            said(&without) == whole
        });
        assert!(says_default, "config/issuer.toml states another default of {shape} than the code has");
    }
}

#[test]
fn every_key_that_a_reader_asks_for_is_in_the_reference() {
    let (_, keys) = read(&delegated());
    let present: BTreeSet<&str> = keys.iter().filter(|key| key.line.is_some()).map(|key| key.shape.as_str()).collect();
    let missing: BTreeSet<&str> =
        keys.iter().map(|key| key.shape.as_str()).filter(|shape| !present.contains(shape)).collect();
    // The other way of one that is there, and the other form of log.
    assert_eq!(missing, BTreeSet::from(["gateway.jwks_file"]), "keys that config/issuer.toml lacks");
    assert!(REFERENCE.contains("jwks_file = \""));
}

#[test]
fn every_error_is_told_at_once_with_its_line_and_key() {
    let errors = errors_of(&REFERENCE.replace("burst = 200", "burts = 0").replace("together = 128", "together = 0"));
    assert_eq!(
        errors,
        [
            "store.together: 0 is out of range; write 1 to 10000",
            "limits.burts: is not a known key; did you mean \"burst\"?",
        ]
    );
    let errors = parse("[issuer]\nlisten = 1\n", "issuer.toml", Path::new("")).unwrap_err();
    let errors = lines(&errors);
    for expected in [
        "issuer.toml:2: issuer.listen: 1 is not an address",
        "issuer.toml:1: issuer.public_listen: is missing",
        "issuer.toml:1: issuer.secret_file: is missing",
        "issuer.toml:1: profile: is missing",
        "issuer.toml:1: authority: is missing",
        "issuer.toml:1: service: is missing",
    ] {
        assert!(errors.contains(expected), "{expected}\n{errors}");
    }
}

#[test]
fn an_unknown_key_is_refused_in_every_table() {
    for table in [
        "[issuer]",
        "[issuer.tls]",
        "[store]",
        "[[profile]]",
        "[[authority]]",
        "[[service]]",
        "[gateway]",
        "[feed]",
        "[credentials]",
        "[mail]",
        "[limits]",
    ] {
        let errors = refused(&format!("\n{table}\n"), &format!("\n{table}\nunheard_of = 1\n"));
        assert_eq!(errors.len(), 1, "{table}: {errors:?}");
        assert!(errors[0].contains("unheard_of: is not a known key"), "{errors:?}");
    }
}

#[test]
fn without_tls_the_api_stays_on_this_machine_and_services_need_a_gateway() {
    let text = REFERENCE.replace("listen = \"127.0.0.1:8445\"", "listen = \"0.0.0.0:8445\"");
    let errors = errors_of(&text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("issuer.listen: 0.0.0.0:8445 is no loopback address"), "{errors:?}");

    let from = REFERENCE.find("[gateway]").unwrap();
    let to = REFERENCE.find("[credentials]").unwrap();
    let alone = format!("{}{}", &REFERENCE[..from], &REFERENCE[to..]);
    assert_eq!(errors_of(&alone).len(), 1);
    assert!(errors_of(&alone)[0].starts_with("service: is missing; add a [[service]]"));
    let service =
        format!("{alone}\n[[service]]\nname = \"ib\"\nfingerprint = \"{}\"\nrights = [\"read\"]\n", "ab".repeat(32));
    let errors = errors_of(&service);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("service: could not show its certificate"), "{errors:?}");
    let with_tls = format!("{service}\n[issuer.tls]\ncertificate = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n");
    assert_eq!(read(&with_tls).0.services[0].fingerprint, [0xab; 32]);
}

#[test]
fn names_fingerprints_profiles_and_addresses_are_used_once() {
    refused_at("name = \"bsl\"", "name = \"biz\"", "authority[1].name", "already the name of an authority");
    refused_at(
        "[\"anser-bizsol\"]",
        "[\"bizstation\"]",
        "authority[1].profiles[0]",
        "already a profile of an authority",
    );
    refused_at("crl/bsl/0", "crl/biz/0", "authority[1].crl_url", "already the URL of a list");
    refused_at("biz/0-delta.crl", "biz/0.crl", "authority[0].delta_url", "already the URL of a list");
    refused_at("profiles/anser-bizsol", "profiles/bizstation", "profile[1].file", "already a profile at line");
    refused_at("\"127.0.0.1:8080\"", "\"127.0.0.1:8445\"", "issuer.public_listen", "also the address of listen");
    refused_at(
        "admin = \"127.0.0.1:9444\"",
        "admin = \"0.0.0.0:8080\"",
        "issuer.admin",
        "also the address of public_listen",
    );
    let again = format!(
        "[[service]]\nname = \"ib-system\"\nfingerprint = \"{}\"\nrights = [\"read\"]\n[gateway]",
        "00112233445566778899AABBCCDDEEFF".repeat(2)
    );
    let errors = refused("[gateway]", &again);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("service[1].name: \"ib-system\" is already"), "{errors:?}");
    assert!(errors[1].starts_with("service[1].fingerprint: "), "{errors:?}");
    refused_at("[\"online\", \"read\"]", "[\"read\", \"read\"]", "service[0].rights[1]", "already a right");
}

#[test]
fn port_0_may_be_asked_for_by_every_listener() {
    let text = REFERENCE.replace(":8445", ":0").replace(":8080", ":0").replace(":9444", ":0");
    assert_eq!(read(&text).0.issuer.admin.port(), 0);
}

#[test]
fn rights_are_four_words() {
    refused_at("[\"online\", \"read\"]", "[\"admin\"]", "service[0].rights[0]", "\"desk\", \"read\" or \"feed\"");
    refused_at("[\"online\", \"read\"]", "[]", "service[0].rights", "it could do nothing");
}

#[test]
fn a_feed_has_a_key_and_sensible_times_and_gateways_have_a_feed() {
    assert_eq!(refused("\nkey_file = \"feed.key\"", "").len(), 1);
    for (from, to) in [
        ("heartbeat = \"2s\"", "heartbeat = \"50ms\""),
        ("heartbeat = \"2s\"", "heartbeat = \"61s\""),
        ("wait = \"500ms\"", "wait = \"11s\""),
        ("forget_after = \"24h\"", "forget_after = \"59s\""),
    ] {
        let (key, _) = to.split_once(' ').unwrap();
        refused_at(from, to, &format!("feed.{key}"), "out of range");
    }
    let hasty = uncommented().replacen("wait = \"500ms\"", "wait = \"1s\"", 1);
    let hasty = errors_of(&hasty.replacen("request_timeout = \"30s\"", "request_timeout = \"1s\"", 1));
    assert!(hasty.iter().any(|error| error.contains("wait must be less than limits.request_timeout")), "{hasty:?}");
    let gateway = format!("\n[[service]]\nname = \"g1\"\nfingerprint = \"{}\"\nrights = [\"feed\"]\n", "ab".repeat(32));
    let errors = errors_of(&format!("{REFERENCE}{gateway}"));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("feed: is missing; a [[service]] has the right \"feed\""), "{errors:?}");
    let (config, _) = read(&format!("{REFERENCE}{gateway}\n[feed]\nkey_file = \"feed.key\"\n"));
    let feed = config.feed.unwrap();
    assert_eq!((feed.heartbeat, feed.wait), (defaults::FEED_HEARTBEAT, defaults::FEED_WAIT));
}

#[test]
fn a_fingerprint_is_32_octets() {
    let text = uncommented();
    let line = text.lines().find(|line| line.starts_with("fingerprint = ")).unwrap().to_owned();
    for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"00:".repeat(32), &format!("0:0{}", "0".repeat(61)), "é"]
    {
        refused_at(&line, &format!("fingerprint = {wrong:?}"), "service[0].fingerprint", "SHA-256 fingerprint");
    }
    let (plain, _) = read(&text.replace(&line, &format!("fingerprint = \"{}\"", "0123456789abcdef".repeat(4))));
    assert_eq!(plain.services[0].fingerprint[..2], [0x01, 0x23]);
}

#[test]
fn mail_in_clear_stays_on_this_machine() {
    let clear = "tls = \"none\"";
    let login = "user = \"sekisho\"\npassword_file = \"mail.password\"";
    let text =
        uncommented().replace("tls = \"required\"", clear).replace(login, "").replace("ca = \"mail-ca.pem\"", "");
    let errors = errors_of(&text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("mail.tls: \"none\" would send notices to mail.example.internal in clear"));
    let (config, _) = read(&text.replace("host = \"mail.example.internal\"", "host = \"127.0.0.1\""));
    assert_eq!(config.mail.unwrap().tls, MailTls::None);
    refused_at("password_file = \"mail.password\"", "", "mail.password_file", "needs its password");
    refused_at("from = \"IB Center <ib@example.jp>\"", "from = \"nobody\"", "mail.from", "not a sender");
}

#[test]
fn passwords_and_keys_cross_no_network_in_clear() {
    let with = |url: &str| errors_of(&delegated().replace("https://ib.example.internal/credentials", url));
    for url in
        ["http://ib.example.internal/c", "http://127.0.0.1.example.jp/", "http://u@127.0.0.1/", "http://localhost/"]
    {
        let errors = with(url);
        assert_eq!(errors.len(), 1, "{url}: {errors:?}");
        assert!(errors[0].starts_with("credentials.url: would send passwords over the network in clear"), "{errors:?}");
    }
    let errors = errors_of(&delegated().replace("ca = \"ib-ca.pem\"", ""));
    assert!(errors.len() == 1 && errors[0].starts_with("credentials.ca: is missing"), "{errors:?}");
    let jwks = "http://127.0.0.1:9443/.well-known/jwks.json";
    for url in ["http://gateway.example.jp/jwks", "https:///jwks", "http://127.0.0.1@evil.example/", "jwks"] {
        let errors = refused(jwks, url);
        let about = errors.iter().find(|error| error.starts_with("gateway.jwks_url: ")).expect(url);
        assert!(about.contains("loopback"), "{errors:?}");
    }
    let errors = errors_of(&delegated().replace("jwks_ca = ", "# "));
    assert!(errors.len() == 1 && errors[0].starts_with("gateway.jwks_ca: is missing"), "{errors:?}");
    let errors = refused("#:jwks_ca", "jwks_ca");
    assert!(errors.len() == 1 && errors[0].starts_with("gateway.jwks_ca: is only for"), "{errors:?}");
    assert!(read(&REFERENCE.replace(jwks, "http://[::1]:9443/jwks")).0.gateway.is_some());
    refused_at("jwks_url = ", "jwks_file = \"x\"\njwks_url = ", "gateway.jwks_url", "keep one");
}

#[test]
fn keys_of_delegated_credentials_are_refused_beside_built_in_ones() {
    let errors = refused("kind = \"built-in\"", "kind = \"built-in\"\nurl = \"https://x/\"");
    assert_eq!(errors, ["credentials.url: is only for kind = \"delegated\"; remove it"]);
}

#[test]
fn a_wrong_store_url_is_refused_without_being_shown() {
    for wrong in ["mysql://root:hunter2@db/x", "sqlite:", "sqlite://hunter2", "sqlite::memory:hunter2", ":hunter2"] {
        let errors = refused("\"sqlite:issuer.db\"", &format!("{wrong:?}"));
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
        assert!(errors[0].starts_with("store.url: ") && !errors[0].contains("hunter2"), "{errors:?}");
    }
    let (config, _) = read(&REFERENCE.replace("\"sqlite:issuer.db\"", "\"postgres://sekisho:hunter2@db/sekisho\""));
    assert!(!format!("{config:?}").contains("hunter2"), "a password must not reach a log");
}

#[test]
fn an_authority_has_one_passphrase_and_urls_that_suit_its_parts() {
    refused_at(
        "passphrase_file = ",
        "passphrase_variable = \"X\"\npassphrase_file = ",
        "authority[0].passphrase_variable",
        "keep one",
    );
    refused_at("passphrase_variable = \"SEKISHO_BSL_PASSPHRASE\"", "", "authority[1].passphrase_file", "is missing");
    let errors = refused("parts = 1", "parts = 2");
    assert_eq!(errors.len(), 2, "both URLs lack the part: {errors:?}");
    refused_at("crl/bsl/0.crl", "crl/bsl/{part}.crl", "authority[1].crl_url", "only there");
    refused_at("http://ocsp.", "https://ocsp.", "authority[0].ocsp_url", "http:// URL");
    refused_at("parts = 1", "parts = 0", "authority[0].parts", "out of range");
    refused_at("crl_lifetime = \"72h\"", "crl_lifetime = \"90m\"", "authority[0].crl_interval", "more than half");
}

#[test]
fn durations_have_their_ranges() {
    refused_at("crl_lifetime = \"72h\"", "crl_lifetime = \"11d\"", "authority[0].crl_lifetime", "out of range");
    refused_at("ocsp_lifetime = \"1h\"", "ocsp_lifetime = \"5s\"", "authority[0].ocsp_lifetime", "out of range");
    refused_at("drain_timeout = \"10s\"", "drain_timeout = \"2h\"", "issuer.drain_timeout", "out of range");
    assert_eq!(read(REFERENCE).0.authorities[0].crl_lifetime, Duration::from_secs(72 * 3_600));
}
