//! Which route a request takes, and what its client must be (requirement G9).

mod fold;
mod target;

pub use target::{MAX_PATH_OCTETS, PathError, RoutePath, Target};

use crate::gateway::verify::identity::Identity;
use crate::gateway::verify::{Reason, Refusal};
use http::Method;
use sekisho_config::{Requirement, Route};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A site's routes. Finding one takes a look for each segment that any path has, however many routes there are.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// By their path in [`normal`] form.
    paths: HashMap<Box<str>, PathRoutes>,
    /// The keys of `paths` by what they are [`fold::folded`]; empty where no route keeps any client or method out, so
    /// that nothing could be dodged.
    folded: HashMap<Box<str>, Vec<Box<str>>>,
    /// Segments of the longest path: what a request has beyond them is not looked at.
    deepest: usize,
}

/// The routes of one path.
#[derive(Clone, Debug, Default)]
struct PathRoutes {
    /// What the path is folded to.
    folded: Box<str>,
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

/// A request's route, and the routes that an application may take its path for as well.
#[derive(Clone, Debug)]
pub struct Matched<'a> {
    /// The route: its pool and timeout are the request's.
    pub route: &'a CompiledRoute,
    /// Routes of other paths that the path folds to; the client must be let in by all of them.
    also: Vec<&'a CompiledRoute>,
}

/// What [`RouteTable::find`] found.
#[derive(Clone, Debug)]
pub enum RouteMatch<'a> {
    /// The route.
    Route(Matched<'a>),
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
        let guarded = routes.iter().any(|route| !route.require.is_empty() || !route.methods.is_empty());
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
        let mut folded: HashMap<Box<str>, Vec<Box<str>>> = HashMap::new();
        for (path, at) in &mut paths {
            at.routes.sort_by_key(|route| route.methods.is_empty());
            // `config` has no path that cannot be folded; one that could not would be found as it is written only.
            at.folded = fold::folded(path).map_or_else(|_| path.clone(), Into::into);
            if guarded {
                folded.entry(at.folded.clone()).or_default().push(path.clone());
            }
        }
        Self { paths, folded, deepest }
    }

    /// The route of a request: of the longest path prefix, whole segments, the one for its method.
    ///
    /// `path` is the target's path as it came ([`Target::path`]), without the query. A method that the longest path
    /// has no route for is refused, not tried on shorter paths: their requirements are for other pages. `TRACE` is
    /// refused everywhere: its answer would show the client what the gateway tells the application (RFC 9110 section
    /// 9.3.8).
    ///
    /// Where the path in folded form (`fold`) leads to routes of other paths, the client must meet the requirements of
    /// these too, and the method must be one of theirs: the application may take it for one of their pages. Where it could
    /// be the DOS short name of such a page, nobody can tell which, and it is refused.
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
        let found = match (literal, without_parameters) {
            (None, None) => return RouteMatch::NotFound,
            (Some(found), Some(other)) if std::ptr::eq(found, other) => found,
            _ => return RouteMatch::Ambiguous(PathError::Parameter),
        };
        let route = match found.for_method(method) {
            Ok(route) => route,
            Err(allow) => return RouteMatch::MethodNotAllowed { allow },
        };
        let mut also = Vec::new();
        match self.folded_to(path.literal(), found) {
            Ok(others) => {
                for other in others {
                    match other.for_method(method) {
                        Ok(route) => also.push(route),
                        Err(allow) => return RouteMatch::MethodNotAllowed { allow },
                    }
                }
            }
            Err(error) => return RouteMatch::Ambiguous(error),
        }
        RouteMatch::Route(Matched { route, also })
    }

    /// The paths that a path folds to below `found`, which is where it leads as it is written.
    fn folded_to(&self, path: &str, found: &PathRoutes) -> Result<Vec<&PathRoutes>, PathError> {
        if self.folded.is_empty() {
            return Ok(Vec::new());
        }
        let folded = fold::folded(path)?;
        if fold::before_short_name(&folded).is_some_and(|folder| self.guards_below(folder)) {
            return Err(PathError::ShortName);
        }
        let mut prefix = first_segments(&folded, self.deepest);
        let mut others = Vec::new();
        // Whoever wrote both `/users` and `/users.json` means them to differ: nothing is added to the one that is met.
        while prefix != &*found.folded {
            let keys = self.folded.get(prefix).into_iter().flatten();
            others.extend(keys.filter_map(|key| self.paths.get(key)));
            match prefix.rfind('/') {
                Some(end) => prefix = prefix.get(..end).unwrap_or_default(),
                None => break,
            }
        }
        Ok(others)
    }

    /// Whether a path below this one, folded like it, keeps any client or method out.
    fn guards_below(&self, folder: &str) -> bool {
        let guards = |at: &PathRoutes| at.routes.iter().any(CompiledRoute::is_guarded);
        let below = |at: &PathRoutes| at.folded.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.paths.values().any(|at| below(at) && guards(at))
    }

    fn longest(&self, path: &str) -> Option<&PathRoutes> {
        let path = normal(path);
        let mut prefix = first_segments(&path, self.deepest);
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
    /// The route for a method, or the methods that have one, as `Allow` names them.
    fn for_method(&self, method: &Method) -> Result<&CompiledRoute, String> {
        let names = |route: &CompiledRoute, method: &Method| route.methods.contains(method);
        let is_named = |method: &Method| self.routes.iter().any(|route| names(route, method));
        // RFC 9110 section 9.3.2: HEAD is GET without the content, and goes where GET goes unless a route names it.
        let wanted = if *method == Method::HEAD && !is_named(method) { &Method::GET } else { method };
        let serves = |route: &&CompiledRoute| route.methods.is_empty() || names(route, wanted);
        match self.routes.iter().find(serves) {
            Some(route) if *method != Method::TRACE => Ok(route),
            _ => Err(self.allow()),
        }
    }

    fn allow(&self) -> String {
        let mut allow: Vec<&str> = self.routes.iter().flat_map(|route| &route.methods).map(Method::as_str).collect();
        if self.routes.iter().any(|route| route.methods.is_empty()) {
            allow.extend(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);
        }
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.sort_unstable();
        allow.dedup();
        allow.join(", ")
    }
}

impl Matched<'_> {
    /// Checks that a client with this identity, or without one, may take the route and every route that its path may be
    /// taken for.
    ///
    /// # Errors
    /// As [`CompiledRoute::check`].
    pub fn check(&self, identity: Option<&Identity>) -> Result<(), Refusal> {
        self.route.check(identity)?;
        for other in &self.also {
            other.check(identity).map_err(|refusal| {
                let evidence = format!("by another reading of its path, {}", refusal.evidence);
                Refusal { evidence, ..refusal }
            })?;
        }
        Ok(())
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

    fn is_guarded(&self) -> bool {
        !self.require.is_empty() || !self.methods.is_empty()
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

/// As many segments of a path in [`normal`] form, or all.
fn first_segments(path: &str, count: usize) -> &str {
    let end = path.match_indices('/').nth(count).map_or(path.len(), |(beyond, _)| beyond);
    path.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
