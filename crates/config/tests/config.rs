//! The configuration file: what is refused, in which words, and what an accepted one means.

use sekisho_config::{
    self as config, Balance, ClientAuth, Config, LogTarget, PeerAddress, Requirement, RevocationSource, WhenStale,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A small right configuration; the tables below spoil it a line at a time.
const RIGHT: &str = r#"[gateway]
listen = ["127.0.0.1:0"]

[gateway.limits]

[[ca]]
name = "root"
certificate = "root.pem"
revocation = "none"

[[ca]]
name = "issuing"
certificate = "issuing.pem"
issued_by = "root"
revocation = { crl = ["a.crl"] }
identity = '(?<contract_id>[0-9]+)( (?<user_id>[a-z]+))?'

[[pool]]
name = "app"
peers = ["127.0.0.1:8081"]

[[site]]
server_names = ["ib.example.jp"]
certificate = "ib.pem"
key = "ib.key"
ca = ["root"]

[[site.route]]
path = "/"
pool = "app"
"#;

const LISTEN: &str = r#"listen = ["127.0.0.1:0"]"#;
const LIMITS: &str = "[gateway.limits]";
const IDENTITY: &str = "identity = '(?<contract_id>[0-9]+)( (?<user_id>[a-z]+))?'";
const REVOCATION: &str = r#"revocation = { crl = ["a.crl"] }"#;
const PEERS: &str = r#"peers = ["127.0.0.1:8081"]"#;
const NAMES: &str = r#"server_names = ["ib.example.jp"]"#;
const CA: &str = r#"ca = ["root"]"#;
const PATH: &str = r#"path = "/""#;
const POOL: &str = r#"pool = "app""#;

/// Lines of [`RIGHT`] and what stands there instead; `+…` stands below the line.
type Edits<'t> = &'t [(&'t str, &'t str)];

fn edited(edits: Edits<'_>) -> String {
    edits.iter().fold(RIGHT.to_owned(), |text, (line, with)| {
        assert!(text.contains(line), "{line} is not in\n{text}");
        match with.strip_prefix('+') {
            Some(below) => text.replacen(line, &format!("{line}\n{below}"), 1),
            None => text.replacen(line, with, 1),
        }
    })
}

fn parse(text: &str) -> Result<Config, Vec<String>> {
    let config = config::parse(text, "sekisho.toml", Path::new("/etc/sekisho"));
    config.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn accepted(edits: Edits<'_>) -> Config {
    parse(&edited(edits)).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// Each spoiled configuration gives exactly these errors, written without the file's name.
fn check(cases: &[(Edits<'_>, &[&str])]) {
    for (edits, expected) in cases {
        let text = edited(edits);
        let expected: Vec<String> = expected.iter().map(|line| format!("sekisho.toml:{line}")).collect();
        match parse(&text) {
            Ok(_) => panic!("accepted:\n{text}"),
            Err(errors) => assert_eq!(errors, expected, "{text}"),
        }
    }
}

#[test]
fn an_error_of_toml_itself_comes_alone_with_its_line() {
    check(&[
        (
            &[(LISTEN, r#"listen = ["127.0.0.1:0""#)],
            &["4: not TOML: missing comma between array elements, expected `,`"],
        ),
        (&[(LISTEN, "listen = = 1")], &["2: not TOML: extra `=`, expected nothing"]),
        (&[("[[pool]]", "[[pool]")], &["18: not TOML: unclosed array table, expected `]`"]),
        (&[(POOL, r#"+pool = "app""#)], &["31: not TOML: duplicate key"]),
        (&[(POOL, "+[gateway]")], &["31: not TOML: duplicate key"]),
    ]);
}

/// A right `[gateway.feed]`, and what goes with it.
const FEED: &str = "state_folder = \"state\"\n[gateway.feed]\nurls = [\"https://issuer-1:8444/\", \"https://[::1]/ca\"]\n\
                    ca = \"a.pem\"\ncertificate = \"b.pem\"\nkey = \"b.key\"\npublic_key_files = [\"c.pem\"]";
const FOLLOWED: &str = r#"revocation = { crl = ["a.crl"], feed = true }"#;

#[test]
fn a_feed_has_nodes_keys_and_a_time_after_which_it_counts_as_lost() {
    let below = format!("+{FEED}");
    let config = accepted(&[(LISTEN, &below), (REVOCATION, FOLLOWED)]);
    let feed = config.feed.unwrap();
    let urls: Vec<_> = feed.urls.iter().map(|url| url.value.as_str()).collect();
    assert_eq!(urls, ["https://issuer-1:8444", "https://[::1]/ca"]);
    assert_eq!(feed.public_keys[0].value, Path::new("/etc/sekisho/c.pem"));
    assert_eq!(feed.lost_after, Duration::from_secs(10), "the default");
    assert!(accepted(&[]).feed.is_none(), "off by default");
}

#[test]
fn a_feed_and_the_cas_that_follow_it_go_together() {
    let feed = format!("+{FEED}");
    let homeless = format!("+{}", FEED.replace("state_folder = \"state\"\n", ""));
    let plain = format!("+{}", FEED.replace("https://issuer-1:8444/", "http://issuer-1"));
    let with_query = format!("+{}", FEED.replace("https://issuer-1:8444/", "https://issuer-1/?a"));
    let hasty = format!("{feed}\nlost_after = \"100ms\"");
    let patient = format!("{feed}\nlost_after = \"61m\"");
    let bare = "+state_folder = \"state\"\n[gateway.feed]";
    let missing: &[&str] = &[
        r#"4: gateway.feed.urls: is missing; write the API of each issuer node: ["https://issuer-1.example.jp:8445"]"#,
        "4: gateway.feed.ca: is missing; write the PEM file of the CAs of the issuers' server certificates",
        "4: gateway.feed.certificate: is missing; write the PEM chain of the certificate by which the issuers know this gateway",
        "4: gateway.feed.key: is missing; write the PEM private key of certificate",
        r#"4: gateway.feed.public_key_files: is missing; write the public key of the issuer's [feed] key_file: ["feed.pub.pem"]"#,
    ];
    check(&[
        (
            &[(REVOCATION, FOLLOWED)],
            &["11: ca[1].revocation.feed: needs [gateway.feed], which says where the issuer's feed is"],
        ),
        (
            &[(LISTEN, &feed)],
            &["5: gateway.feed: is followed by no CA; write feed = true into the revocation of those it tells of"],
        ),
        (
            &[(LISTEN, &homeless), (REVOCATION, FOLLOWED)],
            &["1: gateway.state_folder: is missing; [gateway.feed] keeps what it was told there"],
        ),
        (
            &[(LISTEN, &feed), (REVOCATION, r#"revocation = { ocsp = { url = "http://o" }, feed = true }"#)],
            &[
                "18: ca[1].revocation.feed: goes on from the CA's published lists; add crl, crl_urls or distribution_points",
            ],
        ),
        (
            &[(LISTEN, &plain), (REVOCATION, FOLLOWED)],
            &[
                r#"5: gateway.feed.urls[0]: "http://issuer-1" is not the https:// address of an issuer; write "https://issuer-1.example.jp:8445""#,
            ],
        ),
        (
            &[(LISTEN, &with_query), (REVOCATION, FOLLOWED)],
            &[
                r#"5: gateway.feed.urls[0]: "https://issuer-1/?a" is not the https:// address of an issuer; write "https://issuer-1.example.jp:8445""#,
            ],
        ),
        (
            &[(LISTEN, &hasty), (REVOCATION, FOLLOWED)],
            &[r#"10: gateway.feed.lost_after: "100ms" is out of range; write "1s" to "1h""#],
        ),
        (
            &[(LISTEN, &patient), (REVOCATION, FOLLOWED)],
            &[r#"10: gateway.feed.lost_after: "61m" is out of range; write "1s" to "1h""#],
        ),
        (&[(LISTEN, bare), (REVOCATION, FOLLOWED)], missing),
        // Nor is it told that nobody follows it, which would have no line.
        (&[(LISTEN, bare)], missing),
    ]);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_one_meant() {
    check(&[
        (
            &[(CA, r#"+client_atuh = "required""#)],
            &[r#"27: site[0].client_atuh: is not a known key; did you mean "client_auth"?"#],
        ),
        (
            &[(LISTEN, r#"+colour = "red""#)],
            &[
                "3: gateway.colour: is not a known key; the keys here are listen, admin, threads, drain_timeout, watch_files, not_ready_when, access_log, state_folder, admin_token_file, admin_token_from, contact, limits, tickets, headers, assertion, feed, fetch",
            ],
        ),
        (
            &[("[[pool]]", "[[pools]]")],
            &[
                r#"18: pools: is not a known key; did you mean "pool"?"#,
                r#"30: site[0].route[0].pool: "app" is not a pool of this file; add a [[pool]] table of that name"#,
            ],
        ),
        (
            &[(LIMITS, r#"+header_timeot = "10s""#)],
            &[r#"5: gateway.limits.header_timeot: is not a known key; did you mean "header_timeout"?"#],
        ),
        (
            &[(LIMITS, "[gateway.tickets]\nlifetme = \"1h\"")],
            &[r#"5: gateway.tickets.lifetme: is not a known key; did you mean "lifetime"?"#],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nuser-id = \"x-user\"")],
            &[r#"5: gateway.headers.user-id: is not a known key; did you mean "user_id"?"#],
        ),
        (
            &[(LIMITS, "[gateway.assertion]\nkey_file = \"a.key\"\nisuer = \"a\"")],
            &[r#"6: gateway.assertion.isuer: is not a known key; did you mean "issuer"?"#],
        ),
        (
            &[(REVOCATION, r#"revocation = { crl = ["a.crl"], stale = "open" }"#)],
            &[
                "15: ca[1].revocation.stale: is not a known key; the keys here are crl, crl_urls, distribution_points, ocsp, feed, when_stale, without_number, without_next_update",
            ],
        ),
        (
            &[(REVOCATION, r#"revocation = { crl = ["a.crl"], when_stale = { grace = "1h", graec = "1h" } }"#)],
            &[r#"15: ca[1].revocation.when_stale.graec: is not a known key; did you mean "grace"?"#],
        ),
        (
            &[(PEERS, r#"peers = [{ address = "127.0.0.1:8081", wieght = 2 }]"#)],
            &[r#"20: pool[0].peers[0].wieght: is not a known key; did you mean "weight"?"#],
        ),
        (
            &[(PEERS, r#"+tls = { server_name = "a", ca = "b", sni = "c" }"#)],
            &["21: pool[0].tls.sni: is not a known key; the keys here are server_name, ca, certificate, key"],
        ),
        (
            &[(PEERS, r#"+health_check = { url = "/" }"#)],
            &[
                "21: pool[0].health_check.url: is not a known key; the keys here are path, interval, timeout, failures, successes",
            ],
        ),
        (
            &[(PATH, r#"+method = ["GET"]"#)],
            &[r#"30: site[0].route[0].method: is not a known key; did you mean "methods"?"#],
        ),
        (
            &[(LISTEN, r#"+access_log = { fil = "a.log" }"#)],
            &[
                "3: gateway.access_log.file: is missing; write the path of the log file",
                r#"3: gateway.access_log.fil: is not a known key; did you mean "file"?"#,
            ],
        ),
        (
            &[(LISTEN, r#"+"a\nb" = 1"#)],
            &[
                r#"3: gateway."a\nb": is not a known key; the keys here are listen, admin, threads, drain_timeout, watch_files, not_ready_when, access_log, state_folder, admin_token_file, admin_token_from, contact, limits, tickets, headers, assertion, feed, fetch"#,
            ],
        ),
    ]);
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_that_says_the_right_one() {
    check(&[
        (
            &[(LISTEN, r#"listen = "127.0.0.1:0""#)],
            &[r#"2: gateway.listen: "127.0.0.1:0" is not a list; write ["127.0.0.1:0"]"#],
        ),
        (&[(LISTEN, "listen = 8443")], &["2: gateway.listen: 8443 is not a list; write […]"]),
        (
            &[(LISTEN, r#"listen = [8443, "localhost:8443"]"#)],
            &[
                r#"2: gateway.listen[0]: 8443 is not an address; write an IP address and a port: "127.0.0.1:8443" or "[::1]:8443""#,
                r#"2: gateway.listen[1]: "localhost:8443" is not an address; write an IP address and a port: "127.0.0.1:8443" or "[::1]:8443""#,
            ],
        ),
        (
            &[(LISTEN, r#"+threads = "four""#)],
            &[r#"3: gateway.threads: "four" is not a whole number; write 0 to 1024"#],
        ),
        (&[(LISTEN, "+threads = 1.5")], &["3: gateway.threads: 1.5 is not a whole number; write 0 to 1024"]),
        (
            &[(LISTEN, r#"+watch_files = "yes""#)],
            &[r#"3: gateway.watch_files: "yes" is not a boolean; write true or false"#],
        ),
        (
            &[(LISTEN, r#"+admin = "9443""#)],
            &[
                r#"3: gateway.admin: "9443" is not an address; write an IP address and a port: "127.0.0.1:8443" or "[::1]:8443""#,
            ],
        ),
        (
            &[(LISTEN, "+state_folder = \"state\"\nadmin_token_file = \"t\"\nadmin_token_from = \"everywhere\"")],
            &[
                r#"5: gateway.admin_token_from: "everywhere" is not where the token may come from; write "loopback" or "anywhere""#,
            ],
        ),
        (
            &[(LISTEN, r#"+admin_token_file = "admin.token""#)],
            &[
                r#"3: gateway.admin_token_file: needs a folder in which the block list is kept; write state_folder = "/var/lib/sekisho""#,
            ],
        ),
        (
            &[(LISTEN, r#"+access_log = "stdot""#)],
            &[r#"3: gateway.access_log: "stdot" is not a log target; write "stdout", "off" or { file = "…" }"#],
        ),
        (
            &[(LISTEN, r#"+access_log = "/var/log/sekisho.log""#)],
            &[
                r#"3: gateway.access_log: "/var/log/sekisho.log" is not a log target; write "stdout", "off" or { file = "…" }"#,
            ],
        ),
        (&[(LIMITS, "[[gateway.limits]]")], &["4: gateway.limits: a list is not a table; write [gateway.limits]"]),
        (
            &[
                ("[[ca]]\nname = \"root\"", "[ca]\nname = \"root\""),
                ("[[ca]]\nname = \"issuing\"\n", "[x]\nname = \"issuing\"\n"),
            ],
            &[
                "6: ca: a table is not an array of tables; write [[ca]]",
                "11: x: is not a known key; the keys here are gateway, ca, pool, site",
                r#"26: site[0].ca[0]: "root" is not a CA of this file; add a [[ca]] table of that name"#,
            ],
        ),
        (
            &[(r#"certificate = "ib.pem""#, r#"certificate = ["ib.pem"]"#)],
            &["24: site[0].certificate: a list is not a text; write it in double quotes"],
        ),
        (&[(r#"key = "ib.key""#, r#"key = """#)], &["25: site[0].key: is empty; write a text, or leave the key out"]),
        (&[(CA, r#"ca = "root""#)], &[r#"26: site[0].ca: "root" is not a list; write ["root"]"#]),
        (&[(CA, "+refusal = true")], &[r#"27: site[0].refusal: true is not a refusal style; write "alert" or "page""#]),
        (&[(CA, r#"+default = "no""#)], &[r#"27: site[0].default: "no" is not a boolean; write true or false"#]),
        (
            &[(CA, r#"+name = "ib site""#)],
            &[r#"27: site[0].name: "ib site" is not a name; write 1 to 64 of A-Z a-z 0-9 . _ -"#],
        ),
    ]);
}

#[test]
fn zero_and_absurd_durations_sizes_and_numbers_are_refused() {
    check(&[
        (
            &[(LIMITS, "+handshake_timeout = 10")],
            &[
                r#"5: gateway.limits.handshake_timeout: 10 is not a duration; write a whole number and its unit in quotes: "500ms", "10s", "5m", "6h" or "7d""#,
            ],
        ),
        (
            &[(LIMITS, r#"+handshake_timeout = "10""#)],
            &[
                r#"5: gateway.limits.handshake_timeout: "10" is not a duration; write a whole number and its unit in quotes: "500ms", "10s", "5m", "6h" or "7d""#,
            ],
        ),
        (
            &[(LIMITS, r#"+handshake_timeout = "10 s""#)],
            &[
                r#"5: gateway.limits.handshake_timeout: "10 s" is not a duration; write a whole number and its unit in quotes: "500ms", "10s", "5m", "6h" or "7d""#,
            ],
        ),
        (
            &[(LIMITS, r#"+handshake_timeout = "0s""#)],
            &[r#"5: gateway.limits.handshake_timeout: "0s" is out of range; write "100ms" to "5m""#],
        ),
        (
            &[(LIMITS, r#"+handshake_timeout = "7d""#)],
            &[r#"5: gateway.limits.handshake_timeout: "7d" is out of range; write "100ms" to "5m""#],
        ),
        (
            &[(LIMITS, r#"+idle_timeout = "99999999999999999999d""#)],
            &[
                r#"5: gateway.limits.idle_timeout: "99999999999999999999d" is not a duration; write a whole number and its unit in quotes: "500ms", "10s", "5m", "6h" or "7d""#,
            ],
        ),
        (
            &[(LIMITS, r#"+request_timeout = "2d""#)],
            &[r#"5: gateway.limits.request_timeout: "2d" is out of range; write "0s" to "1d""#],
        ),
        (
            &[(LIMITS, r#"+request_header_bytes = "32K""#)],
            &[
                r#"5: gateway.limits.request_header_bytes: "32K" is not a size; write octets as a whole number, or with a unit in quotes: "64KiB", "10MiB" or "10MB""#,
            ],
        ),
        (
            &[(LIMITS, r#"+request_header_bytes = "0B""#)],
            &[r#"5: gateway.limits.request_header_bytes: "0B" is out of range; write "1KiB" to "1MiB""#],
        ),
        (
            &[(LIMITS, "+request_body_bytes = 0")],
            &[r#"5: gateway.limits.request_body_bytes: 0 is out of range; write "1B" to "1024GiB""#],
        ),
        (
            &[(LIMITS, "+request_body_bytes = -1")],
            &[
                r#"5: gateway.limits.request_body_bytes: -1 is not a size; write octets as a whole number, or with a unit in quotes: "64KiB", "10MiB" or "10MB""#,
            ],
        ),
        (&[(LIMITS, "+connections = 0")], &["5: gateway.limits.connections: 0 is out of range; write 1 to 1000000"]),
        (
            &[(LIMITS, "+connections_per_address = 0")],
            &["5: gateway.limits.connections_per_address: 0 is out of range; write 1 to 1000000"],
        ),
        (
            &[(LIMITS, "+requests_per_connection = 0")],
            &["5: gateway.limits.requests_per_connection: 0 is out of range; write 1 to 1000000000"],
        ),
        (
            &[(LIMITS, "+http2_concurrent_streams = 0")],
            &["5: gateway.limits.http2_concurrent_streams: 0 is out of range; write 1 to 10000"],
        ),
        (&[(LIMITS, "+http2_resets = -5")], &["5: gateway.limits.http2_resets: -5 is out of range; write 1 to 100000"]),
        (
            &[(LIMITS, "+http2_resets = 0xFFFFFFFFFFFFFFFFFFFFFFFF")],
            &["5: gateway.limits.http2_resets: 0xFFFFFFFFFFFFFFFFFFFFFFFF is out of range; write 1 to 100000"],
        ),
        (
            &[(LIMITS, r#"+http2_reset_window = "10ms""#)],
            &[r#"5: gateway.limits.http2_reset_window: "10ms" is out of range; write "1s" to "1h""#],
        ),
        (
            &[(LIMITS, "+chain_certificates = 0")],
            &["5: gateway.limits.chain_certificates: 0 is out of range; write 1 to 16"],
        ),
        (
            &[(LIMITS, "+chain_certificates = 100")],
            &["5: gateway.limits.chain_certificates: 100 is out of range; write 1 to 16"],
        ),
        (
            &[(LIMITS, r#"+chain_bytes = "1GiB""#)],
            &[r#"5: gateway.limits.chain_bytes: "1GiB" is out of range; write "1KiB" to "256KiB""#],
        ),
        (
            &[(LIMITS, "[gateway.tickets]\nlifetime = \"30d\"")],
            &[r#"5: gateway.tickets.lifetime: "30d" is out of range; write "1m" to "7d""#],
        ),
        (
            &[(LISTEN, r#"+drain_timeout = "2h""#)],
            &[r#"3: gateway.drain_timeout: "2h" is out of range; write "0s" to "1h""#],
        ),
    ]);
}

#[test]
fn a_gateway_needs_addresses_that_do_not_collide() {
    check(&[
        (
            &[("[gateway]\n", "\n"), (LISTEN, ""), (LIMITS, "")],
            &[r#"1: gateway.listen: is missing; write the addresses to serve TLS on: ["0.0.0.0:443", "[::]:443"]"#],
        ),
        (
            &[(LISTEN, "listen = []")],
            &[
                r#"2: gateway.listen: is an empty list; write the addresses to serve TLS on: ["0.0.0.0:443", "[::]:443"]"#,
            ],
        ),
        (
            &[(LISTEN, "")],
            &[r#"1: gateway.listen: is missing; write the addresses to serve TLS on: ["0.0.0.0:443", "[::]:443"]"#],
        ),
        (
            &[(LISTEN, r#"listen = ["127.0.0.1:8443", "127.0.0.1:8443"]"#)],
            &["2: gateway.listen: 127.0.0.1:8443 is already listened on as 127.0.0.1:8443; remove one"],
        ),
        (
            &[(LISTEN, r#"listen = ["127.0.0.1:9443"]"#)],
            &["1: gateway.admin: 127.0.0.1:9443 is also an address of listen; give the admin side one of its own"],
        ),
        (
            &[(LISTEN, r#"listen = ["0.0.0.0:9443"]"#)],
            &["1: gateway.admin: 127.0.0.1:9443 is also an address of listen; give the admin side one of its own"],
        ),
        (
            &[(LIMITS, "[gateway.assertion]\nissuer = \"bank\"")],
            &["4: gateway.assertion.key_file: is missing; write the path of a P-256 private key in PEM"],
        ),
        (
            &[(LIMITS, "[gateway.assertion]\nkey_file = \"a.key\"\nlifetime = \"1h\"")],
            &[r#"6: gateway.assertion.lifetime: "1h" is out of range; write "1s" to "10m""#],
        ),
    ]);
}

#[test]
fn a_header_name_can_neither_break_a_request_nor_be_another() {
    check(&[
        (
            &[(LIMITS, "[gateway.headers]\nuser_id = \"x user\"")],
            &[
                r#"5: gateway.headers.user_id: "x user" is not a header name (RFC 9110); write letters, digits and hyphens, or "" for none"#,
            ],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nuser_id = 1")],
            &[
                r#"5: gateway.headers.user_id: 1 is not a header name (RFC 9110); write letters, digits and hyphens, or "" for none"#,
            ],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nuser_id = \"x-sekisho-contract-id\"")],
            &[r#"5: gateway.headers.user_id: "x-sekisho-contract-id" is already the name of another header at line 4"#],
        ),
        (
            &[(LIMITS, "[gateway.headers]\ncontract_id = \"X_Bank.Id\"\nuser_id = \"x-bank-id\"")],
            &[r#"6: gateway.headers.user_id: "x-bank-id" is already the name of another header at line 5"#],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nuser_id = \"Host\"")],
            &[
                r#"5: gateway.headers.user_id: "host" has a meaning of its own in HTTP; choose another name, such as one in x-"#,
            ],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nuser_id = \"content-length\"")],
            &[
                r#"5: gateway.headers.user_id: "content-length" has a meaning of its own in HTTP; choose another name, such as one in x-"#,
            ],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nuser_id = \"authorization\"")],
            &[
                r#"5: gateway.headers.user_id: "authorization" has a meaning of its own in HTTP; choose another name, such as one in x-"#,
            ],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nuser_id = \"x-forwarded-for\"")],
            &[
                r#"5: gateway.headers.user_id: "x-forwarded-for" has a meaning of its own in HTTP; choose another name, such as one in x-"#,
            ],
        ),
        (
            &[(LIMITS, "[gateway.headers]\nstrip = [\"transfer-encoding\", \"x-ok\", \"x:bad\"]")],
            &[
                r#"5: gateway.headers.strip[0]: "transfer-encoding" frames the request and cannot be stripped; remove it from the list"#,
                r#"5: gateway.headers.strip[2]: "x:bad" is not a header name (RFC 9110); write letters, digits and hyphens"#,
            ],
        ),
    ]);
}

#[test]
fn an_authority_states_its_revocation_its_issuer_and_a_sound_identity_pattern() {
    check(&[
        (
            &[(REVOCATION, "")],
            &[
                r#"11: ca[1].revocation: is missing; write where its revocation list is, { crl = ["crl.pem"] }, or "none" if its certificates are never revoked"#,
            ],
        ),
        (
            &[(REVOCATION, r#"revocation = "crl""#)],
            &[r#"15: ca[1].revocation: "crl" is not a revocation source; write { crl = ["crl.pem"] } or "none""#],
        ),
        (
            &[(REVOCATION, r#"revocation = "a.crl""#)],
            &[r#"15: ca[1].revocation: "a.crl" is not a revocation source; write { crl = ["crl.pem"] } or "none""#],
        ),
        (
            &[(REVOCATION, "revocation = {}")],
            &[
                r#"15: ca[1].revocation.crl: is missing; write the list's PEM or DER file, or a folder of them: crl = ["crl.pem"], or another source of lists"#,
            ],
        ),
        (
            &[(REVOCATION, "revocation = { crl = [] }")],
            &[r#"15: ca[1].revocation.crl: is an empty list; write revocation = "none" if nothing is ever revoked"#],
        ),
        (
            &[(REVOCATION, r#"revocation = { crl = "a.crl" }"#)],
            &[r#"15: ca[1].revocation.crl: "a.crl" is not a list; write ["a.crl"]"#],
        ),
        (
            &[(REVOCATION, r#"revocation = { crl = ["a.crl"], when_stale = "grace" }"#)],
            &[
                r#"15: ca[1].revocation.when_stale: "grace" is not a policy for a stale list; write "closed", { grace = "6h" }, "open" or "report-only""#,
            ],
        ),
        (
            &[(REVOCATION, r#"revocation = { ocsp = { url = "ldap://a" } }"#)],
            &[r#"15: ca[1].revocation.ocsp.url: "ldap://a" is not a URL; write "http://crl.example.jp/ca.crl""#],
        ),
        (
            &[(REVOCATION, r#"revocation = { ocsp = { url = "http://a", nonce = "always" } }"#)],
            &[
                r#"15: ca[1].revocation.ocsp.nonce: "always" is not a policy for the nonce; write "sent", "required" or "off""#,
            ],
        ),
        (
            &[(REVOCATION, r#"revocation = { ocsp = { url = "http://a", timeout = "31s", refresh = "2d" } }"#)],
            &[
                r#"15: ca[1].revocation.ocsp.timeout: "31s" is out of range; write "100ms" to "30s""#,
                r#"15: ca[1].revocation.ocsp.refresh: "2d" is out of range; write "1s" to "1d""#,
            ],
        ),
        (
            &[(REVOCATION, r#"revocation = { crl = ["a.crl"], when_stale = {} }"#)],
            &[
                r#"15: ca[1].revocation.when_stale.grace: is missing; write how long a stale list still serves: { grace = "6h" }"#,
            ],
        ),
        (
            &[(REVOCATION, r#"revocation = { crl = ["a.crl"], when_stale = { grace = "0s" } }"#)],
            &[r#"15: ca[1].revocation.when_stale.grace: "0s" is out of range; write "1s" to "31d""#],
        ),
        (
            &[(r#"name = "issuing""#, r#"name = "root""#), (r#"issued_by = "root""#, "")],
            &[r#"12: ca[1].name: "root" is already the name of a CA at line 7"#],
        ),
        (
            &[(r#"name = "issuing""#, "")],
            &["11: ca[1].name: is missing; write a short name for sites, logs and metrics"],
        ),
        (
            &[(r#"certificate = "issuing.pem""#, "")],
            &["11: ca[1].certificate: is missing; write the path of the CA's PEM certificate"],
        ),
        (
            &[(r#"issued_by = "root""#, r#"issued_by = "rot""#)],
            &[r#"14: ca[1].issued_by: "rot" is not a CA of this file; write "root" or "issuing""#],
        ),
        (
            &[(r#"issued_by = "root""#, r#"issued_by = "issuing""#)],
            &["14: ca[1].issued_by: names the CA itself; leave issued_by out of a trust anchor"],
        ),
        (
            &[(r#"certificate = "root.pem""#, "certificate = \"root.pem\"\nissued_by = \"issuing\"")],
            &["9: ca[0].issued_by: goes in a circle: root -> issuing -> root; the topmost CA has no issued_by"],
        ),
        (
            &[(r#"issued_by = "root""#, "issued_by = \"root\"\nanchor_expiry = \"ignore\"")],
            &["15: ca[1].anchor_expiry: is only for trust anchors, and this CA is issued_by another; remove it"],
        ),
        (
            &[(r#"revocation = "none""#, "revocation = \"none\"\nanchor_expiry = \"maybe\"")],
            &[
                r#"10: ca[0].anchor_expiry: "maybe" is not a policy for an expired trust anchor; write "check" or "ignore""#,
            ],
        ),
        (
            &[(IDENTITY, "identity = '(?<contract_id>[0-9]+'")],
            &["16: ca[1].identity: is not a regular expression: unclosed group"],
        ),
        (
            &[(IDENTITY, "identity = '(?<contract>[0-9]+)'")],
            &[
                "16: ca[1].identity: has no capture contract_id; write (?<contract_id>…) around the contract ID (契約者ID), or contract_in_name = false if the CN has a login ID only, which is unique in the bank",
            ],
        ),
        (
            &[(IDENTITY, "identity = '(?<contract_id>[0-9]+)(?<user_id>[0-9a-z]*)'")],
            &[
                "16: ca[1].identity: is ambiguous: the CN \"11\" can be read with one contract_id or user_id and with another. Put a character between them that neither can have, or give them fixed lengths",
            ],
        ),
        (
            &[(IDENTITY, "identity = '(?<contract_id>(?<user_id>[a-z]+)) A'")],
            &[
                "16: ca[1].identity: has contract_id and user_id in one another, so that one text would be two IDs. Where the CN names no contract, write user_id alone and contract_in_name = false",
            ],
        ),
        (
            &[(IDENTITY, "identity = '(?<contract_id>[0-9]+)'\ncontract_in_name = false")],
            &[
                "16: ca[1].identity: has a capture contract_id, and contract_in_name = false says that no CN names a contract; remove one of the two",
            ],
        ),
        (
            &[(IDENTITY, "identity = '[0-9]+'\ncontract_in_name = false")],
            &[
                "16: ca[1].identity: has no capture user_id; write (?<user_id>…) around the login ID, the only thing that tells clients apart",
            ],
        ),
        (
            &[(IDENTITY, "identity = '(?<user_id>[0-9]+)'\ncontract_in_name = false\ncontracts = [\"1\"]")],
            &[
                "18: ca[1].contracts: limits contracts, and with contract_in_name = false no CN names one: nobody could enter; remove it",
            ],
        ),
        (
            &[(IDENTITY, "identity = '(?<contract_id>[0-9]+)(?<certificate>.)'")],
            &[
                "16: ca[1].identity: has a capture named certificate, which means the client certificate itself in require; rename it",
            ],
        ),
        (
            &[(IDENTITY, "identity = '(?<contract_id>((.{1000}){1000}){1000})'")],
            &[
                "16: ca[1].identity: is not a regular expression: it would take more than 1024 KiB compiled; shorten its repetitions, or write [A-Za-z0-9] for \\w",
            ],
        ),
        // Within the limit that the library has by itself, which is ten times ours.
        (
            &[(IDENTITY, r"identity = '(?<contract_id>\w{200})'")],
            &[
                "16: ca[1].identity: is not a regular expression: it would take more than 1024 KiB compiled; shorten its repetitions, or write [A-Za-z0-9] for \\w",
            ],
        ),
        (
            &[(IDENTITY, "identity = 1635")],
            &[
                "16: ca[1].identity: 1635 is not a pattern; write a regular expression in single quotes: '(?<contract_id>[0-9]{11})'",
            ],
        ),
        (
            &[(IDENTITY, "")],
            &[
                r#"26: site[0].ca: lets in clients of "issuing", which has no identity pattern; add identity to that CA or one above it"#,
            ],
        ),
        (
            &[(IDENTITY, "+contracts = []")],
            &["17: ca[1].contracts: is an empty list; no contract could enter; leave the key out to admit any"],
        ),
        (
            &[(IDENTITY, r#"+contracts = ["001-0999"]"#)],
            &[
                r#"17: ca[1].contracts[0]: "001-0999" has ends of 3 and 4 characters; contract IDs compare as text of equal length"#,
            ],
        ),
        (
            &[(IDENTITY, r#"+contracts = ["002-001"]"#)],
            &[r#"17: ca[1].contracts[0]: "002-001" is reversed and would admit no contract; write "001-002""#],
        ),
        (
            &[(IDENTITY, r#"+contracts = ["001", "001-", "a b", "1-2-3", 7]"#)],
            &[
                r#"17: ca[1].contracts[1]: "001-" is not a contract range; write one contract ID, or first-last of the same length: "00000000001-00000999999""#,
                r#"17: ca[1].contracts[2]: "a b" is not a contract range; write one contract ID, or first-last of the same length: "00000000001-00000999999""#,
                r#"17: ca[1].contracts[3]: "1-2-3" is not a contract range; write one contract ID, or first-last of the same length: "00000000001-00000999999""#,
                r#"17: ca[1].contracts[4]: 7 is not a contract range; write one contract ID, or first-last of the same length: "00000000001-00000999999""#,
            ],
        ),
    ]);
}

#[test]
fn a_pool_has_peers_that_can_be_reached_as_written() {
    check(&[
        (
            &[(PEERS, "peers = []")],
            &[
                r#"20: pool[0].peers: is an empty list; write the upstream's addresses: ["10.0.0.1:8080", "unix:/run/ib.sock"]"#,
            ],
        ),
        (
            &[(PEERS, "")],
            &[
                r#"18: pool[0].peers: is missing; write the upstream's addresses: ["10.0.0.1:8080", "unix:/run/ib.sock"]"#,
            ],
        ),
        (
            &[(PEERS, r#"peers = ["app.example.jp:80", "10.0.0.1", "10.0.0.1:0", "unix:"]"#)],
            &[
                r#"20: pool[0].peers[0]: "app.example.jp:80" is not a peer address; write an IP address and a port, "10.0.0.1:8080", or a socket, "unix:/run/ib.sock" (names are not resolved)"#,
                r#"20: pool[0].peers[1]: "10.0.0.1" is not a peer address; write an IP address and a port, "10.0.0.1:8080", or a socket, "unix:/run/ib.sock" (names are not resolved)"#,
                r#"20: pool[0].peers[2]: "10.0.0.1:0" is not a peer address; write an IP address and a port, "10.0.0.1:8080", or a socket, "unix:/run/ib.sock" (names are not resolved)"#,
                r#"20: pool[0].peers[3]: "unix:" is not a peer address; write an IP address and a port, "10.0.0.1:8080", or a socket, "unix:/run/ib.sock" (names are not resolved)"#,
            ],
        ),
        (
            &[(PEERS, r#"peers = ["10.0.0.1:80", { address = "10.0.0.1:80" }]"#)],
            &[r#"20: pool[0].peers[1]: "10.0.0.1:80" is already a peer of this pool at line 20"#],
        ),
        (
            &[(
                PEERS,
                r#"peers = [{ address = "10.0.0.1:80", weight = 0 }, { address = "10.0.0.2:80", weight = 1001 }, {}]"#,
            )],
            &[
                "20: pool[0].peers[0].weight: 0 is out of range; write 1 to 1000",
                "20: pool[0].peers[1].weight: 1001 is out of range; write 1 to 1000",
                r#"20: pool[0].peers[2].address: is missing; write the peer's address: "10.0.0.1:8080""#,
            ],
        ),
        (
            &[(PEERS, r#"+http = "2""#)],
            &[r#"21: pool[0].http: "2" needs tls, by which the version is agreed (ALPN); add tls or write "1.1""#],
        ),
        (&[(PEERS, r#"+http = "3""#)], &[r#"21: pool[0].http: "3" is not an HTTP version; write "1.1" or "2""#]),
        (
            &[(PEERS, r#"+balance = "random""#)],
            &[
                r#"21: pool[0].balance: "random" is not a way to balance; write "round-robin", "least-connections" or "consistent-hash""#,
            ],
        ),
        (
            &[(PEERS, r#"+read_timeout = "0s""#)],
            &[r#"21: pool[0].read_timeout: "0s" is out of range; write "1ms" to "1h""#],
        ),
        (&[(PEERS, "+retries = 11")], &["21: pool[0].retries: 11 is out of range; write 0 to 10"]),
        (
            &[(PEERS, "+tls = {}")],
            &[
                "21: pool[0].tls.server_name: is missing; write the name that the upstream's certificate must have",
                "21: pool[0].tls.ca: is missing; write the PEM file of its trust anchors; system roots are never used",
            ],
        ),
        (
            &[(PEERS, r#"+tls = { server_name = "a b", ca = "ca.pem", certificate = "c.pem" }"#)],
            &[
                r#"21: pool[0].tls.server_name: "a b" is not a DNS name; write letters, digits and hyphens between dots, "*" only as the whole first label"#,
                "21: pool[0].tls.key: is missing; a client certificate needs its private key",
            ],
        ),
        (
            &[(PEERS, r#"+tls = { server_name = "10.0.0.1", ca = "ca.pem", key = "c.key" }"#)],
            &["21: pool[0].tls.certificate: is missing; a private key needs its client certificate"],
        ),
        (
            &[(PEERS, r#"+health_check = { path = "healthz" }"#)],
            &[r#"21: pool[0].health_check.path: "healthz" does not start with "/""#],
        ),
        (
            &[(PEERS, r#"+health_check = { interval = "1s", timeout = "2s", failures = 0 }"#)],
            &[
                "21: pool[0].health_check.failures: 0 is out of range; write 1 to 100",
                "21: pool[0].health_check.timeout: is longer than interval; a check must end before the next one begins",
            ],
        ),
        (
            &[(PEERS, "+[[pool]]\nname = \"app\"\npeers = [\"10.0.0.1:80\"]")],
            &[r#"22: pool[1].name: "app" is already the name of a pool at line 19"#],
        ),
    ]);
}

#[test]
fn a_site_has_names_of_its_own_and_cas_that_exist() {
    check(&[
        (
            &[(NAMES, "")],
            &[r#"22: site[0].server_names: is missing; write the names that clients connect to: ["ib.example.jp"]"#],
        ),
        (
            &[(NAMES, "server_names = []")],
            &[
                r#"23: site[0].server_names: is an empty list; write the names that clients connect to: ["ib.example.jp"]"#,
            ],
        ),
        (
            &[(NAMES, r#"server_names = ["ib.example.jp."]"#)],
            &[r#"23: site[0].server_names[0]: "ib.example.jp." ends with a dot; write it without"#],
        ),
        (
            &[(
                NAMES,
                r#"server_names = ["10.0.0.1", "ib.example.jp:443", "*.jp", "a.*.jp", "-a.jp", "銀行.jp", "", 1]"#,
            )],
            &[
                r#"23: site[0].server_names[0]: "10.0.0.1" is an IP address, which SNI cannot carry (RFC 6066); write a DNS name"#,
                r#"23: site[0].server_names[1]: "ib.example.jp:443" has a port; write the name alone"#,
                r#"23: site[0].server_names[2]: "*.jp" would answer for a whole top-level domain; write at least "*.example.jp""#,
                r#"23: site[0].server_names[3]: "a.*.jp" is not a DNS name; write letters, digits and hyphens between dots, "*" only as the whole first label"#,
                r#"23: site[0].server_names[4]: "-a.jp" is not a DNS name; write letters, digits and hyphens between dots, "*" only as the whole first label"#,
                r#"23: site[0].server_names[5]: "銀行.jp" is not ASCII; write it as A-labels ("xn--…")"#,
                r#"23: site[0].server_names[6]: "" is not a server name; write a DNS name in quotes: "ib.example.jp""#,
                r#"23: site[0].server_names[7]: 1 is not a server name; write a DNS name in quotes: "ib.example.jp""#,
            ],
        ),
        (
            &[(NAMES, r#"server_names = ["ib.example.jp", "IB.example.jp"]"#)],
            &[r#"23: site[0].server_names[1]: "ib.example.jp" is already a server name at line 23"#],
        ),
        (
            &[(
                POOL,
                "+[[site]]\nserver_names = [\"ib.example.jp\"]\ncertificate = \"a\"\nkey = \"b\"\nca = [\"root\"]\n[[site.route]]\npath = \"/\"\npool = \"app\"",
            )],
            &[r#"32: site[1].server_names[0]: "ib.example.jp" is already a server name at line 23"#],
        ),
        (
            &[(
                POOL,
                "+[[site]]\nserver_names = [\"two.example.jp\"]\nname = \"ib.example.jp\"\ncertificate = \"a\"\nkey = \"b\"\nca = [\"root\"]\n[[site.route]]\npath = \"/\"\npool = \"app\"",
            )],
            &[r#"33: site[1].name: "ib.example.jp" is already the name of a site at line 22"#],
        ),
        (
            &[
                (CA, "+default = true"),
                (
                    POOL,
                    "+[[site]]\nserver_names = [\"two.example.jp\"]\ndefault = true\ncertificate = \"a\"\nkey = \"b\"\nca = [\"root\"]\n[[site.route]]\npath = \"/\"\npool = \"app\"",
                ),
            ],
            &["34: site[1].default: the default site is already at line 27; a ClientHello without SNI can go to one"],
        ),
        (
            &[("certificate = \"ib.pem\"\nkey = \"ib.key\"\n", "")],
            &[
                "22: site[0].certificate: is missing; write the PEM file of the site's chain, leaf first",
                "22: site[0].key: is missing; write the PEM file of the certificate's private key",
            ],
        ),
        (
            &[(CA, r#"+client_auth = "maybe""#)],
            &[r#"27: site[0].client_auth: "maybe" is not a client-auth mode; write "required", "optional" or "none""#],
        ),
        (
            &[(CA, "")],
            &[
                r#"22: site[0].ca: is missing; write the names of the CAs whose clients may enter, or client_auth = "none""#,
            ],
        ),
        (
            &[(CA, "ca = []")],
            &[
                r#"26: site[0].ca: is an empty list; no client could enter; write the names of the CAs whose clients may, or client_auth = "none""#,
            ],
        ),
        (
            &[(CA, r#"client_auth = "optional""#)],
            &[
                r#"22: site[0].ca: is missing; write the names of the CAs whose clients may enter, or client_auth = "none""#,
            ],
        ),
        (
            &[(CA, r#"+client_auth = "none""#)],
            &[r#"26: site[0].ca: has no effect with client_auth = "none"; remove it or ask for certificates"#],
        ),
        (
            &[(CA, r#"ca = ["rot"]"#)],
            &[r#"26: site[0].ca[0]: "rot" is not a CA of this file; write "root" or "issuing""#],
        ),
        (&[(CA, r#"ca = ["root", "root"]"#)], &[r#"26: site[0].ca[1]: "root" is already in the list at line 26"#]),
        (
            &[(CA, r#"+refusal = "html""#)],
            &[r#"27: site[0].refusal: "html" is not a refusal style; write "alert" or "page""#],
        ),
        (
            &[(CA, r#"+portal_url = "portal.example.jp""#)],
            &[
                r#"27: site[0].portal_url: "portal.example.jp" is not a web address; write an absolute URL: "https://portal.example.jp/""#,
            ],
        ),
        (
            &[(CA, "+[site.contact]\nmark = \"a very long mark\"\ntelephone = \"call us\"\nhours = { ja = \"x\" }")],
            &[
                r#"27: site[0].contact.name: is missing; write the bank's name as its customers know it"#,
                r#"28: site[0].contact.mark: is longer than 12 characters; shorten it"#,
                r#"29: site[0].contact.telephone: "call us" is not a telephone number; write digits with -, (, ), + and spaces: "0120-000-000""#,
                r#"30: site[0].contact.hours.en: is missing; write the text in English"#,
            ],
        ),
        (
            &[(CA, r#"+portal_url = "javascript:alert(1)""#)],
            &[
                r#"27: site[0].portal_url: "javascript:alert(1)" is not a web address; write an absolute URL: "https://portal.example.jp/""#,
            ],
        ),
        (
            &[(
                "[[site]]\nserver_names = [\"ib.example.jp\"]\ncertificate = \"ib.pem\"\nkey = \"ib.key\"\nca = [\"root\"]\n\n[[site.route]]\npath = \"/\"\npool = \"app\"",
                "",
            )],
            &["1: site: is missing; add a [[site]] table with server_names, certificate, key and ca"],
        ),
    ]);
}

#[test]
fn a_route_is_unambiguous_and_requires_what_its_cas_can_give() {
    check(&[
        (
            &[("[[site.route]]\npath = \"/\"\npool = \"app\"", "")],
            &[
                "22: site[0].route: is missing; add a [[site.route]] table with path and pool, or nothing can be asked of this site",
            ],
        ),
        (&[(PATH, "")], &[r#"28: site[0].route[0].path: is missing; write the prefix of the paths it is for: "/""#]),
        (&[(PATH, r#"path = "app""#)], &[r#"29: site[0].route[0].path: "app" does not start with "/""#]),
        (
            &[(PATH, r#"path = "/app/""#)],
            &[
                r#"29: site[0].route[0].path: "/app/" ends with "/"; leave that out, a prefix is for itself and all below it"#,
            ],
        ),
        (&[(PATH, r#"path = "/a?b""#)], &[r#"29: site[0].route[0].path: "/a?b" has a query; write the path alone"#]),
        (
            &[(PATH, r#"path = "/a%20b""#)],
            &[
                r#"29: site[0].route[0].path: "/a%20b" has "%", "\" or ";"; routes are compared with decoded paths without parameters"#,
            ],
        ),
        (
            &[(PATH, r#"path = "/a;b""#)],
            &[
                r#"29: site[0].route[0].path: "/a;b" has "%", "\" or ";"; routes are compared with decoded paths without parameters"#,
            ],
        ),
        (
            &[(PATH, r#"path = "/a/../b""#)],
            &[
                r#"29: site[0].route[0].path: "/a/../b" has an empty, "." or ".." segment, with which every request is refused"#,
            ],
        ),
        (
            &[(PATH, r#"path = "/a b""#)],
            &[
                r##"29: site[0].route[0].path: "/a b" has a character that no request line has; write visible ASCII without "#""##,
            ],
        ),
        (&[(POOL, "")], &["28: site[0].route[0].pool: is missing; write the name of a [[pool]]"]),
        (&[(POOL, r#"pool = "ap""#)], &[r#"30: site[0].route[0].pool: "ap" is not a pool of this file; write "app""#]),
        (
            &[(POOL, "+[[site.route]]\npath = \"/\"\npool = \"app\"")],
            &[
                r#"32: site[0].route[1].path: "/" with these methods is already a route at line 28; a request must have one route"#,
            ],
        ),
        (
            &[(
                POOL,
                "+methods = [\"GET\", \"POST\"]\n[[site.route]]\npath = \"/\"\npool = \"app\"\nmethods = [\"POST\"]",
            )],
            &[
                r#"33: site[0].route[1].path: "/" with these methods is already a route at line 28; a request must have one route"#,
            ],
        ),
        (
            &[(POOL, r#"+methods = ["get", "CONNECT", "G T", 1, "TRACE"]"#)],
            &[
                r#"31: site[0].route[0].methods[0]: "get" is not in upper case, and methods are case-sensitive; write "GET""#,
                r#"31: site[0].route[0].methods[1]: "CONNECT" asks for a tunnel, which this gateway never makes; remove it"#,
                r#"31: site[0].route[0].methods[2]: "G T" is not a method; write "GET", "POST", …"#,
                r#"31: site[0].route[0].methods[3]: 1 is not a method; write "GET", "POST", …"#,
                r#"31: site[0].route[0].methods[4]: "TRACE" would show a client what the gateway tells the application of it; remove it"#,
            ],
        ),
        (
            &[(POOL, r#"+require = ["user"]"#)],
            &[
                r#"31: site[0].route[0].require[0]: "user" is not a capture of any identity pattern of this site's CAs; write "contract_id", "user_id" or "certificate", or "!" before a capture"#,
            ],
        ),
        (
            &[(POOL, r#"+require = ["user_id", "!user_id"]"#)],
            &["31: site[0].route[0].require[1]: contradicts an earlier term, so that nobody could enter; remove one"],
        ),
        (
            &[(POOL, r#"+require = ["certificate", "certificate"]"#)],
            &["31: site[0].route[0].require[1]: is there twice; remove one"],
        ),
        (
            &[(POOL, r#"+require = [1, ""]"#)],
            &[
                r#"31: site[0].route[0].require[0]: 1 is not a requirement; write "certificate", "user_id" or "!user_id""#,
                r#"31: site[0].route[0].require[1]: "" is not a capture of any identity pattern of this site's CAs; write "contract_id", "user_id" or "certificate", or "!" before a capture"#,
            ],
        ),
        (
            &[(CA, r#"client_auth = "none""#), (POOL, r#"+require = ["certificate"]"#)],
            &[
                r#"31: site[0].route[0].require: needs a certificate, and this site has client_auth = "none"; remove it or ask for certificates"#,
            ],
        ),
        (
            &[(POOL, r#"+timeout = "0s""#)],
            &[r#"31: site[0].route[0].timeout: "0s" is out of range; write "1ms" to "1d""#],
        ),
    ]);
}

#[test]
fn every_error_of_a_file_comes_at_once_in_the_order_of_its_lines() {
    check(&[
        (
            &[
                (LISTEN, r#"listen = ["127.0.0.1"]"#),
                (REVOCATION, r#"revocation = "maybe""#),
                (CA, r#"+client_auth = "maybe""#),
            ],
            &[
                r#"2: gateway.listen[0]: "127.0.0.1" is not an address; write an IP address and a port: "127.0.0.1:8443" or "[::1]:8443""#,
                r#"15: ca[1].revocation: "maybe" is not a revocation source; write { crl = ["crl.pem"] } or "none""#,
                r#"27: site[0].client_auth: "maybe" is not a client-auth mode; write "required", "optional" or "none""#,
            ],
        ),
        (
            &[
                (r#"name = "root""#, "name = \"root\"\nrevocatoin = \"none\""),
                ("revocation = \"none\"\n", "\n"),
                (PEERS, r#"peers = ["a"]"#),
                (POOL, r#"pool = "b""#),
            ],
            &[
                r#"6: ca[0].revocation: is missing; write where its revocation list is, { crl = ["crl.pem"] }, or "none" if its certificates are never revoked"#,
                r#"8: ca[0].revocatoin: is not a known key; did you mean "revocation"?"#,
                r#"21: pool[0].peers[0]: "a" is not a peer address; write an IP address and a port, "10.0.0.1:8080", or a socket, "unix:/run/ib.sock" (names are not resolved)"#,
                r#"31: site[0].route[0].pool: "b" is not a pool of this file; write "app""#,
            ],
        ),
    ]);
}

#[test]
fn a_small_configuration_is_accepted_and_its_paths_start_at_its_folder() {
    let config = accepted(&[]);
    assert_eq!(config.gateway.admin.to_string(), "127.0.0.1:9443");
    assert_eq!(config.gateway.access_log, LogTarget::Stdout);
    assert!(config.gateway.threads >= 1, "0 is one a core");
    assert_eq!(config.cas[1].certificate.value, PathBuf::from("/etc/sekisho/issuing.pem"));
    assert_eq!(config.cas[1].certificate.place.to_string(), "sekisho.toml:13: ca[1].certificate");
    assert_eq!(config.cas[1].issued_by.as_deref(), Some("root"));
    assert_eq!(config.cas[0].revocation, RevocationSource::None);
    assert_eq!(config.pools[0].balance, Balance::RoundRobin);
    assert_eq!(config.sites[0].name.as_ref(), "ib.example.jp");
    assert_eq!(config.sites[0].client_auth, ClientAuth::Required);
    assert!(!config.sites[0].default);
    assert_eq!(config.sites[0].place.line, 22);
    assert_eq!(config.sites[0].routes[0].place.to_string(), "sekisho.toml:28: site[0].route[0]");
}

#[test]
fn each_form_of_revocation_is_read_as_written() {
    let of = |written: &str| match accepted(&[(REVOCATION, written)]).cas.remove(1).revocation {
        RevocationSource::From(sources) => {
            let files = sources.files.iter().map(|path| path.value.display().to_string()).collect::<Vec<_>>();
            Some((files, sources.when_stale))
        }
        RevocationSource::None => None,
    };
    let a = || vec!["/etc/sekisho/a.crl".to_owned()];
    assert_eq!(of(r#"revocation = "none""#), None);
    assert_eq!(of(REVOCATION), Some((a(), WhenStale::Closed)));
    assert_eq!(of(r#"revocation = { crl = ["a.crl"], when_stale = "closed" }"#), Some((a(), WhenStale::Closed)));
    assert_eq!(of(r#"revocation = { crl = ["a.crl"], when_stale = "open" }"#), Some((a(), WhenStale::Open)));
    let grace = WhenStale::Grace(Duration::from_secs(6 * 3600));
    assert_eq!(of(r#"revocation = { crl = ["a.crl"], when_stale = { grace = "6h" } }"#), Some((a(), grace)));
    let two = vec!["/etc/sekisho/a.crl".to_owned(), "/var/crl".to_owned()];
    assert_eq!(of(r#"revocation = { crl = ["a.crl", "/var/crl"] }"#), Some((two, WhenStale::Closed)));
}

#[test]
fn peers_headers_names_and_requirements_are_read_as_written() {
    let config = accepted(&[
        (
            LIMITS,
            "[gateway.headers]\nuser_id = \"X-Bank-User\"\nserial = \"\"\nstrip = [\"SM-User\"]\n[gateway.limits]\nrequest_body_bytes = 0x10",
        ),
        (PEERS, r#"peers = ["[::1]:80", "unix:app.sock", { address = "10.0.0.1:81", weight = 1000 }]"#),
        (NAMES, r#"server_names = ["IB.Example.jp", "*.ib.example.jp"]"#),
        (POOL, "+require = [\"certificate\", \"user_id\", \"!contract_id\"]\nmethods = [\"GET\"]\ntimeout = \"90s\""),
    ]);
    assert_eq!(config.headers.user_id.as_ref().map(|name| name.as_str()), Some("x-bank-user"));
    assert_eq!(config.headers.serial, None);
    assert_eq!(config.headers.strip, ["sm-user"]);
    assert_eq!(config.limits.request_body_bytes, 16);
    let peers: Vec<(&PeerAddress, usize)> =
        config.pools[0].peers.iter().map(|peer| (&peer.address, peer.weight)).collect();
    assert_eq!(
        peers,
        [
            (&PeerAddress::Tcp("[::1]:80".parse().unwrap()), 1),
            (&PeerAddress::Unix("/etc/sekisho/app.sock".into()), 1),
            (&PeerAddress::Tcp("10.0.0.1:81".parse().unwrap()), 1000),
        ]
    );
    assert_eq!(config.sites[0].server_names, ["ib.example.jp", "*.ib.example.jp"]);
    let route = &config.sites[0].routes[0];
    let has_not = Requirement::HasNot("contract_id".to_owned());
    assert_eq!(route.require, [Requirement::Certificate, Requirement::Has("user_id".to_owned()), has_not]);
    assert_eq!(route.methods, [http::Method::GET]);
    assert_eq!(route.timeout, Some(Duration::from_secs(90)));
}

#[test]
fn a_root_lets_in_the_issuing_cas_below_it_and_hands_its_pattern_down() {
    // The pattern stands on the root alone; the issuing CA inherits it, and user_id can be required.
    accepted(&[
        (IDENTITY, ""),
        ("name = \"root\"\n", "name = \"root\"\nidentity = '(?<contract_id>[0-9]+) (?<user_id>.+)'\n"),
        (POOL, "+require = [\"user_id\"]"),
    ]);
    // A site that names the issuing CA alone asks nothing of the root.
    accepted(&[(CA, r#"ca = ["issuing"]"#)]);
}

#[test]
fn routes_on_one_path_may_share_out_its_methods() {
    // A route for any method is not a rest: the order of the file must not matter.
    let errors = parse(&edited(&[(POOL, "+methods = [\"GET\"]\n[[site.route]]\npath = \"/\"\npool = \"app\"")]));
    assert_eq!(errors.err().map(|errors| errors.len()), Some(1));
    let split = "+methods = [\"GET\"]\n[[site.route]]\npath = \"/\"\npool = \"app\"\nmethods = [\"POST\"]";
    assert_eq!(accepted(&[(POOL, split)]).sites[0].routes.len(), 2);
}

#[test]
fn a_circle_of_three_cas_is_told_once_and_a_ca_that_leads_into_it_is_not_blamed() {
    let errors = parse(&edited(&[
        ("certificate = \"root.pem\"", "+issued_by = \"third\""),
        (
            IDENTITY,
            "+[[ca]]\nname = \"third\"\ncertificate = \"c.pem\"\nrevocation = \"none\"\nissued_by = \"issuing\"\n[[ca]]\nname = \"outside\"\ncertificate = \"d.pem\"\nrevocation = \"none\"\nissued_by = \"third\"",
        ),
    ]));
    let circle = "root -> third -> issuing -> root";
    let expected =
        format!("sekisho.toml:9: ca[0].issued_by: goes in a circle: {circle}; the topmost CA has no issued_by");
    assert_eq!(errors.err(), Some(vec![expected]));
}

#[test]
fn a_file_that_cannot_be_read_is_one_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sekisho.toml");
    let errors = |path: &Path| match config::load(path) {
        Ok(_) => panic!("{} was accepted", path.display()),
        Err(errors) => errors.iter().map(|error| error.to_string().replace(&path.display().to_string(), "F")).collect(),
    };
    let none: Vec<String> = errors(&path);
    assert_eq!(none, ["F: cannot be read: No such file or directory (os error 2)"]);
    std::fs::write(&path, b"[gateway]\n# \xff\n").unwrap();
    assert_eq!(errors(&path), ["F: is not UTF-8 at line 2; save it as UTF-8"]);
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(config::FILE_BYTES + 1).unwrap();
    assert_eq!(errors(&path), ["F: has 4194305 octets, more than the 4194304 a configuration may have"]);
    assert_eq!(errors(folder.path()), ["F: cannot be read: Is a directory (os error 21)"]);
    std::fs::write(&path, "").unwrap();
    assert_eq!(
        errors(&path),
        [
            r#"F:1: gateway.listen: is missing; write the addresses to serve TLS on: ["0.0.0.0:443", "[::]:443"]"#,
            "F:1: site: is missing; add a [[site]] table with server_names, certificate, key and ca",
        ]
    );
}

#[test]
fn loading_a_file_joins_its_paths_to_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, RIGHT).unwrap();
    let config = config::load(&path).unwrap();
    assert_eq!(config.sites[0].key.value, folder.path().join("ib.key"));
    assert_eq!(config.sites[0].key.place.file.as_ref(), path.display().to_string());
}

#[test]
fn an_unknown_key_is_found_in_every_table() {
    let reference = include_str!("../../../config/sekisho.toml");
    let tables = reference.lines().enumerate().filter(|(_, line)| line.trim_start_matches('#').starts_with('['));
    let mut count = 0;
    for (index, table) in tables {
        count += 1;
        let lines = reference.lines().enumerate().map(|(at, line)| match at {
            at if at == index => format!("{}\nzzzz = 1", line.trim_start_matches('#')),
            _ => line.to_owned(),
        });
        let errors = parse(&lines.collect::<Vec<_>>().join("\n")).err().unwrap_or_default();
        let found = errors.iter().filter(|error| error.contains("zzzz: is not a known key")).count();
        assert_eq!(found, 1, "in {table}: {errors:?}");
        assert!(errors.iter().any(|error| error.starts_with(&format!("sekisho.toml:{}: ", index + 2))), "{errors:?}");
    }
    assert!(count >= 14, "{count}");
}

mod any_text {
    use super::{RIGHT, parse};
    use proptest::prelude::*;

    const REFERENCE: &str = include_str!("../../../config/sekisho.toml");

    /// Pieces that mean something to the reader, to go deeper than random characters do.
    const PIECES: [&str; 24] = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        "\"",
        "'",
        "'''",
        "\n",
        "#",
        ".",
        "-",
        "!",
        "\u{0}",
        "\u{feff}",
        "関",
        "99999999999999999999",
        "\"0s\"",
        "{ grace = \"1h\" }",
        "(?<contract_id>",
        "[[site.route]]\n",
    ];

    fn mutated(text: &str, edits: &[(prop::sample::Index, usize, usize)]) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        for (at, remove, piece) in edits {
            let at = at.index(characters.len() + 1);
            let end = (at + remove).min(characters.len());
            characters.splice(at..end, PIECES[piece % PIECES.len()].chars());
        }
        characters.into_iter().collect()
    }

    /// Every error has a line of the file, and none spreads over two lines of output.
    fn check(text: &str) {
        let errors = parse(text).err().unwrap_or_default();
        let last = text.matches('\n').count() + 1;
        let mut previous = 1;
        for error in errors {
            assert_eq!(error.lines().count(), 1, "{error:?}");
            let rest = error.strip_prefix("sekisho.toml:").unwrap();
            let line: usize = rest.split(':').next().unwrap().parse().unwrap();
            assert!((previous..=last).contains(&line), "{error}");
            previous = line;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_spoiled_reference_configuration_never_panics(
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, any::<usize>()), 1..6),
        ) {
            check(&mutated(REFERENCE, &edits));
            check(&mutated(RIGHT, &edits));
        }

        #[test]
        fn swapped_values_never_panic(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
            // Right TOML of the wrong types, which reaches every reader.
            let lines: Vec<&str> = RIGHT.lines().collect();
            let with_value: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(" = ")).collect();
            let (from, to) = (with_value[from.index(with_value.len())], with_value[to.index(with_value.len())]);
            let value = lines[from].split_once(" = ").unwrap().1;
            let key = lines[to].split_once(" = ").unwrap().0;
            let swapped = format!("{key} = {value}");
            let text: Vec<&str> = lines.iter().enumerate().map(|(at, line)| if at == to { swapped.as_str() } else { line }).collect();
            check(&text.join("\n"));
        }

        #[test]
        fn any_text_never_panics(text in "\\PC{0,200}") {
            check(&text);
        }
    }
}

#[test]
fn lists_are_fetched_only_where_they_can_be_kept_and_their_server_known() {
    const URL: &str = "revocation = { crl_urls = [\"http://crl.example.jp/a.crl\"] }";
    const HTTPS: &str =
        "revocation = { crl_urls = [\"http://crl.example.jp/a.crl\", \"https://crl.example.jp/b.crl\"] }";
    const POINTS: &str = "revocation = { distribution_points = [\"crl.example.jp\"] }";
    const STATE: &str = "+state_folder = \"state\"";
    check(&[
        (
            &[(REVOCATION, URL)],
            &[
                "15: ca[1].revocation.crl_urls[0]: is fetched and must be kept for a start without network; write state_folder in [gateway]",
            ],
        ),
        (
            &[(REVOCATION, POINTS)],
            &[
                "15: ca[1].revocation.distribution_points[0]: is fetched and must be kept for a start without network; write state_folder in [gateway]",
            ],
        ),
        (
            &[
                (LISTEN, STATE),
                (REVOCATION, "revocation = { distribution_points = [\"http://crl.example.jp/\", \"h:0\"] }"),
            ],
            &[
                r#"16: ca[1].revocation.distribution_points[0]: "http://crl.example.jp/" is not a place of distribution points; write a host with the port and path that it needs: "crl.example.jp", "crl.example.jp:8080/crl""#,
                r#"16: ca[1].revocation.distribution_points[1]: "h:0" is not a place of distribution points; write a host with the port and path that it needs: "crl.example.jp", "crl.example.jp:8080/crl""#,
            ],
        ),
        (
            &[(REVOCATION, "revocation = { ocsp = { url = \"https://ocsp.example.jp/\" } }")],
            &[
                "15: ca[1].revocation.ocsp.url: is https:// and no CA of its server is known; write ca in [gateway.fetch], or http://, since the answer is signed",
            ],
        ),
        (
            &[(LISTEN, STATE), (REVOCATION, HTTPS)],
            &[
                "16: ca[1].revocation.crl_urls[1]: is https:// and no CA of its server is known; write ca in [gateway.fetch], or http://, since the list is signed",
            ],
        ),
        (
            &[(LIMITS, "[gateway.fetch]\ntimeout = \"0s\"\nlist_bytes = \"1GiB\"\ninterval = \"30d\"\nredirects = 1")],
            &[
                "5: gateway.fetch.timeout: \"0s\" is out of range; write \"1s\" to \"10m\"",
                "6: gateway.fetch.list_bytes: \"1GiB\" is out of range; write \"1KiB\" to \"256MiB\"",
                "7: gateway.fetch.interval: \"30d\" is out of range; write \"1s\" to \"7d\"",
                "8: gateway.fetch.redirects: is not a known key; the keys here are timeout, list_bytes, interval, ca",
            ],
        ),
    ]);
    for revocation in [URL, POINTS] {
        let config = accepted(&[(LISTEN, STATE), (REVOCATION, revocation)]);
        assert_eq!(config.fetch, config::Fetch::default());
        assert_eq!(config.gateway.state_folder.unwrap().value, PathBuf::from("/etc/sekisho/state"));
    }
    let fetch = "[gateway.fetch]\nca = \"ca.pem\"\n[gateway.limits]";
    assert!(accepted(&[(LISTEN, STATE), (LIMITS, fetch), (REVOCATION, HTTPS)]).fetch.ca.is_some());
}
