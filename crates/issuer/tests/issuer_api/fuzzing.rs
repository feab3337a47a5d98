//! Schemathesis over the document: whatever it thinks of, no 5xx and nothing that the document does not say.

use crate::common::python;
use crate::support::{NewKey, Plan};
use serde_json::{Value, json};
use std::process::Command;

/// Pinned: another version thinks of other things.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Seconds for everything.
const BUDGET: u32 = 75;

#[test]
fn schemathesis_finds_no_server_error_and_no_breach_of_the_document() {
    let Some(programs) = python::programs(SCHEMATHESIS, "schemathesis") else {
        eprintln!("SKIPPED: Schemathesis is not installed and the package index cannot be reached");
        return;
    };
    // One service with every right but that its streams are not followed, and users of whom a wrong try does not shut the others out.
    let plan = Plan::new(&["bizstation"])
        .with("rights = [\"desk\", \"read\"]", "rights = [\"online\", \"desk\", \"read\", \"feed\"]")
        .with_feed(&["g1"])
        .with_profile("bizstation", "contract = { most = 50", "contract = { most = 100000");
    let issuer = plan.start();
    let bank = issuer.bank();
    let mut users = Vec::new();
    bank.open("bizstation", "C1");
    bank.open("bizstation", "C2");
    for number in 0..15 {
        let (user, role) = (format!("u{number}"), ["service-manager", "reissuer", "user"][number % 3]);
        let (person, registered) = bank.register("C1", &user, role);
        // Of each group whose acts leave a certificate, one has it from the start: looking at one is not left to chance.
        if [0, 8, 10].contains(&number) {
            person.acquire(registered["acquisition_password"].as_str(), &["login-password"]);
        }
        users.push(user);
    }
    let requests: Vec<String> = (0..60).map(|_| NewKey::new().request()).collect();
    let answers = issuer.plan.path("answers.json");
    let url = format!("https://issuer.localhost:{}", issuer.address("api").port());
    let world = json!({
        "host": "issuer.localhost", "url": url,
        "groups": [users[..4], users[4..8], users[8..10], users[10..12]], "doomed": users[12..],
        "certification_requests": requests, "answers": answers,
        "login_password": crate::support::SECRETS[0], "profile": "bizstation",
        "roles": ["service-manager", "reissuer", "user"],
    });
    issuer.plan.write("world.json", &world.to_string());
    issuer.plan.write("hooks.py", include_str!("schemathesis_hooks.py"));
    let service = issuer.plan.pki.service_named("desk");
    issuer.plan.write("service.pem", &service.certificate);
    issuer.plan.write("service.key", &service.key);
    issuer.plan.write("schemathesis.toml", CONFIGURATION);
    let output = Command::new(programs.join("schemathesis"))
        .current_dir(issuer.plan.path(""))
        .env("ISSUER_WORLD", issuer.plan.path("world.json"))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", issuer.plan.path(""))
        .args([
            "--config-file",
            "schemathesis.toml",
            "run",
            "--no-color",
            "--seed",
            "1",
            "--max-time",
            &BUDGET.to_string(),
        ])
        .args(["--request-cert", "service.pem", "--request-cert-key", "service.key", "--tls-verify", "services-ca.pem"])
        .arg(format!("{url}/v1/openapi.json"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");

    // It was not all refused at the door.
    let answers: Value = serde_json::from_str(&std::fs::read_to_string(answers).unwrap()).unwrap();
    let count = |operation: &str, status: u16| answers[format!("{operation} {status}")].as_u64().unwrap_or(0);
    let of_user = |act: &str| format!("/v1/contracts/{{contract}}/users/{{user}}/{act}");
    for act in ["offer", "reissue", "acquire", "revoke", "lock", "unlock", "suspend", "resume", "delete"] {
        assert!(count(&format!("POST {}", of_user(act)), 200) > 0, "{act} was never done: {answers:#}");
    }
    for (operation, status) in [
        ("POST /v1/contracts", 201),
        ("POST /v1/contracts/{contract}/users", 201),
        ("POST /v1/contracts/{contract}/switch-on", 200),
        ("GET /v1/contracts", 200),
        ("GET /v1/contracts/{contract}/users", 200),
        ("GET /v1/contracts/{contract}/users/{user}/certificate", 200),
        ("GET /v1/contracts/{contract}/users/{user}/history", 200),
        ("PUT /v1/contracts/{contract}/users/{user}/contact", 200),
        ("PUT /v1/contracts/{contract}/users/{user}/credentials", 204),
    ] {
        assert!(count(operation, status) > 0, "{operation} never gave {status}: {answers:#}");
    }
    let output = issuer.output();
    assert!(!output.contains("panicked"), "{output}");
    assert_eq!(issuer.admin_get("/readyz").0, 200);
}

/// Every check is on, but that a user who was just registered has a certificate: they have none until they acquire one.
/// What valid requests may be answered with is widened by the refusals that depend on what is kept:
/// a key that was used before, and a certification request that is text but no request (422).
const CONFIGURATION: &str = r#"
continue-on-failure = true
hooks = "hooks.py"

[generation]
database = "none"
allow-x00 = true

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "403", "404", "409", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "403", "404", "405", "406", "409", "413", "415", "422"]

# It never ends; tests/issuer_feed is for it.
[[operations]]
include-name = "GET /v1/feed"
enabled = false

[[operations]]
include-name = "GET /v1/contracts/{contract}/users/{user}/certificate"
checks.ensure_resource_availability.enabled = false
"#;
