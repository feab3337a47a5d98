//! The public address: what is there, for whom it is cached, and what is not there.

use crate::support::{REVOKED, World, random};

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_lists_have_their_media_types_and_may_be_cached_for_their_time() {
    let world = World::new().await;
    let running = world.start().await;
    let own = running.get("/ca/hokugin.cer").await;
    assert_eq!(own.body, world.hierarchy.issuing.der().as_ref());
    assert_eq!(own.header("content-type"), Some("application/pkix-cert"));
    assert!(own.header("cache-control").unwrap().starts_with("max-age=86400, public"), "{}", own.head);
    let above = running.get("/ca/hokugin/0.cer").await;
    assert_eq!(above.body, world.hierarchy.root.der().as_ref());
    assert_eq!(running.get("/ca/hokugin/1.cer").await.status, 404);
    let list = running.get("/crl/hokugin/0.crl").await;
    assert_eq!(list.header("content-type"), Some("application/pkix-crl"));
    assert!(list.header("cache-control").unwrap().starts_with("max-age=10, public"), "{}", list.head);
    assert!(
        list.header("etag").is_some() && list.header("last-modified").is_some() && list.header("expires").is_some()
    );
    for response in [own, above, list] {
        assert!(response.header("server").is_none(), "{}", response.head);
        assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_list_gets_304_and_who_has_an_older_one_the_list() {
    let world = World::new().await;
    let running = world.start().await;
    let first = running.get("/crl/hokugin/0.crl").await;
    let etag = first.header("etag").unwrap().to_owned();
    for condition in [
        format!("if-none-match: {etag}\r\n"),
        format!("if-none-match: W/{etag}\r\n"),
        format!("if-none-match: \"x\", {etag}\r\n"),
        format!("if-none-match: \"x\"\r\nif-none-match: {etag}\r\n"),
        "if-none-match: *\r\n".to_owned(),
    ] {
        let same = running.get_with("/crl/hokugin/0.crl", &condition).await;
        assert_eq!((same.status, same.body.len()), (304, 0), "{condition}");
        assert_eq!(same.header("etag"), Some(etag.as_str()));
        assert!(same.header("cache-control").is_some() && same.header("content-type").is_none(), "{}", same.head);
    }
    for condition in ["if-none-match: \"x\"\r\n", "if-none-match: x\r\n", "if-modified-since: yesterday\r\n"] {
        assert_eq!(running.get_with("/crl/hokugin/0.crl", condition).await.status, 200, "{condition}");
    }
    world.set(random(), REVOKED).await;
    world.published(&running).await;
    let newer = running.get_with("/crl/hokugin/0.crl", &format!("if-none-match: {etag}\r\n")).await;
    assert_eq!(newer.status, 200);
    assert_ne!(newer.body, first.body);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_the_same_second_is_not_taken_for_the_one_before() {
    let world = World::new().await;
    let running = world.start().await;
    // Until two lists have one date.
    let (date, after) = loop {
        let before = running.get("/crl/hokugin/0.crl").await;
        world.set(random(), REVOKED).await;
        world.published(&running).await;
        let after = running.get("/crl/hokugin/0.crl").await;
        let date = before.header("last-modified").unwrap().to_owned();
        if after.header("last-modified") == Some(&date) {
            break (date, after);
        }
    };
    let since = running.get_with("/crl/hokugin/0.crl", &format!("if-modified-since: {date}\r\n")).await;
    assert_eq!((since.status, since.body), (200, after.body));
    // One with a date of its own is told apart by it.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.set(random(), REVOKED).await;
    world.published(&running).await;
    let last = running.get("/crl/hokugin/0.crl").await;
    let condition = format!("if-modified-since: {}\r\n", last.header("last-modified").unwrap());
    assert_eq!(running.get_with("/crl/hokugin/0.crl", &condition).await.status, 304);
    // The tag decides where there is one.
    let both = format!("if-none-match: \"x\"\r\n{condition}");
    assert_eq!(running.get_with("/crl/hokugin/0.crl", &both).await.status, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_headers_of_get_and_no_body() {
    let world = World::new().await;
    let running = world.start().await;
    for path in ["/crl/hokugin/0.crl", "/ca/hokugin.cer", "/nothing"] {
        let get = running.get(path).await;
        let line = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let head = running.request(&line, &[]).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for name in ["content-length", "content-type", "etag", "last-modified"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_there() {
    let world = World::new().await;
    let running = world.start().await;
    for path in ["/", "/crl/", "/crl/shinkin/0.crl", "/crl/hokugin/1.crl", "/ca/shinkin.cer", "/metrics", "/crl/../ca"]
    {
        let response = running.get(path).await;
        assert_eq!((response.status, response.body.as_slice()), (404, &b"not found\n"[..]), "{path}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/crl/hokugin/0.crl", "GET, HEAD"),
        ("DELETE", "/ca/hokugin.cer", "GET, HEAD"),
        ("GET", "/ocsp/hokugin", "POST"),
        ("PUT", "/ocsp/hokugin/MEQ=", "GET, HEAD"),
    ] {
        let line = format!("{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let response = running.request(&line, &[]).await;
        assert_eq!((response.status, response.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_told_when_to_come_again() {
    let mut world = World::new().await;
    world.limits.public_requests_per_second = 1;
    let running = world.start().await;
    let mut refused = None;
    for _ in 0..100 {
        let response = running.get("/ca/hokugin.cer").await;
        if response.status == 429 {
            refused = Some(response);
            break;
        }
        assert_eq!(response.status, 200);
    }
    let refused = refused.expect("never refused");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    running.stop().await;
}
