//! What a path names.

use super::shelf::Which;
use http::Method;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/crl/{authority}/{part}.crl` or `/crl/{authority}/{part}-delta.crl`.
    List { authority: &'a str, part: u16, which: Which },
    /// `/ca/{authority}.cer`, and `/ca/{authority}/{n}.cer` for those above it, the nearest first.
    Certificate { authority: &'a str, place: usize },
    /// `POST /ocsp/{authority}`.
    Ask { authority: &'a str },
    /// `GET /ocsp/{authority}/{encoded}`.
    Get { authority: &'a str, encoded: &'a str },
}

/// Why nothing is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// There is nothing of this path.
    NotFound,
    /// Only with these methods.
    Method(&'static str),
}

const READ: &str = "GET, HEAD";

impl<'a> Route<'a> {
    /// Of a path as it was sent. Names of authorities need no percent-encoding, so none is undone here.
    pub(super) fn of(method: &Method, path: &'a str) -> Result<Self, NoRoute> {
        let mut segments = path.strip_prefix('/').unwrap_or_default().splitn(3, '/');
        let (first, second, rest) = (segments.next(), segments.next(), segments.next());
        let reads = method == Method::GET || method == Method::HEAD;
        let read = |route: Option<Self>| match route {
            Some(route) if reads => Ok(route),
            Some(_) => Err(NoRoute::Method(READ)),
            None => Err(NoRoute::NotFound),
        };
        match (first, second, rest) {
            (Some("crl"), Some(authority), Some(file)) => read(list(authority, file)),
            (Some("ca"), Some(file), None) => {
                read(file.strip_suffix(".cer").map(|authority| Route::Certificate { authority, place: 0 }))
            }
            (Some("ca"), Some(authority), Some(file)) => {
                let above = file.strip_suffix(".cer").and_then(number).map(usize::from);
                read(above.map(|above| Route::Certificate { authority, place: above + 1 }))
            }
            (Some("ocsp"), Some(authority), None | Some("")) => match *method {
                Method::POST => Ok(Self::Ask { authority }),
                _ => Err(NoRoute::Method("POST")),
            },
            (Some("ocsp"), Some(authority), Some(encoded)) => read(Some(Self::Get { authority, encoded })),
            _ => Err(NoRoute::NotFound),
        }
    }
}

fn list<'a>(authority: &'a str, file: &str) -> Option<Route<'a>> {
    let name = file.strip_suffix(".crl")?;
    let (part, which) = match name.strip_suffix("-delta") {
        Some(part) => (part, Which::Delta),
        None => (name, Which::Full),
    };
    Some(Route::List { authority, part: number(part)?, which })
}

/// Decimal, in its one form: no sign and no leading zero.
fn number(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_names_one_thing() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, path, expected) in [
            (&get, "/crl/a/0.crl", Route::List { authority: "a", part: 0, which: Which::Full }),
            (&Method::HEAD, "/crl/a/63-delta.crl", Route::List { authority: "a", part: 63, which: Which::Delta }),
            (&get, "/ca/a.cer", Route::Certificate { authority: "a", place: 0 }),
            (&get, "/ca/a.b/0.cer", Route::Certificate { authority: "a.b", place: 1 }),
            (&post, "/ocsp/a", Route::Ask { authority: "a" }),
            (&post, "/ocsp/a/", Route::Ask { authority: "a" }),
            (&get, "/ocsp/a/MEQ//w%2F=", Route::Get { authority: "a", encoded: "MEQ//w%2F=" }),
        ] {
            assert_eq!(Route::of(method, path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn anything_else_names_nothing() {
        let get = Method::GET;
        for path in [
            "",
            "/",
            "//",
            "/crl",
            "/crl/",
            "/crl/a",
            "/crl/a/",
            "/crl/a/x.crl",
            "/crl/a/00.crl",
            "/crl/a/+1.crl",
            "/crl/a/65536.crl",
            "/crl/a/0.crl/",
            "/crl/a/0-delta-delta.crl",
            "/crl/a/..%2F0.crl",
            "/crl/../0.crl/x",
            "/ca/a",
            "/ca/a/x.cer",
            "/ca/a/-1.cer",
            "/metrics",
            "/ocsp",
            "crl/a/0.crl",
        ] {
            assert_eq!(Route::of(&get, path), Err(NoRoute::NotFound), "{path}");
        }
        for (method, path, allow) in [
            (Method::POST, "/crl/a/0.crl", READ),
            (Method::DELETE, "/ca/a.cer", READ),
            (Method::POST, "/ocsp/a/MEQ=", READ),
            (Method::GET, "/ocsp/a", "POST"),
        ] {
            assert_eq!(Route::of(&method, path), Err(NoRoute::Method(allow)), "{path}");
        }
    }
}
