//! What goes wrong around the store: a full disk, lost connections, a server that is gone.

use crate::support::*;
use sekisho_config::issuer::StoreUrl;
use sekisho_issuer::store::{StoreError, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Where the child of `a_full_disk_…` finds its small file system.
const FOLDER: &str = "SEKISHO_TEST_SMALL_DISK";

fn act(number: u32) -> Write {
    let mut row = user("C1", "u1");
    row.user.issues = number;
    let audit = vec![entry(&key("C1", "u1"), &format!("{number} {}", "x".repeat(2_000)))];
    Write { users: vec![row], audit, ..Write::default() }
}

#[test]
fn a_full_disk_writes_nothing_and_leaves_everything_readable_until_there_is_room() {
    let probe = ["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    if !Command::new("unshare").args(probe).output().is_ok_and(|output| output.status.success()) {
        // Containers often forbid it; the issuer's own test fills a disk in another way.
        eprintln!("SKIPPED: this machine lets nobody have a name space");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let itself = std::env::current_exe().unwrap();
    // A file system of its own in a name space of its own: no privilege is needed.
    let script =
        r#"mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" --exact failures::on_a_small_disk --ignored --nocapture"#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(folder.path()).arg(itself);
    let output = command.env(FOLDER, folder.path()).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[tokio::test]
#[ignore = "run by a_full_disk_writes_nothing_and_leaves_everything_readable_until_there_is_room"]
async fn on_a_small_disk() {
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).expect("run by the other test"));
    let mut database = Database::sqlite();
    database.config.url.value = StoreUrl::Sqlite(folder.join("issuer.db"));
    std::fs::write(folder.join("ballast"), vec![0; 1 << 20]).unwrap();
    let store = database.with_users(1).await;
    let mut done = 0;
    let error = loop {
        match try_put(&*store, ask("C1", None), act(done + 1)).await {
            Ok(()) => done += 1,
            Err(error) => break error,
        }
        assert!(done < 10_000, "the disk is not small");
    };
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("full")), "{error}");
    assert!(done > 20, "{done}");
    // Still full, and still readable.
    assert!(matches!(try_put(&*store, ask("C1", None), act(0)).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.find(&ask("C1", Some("u1"))).await.unwrap().user.unwrap().user.issues, done);
    assert_eq!(whole_audit(&*store, &database.secret).await.len(), done as usize);
    std::fs::remove_file(folder.join("ballast")).unwrap();
    put(&*store, ask("C1", None), act(done + 1)).await;
    store.close().await;
    let store = database.open().await;
    assert_eq!(store.find(&ask("C1", Some("u1"))).await.unwrap().user.unwrap().user.issues, done + 1);
    assert_eq!(whole_audit(&*store, &database.secret).await.len(), done as usize + 1);
    assert_eq!(database.sql("PRAGMA integrity_check"), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_lose_no_act_that_was_answered_and_the_next_ones_are_written() {
    let database = Database::postgres();
    let store = database.with_users(1).await;
    let over = Arc::new(AtomicBool::new(false));
    let number = Arc::new(AtomicU32::new(0));
    let mut writing = Vec::new();
    for _ in 0..8 {
        let (store, over, number) = (Arc::clone(&store), Arc::clone(&over), Arc::clone(&number));
        writing.push(tokio::spawn(async move {
            let (mut written, mut lost, mut unknown) = (Vec::new(), Vec::new(), 0);
            while !over.load(Ordering::Relaxed) {
                let number = number.fetch_add(1, Ordering::Relaxed).to_string();
                let audit = vec![entry(&key("C1", "u1"), &number)];
                match try_put(&*store, ask("C1", None), Write { audit, ..Write::default() }).await {
                    Ok(()) => written.push(number),
                    Err(StoreError::Unavailable(_)) => lost.push(number),
                    Err(StoreError::Unknown(_)) => unknown += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (written, lost, unknown)
        }));
    }
    for _ in 0..10 {
        // Some more acts between each two cuts.
        let from = number.load(Ordering::Relaxed);
        while number.load(Ordering::Relaxed) < from + 40 {
            tokio::task::yield_now().await;
        }
        database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sekisho'");
    }
    over.store(true, Ordering::Relaxed);
    let (mut failed, mut answered) = (0, 0);
    let mut results = Vec::new();
    for task in writing {
        results.push(task.await.unwrap());
    }
    put(&*store, ask("C1", None), Write { audit: vec![entry(&key("C1", "u1"), "after")], ..Write::default() }).await;
    let log: Vec<String> =
        whole_audit(&*store, &database.secret).await.iter().map(|entry| entry.reference.to_string()).collect();
    for (written, lost, unknown) in results {
        assert!(written.iter().all(|number| log.contains(number)), "an act that was answered is lost");
        assert!(!lost.iter().any(|number| log.contains(number)), "an act that failed was written");
        (failed, answered) = (failed + lost.len() + unknown, answered + written.len());
    }
    assert!(failed > 0 && answered > 0, "{failed} {answered}");
    assert!(log.contains(&"after".to_owned()));
}
