//! Heads of the issuer's audit log that a gateway keeps (`feed/audit-heads`), out of the reach of whoever rewrites the log.

use crate::common::{Gateway, Setup, Signal};
use crate::feed_server::{Live, Plan, World, configuration};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A head as the issuer says it.
fn head(sequence: u64) -> String {
    format!("{sequence}:{}", format!("{sequence:x}").repeat(64))
}

/// Tells of nothing new but where the audit log ends; returns once the gateway has kept what it was told.
fn tells(world: &World, live: &mut Live, change: u64, head: &str) {
    let mut payload = world.payload(change - 1, change, &[]);
    payload["audit"] = json!(head);
    assert!(live.event(&world.signer.sign(&payload)));
    // The thread that acknowledges keeps the head first.
    world.nodes[0].wait_for_acknowledgement(&world.feed, change);
}

/// The heads in a file, each behind its time.
fn kept(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let head = |line: &str| {
        let (time, head) = line.split_once(' ').unwrap();
        assert!(time.len() == 20 && time.ends_with('Z'), "{line}");
        head.to_owned()
    };
    text.lines().map(head).collect()
}

#[test]
fn heads_of_the_audit_log_are_kept_a_while_apart_and_outlive_a_restart() {
    let (mut world, mut live) = World::following(&Plan::default());
    let file = world.setup.pki.path("state/feed/audit-heads");
    assert!(!file.exists(), "an issuer that says none has none kept");
    tells(&world, &mut live, 1, &head(1));
    assert_eq!(kept(&file), [head(1)], "the first at once");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    tells(&world, &mut live, 2, &head(1));
    tells(&world, &mut live, 3, &head(2));
    assert_eq!(kept(&file), [head(1)], "no other within the minute");
    let World { setup: Setup { gateway, app, pki }, .. } = world;
    gateway.signal(Signal::Kill);
    drop((gateway, live));
    assert_eq!(kept(&file), [head(1)]);
    let urls = [world.nodes[0].url()];
    let gateway = Gateway::listening(&pki, &configuration(&app, &urls, &Plan::default()));
    world.setup = Setup { gateway, app, pki };
    let asked = world.nodes[0].asked();
    assert_eq!(asked.after, Some(3));
    tells(&world, &mut asked.accept(), 4, &head(3));
    assert_eq!(kept(&file), [head(1), head(3)], "behind those of before");
}
