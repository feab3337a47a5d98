use super::*;
use proptest::prelude::*;

fn route(path: &str, methods: &[Method], pool: &str) -> Route {
    Route {
        place: crate::config::Place::default(),
        path: path.to_owned(),
        methods: methods.to_vec(),
        pool: pool.into(),
        require: Vec::new(),
        timeout: None,
        finish: None,
    }
}

fn table() -> RouteTable {
    RouteTable::new(&[
        route("/", &[], "root"),
        route("/admin", &[Method::GET, Method::POST], "admin"),
        route("/admin", &[Method::DELETE], "admin-delete"),
        route("/ib/user/", &[], "user"),
        route("/ib/user", &[Method::POST], "user-post"),
        route("/ib", &[], "ib"),
        route("/public", &[], "public"),
    ])
}

fn found(table: &RouteTable, path: &str, method: &Method) -> Result<String, String> {
    match table.find(path, method) {
        RouteMatch::Route(route) => Ok(route.pool().to_string()),
        RouteMatch::MethodNotAllowed { allow } => Err(format!("allow {allow}")),
        RouteMatch::NotFound => Err("not found".to_owned()),
        RouteMatch::Ambiguous(error) => Err(format!("{error:?}")),
    }
}

#[test]
fn the_longest_prefix_of_whole_segments_is_taken() {
    for (path, pool) in [
        ("/", "root"),
        ("/administrator", "root"),
        ("/admin", "admin"),
        ("/admin/", "admin"),
        ("/admin/users", "admin"),
        ("/ib", "ib"),
        ("/ib/users", "ib"),
        ("/ib/user", "user"),
        ("/ib/user/1", "user"),
        ("/ADMIN", "root"),
        ("/%61dmin/x", "admin"),
        ("/%69b/us%65r", "user"),
        ("/admin%2dx", "root"),
        ("/100%25", "root"),
        ("/%E5%B1%B1", "root"),
        ("/ib/top.do;jsessionid=A1", "ib"),
        ("/ib/a;b=1/c;d", "ib"),
    ] {
        assert_eq!(found(&table(), path, &Method::GET), Ok(pool.to_owned()), "{path}");
    }
    assert_eq!(found(&table(), "/ib/user", &Method::POST), Ok("user-post".to_owned()));
    assert_eq!(found(&table(), "/admin", &Method::DELETE), Ok("admin-delete".to_owned()));
}

#[test]
fn a_method_without_a_route_does_not_fall_back_to_a_shorter_path() {
    for method in [Method::PUT, Method::HEAD, Method::from_bytes(b"get").unwrap()] {
        assert_eq!(found(&table(), "/admin/x", &method), Err("allow DELETE, GET, POST".to_owned()));
    }
}

#[test]
fn a_path_without_a_route_is_not_found() {
    let table = RouteTable::new(&[route("/ib", &[], "ib")]);
    for path in ["/", "/i", "/ibx", "/IB"] {
        assert_eq!(found(&table, path, &Method::GET), Err("not found".to_owned()), "{path}");
    }
    assert_eq!(found(&RouteTable::new(&[]), "/", &Method::GET), Err("not found".to_owned()));
}

