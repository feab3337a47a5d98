//! `sekisho-demo` as its user meets it.

use sekisho_testkit::harness as common;

use common::demo_binary;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

#[test]
fn every_line_of_the_demo_answers_as_the_demo_says() {
    let output = Command::new(demo_binary()).args(["--check"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(" passed, 0 failed") && !said.contains("FAIL"), "{said}");
    assert!(said.matches("PASS ").count() >= 35, "{said}");
}

#[test]
fn the_demo_refuses_to_write_into_a_folder_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("issuing-ca.key"), "a real key").unwrap();
    let output = Command::new(demo_binary()).args(["--port", "0", "--folder"]).arg(folder.path()).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a development PKI"), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_demo_shows_one_screen_and_logs_to_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("dev");
    let mut command = Command::new(demo_binary());
    command.args(["--port", "0", "--folder"]).arg(&folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = command.spawn().unwrap();
    let mut shown = Vec::new();
    for line in BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap) {
        shown.push(line);
        if shown.last().unwrap() == "Ctrl-C ends it." {
            break;
        }
    }
    let stopped = Command::new("sh").args(["-c", &format!("kill -TERM {}", demo.id())]).status().unwrap();
    let mut errors = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(demo.wait().unwrap().success() && stopped.success(), "{errors}");
    assert!(errors.is_empty(), "{errors}");
    assert!(shown.len() <= 30 && shown.iter().all(|line| !line.starts_with('{')), "{}", shown.join("\n"));
    assert!(shown.iter().any(|line| line.contains("steps walked, 0 failed")), "{}", shown.join("\n"));
    for log in ["gateway.log", "issuer.log"] {
        let text = std::fs::read_to_string(folder.join("log").join(log)).unwrap();
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}: {text}");
        assert!(text.contains("listening") && text.matches("not mailed").count() <= 1, "{log}: {text}");
    }
    assert!(std::fs::read_to_string(folder.join("log/try.txt")).unwrap().matches("curl ").count() > 30);
}
