//! The OpenAPI document: what the routes say of themselves, and what is true of all of them.

use super::problem::{Kind, ProblemBody};
use axum::http::StatusCode;
use std::collections::BTreeMap;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
};
use utoipa::{PartialSchema as _, ToSchema as _};

/// What the document begins with.
const DESCRIPTION: &str = "\
Contracts, users and their certificates. Callers are services with a certificate of their own, directly by TLS or \
through the gateway, and users through the gateway, whose signed assertion says with which certificate they came; a \
header that nobody signed proves nothing.

A service says in the body who acts: `acting_user` with the factors that the user typed (right `online`; an assertion \
that the service's own request from the user had is handed on in a header), or `staff`, two people of the bank's desk \
(right `desk`). A user acts for themselves and says neither. With the acts of users who show no certificate, first of all \
acquisitions, a service says `client_address`: without it the tries of strangers cannot be told from those of honest users, \
and use up what is for both.

Every refusal is `application/problem+json` (RFC 9457) with a stable `type`, a title in English and Japanese and a \
reference number, which is also in the header `Sekisho-Reference` of every answer. Repeating a request with the same \
`Idempotency-Key` does nothing twice.";

/// The document before the routes are put in.
pub(super) fn beginning() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Sekisho issuance service")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION));
    let scheme = SecurityScheme::MutualTls {
        description: Some("A service's certificate, or the gateway's signed assertion of one.".to_owned()),
        deprecated: None,
        extensions: None,
    };
    let mut schemas = Vec::new();
    ProblemBody::schemas(&mut schemas);
    let components = ComponentsBuilder::new()
        .security_scheme("certificate", scheme)
        .schema("Problem", ProblemBody::schema())
        .schemas_from_iter(schemas);
    let required = SecurityRequirement::new::<_, [&str; 0], &str>("certificate", []);
    OpenApiBuilder::new().info(info).components(Some(components.build())).security(Some([required])).build()
}

/// Puts into every operation what is true of all: the problems that it may end in, and the headers of every answer.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            for (status, kinds) in problems(path, &method, operation) {
                let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                operation.responses.responses.insert(status.as_u16().to_string(), RefOr::T(problem(&names)));
            }
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response {
                    headers(status, response);
                }
            }
        }
    }
}

/// The operations of a path.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, .. } = item;
    [(HttpMethod::Get, get), (HttpMethod::Put, put), (HttpMethod::Post, post)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Which problems an operation may end in, by status.
fn problems(path: &str, method: &HttpMethod, operation: &Operation) -> BTreeMap<StatusCode, Vec<Kind>> {
    use Kind as K;
    let mut kinds = vec![K::BadRequest, K::NotAuthenticated, K::RateLimited, K::Unavailable, K::Timeout];
    if path != super::DOCUMENT {
        kinds.push(K::NotPermitted);
    }
    if path.starts_with("/v1/feed") {
        kinds.push(K::FeedAhead);
    }
    if path.contains('{') {
        kinds.push(K::NotFound);
    }
    if path.ends_with("/certificate") {
        kinds.push(K::NotAcceptable);
    }
    if path == super::feed::ACKNOWLEDGEMENTS {
        kinds.extend([K::PayloadTooLarge, K::UnsupportedMediaType]);
    } else if *method != HttpMethod::Get {
        kinds.extend([K::ProofRequired, K::NotPossibleNow, K::IdempotencyKeyReused]);
        kinds.extend([K::NotRepeatable, K::InProgress, K::PayloadTooLarge, K::UnsupportedMediaType]);
        let required = |one: &RefOr<Parameter>| match one {
            RefOr::T(one) => one.name == "Idempotency-Key" && matches!(one.required, Required::True),
            RefOr::Ref(_) => false,
        };
        if operation.parameters.iter().flatten().any(required) {
            kinds.push(K::IdempotencyKeyRequired);
        }
    }
    if path == "/v1/contracts" && *method == HttpMethod::Post {
        kinds.push(K::AlreadyThere);
    }
    if path.ends_with("/acquire") {
        kinds.push(K::AcquisitionRefused);
    }
    if path.ends_with("/acquire") || path.ends_with("/renew") {
        kinds.push(K::KeyNotAcceptable);
    }
    let mut by_status: BTreeMap<StatusCode, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status()).or_default().push(kind);
    }
    by_status
}

fn problem(names: &[&str]) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    ResponseBuilder::new().description(names.join(", ")).content("application/problem+json", content).build()
}

fn headers(status: &str, response: &mut Response) {
    let mut put = |name: &str, of: Type, description: &str| {
        let schema = ObjectBuilder::new().schema_type(of);
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
        response.headers.insert(name.to_owned(), header.into());
    };
    put("Sekisho-Reference", Type::String, "The reference number of the request.");
    put("Cache-Control", Type::String, "`no-store`.");
    match status {
        "201" => put("Location", Type::String, "Where it is."),
        "429" | "503" => put("Retry-After", Type::Integer, "Seconds after which to come again."),
        _ => {}
    }
}
