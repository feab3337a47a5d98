//! The dependency rule: which module may name which other, and where each third-party crate lives.
//!
//! Reads every path in `src/**` that begins with `crate::`, `super::` or the name of a crate, in code and not in
//! comments, strings or tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which top modules each top module may name beside itself: `cli -> gateway -> trust -> pki`, and what both use.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &["demo", "gateway", "issuer", "load", "trust", "pki", "config", "telemetry", "clock", "shutdown", "process"],
    ),
    ("demo", &["pki", "clock"]),
    ("load", &["pki"]),
    ("issuer", &["pki", "config", "telemetry", "clock", "shutdown", "process"]),
    ("gateway", &["trust", "pki", "config", "telemetry", "clock", "shutdown", "process"]),
    ("trust", &["pki", "config", "telemetry", "clock", "process"]),
    ("config", &["pki"]),
    ("telemetry", &["pki", "config", "clock"]),
    ("shutdown", &["telemetry"]),
    ("clock", &["pki"]),
    ("process", &[]),
    ("pki", &[]),
    ("lib", &[]),
];

/// Code that is given everything it needs: no clock, file, network or runtime.
const PURE: &[&str] = &[
    "pki",
    "trust/feed",
    "gateway/verify",
    "gateway/identity",
    "gateway/access",
    "gateway/headers",
    "gateway/refusal",
    "issuer/ca",
    "issuer/lifecycle",
    "issuer/audit",
    "issuer/authenticate/assertion",
    "issuer/authenticate/key_set",
    "issuer/authenticate/one_time_password",
    "issuer/authenticate/password",
    "issuer/outbox/text",
];

/// The exceptions: the caches of verified chains and of their headers, the feed's state on disk, and the files with the
/// authorities' keys.
const IMPURE_WITHIN_PURE: &[&str] =
    &["trust/feed/keep", "gateway/verify/cache", "gateway/headers/kept", "issuer/ca/key_file"];

/// What pure code may not name.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_rustls",
    "pingora_core",
    "h2",
    "pingora_load_balancing",
    "pingora_http",
    "prometheus",
    "moka",
    "arc_swap",
    "notify",
    "std::fs",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::os::unix::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "crate::clock",
    "crate::process",
    "crate::telemetry",
];

/// The home of each third-party crate that has one. Modules are written as paths below `src`.
const HOMES: &[(&str, &[&str])] = &[
    ("pingora_core", &["gateway"]),
    ("h2", &["gateway/proxy"]),
    ("pingora_load_balancing", &["gateway"]),
    ("pingora_http", &["gateway"]),
    ("moka", &["gateway/verify/cache"]),
    ("prometheus", &["gateway/metrics", "issuer/metrics", "telemetry"]),
    ("toml", &["config"]),
    ("clap", &["cli"]),
    ("notify", &["trust", "gateway/watch"]),
    ("mimalloc", &["main"]),
    ("rustix", &["process", "trust/background", "gateway/descriptors"]),
    ("tracing_subscriber", &["telemetry"]),
    // The certification authority writes its own DER: what is to be signed must exist before the signature.
    ("rcgen", &["demo"]),
    ("p12_keystore", &["demo", "issuer/ca/p12"]),
    ("zeroize", &["issuer", "cli", "process", "gateway/site"]),
    // The gateway's HTTP is pingora's.
    ("hyper", &["demo", "issuer", "load"]),
    ("hyper_util", &["demo", "issuer", "load"]),
    ("http_body_util", &["demo", "issuer", "load"]),
    ("axum", &["issuer"]),
    ("utoipa", &["issuer/api"]),
    ("utoipa_axum", &["issuer/api"]),
    ("sqlx", &["issuer/store"]),
    ("argon2", &["issuer/authenticate"]),
    ("totp_rs", &["issuer/authenticate"]),
    ("reqwest", &["cli/block", "gateway/feed", "issuer/authenticate", "telemetry/outbound", "trust/sources"]),
    ("lettre", &["issuer/outbox"]),
    ("tokio_tungstenite", &["demo"]),
    ("time", &["demo"]),
    ("hdrhistogram", &["load"]),
];

