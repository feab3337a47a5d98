//! OCSP over HTTP, asked and judged by OpenSSL.

use crate::support::{Hierarchy, REVOKED, Response, Running, World, write_pem};
use base64::Engine as _;
use sekisho_ca::ocsp::{MAX_CERTIFICATES, ResponseError};
use sekisho_issuer::store::Status;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::ocsp::{CertificateStatus, IssuerId, NONCE_OCTETS, NonceEcho, Question};

/// What OpenSSL says of a certificate, asking by POST.
fn asked(world: &World, running: &Running, certificate: &Certificate) -> String {
    write_pem(&world.path("user.pem"), certificate);
    let line = format!(
        "openssl ocsp -issuer issuing.pem -CAfile root.pem -verify_other issuing.pem -cert user.pem -no_nonce \
         -url http://{}/ocsp/hokugin",
        running.address
    );
    let shown = world.succeeds(&line);
    assert!(shown.contains("Response verify OK"), "{shown}");
    shown.lines().filter(|line| line.starts_with("user.pem:") || line.contains("Reason:")).collect::<Vec<_>>().join(" ")
}

/// The same by GET.
async fn fetched(world: &World, running: &Running, certificate: &Certificate) -> (Response, String) {
    let encoded = base64::engine::general_purpose::STANDARD.encode(request(world, certificate));
    let response = running.get(&format!("/ocsp/hokugin/{encoded}")).await;
    std::fs::write(world.path("answer.der"), &response.body).unwrap();
    let line = "openssl ocsp -issuer issuing.pem -CAfile root.pem -verify_other issuing.pem -cert user.pem \
                -respin answer.der";
    let shown = world.succeeds(line);
    assert!(shown.contains("Response verify OK"), "{shown}");
    (response, shown)
}

fn request(world: &World, certificate: &Certificate) -> Vec<u8> {
    request_with(world, certificate, "-no_nonce")
}

