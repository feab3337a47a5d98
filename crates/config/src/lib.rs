//! Configuration: a TOML file becomes types that cannot be wrong, or every error at once.
//!
//! `reader` walks the document, `values` knows each kind of value, and one file a table says which keys it has.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod ca;
pub mod defaults;
mod feed;
pub mod file;
mod gateway;
mod guidance;
mod header_names;
pub mod issuer;
mod ocsp;
mod pattern;
mod point;
mod pool;
pub mod reader;
mod rotation;
mod route;
mod server_name;
mod site;
mod sources;
mod types;
pub mod values;

pub use guidance::{Advice, Contact, Guidance, Text};
pub use header_names::MESSAGE_FIELDS;
pub use types::*;
pub use values::show_duration;

use reader::{Document, KeyUse, Section};
use std::path::Path;

/// Octets of a configuration file: hundreds of sites fit; a wrong path given by mistake (a log, a list) does not.
pub const FILE_BYTES: u64 = 4 << 20;

/// Reads a configuration file. Relative paths in it start at its own folder.
///
/// # Errors
/// Every error of the file, in the order of its lines; none of them stops the search for the others, but for the first
/// error of TOML itself, which comes alone.
pub fn load(path: &Path) -> Result<Config, Vec<ConfigError>> {
    let (text, file) = file::read_text(path, FILE_BYTES)?;
    parse(&text, &file, path.parent().unwrap_or(Path::new("")))
}

/// Reads a configuration from memory; `file` is its name in messages, `base` the folder where relative paths start.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &str, base: &Path) -> Result<Config, Vec<ConfigError>> {
    parse_with_keys(text, file, base).0
}

/// The configuration, and every key that a reader asked for.
fn parse_with_keys(text: &str, file: &str, base: &Path) -> (Result<Config, Vec<ConfigError>>, Vec<KeyUse>) {
    Document::read(text, file, base, read)
}

