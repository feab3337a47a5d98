use super::super::key_set::KeySet;
use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);

/// A signer in the gateway's format that writes whatever it is told.
struct Forger {
    key: EcdsaKeyPair,
    audiences: Vec<String>,
}

impl Forger {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { key, audiences: vec!["issuer".to_owned(), "other".to_owned()] }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": "k1", "use": "sig", "alg": "ES256" })
    }

    fn keys(&self) -> KeySet {
        KeySet::parse(json!({ "keys": [self.jwk()] }).to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }

    /// As the service does it.
    fn check(&self, token: &str, request: ForRequest<'_>, now: Timestamp) -> Result<Assertion, AssertionError> {
        let keys = self.keys();
        let token = Unverified::parse(token)?;
        let key = keys.find(token.key_id()).ok_or(AssertionError::UnknownKey)?;
        token.verify(key, &Expected { issuer: "https://gw.bank.example", audiences: &self.audiences, request }, now)
    }
}

fn encode(octets: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}

fn header() -> Value {
    json!({ "alg": "ES256", "typ": "sekisho-client+jwt", "kid": "k1" })
}

fn claims() -> Value {
    json!({
        "iss": "https://gw.bank.example",
        "aud": "issuer",
        "sub": "00009876543 riyousya 1635",
        "iat": NOW.unix(),
        "nbf": NOW.unix(),
        "exp": NOW.unix() + 30,
        "jti": "0000-0000-0000-0000",
        "auth_time": NOW.unix() - 600,
        "contract_id": "00009876543",
        "cnf": { "x5t#S256": encode(&[7; 32]) },
        "htm": "POST",
        "htu": "https://api.bank.example/v1/contracts",
    })
}

/// The values with some in the place of others; `null` takes one away.
fn with(base: Value, changes: Value) -> String {
    let mut base = base;
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(base.as_object_mut().unwrap().remove(name)),
            value => drop(base.as_object_mut().unwrap().insert(name.clone(), value.clone())),
        }
    }
    base.to_string()
}

const THIS: ForRequest<'static> =
    ForRequest::This { method: "POST", host: "api.bank.example", path: "/v1/contracts", query: "after=7" };

fn check_claims(changes: Value) -> Result<Assertion, AssertionError> {
    let forger = Forger::new();
    forger.check(&forger.sign(&header().to_string(), &with(claims(), changes)), THIS, NOW)
}

#[test]
fn the_gateways_assertion_names_the_certificate_and_the_time() {
    let expected = Assertion { certificate: [7; 32], at: NOW };
    assert_eq!(check_claims(json!({})), Ok(expected));
    assert_eq!(check_claims(json!({ "aud": "other", "captures": { "exp": "1" }, "user_id": "u" })), Ok(expected));
}

#[test]
fn a_header_that_is_not_exactly_the_gateways_is_refused() {
    use AssertionError::{Algorithm, Type, UnknownKey};
    let forger = Forger::new();
    let refused = |changes: Value| {
        forger.check(&forger.sign(&with(header(), changes), &claims().to_string()), THIS, NOW).unwrap_err()
    };
    for (changes, expected) in [
        (json!({ "alg": "none" }), Algorithm),
        (json!({ "alg": "None" }), Algorithm),
        (json!({ "alg": "es256" }), Algorithm),
        (json!({ "alg": "HS256" }), Algorithm),
        (json!({ "alg": "ES384" }), Algorithm),
        (json!({ "alg": "RS256" }), Algorithm),
        (json!({ "typ": "JWT" }), Type),
        (json!({ "typ": "at+jwt" }), Type),
        (json!({ "typ": "SEKISHO-CLIENT+JWT" }), Type),
        (json!({ "kid": "k2" }), UnknownKey),
        (json!({ "kid": "" }), UnknownKey),
        (json!({ "kid": "k".repeat(129) }), UnknownKey),
    ] {
        assert_eq!(refused(changes.clone()), expected, "{changes}");
    }
    let own_key = forger.jwk();
    for (name, changes) in [
        ("crit", json!({ "crit": ["exp"] })),
        ("crit", json!({ "crit": [] })),
        ("jwk", json!({ "jwk": own_key })),
        ("jku", json!({ "jku": "https://evil.example/jwks.json" })),
        ("x5u", json!({ "x5u": "https://evil.example/chain.pem" })),
        ("x5c", json!({ "x5c": ["MIIB"] })),
        ("b64", json!({ "b64": false })),
        ("zip", json!({ "zip": "DEF" })),
        ("cty", json!({ "cty": "JWT" })),
        ("alg", json!({ "alg": null })),
        ("typ", json!({ "typ": null })),
        ("kid", json!({ "kid": null })),
        ("string", json!({ "alg": 256 })),
        ("string", json!({ "kid": ["k1"] })),
    ] {
        let AssertionError::Header(why) = refused(changes.clone()) else { panic!("{changes} is not refused") };
        assert!(why.contains(name), "{changes}: {why}");
    }
    let twice = r#"{"alg":"none","alg":"ES256","typ":"sekisho-client+jwt","kid":"k1"}"#;
    let refused = forger.check(&forger.sign(twice, &claims().to_string()), THIS, NOW);
    assert!(matches!(&refused, Err(AssertionError::Header(why)) if why.contains("duplicate")), "{refused:?}");
}

