//! Which route a request takes, and what its client must be (requirement G9).

mod target;

pub use target::{MAX_PATH_OCTETS, PathError, RoutePath, Target};

use crate::config::{Requirement, Route};
use crate::gateway::identity::Identity;
use crate::gateway::verify::{Reason, Refusal};
use http::Method;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A site's routes. Finding one takes a look for each segment that any path has, however many routes there are.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// By their path in [`normal`] form.
    paths: HashMap<Box<str>, PathRoutes>,
    /// Segments of the longest path: what a request has beyond them is not looked at.
    deepest: usize,
}

/// The routes of one path.
#[derive(Clone, Debug, Default)]
struct PathRoutes {
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
    finish: Option<Duration>,
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
        let mut paths: HashMap<Box<str>, PathRoutes> = HashMap::new();
        let mut deepest = 0;
        for route in routes {
            let path = normal(&route.path);
            deepest = deepest.max(path.matches('/').count());
            let route = CompiledRoute {
                path: route.path.as_str().into(),
                methods: route.methods.clone(),
                pool: route.pool.clone(),
                require: route.require.clone(),
                timeout: route.timeout,
                finish: route.finish,
            };
            paths.entry(path.into()).or_default().routes.push(route);
        }
        paths.values_mut().for_each(|path| path.routes.sort_by_key(|route| route.methods.is_empty()));
        Self { paths, deepest }
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
        let literal = self.longest(path.literal());
        let without_parameters = match path.without_parameters() {
            same if same == path.literal() => literal,
            other => self.longest(other),
        };
        match (literal, without_parameters) {
            (None, None) => RouteMatch::NotFound,
            (Some(found), Some(other)) if std::ptr::eq(found, other) => found.for_method(method),
            _ => RouteMatch::Ambiguous(PathError::Parameter),
        }
    }

    fn longest(&self, path: &str) -> Option<&PathRoutes> {
        let path = normal(path);
        let end = path.match_indices('/').nth(self.deepest).map_or(path.len(), |(beyond, _)| beyond);
        let mut prefix = path.get(..end)?;
        loop {
            if let Some(found) = self.paths.get(prefix) {
                return Some(found);
            }
            // `/ib/user`, then `/ib`, then nothing, which is the root's.
            prefix = prefix.get(..prefix.rfind('/')?)?;
        }
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

    /// How long an answer may finish whose client's own certificate is revoked meanwhile.
    pub fn finish(&self) -> Option<Duration> {
        self.finish
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

/// An absolute path with a slash before each of its segments and none elsewhere; the root's is empty.
fn normal(path: &str) -> Cow<'_, str> {
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let is_normal =
        trimmed.is_empty() || (trimmed.starts_with('/') && !trimmed.contains("//") && !trimmed.ends_with('/'));
    if is_normal {
        return Cow::Borrowed(trimmed);
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    Cow::Owned(segments.flat_map(|segment| ["/", segment]).collect())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
