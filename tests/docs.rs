//! The README and the pages below `docs` say what is so.

use sekisho::gateway::verify::Reason;
use sekisho_config as config;
use sekisho_testkit::harness::issuer_binary;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const QUICK_START: &str = "docs/guide/quick-start.md";

/// A file of tests, of the root package or of one of the crates.
#[track_caller]
fn test_file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders = std::iter::once(root.to_owned()).chain(crates).map(|folder| folder.join("tests").join(name));
    folders.find(|path| path.is_file()).unwrap_or_else(|| panic!("no file of tests {name}"))
}

/// Reads a page by its path in the repository.
#[track_caller]
fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and every page below `docs`, with their paths.
fn pages() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("ARCHITECTURE.md"), root().join("SECURITY.md")];
    found.push(root().join("certs/README.md"));
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The first block of that language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

fn shortest() -> config::Config {
    let quick_start = page(QUICK_START);
    let parsed = config::parse(block(&quick_start, "toml"), "the page", Path::new("/etc/sekisho"));
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
    let quick_start = page(QUICK_START);
    let lines: Vec<_> = block(&quick_start, "toml").lines().collect();
    for (index, line) in lines.iter().enumerate() {
        // Without it the first CA's table or comment is simply not there.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let without: Vec<_> =
            lines.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, line)| *line).collect();
        let parsed = config::parse(&without.join("\n"), "the page", Path::new("/etc/sekisho"));
        // Without `issued_by` the issuing CA would be a trust anchor of its own: valid, and something else.
        assert!(parsed.is_err() || line.starts_with("issued_by"), "not needed: {line}");
    }
}

#[test]
fn the_issuers_configuration_is_one() {
    let issuers = page("docs/guide/issuer.md");
    let text = block(&issuers, "toml");
    let parsed = config::issuer::parse(text, "the page", Path::new("/etc/sekisho"));
    let config = parsed.unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!((config.authorities.len(), config.profiles.len(), config.services.len()), (1, 1, 2));
}

/// In a fresh folder, as somebody who has read no more than this.
#[test]
fn the_lines_of_the_issuer_make_what_its_configuration_names() {
    let issuers = page("docs/guide/issuer.md");
    let (lines, _) = block(&issuers, "sh").split_once("sekisho-issuer serve --config issuer.toml &\n").unwrap();
    assert!(lines.contains("--check\n"), "{lines}");
    let around = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), around.path().join("sekisho")).unwrap();
    let (bin, folder) = (around.path().join("bin"), around.path().join("issuer"));
    for made in [&bin, &folder] {
        std::fs::create_dir(made).unwrap();
    }
    std::os::unix::fs::symlink(issuer_binary(), bin.join("sekisho-issuer")).unwrap();
    std::fs::write(folder.join("issuer.toml"), block(&issuers, "toml")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = |lines: &str| {
        let mut shell = std::process::Command::new("sh");
        let output = shell.args(["-ec", lines]).current_dir(&folder).env("PATH", &path).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    };
    run(lines);
    // The key of the feed that the other section makes.
    let feed = page("docs/revocation/feed.md");
    run(block(&feed, "sh"));
    let config = std::fs::read_to_string(folder.join("issuer.toml")).unwrap();
    std::fs::write(folder.join("issuer.toml"), config + block(&feed, "toml")).unwrap();
    run("sekisho-issuer serve --config issuer.toml --check");
    let openssl = "openssl verify -CAfile services-ca.pem";
    run(&format!("{openssl} -purpose sslserver issuer.pem && {openssl} -purpose sslclient ib-service.pem"));
    run(&format!("{openssl} -purpose sslclient desk-service.pem"));
}

#[test]
fn the_gateways_side_of_the_feed_is_a_configuration() {
    let (quick_start, feed) = (page(QUICK_START), page("docs/revocation/feed.md"));
    let (_, gateway) = feed.split_once("```toml").unwrap();
    let (tables, revocation) = block(gateway, "toml").split_once("# in [[ca]]").unwrap();
    let (_, revocation) = revocation.split_once('\n').unwrap();
    let shortest = block(&quick_start, "toml");
    let text = shortest.replacen("revocation = { crl = [\"bank-issuing.crl\"] }\n", revocation, 1);
    assert_ne!(text, shortest);
    let text = text.replacen("[gateway]\n", "", 1).replacen("[[ca]]", "[tables]\n[[ca]]", 1);
    let (listen, rest) = text.split_once("[tables]\n").unwrap();
    let text = tables.replacen("[gateway]\n", &format!("[gateway]\n{listen}"), 1) + rest;
    let parsed = config::parse(&text, "the page", Path::new("/etc/sekisho"));
    let config = parsed.unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(config.feed.map(|feed| feed.urls.len()), Some(2));
}

#[test]
fn every_refusal_reason_has_its_row() {
    let page = page("docs/guide/refusals.md");
    for reason in Reason::ALL {
        assert_eq!(page.matches(&format!("\n| `{}` |", reason.name())).count(), 1, "{}", reason.name());
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
    let metrics = page("docs/reference/metrics.md");
    let rows =
        metrics.lines().filter(|line| line.starts_with("| `sekisho_") && !line.starts_with("| `sekisho_issuer_"));
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
    let (page, names) = (page("docs/reference/headers.md"), shortest().headers);
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
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    assert_eq!(names.client_cert_chain, None, "the page says that it is off by default");
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_to_a_heading_of_it() {
    let slug = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    let mut links = 0;
    for path in pages() {
        let text = std::fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let led = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(led.exists(), "{}: {target}", path.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&led).unwrap();
                let found = text.lines().any(|line| line.starts_with('#') && slug(line) == anchor);
                assert!(found, "{}: {target}", path.display());
            }
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
}

#[test]
fn every_test_of_the_feature_table_is_there() {
    let page = page("docs/assurance/requirements.md");
    let (_, table) = page.split_once("| id | feature | tests |").unwrap();
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
    let model = page("docs/assurance/threat-model.md");
    let files: Vec<_> = model.split('`').filter(|word| word.ends_with(".rs")).collect();
    assert!(files.len() > 50, "{files:?}");
    for file in files {
        test_file(file);
    }
}
