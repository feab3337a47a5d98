use super::*;
use crate::gateway::request::headers::{Forwarding, StripSet, strip};
use crate::gateway::verify::identity::Identity;
use sekisho_pki::serial::SerialNumber;

const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);
const DAY: i64 = 86_400;

/// A configuration with every header on, and one name in its `strip` list.
pub(in crate::gateway::request::headers) fn every_name() -> HeaderNames {
    let on = |name| Some(HeaderName::from_static(name));
    HeaderNames {
        contract_id: on("x-sekisho-contract-id"),
        user_id: on("x-sekisho-user-id"),
        common_name: on("x-sekisho-common-name"),
        serial: on("x-sekisho-serial"),
        issuer: on("x-sekisho-issuer"),
        ca: on("x-sekisho-ca"),
        not_before: on("x-sekisho-not-before"),
        not_after: on("x-sekisho-not-after"),
        days_left: on("x-sekisho-days-left"),
        fingerprint: on("x-sekisho-fingerprint"),
        verification: on("x-sekisho-verification"),
        resumed: on("x-sekisho-resumed"),
        authenticated_at: on("x-sekisho-authenticated-at"),
        client_cert: on("client-cert"),
        client_cert_chain: on("client-cert-chain"),
        assertion: on("x-sekisho-assertion"),
        ca_draining: on("x-sekisho-ca-draining"),
        request_id: on("x-sekisho-request-id"),
        strip: vec![HeaderName::from_static("x-bank-internal")],
    }
}

fn client(captures: &[(&str, &str)], presented: &[&[u8]]) -> VerifiedClient {
    VerifiedClient::for_test(
        Identity::for_test("00009876543 riyousya 1635", captures),
        presented.iter().map(|der| CertificateDer::from(der.to_vec())).collect(),
        "CN=発行局,O=Bank",
        SerialNumber::from_der_content(&[0, 0xab, 0xcd]).unwrap(),
        [NOW.plus_seconds(-DAY), NOW.plus_seconds(40 * DAY - 1)],
    )
}

fn applied(headers: &IdentityHeaders, assertion: Option<&str>) -> HeaderMap {
    let mut map = HeaderMap::new();
    let request_id = RequestId::from_octets([0; 10]);
    headers.apply(&mut map, &RequestFacts { now: NOW, request_id: &request_id, assertion }).unwrap();
    map
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    lines.sort();
    lines
}

#[test]
fn a_verified_client_has_every_header() {
    let client = client(&[("contract_id", "00009876543"), ("user_id", "riyousya")], &[b"leaf", b"ca1", b"ca"]);
    let headers = IdentityHeaders::verified(&client, SessionKind::Resumed, NOW.plus_seconds(-60), &every_name());
    assert_eq!(
        lines(&applied(&headers, Some("a.b.c"))),
        [
            "client-cert-chain: :Y2Ex:, :Y2E=:",
            "client-cert: :bGVhZg==:",
            "x-sekisho-assertion: a.b.c",
            "x-sekisho-authenticated-at: 2026-11-22T01:30:00Z",
            "x-sekisho-ca: test",
            "x-sekisho-common-name: 00009876543 riyousya 1635",
            "x-sekisho-contract-id: 00009876543",
            "x-sekisho-days-left: 39",
            // printf leaf | sha256sum
            "x-sekisho-fingerprint: 9f91161f43433e49a6de6db680d79f60159f2e4ac9172621a12846428158440b",
            "x-sekisho-issuer: CN=%E7%99%BA%E8%A1%8C%E5%B1%80,O=Bank",
            "x-sekisho-not-after: 2027-01-01T01:30:59Z",
            "x-sekisho-not-before: 2026-11-21T01:31:00Z",
            "x-sekisho-request-id: 0000-0000-0000-0000",
            "x-sekisho-resumed: true",
            "x-sekisho-serial: abcd",
            "x-sekisho-user-id: riyousya",
            "x-sekisho-verification: verified",
        ]
    );
}

#[test]
fn an_absent_user_id_has_no_header_and_days_left_go_by_the_request() {
    let client = client(&[("contract_id", "1")], &[b"leaf"]);
    let headers = IdentityHeaders::verified(&client, SessionKind::Full, NOW, &every_name());
    let map = applied(&headers, None);
    assert_eq!(map.get("x-sekisho-user-id"), None);
    assert_eq!(map.get("client-cert-chain"), None);
    assert_eq!(map.get("x-sekisho-assertion"), None);
    assert_eq!(map["x-sekisho-resumed"], "false");
    let mut later = HeaderMap::new();
    let request = RequestFacts { now: NOW.plus_seconds(DAY), request_id: &RequestId::generate(), assertion: None };
    headers.apply(&mut later, &request).unwrap();
    assert_eq!(later["x-sekisho-days-left"], "38");
}

#[test]
fn a_client_of_a_draining_ca_has_one_header_more_unless_it_is_turned_off() {
    let mut names = every_name();
    let headers = |names: &HeaderNames| {
        let headers = IdentityHeaders::verified(&client(&[], &[b"leaf"]), SessionKind::Full, NOW, names);
        applied(&headers.draining("old-issuing", names), None)
    };
    assert_eq!(headers(&names)["x-sekisho-ca-draining"], "old-issuing");
    names.ca_draining = None;
    assert_eq!(headers(&names).get("x-sekisho-ca-draining"), None);
}

#[test]
fn an_unauthenticated_request_says_none_and_names_nobody() {
    let headers = IdentityHeaders::unauthenticated(&every_name());
    assert_eq!(
        lines(&applied(&headers, Some("somebody.else's.assertion"))),
        ["x-sekisho-request-id: 0000-0000-0000-0000", "x-sekisho-verification: none"]
    );
}

