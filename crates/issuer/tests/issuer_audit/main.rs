//! `sekisho-issuer audit` over a real store, and over one that somebody changed behind its back.

mod support;

use support::{Log, Output};

#[test]
fn a_log_that_nobody_touched_is_whole_and_its_head_is_told() {
    let log = Log::new();
    let Output { code, stdout, stderr } = log.verify(&[]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], "700 records, none of them changed, removed, moved or put in");
    assert!(lines[1].starts_with("head 700:") && lines[1].len() == "head 700:".len() + 64, "{stdout}");
    // Again, with the head that was kept.
    assert_eq!(log.verify(&["--head", &log.head()]).code, 0);
}

#[test]
fn every_change_behind_the_stores_back_is_found_at_the_first_record_it_shows_at() {
    for (change, found) in [
        ("UPDATE audit SET text = replace(text, 'R600', 'R601') WHERE sequence = 600", "record 600 or the one before it"),
        ("UPDATE audit SET text = text || ' ' WHERE sequence = 650", "record 650 cannot be read"),
        ("UPDATE audit SET text = '' WHERE sequence = 1", "record 1 cannot be read"),
        ("UPDATE audit SET user_id = 'another' WHERE sequence = 200", "record 200 cannot be read"),
        ("UPDATE audit SET contract = 'another' WHERE sequence = 300", "record 300 cannot be read"),
        ("UPDATE audit SET hash = zeroblob(32) WHERE sequence = 30", "record 30 or the one before it"),
        ("DELETE FROM audit WHERE sequence = 400", "record 401 comes where 400 should"),
        ("DELETE FROM audit WHERE sequence = 1", "record 2 comes where 1 should"),
        (
            "UPDATE audit SET text = (SELECT text FROM audit WHERE sequence = 8) WHERE sequence = 7",
            "record 7 or the one before it",
        ),
        (
            "UPDATE audit SET sequence = 9999 WHERE sequence = 500; UPDATE audit SET sequence = 500 WHERE sequence = 501;
             UPDATE audit SET sequence = 501 WHERE sequence = 9999",
            "record 500 or the one before it",
        ),
        (
            "INSERT INTO audit SELECT 701, contract, user_id, text, hash FROM audit WHERE sequence = 700",
            "the head of the audit log is not at its last record",
        ),
    ] {
        let log = Log::new();
        log.sql(change);
        let Output { code, stdout, stderr } = log.verify(&[]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{change}");
        assert!(stderr.starts_with("sekisho-issuer audit: the log is broken: "), "{change}: {stderr}");
        assert!(stderr.contains(found), "{change}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn records_cut_off_the_end_are_found_by_the_head_that_was_kept() {
    let log = Log::new();
    let head = log.head();
    log.sql("DELETE FROM audit WHERE sequence > 690");
    let Output { code, stderr, .. } = log.verify(&[]);
    let found = "sekisho-issuer audit: the log is broken: the head of the audit log is not at its last record\n";
    assert_eq!((code, stderr.as_str()), (1, found));
    // By somebody who knows where the store keeps its head.
    log.sql("UPDATE head SET sequence = 690, hash = (SELECT hash FROM audit WHERE sequence = 690)");
    assert_eq!(log.verify(&[]).code, 0, "the chain itself is whole");
    let Output { code, stderr, .. } = log.verify(&["--head", &head]);
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "sekisho-issuer audit: the log is broken: the log ends at record 690; record 700 was there once\n"
    );
    // A head that this log never had.
    let other = format!("650:{}", "ab".repeat(32));
    let Output { code, stderr, .. } = log.verify(&["--head", &other]);
    assert_eq!((code, stderr.contains("record 650 is not the head that is known")), (1, true), "{stderr}");
}

#[test]
fn another_secret_does_not_verify() {
    let log = Log::new();
    log.write_secret(&"E".repeat(43));
    let Output { code, stderr, .. } = log.verify(&[]);
    assert_eq!((code, stderr.contains("record 700 or the one before it")), (1, true), "{stderr}");
}

#[test]
fn an_export_is_json_lines_and_verifies_without_the_store() {
    let log = Log::new();
    let export = log.run(&["export", "--config", "issuer.toml"]);
    assert_eq!((export.code, export.stderr.as_str()), (0, ""));
    let records: Vec<serde_json::Value> =
        export.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 700);
    assert_eq!((&records[41]["sequence"], &records[41]["reference"]), (&42.into(), &"R42".into()));
    assert_eq!(records[41]["actor"]["staff"]["maker"], "m1");
    let keys: Vec<_> = records[0].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 14, "{keys:?}");

    log.write("export.jsonl", &export.stdout);
    let offline = ["verify", "--file", "export.jsonl", "--secret-file", "issuer.secret"];
    let whole = log.run(&offline);
    assert_eq!((whole.code, &whole.stdout), (0, &log.verify(&[]).stdout), "{}", whole.stderr);

    let lines: Vec<_> = export.stdout.lines().collect();
    for (wrong, found) in [
        (export.stdout.replace("R600", "R601"), "record 600 or the one before it"),
        (export.stdout.replacen("\"m1\"", "\"m2\"", 1), "record 1 or the one before it"),
        (export.stdout.replacen("\"m1\"", "\"c1\"", 1), "record 1 cannot be read"),
        ([&lines[..10], &lines[11..]].concat().join("\n") + "\n", "record 12 comes where 11 should"),
        (export.stdout.trim_end().to_owned(), "record 700 cannot be read"),
        (format!("{}\n", export.stdout), "record 701 cannot be read"),
        ("\u{feff}".to_owned() + &export.stdout, "record 1 cannot be read"),
        ("x".repeat(3 << 20), "record 1 cannot be read"),
    ] {
        log.write("export.jsonl", &wrong);
        let Output { code, stderr, .. } = log.run(&offline);
        assert_eq!(code, 1, "{found}");
        assert!(stderr.starts_with(&format!("sekisho-issuer audit: the log is broken: {found}")), "{found}: {stderr}");
    }
    // Cut at a line's end: only the head tells.
    log.write("export.jsonl", &(lines[..699].join("\n") + "\n"));
    assert_eq!(log.run(&offline).code, 0);
    assert_eq!(log.run(&[&offline[..], &["--head", &log.head()]].concat()).code, 1);
}