fn request_with(world: &World, certificate: &Certificate, options: &str) -> Vec<u8> {
    write_pem(&world.path("user.pem"), certificate);
    world.succeeds(&format!("openssl ocsp -issuer issuing.pem -cert user.pem {options} -reqout request.der"));
    std::fs::read(world.path("request.der")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_told_what_the_store_says_at_every_step_of_a_certificate() {
    let world = World::new().await;
    let running = world.start().await;
    let certificate = world.sign(&running);
    assert_eq!(asked(&world, &running, &certificate), "user.pem: unknown", "never heard of");
    world.begin(&certificate, None).await;
    assert_eq!(asked(&world, &running, &certificate), "user.pem: unknown", "begun and not completed");
    let certificate = world.issue(&running).await;
    let steps = [
        (None, "user.pem: good"),
        (Some(Status::Held), "user.pem: revoked \tReason: certificateHold"),
        (Some(Status::Released), "user.pem: good"),
        (Some(Status::Held), "user.pem: revoked \tReason: certificateHold"),
        (Some(Status::Revoked(RevocationReason::KeyCompromise)), "user.pem: revoked \tReason: keyCompromise"),
    ];
    for (status, expected) in steps {
        if let Some(status) = status {
            world.set(certificate.serial(), status).await;
            world.published(&running).await;
        }
        // Twice: the second is kept.
        assert_eq!(asked(&world, &running, &certificate), expected);
        assert_eq!(asked(&world, &running, &certificate), expected);
        let (response, shown) = fetched(&world, &running, &certificate).await;
        let first = expected.split(" \t").next().unwrap();
        assert!(shown.contains(first), "{shown}");
        assert_eq!(response.header("content-type"), Some("application/ocsp-response"));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_s_nonce_comes_back_and_such_an_answer_is_cached_nowhere() {
    let world = World::new().await;
    let running = world.start().await;
    let certificate = world.issue(&running).await;
    write_pem(&world.path("user.pem"), &certificate);
    let ask = |options: &str| {
        let shown = world.succeeds(&format!(
            "openssl ocsp -issuer issuing.pem -CAfile root.pem -verify_other issuing.pem -cert user.pem {options} \
             -url http://{}/ocsp/hokugin",
            running.address
        ));
        assert!(shown.contains("Response verify OK") && shown.contains("user.pem: good"), "{options}: {shown}");
        shown
    };
    assert!(!ask("-nonce").contains("WARNING"), "OpenSSL warns where its nonce does not come back");
    ask("-no_nonce");
    let (with, without) = (request_with(&world, &certificate, "-nonce"), request(&world, &certificate));
    let posted = async |body: &[u8]| running.post("/ocsp/hokugin", "application/ocsp-request", body).await;
    let (first, second) = (posted(&without).await, posted(&without).await);
    assert_eq!(first.body, second.body, "an answer without nonce is kept");
    assert!(first.header("cache-control").unwrap().starts_with("max-age=60, public"), "{first:?}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(&with).replace('/', "%2F").replace('+', "%2B");
    let got = running.get(&format!("/ocsp/hokugin/{encoded}")).await;
    for answer in [posted(&with).await, posted(&with).await, got] {
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
        assert_eq!((answer.header("etag"), answer.header("expires")), (None, None), "{answer:?}");
        assert_ne!(answer.body, first.body);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_told_of_several_certificates_in_one_answer() {
    let world = World::new().await;
    let running = world.start().await;
    let (good, revoked) = (world.issue(&running).await, world.issue(&running).await);
    world.set(revoked.serial(), REVOKED).await;
    world.published(&running).await;
    for (file, certificate) in [("good.pem", &good), ("revoked.pem", &revoked), ("unknown.pem", &world.sign(&running))]
    {
        write_pem(&world.path(file), certificate);
    }
    let ask = |certificates: &str, options: &str| {
        world.tool(&format!(
            "openssl ocsp -issuer issuing.pem -CAfile root.pem -verify_other issuing.pem{certificates} {options} \
             -url http://{}/ocsp/hokugin",
            running.address
        ))
    };
    for options in ["-nonce", "-no_nonce"] {
        let (_, shown) = ask(" -cert good.pem -cert revoked.pem -cert unknown.pem", options);
        for expected in ["Response verify OK", "good.pem: good", "revoked.pem: revoked", "unknown.pem: unknown"] {
            assert!(shown.contains(expected), "{options}: {shown}");
        }
        assert!(!shown.contains("WARNING"), "{options}: {shown}");
        let (_, shown) = ask(&" -cert good.pem".repeat(MAX_CERTIFICATES), options);
        assert_eq!(shown.matches("good.pem: good").count(), MAX_CERTIFICATES, "{shown}");
        let (_, shown) = ask(&" -cert good.pem".repeat(MAX_CERTIFICATES + 1), options);
        assert!(shown.contains("malformedrequest"), "{shown}");
    }
    running.stop().await;
}

/// A nonce costs a signature, and every certificate a look-up.
#[tokio::test(flavor = "multi_thread")]
async fn nonces_and_lists_of_certificates_are_behind_the_limit_of_an_address() {
    let mut world = World::new().await;
    world.limits.public_requests_per_second = 1;
    for (options, most) in [("-nonce", 8), ("-no_nonce -serial 2 -serial 3 -serial 4", 3)] {
        let running = world.start().await;
        let certificate = world.sign(&running);
        let body = request_with(&world, &certificate, options);
        let mut answered = 0;
        let refused = loop {
            let response = running.post("/ocsp/hokugin", "application/ocsp-request", &body).await;
            if response.status != 200 {
                break response;
            }
            answered += 1;
            assert!(answered <= most, "{options}");
        };
        assert_eq!((refused.status, refused.header("retry-after").is_some()), (429, true), "{options}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_begun_and_revoked_is_revoked() {
    let world = World::new().await;
    let running = world.start().await;
    let certificate = world.sign(&running);
    world.begin(&certificate, None).await;
    world.set(certificate.serial(), Status::Revoked(RevocationReason::CessationOfOperation)).await;
    world.published(&running).await;
    assert_eq!(asked(&world, &running, &certificate), "user.pem: revoked \tReason: cessationOfOperation");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_unknown_or_not_answered_for() {
    let world = World::new().await;
    let running = world.start().await;
    // Its serial is in the store, under another authority's name.
    let certificate = world.sign(&running);
    let mut change = crate::support::change_of(certificate.serial(), REVOKED);
    change.authority = "shinkin".into();
    world.set_quietly(vec![change]).await;
    assert_eq!(asked(&world, &running, &certificate), "user.pem: unknown");
    // Another issuer's key.
    let body = request(&world, &certificate);
    let other = Hierarchy::new("Publication Issuing");
    write_pem(&world.path("issuing.pem"), &other.issuing);
    let foreign = request(&world, &certificate);
    assert_ne!(body, foreign);
    let response = running.post("/ocsp/hokugin", "application/ocsp-request", &foreign).await;
    assert_eq!((response.status, response.body), (200, ResponseError::Unauthorized.der()));
    assert_eq!(running.post("/ocsp/shinkin", "application/ocsp-request", &body).await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_try_later_and_never_good() {
    let world = World::new().await;
    let running = world.start().await;
    let (known, new) = (world.issue(&running).await, world.issue(&running).await);
    assert_eq!(asked(&world, &running, &known), "user.pem: good");
    world.store.set_down(true);
    assert_eq!(asked(&world, &running, &known), "user.pem: good", "an answer that is kept holds");
    // With a nonce or others beside it, it would have to be looked up.
    for body in [
        request(&world, &new),
        request_with(&world, &known, "-nonce"),
        request_with(&world, &known, "-no_nonce -serial 5"),
    ] {
        let response = running.post("/ocsp/hokugin", "application/ocsp-request", &body).await;
        assert_eq!((response.status, response.body.as_slice()), (200, ResponseError::TryLater.der().as_slice()));
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    world.store.set_down(false);
    assert_eq!(asked(&world, &running, &new), "user.pem: good");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_none_get_their_status_or_malformed() {
    let world = World::new().await;
    let running = world.start().await;
    let certificate = world.issue(&running).await;
    let body = request(&world, &certificate);
    let malformed = ResponseError::MalformedRequest.der();
    for (content_type, body, expected) in [
        ("text/plain", &body[..], 415),
        ("application/ocsp-response", &body, 415),
        ("Application/OCSP-Request; charset=x", &body, 200),
        ("application/ocsp-request", &[0x30; 2_049], 413),
    ] {
        assert_eq!(running.post("/ocsp/hokugin", content_type, body).await.status, expected, "{content_type}");
    }
    for garbage in [&b""[..], b"x", &body[..body.len() - 1]] {
        let response = running.post("/ocsp/hokugin", "application/ocsp-request", garbage).await;
        assert_eq!((response.status, &response.body), (200, &malformed), "{garbage:x?}");
    }
    for path in ["/ocsp/hokugin/x", "/ocsp/hokugin/%", "/ocsp/hokugin/%zz", "/ocsp/hokugin/MEQ="] {
        let response = running.get(path).await;
        assert_eq!((response.status, &response.body), (200, &malformed), "{path}");
    }
    // A body that never comes whole: no answer is made of it, and nothing is held for ever.
    let lines = "POST /ocsp/hokugin HTTP/1.1\r\nhost: a\r\ncontent-type: application/ocsp-request\r\n";
    let chunked = format!("{lines}transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    let chunks = format!("801\r\n{}\r\n0\r\n\r\n", "0".repeat(0x801));
    assert_eq!(running.request(&chunked, chunks.as_bytes()).await.status, 413);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn base64_with_slashes_is_read_percent_encoded_and_as_it_is() {
    let world = World::new().await;
    let running = world.start().await;
    // Some request's base64 has a slash and a plus sign.
    let (certificate, encoded) = loop {
        let certificate = world.sign(&running);
        let encoded = base64::engine::general_purpose::STANDARD.encode(request(&world, &certificate));
        if encoded.contains('/') && encoded.contains('+') {
            break (certificate, encoded);
        }
    };
    world.begin(&certificate, Some(certificate.der().as_ref().into())).await;
    let percent = encoded.replace('/', "%2F").replace('+', "%2B").replace('=', "%3d");
    let (plain, escaped) = (
        running.get(&format!("/ocsp/hokugin/{encoded}")).await,
        running.get(&format!("/ocsp/hokugin/{percent}")).await,
    );
    assert_eq!((plain.status, plain.body.len() > 100), (200, true));
    assert_eq!(plain.body, escaped.body);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_renewed_before_it_is_over_while_somebody_asks() {
    let mut world = World::new().await;
    world.config.ocsp_lifetime = std::time::Duration::from_secs(8);
    let running = world.start().await;
    let certificate = world.issue(&running).await;
    let body = request(&world, &certificate);
    let first = running.post("/ocsp/hokugin", "application/ocsp-request", &body).await.body;
    // The store is down from here on for everybody but the renewal of what is kept: so answers are the kept ones.
    let later = || running.post("/ocsp/hokugin", "application/ocsp-request", &body);
    crate::support::until("it was made anew", || async { later().await.body != first }).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_s_question_is_answered_and_the_answer_believed_at_every_step_of_a_certificate() {
    let world = World::new().await;
    let running = world.start().await;
    let issuing = &world.hierarchy.issuing;
    let issuer = IssuerId::of(issuing).unwrap();
    let nonce = [7; NONCE_OCTETS];
    let certificate = world.issue(&running).await;
    let serial = certificate.serial();
    let question = Question { issuer: &issuer, serial: &serial, nonce: Some(&nonce) };
    for (status, expected) in [
        (None, None),
        (Some(Status::Held), Some(RevocationReason::CertificateHold)),
        (Some(Status::Released), None),
        (Some(Status::Revoked(RevocationReason::KeyCompromise)), Some(RevocationReason::KeyCompromise)),
    ] {
        if let Some(status) = status {
            world.set(serial, status).await;
            world.published(&running).await;
        }
        let response = running.post("/ocsp/hokugin", "application/ocsp-request", &question.der()).await;
        let answer =
            sekisho_pki::ocsp::verify(&response.body, &question, issuing, sekisho_runtime::clock::now()).unwrap();
        assert_eq!(answer.nonce, NonceEcho::Echoed);
        match (answer.status, expected) {
            (CertificateStatus::Good, None) => {}
            (CertificateStatus::Revoked { reason, .. }, Some(expected)) if reason == expected => {}
            other => panic!("{other:?}"),
        }
    }
    let unknown = crate::support::random();
    let question = Question { serial: &unknown, ..question };
    let response = running.post("/ocsp/hokugin", "application/ocsp-request", &question.der()).await;
    let answer = sekisho_pki::ocsp::verify(&response.body, &question, issuing, sekisho_runtime::clock::now()).unwrap();
    assert_eq!(answer.status, CertificateStatus::Unknown);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ocsp_nonces_the_answer_that_is_kept_serves_whoever_sends_one_also_while_the_store_is_down() {
    let mut world = World::new().await;
    world.config.ocsp_nonces = false;
    let running = world.start().await;
    let certificate = world.issue(&running).await;
    let posted = async |body: &[u8]| running.post("/ocsp/hokugin", "application/ocsp-request", body).await;
    let kept = posted(&request(&world, &certificate)).await;
    world.store.set_down(true);
    let with_nonce = posted(&request_with(&world, &certificate, "-nonce")).await;
    assert_eq!((with_nonce.status, with_nonce.body), (200, kept.body));
    world.store.set_down(false);
    running.stop().await;
}
