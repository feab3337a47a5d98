//! `sekisho verify` as it is built.

use crate::pki::{CN, Ca, PATTERN, World, below, pem};
use std::process::{Command, Output};

const AT: [&str; 2] = ["--at", "2026-06-01T00:00:00Z"];

/// A folder with the bank's files, and its CAs.
fn bank() -> (World, Ca, Ca) {
    let (world, root, issuing) = World::bank();
    let leaf = issuing.leaf(CN);
    world.file("chain.pem", [pem("CERTIFICATE", &leaf.der), pem("CERTIFICATE", &issuing.der)].concat().as_bytes());
    world.file("leaf.pem", pem("CERTIFICATE", &leaf.der).as_bytes());
    world.file("revoked.crl", pem("X509 CRL", &issuing.list(9, &[&leaf.serial])).as_bytes());
    (world, root, issuing)
}

fn run(world: &World, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sekisho"))
        .arg("verify")
        .args(arguments)
        .args(AT)
        .current_dir(world.folder())
        .output()
        .unwrap()
}

#[track_caller]
fn assert_says(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}{complained}");
    assert!(said.contains(stdout), "{said}");
    assert!(complained.contains(stderr), "{complained}");
}

const LISTS: [&str; 4] = ["--crl", "root-0.crl", "--crl", "issuing-0.crl"];

#[test]
fn a_good_chain_is_accepted_with_every_step() {
    let (world, ..) = bank();
    let pattern = "(?<contract_id>[0-9]{11}) (?<user_id>[a-z]+) 1635";
    let arguments = ["--ca", "root.pem", "--chain", "chain.pem", "--identity", pattern];
    let output = run(&world, &[&arguments[..], &LISTS].concat());
    assert_says(&output, 0, "accepted: CN=00009876543 riyousya 1635", "");
    let said = String::from_utf8_lossy(&output.stdout);
    for step in ["budget", "parse", "path", "algorithms", "signatures", "usage", "site", "identity", "standing"] {
        assert!(said.lines().any(|line| line.starts_with(step) && line.contains(" ok ")), "{step}: {said}");
    }
    assert!(said.contains("contract_id \"00009876543\""), "{said}");
}

#[test]
fn a_leaf_alone_needs_its_issuing_ca_from_the_options() {
    let (world, ..) = bank();
    let leaf = ["--ca", "root.pem", "--chain", "leaf.pem"];
    assert_says(&run(&world, &[&leaf[..], &LISTS].concat()), 1, "refused: unknown-ca", "");
    let issuing = ["--issuing", "issuing.pem"];
    assert_says(&run(&world, &[&leaf[..], &issuing, &LISTS].concat()), 0, "accepted", "");
}

#[test]
fn a_revoked_chain_is_refused_by_the_step_that_found_it() {
    let (world, ..) = bank();
    let arguments = ["--ca", "root.pem", "--chain", "chain.pem", "--crl", "root-0.crl", "--crl", "revoked.crl"];
    let output = run(&world, &arguments);
    assert_says(&output, 1, "standing    refused  serial", "");
    assert_says(&output, 1, "refused: revoked", "");
}

#[test]
fn absent_lists_refuse_unless_their_absence_is_said() {
    let (world, ..) = bank();
    let arguments = ["--ca", "root.pem", "--chain", "chain.pem"];
    assert_says(&run(&world, &arguments), 1, "refused: revocation-unavailable", "");
    assert_says(&run(&world, &[&arguments[..], &["--no-revocation"]].concat()), 0, "accepted", "");
}

#[test]
fn a_list_that_is_not_taken_is_warned_of() {
    let (world, ..) = bank();
    let other = Ca::root("Bank Issuing CA");
    world.file("forged.crl", &other.list(99, &[]));
    let arguments = ["--ca", "root.pem", "--chain", "chain.pem", "--crl", "root-0.crl", "--crl", "forged.crl"];
    let output = run(&world, &arguments);
    assert_says(&output, 1, "warning", "");
    assert_says(&output, 1, "refused: revocation-unavailable", "");
}

