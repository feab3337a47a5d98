//! What a start costs with a million revoked certificates.

use crate::support::{REVOKED, World, change_of, number, random};
use std::time::Instant;

const MILLION: usize = 1_000_000;

/// Megabytes of `/proc/self/status`.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute to fill the store"]
async fn a_start_with_a_million_revoked_certificates_pages_through_them() {
    let mut world = World::in_parts(64).await;
    for _ in 0..MILLION / 5_000 {
        world.set_quietly((0..5_000).map(|_| change_of(random(), REVOKED)).collect()).await;
    }
    world.reopen().await;
    // The peak is counted from here on.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begin) = (memory("VmRSS"), Instant::now());
    let running = world.start().await;
    let took = begin.elapsed();
    println!(
        "started in {:.1} s; resident {} MB before, {} MB after, {} MB at the peak",
        took.as_secs_f64(),
        before,
        memory("VmRSS"),
        memory("VmHWM")
    );
    let octets: usize = (0..64).map(|part| std::fs::metadata(world.list_file(part)).unwrap().len() as usize).sum();
    assert!(octets > MILLION * 30, "{octets} octets of lists");
    let numbers = || running.publisher.lists().iter().map(|(_, list)| list.number.value()).collect::<Vec<_>>();
    let before = numbers();
    let begin = Instant::now();
    let serial = random();
    world.set(serial, REVOKED).await;
    running.publisher.wait_for(MILLION as u64 + 1).await.unwrap();
    println!("one more published in {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    let lists = running.publisher.lists();
    assert_eq!(numbers().iter().filter(|number| !before.contains(number)).count(), 1);
    assert_eq!(number(&running.list().await).0, lists[0].1.number.value());
    assert!(memory("VmHWM") < 1_024, "a gigabyte is too much");
    running.stop().await;
}