#[test]
fn claims_that_are_not_for_this_gateway_service_request_and_moment_are_refused() {
    use AssertionError::{Audience, Confirmation, Expired, Issuer, Lifetime, Method, NotYet, Target};
    let at = |seconds: i64| NOW.unix() + seconds;
    for (changes, expected) in [
        (json!({ "iss": "https://gw.bank.example/" }), Issuer),
        (json!({ "iss": "https://evil.example" }), Issuer),
        (json!({ "iss": "" }), Issuer),
        (json!({ "aud": "ib" }), Audience),
        (json!({ "aud": "" }), Audience),
        (json!({ "iat": at(-35), "nbf": at(-35), "exp": at(-5) }), Expired),
        (json!({ "iat": at(-600), "nbf": at(-600), "exp": at(-300) }), Expired),
        (json!({ "nbf": at(6) }), NotYet),
        (json!({ "iat": at(6), "nbf": at(6), "exp": at(36) }), NotYet),
        (json!({ "iat": at(6), "nbf": at(-6) }), NotYet),
        (json!({ "exp": at(601) }), Lifetime),
        (json!({ "exp": at(0) }), Lifetime),
        (json!({ "exp": i64::MAX }), Lifetime),
        (json!({ "iat": i64::MIN, "nbf": i64::MIN }), Lifetime),
        (json!({ "iat": at(-700) }), Lifetime),
        (json!({ "htm": "GET" }), Method),
        (json!({ "htm": "post" }), Method),
        (json!({ "htu": "https://api.bank.example/v1/contracts/C1" }), Target),
        (json!({ "htu": "https://api.bank.example/v1" }), Target),
        (json!({ "htu": "https://api.bank.example/v1/contracts?all" }), Target),
        (json!({ "htu": "https://api.bank.example:443/v1/contracts" }), Target),
        (json!({ "htu": "http://api.bank.example/v1/contracts" }), Target),
        (json!({ "htu": "https://ib.bank.example/v1/contracts" }), Target),
        (json!({ "htu": "https://api.bank.example.evil.example/v1/contracts" }), Target),
        (json!({ "htu": "/v1/contracts" }), Target),
        (json!({ "htq": BASE64_URL_SAFE_NO_PAD.encode(sha256(&[b"after=8"])) }), Target),
        (json!({ "htq": BASE64_URL_SAFE_NO_PAD.encode(sha256(&[b""])) }), Target),
        (json!({ "htq": "after=7" }), Target),
        (json!({ "cnf": { "x5t#S256": encode(&[7; 31]) } }), Confirmation),
        (json!({ "cnf": { "x5t#S256": encode(&[7; 33]) } }), Confirmation),
        (json!({ "cnf": { "x5t#S256": "" } }), Confirmation),
        (json!({ "cnf": { "x5t#S256": format!("{}=", encode(&[7; 32])) } }), Confirmation),
    ] {
        assert_eq!(check_claims(changes.clone()), Err(expected), "{changes}");
    }
}

