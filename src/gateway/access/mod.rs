//! Which route a request takes, and what its client must be (requirement G9).

mod target;

pub use target::{MAX_PATH_OCTETS, PathError, RoutePath, Target};

use crate::config::{Requirement, Route};
use crate::gateway::identity::Identity;
use crate::gateway::verify::{Reason, Refusal};
use http::Method;
use std::sync::Arc;
use std::time::Duration;

/// A site's routes.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Most segments first, so that the first match is the longest.
    paths: Vec<PathRoutes>,
}

/// The routes of one path.
#[derive(Clone, Debug)]
struct PathRoutes {
    segments: Vec<Box<str>>,
    /// Those that name methods first, then those for any.
    routes: Vec<CompiledRoute>,
}

/// A route, ready for use.
#[derive(Clone, Debug)]
pub struct CompiledRoute {
    path: Arc<str>,
    methods: Vec<Method>,
    pool: Arc<str>,
    require: Vec<Requirement>,
    timeout: Option<Duration>,
}

/// What [`RouteTable::find`] found.
#[derive(Clone, Debug)]
pub enum RouteMatch<'a> {
    /// The route.
    Route(&'a CompiledRoute),
    /// The path has routes, none for this method: 405, with this `Allow` (RFC 9110 section 15.5.6).
    MethodNotAllowed {
        /// `GET, POST`
        allow: String,
    },
    /// No route: 404.
    NotFound,
    /// Upstreams could read the path differently from the gateway: 400.
    Ambiguous(PathError),
}

impl RouteTable {
    /// From a site's `[[site.route]]` tables. Of two for the same path and method, the one written first stands.
    pub fn new(routes: &[Route]) -> Self {
        let mut paths: Vec<PathRoutes> = Vec::new();
        for route in routes {
            let segments: Vec<Box<str>> = segments_of(&route.path).map(Into::into).collect();
            let route = CompiledRoute {
                path: route.path.as_str().into(),
                methods: route.methods.clone(),
                pool: route.pool.clone(),
                require: route.require.clone(),
                timeout: route.timeout,
            };
            match paths.iter_mut().find(|known| known.segments == segments) {
                Some(known) => known.routes.push(route),
                None => paths.push(PathRoutes { segments, routes: vec![route] }),
            }
        }
        paths.sort_by_key(|path| std::cmp::Reverse(path.segments.len()));
        paths.iter_mut().for_each(|path| path.routes.sort_by_key(|route| route.methods.is_empty()));
        Self { paths }
    }

    /// The route of a request: of the longest path prefix, whole segments, the one for its method.
    ///
    /// `path` is the target's path as it came ([`Target::path`]), without the query. A method that the longest path
    /// has no route for is refused, not tried on shorter paths: their requirements are for other pages.
    pub fn find(&self, path: &str, method: &Method) -> RouteMatch<'_> {
        let path = match RoutePath::parse(path) {
            Ok(path) => path,
            Err(error) => return RouteMatch::Ambiguous(error),
        };
        let [literal, without_parameters] = [path.literal(), path.without_parameters()].map(|path| self.longest(path));
        match (literal, without_parameters) {
            (None, None) => RouteMatch::NotFound,
            (Some(found), Some(other)) if std::ptr::eq(found, other) => found.for_method(method),
            _ => RouteMatch::Ambiguous(PathError::Parameter),
        }
    }

    fn longest(&self, path: &str) -> Option<&PathRoutes> {
        self.paths.iter().find(|known| {
            let mut segments = segments_of(path);
            known.segments.iter().all(|expected| segments.next() == Some(expected))
        })
    }
}

impl PathRoutes {
    fn for_method(&self, method: &Method) -> RouteMatch<'_> {
        let serves = |route: &&CompiledRoute| route.methods.is_empty() || route.methods.contains(method);
        match self.routes.iter().find(serves) {
            Some(route) => RouteMatch::Route(route),
            None => {
                let mut allow: Vec<&str> =
                    self.routes.iter().flat_map(|route| &route.methods).map(Method::as_str).collect();
                allow.sort_unstable();
                allow.dedup();
                RouteMatch::MethodNotAllowed { allow: allow.join(", ") }
            }
        }
    }
}

impl CompiledRoute {
    /// The path prefix as configured, for the log.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// The upstream pool.
    pub fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    /// Until the response header; overrides the pool's.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether a client with this identity, or without one, may take the route.
    ///
    /// Every requirement speaks of a certificate: `!user_id` asks for one without a user ID, not for none.
    ///
    /// # Errors
    /// [`Reason::NoCertificate`] without an identity where anything is required, else [`Reason::NotPermitted`].
    pub fn check(&self, identity: Option<&Identity>) -> Result<(), Refusal> {
        if self.require.is_empty() {
            return Ok(());
        }
        let Some(identity) = identity else {
            let evidence = format!("route {} requires a certificate", self.path);
            return Err(Refusal::new(Reason::NoCertificate, evidence));
        };
        let has = |name: &str| identity.capture(name).is_some_and(|value| !value.is_empty());
        let unmet = self.require.iter().find_map(|requirement| match requirement {
            Requirement::Certificate => None,
            Requirement::Has(name) => (!has(name)).then(|| format!("a certificate with {name}")),
            Requirement::HasNot(name) => has(name).then(|| format!("a certificate without {name}")),
        });
        match unmet {
            None => Ok(()),
            Some(what) => {
                let evidence = format!("route {} requires {what}; the CN is {:?}", self.path, identity.common_name());
                Err(Refusal::new(Reason::NotPermitted, evidence))
            }
        }
    }
}

/// The segments of an absolute path; a trailing slash makes no further one.
fn segments_of(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