#[test]
fn a_header_that_is_turned_off_is_not_set() {
    let mut names = every_name();
    (names.client_cert, names.assertion, names.days_left, names.request_id) = (None, None, None, None);
    let headers = IdentityHeaders::verified(&client(&[], &[b"leaf"]), SessionKind::Full, NOW, &names);
    let map = applied(&headers, Some("a.b.c"));
    for name in ["client-cert", "x-sekisho-assertion", "x-sekisho-days-left", "x-sekisho-request-id"] {
        assert_eq!(map.get(name), None, "{name}");
    }
}

#[test]
fn a_forged_header_is_replaced_by_the_true_one() {
    let client = client(&[("user_id", "riyousya")], &[b"leaf"]);
    let mut map = HeaderMap::new();
    map.append("x-sekisho-user-id", HeaderValue::from_static("president"));
    map.append("x-sekisho-user-id", HeaderValue::from_static("president"));
    map.append("x_sekisho_contract_id", HeaderValue::from_static("1"));
    strip(&mut map, &StripSet::new(&every_name()));
    let headers = IdentityHeaders::verified(&client, SessionKind::Full, NOW, &every_name());
    headers.apply(&mut map, &RequestFacts { now: NOW, request_id: &RequestId::generate(), assertion: None }).unwrap();
    assert_eq!(map.get_all("x-sekisho-user-id").iter().collect::<Vec<_>>(), ["riyousya"]);
    assert_eq!(map.get("x_sekisho_contract_id"), None);
}

#[test]
fn an_unsafe_value_cannot_begin_another_header() {
    let client = client(&[("user_id", "a\r\nx-sekisho-contract-id: 1"), ("contract_id", "契約")], &[]);
    let map = applied(&IdentityHeaders::verified(&client, SessionKind::Full, NOW, &every_name()), None);
    assert_eq!(map["x-sekisho-user-id"], "a%0D%0Ax-sekisho-contract-id: 1");
    assert_eq!(map["x-sekisho-contract-id"], "%E5%A5%91%E7%B4%84");
}

#[test]
fn a_chain_too_long_for_a_header_is_left_out_whole_and_said_to_be() {
    let fits = vec![0; MAX_CERTIFICATE_HEADER_OCTETS / 4 * 3 - 3];
    let too_long = vec![0; fits.len() + 1];
    let of = |presented: &[&[u8]], names: &HeaderNames| {
        let headers = IdentityHeaders::verified(&client(&[], presented), SessionKind::Full, NOW, names);
        (applied(&headers, None), headers.too_large().map(ToString::to_string))
    };
    let (map, too_large) = of(&[b"leaf", &fits], &every_name());
    assert_eq!(map["client-cert-chain"].len(), MAX_CERTIFICATE_HEADER_OCTETS - 2);
    assert_eq!(too_large, None);
    for (presented, name) in [
        (&[&b"leaf"[..], &too_long][..], "client-cert-chain"),
        (&[b"leaf", &fits, b"ca"], "client-cert-chain"),
        (&[&too_long], "client-cert"),
    ] {
        let (map, too_large) = of(presented, &every_name());
        assert_eq!((map.get(name), too_large.as_deref()), (None, Some(name)));
    }
    let off = HeaderNames { client_cert: None, client_cert_chain: None, ..every_name() };
    assert_eq!(of(&[&too_long, &too_long], &off).1, None, "what nobody is told cannot be missing");
}

#[test]
fn an_assertion_is_never_printed_or_indexed() {
    let headers = IdentityHeaders::verified(&client(&[], &[]), SessionKind::Full, NOW, &every_name());
    assert!(applied(&headers, Some("a.b.c"))["x-sekisho-assertion"].is_sensitive());
}

#[test]
fn a_request_without_room_for_its_identity_does_not_go_on() {
    let mut full = HeaderMap::new();
    for number in 0.. {
        let name = HeaderName::try_from(format!("x-{number}")).unwrap();
        if full.try_insert(name, HeaderValue::from_static("")).is_err() {
            break;
        }
    }
    let headers = IdentityHeaders::unauthenticated(&every_name());
    let request = RequestFacts { now: NOW, request_id: &RequestId::generate(), assertion: None };
    assert!(headers.apply(&mut full, &request).is_err());
    assert!(Forwarding::new(([192, 0, 2, 7], 50_000).into()).apply(&mut full, "ib.example.jp").is_err());
}

#[test]
fn what_a_chain_says_is_written_once_and_anew_under_other_names() {
    let client = client(&[("contract_id", "00009876543"), ("user_id", "riyousya")], &[b"leaf"]);
    let names = every_name();
    let first = IdentityHeaders::verified(&client, SessionKind::Full, NOW, &names);
    let later = NOW.plus_seconds(60);
    let second = IdentityHeaders::verified(&client.clone(), SessionKind::Resumed, later, &names);
    assert!(Arc::ptr_eq(&first.of_chain, &second.of_chain));
    // What belongs to the connection is its own.
    assert_eq!(applied(&first, None)["x-sekisho-resumed"], "false");
    assert_eq!(applied(&second, None)["x-sekisho-resumed"], "true");
    assert_eq!(applied(&second, None)["x-sekisho-authenticated-at"], *later.to_string());
    let renamed = HeaderNames { user_id: Some(HeaderName::from_static("x-bank-user")), client_cert: None, ..names };
    let third = applied(&IdentityHeaders::verified(&client, SessionKind::Full, NOW, &renamed), None);
    assert_eq!(third["x-bank-user"], "riyousya");
    assert!(!third.contains_key("x-sekisho-user-id") && !third.contains_key("client-cert"), "{third:?}");
}
