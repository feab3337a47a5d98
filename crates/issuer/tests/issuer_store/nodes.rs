//! Several stores over one database: nodes, and what was there before.

use crate::support::*;
use sekisho_issuer::audit::Broken;
use sekisho_issuer::store::{OpenError, Status, StatusChange, Write, change, init, open, open_to_read, plans};
use sekisho_pki::crl::RevocationReason;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

on_both!(
    two_nodes_keep_one_chain_and_lose_nothing,
    a_store_is_made_once_and_in_so_many_words,
    nodes_that_start_at_once_make_one_schema,
    a_schema_of_a_later_program_is_refused,
    another_secret_is_refused,
    a_log_whose_end_was_changed_is_refused,
    a_log_whose_end_was_taken_off_is_refused,
    no_statement_walks_a_whole_table,
);

async fn two_nodes_keep_one_chain_and_lose_nothing(mut database: Database) {
    const CHANGES: u32 = 1_000;
    // Small batches: the nodes take turns often.
    database.config.together = 16;
    let nodes = [database.with_users(1).await, database.open().await];
    let mut counting = Vec::new();
    for (node, store) in nodes.iter().enumerate() {
        for number in 0..CHANGES {
            let store = Arc::clone(store);
            counting.push(tokio::spawn(async move {
                change(&*store, ask("C1", Some("u1")), move |found| {
                    let mut user = found.user.clone().unwrap();
                    user.user.issues += 1;
                    let issue = user.user.issues;
                    let audit = vec![entry(&user.user.key, &format!("{node}/{number}/{issue}"))];
                    let statuses = vec![StatusChange {
                        authority: "issuing".into(),
                        serial: serial(issue.into()),
                        status: Status::Revoked(RevocationReason::Superseded),
                        at: NOW,
                        not_after: NOW,
                    }];
                    (Write { users: vec![user], audit, statuses, ..Write::default() }, issue)
                })
                .await
                .unwrap()
            }));
        }
    }
    // What a reader sees of the numbers while they grow never comes later than a greater one.
    let mut seen = 0;
    while seen < u64::from(2 * CHANGES) {
        let over = counting.iter().all(tokio::task::JoinHandle::is_finished);
        let rows = nodes[1].statuses(seen, 100).await.unwrap();
        assert!(!(over && rows.is_empty()), "{seen} changes came of {}", 2 * CHANGES);
        for row in rows {
            assert_eq!(row.sequence, seen + 1, "a smaller number came later");
            seen = row.sequence;
        }
    }
    let mut issues = BTreeSet::new();
    for counted in counting {
        assert!(issues.insert(counted.await.unwrap()), "two acts saw the same record");
    }
    assert_eq!(issues.len(), 2 * CHANGES as usize);
    for store in &nodes {
        let entries = whole_audit(&**store, &database.secret).await;
        assert_eq!(entries.len(), 2 * CHANGES as usize);
        for (entry, issue) in entries.iter().zip(1..) {
            assert!(entry.reference.ends_with(&format!("/{issue}")), "{} is not the change {issue}", entry.reference);
        }
        assert_eq!(store.find(&ask("C1", Some("u1"))).await.unwrap().user.unwrap().user.issues, 2 * CHANGES);
    }
}

async fn a_store_is_made_once_and_in_so_many_words(database: Database) {
    let secret = || Arc::clone(&database.secret);
    for _ in 0..2 {
        let missing = open(&database.config, secret()).await.err().unwrap();
        assert!(matches!(missing, OpenError::Missing), "{missing}");
        assert!(missing.to_string().contains("sekisho-issuer store init"), "{missing}");
        let missing = open_to_read(&database.config, secret()).await.err().unwrap();
        assert!(matches!(missing, OpenError::Missing), "{missing}");
    }
    init(&database.config, secret()).await.unwrap();
    let feed = open(&database.config, secret()).await.unwrap().feed_id().await.unwrap();
    let there = init(&database.config, secret()).await.unwrap_err();
    assert!(matches!(there, OpenError::Exists), "{there}");
    let store = open_to_read(&database.config, secret()).await.unwrap();
    assert_eq!(store.feed_id().await.unwrap(), feed);
    // Of an earlier program: to be read by none before an issuer has brought it up to date.
    database.sql("DELETE FROM schema_versions WHERE version > 1");
    let older = open_to_read(&database.config, secret()).await.err().unwrap();
    assert!(matches!(older, OpenError::Older { found: 1, .. }), "{older}");
}

