//! What one request costs between TLS and the upstream: strip, set, sign, find the route; and what a refusal costs.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use sekisho::gateway::base::request_id::RequestId;
use sekisho::gateway::request::access::RouteTable;
use sekisho::gateway::request::assertion::{AssertedRequest, Signer};
use sekisho::gateway::request::headers::{Forwarding, IdentityHeaders, RequestFacts, SessionKind, StripSet, strip};
use sekisho::gateway::request::refusal::{Format, Language, Particulars, Preference, Problem, render};
use sekisho::gateway::verify::identity::IdentityRule;
use sekisho::gateway::verify::{ChainLimits, Reason, SitePolicy, VerifiedClient, verify};
use sekisho_config::{AnchorExpiry, HeaderNames, Place, Route};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use sekisho_trust::{AuthorityParts, RevocationParts, TrustSnapshot};
use std::hint::black_box;
use std::time::Duration;

/// Within rcgen's default validity, 1975 to 4096.
const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);

/// As Chromium sends them.
const BROWSER: &[(&str, &str)] = &[
    ("host", "ib.example.jp"),
    ("connection", "keep-alive"),
    ("cache-control", "max-age=0"),
    ("sec-ch-ua", "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Windows\""),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("referer", "https://ib.example.jp/ib/top.do"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "ja,en-US;q=0.9,en;q=0.8"),
    ("cookie", "JSESSIONID=0123456789ABCDEF0123456789ABCDEF"),
];

fn headers(criterion: &mut Criterion) {
    let names = HeaderNames::default();
    let set = StripSet::new(&names);
    let browser = fields(BROWSER);
    let mut forged = browser.clone();
    for name in ["x-sekisho-user-id", "x_sekisho_contract_id", "client-cert", "x-forwarded-for"] {
        forged.append(HeaderName::from_static(name), HeaderValue::from_static("forged"));
    }
    forged.insert("connection", HeaderValue::from_static("keep-alive, x-sekisho-user-id"));
    let client = client();
    let identity = IdentityHeaders::verified(&client, SessionKind::Full, NOW, &names);
    let forwarding = Forwarding::new(([192, 0, 2, 7], 50_000).into());
    let request_id = RequestId::generate();
    let facts = RequestFacts { now: NOW, request_id: &request_id, assertion: None };

    criterion.bench_function("strip, a browser's request", |bencher| {
        // Nothing is removed, so the same map serves every time.
        let mut headers = browser.clone();
        bencher.iter(|| strip(black_box(&mut headers), &set));
    });
    criterion.bench_function("strip, a forged request", |bencher| {
        bencher.iter_batched_ref(|| forged.clone(), |headers| strip(headers, &set), BatchSize::SmallInput);
    });
    criterion.bench_function("set, 14 identity and 5 forwarding headers", |bencher| {
        let apply = |headers: &mut HeaderMap| {
            identity.apply(headers, &facts).and_then(|()| forwarding.apply(headers, "ib.example.jp"))
        };
        bencher.iter_batched_ref(|| browser.clone(), apply, BatchSize::SmallInput);
    });
    criterion.bench_function("render the headers of a connection", |bencher| {
        bencher.iter(|| IdentityHeaders::verified(black_box(&client), SessionKind::Full, NOW, &names));
    });
    criterion.bench_function("number a request", |bencher| bencher.iter(RequestId::generate));

    let signer = Signer::generate("https://gw.example.jp", Duration::from_secs(30)).unwrap();
    let asserted = AssertedRequest {
        site: "ib",
        method: &Method::GET,
        host: "ib.example.jp",
        path: "/ib/top.do",
        query: "",
        now: NOW,
        authenticated_at: NOW,
        request_id: &request_id,
    };
    criterion.bench_function("sign an assertion", |bencher| {
        bencher.iter(|| signer.sign(black_box(&client), &asserted));
    });
}

fn routes_and_refusals(criterion: &mut Criterion) {
    let routes: Vec<Route> = ["/", "/ib", "/ib/user", "/ib/admin", "/static", "/api/v1", "/api/v2", "/login"]
        .iter()
        .map(|path| Route {
            place: Place::default(),
            path: (*path).to_owned(),
            methods: Vec::new(),
            pool: "ib".into(),
            require: Vec::new(),
            timeout: None,
            finish: None,
        })
        .collect();
    let table = RouteTable::new(&routes);
    for path in ["/ib/user/top.do", "/ib/us%65r/%E5%B1%B1.do;jsessionid=1"] {
        criterion.bench_function(&format!("find the route of {path}"), |bencher| {
            bencher.iter(|| table.find(black_box(path), &Method::GET));
        });
    }
    let reference = RequestId::generate();
    let particulars = Particulars {
        reference: &reference,
        now: NOW,
        portal_url: Some("https://portal.example.jp/"),
        advice: Default::default(),
        contact: None,
        allow: None,
    };
    for format in [Format::Html, Format::ProblemJson] {
        criterion.bench_function(&format!("render a refusal as {format:?}"), |bencher| {
            let preference = Preference { language: Language::Japanese, format };
            bencher.iter(|| render(black_box(Problem::Refused(Reason::Expired)), preference, &particulars));
        });
    }
}

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let field =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    lines.iter().map(field).collect()
}

/// A client verified in earnest: nothing else makes one.
fn client() -> VerifiedClient {
    let named = |common_name| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params
    };
    let mut ca = named("Bench CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate().unwrap();
    let ca_certificate = Certificate::parse(ca.self_signed(&ca_key).unwrap().der()).unwrap();
    let mut leaf = named("00009876543 riyousya 1635");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(ca, ca_key)).unwrap();

    let authority = AuthorityParts {
        name: "bench".into(),
        certificate: ca_certificate,
        issued_by: None,
        anchor_expiry: AnchorExpiry::Check,
        revocation: RevocationParts::None,
    };
    let trust = TrustSnapshot::from_parts(&[authority], &[], None, NOW).unwrap().snapshot;
    let pattern = regex::Regex::new("(?<contract_id>[0-9]{11}) (?<user_id>[a-z]+) 1635").unwrap();
    let rule = IdentityRule::new(&pattern, Vec::new()).unwrap();
    let key = trust.authority_named("bench").unwrap().key();
    let limits = ChainLimits { certificates: 4, bytes: 16_384 };
    let policy = SitePolicy::from_parts("ib", [key].into(), [(key, rule)].into(), limits);
    verify(&[leaf.der().clone()], &policy, &trust, None, NOW).into_result().unwrap()
}

criterion_group!(benches, headers, routes_and_refusals);
criterion_main!(benches);
