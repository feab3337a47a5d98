//! The README says what is so.

use sekisho::gateway::verify::Reason;
use sekisho_config as config;
use sekisho_testkit::harness::issuer_binary;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of tests, of the root package or of one of the crates.
#[track_caller]
fn test_file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders = std::iter::once(root.to_owned()).chain(crates).map(|folder| folder.join("tests").join(name));
    folders.find(|path| path.is_file()).unwrap_or_else(|| panic!("no file of tests {name}"))
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The first block of that language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

fn shortest() -> config::Config {
    let readme = readme();
    let parsed = config::parse(block(&readme, "toml"), "README.md", Path::new("/etc/sekisho"));
    parsed.unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[test]
fn the_shortest_configuration_is_one_and_its_defaults_are_the_strict_ones() {
    let config = shortest();
    let site = &config.sites[0];
    assert_eq!(site.client_auth, config::ClientAuth::Required);
    assert_eq!(site.refusal, config::RefusalStyle::Alert);
    assert!(!site.default);
    for ca in &config.cas {
        let strict = matches!(&ca.revocation, config::RevocationSource::From(from) if from.when_stale == config::WhenStale::Closed);
        assert!(strict, "{:?}", ca.revocation);
    }
}

#[test]
fn no_line_of_the_shortest_configuration_can_be_left_out() {
    let readme = readme();
    let lines: Vec<_> = block(&readme, "toml").lines().collect();
    for (index, line) in lines.iter().enumerate() {
        // Without it the first CA's table or comment is simply not there.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let without: Vec<_> =
            lines.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, line)| *line).collect();
        let parsed = config::parse(&without.join("\n"), "README.md", Path::new("/etc/sekisho"));
        // Without `issued_by` the issuing CA would be a trust anchor of its own: valid, and something else.
        assert!(parsed.is_err() || line.starts_with("issued_by"), "not needed: {line}");
    }
}

#[test]
fn the_issuers_configuration_is_one() {
    let readme = readme();
    let (_, issuers) = readme.split_once("## The issuance service").unwrap();
    let text = block(issuers, "toml");
    let parsed = config::issuer::parse(text, "README.md", Path::new("/etc/sekisho"));
    let config = parsed.unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!((config.authorities.len(), config.profiles.len(), config.services.len()), (1, 1, 2));
}

/// In a fresh folder, as somebody who has read no more than this.
#[test]
fn the_lines_of_the_issuer_make_what_its_configuration_names() {
    let readme = readme();
    let (_, issuers) = readme.split_once("## The issuance service").unwrap();
    let (lines, _) = block(issuers, "sh").split_once("sekisho-issuer serve --config issuer.toml &\n").unwrap();
    assert!(lines.contains("--check\n"), "{lines}");
    let around = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), around.path().join("sekisho")).unwrap();
    let (bin, folder) = (around.path().join("bin"), around.path().join("issuer"));
    for made in [&bin, &folder] {
        std::fs::create_dir(made).unwrap();
    }
    std::os::unix::fs::symlink(issuer_binary(), bin.join("sekisho-issuer")).unwrap();
    std::fs::write(folder.join("issuer.toml"), block(issuers, "toml")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = |lines: &str| {
        let mut shell = std::process::Command::new("sh");
        let output = shell.args(["-ec", lines]).current_dir(&folder).env("PATH", &path).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    };
    run(lines);
    // The key of the feed that the other section makes.
    let (_, feed) = readme.split_once("### The issuer's feed").unwrap();
    run(block(feed, "sh"));
    let config = std::fs::read_to_string(folder.join("issuer.toml")).unwrap();
    std::fs::write(folder.join("issuer.toml"), config + block(feed, "toml")).unwrap();
    run("sekisho-issuer serve --config issuer.toml --check");
    let openssl = "openssl verify -CAfile services-ca.pem";
    run(&format!("{openssl} -purpose sslserver issuer.pem && {openssl} -purpose sslclient ib-service.pem"));
    run(&format!("{openssl} -purpose sslclient desk-service.pem"));
}

