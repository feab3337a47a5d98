//! The section of benches/RESULTS.md that a whole run writes.

use crate::measure::server::binary;
use crate::report::{NAMES, NGINX_WITHOUT_LIST, OURS, Report, Revoked, Row, ratio_text, value_text};
use sekisho_runtime::clock;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const BEGIN: &str = "<!-- make bench-peers: begin (written by it; what is between the marks is replaced) -->";
const END: &str = "<!-- make bench-peers: end -->";

/// Puts the tables between the marks; the file has them.
pub fn write(report: &Report) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the file has a mark for the begin");
    let (_, after) = rest.split_once(END).expect("the file has a mark for the end");
    std::fs::write(&path, format!("{before}{BEGIN}\n\n{}\n{END}{after}", section(report))).unwrap();
    println!("written to {}", path.display());
}

/// The first line that a program says of its version.
pub fn version_of(program: &str) -> Option<String> {
    let output = Command::new(program).arg("-v").output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
}

fn section(report: &Report) -> String {
    let mut text = machine(report);
    let _ = writeln!(
        text,
        "\nServer CPU for each operation, unless the unit says otherwise; median of the rounds. Ratios are taken round by \
         round: median (least–greatest).\n"
    );
    let _ = writeln!(text, "| | nginx | HAProxy | sekisho | sekisho / nginx | sekisho / HAProxy |");
    let _ = writeln!(text, "|---|--:|--:|--:|--:|--:|");
    report.rows.iter().for_each(|row| text += &line(row));
    let _ = writeln!(text, "\nWhat the one client saw; its core also bears the upstream, and is the busier one.\n");
    let _ = writeln!(text, "| operations a second; p50, p99 in ms | nginx | HAProxy | sekisho |");
    let _ = writeln!(text, "|---|--:|--:|--:|");
    for row in report.rows.iter().filter(|row| row.of(OURS).is_some_and(|ours| ours.seen().is_some())) {
        let seen = |name| match row.of(name).and_then(|series| series.seen()) {
            Some((rate, p50, p99)) => format!("{rate:.0}; {p50:.2}, {p99:.2}"),
            None => "–".to_owned(),
        };
        let _ = writeln!(text, "| {} | {} |", row.title, NAMES.map(seen).join(" | "));
    }
    let _ = writeln!(text, "\n| | nginx | HAProxy | sekisho |\n|---|---|---|---|");
    for Revoked { what, outcomes } in &report.revoked {
        let outcomes: Vec<_> = outcomes.iter().map(|(_, outcome)| outcome.as_str()).collect();
        let _ = writeln!(text, "| {what} | {} |", outcomes.join(" | "));
    }
    let _ = writeln!(text, "\n`{}`", report.figures());
    text
}

fn line(row: &Row) -> String {
    let value = |name| row.of(name).map_or("–".to_owned(), |series| value_text(series.spread().median));
    let mut text = format!(
        "| {} ({}) | {} | {} | {} |\n",
        row.title,
        row.unit,
        NAMES.map(value).join(" | "),
        ratio_text(row.ratio(OURS, "nginx")),
        ratio_text(row.ratio(OURS, "HAProxy"))
    );
    for (name, ratio) in row.further() {
        let cells = match name {
            NGINX_WITHOUT_LIST => [value(name), "–".to_owned(), value(OURS), ratio_text(ratio), "–".to_owned()],
            _ => [
                "–".to_owned(),
                "–".to_owned(),
                value(name),
                format!("ours to it: {}", ratio_text(ratio)),
                "–".to_owned(),
            ],
        };
        let _ = writeln!(text, "| – *{name}* | {} |", cells.join(" | "));
    }
    text
}

fn machine(report: &Report) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kilobytes = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok();
        output.map(|output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned())
    };
    let built_with = said("nginx", &["-V"]).unwrap_or_default();
    let openssl = built_with.lines().find(|line| line.contains("OpenSSL")).unwrap_or_default().to_owned();
    let locked = |name: &str| {
        let wanted = format!("name = \"{name}\"\nversion = \"");
        let lock = include_str!("../../Cargo.lock");
        lock.split_once(&wanted).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
    };
    let other = std::env::var_os("SEKISHO_BENCH_BINARY").map(PathBuf::from);
    let commit = match other {
        None => said("git", &["describe", "--always", "--dirty"]).unwrap_or_default(),
        // Whatever the tree is at, the binary may be of another commit.
        Some(_) => std::env::var("SEKISHO_BENCH_COMMIT").unwrap_or_else(|_| "a binary that was given".to_owned()),
    };
    let size = std::fs::metadata(binary()).map_or(0, |file| file.len()) / 1_000_000;
    format!(
        "{date}, {model}, {cores} cores, {gigabytes:.0} GB, Linux {kernel}. Of the time in which \
         the servers could have run, {disturbance:.0} % went to something else. \
         {nginx} ({openssl}), {haproxy}, OpenSSL {openssl_of_haproxy}; sekisho {commit} ({size} MB, rustls {rustls}, \
         aws-lc-rs {aws_lc}, pingora {pingora}).",
        date = clock::now(),
        model = model.map_or("unknown", |(_, name)| name.trim()),
        gigabytes = kilobytes.unwrap_or_default() / 1e6,
        kernel = read("/proc/sys/kernel/osrelease").trim(),
        disturbance = report.disturbance(),
        nginx = version_of("nginx").unwrap_or_default(),
        haproxy = version_of("haproxy").unwrap_or_default(),
        openssl_of_haproxy = said("haproxy", &["-vv"])
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("Running on OpenSSL version : OpenSSL "))
            .unwrap_or_default(),
        rustls = locked("rustls"),
        aws_lc = locked("aws-lc-rs"),
        pingora = locked("pingora-core"),
    )
}