#[test]
fn the_rest_of_a_log_verifies_after_the_head_of_the_part_before() {
    let log = Log::new();
    let export = log.run(&["export", "--config", "issuer.toml"]).stdout;
    let lines: Vec<_> = export.lines().collect();
    log.write("first.jsonl", &(lines[..300].join("\n") + "\n"));
    let secret = ["--secret-file", "issuer.secret"];
    let first = log.run(&[&["verify", "--file", "first.jsonl"], &secret[..]].concat());
    let head = first.stdout.lines().last().unwrap().trim_start_matches("head ").to_owned();
    assert!(head.starts_with("300:"), "{head}");

    log.write("rest.jsonl", &log.run(&["export", "--config", "issuer.toml", "--from", "301"]).stdout);
    let rest = ["verify", "--file", "rest.jsonl", "--secret-file", "issuer.secret"];
    let after = log.run(&[&rest[..], &["--after", &head]].concat());
    assert_eq!(after.code, 0, "{}", after.stderr);
    assert!(after.stdout.starts_with("400 records, ") && after.stdout.ends_with(&format!("head {}\n", log.head())));
    assert_eq!(log.run(&rest).code, 1, "a part is not the whole");
    // A known head before the part could not be seen to be false.
    let false_head = format!("299:{}", "ab".repeat(32));
    assert_eq!(log.run(&[&rest[..], &["--after", &head, "--head", &false_head]].concat()).code, 2);
}

#[test]
fn an_export_of_a_contract_has_its_records_only() {
    let log = Log::new();
    let export = log.run(&["export", "--config", "issuer.toml", "--contract", "C2", "--from", "100"]);
    let records: Vec<serde_json::Value> =
        export.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 61, "every tenth from 100 to 700");
    for record in records {
        assert_eq!(record["target"], serde_json::json!({ "contract": "C2" }));
        assert_eq!(record["sequence"].as_u64().unwrap() % 10, 0);
    }
    assert_eq!(log.run(&["export", "--config", "issuer.toml", "--contract", "C3"]).stdout, "");
}

#[test]
fn what_cannot_be_read_is_not_called_broken() {
    let log = Log::new();
    for arguments in [
        &["verify"][..],
        &["verify", "--config", "missing.toml"],
        &["verify", "--file", "missing.jsonl", "--secret-file", "issuer.secret"],
        &["verify", "--file", "issuer.toml"],
        &["verify", "--config", "issuer.toml", "--head", "12:34"],
        &["export", "--config", "issuer.toml", "--contract", "a b"],
        &["export", "--config", "missing.toml"],
    ] {
        let output = log.run(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
        assert_eq!(output.stdout, "");
    }
    log.open_secret();
    let output = log.verify(&[]);
    assert_eq!((output.code, output.stderr.contains("make it 0600")), (2, true), "{}", output.stderr);
}

#[test]
fn a_reader_that_went_away_is_no_error_and_a_full_disk_is_one() {
    let log = Log::new();
    for (arguments, code) in [
        (&["audit", "verify", "--config", "issuer.toml"][..], 0),
        (&["audit", "export", "--config", "issuer.toml"], 0),
        (&["serve", "--openapi"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(log.command_into(arguments, writer), (code, String::new()), "{arguments:?}");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = log.command_into(arguments, full);
        assert!(code == 2 && said.contains("standard output: ") && !said.contains("panicked"), "{arguments:?}: {said}");
    }
}
