//! How often, how long and how much.

use crate::support::{Issuer, Plan};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

fn narrow(from: &str, to: &str) -> Issuer {
    Plan::new(&["bizstation"]).with(from, to).start()
}

#[test]
fn a_caller_beyond_its_rate_is_refused_and_others_are_served() {
    let issuer = narrow("requests_per_second = 10000\nburst = 10000", "requests_per_second = 1\nburst = 3");
    let (reader, desk) = (issuer.service("reader"), issuer.service("desk"));
    let answers: Vec<_> = (0..8).map(|_| reader.get("/v1/contracts")).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(answers[..3].iter().all(|answer| answer.status == 200) && refused.len() >= 2, "{answers:?}");
    for answer in refused {
        answer.refused(429, "rate-limited");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    desk.get("/v1/contracts").done();
}

#[test]
fn strangers_beyond_the_rate_of_their_address_are_told_so_and_known_callers_are_served() {
    let issuer = narrow("requests_per_second = 10000\nburst = 10000", "requests_per_second = 1\nburst = 3");
    let stranger = issuer.client(None);
    let answers: Vec<_> = (0..8).map(|_| stranger.get("/v1/contracts")).collect();
    for answer in &answers[..3] {
        answer.refused(401, "not-authenticated");
    }
    assert!(answers.iter().any(|answer| answer.status == 429), "{answers:?}");
    issuer.service("reader").get("/v1/contracts").done();
}

#[test]
fn tries_of_strangers_use_up_nothing_that_the_service_needs() {
    let issuer = narrow("requests_per_second = 10000\nburst = 10000", "requests_per_second = 20\nburst = 40");
    let bank = issuer.bank();
    bank.open("bizstation", "C1");
    let (person, registered) = bank.register("C1", "u1", "user");
    let secret = registered["acquisition_password"].as_str();
    // From many addresses of one provider, at contracts that are not there.
    let stranger = |number: u32| {
        let body = serde_json::json!({
            "acting_user": { "contract": format!("NO{number}"), "user": "x" }, "factors": {},
            "client_address": format!("2001:db8:{number:x}::1"), "key": { "csr": "none" },
        });
        bank.ib.post(&format!("/v1/contracts/NO{number}/users/x/acquire"), &body).status
    };
    let answers: Vec<u16> = (0..120).map(stranger).collect();
    assert!(answers.iter().filter(|status| **status == 429).count() >= 60, "{answers:?}");
    // The service's other acts, its revocations and an honest acquisition pass.
    for _ in 0..10 {
        bank.ib.get("/v1/contracts?limit=1").done();
    }
    let held = person.acquire(secret, &["login-password"]);
    bank.act(&person, "suspend", "staff-desk").done();
    bank.act(&person, "revoke", "staff-desk").done();
    issuer.wait_for_list("biz", &held.serial(), Some(0));
}

#[test]
fn a_request_that_does_not_end_is_ended() {
    let issuer = Plan::new(&["bizstation"]).with("[limits]\n", "[limits]\nrequest_timeout = \"1s\"\n").start();
    let service = issuer.plan.pki.service_named("desk");
    issuer.plan.write("service.pem", &service.certificate);
    issuer.plan.write("service.key", &service.key);
    let port = issuer.address("api").port();
    let mut slow = Command::new("openssl")
        .current_dir(issuer.plan.path(""))
        .args(["s_client", "-quiet", "-no_ign_eof", "-verify_return_error", "-servername", "issuer.localhost"])
        .args(["-CAfile", "services-ca.pem", "-cert", "service.pem", "-key", "service.key"])
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = slow.stdin.take().unwrap();
    let head = "POST /v1/contracts HTTP/1.1\r\nhost: issuer.localhost\r\ncontent-type: application/json\r\n\
                idempotency-key: slow\r\ncontent-length: 100\r\n\r\n{\"id\":";
    stdin.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(slow.stdout.take().unwrap()).lines();
    let told: Vec<String> = lines.map(Result::unwrap).collect();
    drop(stdin);
    slow.wait().unwrap();
    assert_eq!(told.first().map(String::as_str), Some("HTTP/1.1 503 Service Unavailable"), "{told:?}");
    assert!(told.last().unwrap().contains("urn:sekisho:problem:timeout"), "{told:?}");
}
