//! What can hold header fields.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// Header or trailer fields that may be changed.
///
/// The proxy's request type keeps the spelling of names beside its map and must be told of each change, so there is
/// no `&mut HeaderMap` to be had from it: it implements this instead.
pub trait HeaderStore {
    /// The fields.
    fn fields(&self) -> &HeaderMap;

    /// Removes every field of this name.
    fn remove_all(&mut self, name: &HeaderName);

    /// Sets the one field of this name; any others of the name go.
    ///
    /// # Errors
    /// [`TooManyHeaders`] when there is no room; the field is then not there.
    fn replace(&mut self, name: &HeaderName, value: HeaderValue) -> Result<(), TooManyHeaders>;
}

/// There is no room for a header: the request must not go on, since its identity could not be told whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyHeaders;

impl HeaderStore for HeaderMap {
    fn fields(&self) -> &HeaderMap {
        self
    }

    fn remove_all(&mut self, name: &HeaderName) {
        self.remove(name);
    }

    fn replace(&mut self, name: &HeaderName, value: HeaderValue) -> Result<(), TooManyHeaders> {
        self.try_insert(name, value).map(drop).map_err(|_| TooManyHeaders)
    }
}

impl fmt::Display for TooManyHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request has no room for another header")
    }
}

impl std::error::Error for TooManyHeaders {}
