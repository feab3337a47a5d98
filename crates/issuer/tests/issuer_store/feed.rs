//! What is kept for the feed of revocations.

use crate::support::*;
use sekisho_issuer::store::{
    GatewayNote, GatewayRow, Settled, SettledList, Status, StatusChange, Store, Write, change_numbered,
};
use sekisho_pki::crl::RevocationReason;
use std::sync::Arc;
use std::time::Duration;

on_both!(
    a_store_is_one_feed_for_ever_and_no_other_store_is_it,
    a_store_of_before_the_feed_keeps_what_it_has,
    an_act_is_told_the_number_of_its_last_change_of_status,
    the_smallest_number_from_which_lists_have_everything_is_kept,
    a_gateway_has_what_it_acknowledged_first_and_is_there_until_its_own_node_says_otherwise,
    whoever_waits_hears_of_what_was_written,
);

const HOUR: Duration = Duration::from_secs(3_600);

fn revoked(number: u64) -> StatusChange {
    let status = Status::Revoked(RevocationReason::KeyCompromise);
    StatusChange { authority: "issuing".into(), serial: serial(number), status, at: NOW, not_after: NOW }
}

async fn revoke(store: &dyn Store, numbers: &[u64]) -> Option<u64> {
    let write = Write { statuses: numbers.iter().copied().map(revoked).collect(), ..Write::default() };
    change_numbered(store, ask("C1", None), |_| (write, ())).await.unwrap().1
}

async fn a_store_is_one_feed_for_ever_and_no_other_store_is_it(database: Database) {
    let store = database.open().await;
    let feed = store.feed_id().await.unwrap();
    assert!(feed.len() == 32 && feed.bytes().all(|digit| digit.is_ascii_hexdigit()), "{feed}");
    store.close().await;
    assert_eq!(database.open().await.feed_id().await.unwrap(), feed);
    assert_ne!(Database::sqlite().open().await.feed_id().await.unwrap(), feed);
}

async fn a_store_of_before_the_feed_keeps_what_it_has(database: Database) {
    let store = database.open().await;
    revoke(&*store, &[1]).await;
    store.take_list_number("issuing", 0, NOW).await.unwrap();
    store.close().await;
    database.sql(
        "DROP TABLE unique_names; ALTER TABLE outbox DROP COLUMN mail; ALTER TABLE users DROP COLUMN wrong_acts;
         ALTER TABLE users DROP COLUMN wrong_acts_first_at; ALTER TABLE users DROP COLUMN wrong_acts_locked_at; DROP TABLE feed; DROP TABLE feed_gateways; DROP TABLE feed_acknowledgements;
         ALTER TABLE statuses DROP COLUMN written_ms;
         ALTER TABLE lists DROP COLUMN settled_number; ALTER TABLE lists DROP COLUMN settled_sequence;
         DELETE FROM schema_versions WHERE version >= 2",
    );
    let store = database.open().await;
    let (row, written) = store.written(&serial(1)).await.unwrap().unwrap();
    assert_eq!((row.sequence, row.change, written), (1, revoked(1), None), "nobody knows when it was written");
    assert_eq!(revoke(&*store, &[2]).await, Some(2));
    assert!(store.written(&serial(2)).await.unwrap().unwrap().1.is_some());
    let list = SettledList { authority: "issuing", part: 0, number: 1, covers: 1, touched: 1 };
    assert_eq!(store.settle_list(&list).await.unwrap(), Settled { number: 1, sequence: 1 });
}

async fn an_act_is_told_the_number_of_its_last_change_of_status(database: Database) {
    let store = database.open().await;
    assert_eq!(revoke(&*store, &[]).await, None);
    assert_eq!(revoke(&*store, &[1, 2, 3]).await, Some(3));
    // In one batch: some with changes and some without, each told its own.
    let acts: Vec<Vec<u64>> = vec![vec![4], vec![], vec![5, 6], vec![7], vec![]];
    let acts = acts.into_iter().map(|numbers| {
        let store = Arc::clone(&store);
        async move { (numbers.last().copied(), revoke(&*store, &numbers).await) }
    });
    for (last, told) in futures_util::future::join_all(acts).await {
        let number = match last {
            Some(last) => Some(store.status(&serial(last)).await.unwrap().unwrap().sequence),
            None => None,
        };
        assert_eq!(told, number);
    }
    let before = store.written(&serial(1)).await.unwrap().unwrap().1.unwrap();
    let after = store.written(&serial(7)).await.unwrap().unwrap().1.unwrap();
    assert!(before <= after && before > 1_600_000_000_000, "{before} {after}");
    assert_eq!(store.written(&serial(8)).await.unwrap(), None);
}

