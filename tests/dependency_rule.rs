//! The dependency rule: which crate may depend on which other, what the gateway's program must not be built with, and what
//! a manifest cannot say: which code is pure, and where in a crate a third-party crate lives.
//!
//! Reads every path in `src/**` and `crates/*/src/**` that begins with `crate::`, `super::` or the name of a crate, in
//! code and not in comments, strings or tests. A module is written as its crate's folder and its path in it; the root
//! package's modules as they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which crates of the workspace each crate may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("pki", &[]),
    ("config", &["pki"]),
    ("runtime", &["pki", "config"]),
    ("trust", &["pki", "config", "runtime"]),
    ("ca", &["pki", "runtime"]),
    ("lifecycle", &["pki", "config"]),
    ("issuer", &["pki", "config", "runtime", "trust", "ca", "lifecycle"]),
    ("testkit", &["pki", "config", "runtime", "trust"]),
    // The root package: the gateway.
    ("", &["pki", "config", "runtime", "trust"]),
];

/// What the gateway's program must not be built with: it faces the internet, and signs, stores and mails nothing.
const NOT_IN_THE_GATEWAY: &[&str] = &[
    "sqlx",
    "lettre",
    "argon2",
    "totp-rs",
    "p12-keystore",
    "pkcs12",
    "rcgen",
    "utoipa",
    "axum",
    "sekisho-ca",
    "sekisho-lifecycle",
    "sekisho-issuer",
];

/// Which top modules of the root package may name which other.
const MAY_NAME: &[(&str, &[&str])] =
    &[("main", &["cli"]), ("cli", &["gateway", "load"]), ("load", &[]), ("gateway", &[]), ("lib", &[])];

/// The gateway's folders and files in the order a connection takes them: each may name only what stands before it.
const GATEWAY_ORDER: &[&str] = &[
    "verify",
    "base",
    "request",
    "metrics",
    "snapshot",
    "tls",
    "live",
    "revocation",
    "control",
    "proxy",
    "admin",
    "run",
    "terminator",
];

/// What breaks the order still: `Gateway`, which all of them share, taken whole.
/// A file that does so no more is to be taken off; none is to be added.
const TAKES_THE_GATEWAY_WHOLE: &[&str] = &[
    "gateway/admin",
    "gateway/admin/blocks",
    "gateway/admin/exposition",
    "gateway/control/reload",
    "gateway/live/publish",
    "gateway/proxy",
    "gateway/revocation/answers",
    "gateway/revocation/blocks",
    "gateway/revocation/feed",
    "gateway/revocation/feed/acknowledge",
    "gateway/revocation/feed/apply",
    "gateway/revocation/feed/follow",
    "gateway/revocation/feed/keep",
    "gateway/revocation/feed/stream",
    "gateway/revocation/fetch",
    "gateway/revocation/outstanding",
    "gateway/revocation/settle",
    "gateway/revocation/sources",
    "gateway/revocation/withdrawn",
    "gateway/run",
    "gateway/terminator",
    "gateway/tls/handshake",
];

/// Code that is given everything it needs: no clock, file, network or runtime.
const PURE: &[&str] = &[
    "pki",
    "trust/feed",
    "gateway/verify",
    "gateway/verify/identity",
    "gateway/request/access",
    "gateway/request/headers",
    "gateway/request/refusal",
    "ca",
    "lifecycle",
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
    &["trust/feed/keep", "gateway/verify/cache", "gateway/verify/kept_headers", "ca/key_file"];

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
    "sekisho_runtime",
];

/// The home of each third-party crate that has one inside its crate.
const HOMES: &[(&str, &[&str])] = &[
    ("h2", &["gateway/proxy", "testkit"]),
    ("moka", &["gateway/verify/cache"]),
    ("prometheus", &["runtime/metrics"]),
    ("clap", &["cli", "issuer/cli", "testkit/main"]),
    ("notify", &["gateway/control/watch"]),
    ("mimalloc", &["main", "issuer/main", "testkit/main"]),
    ("rustix", &["runtime/metrics/process", "runtime/process", "trust/background", "gateway/base/descriptors"]),
    ("tracing_subscriber", &["runtime/telemetry"]),
    ("p12_keystore", &["testkit", "ca/p12"]),
    // The gateway's HTTP is pingora's.
    ("hyper", &["testkit", "issuer", "load"]),
    ("hyper_util", &["testkit", "issuer", "load"]),
    ("http_body_util", &["testkit", "issuer", "load"]),
    ("utoipa", &["issuer/api"]),
    ("utoipa_axum", &["issuer/api"]),
    ("sqlx", &["issuer/store"]),
    ("argon2", &["issuer/authenticate"]),
    ("totp_rs", &["issuer/authenticate"]),
    (
        "reqwest",
        &[
            "cli/block",
            "gateway/revocation/feed",
            "gateway/snapshot/feed_source",
            "issuer/authenticate",
            "runtime/telemetry/outbound",
            "trust/sources",
        ],
    ),
    ("lettre", &["issuer/outbox"]),
    ("hdrhistogram", &["load"]),
];