/// `std::time::SystemTime` may be named here only (invariant 5).
const CLOCK: &str = "clock";

/// One path that code names, and where.
#[derive(Debug)]
struct Named {
    line: usize,
    path: String,
}

/// The breaches in one file; `module` is its path below `src` without `.rs`.
fn breaches(module: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let top = module.split('/').next().unwrap();
    let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == top) else {
        return vec![format!("{module}: a top module that the dependency rule does not know")];
    };
    let within = |homes: &[&str]| homes.iter().any(|home| lies_in(module, home));
    let is_pure = within(PURE) && !within(IMPURE_WITHIN_PURE);
    for Named { line, path } in named_paths(module, source) {
        let mut breach = |why: String| found.push(format!("src/{module}.rs:{line}: {path}: {why}"));
        if let Some(other) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("sekisho::")) {
            let other = other.split("::").next().unwrap();
            let is_known = MAY_NAME.iter().any(|(name, _)| *name == other);
            if is_known && other != top && !allowed.contains(&other) {
                breach(format!("{top} may not name {other}"));
            }
        }
        let is_or_below = |name: &str| path == name || path.starts_with(&format!("{name}::"));
        if is_pure && IMPURE.iter().any(|name| is_or_below(name)) {
            breach("this module is pure".to_owned());
        }
        if let Some((name, homes)) = HOMES.iter().find(|(name, _)| is_or_below(name))
            && !within(homes)
        {
            breach(format!("{name} lives in {}", homes.join(", ")));
        }
        if is_or_below("std::time::SystemTime") && module != CLOCK {
            breach("the clock is read in clock.rs".to_owned());
        }
    }
    found
}

fn lies_in(module: &str, home: &str) -> bool {
    module == home || module.starts_with(&format!("{home}/"))
}

/// Every path that code names, `use` groups expanded and `super::` resolved to `crate::`.
fn named_paths(module: &str, source: &str) -> Vec<Named> {
    let code = without_tests(&without_comments_and_strings(source));
    let mut named = Vec::new();
    let mut rest = code.as_str();
    let mut line = 1;
    while let Some(start) = rest.find(|character: char| character.is_ascii_alphabetic() || character == '_') {
        line += rest[..start].matches('\n').count();
        let glued = rest[..start].ends_with("::") || rest[..start].ends_with(['.', '\'']);
        rest = &rest[start..];
        let end = rest.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let word = &rest[..end.unwrap_or(rest.len())];
        if word == "use" {
            let statement = &rest[..rest.find(';').unwrap_or(rest.len())];
            let mut paths = Vec::new();
            expand(statement["use".len()..].trim(), "", &mut paths);
            named.extend(paths.into_iter().map(|path| Named { line, path: resolved(module, &path) }));
            line += statement.matches('\n').count();
            rest = &rest[statement.len()..];
        } else {
            let path_end =
                rest.find(|character: char| !(character.is_ascii_alphanumeric() || "_:".contains(character)));
            let path = rest[..path_end.unwrap_or(rest.len())].trim_end_matches(':');
            if path.contains("::") && !glued {
                named.push(Named { line, path: resolved(module, path) });
            }
            rest = &rest[path.len().max(word.len())..];
        }
    }
    named
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn expand(tree: &str, prefix: &str, paths: &mut Vec<String>) {
    let tree = tree.trim().trim_start_matches("::");
    if let Some(open) = tree.find('{') {
        let prefix = format!("{prefix}{}", tree[..open].trim());
        let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
        let (mut depth, mut start) = (0, 0);
        for (index, character) in inner.char_indices().chain([(inner.len(), ',')]) {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&inner[start..index], &prefix, paths);
                    start = index + 1;
                }
                _ => {}
            }
        }
    } else if !tree.is_empty() {
        let path = tree.split(" as ").next().unwrap().trim();
        paths.push(format!("{prefix}{path}").trim_end_matches("::self").to_owned());
    }
}