#[test]
fn json_is_one_object_with_the_reason_and_the_leaf() {
    let (world, ..) = bank();
    let arguments =
        ["--json", "--ca", "root.pem", "--chain", "chain.pem", "--crl", "root-0.crl", "--crl", "revoked.crl"];
    let output = run(&world, &arguments);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["accepted"], false);
    assert_eq!(report["reason"], "revoked");
    assert_eq!(report["leaf"]["subject"], format!("CN={CN}"));
    assert_eq!(report["leaf"]["crl_number"], "9");
    assert_eq!(report["at"], "2026-06-01T00:00:00Z");
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["step"], "standing");
    assert!(steps[..steps.len() - 1].iter().all(|step| step["passed"] == true));

    let output = run(&world, &[&["--json", "--ca", "root.pem", "--chain", "chain.pem"][..], &LISTS].concat());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["client"]["ca"], "CN=Bank Issuing CA");
    assert_eq!(report["client"]["common_name"], CN);
}

#[test]
fn a_configuration_and_a_site_decide_as_the_gateway_does() {
    let (mut world, ..) = bank();
    let other = Ca::root("Second Root");
    world.ca("second", &other, PATTERN, &[]);
    world.write_config("ib");
    let arguments = ["--config", "test.toml", "--site", "ib", "--chain", "leaf.pem"];
    assert_says(&run(&world, &arguments), 0, "site        ok       issued by CA issuing", "");
    world.trusts(&["second"]);
    world.write_config("ib");
    assert_says(&run(&world, &arguments), 1, "refused: unknown-ca", "");
    let unknown = ["--config", "test.toml", "--site", "nowhere", "--chain", "leaf.pem"];
    assert_says(&run(&world, &unknown), 2, "", "--site nowhere: test.toml has only ib");
    world.file("root-0.crl", b"garbage");
    assert_says(&run(&world, &arguments), 2, "", "test.toml");
}

#[test]
fn unusable_input_is_one_line_with_file_and_option() {
    let (world, root, issuing) = bank();
    let sister = Ca::root("Elsewhere").below("Sister");
    world.file("sister.pem", pem("CERTIFICATE", &sister.der).as_bytes());
    world.file("garbage.pem", b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    world.file("empty.pem", b"");
    let cases: [(&[&str], &str); 8] = [
        (&["--ca", "none.pem", "--chain", "chain.pem"], "--ca none.pem: No such file"),
        (&["--ca", "root.pem", "--chain", "none.pem"], "--chain none.pem: No such file"),
        (&["--ca", "root.pem", "--chain", "garbage.pem"], "--chain garbage.pem:"),
        (&["--ca", "empty.pem", "--chain", "chain.pem"], "--ca empty.pem: there is no PEM certificate"),
        (
            &["--ca", "root.pem", "--chain", "chain.pem", "--crl", "empty.pem"],
            "--crl empty.pem: there is no revocation",
        ),
        (&["--ca", "root.pem", "--issuing", "sister.pem", "--chain", "chain.pem"], "--issuing sister.pem: no --ca"),
        (&["--ca", "root.pem", "--chain", "chain.pem", "--identity", "("], "--identity: "),
        (&["--ca", "leaf.pem", "--chain", "chain.pem"], "--ca leaf.pem: "),
    ];
    for (arguments, complaint) in cases {
        assert_says(&run(&world, arguments), 2, "", complaint);
    }
    // Usage errors are clap's, with the same exit code.
    assert_says(&run(&world, &["--ca", "root.pem"]), 2, "", "--chain");
    assert_says(&run(&world, &["--chain", "chain.pem"]), 2, "", "--ca");
    assert_says(&run(&world, &["--chain", "chain.pem", "--config", "test.toml"]), 2, "", "--site");
    drop((root, issuing, below("")));
}

#[test]
fn a_time_may_be_given_in_seconds_and_nonsense_is_refused() {
    let (world, ..) = bank();
    let run_at = |at: &str| {
        Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["verify", "--ca", "root.pem", "--chain", "chain.pem", "--no-revocation", "--at", at])
            .current_dir(world.folder())
            .output()
            .unwrap()
    };
    assert_says(&run_at("1780272000"), 0, "at          2026-06-01T00:00:00Z", "");
    assert_says(&run_at("2030-06-01T00:00:00Z"), 1, "refused: expired", "");
    assert_says(&run_at("yesterday"), 2, "", "--at");
}