#[test]
fn a_path_that_an_upstream_could_read_differently_is_refused() {
    use PathError::*;
    for (path, error) in [
        ("/public/../admin", DotSegment),
        ("/public/..", DotSegment),
        ("/./admin", DotSegment),
        ("/public/%2e%2E/admin", DotSegment),
        ("/public/.%2e/admin", DotSegment),
        ("/public/..;/admin", DotSegment),
        ("/public/..;x=1/admin", DotSegment),
        ("/public/%2e%2e%3bx/admin", DotSegment),
        ("/admin./x", DotSegment),
        ("/admin%20/x", DotSegment),
        ("/.../x", DotSegment),
        ("//admin", EmptySegment),
        ("/public//admin", EmptySegment),
        ("/;x/admin", EmptySegment),
        ("/public/;/admin", EmptySegment),
        ("/public%2f..%2fadmin", EncodedSeparator),
        ("/public%2Fadmin", EncodedSeparator),
        ("/public\\..\\admin", EncodedSeparator),
        ("/public%5cadmin", EncodedSeparator),
        ("/public%00/admin", Character),
        ("/public%0d%0aX: 1", Character),
        ("/public admin", Character),
        ("/public?x", Character),
        ("/public#/admin", Character),
        ("/山", Character),
        ("/a%7f", Character),
        ("/%", Encoding),
        ("/%4", Encoding),
        ("/%zz", Encoding),
        ("/%u002e", Encoding),
        ("/%+1", Encoding),
        ("/%c0%af", Encoding),
        ("/%c0%ae%c0%ae/admin", Encoding),
        ("/%8f%ad", Encoding),
        ("/public/%252e%252e/admin", Encoding),
        ("/public/%25%32e%25%32%65/admin", Encoding),
        ("/public;x/secret", Parameter),
        ("/admin;x=1/users", Parameter),
        ("/admin%3bx/users", Parameter),
        ("", Form),
        ("*", Form),
        ("admin", Form),
        ("ib.example.jp:443", Form),
    ] {
        assert_eq!(found(&table(), path, &Method::GET), Err(format!("{error:?}")), "{path}");
    }
    assert_eq!(found(&table(), &format!("/{}", "a".repeat(MAX_PATH_OCTETS)), &Method::GET), Err("TooLong".to_owned()));
}

#[test]
fn a_target_is_taken_apart() {
    let target = |raw| Target::parse(raw).map(|target| (target.authority, target.path, target.origin_form));
    assert_eq!(target(b"/a/b?c=/d?e"), Ok((None, "/a/b", "/a/b?c=/d?e")));
    assert_eq!(target(b"HTTPS://ib.jp:1/a?b"), Ok((Some("ib.jp:1"), "/a", "/a?b")));
    assert_eq!(target(b"https://ib.jp"), Ok((Some("ib.jp"), "/", "/")));
    assert_eq!(target(b"//ib.jp/a"), Ok((None, "//ib.jp/a", "//ib.jp/a")));
    for raw in
        [&b"*"[..], b"ib.jp:443", b"http://ib.jp/", b"ftp://ib.jp/", b"https:/ib.jp", b"", b"?x", b"https://ib.jp?x"]
    {
        assert_eq!(target(raw), Err(PathError::Form), "{}", raw.escape_ascii());
    }
    for raw in [&b"/a#b"[..], b"/a b", b"/\xe5\xb1\xb1", b"/\xff", b"/a\0", b"https://ib.jp/\t"] {
        assert_eq!(target(raw), Err(PathError::Character), "{}", raw.escape_ascii());
    }
    let long = format!("/{}", "a".repeat(MAX_PATH_OCTETS));
    assert_eq!(target(long.as_bytes()), Err(PathError::TooLong));
}

