//! The references are what the programs and the reference configurations say.

use crate::page::{self, is_generated};
use sekisho_runtime::metrics::{Declaration, Label};
use sekisho_testkit::harness::{binary, demo_binary, issuer_binary};
use std::path::Path;
use std::process::Command;

#[test]
fn the_reference_of_commands_is_what_the_programs_say() {
    let mut reference = String::new();
    for (name, program) in [("sekisho", binary()), ("sekisho-issuer", issuer_binary()), ("sekisho-demo", demo_binary())]
    {
        describe(program, &mut vec![name.to_owned()], &mut reference);
    }
    assert!(reference.matches("\n## ").count() > 15, "{reference}");
    is_generated("docs/reference/commands.md", &reference);
}

/// Adds the help of a command and of those below it.
fn describe(program: &Path, path: &mut Vec<String>, reference: &mut String) {
    let output = Command::new(program).args(&path[1..]).arg("--help").output().unwrap();
    assert!(output.status.success(), "{path:?}: {output:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = help.trim().lines().map(str::trim_end).collect();
    *reference += &format!("\n## {}\n\n```text\n{}\n```\n", path.join(" "), lines.join("\n"));
    let commands = lines.iter().skip_while(|line| **line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description of several lines is further in.
    let names = commands.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        path.push(name.to_owned());
        describe(program, path, reference);
        path.pop();
    }
}

#[test]
fn the_reference_of_the_configuration_is_what_the_reference_files_say() {
    let mut reference = String::new();
    for (title, file) in [("The gateway", "config/sekisho.toml"), ("The issuance service", "config/issuer.toml")] {
        reference += &format!("\n## {title}: `{file}`\n");
        let (text, before) = (page::read(file), reference.len());
        reference += &tables(&text);
        // No key of the file is left out because nothing is said of it.
        for line in text.lines().filter_map(|line| line.trim_start_matches(['#', ':']).split_once(" = ")) {
            let row = format!("| `{}` |", line.0);
            let is_key =
                line.0.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
            assert!(!is_key || reference[before..].contains(&row), "{file}: {} has no comment", line.0);
        }
    }
    assert!(reference.matches("\n| `").count() > 150, "{reference}");
    is_generated("docs/reference/configuration.md", &reference);
}

#[test]
fn the_reference_of_metrics_is_what_the_programs_declare() {
    let (gateway, issuer) = (sekisho::gateway::metric_declarations(), sekisho_issuer::metric_declarations());
    let (both, gateway): (Vec<_>, Vec<_>) = gateway.into_iter().partition(|one| issuer.contains(one));
    let issuer: Vec<_> = issuer.into_iter().filter(|one| !both.contains(one)).collect();
    assert!(gateway.len() > 40 && issuer.len() > 15 && both.len() > 5);
    let mut reference = String::new();
    for (title, declarations) in [("The gateway", gateway), ("The issuance service", issuer), ("Both", both)] {
        reference += &format!("\n## {title}\n\n| metric | type | labels | what it is |\n|---|---|---|---|\n");
        for declaration in declarations {
            let labels: Vec<_> = declaration.labels.iter().map(label).collect();
            let Declaration { name, kind, help, .. } = declaration;
            reference += &format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join("; "));
        }
    }
    is_generated("docs/reference/metrics.md", &reference);
}

/// A label, and its values where they are known; one that is empty is absent in the exposition.
fn label(label: &Label) -> String {
    let values = label.values.iter().flatten().filter(|value| !value.is_empty());
    let values: Vec<_> = values.map(|value| format!("`{value}`")).collect();
    if values.is_empty() { format!("`{}`", label.name) } else { format!("`{}`: {}", label.name, values.join(", ")) }
}

/// A table of a reference configuration.
struct Table {
    /// As it is written: `[gateway]`, `[[ca]]`.
    heading: String,
    off: bool,
    comment: String,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    value: String,
    off: bool,
    comment: String,
}

/// Returns the tables and keys of a reference configuration, each with the comment above it. A further table of one name is
/// an example of what the first has: of it, the keys with a comment of their own are added.
fn tables(text: &str) -> String {
    let (mut tables, mut comment) = (Vec::<Table>::new(), Vec::new());
    let (mut current, mut shared) = (None, false);
    for line in text.lines() {
        // What is off by default has no blank behind the `#`; `#:` excludes another key, and has a value where it counts.
        let is_key = |rest: &&str| rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[');
        let excluding = line.strip_prefix("#:").filter(is_key);
        let off = excluding.is_none() && line.strip_prefix('#').is_some_and(|rest| is_key(&rest));
        let plain = excluding.or_else(|| line.strip_prefix('#').filter(is_key)).unwrap_or(line);
        if line.starts_with("# ---") {
            comment.clear();
        } else if let Some(said) = line.strip_prefix("# ") {
            comment.push(said.trim());
        } else if plain.starts_with('[') {
            let found = tables.iter().position(|table| table.heading == plain);
            let comment = std::mem::take(&mut comment).join(" ");
            // The comment of a table says what its first keys are.
            shared = found.is_none() && !comment.is_empty();
            current = Some(found.unwrap_or_else(|| {
                tables.push(Table { heading: plain.to_owned(), off, comment, keys: Vec::new() });
                tables.len() - 1
            }));
        } else if let (Some((name, value)), Some(current)) = (plain.split_once(" = "), current) {
            let keys = &mut tables[current].keys;
            // Keys without a comment between them share the one above.
            if comment.is_empty() && !shared {
                continue;
            }
            shared = true;
            let said = std::mem::take(&mut comment).join(" ");
            let said = if said.is_empty() { "as above".to_owned() } else { said };
            if keys.iter().all(|key| key.name != name) {
                keys.push(Key { name: name.to_owned(), value: value.to_owned(), off, comment: said });
            }
        }
    }
    tables.iter().map(render).collect()
}

fn render(table: &Table) -> String {
    let off = if table.off { " (absent by default)" } else { "" };
    let mut out = format!("\n### `{}`{off}\n", table.heading);
    if !table.comment.is_empty() {
        out += &format!("\n{}\n", table.comment);
    }
    if !table.keys.is_empty() {
        out += "\n| key | value | what it does, and why |\n|---|---|---|\n";
    }
    let cell = |text: &str| text.replace('|', "\\|");
    for Key { name, value, off, comment } in &table.keys {
        // In a table that is absent, a key has this value once the table is written.
        let absent = if *off && !table.off { "absent; " } else { "" };
        out += &format!("| `{name}` | {absent}`{}` | {} |\n", cell(value), cell(comment));
    }
    out
}

#[test]
fn the_reference_of_the_api_is_what_the_document_says() {
    let output = Command::new(issuer_binary()).args(["serve", "--openapi"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut rows = String::from("| operation | what it does |\n|---|---|\n");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let summary = operation["summary"].as_str().unwrap().replace('\n', " ").replace('|', "\\|");
            rows += &format!("| `{} {path}` | {summary} |\n", method.to_uppercase());
        }
    }
    assert!(rows.lines().count() > 25, "{rows}");
    is_generated("docs/reference/api.md", &rows);
}
