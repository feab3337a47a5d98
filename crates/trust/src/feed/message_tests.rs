use super::*;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

struct Signer {
    pair: EcdsaKeyPair,
    key: PublicKey,
}

impl Signer {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let key = PublicKey::from_spki(der.as_ref()).unwrap();
        Self { pair, key }
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "sekisho-feed+jwt", "kid": self.key.key_id() })
    }

    fn sign(&self, header: &Value, payload: &str) -> String {
        let text = [header.to_string(), payload.to_owned()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn verify(&self, payload: &Value) -> Result<Message, MessageError> {
        Message::verify(&self.sign(&self.header(), &payload.to_string()), std::slice::from_ref(&self.key))
    }
}

fn right() -> Value {
    let issuer = "0a".repeat(32);
    json!({
        "v": 1, "feed": "f-1", "at": 1_790_000_000_123_i64, "from": 41, "from_mark": "", "to": 44,
        "mark": "0123456789abcdef", "head": 44,
        "changes": [
            { "sequence": 42, "issuer": issuer, "serial": "00ff", "status": "revoked", "reason": "keyCompromise", "at": 1_790_000_000 },
            { "sequence": 44, "issuer": issuer, "serial": "01", "status": "held", "reason": null, "at": 1_790_000_000 },
        ],
        "lists": [{ "issuer": issuer, "part": 0, "parts": 1, "point": null, "number": "17", "to": 40 }],
        "later": "versions may say more",
    })
}

#[test]
fn a_signed_message_says_what_it_says() {
    let message = Signer::new().verify(&right()).unwrap();
    let issuer = AuthorityKey::from_bytes([0x0a; 32]);
    assert_eq!((&*message.feed, message.at, message.from, message.to), ("f-1", 1_790_000_000_123, 41, 44));
    assert_eq!((&*message.from_mark, &*message.mark), ("", "0123456789abcdef"));
    let [first, second] = message.changes[..] else { panic!("{message:?}") };
    assert_eq!(first.word, Word::Revoked(RevocationReason::KeyCompromise));
    assert_eq!((first.sequence, first.issuer, first.serial.to_string()), (42, issuer, "ff".to_owned()));
    assert_eq!((second.sequence, second.word), (44, Word::Held));
    let list = PublishedList { issuer, part: 0, parts: 1, point: None, number: 17.into(), to: 40 };
    assert_eq!(message.lists, [list]);
    assert_eq!(Message::from_payload(&message.payload), Ok(message.clone()), "what is kept reads back");
}

#[test]
fn what_is_not_signed_by_a_configured_key_is_refused() {
    let [signer, other] = [Signer::new(), Signer::new()];
    let payload = right().to_string();
    let keys = std::slice::from_ref(&signer.key);
    let good = signer.sign(&signer.header(), &payload);
    assert!(Message::verify(&good, keys).is_ok());
    assert!(Message::verify(&good, &[other.key.clone(), signer.key.clone()]).is_ok(), "two keys while one is changed");
    assert_eq!(Message::verify(&good, &[]), Err(MessageError::UnknownKey(signer.key.key_id().to_owned())));
    let of_other = other.sign(&other.header(), &payload);
    assert_eq!(Message::verify(&of_other, keys), Err(MessageError::UnknownKey(other.key.key_id().to_owned())));
    assert_eq!(Message::verify(&other.sign(&signer.header(), &payload), keys), Err(MessageError::Signature));
    let spoiled = payload.replace("\"revoked\"", "\"held\"");
    let (head, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
    let forged = format!("{head}.{}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(spoiled));
    assert_eq!(Message::verify(&forged, keys), Err(MessageError::Signature));
}

#[test]
fn another_algorithm_type_or_header_is_refused_before_any_signature() {
    let signer = Signer::new();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut header = signer.header();
        change(&mut header);
        Message::verify(&signer.sign(&header, &right().to_string()), std::slice::from_ref(&signer.key)).unwrap_err()
    };
    assert_eq!(refused(&|header| header["alg"] = "none".into()), MessageError::Algorithm);
    assert_eq!(refused(&|header| header["alg"] = "HS256".into()), MessageError::Algorithm);
    assert_eq!(refused(&|header| header["typ"] = "sekisho-client+jwt".into()), MessageError::Type);
    assert!(matches!(refused(&|header| header["crit"] = json!(["b64"])), MessageError::Header(_)));
    assert!(matches!(refused(&|header| header["jwk"] = json!({})), MessageError::Header(_)));
    assert!(matches!(refused(&|header| *header = json!({ "alg": "ES256" })), MessageError::Header(_)));
    for token in ["", "a", "a.b", "..", "a.b.c.d", "!.!.!", &format!("e30.e30.{}", "A".repeat(85))] {
        let error = Message::verify(token, std::slice::from_ref(&signer.key)).unwrap_err();
        assert!(matches!(error, MessageError::Form | MessageError::Header(_)), "{token}: {error}");
    }
}

#[test]
fn a_payload_that_breaks_the_protocol_is_refused_though_it_is_signed() {
    let signer = Signer::new();
    type Spoil<'a> = &'a dyn Fn(&mut Value);
    let cases: &[(&str, Spoil<'_>)] = &[
        ("another version", &|it| it["v"] = 2.into()),
        ("no feed", &|it| it["feed"] = "".into()),
        ("a feed with a line break", &|it| it["feed"] = "a\nb".into()),
        ("a feed without end", &|it| it["feed"] = "f".repeat(129).into()),
        ("from beyond to", &|it| it["from"] = 45.into()),
        ("a change before its span", &|it| it["changes"][0]["sequence"] = 41.into()),
        ("a change after its span", &|it| it["changes"][1]["sequence"] = 45.into()),
        ("changes out of order", &|it| it["changes"][0]["sequence"] = 44.into()),
        ("a negative sequence", &|it| it["changes"][0]["sequence"] = (-1).into()),
        ("a fraction", &|it| it["to"] = json!(44.5)),
        ("an unknown status", &|it| it["changes"][0]["status"] = "good".into()),
        ("a serial of odd length", &|it| it["changes"][0]["serial"] = "0".into()),
        ("an empty serial", &|it| it["changes"][0]["serial"] = "".into()),
        ("a serial that is too long", &|it| it["changes"][0]["serial"] = "11".repeat(23).into()),
        ("a serial that is no hex", &|it| it["changes"][0]["serial"] = "+1".into()),
        ("an issuer that is too short", &|it| it["changes"][0]["issuer"] = "0a".into()),
        ("a part beyond the parts", &|it| it["lists"][0]["part"] = 1.into()),
        ("parts without end", &|it| it["lists"][0]["parts"] = 10_001.into()),
        ("to beyond head", &|it| it["head"] = 43.into()),
        ("no head", &|it| {
            it.as_object_mut().unwrap().remove("head");
        }),
        ("a mark without end", &|it| it["mark"] = "0".repeat(65).into()),
        ("no mark", &|it| {
            it.as_object_mut().unwrap().remove("from_mark");
        }),
        ("a number that is none", &|it| it["lists"][0]["number"] = "x".into()),
        ("a point that is too long", &|it| it["lists"][0]["point"] = "p".repeat(2049).into()),
        ("no span", &|it| {
            it.as_object_mut().unwrap().remove("from");
        }),
        ("too many changes", &|it| {
            let change = it["changes"][0].clone();
            let one = |sequence: u64| {
                let mut change = change.clone();
                change["sequence"] = (41 + sequence).into();
                change
            };
            (it["to"], it["head"]) = (1000.into(), 1000.into());
            it["changes"] = (1..=501).map(one).collect();
        }),
    ];
    for (what, spoil) in cases {
        let mut payload = right();
        spoil(&mut payload);
        assert!(matches!(signer.verify(&payload), Err(MessageError::Payload(_))), "{what}");
    }
}

#[test]
fn a_reason_that_is_not_known_revokes_all_the_same() {
    let mut payload = right();
    payload["changes"][0]["reason"] = "becauseISaySo".into();
    let message = Signer::new().verify(&payload).unwrap();
    assert_eq!(message.changes[0].word, Word::Revoked(RevocationReason::Unspecified));
}
