//! The pictures of the crates and of the gateway's folders are what manifests and sources say.

use crate::page::{self, is_generated, root};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A part of the program: what it is, and which others it uses.
struct Part {
    does: String,
    uses: BTreeSet<String>,
}

type Parts = BTreeMap<String, Part>;

#[test]
fn the_pictures_of_the_architecture_are_what_the_code_says() {
    let crates = crates();
    let folders = folders();
    assert!(crates.len() > 5 && folders.len() > 8, "{} {}", crates.len(), folders.len());
    for parts in [&crates, &folders] {
        for name in parts.keys() {
            assert!(!reaches(parts, name, name, &mut BTreeSet::new()), "{name} is on a circle");
        }
    }
    let picture = format!(
        "## Crates\n\nAn arrow leads from a crate to one that it uses. Arrows that follow from others are left out.\n\n{}\n{}\n\
         ## Folders of the gateway\n\nAn arrow leads from a folder of `src/gateway` to one that it imports from.\n\n{}\n{}",
        drawn(&crates),
        listed("crate", &crates),
        drawn(&folders),
        listed("folder", &folders)
    );
    is_generated("docs/internals/architecture.md", &picture);
}

fn crates() -> Parts {
    let mut manifests = vec![("sekisho".to_owned(), "Cargo.toml".to_owned())];
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        manifests.push((format!("sekisho-{folder}"), format!("crates/{folder}/Cargo.toml")));
    }
    let mut parts = Parts::new();
    for (name, path) in manifests {
        let manifest: toml::Table = page::read(&path).parse().unwrap();
        let does = manifest["package"]["description"].as_str().unwrap().to_owned();
        let uses = manifest["dependencies"].as_table().unwrap().keys();
        let uses = uses.filter(|used| used.starts_with("sekisho-")).cloned().collect();
        parts.insert(name, Part { does, uses });
    }
    parts
}

fn folders() -> Parts {
    let gateway = root().join("src/gateway");
    let folders = std::fs::read_dir(&gateway).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let folders: Vec<_> = folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let named = regex::Regex::new(r"crate::gateway::([a-z_]+)").unwrap();
    let mut parts = Parts::new();
    for folder in &folders {
        let mut files = Vec::new();
        let rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
        page::collect(&gateway.join(folder), rust, &mut files);
        let mut uses = BTreeSet::new();
        // Unit tests may use what they like.
        for file in files.iter().filter(|file| !file.to_str().unwrap().ends_with("tests.rs")) {
            let source = std::fs::read_to_string(file).unwrap();
            let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<String>();
            uses.extend(named.captures_iter(&code).map(|found| found[1].to_owned()));
        }
        uses.retain(|used| used != folder && folders.contains(used));
        let module = [format!("src/gateway/{folder}/mod.rs"), format!("src/gateway/{folder}.rs")];
        let module = module.iter().find(|path| root().join(path).exists()).unwrap();
        let does = page::read(module)
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let does = does.split_inclusive(". ").next().unwrap().trim().to_owned();
        parts.insert(folder.clone(), Part { does, uses });
    }
    parts
}

/// Draws the arrows that do not follow from others.
fn drawn(parts: &Parts) -> String {
    let mut picture = "```mermaid\nflowchart TD\n".to_owned();
    for (name, part) in parts {
        for used in &part.uses {
            let others = part.uses.iter().filter(|other| *other != used);
            let follows = others.into_iter().any(|other| reaches(parts, other, used, &mut BTreeSet::new()));
            if !follows {
                picture += &format!("    {name} --> {used}\n");
            }
        }
    }
    picture + "```\n"
}

fn reaches<'a>(parts: &'a Parts, from: &'a str, to: &str, seen: &mut BTreeSet<&'a str>) -> bool {
    if !seen.insert(from) {
        return false;
    }
    let uses = parts.get(from).map(|part| &part.uses).into_iter().flatten();
    uses.into_iter().any(|used| used == to || reaches(parts, used, to, seen))
}

fn listed(kind: &str, parts: &Parts) -> String {
    let mut table = format!("| {kind} | what it does | uses |\n|---|---|---|\n");
    for (name, Part { does, uses }) in parts {
        let uses: Vec<_> = uses.iter().map(|used| format!("`{used}`")).collect();
        table += &format!("| `{name}` | {} | {} |\n", does.replace(['[', ']'], ""), uses.join(", "));
    }
    table
}
