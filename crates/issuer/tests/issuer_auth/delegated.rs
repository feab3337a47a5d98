//! Credentials of the IB system: whatever is not a clear answer is no answer.

use crate::support::{Canned, TlsFiles, placed, user, write};
use axum::Router;
use axum::routing::post;
use sekisho_issuer::authenticate::{Checked, Credentials as _, CredentialsUnavailable, Delegated, Factors};
use sekisho_issuer::listen::{ConnectionLimits, Listener, serve};
use sekisho_lifecycle::profile::Factor::{self, CurrentCertificate, LoginPassword, OneTimePassword, Pin};
use sekisho_pki::time::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);
const TIMEOUT: Duration = Duration::from_millis(700);

/// Long enough for any machine.
const PATIENT: Duration = Duration::from_secs(20);

fn factors(typed: &[(Factor, &str)]) -> Factors {
    Factors(typed.iter().map(|(factor, text)| (*factor, Zeroizing::new((*text).to_owned()))).collect())
}

fn both() -> Factors {
    factors(&[(LoginPassword, "hunter2 \u{1f512}\""), (OneTimePassword, "123456")])
}

async fn check_at(url: &str, timeout: Duration) -> Result<Checked, CredentialsUnavailable> {
    let delegated = Delegated::new(url, timeout, None, None).unwrap();
    let (user, factors) = (user("C1", "u1"), both());
    let checked = delegated.check(&user, &factors, &[LoginPassword, OneTimePassword], NOW);
    tokio::time::timeout(2 * PATIENT, checked).await.expect("it waits for ever")
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_clear_answer_is_taken_as_it_is() {
    for (body, right, wrong) in [
        (
            r#"{"results":{"login-password":"right","one-time-password":"right"}}"#,
            vec![LoginPassword, OneTimePassword],
            vec![],
        ),
        (
            r#"{"results":{"one-time-password":"right","login-password":"wrong"}}"#,
            vec![OneTimePassword],
            vec![LoginPassword],
        ),
        (
            r#"{"results":{"login-password":"wrong","one-time-password":"wrong"}}"#,
            vec![],
            vec![LoginPassword, OneTimePassword],
        ),
        (
            r#"{"results":{"pin":"wrong","login-password":"right","one-time-password":"right"},"trace":1}"#,
            vec![LoginPassword, OneTimePassword],
            vec![],
        ),
    ] {
        let server = Canned::start(answer(body)).await;
        assert_eq!(check_at(&server.url("/check"), PATIENT).await, Ok(Checked { right, wrong }), "{body}");
    }
}

#[tokio::test]
async fn the_question_has_the_wanted_factors_that_were_typed_and_nothing_else() {
    let server = Canned::start(answer(r#"{"results":{"login-password":"right"}}"#)).await;
    let folder = tempfile::tempdir().unwrap();
    let authorization = placed(write(folder.path(), "authorization", "Bearer s3cret\n"));
    let delegated = Delegated::new(&server.url("/check?bank=1"), PATIENT, Some(&authorization), None).unwrap();
    let typed = factors(&[(LoginPassword, "a\"b"), (OneTimePassword, "123456"), (CurrentCertificate, "x")]);
    let wanted = [CurrentCertificate, LoginPassword, Pin, LoginPassword];
    let checked = delegated.check(&user("C/1", "u\"1"), &typed, &wanted, NOW).await;
    assert_eq!(checked, Ok(Checked { right: vec![LoginPassword], wrong: vec![] }));
    let requests = server.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /check?bank=1 HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(
        head.contains("\r\nauthorization: bearer s3cret") && head.contains("\r\ncontent-type: application/json"),
        "{head}"
    );
    let expected = json!({ "contract": "C/1", "user": "u\"1", "factors": { "login-password": "a\"b" } });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_was_typed() {
    let server = Canned::start(answer("{}")).await;
    let delegated = Delegated::new(&server.url("/"), PATIENT, None, None).unwrap();
    for (typed, wanted) in [
        (factors(&[]), vec![LoginPassword, Pin]),
        (both(), vec![Pin]),
        (both(), vec![]),
        (factors(&[(CurrentCertificate, "x")]), vec![CurrentCertificate]),
    ] {
        assert_eq!(delegated.check(&user("C1", "u1"), &typed, &wanted, NOW).await, Ok(Checked::default()));
    }
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test]
async fn whatever_is_not_a_clear_answer_is_never_wrong() {
    let right = r#"{"results":{"login-password":"right","one-time-password":"right"}}"#;
    let wrong = r#"{"results":{"login-password":"wrong","one-time-password":"wrong"}}"#;
    let status = |status: &str| answer(wrong).replace("200 OK", status);
    for (why, answer) in [
        ("status is 500", status("500 Internal Server Error")),
        ("status is 503", status("503 Service Unavailable")),
        ("status is 429", status("429 Too Many Requests")),
        ("status is 400", status("400 Bad Request")),
        ("status is 401", status("401 Unauthorized")),
        ("status is 403", status("403 Forbidden")),
        ("status is 404", status("404 Not Found")),
        ("status is 201", status("201 Created")),
        ("status is 204", "HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        ("no result of one-time-password", answer(r#"{"results":{"login-password":"wrong"}}"#)),
        ("no result of login-password", answer(r#"{"results":{}}"#)),
        ("answer is another", answer("{}")),
        ("answer is another", answer("")),
        ("answer is another", answer("<html>Sorry</html>")),
        ("answer is another", answer("[]")),
        ("answer is another", answer(&wrong.replacen("wrong", "WRONG", 1))),
        ("answer is another", answer(&wrong.replacen("\"wrong\"", "false", 1))),
        ("answer is another", answer(&wrong.replacen("\"wrong\"", "null", 1))),
        ("answer is another", answer(&wrong.replacen("wrong", "locked", 1))),
        ("answer is another", answer(&format!("{wrong}x"))),
        ("answer is another", answer(&right.replacen('}', r#","login-password":"wrong"}"#, 1))),
        ("answer is another", answer(&wrong[..wrong.len() - 1])),
        ("more than 65536 octets", answer(&format!("{}{wrong}", " ".repeat(64 * 1024)))),
        ("failed", answer(wrong).replace("Content-Length: ", "Content-Length: 1")),
        ("failed", answer(wrong)[..30].to_owned()),
        ("failed", String::new()),
        ("failed", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
    ] {
        let server = Canned::start(answer.clone()).await;
        let CredentialsUnavailable(told) = check_at(&server.url("/"), PATIENT).await.unwrap_err();
        assert!(told.contains(why), "{answer}: {told}");
        assert!(!told.contains("hunter2") && !told.contains("123456"), "a factor is in the log: {told}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let wrong = answer(r#"{"results":{"login-password":"wrong","one-time-password":"wrong"}}"#);
    let elsewhere = Canned::start(wrong).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = elsewhere.url("/");
        let redirect = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = Canned::start(redirect).await;
        let CredentialsUnavailable(told) = check_at(&server.url("/"), PATIENT).await.unwrap_err();
        assert!(told.contains(&format!("status is {}", &status[..3])), "{told}");
    }
    assert_eq!(elsewhere.requests(), [""; 0], "the factors went elsewhere");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_no_answer() {
    let wrong = answer(r#"{"results":{"login-password":"wrong","one-time-password":"wrong"}}"#);
    for said in ["", "HTTP/1.1 200 OK\r\n", &wrong[..wrong.len() - 1]] {
        let server = Canned::hold(said.to_owned()).await;
        let CredentialsUnavailable(told) = check_at(&server.url("/"), TIMEOUT).await.unwrap_err();
        assert!(told.contains("timed out"), "{said}: {told}");
    }
    let server = Canned::trickle(wrong).await;
    let CredentialsUnavailable(told) = check_at(&server.url("/"), TIMEOUT).await.unwrap_err();
    assert!(told.contains("timed out"), "{told}");
}

#[tokio::test]
async fn nobody_listening_is_no_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let CredentialsUnavailable(told) = check_at(&url, PATIENT).await.unwrap_err();
    assert!(told.contains("refused"), "{told}");
}

#[tokio::test]
async fn over_https_only_a_server_of_the_named_ca_is_asked() {
    let files = TlsFiles::new();
    let router = Router::new().route("/", post(|| async { r#"{"results":{"login-password":"right"}}"# }));
    let tls = sekisho_issuer::listen::server_config(&files.config()).unwrap().config;
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Some(tls), ConnectionLimits::new(10)).await.unwrap();
    let url = format!("https://127.0.0.1:{}/", listener.local_address().port());
    let (stop, stopping) = watch::channel(false);
    let served = tokio::spawn(serve(listener, router, stopping, PATIENT));
    let check = |ca: &str| {
        let delegated = Delegated::new(&url, PATIENT, None, Some(&placed(files.path(ca)))).unwrap();
        async move { delegated.check(&user("C1", "u1"), &factors(&[(LoginPassword, "x")]), &[LoginPassword], NOW).await }
    };
    write(&files.path(""), "server-ca.pem", &files.server_ca.pem);
    assert_eq!(check("server-ca.pem").await, Ok(Checked { right: vec![LoginPassword], wrong: vec![] }));
    let CredentialsUnavailable(told) = check("client-ca.pem").await.unwrap_err();
    assert!(told.contains("UnknownIssuer"), "{told}");
    stop.send(true).unwrap();
    served.await.unwrap();
}

#[test]
fn a_configuration_that_would_not_be_safe_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| placed(write(folder.path(), name, content));
    let open = file("open", "Bearer x");
    std::fs::set_permissions(&open.value, std::fs::Permissions::from_mode(0o640)).unwrap();
    let ca = crate::support::Ca::new("IB");
    let (url, ca) = ("https://ib.example/check", file("ca.pem", &ca.pem));
    let refused = |url: &str, authorization, ca| {
        let errors = Delegated::new(url, PATIENT, authorization, ca).err().expect("it is accepted");
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert!(!error.to_string().contains('\n'), "{error}");
        error.to_string()
    };
    for (wanted, error) in [
        ("http:// beyond a loopback address", refused("http://ib.example/", None, None)),
        ("http:// beyond a loopback address", refused("http://10.0.0.1/", None, None)),
        ("http:// beyond a loopback address", refused("http://localhost/", None, None)),
        ("http:// beyond a loopback address", refused("http://127.0.0.1.example/", None, None)),
        ("scheme ftp", refused("ftp://ib.example/", None, None)),
        ("is not a URL", refused("ib.example", None, None)),
        ("its mode is 0640", refused(url, Some(&open), Some(&ca))),
        ("is empty", refused(url, Some(&file("empty", " \n")), Some(&ca))),
        ("not the text of a header", refused(url, Some(&file("two", "Bearer x\r\nX-Other: y")), Some(&ca))),
        ("cannot be read", refused(url, Some(&placed(folder.path().join("none"))), Some(&ca))),
        ("cannot be read", refused(url, None, Some(&placed(folder.path().join("none"))))),
        ("no PEM certificate", refused(url, None, Some(&file("empty.pem", "")))),
    ] {
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    for url in ["http://127.0.0.1:8080/", "http://[::1]/check", "http://127.8.8.8/"] {
        assert!(Delegated::new(url, PATIENT, None, None).is_ok(), "{url}");
    }
}
