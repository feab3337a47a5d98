//! Configuration: a TOML file becomes types that cannot be wrong, or every error at once.
//!
//! `reader` walks the document, `values` knows each kind of value, and one file a table says which keys it has.

mod ca;
pub mod defaults;
mod gateway;
mod header_names;
mod pool;
mod reader;
mod route;
mod server_name;
mod site;
mod types;
mod values;

pub use types::*;
pub use values::show_duration;

use reader::{Document, KeyUse};
use std::path::Path;
use toml::de::DeTable;

/// Octets of a configuration file: hundreds of sites fit; a wrong path given by mistake (a log, a list) does not.
pub const FILE_BYTES: u64 = 4 << 20;

/// Reads a configuration file. Relative paths in it start at its own folder.
///
/// # Errors
/// Every error of the file, in the order of its lines; none of them stops the search for the others, but for errors
/// of TOML itself, which come alone.
pub fn load(path: &Path) -> Result<Config, Vec<ConfigError>> {
    let file = path.display().to_string();
    let refuse = |message: String| {
        let place = Place { file: file.as_str().into(), line: 0, key: String::new() };
        vec![ConfigError { place, message }]
    };
    let size = std::fs::metadata(path).map_err(|error| refuse(format!("cannot be read: {error}")))?.len();
    if size > FILE_BYTES {
        return Err(refuse(format!("has {size} octets, more than the {FILE_BYTES} a configuration may have")));
    }
    let octets = std::fs::read(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(octets).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|octet| **octet == b'\n').count() + 1;
        refuse(format!("is not UTF-8 at line {line}; save it as UTF-8"))
    })?;
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
    let document = Document::new(text, file, base);
    let (table, faults) = DeTable::parse_recoverable(text);
    for fault in &faults {
        let place = document.place(fault.span().map_or(0, |span| span.start), String::new());
        document.refuse(&place, format!("not TOML: {}", fault.message()));
    }
    // What a recovering parser makes of the rest would be guesses.
    let config = faults.is_empty().then(|| read(&document, &table));
    let (errors, keys) = document.into_findings();
    match config {
        Some(config) if errors.is_empty() => (Ok(config), keys),
        _ => (Err(errors), keys),
    }
}

fn read<'d>(document: &'d Document, table: &'d toml::Spanned<DeTable<'d>>) -> Config {
    let mut root = document.root(table);
    let gateway = gateway::read(root.section_or_defaults("gateway"));
    let authorities = ca::read(document, root.sections("ca"));
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
        cas: authorities.cas,
        pools,
        sites,
    }
}
