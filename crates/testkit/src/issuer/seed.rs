//! Contracts and users: opened and registered by the bank's desk, brought into every state there is.

use super::api::{Answer, Api};
use super::files::{Acquired, Files, succeeded};
use super::lives::{FIRST_FACTOR, Key, Life, Opens, STEP_UP, Token};
use super::one_time_password;
use sekisho_runtime::clock;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The wrong try that locks (assumed in all four profiles).
const TRIES: u32 = 5;

/// The maker and checker of the bank's desk, and the way an order came to them.
pub(crate) fn staff(channel: &str) -> Value {
    json!({ "maker": "t0123", "checker": "t0456", "channel": channel })
}

/// What is as it was long ago: the contract, users whose certificate or offer is over, users who may renew.
pub(crate) fn in_the_past(api: &Api, life: &Life, is_long_ago: bool, ago: i64) -> Result<(), String> {
    if is_long_ago {
        open(api, life)?;
        let secret = register(api, life, "expired", life.role)?;
        acquire(api, life, "expired", secret, ago, None)?;
        if life.opens != Opens::Login {
            register(api, life, "lapsed", life.role)?;
        }
    } else if life.opens == Opens::Login {
        register(api, life, "renewable", life.role)?;
        acquire(api, life, "renewable", None, ago, None)?;
    }
    Ok(())
}

/// Everybody else.
pub(crate) fn today(api: &Api, files: &Files, life: &Life) -> Result<(), String> {
    open(api, life)?;
    let (keeper, role) = life.keeper;
    let secret = register(api, life, keeper, role)?;
    acquire(api, life, keeper, secret, 0, Some(&files.of(life, keeper, 1)))?;
    register(api, life, "fresh", life.role)?;
    for user in ["issued", "revoked", "suspended"] {
        let secret = register(api, life, user, life.role)?;
        acquire(api, life, user, secret, 0, None)?;
    }
    for (user, act) in [("revoked", "revoke"), ("suspended", "suspend")] {
        let path = format!("/v1/contracts/{}/users/{user}/{act}", life.contract);
        api.send("POST", &path, None, &json!({ "staff": staff("staff-desk") })).done()?;
    }
    register(api, life, "locked", life.role)?;
    for _ in 0..TRIES {
        let wrong = json!({
            "acting_user": { "contract": life.contract, "user": "locked" },
            "factors": { life.first_factor: "guessed", "one-time-password": "000000" },
            "key": { "csr": request(Path::new("/dev/null"))? },
        });
        let once = format!("guess-{}", random()?);
        let path = format!("/v1/contracts/{}/users/locked/acquire", life.contract);
        let answer = api.send("POST", &path, Some(&once), &wrong);
        if answer.status != 403 {
            return Err(answer.seen());
        }
    }
    Ok(())
}

/// Opens the contract, if it is not open, and switches its certificates on.
pub(crate) fn open(api: &Api, life: &Life) -> Result<(), String> {
    if api.get(&format!("/v1/contracts/{}", life.contract)).status == 200 {
        return Ok(());
    }
    let body = json!({
        "id": life.contract,
        "profile": life.profile,
        "one_time_password": if life.token == Token::Asked { "used" } else { "not-used" },
        "staff": staff("paper-form"),
    });
    api.send("POST", "/v1/contracts", Some(&format!("open-{}", life.contract)), &body).done()?;
    let on = format!("/v1/contracts/{}/switch-on", life.contract);
    api.send("POST", &on, None, &json!({ "staff": staff("paper-form") })).done()?;
    if life.step_up == "contract-confirmation-pin" {
        let path = format!("/v1/contracts/{}/credentials", life.contract);
        let body = json!({ "credentials": { life.step_up: STEP_UP }, "staff": staff("paper-form") });
        api.send("PUT", &path, None, &body).done()?;
    }
    Ok(())
}

/// Registers a user by the desk and sets their factors; gives the acquisition secret, where there is one.
pub(crate) fn register(api: &Api, life: &Life, user: &str, role: &str) -> Result<Option<String>, String> {
    let path = format!("/v1/contracts/{}/users", life.contract);
    let body = json!({
        "id": user,
        "role": role,
        "contact": { "name": user, "mail": format!("{user}@example.jp"), "language": "ja" },
        "staff": staff("paper-form"),
    });
    let once = format!("register-{}-{user}", life.contract);
    let answer = api.send("POST", &path, Some(&once), &body).done()?;
    equip(api, life, user)?;
    secret(life, &answer)
}

