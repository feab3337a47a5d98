use crate::common::issuer_binary;
use crate::support::Issuer;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Every operation, as callers may rely on it.
const OPERATIONS: [(&str, &str); 31] = [
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/contracts"),
    ("POST", "/v1/contracts"),
    ("GET", "/v1/contracts/{contract}"),
    ("POST", "/v1/contracts/{contract}/switch-on"),
    ("POST", "/v1/contracts/{contract}/switch-off"),
    ("PUT", "/v1/contracts/{contract}/credentials"),
    ("GET", "/v1/contracts/{contract}/history"),
    ("GET", "/v1/contracts/{contract}/users"),
    ("POST", "/v1/contracts/{contract}/users"),
    ("GET", "/v1/contracts/{contract}/users/{user}"),
    ("PUT", "/v1/contracts/{contract}/users/{user}/contact"),
    ("PUT", "/v1/contracts/{contract}/users/{user}/credentials"),
    ("GET", "/v1/contracts/{contract}/users/{user}/certificate"),
    ("GET", "/v1/contracts/{contract}/users/{user}/history"),
    ("GET", "/v1/contracts/{contract}/users/{user}/notices"),
    ("POST", "/v1/contracts/{contract}/users/{user}/offer"),
    ("POST", "/v1/contracts/{contract}/users/{user}/reissue"),
    ("POST", "/v1/contracts/{contract}/users/{user}/acquire"),
    ("POST", "/v1/contracts/{contract}/users/{user}/renew"),
    ("POST", "/v1/contracts/{contract}/users/{user}/revoke"),
    ("POST", "/v1/contracts/{contract}/users/{user}/continue"),
    ("POST", "/v1/contracts/{contract}/users/{user}/lock"),
    ("POST", "/v1/contracts/{contract}/users/{user}/unlock"),
    ("POST", "/v1/contracts/{contract}/users/{user}/suspend"),
    ("POST", "/v1/contracts/{contract}/users/{user}/resume"),
    ("POST", "/v1/contracts/{contract}/users/{user}/delete"),
    ("GET", "/v1/profiles/{profile}/users/{user}"),
    ("GET", "/v1/revocations/{serial}"),
    ("GET", "/v1/feed"),
    ("POST", "/v1/feed/acknowledgements"),
];

fn document() -> Value {
    serde_json::to_value(sekisho_issuer::api::openapi()).unwrap()
}

/// Method, path and description of every operation.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |path: &String, item: &'_ Value| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    paths
        .iter()
        .flat_map(|(path, item)| of(path, item).into_iter().map(move |(method, path)| (method, path, item)))
        .map(|(method, path, item)| {
            let operation = &item[method.to_lowercase()];
            (method, path, operation)
        })
        .collect()
}

#[test]
fn the_document_is_openapi_3_1_and_lists_every_operation() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let listed: BTreeSet<_> = operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    let expected: BTreeSet<_> =
        OPERATIONS.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(listed, expected);
}

#[test]
fn the_command_line_prints_the_document_that_is_served() {
    let issuer = Issuer::of(&["bizstation"]);
    let answer = issuer.service("reader").get("/v1/openapi.json");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let printed = Command::new(issuer_binary()).args(["serve", "--openapi"]).output().unwrap();
    assert!(printed.status.success());
    assert_eq!(answer.done(), serde_json::from_slice::<Value>(&printed.stdout).unwrap());
    assert_eq!(answer.done(), document());
}

#[test]
fn the_router_takes_the_methods_of_the_document_and_no_others() {
    let issuer = Issuer::of(&["bizstation"]);
    let desk = issuer.service("desk");
    for path in document()["paths"].as_object().unwrap().keys() {
        let documented: BTreeSet<String> = operations(&document())
            .into_iter()
            .filter(|(_, of, _)| of == path)
            .flat_map(|(method, ..)| if method == "GET" { vec![method, "HEAD".to_owned()] } else { vec![method] })
            .collect();
        let real = path.replace("{contract}", "C1").replace("{user}", "u1").replace("{serial}", "01");
        for method in [Method::PATCH, Method::DELETE, Method::TRACE] {
            let answer = desk.send(method, &real, &[], None);
            answer.refused(405, "method-not-allowed");
            let allowed: BTreeSet<String> =
                answer.header("allow").unwrap().split(',').map(|one| one.trim().to_owned()).collect();
            assert_eq!(allowed, documented, "{path}");
        }
    }
    for path in ["/", "/v1", "/v1/contracts/", "/v1/contracts/C1/users/u1/steal", "/v2/contracts", "/metrics"] {
        desk.get(path).refused(404, "not-found");
    }
}

#[test]
fn every_operation_says_how_it_may_be_refused() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        let mut expected = vec!["400", "401", "429", "503"];
        if path != "/v1/openapi.json" {
            expected.push("403");
        }
        if path.contains('{') {
            expected.push("404");
        }
        if method != "GET" {
            expected.extend(["409", "413", "415"]);
        }
        if method != "GET" && path != "/v1/feed/acknowledgements" {
            expected.push("422");
        }
        for status in expected {
            let response = &responses.get(status).unwrap_or_else(|| panic!("{method} {path} lacks {status}"));
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {status}");
            assert!(response["headers"]["Sekisho-Reference"].is_object(), "{method} {path} {status}");
        }
    }
}

#[test]
fn every_body_is_closed_and_every_text_in_it_bounded() {
    let document = document();
    let mut seen = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(schema.is_null(), method == "GET", "{method} {path}");
        if !schema.is_null() {
            closed(&document, schema, &format!("{method} {path}"), &mut seen);
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}

/// Follows a schema to its ends.
fn closed(document: &Value, schema: &Value, place: &str, seen: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap();
        let target = document.pointer(pointer).unwrap_or_else(|| panic!("{place}: {reference} is nowhere"));
        if seen.insert(reference.to_owned()) {
            closed(document, target, reference, seen);
        }
        return;
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        for one in schema[several].as_array().into_iter().flatten() {
            closed(document, one, place, seen);
        }
    }
    let is = |kind: &str| {
        let written = &schema["type"];
        written == kind || written.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
    };
    if is("object") {
        assert_eq!(schema["additionalProperties"], false, "{place}: {schema}");
        for property in schema["properties"].as_object().into_iter().flat_map(|all| all.values()) {
            closed(document, property, place, seen);
        }
    }
    if is("string") {
        assert!(schema["maxLength"].is_u64() || schema["enum"].is_array(), "{place}: {schema}");
    }
}
