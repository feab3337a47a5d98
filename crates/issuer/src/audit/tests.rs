//! What is written reads back, and what was changed is found.

use super::*;
use crate::secret::ServiceSecret;
use proptest::prelude::*;
use sekisho_lifecycle::profile::{Channel, Label};
use sekisho_lifecycle::{ActorName, ContractId, StaffId, StaffPair, Target, UserId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

fn secret() -> ServiceSecret {
    ServiceSecret::new(&[7; 32]).unwrap()
}

fn user(contract: &str, user: &str) -> UserKey {
    UserKey { contract: ContractId::new(contract).unwrap(), user: UserId::new(user).unwrap() }
}

fn staff(maker: &str, checker: &str) -> ActorName {
    ActorName::Staff(StaffPair::new(StaffId(maker.into()), StaffId(checker.into())).unwrap())
}

fn revocation() -> Entry {
    Entry {
        at: Timestamp::from_rfc_3339("2026-11-22T01:31:00Z").unwrap(),
        caller: "desk".into(),
        actor: Some(staff("m1", "c1")),
        command: "revoke".into(),
        target: Target::User(user("C1", "u1")),
        channel: Some(Channel::PaperForm),
        screen: None,
        form: Some(Label { ja: "失効\"届\"".to_owned(), en: "Form\n7".to_owned() }),
        serial: Some(SerialNumber::from_der_content(&[0, 0x80, 1]).unwrap()),
        address: None,
        reference: "R1".into(),
        result: ActResult::Done,
    }
}

const REVOCATION: &str = concat!(
    r#"{"at":"2026-11-22T01:31:00Z","caller":"desk","actor":{"staff":{"maker":"m1","checker":"c1"}},"#,
    r#""command":"revoke","target":{"user":{"contract":"C1","user":"u1"}},"channel":"paper-form","screen":null,"#,
    r#""form":{"ja":"失効\"届\"","en":"Form\n7"},"serial":"8001","address":null,"reference":"R1","result":"done"}"#,
);

/// Records 1 to `count`, each of an act of its own.
fn chain(count: u64) -> Vec<Record> {
    let mut head = Head::START;
    let record =
        |number| append(&secret(), &mut head, &Entry { reference: format!("R{number}").into(), ..revocation() });
    (1..=count).map(record).collect()
}

fn verify(records: &[Record]) -> Result<Head, Broken> {
    let secret = secret();
    let mut verifier = Verifier::new(&secret);
    records.iter().try_for_each(|record| verifier.push(record))?;
    verifier.finish()
}

#[test]
fn the_canonical_text_is_this_one_for_ever() {
    assert_eq!(encode(&revocation()), REVOCATION);
    assert_eq!(decode(REVOCATION), Ok(revocation()));
}

/// A change of format would make every chain that is kept unverifiable.
#[test]
fn the_chain_is_this_one_for_ever() {
    assert_eq!(
        verify(&chain(3)).unwrap().to_string(),
        "3:658f970676226e79399963ed958e53dbcca86d05765fef01d0d9c13a1c2d4434"
    );
}

#[test]
fn every_kind_of_actor_target_and_result_reads_back() {
    let actors = [None, Some(ActorName::Service), Some(ActorName::User(user("C", "u"))), Some(staff("", "c"))];
    let contract = || ContractId::new("C").unwrap();
    let targets = [Target::Contract(contract()), Target::Unknown(contract()), Target::User(user("C", "u"))];
    let results = [ActResult::Done, ActResult::Refused("NotPermitted".into()), ActResult::Refused("".into())];
    let channels = [None, Some(Channel::Online), Some(Channel::PaperForm), Some(Channel::StaffDesk)];
    let mut texts = std::collections::BTreeSet::new();
    for actor in &actors {
        for target in &targets {
            for result in &results {
                for channel in channels {
                    let (actor, target, result) = (actor.clone(), target.clone(), result.clone());
                    let entry = Entry { actor, target, result, channel, ..revocation() };
                    let text = encode(&entry);
                    assert_eq!(decode(&text), Ok(entry));
                    assert!(texts.insert(text), "two entries have one text");
                }
            }
        }
    }
}

#[test]
fn a_negative_serial_is_not_the_positive_one_of_the_same_octets() {
    for content in [&[0x80, 1][..], &[0, 0x80, 1], &[0], &[0xff], &[0, 0xff], &[0x7f; 20]] {
        let entry = Entry { serial: Some(SerialNumber::from_der_content(content).unwrap()), ..revocation() };
        assert_eq!(decode(&encode(&entry)), Ok(entry));
    }
}

#[test]
fn a_text_with_a_key_too_many_or_too_few_is_refused() {
    let keys = [
        "at",
        "caller",
        "actor",
        "command",
        "target",
        "channel",
        "screen",
        "form",
        "serial",
        "address",
        "reference",
        "result",
    ];
    // Where each key begins, and the end of the object.
    let mut places: Vec<_> = keys.iter().map(|key| REVOCATION.find(&format!("{key:?}:")).unwrap()).collect();
    assert!(places.is_sorted());
    places.push(REVOCATION.len() - 1);
    for place in places.windows(2) {
        let (before, value, after) =
            (&REVOCATION[..place[0]], REVOCATION[place[0]..place[1]].trim_end_matches(','), &REVOCATION[place[1]..]);
        let without = if after == "}" { before.trim_end_matches(',') } else { before };
        let without = format!("{without}{after}");
        serde_json::from_str::<serde_json::Value>(&without).unwrap();
        assert!(decode(&without).is_err(), "{without}");
        let twice = REVOCATION.replacen(value, &format!("{value},{value}"), 1);
        assert!(matches!(decode(&twice), Err(NotAnEntry::Malformed(_))), "{twice}");
    }
    for (from, to) in [
        (r#"{"at""#, r#"{"more":1,"at""#),
        (r#""user":"u1""#, r#""user":"u1","more":1"#),
        (r#""checker":"c1""#, r#""checker":"c1","more":1"#),
        (r#""en":"#, r#""fr":"","en":"#),
    ] {
        let wrong = REVOCATION.replace(from, to);
        assert_ne!(wrong, REVOCATION);
        assert!(matches!(decode(&wrong), Err(NotAnEntry::Malformed(_))), "{wrong}");
    }
}

#[test]
fn another_way_to_write_the_same_is_refused() {
    for (from, to) in [
        (r#""screen":null,"#, ""),
        (r#""actor":"#, r#""actor": "#),
        ("失", r"\u5931"),
        ("R1", r"\u00521"),
        (r#""serial":"8001","address":null"#, r#""address":null,"serial":"8001""#),
        (r#""serial":"8001""#, r#""serial":"008001""#),
        (r#"{"maker":"m1","checker":"c1"}"#, r#"["m1","c1"]"#),
        (r#"{"ja":"失効\"届\"","en":"Form\n7"}"#, r#"["失効\"届\"","Form\n7"]"#),
        ("}}", "} }"),
    ] {
        let wrong = REVOCATION.replace(from, to);
        assert_ne!(wrong, REVOCATION);
        assert_eq!(decode(&wrong), Err(NotAnEntry::NotCanonical), "{wrong}");
    }
    assert_eq!(decode(&format!("{REVOCATION} ")), Err(NotAnEntry::NotCanonical));
}

#[test]
fn values_that_no_entry_has_are_refused() {
    for (from, to, key) in [
        ("2026-11-22T01:31:00Z", "2026-02-30T01:31:00Z", "at"),
        (r#""checker":"c1""#, r#""checker":"m1""#, "actor"),
        ("paper-form", "paper", "channel"),
        ("8001", "80 1", "serial"),
        ("8001", "800", "serial"),
        ("8001", "", "serial"),
        (r#""contract":"C1""#, r#""contract":"C 1""#, "contract"),
        (r#""user":"u1""#, r#""user":"""#, "user"),
    ] {
        let wrong = REVOCATION.replace(from, to);
        assert_eq!(decode(&wrong), Err(NotAnEntry::Impossible(key)), "{wrong}");
    }
    // A capital is another text of the same serial.
    assert_eq!(decode(&REVOCATION.replace("8001", "80A1")), Err(NotAnEntry::Impossible("serial")));
    assert!(matches!(decode(&REVOCATION.replace(r#""done""#, r#""maybe""#)), Err(NotAnEntry::Malformed(_))));
    assert!(matches!(decode(""), Err(NotAnEntry::Malformed(_))));
}

#[test]
fn a_gap_a_repeat_and_another_order_are_found() {
    let records = chain(5);
    let head = Head { sequence: 5, hash: records[4].hash };
    assert_eq!(verify(&records), Ok(head));
    assert_eq!(verify(&[]), Ok(Head::START));

    let gap = [&records[..2], &records[3..]].concat();
    assert_eq!(verify(&gap), Err(Broken::OutOfPlace { expected: 3, found: 4 }));
    assert_eq!(verify(&records[1..]), Err(Broken::OutOfPlace { expected: 1, found: 2 }));
    let repeat = [&records[..2], &records[1..]].concat();
    assert_eq!(verify(&repeat), Err(Broken::OutOfPlace { expected: 3, found: 2 }));
    let mut swapped = records.clone();
    swapped.swap(2, 3);
    assert_eq!(verify(&swapped), Err(Broken::OutOfPlace { expected: 3, found: 4 }));

    // Numbers made to fit do not help.
    for (mut records, broken) in [(gap, 3), (swapped, 3), (repeat, 3)] {
        for (number, record) in (1..).zip(&mut records) {
            record.sequence = number;
        }
        assert_eq!(verify(&records), Err(Broken::Changed { sequence: broken }));
    }
}

#[test]
fn a_record_that_another_secret_made_is_found() {
    let mut records = chain(3);
    let mut head = Head { sequence: 2, hash: records[1].hash };
    records[2] = append(&ServiceSecret::new(&[8; 32]).unwrap(), &mut head, &records[2].entry);
    assert_eq!(verify(&records), Err(Broken::Changed { sequence: 3 }));
}

#[test]
fn an_entry_that_is_not_its_text_is_found() {
    let mut records = chain(3);
    records[1].entry.result = ActResult::Refused("NotPermitted".into());
    assert_eq!(verify(&records), Err(Broken::NotItsText { sequence: 2 }));
}

#[test]
fn a_log_that_was_cut_or_written_anew_is_found_by_a_known_head() {
    let secret = secret();
    let records = chain(5);
    let known = Head { sequence: 4, hash: records[3].hash };
    let check = |records: &[Record]| {
        let mut verifier = Verifier::new(&secret).knowing(known);
        records.iter().try_for_each(|record| verifier.push(record))?;
        verifier.finish()
    };
    assert!(check(&records).is_ok());
    assert!(check(&records[..4]).is_ok());
    assert_eq!(check(&records[..3]), Err(Broken::Truncated { last: 3, known: 4 }));
    assert_eq!(check(&[]), Err(Broken::Truncated { last: 0, known: 4 }));
    // By one who has the secret, after cutting.
    let mut head = Head { sequence: 3, hash: records[2].hash };
    let anew = append(&secret, &mut head, &Entry { reference: "other".into(), ..revocation() });
    assert_eq!(check(&[&records[..3], &[anew]].concat()), Err(Broken::NotTheKnownHead { sequence: 4 }));
}

#[test]
fn the_rest_of_a_log_is_verified_after_a_trusted_head() {
    let (secret, records) = (secret(), chain(5));
    let mut verifier = Verifier::after(&secret, Head { sequence: 2, hash: records[1].hash });
    records[2..].iter().for_each(|record| verifier.push(record).unwrap());
    assert_eq!(verifier.head().sequence, 5);
    let mut verifier = Verifier::after(&secret, Head { sequence: 2, hash: records[0].hash });
    assert_eq!(verifier.push(&records[2]), Err(Broken::Changed { sequence: 3 }));
}

#[test]
fn after_the_last_number_there_is_no_other() {
    let secret = secret();
    let mut head = Head { sequence: u64::MAX, hash: [1; 32] };
    let mut verifier = Verifier::after(&secret, head);
    let record = append(&secret, &mut head, &revocation());
    assert!(matches!(verifier.push(&record), Err(Broken::OutOfPlace { .. })));
}

#[test]
fn a_head_reads_back_and_nothing_else_does() {
    let head = Head { sequence: 41, hash: [0xa5; 32] };
    let text = head.to_string();
    assert_eq!(text.parse(), Ok(head));
    for wrong in ["", "41", ":", "41:a5", &text[1..65], &text.to_uppercase(), &format!("+{text}"), &format!("0{text}")]
    {
        assert_eq!(wrong.parse::<Head>(), Err(NotAHead), "{wrong}");
    }
}

#[test]
fn a_line_of_an_export_is_json_and_reads_back() {
    for record in chain(3) {
        let line = to_line(&record);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["sequence"], record.sequence);
        assert_eq!(json["reference"], *record.entry.reference);
        assert!(!line.contains('\n'));
        assert_eq!(from_line(&line), Ok(record));
    }
    let line = to_line(&chain(1)[0]);
    for wrong in [
        "",
        REVOCATION,
        &line.replace(r#""sequence":1"#, r#""sequence":01"#),
        &line.replace(r#""sequence":1"#, r#""sequence":-1"#),
        &line.replace(r#""hash":""#, r#""hash":"0"#),
    ] {
        assert_eq!(from_line(wrong), Err(NotARecord::NoHead), "{wrong}");
    }
    assert!(matches!(from_line(&line[..line.len() - 1]), Err(NotARecord::Entry(_))));
}

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-z]{1,8}", "\\PC{0,12}", prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter)]
        .prop_map(Arc::from)
}

fn key() -> impl Strategy<Value = UserKey> {
    ("[!-~]{1,64}", "[!-~]{1,64}").prop_map(|(contract, id)| user(&contract, &id))
}

fn actor() -> impl Strategy<Value = ActorName> {
    let pair = (text(), text()).prop_filter("two people", |(maker, checker)| maker != checker);
    prop_oneof![
        Just(ActorName::Service),
        key().prop_map(ActorName::User),
        pair.prop_map(|(maker, checker)| staff(&maker, &checker)),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let target = prop_oneof![
        key().prop_map(Target::User),
        key().prop_map(|key| Target::Contract(key.contract)),
        key().prop_map(|key| Target::Unknown(key.contract)),
    ];
    let channel = prop::option::of(prop::sample::select(vec![Channel::Online, Channel::PaperForm, Channel::StaffDesk]));
    let form = prop::option::of((text(), text()))
        .prop_map(|form| form.map(|(ja, en)| Label { ja: (*ja).to_owned(), en: (*en).to_owned() }));
    let serial = prop::option::of(prop::collection::vec(any::<u8>(), 1..=20));
    let result = prop_oneof![Just(ActResult::Done), text().prop_map(ActResult::Refused)];
    let option = || prop::option::of(text());
    // Years 0000 to 9999.
    let who = (-62_167_219_200_i64..=253_402_300_799, text(), prop::option::of(actor()), text(), target);
    (who, channel, option(), form, serial, option(), text(), result).prop_map(
        |((at, caller, actor, command, target), channel, screen, form, serial, address, reference, result)| Entry {
            at: Timestamp::from_unix(at),
            caller,
            actor,
            command,
            target,
            channel,
            screen,
            form,
            serial: serial.map(|content| SerialNumber::from_der_content(&content).unwrap()),
            address,
            reference,
            result,
        },
    )
}

proptest! {
    #[test]
    fn an_entry_reads_back_exactly(entry in entry()) {
        let text = encode(&entry);
        prop_assert!(!text.contains('\n'));
        prop_assert_eq!(decode(&text), Ok(entry));
    }

    #[test]
    fn every_change_of_a_character_is_found(
        entries in prop::collection::vec(entry(), 1..5),
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        other in any::<char>(),
        kind in 0..4,
    ) {
        let secret = secret();
        let mut head = Head::START;
        let lines: Vec<_> = entries.iter().map(|entry| to_line(&append(&secret, &mut head, entry))).collect();
        let which = which.index(lines.len());
        let mut characters: Vec<_> = lines[which].chars().collect();
        let place = place.index(characters.len());
        match kind {
            0 => characters[place] = other,
            1 => { characters.remove(place); }
            2 => characters.swap(place, (place + 1) % lines[which].chars().count()),
            _ => characters.insert(place, other),
        }
        let changed = String::from_iter(characters);
        prop_assume!(changed != lines[which]);
        let mut verifier = Verifier::new(&secret).knowing(head);
        let found = lines.iter().enumerate().find_map(|(number, line)| {
            let line = if number == which { &changed } else { line };
            match from_line(line) {
                Err(_) => Some(number),
                Ok(record) => verifier.push(&record).err().map(|_| number),
            }
        });
        // At the very record: one that no longer fits is not covered up by those after it.
        prop_assert_eq!(found, Some(which));
    }

    #[test]
    fn every_record_removed_moved_or_put_in_is_found(
        entries in prop::collection::vec(entry(), 2..8),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        kind in 0..3,
    ) {
        let secret = secret();
        let mut head = Head::START;
        let genuine: Vec<_> = entries.iter().map(|entry| append(&secret, &mut head, entry)).collect();
        let mut records = genuine.clone();
        let (from, to) = (from.index(records.len()), to.index(records.len()));
        match kind {
            0 => { records.remove(from); }
            1 => records.swap(from, to),
            _ => records.insert(to, genuine[from].clone()),
        }
        prop_assume!(records != genuine);
        let mut verifier = Verifier::new(&secret).knowing(head);
        let pushed = records.iter().try_for_each(|record| verifier.push(record));
        prop_assert!(pushed.and_then(|()| verifier.finish()).is_err());
    }
}
