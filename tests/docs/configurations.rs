//! The configurations of the guides are ones, and their lines make what they name.

use crate::page::{self, FEED, ISSUER, QUICK_START, block};
use sekisho_config as config;
use sekisho_testkit::harness::issuer_binary;
use std::path::Path;

pub(crate) fn shortest() -> config::Config {
    let quick_start = page::read(QUICK_START);
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
    let quick_start = page::read(QUICK_START);
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
    let issuers = page::read(ISSUER);
    let text = block(&issuers, "toml");
    let parsed = config::issuer::parse(text, "the page", Path::new("/etc/sekisho"));
    let config = parsed.unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!((config.authorities.len(), config.profiles.len(), config.services.len()), (1, 1, 2));
}

/// In a fresh folder, as somebody who has read no more than this.
#[test]
fn the_lines_of_the_issuer_make_what_its_configuration_names() {
    let issuers = page::read(ISSUER);
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
    let feed = page::read(FEED);
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
    let (quick_start, feed) = (page::read(QUICK_START), page::read(FEED));
    let (_, gateway) = feed.split_once("```toml").unwrap();
    let (tables, revocation) = block(gateway, "toml").split_once("# in [[ca]]").unwrap();
    let (_, revocation) = revocation.split_once('\n').unwrap();
    let shortest = block(&quick_start, "toml");
    let text = with_revocation(&with_gateway(shortest, tables), revocation);
    assert_eq!(parsed(&text).feed.map(|feed| feed.urls.len()), Some(2));
}

#[test]
fn the_parts_of_configurations_on_the_pages_of_revocation_fit_the_shortest_one() {
    let quick_start = page::read(QUICK_START);
    let shortest = block(&quick_start, "toml");

    let network = page::read("docs/revocation/network.md");
    let (gateway, ca) = block(&network, "toml").split_once("# in [[ca]]\n").unwrap();
    let text = with_revocation(&with_gateway(shortest, &format!("[gateway]\n{gateway}")), ca);
    let sources = |config: config::Config| match &config.cas[1].revocation {
        config::RevocationSource::From(sources) => sources.clone(),
        config::RevocationSource::None => panic!("no revocation"),
    };
    let read = sources(parsed(&text));
    assert_eq!((read.urls.len(), read.points.len()), (1, 1));

    let ocsp = page::read("docs/revocation/ocsp.md");
    let (_, ca) = block(&ocsp, "toml").split_once("# in [[ca]]\n").unwrap();
    let read = sources(parsed(&with_revocation(shortest, ca)));
    assert!(read.ocsp.is_some());
}

#[test]
fn the_sites_of_the_guide_are_a_configuration() {
    let (quick_start, sites) = (page::read(QUICK_START), page::read("docs/guide/sites.md"));
    let (before, _) = block(&quick_start, "toml").split_once("[[site]]").unwrap();
    let config = parsed(&format!("{before}{}", block(&sites, "toml")));
    assert_eq!(config.sites.len(), 2);
    assert_eq!((config.sites[0].routes.len(), config.sites[1].client_auth), (3, config::ClientAuth::None));
}

#[track_caller]
fn parsed(text: &str) -> config::Config {
    let parsed = config::parse(text, "the page", Path::new("/etc/sekisho"));
    parsed.unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// The configuration with the keys and tables of `[gateway]` beside its own.
fn with_gateway(configuration: &str, tables: &str) -> String {
    let (keys, rest) = configuration.split_once("[[ca]]").unwrap();
    let keys = keys.strip_prefix("[gateway]\n").unwrap();
    assert!(tables.contains("[gateway]\n"), "{tables}");
    format!("{}[[ca]]{rest}", tables.replacen("[gateway]\n", &format!("[gateway]\n{keys}"), 1))
}

/// The configuration with another `revocation` of its issuing CA.
fn with_revocation(configuration: &str, revocation: &str) -> String {
    const OWN: &str = "revocation = { crl = [\"bank-issuing.crl\"] }\n";
    assert!(configuration.contains(OWN), "{configuration}");
    configuration.replacen(OWN, &format!("{}\n", revocation.trim_end()), 1)
}