#[test]
fn claims_of_another_shape_are_refused() {
    for changes in [
        json!({ "iss": null }),
        json!({ "aud": null }),
        json!({ "iat": null }),
        json!({ "nbf": null }),
        json!({ "exp": null }),
        json!({ "htm": null }),
        json!({ "htu": null }),
        json!({ "cnf": null }),
        json!({ "aud": ["issuer"] }),
        json!({ "exp": "1795311090" }),
        json!({ "exp": 1_795_311_090.5 }),
        json!({ "exp": 1e300 }),
        json!({ "cnf": { "jkt": "x" } }),
        json!({ "cnf": "x" }),
    ] {
        let refused = check_claims(changes.clone());
        assert!(matches!(refused, Err(AssertionError::Claims(_))), "{changes}: {refused:?}");
    }
    let forger = Forger::new();
    let twice = claims().to_string().replacen('{', r#"{"htm":"GET","#, 1);
    for claims in [twice.as_str(), "[]", "", "{}", "null"] {
        let refused = forger.check(&forger.sign(&header().to_string(), claims), THIS, NOW);
        assert!(matches!(refused, Err(AssertionError::Claims(_))), "{claims}: {refused:?}");
    }
}

#[test]
fn the_clocks_may_differ_by_the_tolerance_and_no_more() {
    let forger = Forger::new();
    let token = forger.sign(&header().to_string(), &claims().to_string());
    for (seconds, expected) in [
        (-CLOCK_TOLERANCE - 1, Err(AssertionError::NotYet)),
        (-CLOCK_TOLERANCE, Ok(())),
        (30 + CLOCK_TOLERANCE - 1, Ok(())),
        (30 + CLOCK_TOLERANCE, Err(AssertionError::Expired)),
    ] {
        let checked = forger.check(&token, THIS, NOW.plus_seconds(seconds));
        assert_eq!(checked.map(drop), expected, "{seconds} s");
    }
}

#[test]
fn a_token_of_another_form_is_refused() {
    use AssertionError::{Form, TooLong};
    let forger = Forger::new();
    let token = forger.sign(&header().to_string(), &claims().to_string());
    let [header, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let raw = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    for (token, expected) in [
        (String::new(), Form),
        ("a".to_owned(), Form),
        (format!("{header}.{claims}"), Form),
        (format!("{header}.{claims}."), Form),
        (format!("{token}."), Form),
        (format!("{token}.{signature}"), Form),
        (format!("{header}.{claims}.x.{signature}"), Form),
        (format!("{token}="), Form),
        (format!(" {token}"), Form),
        (format!("Bearer {token}"), Form),
        (token.replace('.', ".\n"), Form),
        (format!("{header}.{claims}.{}", encode(&raw[..63])), Form),
        (format!("{header}.{claims}.{}", encode(&[&raw[..], &[0]].concat())), Form),
        (format!("{header}.{claims}.{}", encode(&der_of(&raw))), Form),
        (format!("{header}.{}.{signature}", "A".repeat(MOST_OCTETS)), TooLong),
    ] {
        assert_eq!(forger.check(&token, THIS, NOW), Err(expected), "{token}");
    }
}

/// The signature as X.509 has it (RFC 3279 section 2.2.3); JWS has not.
fn der_of(raw: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| [&[2, 33, 0][..], half].concat();
    let content = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, u8::try_from(content.len()).unwrap()][..], &content].concat()
}

#[test]
fn a_signature_of_another_key_or_over_something_else_is_refused() {
    let (forger, other) = (Forger::new(), Forger::new());
    let sign = |forger: &Forger, changes: Value| forger.sign(&header().to_string(), &with(claims(), changes));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (ours, wider) = (parts(&sign(&forger, json!({}))), parts(&sign(&forger, json!({ "exp": NOW.unix() + 600 }))));
    for token in [
        sign(&other, json!({})),
        format!("{}.{}.{}", ours[0], wider[1], ours[2]),
        format!("{}.{}.{}", ours[0], ours[1], wider[2]),
        format!("{}.{}.{}", ours[0], ours[1], encode(&[0; 64])),
        format!("{}.{}.{}", ours[0], ours[1], encode(&[0xff; 64])),
    ] {
        assert_eq!(forger.check(&token, THIS, NOW), Err(AssertionError::Signature));
    }
    // Signed by the public key as an HMAC key, and not signed: the header says so, and is not asked.
    let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, forger.key.public_key().as_ref());
    for alg in ["HS256", "ES256"] {
        let signed = format!("{}.{}", encode(with(header(), json!({ "alg": alg })).as_bytes()), ours[1]);
        let tag = aws_lc_rs::hmac::sign(&hmac, signed.as_bytes());
        let refused = forger.check(&format!("{signed}.{}", encode(&[tag.as_ref(), tag.as_ref()].concat())), THIS, NOW);
        let expected = if alg == "HS256" { AssertionError::Algorithm } else { AssertionError::Signature };
        assert_eq!(refused, Err(expected));
    }
}

