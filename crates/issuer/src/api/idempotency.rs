//! The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): the repeat of a request does nothing twice.

use super::problem::{Kind, Problem};
use aws_lc_rs::digest::{Context, SHA256};
use axum::http::{HeaderMap, Method};
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// The header's name.
const HEADER: &str = "idempotency-key";

/// Characters of a key: a UUID and a prefix have room.
const LONGEST: usize = 64;

/// A structured string (RFC 8941 section 3.3.3) without escapes, or the same bare.
const PATTERN: &str = r##"^("[!#-\[\]-~]{1,64}"|[!#-\[\]-~]{1,64})$"##;

/// Acts whose repeat must be recognised: they give something out or make somebody.
const NEED_A_KEY: [&str; 6] = ["open", "register", "offer", "reissue", "acquire", "renew"];

/// The key of a request, `None` where there is none and none is needed.
///
/// # Errors
/// `idempotency-key-required`; `bad-request` for one that is not of its form.
pub(super) fn key(headers: &HeaderMap, command: &str) -> Result<Option<Arc<str>>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let malformed = || Problem::bad("Idempotency-Key", "is not of its form");
    match (values.next(), values.next()) {
        (None, _) if NEED_A_KEY.contains(&command) => Err(Problem::new(Kind::IdempotencyKeyRequired)),
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(parse).map(Some).ok_or_else(malformed),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

fn parse(text: &str) -> Option<Arc<str>> {
    let quoted = text.strip_prefix('"').map(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(Some(text))?;
    let visible = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'\\');
    ((1..=LONGEST).contains(&key.len()) && key.bytes().all(visible)).then(|| key.into())
}

/// SHA-256 of a request as its caller wrote it, its parts with their lengths before them.
pub(super) fn digest(method: &Method, path: &str, body: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in [method.as_str().as_bytes(), path.as_bytes(), body] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The header in the document: required.
pub(super) struct KeyRequired;

/// The header in the document: not required.
pub(super) struct KeyOptional;

impl IntoParams for KeyRequired {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter(Required::True)]
    }
}

impl IntoParams for KeyOptional {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter(Required::False)]
    }
}

fn parameter(required: Required) -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(
            "Of the caller's choice, another for each request and the same for its repeat: the repeat does nothing \
             twice and gets what the first one got, where that is kept.",
        ))
        .schema(Some(
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(PATTERN)).max_length(Some(LONGEST + 2)),
        ))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (HEADER.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_is_read_quoted_or_bare() {
        for (value, expected) in [("\"abc-1\"", "abc-1"), ("abc-1", "abc-1"), ("a,b;c", "a,b;c")] {
            assert_eq!(key(&headers(&[value]), "acquire").unwrap().as_deref(), Some(expected), "{value}");
        }
        assert_eq!(key(&headers(&[&"k".repeat(64)]), "acquire").unwrap().unwrap().len(), 64);
    }

    #[test]
    fn a_malformed_key_is_refused_even_where_none_is_needed() {
        let long = "k".repeat(65);
        for wrong in ["", "\"", "\"\"", "\"a", "a\"", "a b", "a\\b", "\"a\\\"b\"", &long] {
            let problem = key(&headers(&[wrong]), "revoke").unwrap_err();
            assert_eq!(problem.kind, Kind::BadRequest, "{wrong}");
            assert_eq!(problem.field.as_deref(), Some("Idempotency-Key"));
        }
        assert_eq!(key(&headers(&["a", "a"]), "revoke").unwrap_err().kind, Kind::BadRequest);
    }

    #[test]
    fn what_gives_something_out_needs_a_key() {
        for command in NEED_A_KEY {
            assert_eq!(key(&headers(&[]), command).unwrap_err().kind, Kind::IdempotencyKeyRequired, "{command}");
        }
        assert_eq!(key(&headers(&[]), "revoke").unwrap(), None);
    }

    #[test]
    fn the_digest_is_of_every_part_and_where_it_ends() {
        let of = |path, body: &str| digest(&Method::POST, path, body.as_bytes());
        assert_eq!(of("/a", "{}"), of("/a", "{}"));
        assert_ne!(of("/a", "{}"), of("/a{", "}"));
        assert_ne!(of("/a", "{}"), of("/a", "{ }"));
        assert_ne!(of("/a", "{}"), digest(&Method::PUT, "/a", b"{}"));
    }
}