/// `super::x` of `gateway/verify/path` as `crate::gateway::verify::x`.
fn resolved(module: &str, path: &str) -> String {
    let mut at: Vec<_> = module.split('/').collect();
    let mut rest = path.strip_prefix("self::").unwrap_or(path);
    if !rest.starts_with("super::") {
        return rest.to_owned();
    }
    while let Some(above) = rest.strip_prefix("super::") {
        at.pop();
        rest = above;
    }
    let above: String = at.iter().map(|part| format!("{part}::")).collect();
    format!("crate::{above}{rest}")
}

/// Blanks comments, strings and characters, and keeps the lines.
fn without_comments_and_strings(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut code = String::new();
    let mut index = 0;
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let skip = |from: usize, to: usize, code: &mut String| {
        code.extend(characters[from..to.min(characters.len())].iter().filter(|character| **character == '\n'));
        code.push(' ');
        to
    };
    while index < characters.len() {
        let before = if index == 0 { ' ' } else { at(index - 1) };
        let begins_word = !(before.is_ascii_alphanumeric() || before == '_');
        if at(index) == '/' && at(index + 1) == '/' {
            let end = (index..characters.len()).find(|end| at(*end) == '\n').unwrap_or(characters.len());
            index = skip(index, end, &mut code);
        } else if at(index) == '/' && at(index + 1) == '*' {
            let end = (index + 2..characters.len()).find(|end| at(*end) == '*' && at(end + 1) == '/');
            index = skip(index, end.map_or(characters.len(), |end| end + 2), &mut code);
        } else if at(index) == 'r'
            && begins_word
            && matches!((at(index + 1), at(index + 2)), ('"', _) | ('#', '"' | '#'))
        {
            let hashes = (index + 1..).take_while(|position| at(*position) == '#').count();
            let opened = index + 2 + hashes;
            let closes = |end: &usize| at(*end) == '"' && (1..=hashes).all(|offset| at(end + offset) == '#');
            let end = (opened..characters.len()).find(closes);
            index = skip(index, end.map_or(characters.len(), |end| end + 1 + hashes), &mut code);
        } else if at(index) == '"' {
            let mut end = index + 1;
            while end < characters.len() && at(end) != '"' {
                end += if at(end) == '\\' { 2 } else { 1 };
            }
            index = skip(index, end + 1, &mut code);
        } else if at(index) == '\'' && (at(index + 1) == '\\' || at(index + 2) == '\'') {
            let from = index + if at(index + 1) == '\\' { 3 } else { 2 };
            let end = (from..characters.len()).find(|end| at(*end) == '\'').unwrap_or(characters.len());
            index = skip(index, end + 1, &mut code);
        } else {
            code.push(at(index));
            index += 1;
        }
    }
    code
}

/// Blanks everything below `#[cfg(test)]` that opens a block.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let item = &rest[start..];
        let end = match (item.find('{'), item.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|semicolon| open < semicolon) => closing(item, open),
            (_, Some(semicolon)) => semicolon + 1,
            _ => item.len(),
        };
        kept.extend(item[..end].chars().filter(|character| *character == '\n'));
        rest = &item[end..];
    }
    kept + rest
}

fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (index, character) in text.char_indices().skip_while(|(index, _)| *index < open) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    text.len()
}