#[test]
fn any_changed_octet_is_refused() {
    let forger = Forger::new();
    let token = forger.sign(&header().to_string(), &claims().to_string());
    for place in 0..token.len() {
        for other in [b'A', b'B', b'.'] {
            let mut changed = token.clone().into_bytes();
            if changed[place] == other {
                continue;
            }
            changed[place] = other;
            let changed = String::from_utf8(changed).unwrap();
            assert!(forger.check(&changed, THIS, NOW).is_err(), "octet {place} may be {other}");
        }
        assert!(forger.check(&token[..place], THIS, NOW).is_err(), "cut at {place}");
    }
}

#[test]
fn one_that_is_handed_on_is_for_another_request_and_everything_else_still_holds() {
    let forger = Forger::new();
    let check = |changes: Value, now| {
        let token = forger.sign(&header().to_string(), &with(claims(), changes));
        forger.check(&token, ForRequest::Another, now).map(drop)
    };
    assert_eq!(check(json!({ "htm": "GET", "htu": "https://ib.bank.example/top" }), NOW), Ok(()));
    assert_eq!(check(json!({ "aud": "admin" }), NOW), Err(AssertionError::Audience));
    assert_eq!(check(json!({}), NOW.plus_seconds(35)), Err(AssertionError::Expired));
}

#[test]
fn a_key_set_that_is_not_the_gateways_is_refused() {
    use super::super::key_set::KeySetError::{self, Empty, KeyId, Point, SameKeyId, Secret, TooLarge};
    let jwk = |changes: Value| serde_json::from_str::<Value>(&with(Forger::new().jwk(), changes)).unwrap();
    let parse = |keys: Vec<Value>| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).map(drop);
    for (name, keys, expected) in [
        ("two keys", vec![jwk(json!({})), jwk(json!({ "kid": "k2" }))], Ok(())),
        ("members that nobody asked for", vec![jwk(json!({ "key_ops": ["verify"], "x5c": [] }))], Ok(())),
        (
            "keys of other kinds beside",
            vec![jwk(json!({})), json!({ "kty": "OKP", "crv": "Ed25519", "x": "" })],
            Ok(()),
        ),
        ("none", vec![], Err(Empty)),
        ("another curve", vec![jwk(json!({ "crv": "P-384" }))], Err(Empty)),
        ("for encryption", vec![jwk(json!({ "use": "enc" }))], Err(Empty)),
        ("another algorithm", vec![jwk(json!({ "alg": "ES384" }))], Err(Empty)),
        ("a private key", vec![jwk(json!({ "d": "AAAA" }))], Err(Secret)),
        ("a private key beside", vec![jwk(json!({})), json!({ "kty": "RSA", "n": "", "d": "" })], Err(Secret)),
        ("a symmetric key", vec![jwk(json!({})), json!({ "kty": "oct", "k": "AAAA" })], Err(Secret)),
        ("not on the curve", vec![jwk(json!({ "x": encode(&[1; 32]), "y": encode(&[1; 32]) }))], Err(Point)),
        ("infinity", vec![jwk(json!({ "x": encode(&[0; 32]), "y": encode(&[0; 32]) }))], Err(Point)),
        ("a short coordinate", vec![jwk(json!({ "x": encode(&[1; 31]) }))], Err(Point)),
        ("no coordinate", vec![jwk(json!({ "y": null }))], Err(Point)),
        ("no kid", vec![jwk(json!({ "kid": null }))], Err(KeyId)),
        ("an empty kid", vec![jwk(json!({ "kid": "" }))], Err(KeyId)),
        ("one kid twice", vec![jwk(json!({})), jwk(json!({}))], Err(SameKeyId)),
        ("too many", (0..101).map(|kid| jwk(json!({ "kid": kid.to_string() }))).collect(), Err(TooLarge)),
    ] {
        assert_eq!(parse(keys), expected, "{name}");
    }
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, "<html>"] {
        assert!(matches!(KeySet::parse(text.as_bytes()), Err(KeySetError::Json(_))), "{text}");
    }
    assert_eq!(KeySet::parse(&[b' '; 64 * 1024 + 1]).map(drop), Err(TooLarge));
}