/// The acquisition secret that an answer shows.
pub(crate) fn secret(life: &Life, answer: &Answer) -> Result<Option<String>, String> {
    if life.opens == Opens::Secret { answer.text("/acquisition_password").map(Some) } else { Ok(None) }
}

/// Sets a user's factors, by the desk.
pub(crate) fn equip(api: &Api, life: &Life, user: &str) -> Result<Answer, String> {
    let mut credentials = json!({ life.first_factor: FIRST_FACTOR });
    if let Some(credentials) = credentials.as_object_mut() {
        if life.token == Token::Asked {
            credentials.insert("one-time-password".to_owned(), one_time_password::SEED.0.into());
        }
        if life.keeper.0 == user && life.step_up != "contract-confirmation-pin" {
            credentials.insert(life.step_up.to_owned(), STEP_UP.into());
        }
    }
    let path = format!("/v1/contracts/{}/users/{user}/credentials", life.contract);
    api.send("PUT", &path, None, &json!({ "credentials": credentials, "staff": staff("paper-form") })).done()
}

/// Acquires as a user at an issuer whose clock is so many seconds behind; where the files go, if they are wanted.
pub(crate) fn acquire(
    api: &Api,
    life: &Life,
    user: &str,
    secret: Option<String>,
    ago: i64,
    into: Option<&Acquired>,
) -> Result<Answer, String> {
    let mut factors = json!({ life.first_factor: FIRST_FACTOR });
    if life.token == Token::Asked {
        factors["one-time-password"] = one_time_password::at(clock::now().plus_seconds(-ago)).into();
    }
    let own_key = into.map_or(Path::new("/dev/null"), |into| &into.key);
    let key = match (life.key, into) {
        (Key::P12, Some(_)) => json!({ "p12_password": "" }),
        _ => json!({ "csr": request(own_key)? }),
    };
    let mut body = json!({
        "acting_user": { "contract": life.contract, "user": user },
        "factors": factors,
        "key": key,
    });
    if let Some(secret) = secret {
        body["acquisition_password"] = secret.into();
    }
    let path = format!("/v1/contracts/{}/users/{user}/acquire", life.contract);
    let once = format!("acquire-{}", random()?);
    let answer = api.send("POST", &path, Some(&once), &body).done()?;
    if let Some(into) = into {
        keep(&answer, into)?;
    }
    Ok(answer)
}

/// A new key, and a certification request without a name: the profile gives that.
fn request(key: &Path) -> Result<String, String> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=Demo"]);
    let output = openssl.arg("-keyout").arg(key).output().map_err(|error| error.to_string())?;
    let request = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(request) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn keep(answer: &Answer, into: &Acquired) -> Result<(), String> {
    let write = |path: &Path, content: &[u8]| std::fs::write(path, content).map_err(|error| error.to_string());
    let chain = answer.body.pointer("/chain").and_then(Value::as_array).into_iter().flatten();
    let chain: String = chain.filter_map(Value::as_str).collect();
    write(&into.certificate, (answer.text("/certificate")? + &chain).as_bytes())?;
    if answer.body.pointer("/p12/content").is_some_and(Value::is_string) {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let p12 = into.key.with_extension("p12");
        let content = BASE64_STANDARD.decode(answer.text("/p12/content")?).map_err(|error| error.to_string())?;
        write(&p12, &content)?;
        // The older dialect: what every importer of the document's time reads.
        let mut openssl = Command::new("openssl");
        openssl.args(["pkcs12", "-legacy", "-nocerts", "-nodes", "-passin", "pass:", "-in"]).arg(&p12);
        succeeded(openssl.arg("-out").arg(&into.key)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// An idempotency key that no other request has.
pub(crate) fn random() -> Result<String, String> {
    let mut octets = [0; 8];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| "no random numbers to be had")?;
    Ok(format!("{:016x}", u64::from_be_bytes(octets)))
}

/// A contract's users and their states, in both languages, as the service lists them.
pub(crate) fn table(api: &Api, life: &Life) -> Result<String, String> {
    let answer = api.get(&format!("/v1/contracts/{}/users", life.contract)).done()?;
    let mut table = format!("{} {}\n", life.contract, life.profile);
    for user in answer.body.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
        let text = |pointer: &str| user.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        let suspended = user.pointer("/standing_label/ja").and_then(Value::as_str).unwrap_or_default();
        let (ja, en) = (text("/label/ja"), text("/label/en"));
        table += &format!("  {:<10} {:<16} {ja} {en} {suspended} {}\n", text("/user"), text("/role"), text("/expiry"));
    }
    Ok(table)
}