/// `std::time::SystemTime` may be named here only (invariant 5).
const CLOCK: &str = "runtime/clock";

/// One path that code names, and where.
#[derive(Debug)]
struct Named {
    line: usize,
    path: String,
}

/// The breaches in one file; `module` is its crate's folder and its path below `src`, without `.rs`.
fn breaches(module: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let top = module.split('/').next().unwrap();
    let allowed = MAY_NAME.iter().find(|(name, _)| *name == top).map(|(_, allowed)| *allowed);
    if allowed.is_none() && !MAY_DEPEND_ON.iter().any(|(name, _)| *name == top) {
        return vec![format!("{module}: neither a crate nor a top module that the dependency rule knows")];
    }
    let within = |homes: &[&str]| homes.iter().any(|home| lies_in(module, home));
    let is_pure = within(PURE) && !within(IMPURE_WITHIN_PURE);
    for Named { line, path } in named_paths(module, source) {
        let mut breach = |why: String| found.push(format!("{module}.rs:{line}: {path}: {why}"));
        if let (Some(allowed), Some(other)) = (allowed, path.strip_prefix("crate::")) {
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
            breach(format!("the clock is read in {CLOCK}"));
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![(String::new(), root.join("src"))];
    for (name, _) in MAY_DEPEND_ON.iter().filter(|(name, _)| !name.is_empty()) {
        folders.push((format!("{name}/"), root.join("crates").join(name).join("src")));
    }
    let mut sources = Vec::new();
    for (of, folder) in folders {
        let mut files = Vec::new();
        collect(&folder, &mut files);
        for path in files {
            let relative = path.strip_prefix(&folder).unwrap().with_extension("");
            // `mod.rs` is its folder and `lib.rs` its crate, for `super::` as well.
            let relative = relative.to_str().unwrap().trim_end_matches("/mod");
            let module = if relative == "lib" { of.clone() + "lib" } else { format!("{of}{relative}") };
            let module = if of.is_empty() { module } else { module.trim_end_matches("/lib").to_owned() };
            sources.push((module, std::fs::read_to_string(&path).unwrap()));
        }
    }
    let is_test = |module: &str| {
        let name = module.rsplit('/').next().unwrap();
        name == "tests" || name.ends_with("_tests") || module.contains("/tests/")
    };
    sources.retain(|(module, _)| !is_test(module));
    sources
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

/// The folder or file of the gateway that a path leads into; none for what `gateway/mod.rs` itself has.
fn place_in_order(path: &str) -> Option<usize> {
    let first = path.strip_prefix("crate::gateway::")?.split("::").next()?;
    GATEWAY_ORDER.iter().position(|name| *name == first)
}

/// What a file of the gateway names that stands after it, and whether it takes `Gateway` whole.
fn against_the_order(module: &str, source: &str) -> (Vec<String>, bool) {
    let Some(own) = module
        .strip_prefix("gateway/")
        .and_then(|rest| place_in_order(&format!("crate::gateway::{}", rest.replace('/', "::"))))
    else {
        return (Vec::new(), false);
    };
    let paths = named_paths(module, source);
    let later = |named: &Named| place_in_order(&named.path).is_some_and(|other| other > own);
    let found =
        paths.iter().filter(|named| later(named)).map(|named| format!("{module}.rs:{}: {}", named.line, named.path));
    (found.collect(), paths.iter().any(|named| named.path == "crate::gateway::Gateway"))
}

#[test]
fn the_gateways_folders_stand_in_the_order_a_connection_takes_them() {
    let (mut found, mut whole) = (Vec::new(), Vec::new());
    for (module, source) in sources() {
        let (later, takes_whole) = against_the_order(&module, &source);
        found.extend(later);
        if takes_whole {
            whole.push(module);
        }
    }
    whole.sort();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(whole, TAKES_THE_GATEWAY_WHOLE, "see TAKES_THE_GATEWAY_WHOLE");
    let (planted, whole) = against_the_order("gateway/tls/session", "use crate::gateway::{Gateway, proxy::Proxy};");
    assert!(planted.len() == 1 && whole, "{planted:?}");
    assert_eq!(
        against_the_order("gateway/proxy/admit", "use crate::gateway::tls::session; use super::peer;"),
        (vec![], false)
    );
}

#[test]
fn a_planted_breach_is_found() {
    for (module, source) in [
        ("pki/name", "use std::{fmt, fs::File};"),
        ("pki/name", "fn f() -> std::time::Instant { todo!() }"),
        ("gateway/request/access", "use sekisho_runtime::clock;"),
        ("gateway/verify", "use tokio::sync::watch;"),
        ("gateway/verify/path", "use moka::sync::Cache;"),
        ("gateway/request/headers/set", "fn f(header: &mut pingora_http::RequestHeader) {}"),
        ("gateway/request/refusal", "fn f(body: &mut h2::RecvStream) {}"),
        ("gateway/verify/identity", "use std::{collections::HashMap, time::{Duration, SystemTime}};"),
        ("gateway/proxy", "use crate::load::Plan;"),
        ("gateway/proxy/peer", "use super::super::super::cli;"),
        ("load", "use crate::gateway::live::registry;"),
        ("ca/crl/list", "use std::time::SystemTime;"),
        ("ca/crl/list", "use sekisho_runtime::clock;"),
        ("lifecycle", "use sqlx::Row;"),
        ("lifecycle/acquire", "use sekisho_runtime::clock;"),
        ("lifecycle", "use std::fs;"),
        ("config/reader", "use std::time::SystemTime;"),
        ("wholly_new", "fn f() {}"),
        // Not hidden by what stands around it.
        ("pki/name", "const A: &str = \"{\"; use std::fs;"),
        ("pki/name", "const A: char = '\"'; use std::fs; const B: char = '\"';"),
        ("pki/name", "const A: &str = r#\"\"}\"#; use std::fs;"),
        ("pki/name", "#[cfg(test)]\nmod tests { fn f() {} }\nuse std::fs;"),
        ("pki/name", "fn f<'a>(x: &'a str) {} use std::fs;"),
    ] {
        assert!(!breaches(module, source).is_empty(), "{module}.rs: {source}");
    }
}

#[test]
fn what_is_allowed_is_not_a_breach() {
    for (module, source) in [
        ("gateway/verify/cache", "use moka::sync::Cache; use sekisho_runtime::clock;"),
        ("gateway/verify/path", "use super::types::Reason; use sekisho_trust::TrustSnapshot; use std::time::Duration;"),
        ("pki/name", "// use std::fs;\n/// [`std::fs::read`]\nconst A: &str = \"use std::fs;\";"),
        ("pki/name", "#[cfg(test)]\nmod tests { use sekisho_testkit::pki::PkiDir; use std::fs; }"),
        ("pki/name", "#[cfg(test)]\nuse std::fs;\nfn f() {}"),
        ("runtime/clock", "use std::time::{SystemTime, UNIX_EPOCH};"),
        ("cli/gateway", "use crate::gateway; use sekisho_config as config; use clap::Args;"),
    ] {
        assert_eq!(breaches(module, source), [""; 0], "{module}.rs: {source}");
    }
}

/// The names in one table of a manifest, `sekisho-` ones without it.
fn names_in(manifest: &str, table: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest)).unwrap();
    let (_, below) = text.split_once(&format!("\n[{table}]\n")).unwrap();
    let lines = below.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(['.', ' '])?.0.to_owned()))
        .collect()
}