fn read<'d>(document: &'d Document, mut root: Section<'d>) -> Config {
    let gateway = gateway::read(root.section_or_defaults("gateway"));
    let authorities = ca::read(document, root.sections("ca"));
    sources::check(document, &gateway, &authorities.cas);
    feed::check(document, gateway.feed.as_ref(), &authorities);
    let pools = pool::read(root.sections("pool"));
    if !root.has("site") {
        root.refuse_missing("site", "add a [[site]] table with server_names, certificate, key and ca");
    }
    let sites = site::read(document, root.sections("site"), &authorities, &pools);
    root.finish();
    Config {
        gateway: gateway.gateway,
        limits: gateway.limits,
        tickets: gateway.tickets,
        headers: gateway.headers,
        assertion: gateway.assertion,
        feed: gateway.feed,
        fetch: gateway.fetch,
        cas: authorities.cas,
        pools,
        sites,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const REFERENCE: &str = include_str!("../../../config/sekisho.toml");

    /// The reference with the keys that are off by default put in force: `#key = …` and `#[table]`.
    fn uncommented() -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => rest.to_owned(),
            _ => line.to_owned(),
        };
        let text = REFERENCE.lines().map(line).collect::<Vec<_>>().join("\n");
        // A feed is followed by some CA; the default, not to, stands in another's table.
        text.replacen("crl.pem\"] }", "crl.pem\"], feed = true }", 1)
    }

    fn read(text: &str) -> (Config, Vec<KeyUse>) {
        let (config, keys) = parse_with_keys(text, "sekisho.toml", Path::new("config"));
        let config = config.unwrap_or_else(|errors| panic!("{}", lines(&errors)));
        (config, keys)
    }

    fn lines(errors: &[ConfigError]) -> String {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_reference_configuration_is_right_as_it_stands_and_with_every_key_in_force() {
        let (config, _) = read(REFERENCE);
        assert!(config.assertion.is_none(), "off by default");
        assert_eq!(config.cas.len(), 2);
        assert_eq!(config.sites.len(), 2);
        let (config, _) = read(&uncommented());
        assert!(config.assertion.is_some());
        assert!(config.feed.is_some());
        assert!(config.pools[0].tls.is_some());
        assert!(config.pools[0].health_check.is_some());
    }

    #[test]
    fn every_default_written_in_the_reference_is_the_default_of_the_code() {
        let text = uncommented();
        let (whole, keys) = read(&text);
        let whole = format!("{whole:?}");
        let defaulted: BTreeSet<&str> = keys.iter().filter(|key| key.defaulted).map(|key| key.shape.as_str()).collect();
        assert!(defaulted.len() > 55, "the readers tell which keys have a default: {}", defaulted.len());
        for shape in defaulted {
            // A key that stands in several tables (a site's refusal) has its default in one of them at least.
            let mut written = keys.iter().filter(|key| key.shape == shape).filter_map(|key| key.line).peekable();
            assert!(written.peek().is_some(), "config/sekisho.toml lacks {shape}");
            let says_default = written.any(|line| {
                // The line is emptied, not removed: places, which hold line numbers, stay the same.
                let emptied: Vec<&str> =
                    text.lines().enumerate().map(|(index, text)| if index + 1 == line { "" } else { text }).collect();
                let (without, _) = parse_with_keys(&emptied.join("\n"), "sekisho.toml", Path::new("config"));
                // A line of a whole table is no line of the key alone.
                without.is_ok_and(|without| format!("{without:?}") == whole)
            });
            assert!(says_default, "config/sekisho.toml states another default of {shape} than the code has");
        }
    }

    #[test]
    fn an_empty_gateway_table_has_the_values_of_the_reference() {
        let (reference, _) = read(REFERENCE);
        let from = REFERENCE.find("[[ca]]").unwrap();
        let minimal = format!("[gateway]\nlisten = [\"127.0.0.1:8443\"]\n{}", &REFERENCE[from..]);
        let (minimal, _) = read(&minimal);
        assert_eq!(minimal.gateway, reference.gateway);
        assert_eq!(minimal.limits, reference.limits);
        assert_eq!(minimal.limits, Limits::default());
        assert_eq!(minimal.tickets, reference.tickets);
        assert_eq!(minimal.headers, reference.headers);
        assert_eq!(minimal.headers, HeaderNames::default());
    }

    #[test]
    fn every_key_that_a_reader_asks_for_is_in_the_reference() {
        let (_, keys) = read(&uncommented());
        let present: BTreeSet<&str> =
            keys.iter().filter(|key| key.line.is_some()).map(|key| key.shape.as_str()).collect();
        let missing: BTreeSet<&str> =
            keys.iter().map(|key| key.shape.as_str()).filter(|shape| !present.contains(shape)).collect();
        assert_eq!(missing, BTreeSet::new(), "keys that config/sekisho.toml lacks");
    }

    #[test]
    fn every_key_in_the_source_of_the_readers_is_in_the_reference() {
        // Also those of tables that the reference does not use, such as { address = …, weight = … }.
        let asks = regex::Regex::new(
            r#"(?:\.or|\.optional|\.required|\.section|\.sections|\.section_or_defaults|\bheader)\(\s*"([a-z0-9_]+)""#,
        )
        .unwrap();
        let mut count = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // The issuer's readers have a reference of their own.
                continue;
            }
            let source = std::fs::read_to_string(path).unwrap();
            let production = source.split("#[cfg(test)]").next().unwrap();
            for key in asks.captures_iter(production).map(|found| found[1].to_owned()) {
                count += 1;
                let said = regex::Regex::new(&format!(r"(?m)^#?{key} = |[{{,] {key} = |\[[a-z_.]*\b{key}\]")).unwrap();
                assert!(said.is_match(REFERENCE), "config/sekisho.toml does not show {key}");
            }
        }
        assert!(count > 95, "the scan finds the readers' keys: {count}");
    }
}
