use super::*;
use crate::gateway::verify::identity::Identity;
use rustls::pki_types::CertificateDer;
use sekisho_pki::serial::SerialNumber;
use std::path::Path;
use std::process::Command;

const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);

fn client(captures: &[(&str, &str)]) -> VerifiedClient {
    let serial = SerialNumber::from_der_content(&[1]).unwrap();
    let identity = Identity::for_test("00009876543 riyousya 1635", captures);
    VerifiedClient::for_test(identity, vec![CertificateDer::from(b"leaf".to_vec())], "CN=CA", serial, [NOW, NOW])
}

fn signer() -> Signer {
    Signer::generate("https://gw.bank.example", Duration::from_secs(30)).unwrap()
}

fn request(request_id: &RequestId) -> AssertedRequest<'_> {
    AssertedRequest {
        site: "ib",
        method: &Method::POST,
        host: "ib.example.jp",
        path: "/ib/transfer",
        query: "to=1&amount=2",
        now: NOW,
        authenticated_at: NOW.plus_seconds(-600),
        request_id,
    }
}

fn token(signer: &Signer) -> String {
    let client = client(&[("contract_id", "00009876543"), ("user_id", "riyousya"), ("issue", "01"), ("exp", "9")]);
    signer.sign(&client, &request(&RequestId::from_octets([0; 10]))).unwrap()
}

fn json_of(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Verifies as a receiver does: by the key of the JWKS that the header names.
fn verify(token: &str, jwks: &str) -> Result<Value, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err("not three parts".to_owned()) };
    let decode = |part| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|error| format!("{error}"));
    let header: Value = serde_json::from_slice(&decode(header)?).map_err(|error| format!("{error}"))?;
    if header["alg"] != "ES256" || header["typ"] != TYPE {
        return Err("another algorithm or type".to_owned());
    }
    let jwks: Value = serde_json::from_str(jwks).unwrap();
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).ok_or("no such key")?;
    let coordinate = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let (message, _) = token.rsplit_once('.').unwrap();
    aws_lc_rs::signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(message.as_bytes(), &decode(signature)?)
        .map_err(|_| "signature".to_owned())?;
    Ok(json_of(claims))
}

#[test]
fn the_claims_bind_the_client_to_one_request() {
    let signer = signer();
    let token = token(&signer);
    let header = json_of(token.split('.').next().unwrap());
    assert_eq!(header, json!({ "alg": "ES256", "typ": "sekisho-client+jwt", "kid": signer.key_id() }));
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(sha256(&[b"leaf"]));
    assert_eq!(
        verify(&token, signer.jwks()).unwrap(),
        json!({
            "iss": "https://gw.bank.example",
            "aud": "ib",
            "sub": "00009876543 riyousya 1635",
            "iat": 1_795_311_060,
            "nbf": 1_795_311_060,
            "exp": 1_795_311_090,
            "jti": "0000-0000-0000-0000",
            "auth_time": 1_795_310_460,
            "contract_id": "00009876543",
            "user_id": "riyousya",
            "captures": { "issue": "01", "exp": "9" },
            "ca": "test",
            "cnf": { "x5t#S256": thumbprint },
            "htm": "POST",
            "htu": "https://ib.example.jp/ib/transfer",
            // printf 'to=1&amount=2' | openssl dgst -sha256 -binary | basenc --base64url
            "htq": "bF-dsHzY2hDCYPBkWc0sMT2gfYdithcYm-v-jFI9xag",
        })
    );
}

#[test]
fn an_absent_user_id_is_no_claim() {
    let signer = signer();
    let token = signer.sign(&client(&[("contract_id", "1")]), &request(&RequestId::generate())).unwrap();
    let claims = verify(&token, signer.jwks()).unwrap();
    assert_eq!((claims.get("user_id"), claims.get("captures")), (None, None));
    assert_eq!(claims["contract_id"], "1");
}

#[test]
fn any_changed_octet_fails() {
    let signer = signer();
    let token = token(&signer);
    for place in 0..token.len() {
        for other in [b'A', b'B', b'.'] {
            let mut changed = token.clone().into_bytes();
            if changed[place] == other {
                continue;
            }
            changed[place] = other;
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&changed, signer.jwks()).is_err(), "octet {place} may be {other}");
        }
        assert!(verify(&token[..place], signer.jwks()).is_err(), "cut at {place}");
    }
}

#[test]
fn a_token_of_another_key_fails() {
    let (ours, other) = (signer(), signer());
    assert_eq!(verify(&token(&other), ours.jwks()), Err("no such key".to_owned()));
}

