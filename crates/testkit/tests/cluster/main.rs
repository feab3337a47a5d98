//! Two issuers on one PostgreSQL and three gateways, as processes: whatever is killed, cut off or restarted, no
//! revocation that was answered is lost, and no gateway stays behind for longer than its policy allows.

use sekisho_testkit::harness as common;

mod relay;
mod support;

use common::{PATIENCE, demo_binary, wait_until};
use sekisho_testkit::cluster::{GATEWAYS, Page};
use sekisho_testkit::process::Signal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support::{Bank, LOST_AFTER};

#[test]
fn an_issuer_killed_in_the_midst_of_revocations_loses_none() {
    let mut bank = Bank::new();
    let [stays, users @ ..] = bank.users::<7>();
    let answered = AtomicUsize::new(0);
    // Everybody at the issuer that dies with the second answer: whoever got that one has a third to ask.
    let told: Vec<bool> = std::thread::scope(|scope| {
        let asking: Vec<_> = users
            .chunks(3)
            .map(|share| {
                let (cluster, answered) = (&bank.cluster, &answered);
                scope.spawn(move || {
                    let revoke = |user| {
                        let done = cluster.revoke(0, user).0 == 200;
                        if done && answered.fetch_add(1, Ordering::SeqCst) + 1 == 2 {
                            cluster.issuer_process(0).unwrap().signal(Signal::Kill);
                        }
                        done
                    };
                    share.iter().map(revoke).collect::<Vec<_>>()
                })
            })
            .collect();
        asking.into_iter().flat_map(|asked| asked.join().unwrap()).collect()
    });
    assert!(told.contains(&true), "nobody was answered");
    assert!(told.contains(&false), "the issuer died after everything was done");
    // Whoever was told so is refused everywhere, though who told it is gone.
    for (user, _) in users.iter().zip(&told).filter(|(_, told)| **told) {
        bank.wait_for_refusal(user);
    }
    for (user, _) in users.iter().zip(&told).filter(|(_, told)| !**told) {
        bank.revoke_at_last(1, user);
        bank.wait_for_refusal(user);
    }
    bank.cluster.kill_issuer(0);
    bank.cluster.start_issuer(0).unwrap();
    let later = bank.user("later");
    bank.revoke_at_last(0, &later);
    bank.wait_for_refusal(&later);
    (0..GATEWAYS).for_each(|gateway| bank.wait_for_page(gateway, &stays, &Page::Served));
}

#[test]
fn a_gateway_cut_off_serves_nobody_of_that_ca_for_longer_than_its_policy_and_catches_up() {
    let bank = Bank::new();
    let [revoked, stays] = bank.users();
    for cut in [relay::Relay::silence, relay::Relay::close] {
        bank.relays_of(2).for_each(cut);
        let since = Instant::now();
        if bank.cluster.page(2, &revoked) == Page::Served {
            bank.revoke(0, &revoked);
        }
        // The others are not held up by it, and are served as before.
        for gateway in [0, 1] {
            bank.wait_for_page(gateway, &revoked, &Page::RefusedAsRevoked);
            bank.wait_for_page(gateway, &stays, &Page::Served);
        }
        wait_until("the gateway that hears nothing closes", || bank.cluster.page(2, &stays) != Page::Served);
        assert!(since.elapsed() < LOST_AFTER + PATIENCE / 2, "it was open for {:?}", since.elapsed());
        bank.never_served(2, &[&revoked, &stays], LOST_AFTER / 5);
        bank.relays_of(2).for_each(relay::Relay::mend);
        bank.wait_for_page(2, &stays, &Page::Served);
        bank.wait_for_page(2, &revoked, &Page::RefusedAsRevoked);
    }
}

#[test]
fn the_issuers_tell_which_gateways_have_a_revocation() {
    let bank = Bank::new();
    let [first, second] = bank.users();
    let propagation = bank.revoke(0, &first)["propagation"].clone();
    assert_eq!((&propagation["gateways"], &propagation["have"]), (&3.into(), &3.into()), "{propagation}");
    bank.relays_of(1).for_each(relay::Relay::silence);
    let propagation = bank.revoke(1, &second)["propagation"].clone();
    assert_eq!((&propagation["gateways"], &propagation["have"]), (&3.into(), &2.into()), "{propagation}");
    // Any issuer may be asked.
    let path = format!("/v1/revocations/{}?authority=shinkin", second.serial);
    let has = |name: &str| {
        let (status, body) = bank.cluster.get(0, &path);
        assert_eq!(status, 200, "{body}");
        let nodes = body["propagation"]["nodes"].as_array().unwrap().clone();
        let node = nodes.iter().find(|node| node["name"] == name).unwrap_or_else(|| panic!("{body}"));
        node["acknowledged"].as_bool().unwrap_or(!node["acknowledged"].is_null())
    };
    assert!(has("gateway-1") && has("gateway-3"));
    assert!(!has("gateway-2"));
    bank.relays_of(1).for_each(relay::Relay::mend);
    wait_until("the gateway that was cut off has it", || has("gateway-2"));
    bank.wait_for_refusal(&second);
}

#[test]
fn a_database_that_crashes_loses_no_revocation_that_was_answered() {
    let mut bank = Bank::new();
    let [stays, users @ ..] = bank.users::<7>();
    for (number, user) in users[..3].iter().enumerate() {
        bank.revoke(number % 2, user);
    }
    bank.cluster.postgres().stop();
    for issuer in [0, 1] {
        let (status, body) = bank.cluster.revoke(issuer, &users[3]);
        assert_eq!(status, 503, "a revocation that cannot be kept is not promised: {body}");
    }
    users[..3].iter().for_each(|user| bank.wait_for_refusal(user));
    bank.cluster.postgres().start_again().unwrap();
    for (number, user) in users[3..].iter().enumerate() {
        bank.revoke_at_last(number % 2, user);
    }
    users.iter().for_each(|user| bank.wait_for_refusal(user));
    (0..GATEWAYS).for_each(|gateway| bank.wait_for_page(gateway, &stays, &Page::Served));
}

#[test]
fn a_gateway_that_starts_without_any_issuer_refuses_who_was_revoked_and_follows_its_policy() {
    let mut bank = Bank::new();
    let [before, meanwhile, stays] = bank.users();
    bank.revoke(0, &before);
    bank.wait_for_refusal(&before);
    bank.cluster.kill_gateway(2);
    bank.revoke(1, &meanwhile);
    bank.relays_of(2).for_each(relay::Relay::close);
    let since = Instant::now();
    bank.cluster.start_gateway(2).unwrap();
    // It knows from its disk whom the feed had told it of.
    bank.wait_for_page(2, &before, &Page::RefusedAsRevoked);
    wait_until("a gateway that hears of no issuer closes", || bank.cluster.page(2, &stays) != Page::Served);
    assert!(since.elapsed() < LOST_AFTER + PATIENCE / 2, "it was open for {:?}", since.elapsed());
    bank.never_served(2, &[&before, &meanwhile, &stays], LOST_AFTER / 5);
    bank.relays_of(2).for_each(relay::Relay::mend);
    bank.wait_for_page(2, &stays, &Page::Served);
    bank.wait_for_page(2, &meanwhile, &Page::RefusedAsRevoked);
    bank.wait_for_page(2, &before, &Page::RefusedAsRevoked);
}

#[test]
fn the_clusters_own_check_passes() {
    let output = std::process::Command::new(demo_binary()).args(["--cluster", "--check"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("8 passed, 0 failed") && !said.contains("FAIL"), "{said}");
}
