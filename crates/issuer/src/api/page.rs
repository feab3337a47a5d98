//! Pages of lists: `limit`, `after`, and the way to the next one (RFC 8288).

use super::problem::Problem;
use axum::extract::Query;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::{IntoParams, ToSchema};

/// Entries of a page.
const MOST: u32 = 200;

/// Entries of a page of which nothing is said.
const USUAL: u32 = 50;

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// At most so many.
    pub(super) limit: u32,
    /// Those after this one.
    pub(super) after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    limit: Option<u32>,
    after: Option<String>,
}

/// One page.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed<T> {
    /// The entries.
    pub(super) items: Vec<T>,
    /// Where the next page is; `null`: this was the last one.
    #[schema(required)]
    next: Option<String>,
}

impl Page {
    /// From a request's query.
    ///
    /// # Errors
    /// `bad-request`.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let Query(asked) =
            Query::<Asked>::try_from_uri(uri).map_err(|_| Problem::bad("query", "has what it may not have"))?;
        let limit = asked.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::bad("limit", format!("is from 1 to {MOST}")));
        }
        Ok(Self { limit, after: asked.after })
    }

    /// How many to ask for, to know whether there is another page.
    pub(super) const fn and_one(&self) -> u32 {
        self.limit.saturating_add(1)
    }

    /// `after`, read.
    ///
    /// # Errors
    /// `bad-request`.
    pub(super) fn after<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let wrong = || Problem::bad("after", "is not from a `next` of this list");
        self.after.as_deref().map(|after| read(after).ok_or_else(wrong)).transpose()
    }

    /// The page with `rows`, which may be one too many; `cursor` names the last one that is in it.
    pub(super) fn listed<R, T>(
        &self,
        path: &str,
        mut rows: Vec<R>,
        cursor: impl FnOnce(&R) -> String,
        show: impl FnMut(R) -> T,
    ) -> Listed<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = if more { rows.last().map(cursor) } else { None };
        // Cursors are IDs and numbers: nothing in them means anything in a query.
        let next = last.map(|after| format!("{path}?limit={}&after={after}", self.limit));
        Listed { items: rows.into_iter().map(show).collect(), next }
    }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let link = self.next.as_ref().and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
        let mut response = axum::Json(self).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

/// `limit` and `after` where the cursor is an ID.
pub(super) struct ByIdentifier;

/// `limit` and `after` where the cursor is a number.
pub(super) struct ByNumber;

/// `limit` alone.
pub(super) struct LimitOnly;

/// Cursors that are numbers: an audit log of 2^59 records is not to be feared.
pub(super) const NUMBER: &str = "^[1-9][0-9]{0,17}$";

impl IntoParams for ByIdentifier {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![limit(), after(super::text::IDENTIFIER)]
    }
}

impl IntoParams for ByNumber {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![limit(), after(NUMBER)]
    }
}

impl IntoParams for LimitOnly {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![limit()]
    }
}

fn limit() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(1_u32))
        .maximum(Some(MOST))
        .default(Some(USUAL.into()));
    in_query("limit").description(Some("How many at most.")).schema(Some(schema)).build()
}

fn after(pattern: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).max_length(Some(64));
    in_query("after").description(Some("From the `next` of the page before.")).schema(Some(schema)).build()
}

fn in_query(name: &str) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, Problem> {
        Page::of(&format!("/v1/contracts{query}").parse().unwrap())
    }

    #[test]
    fn a_page_is_of_fifty_unless_it_says_otherwise() {
        assert_eq!(page("").unwrap(), Page { limit: 50, after: None });
        assert_eq!(page("?limit=200&after=a.b").unwrap(), Page { limit: 200, after: Some("a.b".to_owned()) });
    }

    #[test]
    fn a_query_that_is_not_as_documented_is_refused() {
        for wrong in [
            "?limit=0",
            "?limit=201",
            "?limit=-1",
            "?limit=",
            "?limit=a",
            "?limit=1&limit=2",
            "?before=1",
            "?limit=99999999999",
        ] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_way_to_the_next_page_is_there_only_where_there_is_one() {
        let page = page("?limit=2").unwrap();
        let list = |rows: Vec<u8>| page.listed("/v1/x", rows, u8::to_string, |row| row);
        let full = list(vec![1, 2, 3]);
        assert_eq!((full.items.as_slice(), full.next.as_deref()), (&[1, 2][..], Some("/v1/x?limit=2&after=2")));
        assert_eq!(full.into_response().headers()["link"], "</v1/x?limit=2&after=2>; rel=\"next\"");
        let last = list(vec![1, 2]);
        assert_eq!((last.items.as_slice(), last.next), (&[1, 2][..], None));
    }
}