#[test]
fn a_thumbprint_is_that_of_rfc_7638() {
    // The key of RFC 7515 appendix A.3; its thumbprint by `printf … | openssl dgst -sha256 -binary | basenc --base64url`.
    let point = |x: &str, y: &str| -> Point {
        let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        [vec![4], decode(x), decode(y)].concat().try_into().unwrap()
    };
    let key = point("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    assert_eq!(thumbprint(&key), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

#[test]
fn openssl_verifies_an_assertion_and_its_keys_are_read_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    openssl(folder.path(), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out pkcs8.pem");
    openssl(folder.path(), "ec -in pkcs8.pem -out sec1.pem");
    openssl(folder.path(), "pkey -in pkcs8.pem -pubout -out public.pem");
    openssl(folder.path(), "ecparam -name prime256v1 -genkey -out with-parameters.pem");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let load = |key: &str, previous: &[&str]| {
        let previous: Vec<_> = previous.iter().map(|name| read(name)).collect();
        Signer::from_pem(&read(key), &previous, "gw", Duration::from_secs(30)).unwrap()
    };
    let signer = load("pkcs8.pem", &[]);
    assert_eq!(load("sec1.pem", &[]).key_id(), signer.key_id());

    let token = token(&signer);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = der_signature(&BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap());
    std::fs::write(folder.path().join("message"), message).unwrap();
    std::fs::write(folder.path().join("signature"), signature).unwrap();
    openssl(folder.path(), "dgst -sha256 -verify public.pem -signature signature message");

    // The previous key stays published, whether its private or its public half is at hand, and no key is there twice.
    let rotated = load("with-parameters.pem", &["pkcs8.pem", "public.pem", "with-parameters.pem"]);
    let jwks: Value = serde_json::from_str(rotated.jwks()).unwrap();
    let ids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(ids, [rotated.key_id(), signer.key_id()]);
    assert!(verify(&token, rotated.jwks()).is_ok(), "an assertion of before the rotation still verifies");
    assert!(!rotated.jwks().contains("\"d\""), "no private half is published");
}

#[test]
fn files_without_a_usable_key_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    openssl(folder.path(), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out good.pem");
    openssl(folder.path(), "pkey -in good.pem -pubout -out public.pem");
    openssl(folder.path(), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem");
    openssl(folder.path(), "pkey -in p384.pem -pubout -out p384-public.pem");
    openssl(folder.path(), "genpkey -algorithm ED25519 -out ed25519.pem");
    openssl(folder.path(), "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem");
    openssl(folder.path(), "rsa -in rsa.pem -traditional -out rsa1.pem");
    openssl(folder.path(), "pkcs8 -topk8 -in good.pem -passout pass:x -out encrypted.pem");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let two = [read("good.pem"), read("good.pem")].concat();
    let mut off_the_curve = point_of_spki_test_der(&read("public.pem"));
    *off_the_curve.last_mut().unwrap() ^= 1;
    let off_the_curve = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::prelude::BASE64_STANDARD.encode(off_the_curve)
    );
    let load = |key: &[u8], previous: &[&[u8]]| Signer::from_pem(key, previous, "gw", Duration::ZERO).map(|_| ());
    use KeyError::{Absent, NotP256, Several};
    for (key, error) in [
        (read("p384.pem"), NotP256),
        (read("ed25519.pem"), NotP256),
        (read("rsa.pem"), NotP256),
        (read("rsa1.pem"), NotP256),
        (read("encrypted.pem"), KeyError::Pem("line 1: the private key is encrypted; decrypt it first".to_owned())),
        (read("public.pem"), Absent),
        (two, Several),
        (b"".to_vec(), Absent),
        (b"not PEM".to_vec(), Absent),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec(), NotP256),
    ] {
        assert_eq!(load(&key, &[]), Err(SignerError::Current(error)), "{}", String::from_utf8_lossy(&key));
    }
    let truncated = read("good.pem");
    assert!(matches!(load(&truncated[..80], &[]), Err(SignerError::Current(KeyError::Pem(_)))));
    let (good, public) = (read("good.pem"), read("public.pem"));
    for (previous, error) in
        [(read("p384-public.pem"), NotP256), (off_the_curve.into_bytes(), NotP256), (b"".to_vec(), Absent)]
    {
        assert_eq!(load(&good, &[&public, &previous]), Err(SignerError::Previous(1, error)));
    }
}

#[test]
fn a_signer_does_not_print_its_key() {
    let text = format!("{:?}", signer());
    assert!(text.starts_with("Signer { key_id: ") && text.ends_with(", .. }"), "{text}");
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn point_of_spki_test_der(pem: &[u8]) -> Vec<u8> {
    pem::labelled(pem).unwrap().remove(0).1
}

/// `r || s` as the DER SEQUENCE that OpenSSL reads.
fn der_signature(fixed: &[u8]) -> Vec<u8> {
    let integer = |octets: &[u8]| {
        let mut octets = octets.to_vec();
        while octets.len() > 1 && octets[0] == 0 && octets[1] < 0x80 {
            octets.remove(0);
        }
        if octets[0] >= 0x80 {
            octets.insert(0, 0);
        }
        [vec![2, u8::try_from(octets.len()).unwrap()], octets].concat()
    };
    let content = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [vec![0x30, u8::try_from(content.len()).unwrap()], content].concat()
}
