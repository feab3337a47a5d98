use super::*;
use proptest::prelude::*;

fn route(path: &str, methods: &[Method], pool: &str) -> Route {
    Route {
        place: sekisho_config::Place::default(),
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
        RouteMatch::Route(matched) => Ok(matched.route.pool().to_string()),
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
    for method in [Method::PUT, Method::from_bytes(b"get").unwrap()] {
        assert_eq!(found(&table(), "/admin/x", &method), Err("allow DELETE, GET, HEAD, POST".to_owned()));
    }
}

#[test]
fn head_goes_where_get_goes_unless_a_route_names_it() {
    let of = |routes: &[Route], path: &str| found(&RouteTable::new(routes), path, &Method::HEAD);
    let (get, any, head) =
        (route("/a", &[Method::GET], "get"), route("/a", &[], "any"), route("/a", &[Method::HEAD], "head"));
    assert_eq!(of(std::slice::from_ref(&get), "/a/x"), Ok("get".to_owned()));
    assert_eq!(of(&[any.clone(), get.clone()], "/a"), Ok("get".to_owned()), "and not to the route for other methods");
    assert_eq!(of(&[any, get, head], "/a"), Ok("head".to_owned()));
    assert_eq!(of(&[route("/a", &[Method::POST], "post")], "/a"), Err("allow POST".to_owned()));
}

#[test]
fn trace_has_no_route() {
    let all = "allow DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
    assert_eq!(found(&table(), "/ib", &Method::TRACE), Err(all.to_owned()));
    let named = RouteTable::new(&[route("/", &[Method::TRACE, Method::GET], "x")]);
    assert!(found(&named, "/", &Method::TRACE).is_err());
}

/// `/users` wants a user ID, `/administrators` none, `/Reports` another capture; the rest is anybody's.
fn guarded() -> RouteTable {
    let with = |path: &str, require: &[Requirement]| Route { require: require.to_vec(), ..route(path, &[], path) };
    RouteTable::new(&[
        with("/", &[]),
        with("/users", &[Requirement::Has("user_id".to_owned())]),
        with("/users/help.html", &[]),
        with("/administrators", &[Requirement::HasNot("user_id".to_owned())]),
        with("/Reports", &[Requirement::Certificate]),
        with("/Reports/public.html", &[]),
        with("/user-admin", &[Requirement::Certificate]),
        with("/user_admin", &[Requirement::Certificate]),
    ])
}

#[test]
fn a_slash_of_another_kind_behind_what_ends_a_segment_is_ambiguous() {
    let table = guarded();
    for path in ["/::$DATA%E2%88%95users/Reports", "/a.b%EF%BC%8Fusers", "/a%3Ab%C2%A5c"] {
        let found = table.find(path, &Method::GET);
        assert!(matches!(found, RouteMatch::Ambiguous(PathError::EncodedSeparator)), "{path}: {found:?}");
    }
    // Neither reader cuts anything here.
    for path in ["/2026%EF%BC%8F11%EF%BC%8F30.pdf", "/price%C2%A5100"] {
        assert!(matches!(table.find(path, &Method::GET), RouteMatch::Route(_)), "{path}");
    }
}

#[test]
fn a_path_that_an_application_may_fold_to_a_guarded_page_needs_what_that_page_needs() {
    let user = Identity::for_test("1 u 1635", &[("contract_id", "1"), ("user_id", "u")]);
    let contract = Identity::for_test("1 1635", &[("contract_id", "1")]);
    let check = |path: &str, identity: Option<&Identity>| match guarded().find(path, &Method::GET) {
        RouteMatch::Route(matched) => matched.check(identity).map_err(|refusal| refusal.reason),
        other => panic!("{path}: {other:?}"),
    };
    for path in [
        "/users",
        "/USERS",
        "/Users/x",
        "/users.json",
        "/users.json/x",
        "/users::$DATA",
        "/users%3a%3a$DATA",
        "/users:x",
        "/%EF%BD%95sers",
        "/us%C2%ADers",
        "/%E2%80%8Busers",
        "/users%3Fx",
        "/USERS.JSON;v=1",
        "/us%C3%A9rs/1",
        "/users%E3%80%80",
        "/%20users",
        "/%EF%BC%8Fusers",
        "/users%C2%A5x",
        "/USERS/other",
        "/(S(abc))/users",
        "/(S(abc))/USERS.aspx",
        "/(A(b)S(c)F(d))/(S(e))/users/x",
        "/users/(S(abc))",
        "/%E2%88%95users",
        "/users%E2%81%84x",
        "/users%E2%88%96help.html",
        "/u%CF%83ers",
    ] {
        assert_eq!(check(path, Some(&contract)), Err(Reason::NotPermitted), "{path}");
        assert_eq!(check(path, None), Err(Reason::NoCertificate), "{path}");
        assert_eq!(check(path, Some(&user)), Ok(()), "{path}");
    }
    for path in ["/ADMINISTRATORS", "/administrators.aspx", "/adm%C4%B1nistrators"] {
        assert_eq!(check(path, Some(&user)), Err(Reason::NotPermitted), "{path}");
        assert_eq!(check(path, Some(&contract)), Ok(()), "{path}");
    }
    for path in ["/usersx", "/user", "/x/users", "/userslist.json", "/users/help.html", "/Reports/public.html", "/x.y"]
    {
        assert_eq!(check(path, None), Ok(()), "{path}");
    }
    let table = guarded();
    let RouteMatch::Route(matched) = table.find("/USERS.json", &Method::GET) else { panic!() };
    assert_eq!(&**matched.route.pool(), "/", "it goes where it is written");
    let evidence = matched.check(Some(&contract)).unwrap_err().evidence;
    assert!(evidence.starts_with("by another reading of its path, route /users requires"), "{evidence}");
}

#[test]
fn what_could_be_the_short_name_of_a_guarded_page_is_refused() {
    let of = |table: &RouteTable, path: &str| found(table, path, &Method::GET);
    for path in ["/users~1", "/USERS~1.ASP/x", "/%75sers%7e2", "/a1b2c3~4", "/(S(x))/report~1"] {
        assert_eq!(of(&guarded(), path), Err("ShortName".to_owned()), "{path}");
    }
    for path in ["/(S(x))users", "/a/(S(x))b"] {
        assert_eq!(of(&guarded(), path), Err("Cookieless".to_owned()), "{path}");
    }
    // Nobody is kept out of what could be meant there.
    for path in ["/~tanaka", "/x/report~1.pdf", "/users/x~1", "/users~", "/a~1b"] {
        assert!(of(&guarded(), path).is_ok(), "{path}");
    }
    let open = RouteTable::new(&[route("/", &[], "root"), route("/users", &[], "users")]);
    assert_eq!(of(&open, "/users~1"), Ok("root".to_owned()));
    let deep = RouteTable::new(&[route("/", &[], "root"), route("/a/b", &[Method::GET], "b")]);
    assert_eq!(of(&deep, "/A/b~1"), Err("ShortName".to_owned()));
    assert_eq!(of(&deep, "/c/b~1"), Ok("root".to_owned()));
}

#[test]
fn a_method_that_a_guarded_page_has_not_is_not_let_in_by_another_spelling() {
    let table = RouteTable::new(&[route("/", &[], "root"), route("/read", &[Method::GET], "read")]);
    for path in ["/read", "/READ", "/read.do"] {
        assert_eq!(found(&table, path, &Method::DELETE), Err("allow GET, HEAD".to_owned()), "{path}");
    }
    assert_eq!(found(&table, "/READ", &Method::GET), Ok("root".to_owned()));
    for path in ["/a/%EF%BC%8E%EF%BC%8E/read", "/%EF%BC%8575sers"] {
        assert!(matches!(table.find(path, &Method::GET), RouteMatch::Ambiguous(_)), "{path}");
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
    let query = |raw| Target::parse(raw).unwrap().query();
    assert_eq!((query(b"/a?b=/c?d"), query(b"/a"), query(b"https://ib.jp/?x")), ("b=/c?d", "", "x"));
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
            RouteMatch::Route(matched) => matched.check(identity).map_err(|refusal| refusal.reason),
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
            if let RouteMatch::Route(matched) = table.find(target.path, &Method::POST) {
                let path = RoutePath::parse(target.path).unwrap();
                prop_assert!(path.literal().starts_with(matched.route.path().trim_end_matches('/')));
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
        if let RouteMatch::Route(matched) = table.find(&path, &Method::GET) {
            let served = as_a_lenient_upstream_reads(&path, decodings, parameters);
            let honest = table.longest(&served).unwrap();
            prop_assert_eq!(honest.for_method(&Method::GET).unwrap().pool(), matched.route.pool(), "{} is served as {}", path, served);
        }
    }

    /// Whatever of these an application does to a path before it looks the page up: the client meets what that page's
    /// route requires.
    #[test]
    fn no_folding_of_a_path_reaches_a_page_whose_requirements_were_not_checked(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "/", "/", "users", "USERS", "Users", "ｕｓｅｒｓ", "reports", "/Reports", "administrators", "adm\u{131}nistrators", ".json",
            ".HTML", ".html", "::$DATA", ":x", "\u{ad}", "\u{200b}", "\u{3000}", " ", "public", "Help", "help", "x", "…", "¥", "／", "．",
            "/(S(x))", "/(A(b)F(c))", "(S(x))", "\u{2215}", "\u{2216}", "~1", "σ", "u", "ers",
            "/user", "admin", "\u{2011}", "-", "_", "\u{332}",
        ]), 0..8),
        folds in proptest::collection::vec(any::<bool>(), 9),
    ) {
        let table = guarded();
        let plain = format!("/{}", parts.concat());
        let encoded: String = plain.bytes().map(|byte| match byte {
            b'!'..=b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        }).collect();
        if let RouteMatch::Route(matched) = table.find(&encoded, &Method::GET) {
            let folds: [bool; 9] = folds.try_into().unwrap();
            let served = as_a_folding_application_reads(&plain, folds);
            // Its page: that of the longest route which it reads so.
            let pages = table.paths.values().flat_map(|at| &at.routes);
            let reads = |route: &CompiledRoute| {
                let page = as_a_folding_application_reads(route.path(), folds);
                served.strip_prefix(&*page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')).then_some(page.len())
            };
            let served_by = pages.filter_map(|route| Some((reads(route)?, route)));
            let longest = served_by.clone().map(|(length, _)| length).max().unwrap();
            let checked = |route: &CompiledRoute| {
                let key = |route: &CompiledRoute| fold::folded(route.path()).unwrap();
                [matched.route].iter().chain(&matched.also).any(|known| known.path() == route.path())
                    || key(route) == key(matched.route)
            };
            for (_, route) in served_by.filter(|(length, _)| *length == longest) {
                prop_assert!(checked(route) || route.require.is_empty(), "{plain} is served as {served} by {}", route.path());
            }
        }
    }
}

