//! Which line gets which answer.

/// One line to try.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows.
    pub claim: String,
    /// The server name.
    pub site: &'static str,
    /// Which client's certificate; none without.
    pub client: Option<&'static str>,
    /// Further arguments of curl.
    pub arguments: &'static [&'static str],
    /// Path and query.
    pub path: &'static str,
    /// What it should answer.
    pub expectation: Expectation,
}

/// What a line should answer.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// An HTTP answer.
    Answer {
        /// Its status.
        status: u16,
        /// Each must be in it, or in curl's last line (`HTTP/2 200`).
        contains: &'static [&'static str],
        /// None may be in it.
        lacks: &'static [&'static str],
    },
    /// A TLS alert, as OpenSSL words it, and no byte of HTTP.
    Alert(&'static str),
}

const ALERTS: &str = "ib.localhost";
const PAGES: &str = "portal.localhost";

/// Client, refusal reason, alert. RFC 8446 section 6.2: certificate_expired is "expired or not currently valid".
const REFUSED: [(Option<&str>, &str, &str); 6] = [
    (None, "no-certificate", "certificate required"),
    (Some("client-expired"), "expired", "certificate expired"),
    (Some("client-not-yet-valid"), "not-yet-valid", "certificate expired"),
    (Some("client-revoked"), "revoked", "certificate revoked"),
    (Some("client-other-ca"), "unknown-ca", "unknown ca"),
    (Some("client-bad-cn"), "malformed-identity", "bad certificate"),
];

/// Client, and words of the Japanese and of the English page that name the reason.
const REFUSAL_PAGES: [(Option<&str>, &[&str], &[&str]); 6] = [
    (None, &[JAPANESE, "電子証明書が提示されていません"], &[ENGLISH, "No certificate was presented"]),
    (Some("client-expired"), &[JAPANESE, "有効期限が切れています"], &[ENGLISH, "has expired"]),
    (Some("client-not-yet-valid"), &[JAPANESE, "有効期間が始まっていません"], &[ENGLISH, "is not valid yet"]),
    (Some("client-revoked"), &[JAPANESE, "失効しています"], &[ENGLISH, "has been revoked"]),
    (
        Some("client-other-ca"),
        &[JAPANESE, "このサービスの電子証明書ではありません"],
        &[ENGLISH, "not a certificate for this service"],
    ),
    (Some("client-bad-cn"), &[JAPANESE, "利用者情報を確認できませんでした"], &[ENGLISH, "could not be recognised"]),
];
const JAPANESE: &str = "<html lang=\"ja\">";
const ENGLISH: &str = "<html lang=\"en\">";

/// problem+json: the reason's stable name and a reference number.
const PROBLEMS: [(Option<&str>, &[&str]); 6] = [
    (None, &["no-certificate", "reference"]),
    (Some("client-expired"), &["expired", "reference"]),
    (Some("client-not-yet-valid"), &["not-yet-valid", "reference"]),
    (Some("client-revoked"), &["revoked", "reference"]),
    (Some("client-other-ca"), &["unknown-ca", "reference"]),
    (Some("client-bad-cn"), &["malformed-identity", "reference"]),
];

/// Every line, in the order shown.
pub fn lines() -> Vec<Line> {
    let mut lines = accepted();
    lines.extend(REFUSED.map(|(client, reason, alert)| Line {
        claim: format!("{reason}: refused with the alert \"{alert}\""),
        site: ALERTS,
        client,
        arguments: &[],
        path: "/",
        expectation: Expectation::Alert(alert),
    }));
    lines.push(Line {
        claim: "revoked: refused with the same alert under TLS 1.2".to_owned(),
        site: ALERTS,
        client: Some("client-revoked"),
        arguments: &["--tls-max", "1.2"],
        path: "/",
        expectation: Expectation::Alert("certificate revoked"),
    });
    for (client, japanese, english) in REFUSAL_PAGES {
        let named = client.unwrap_or("no certificate");
        lines.push(page(
            client,
            format!("{named}: a page in Japanese"),
            &["-H", "Accept: text/html", "-H", "Accept-Language: ja"],
            japanese,
        ));
        lines.push(page(
            client,
            format!("{named}: a page in English"),
            &["-H", "Accept: text/html", "-H", "Accept-Language: en"],
            english,
        ));
    }
    for (client, words) in PROBLEMS {
        let named = client.unwrap_or("no certificate");
        lines.push(page(
            client,
            format!("{named}: problem+json for a program"),
            &["-H", "Accept: application/json"],
            words,
        ));
    }
    lines
}

/// What a good certificate can do, and what even it cannot.
fn accepted() -> Vec<Line> {
    let line = |claim: &str, client, arguments, path, status, contains, lacks| Line {
        claim: claim.to_owned(),
        site: ALERTS,
        client: Some(client),
        arguments,
        path,
        expectation: Expectation::Answer { status, contains, lacks },
    };
    let (good, none) = ("client-good", "client-no-user-id");
    vec![
        line(
            "a good certificate: contract and user reach the application",
            good,
            &[],
            "/",
            200,
            &["00009876543", "riyousya"],
            &[],
        ),
        line(
            "the same over HTTP/2 and TLS 1.3",
            good,
            &["--http2", "--tlsv1.3"],
            "/",
            200,
            &["00009876543", "HTTP/2 200"],
            &[],
        ),
        line(
            "the same over HTTP/1.1 and TLS 1.2",
            good,
            &["--http1.1", "--tls-max", "1.2"],
            "/",
            200,
            &["riyousya", "HTTP/1.1 200"],
            &[],
        ),
        line("an RSA certificate", "client-rsa", &[], "/", 200, &["00009876543", "rsauser"], &[]),
        line(
            "a user's page refuses a certificate without a user ID",
            none,
            &[],
            "/users",
            403,
            &["not-permitted"],
            &[],
        ),
        line("an administrator's page takes it", none, &[], "/administrators", 200, &["00009876543"], &[]),
        line("and refuses one with a user ID", good, &[], "/administrators", 403, &["not-permitted"], &[]),
        line(
            "forged identity headers do not reach the application, in any spelling",
            good,
            &[
                "-H",
                "X-Sekisho-Contract-Id: 11111111111",
                "-H",
                "x_sekisho_contract_id: 11111111111",
                "-H",
                "X-SEKISHO.CONTRACT-ID: 11111111111",
            ],
            "/echo",
            200,
            &["00009876543"],
            &["11111111111"],
        ),
        line(
            "another site's Host on this connection is misdirected",
            good,
            &["-H", "Host: portal.localhost"],
            "/",
            421,
            &[],
            &["riyousya"],
        ),
    ]
}

fn page(
    client: Option<&'static str>,
    claim: String,
    arguments: &'static [&'static str],
    contains: &'static [&'static str],
) -> Line {
    let lacks = &["Demo IB"];
    Line {
        claim,
        site: PAGES,
        client,
        arguments,
        path: "/",
        expectation: Expectation::Answer { status: 403, contains, lacks },
    }
}

impl std::fmt::Display for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer { status, contains: [], .. } => write!(f, "{status}"),
            Self::Answer { status, contains, .. } => write!(f, "{status} with {}", contains.join(", ")),
            Self::Alert(alert) => write!(f, "no answer: TLS alert {alert}"),
        }
    }
}