#[test]
fn the_crates_depend_on_one_another_one_way() {
    let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates")).unwrap();
    assert_eq!(folders.count(), MAY_DEPEND_ON.len() - 1, "a crate that the dependency rule does not know");
    for (name, allowed) in MAY_DEPEND_ON {
        let manifest = if name.is_empty() { "Cargo.toml".to_owned() } else { format!("crates/{name}/Cargo.toml") };
        for other in names_in(&manifest, "dependencies") {
            if let Some(other) = other.strip_prefix("sekisho-") {
                assert!(allowed.contains(&other), "{manifest}: {other}");
            }
        }
    }
}

#[test]
fn the_gateways_program_is_built_without_what_signs_stores_and_mails() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "tree",
        "--offline",
        "--locked",
        "--package",
        "sekisho",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let packages: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains("pingora-core") && packages.contains("sekisho-trust"), "{packages:?}");
    let found: Vec<_> = NOT_IN_THE_GATEWAY.iter().filter(|name| packages.contains(**name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_home_is_of_a_crate_that_is_in_the_manifest() {
    let dependencies: BTreeSet<String> =
        names_in("Cargo.toml", "workspace.dependencies").iter().map(|name| name.replace('-', "_")).collect();
    for (name, _) in HOMES {
        assert!(dependencies.contains(*name), "{name} has a home and is not in Cargo.toml");
    }
}