/// Every source file with its module path; files of tests are left out.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let module = |path: &Path| {
        let relative = path.strip_prefix(&root).unwrap().with_extension("");
        // `mod.rs` is its folder, for `super::` as well.
        relative.to_str().unwrap().trim_end_matches("/mod").to_owned()
    };
    let is_test = |module: &str| {
        let name = module.rsplit('/').next().unwrap();
        name == "tests" || name.ends_with("_tests") || module.contains("/tests/")
    };
    let sources = files.into_iter().map(|path| (module(&path), std::fs::read_to_string(&path).unwrap()));
    sources.filter(|(module, _)| !is_test(module)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn no_module_names_what_the_dependency_rule_forbids() {
    let sources = sources();
    assert!(sources.len() > 10, "where are the sources?");
    let found: Vec<_> = sources.iter().flat_map(|(module, source)| breaches(module, source)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_breach_is_found() {
    for (module, source) in [
        ("pki/name", "use crate::gateway::verify;"),
        ("pki/name", "fn f() { crate::trust::load(); }"),
        ("trust/store", "use crate::{pki::name, gateway};"),
        ("pki/name", "use super::super::trust::load;"),
        ("pki/name", "use std::{fmt, fs::File};"),
        ("pki/name", "fn f() -> std::time::Instant { todo!() }"),
        ("gateway/access", "use crate::clock;"),
        ("gateway/verify", "use tokio::sync::watch;"),
        ("gateway/verify/path", "use moka::sync::Cache;"),
        ("gateway/headers/set", "fn f(header: &mut pingora_http::RequestHeader) {}"),
        ("gateway/refusal", "fn f(body: &mut h2::RecvStream) {}"),
        ("gateway/identity", "use std::{collections::HashMap, time::{Duration, SystemTime}};"),
        ("gateway/proxy", "use rcgen::KeyPair;"),
        ("gateway/proxy", "use crate::demo::pki;"),
        ("gateway/proxy", "use crate::issuer::ca;"),
        ("issuer/ca/key", "use crate::gateway::registry;"),
        ("issuer/ca/key", "use crate::trust::TrustSnapshot;"),
        ("issuer/ca/crl/list", "use std::time::SystemTime;"),
        ("issuer/ca/crl/list", "use crate::clock;"),
        ("issuer/lifecycle", "use rcgen::KeyPair;"),
        ("trust", "use pingora_core::server::Server;"),
        ("cli/check", "/* fine */ use toml::Value; // not fine"),
        ("config/reader", "use std::time::SystemTime;"),
        ("demo/app", "use crate::gateway::verify;"),
        ("gateway/proxy", "use crate::issuer::lifecycle;"),
        ("issuer", "use crate::gateway;"),
        ("issuer/profile", "use crate::trust::TrustSnapshot;"),
        ("issuer/lifecycle/acquire", "use crate::clock;"),
        ("issuer/lifecycle", "use std::fs;"),
        ("wholly_new", "fn f() {}"),
        // Not hidden by what stands around it.
        ("pki/name", "const A: &str = \"{\"; use std::fs;"),
        ("pki/name", "const A: char = '\"'; use std::fs; const B: char = '\"';"),
        ("pki/name", "const A: &str = r#\"\"}\"#; use std::fs;"),
        ("pki/name", "#[cfg(test)]\nmod tests { fn f() {} }\nuse std::fs;"),
        ("pki/name", "fn f<'a>(x: &'a str) {} use std::fs;"),
    ] {
        assert!(!breaches(module, source).is_empty(), "src/{module}.rs: {source}");
    }
}

#[test]
fn what_is_allowed_is_not_a_breach() {
    for (module, source) in [
        ("gateway/verify/cache", "use moka::sync::Cache; use crate::clock;"),
        ("gateway/verify/path", "use super::types::Reason; use crate::trust::TrustSnapshot; use std::time::Duration;"),
        ("pki/name", "// use std::fs;\n/// [`std::fs::read`]\nconst A: &str = \"use std::fs;\";"),
        ("pki/name", "#[cfg(test)]\nmod tests { use crate::demo::pki::PkiDir; use std::fs; }"),
        ("pki/name", "#[cfg(test)]\nuse std::fs;\nfn f() {}"),
        ("clock", "use std::time::{SystemTime, UNIX_EPOCH};"),
        ("trust/watch", "use notify::Watcher; use tokio::sync::watch;"),
        ("cli/gateway", "use crate::gateway; use crate::config; use clap::Args;"),
    ] {
        assert_eq!(breaches(module, source), [""; 0], "src/{module}.rs: {source}");
    }
}

#[test]
fn every_home_is_of_a_crate_that_is_in_the_manifest() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let dependencies: BTreeSet<_> = manifest
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect();
    for (name, _) in HOMES {
        assert!(dependencies.contains(*name), "{name} has a home and is not in Cargo.toml");
    }
}