async fn the_smallest_number_from_which_lists_have_everything_is_kept(database: Database) {
    let store = database.open().await;
    store.take_list_number("issuing", 3, NOW).await.unwrap();
    let settle = async |number, covers, touched| {
        let list = SettledList { authority: "issuing", part: 3, number, covers, touched };
        let Settled { number, sequence } = store.settle_list(&list).await.unwrap();
        (number, sequence)
    };
    assert_eq!(settle(2, 10, 8).await, (2, 10));
    // Made anew without anything new: the earlier number has it all.
    assert_eq!(settle(5, 40, 8).await, (2, 10));
    // Something came: from this number on.
    assert_eq!(settle(6, 50, 45).await, (6, 50));
    // Another node took its number before, and has it too.
    assert_eq!(settle(5, 48, 45).await, (5, 48));
    // It was slow, and says less than what is known.
    assert_eq!(settle(7, 47, 45).await, (5, 48));
    let unknown = SettledList { authority: "issuing", part: 4, number: 1, covers: 0, touched: 0 };
    assert!(store.settle_list(&unknown).await.is_err(), "no list has that number");
}

fn note(name: &str, connected: Option<Duration>, acknowledged: &[(u64, u64)]) -> GatewayNote {
    let acknowledged = acknowledged.iter().map(|(to, ago)| (*to, Duration::from_millis(*ago))).collect();
    GatewayNote { name: name.into(), connected, acknowledged, follows: None }
}

async fn a_gateway_has_what_it_acknowledged_first_and_is_there_until_its_own_node_says_otherwise(database: Database) {
    let store = database.open().await;
    let gateways = async |sequence| store.feed_gateways(sequence, HOUR).await.unwrap();
    assert!(gateways(0).await.is_empty());
    store
        .feed_note("one", &[note("g2", None, &[(5, 0)]), note("g1", Some(HOUR), &[(3, 9_000), (7, 1_000)])])
        .await
        .unwrap();
    let rows = gateways(4).await;
    let short = |row: &GatewayRow| (row.name.to_string(), row.connected_ms > 0, row.acknowledged, row.has_ms.is_some());
    assert_eq!(
        rows.iter().map(short).collect::<Vec<_>>(),
        [("g1".to_owned(), true, Some(7), true), ("g2".to_owned(), false, Some(5), true)]
    );
    // Number 4 was had with 7, a second ago; number 3 nine seconds ago.
    let g1 = |rows: Vec<GatewayRow>| rows.into_iter().next().unwrap();
    let (third, fourth) = (g1(gateways(3).await).has_ms.unwrap(), g1(rows).has_ms.unwrap());
    assert_eq!(fourth - third, 8_000);
    assert_eq!(g1(gateways(8).await).has_ms, None);
    // Said again it stays as it was.
    store.feed_note("one", &[note("g1", None, &[(3, 0)])]).await.unwrap();
    assert_eq!(g1(gateways(3).await).has_ms, Some(third));
    assert!(g1(gateways(0).await).connected_ms > 0, "nothing was said of its stream");
    // It comes to another node; that its stream at the first one ends says nothing any more.
    store.feed_note("two", &[note("g1", Some(HOUR), &[])]).await.unwrap();
    store.feed_note("one", &[note("g1", Some(Duration::ZERO), &[])]).await.unwrap();
    assert!(g1(gateways(0).await).connected_ms > 0);
    store.feed_note("two", &[note("g1", Some(Duration::ZERO), &[])]).await.unwrap();
    assert!(g1(gateways(0).await).connected_ms <= 0);
    // One that was not seen for long is not told.
    database.sql("UPDATE feed_gateways SET seen_ms = seen_ms - 3700000 WHERE name = 'g2'");
    assert_eq!(gateways(0).await.len(), 1);
}

async fn whoever_waits_hears_of_what_was_written(database: Database) {
    let nodes = [database.open().await, database.open().await];
    let is_postgres = matches!(database.config.url.value, sekisho_config::issuer::StoreUrl::Postgres(_));
    // SQLite has no other nodes; over PostgreSQL both hear.
    let listening = if is_postgres { &nodes[..] } else { &nodes[..1] };
    for node in listening {
        let mut signals = node.signals();
        // It begins to listen in the background, and says so by ringing.
        let heard = async |rings: &mut tokio::sync::watch::Receiver<u64>, what: &str| {
            let heard = tokio::time::timeout(Duration::from_secs(20), rings.changed()).await;
            heard.unwrap_or_else(|_| panic!("{what} was not heard of")).unwrap();
        };
        if is_postgres {
            wait_for_listener(&database).await;
        }
        signals.statuses.mark_unchanged();
        signals.gateways.mark_unchanged();
        revoke(&*nodes[0], &[u64::from(std::process::id())]).await;
        heard(&mut signals.statuses, "a change of status").await;
        nodes[0].feed_note("one", &[note("g1", None, &[])]).await.unwrap();
        heard(&mut signals.gateways, "a gateway").await;
    }
    for node in nodes {
        node.close().await;
    }
}

/// Until both nodes listen.
async fn wait_for_listener(database: &Database) {
    let listening =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
    for _ in 0..2_000 {
        if database.sql(listening) == "2" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens");
}
