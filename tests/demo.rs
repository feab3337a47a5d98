//! `sekisho demo` as its user meets it.

mod common;

use common::binary;
use std::process::Command;

#[test]
fn every_line_of_the_demo_answers_as_the_demo_says() {
    let output = Command::new(binary()).args(["demo", "--check"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(" passed, 0 failed") && !said.contains("FAIL"), "{said}");
    assert!(said.matches("PASS ").count() >= 35, "{said}");
}

#[test]
fn the_demo_refuses_to_write_into_a_folder_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("issuing-ca.key"), "a real key").unwrap();
    let output = Command::new(binary()).args(["demo", "--port", "0", "--folder"]).arg(folder.path()).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a development PKI"), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