#[test]
fn the_gateways_side_of_the_feed_is_a_configuration() {
    let readme = readme();
    let (_, feed) = readme.split_once("### The issuer's feed").unwrap();
    let (_, gateway) = feed.split_once("```toml").unwrap();
    let (tables, revocation) = block(gateway, "toml").split_once("# in [[ca]]").unwrap();
    let (_, revocation) = revocation.split_once('\n').unwrap();
    let shortest = block(&readme, "toml");
    let text = shortest.replacen("revocation = { crl = [\"bank-issuing.crl\"] }\n", revocation, 1);
    assert_ne!(text, shortest);
    let text = text.replacen("[gateway]\n", "", 1).replacen("[[ca]]", "[tables]\n[[ca]]", 1);
    let (listen, rest) = text.split_once("[tables]\n").unwrap();
    let text = tables.replacen("[gateway]\n", &format!("[gateway]\n{listen}"), 1) + rest;
    let parsed = config::parse(&text, "README.md", Path::new("/etc/sekisho"));
    let config = parsed.unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(config.feed.map(|feed| feed.urls.len()), Some(2));
}

#[test]
fn every_refusal_reason_has_its_row() {
    let readme = readme();
    for reason in Reason::ALL {
        assert_eq!(readme.matches(&format!("\n| `{}` |", reason.name())).count(), 1, "{}", reason.name());
    }
}

/// Some metrics show nothing before their first event, so that no exposition has all of them: their names are taken
/// from where they are registered. That expositions have no others, tests/gateway/observed.rs finds.
#[test]
fn every_metric_of_the_gateway_has_its_row_and_no_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway");
    let mut registered = BTreeSet::new();
    let name = regex::Regex::new(r#""(sekisho_[a-z_]+)""#).unwrap();
    for file in ["metrics.rs", "metrics/feed.rs", "metrics/sources.rs"] {
        let text = std::fs::read_to_string(source.join(file)).unwrap();
        registered.extend(name.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    let name = regex::Regex::new(r"`(sekisho_[a-z_]+)`").unwrap();
    let readme = readme();
    let rows = readme.lines().filter(|line| line.starts_with("| `sekisho_") && !line.starts_with("| `sekisho_issuer_"));
    let mut told = BTreeSet::new();
    for cell in rows.filter_map(|row| row.split('|').nth(1)) {
        for found in name.captures_iter(cell) {
            assert!(told.insert(found[1].to_owned()), "twice: {}", &found[1]);
        }
    }
    assert!(registered.len() > 40, "{registered:?}");
    assert_eq!(told, registered);
}

#[test]
fn every_header_has_its_row() {
    let (readme, names) = (readme(), shortest().headers);
    for name in [
        names.contract_id,
        names.user_id,
        names.common_name,
        names.serial,
        names.issuer,
        names.not_before,
        names.not_after,
        names.days_left,
        names.fingerprint,
        names.verification,
        names.resumed,
        names.authenticated_at,
        names.client_cert,
        names.assertion,
        names.ca_draining,
        names.request_id,
    ] {
        let name = name.expect("on by default");
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
    assert_eq!(names.client_cert_chain, None, "the README says that it is off by default");
}

#[test]
fn every_file_the_readme_links_to_is_there() {
    let readme = readme();
    for target in readme.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
        if !target.starts_with('#') && !target.starts_with("http") {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "{target}");
        }
    }
}

#[test]
fn every_test_of_the_feature_table_is_there() {
    let readme = readme();
    let (_, table) = readme.split_once("| id | feature | tests |").unwrap();
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 15, "{rows:?}");
    for row in rows {
        let tests: Vec<_> = row.split('`').filter_map(|word| word.split_once(".rs::")).collect();
        assert!(!tests.is_empty(), "nothing proves: {row}");
        for (file, name) in tests {
            let path = test_file(&format!("{file}.rs"));
            let source = std::fs::read_to_string(path).unwrap();
            let plain = source.contains(&format!("#[test]\nfn {name}() {{"));
            let of_tokio = source.contains(&format!("]\nasync fn {name}() {{")) && source.contains("#[tokio::test");
            // Named in a macro that runs it on both databases.
            let on_both = source.contains(&format!("    {name},\n")) && source.contains(&format!("\nasync fn {name}("));
            // In proptest!.
            let of_property = source.contains(&format!("    #[test]\n    fn {name}("));
            assert!(plain || of_tokio || on_both || of_property, "{file}.rs has no test {name}");
        }
    }
}

#[test]
fn every_test_file_of_the_threat_model_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = std::fs::read_to_string(root.join("docs/assurance/threat-model.md")).unwrap();
    let files: Vec<_> = model.split('`').filter(|word| word.ends_with(".rs")).collect();
    assert!(files.len() > 50, "{files:?}");
    for file in files {
        test_file(file);
    }
}
