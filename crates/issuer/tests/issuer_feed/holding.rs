//! Streams that take nothing, streams beyond number, and the end of all of them.

use crate::common::{PATIENCE, wait_until};
use crate::follower::{Follower, connect};
use crate::world::{Beside, bank, plan, user};
use std::io::{Read as _, Write as _};
use std::time::Instant;

#[test]
fn a_gateway_that_takes_nothing_is_dropped_and_holds_up_nobody() {
    const MANY: u64 = 25_000;
    let issuer = plan(&["g1", "g2"]).start();
    let bank = bank(&issuer);
    let (person, _) = user(&bank, "u1");
    Beside::open(&issuer.plan, "sqlite:issuer.db").revoke(0, MANY, 5_000);
    wait_until("the feed is there", || issuer.metric("sekisho_issuer_feed_sequence") == MANY as f64);
    // It asks for more than six megabytes and reads none of them; the kernel keeps four for it.
    let mut stuck = connect(&issuer.plan, issuer.address("api"), "g1");
    stuck.write_all(b"GET /v1/feed?after=0 HTTP/1.1\r\nhost: issuer.localhost\r\n\r\n").unwrap();
    stuck.flush().unwrap();
    let of_stuck = "sekisho_issuer_feed_streams{gateway=\"g1\"}";
    wait_until("it is there", || issuer.metric(of_stuck) == 1.0);
    let mut other = Follower::open(&issuer, "g2", Some(MANY));
    bank.act(&person, "suspend", "staff-desk").done();
    other.changes_up_to(MANY + 1);
    assert_eq!(issuer.metric(of_stuck), 1.0, "the other was held up until the stuck one was dropped");
    wait_until("the stuck one is dropped", || {
        issuer.metric("sekisho_issuer_feed_stream_ends_total{reason=\"stuck\"}") == 1.0
    });
    assert_eq!(issuer.metric(of_stuck), 0.0);
    // It comes again and gets everything.
    let mut again = Follower::open(&issuer, "g1", Some(0));
    assert_eq!(again.changes_up_to(MANY + 1).len() as u64, MANY + 1);
}

#[test]
fn a_further_stream_of_one_gateway_ends_its_oldest() {
    let issuer = plan(&["g1", "g2"]).and("heartbeat = \"100ms\"").start();
    let mut beside = Follower::open(&issuer, "g2", None);
    let mut streams: Vec<Follower> = (0..4).map(|_| Follower::open(&issuer, "g1", None)).collect();
    streams.iter_mut().for_each(|stream| drop(stream.message()));
    let mut newest = Follower::open(&issuer, "g1", None);
    streams.remove(0).until_its_end();
    // All others go on.
    for stream in streams.iter_mut().chain([&mut newest, &mut beside]) {
        stream.message();
        stream.message();
    }
    assert_eq!(issuer.metric("sekisho_issuer_feed_streams{gateway=\"g1\"}"), 4.0);
    assert_eq!(issuer.metric("sekisho_issuer_feed_stream_ends_total{reason=\"displaced\"}"), 1.0);
}

#[test]
fn a_stop_ends_streams_in_order_at_once_and_lets_nobody_begin() {
    let issuer = plan(&["g1"]).with("drain_timeout = \"10s\"", "drain_timeout = \"60s\"").start();
    let mut gateway = Follower::open(&issuer, "g1", None);
    gateway.message();
    let begun = Instant::now();
    let (status, _) = std::thread::scope(|scope| {
        let stop = scope.spawn(move || issuer.stop());
        gateway.until_its_end();
        stop.join().unwrap()
    });
    assert!(status.success());
    assert!(begun.elapsed() < PATIENCE, "the drain waited for the stream: {:?}", begun.elapsed());
}

#[test]
fn a_gateway_that_closes_its_connection_is_noticed() {
    let issuer = plan(&["g1"]).start();
    let of_gateway = "sekisho_issuer_feed_streams{gateway=\"g1\"}";
    let mut tls = connect(&issuer.plan, issuer.address("api"), "g1");
    tls.write_all(b"GET /v1/feed HTTP/1.1\r\nhost: issuer.localhost\r\n\r\n").unwrap();
    let mut first = [0; 8];
    tls.read_exact(&mut first).unwrap();
    wait_until("it is there", || issuer.metric(of_gateway) == 1.0);
    drop(tls);
    wait_until("it is gone", || issuer.metric(of_gateway) == 0.0);
    assert_eq!(issuer.metric("sekisho_issuer_feed_stream_ends_total{reason=\"left\"}"), 1.0);
}