async fn nodes_that_start_at_once_make_one_schema(database: Database) {
    init(&database.config, Arc::clone(&database.secret)).await.unwrap();
    let starting = (0..6).map(|_| open(&database.config, Arc::clone(&database.secret)));
    for store in futures_util::future::join_all(starting).await {
        store.unwrap_or_else(|error| panic!("{error}")).ping().await.unwrap();
    }
    assert_eq!(database.sql("SELECT count(*) FROM schema_versions"), "4");
}

async fn a_schema_of_a_later_program_is_refused(database: Database) {
    database.open().await.close().await;
    database.sql("INSERT INTO schema_versions (version) VALUES (1000)");
    let refused = database.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 1000, known: 4 }), "{refused}");
    // Nothing of it was touched.
    assert_eq!(database.sql("SELECT max(version) FROM schema_versions"), "1000");
}

async fn with_audit(database: &Database) {
    let store = database.with_users(1).await;
    for number in 0..3 {
        let audit = vec![entry(&key("C1", "u1"), &number.to_string())];
        put(&*store, ask("C1", None), Write { audit, ..Write::default() }).await;
    }
    store.close().await;
}

async fn another_secret_is_refused(mut database: Database) {
    with_audit(&database).await;
    database.secret = secret(8);
    let refused = database.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::Audit(Broken::Changed { sequence: 3 })), "{refused}");
    database.secret = secret(7);
    database.open().await.close().await;
}

async fn a_log_whose_end_was_changed_is_refused(database: Database) {
    with_audit(&database).await;
    database.sql("UPDATE audit SET text = replace(text, 'BRSK018', 'BRSK019') WHERE sequence = 3");
    let refused = database.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::Audit(Broken::Changed { sequence: 3 })), "{refused}");
}

async fn a_log_whose_end_was_taken_off_is_refused(database: Database) {
    with_audit(&database).await;
    database.sql("DELETE FROM audit WHERE sequence = 3");
    let refused = database.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::Head), "{refused}");
}

async fn no_statement_walks_a_whole_table(database: Database) {
    database.with_users(50).await.close().await;
    let plans = plans(&database.config).await.unwrap();
    assert!(plans.len() > 25, "{}", plans.len());
    for (name, plan) in plans {
        for line in plan.lines() {
            // SQLite: SCAN of a table that is not the given rows, unless along an index of the few that matter, in its
            // order and to a limit. PostgreSQL: Seq Scan.
            let walks = line.contains("Seq Scan")
                || (line.contains("SCAN") && !line.contains(" k ") && !line.contains("users_under_way"));
            assert!(!walks, "{name}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn an_index_that_is_missing_is_noticed() {
    let database = Database::postgres();
    database.open().await.close().await;
    database.sql("DROP INDEX certificates_public_key");
    let plans = plans(&database.config).await.unwrap();
    assert!(plans.iter().any(|(name, plan)| *name == "public keys" && plan.contains("Seq Scan")), "{plans:?}");
}

#[tokio::test]
async fn the_file_is_its_owners_alone_from_the_first_moment() {
    let database = Database::sqlite();
    let store = database.with_users(1).await;
    let sekisho_config::issuer::StoreUrl::Sqlite(path) = &database.config.url.value else { panic!("no file") };
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    store.close().await;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = database.try_open().await.err().unwrap();
    assert!(matches!(refused, OpenError::TooOpen(0o640)), "{refused}");
}

#[tokio::test]
async fn a_url_that_is_none_or_leads_nowhere_is_refused_without_being_told() {
    let mut database = Database::sqlite();
    for url in ["postgres://sekisho:geheim@[", "postgres://sekisho:geheim@localhost:1/x?host=/nowhere"] {
        database.config.url.value = sekisho_config::issuer::StoreUrl::Postgres(url.to_owned());
        let refused = database.try_open().await.err().unwrap();
        let (shown, debug) = (refused.to_string(), format!("{refused:?} {:?}", database.config));
        assert!(!shown.contains("geheim") && !debug.contains("geheim"), "{shown}");
        assert_eq!(shown.lines().count(), 1);
    }
}