#[test]
fn requirements_are_held_against_the_identity() {
    use Requirement::{Certificate, Has, HasNot};
    let user = Identity::for_test("1 u 1635", &[("contract_id", "1"), ("user_id", "u")]);
    let contract = Identity::for_test("1 1635", &[("contract_id", "1")]);
    let empty = Identity::for_test("1  1635", &[("contract_id", "1"), ("user_id", "")]);
    let name = || "user_id".to_owned();
    let check = |require: &[Requirement], identity: Option<&Identity>| {
        let mut route = route("/login", &[], "ib");
        route.require = require.to_vec();
        match RouteTable::new(&[route]).find("/login", &Method::GET) {
            RouteMatch::Route(route) => route.check(identity).map_err(|refusal| refusal.reason),
            other => panic!("{other:?}"),
        }
    };
    let (none, refused) = (Err(Reason::NoCertificate), Err(Reason::NotPermitted));
    for (require, of_user, of_contract, of_empty, of_nobody) in [
        (&[][..], Ok(()), Ok(()), Ok(()), Ok(())),
        (&[Certificate], Ok(()), Ok(()), Ok(()), none),
        (&[Has(name())], Ok(()), refused, refused, none),
        (&[HasNot(name())], refused, Ok(()), Ok(()), none),
        (&[Certificate, Has("contract_id".to_owned()), HasNot(name())], refused, Ok(()), Ok(()), none),
        (&[Has("unknown".to_owned())], refused, refused, refused, none),
    ] {
        assert_eq!(check(require, Some(&user)), of_user, "{require:?}");
        assert_eq!(check(require, Some(&contract)), of_contract, "{require:?}");
        assert_eq!(check(require, Some(&empty)), of_empty, "{require:?}");
        assert_eq!(check(require, None), of_nobody, "{require:?}");
    }
}

/// An upstream that decodes once or twice, cuts parameters, takes backslashes for slashes, merges slashes, drops
/// trailing dots and spaces, resolves dot segments, and serves what comes out.
fn as_a_lenient_upstream_reads(path: &str, decodings: usize, parameters: bool) -> String {
    let mut path = path.to_owned();
    for _ in 0..decodings {
        let mut octets = Vec::new();
        let mut rest = path.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            match (first, tail) {
                (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    octets.push(u8::from_str_radix(&format!("{}{}", char::from(*high), char::from(*low)), 16).unwrap());
                    rest = tail;
                }
                _ => octets.push(*first),
            }
        }
        path = String::from_utf8_lossy(&octets).into_owned();
    }
    let mut out: Vec<&str> = Vec::new();
    let path = path.replace('\\', "/");
    for segment in path.split('/') {
        let segment = if parameters { segment.split(';').next().unwrap() } else { segment };
        match segment {
            "" | "." => {}
            ".." => drop(out.pop()),
            segment => out.push(segment.trim_end_matches(['.', ' '])),
        }
    }
    format!("/{}", out.join("/"))
}

proptest! {
    #[test]
    fn no_target_panics_and_what_is_found_is_a_prefix(raw in proptest::collection::vec(any::<u8>(), 0..40), shaped in "/[a-z%0-9./;?\\\\-]{0,40}") {
        let table = table();
        for raw in [&raw[..], shaped.as_bytes()] {
            let Ok(target) = Target::parse(raw) else { continue };
            prop_assert!(target.origin_form.starts_with('/') && !target.path.contains('?'));
            if let RouteMatch::Route(route) = table.find(target.path, &Method::POST) {
                let path = RoutePath::parse(target.path).unwrap();
                prop_assert!(path.literal().starts_with(route.path().trim_end_matches('/')));
            }
        }
    }

    #[test]
    fn no_reading_of_a_path_reaches_a_page_its_route_was_not_checked_for(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "/", "/", "admin", "public", "ib", "user", "..", ".", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "%3b", "x=1",
            "%61dmin", "%25", "%32", "2e", "e", "%252e", "%20", "a", "%", "ad", "min", "/admin", "/public/",
        ]), 0..9),
        decodings in 1_usize..3,
        parameters in any::<bool>(),
    ) {
        let table = table();
        let path = format!("/{}", parts.concat());
        if let RouteMatch::Route(route) = table.find(&path, &Method::GET) {
            let served = as_a_lenient_upstream_reads(&path, decodings, parameters);
            let honest = table.longest(&served).unwrap();
            prop_assert_eq!(honest.for_method(&Method::GET).route().pool(), route.pool(), "{} is served as {}", path, served);
        }
    }
}

impl<'a> RouteMatch<'a> {
    fn route(self) -> &'a CompiledRoute {
        match self {
            Self::Route(route) => route,
            other => panic!("{other:?}"),
        }
    }
}
