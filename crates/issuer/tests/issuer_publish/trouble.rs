//! What happens when something does not work.

use crate::support::{REVOKED, World, entries, random, until};
use sekisho_runtime::clock;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_written_is_told_and_made_anew_until_it_can() {
    let world = World::new().await;
    let running = world.start().await;
    let published = running.publisher.caught_up_to();
    // The folder's name is taken by a file; permissions would not stop root.
    let (folder, away) = (world.path("published"), world.path("away"));
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, b"").unwrap();
    let serial = random();
    world.set(serial, REVOKED).await;
    until("the trouble is told", || async { !running.publisher.troubles(clock::now()).is_empty() }).await;
    let troubles = running.publisher.troubles(clock::now());
    assert!(troubles[0].contains("hokugin-0.crl"), "{troubles:?}");
    assert_eq!(running.publisher.caught_up_to(), published, "not everywhere yet");
    // Over HTTP it is there all the same.
    assert!(entries(&running.list().await).contains_key(&serial));
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    world.published(&running).await;
    assert!(entries(&std::fs::read(world.list_file(0)).unwrap()).contains_key(&serial));
    until("the trouble is over", || async { running.publisher.troubles(clock::now()).is_empty() }).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_told_and_read_on_once_it_answers() {
    let world = World::new().await;
    let running = world.start().await;
    let serial = random();
    world.set_quietly(vec![crate::support::change_of(serial, REVOKED)]).await;
    world.store.set_down(true);
    world.wake.notify_one();
    until("the trouble is told", || async { !running.publisher.troubles(clock::now()).is_empty() }).await;
    let troubles = running.publisher.troubles(clock::now());
    assert!(troubles[0].contains("the store is not available"), "{troubles:?}");
    world.store.set_down(false);
    world.published(&running).await;
    assert!(entries(&running.list().await).contains_key(&serial));
    until("the trouble is over", || async { running.publisher.troubles(clock::now()).is_empty() }).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_over_are_told() {
    let world = World::new().await;
    let running = world.start().await;
    let now = clock::now();
    assert_eq!(running.publisher.troubles(now), [""; 0]);
    let over = now.plus_seconds(2 * 86_400);
    let troubles = running.publisher.troubles(over);
    assert!(troubles.len() == 1 && troubles[0].starts_with("the list hokugin-0 was to be followed by"), "{troubles:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_unfinished_by_a_crash_is_overwritten() {
    let world = World::new().await;
    let unfinished = world.path("published/.hokugin-0.crl.new");
    std::fs::write(&unfinished, b"half a list").unwrap();
    std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600)).unwrap();
    let running = world.start().await;
    assert!(!unfinished.exists());
    let mode = std::fs::metadata(world.list_file(0)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    tokio::time::timeout(Duration::from_secs(30), running.stop()).await.unwrap();
}