/// An application that folds case, normalises (NFKC), drops what has no width, cuts extensions, cuts streams, trims, fits
/// to a code page, leaves out ASP.NET's sessions, knows short names.
fn as_a_folding_application_reads(
    path: &str,
    [case, nfkc, invisible, extension, stream, trim, fit, sessions, short]: [bool; 9],
) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    let mut path = path.to_owned();
    if invisible {
        path = path.replace(['\u{ad}', '\u{200b}'], "");
    }
    if nfkc {
        path = path.nfkc().collect();
    }
    if fit {
        path = path
            .replace(['\u{2215}', '\u{2216}'], "/")
            .replace('\u{2011}', "-")
            .replace('\u{332}', "_")
            .replace('σ', "s");
    }
    if case {
        path = path.to_uppercase().to_lowercase();
    }
    if sessions {
        // As a text, joining what stands around it.
        for place in ["/(S(x))", "/(A(b)F(c))", "/(s(x))", "/(a(b)f(c))"] {
            path = path.replace(place, "");
        }
    }
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    for segment in &mut segments {
        if stream {
            segment.truncate(segment.find(':').unwrap_or(segment.len()));
        }
        if extension {
            segment.truncate(segment.rfind('.').filter(|dot| *dot > 0).unwrap_or(segment.len()));
        }
        if trim {
            *segment = segment.trim_matches([' ', '.']).to_owned();
        }
        if short && let Some(long) = segment.strip_suffix("~1") {
            *segment = long.to_owned();
        }
    }
    segments.iter().filter(|segment| !segment.is_empty()).flat_map(|segment| ["/", segment]).collect()
}
