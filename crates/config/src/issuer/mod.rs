//! The issuer's configuration file: TOML becomes types that cannot be wrong, or every error at once.
//!
//! One file a group of tables. `config/issuer.toml` is the reference: every key, its default and why.

mod authority;
mod callers;
mod credentials;
pub mod defaults;
mod feed;
mod mail;
mod server;
mod types;

pub use types::*;

use super::reader::{Document, Item, KeyUse, Section};
use super::types::{ConfigError, Placed};
use super::values::placed_path;
use super::{FILE_BYTES, file};
use std::path::{Path, PathBuf};

/// Reads a configuration file. Relative paths in it start at its own folder.
///
/// # Errors
/// Every error of the file, in the order of its lines; none of them stops the search for the others, but for the first
/// error of TOML itself, which comes alone.
pub fn load(path: &Path) -> Result<IssuerConfig, Vec<ConfigError>> {
    let (text, file) = file::read_text(path, FILE_BYTES)?;
    parse(&text, &file, path.parent().unwrap_or(Path::new("")))
}

/// Reads a configuration from memory; `file` is its name in messages, `base` the folder where relative paths start.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &str, base: &Path) -> Result<IssuerConfig, Vec<ConfigError>> {
    parse_with_keys(text, file, base).0
}

/// The configuration, and every key that a reader asked for.
fn parse_with_keys(text: &str, file: &str, base: &Path) -> (Result<IssuerConfig, Vec<ConfigError>>, Vec<KeyUse>) {
    Document::read(text, file, base, read)
}

fn read<'d>(document: &'d Document, mut root: Section<'d>) -> IssuerConfig {
    let config = IssuerConfig {
        issuer: server::read(root.section_or_defaults("issuer")),
        store: server::store(root.section_or_defaults("store")),
        profiles: profiles(&mut root),
        authorities: authority::read(document, &mut root),
        services: callers::services(document, root.sections("service")),
        gateway: root.section("gateway").map(callers::gateway),
        feed: root.section("feed").map(feed::read),
        credentials: credentials::read(root.section_or_defaults("credentials")),
        mail: root.section("mail").map(mail::read),
        limits: server::limits(root.section_or_defaults("limits")),
    };
    callers::check(&root, &config);
    feed::check(&root, &config);
    root.finish();
    config
}

fn profiles(root: &mut Section<'_>) -> Vec<Placed<PathBuf>> {
    const ADVICE: &str = "write the file of the product's rules: file = \"profiles/bizstation.toml\"";
    if !root.has("profile") {
        root.refuse_missing("profile", "add a [[profile]] table with the file of each product's rules");
    }
    let mut files: Vec<Placed<PathBuf>> = Vec::new();
    for mut section in root.sections("profile") {
        let file = section.required("file", ADVICE, placed_path);
        if let Some(first) = files.iter().find(|first| first.value == file.value && section.has("file")) {
            let message = format!("{} is already a profile at line {}", file.value.display(), first.place.line);
            section.document.refuse(&file.place, message);
        }
        section.finish();
        files.push(file);
    }
    files
}

/// As [`Section::required`], for types without a default: `stand_in` is what stands there after an error.
fn must<'d, T>(
    section: &mut Section<'d>,
    key: &'static str,
    advice: &str,
    stand_in: T,
    read: impl FnOnce(&Item<'d>) -> Option<T>,
) -> T {
    let value = section.optional(key, read);
    if !section.has(key) {
        section.refuse_missing(key, advice);
    }
    value.unwrap_or(stand_in)
}

#[cfg(test)]
mod tests;
