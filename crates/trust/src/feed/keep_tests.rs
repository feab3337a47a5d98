use super::*;
use crate::feed::{Anew, Following, InForce, Listing, Occasion, Rules, Told};
use sekisho_pki::crl::CrlNumber;
use serde_json::json;
use std::io::Seek as _;

const CA: AuthorityKey = AuthorityKey::from_bytes([7; 32]);
const NOW: Timestamp = Timestamp::from_unix(1_790_000_000);

/// Lists that reach up to nothing that is told here.
struct OldList;

impl InForce for OldList {
    fn number(&self, _: &AuthorityKey, _: Option<&str>) -> Option<CrlNumber> {
        Some(1.into())
    }

    fn listed(&self, _: &AuthorityKey, _: &SerialNumber) -> Listing {
        Listing::Absent
    }
}

fn beside(view: &FeedView) -> FeedView {
    let rules = Rules { authorities: vec![CA], lost_after: 10, made_at: NOW };
    view.beside(&OldList, &rules, Occasion::Message)
}

/// The message (from, to] in which every change revokes the serial of its sequence.
fn message(from: u64, to: u64) -> Message {
    let issuer = to_hex(CA.as_bytes());
    let change = |sequence: u64| {
        let serial = to_hex(&[&[1][..], &sequence.to_be_bytes()].concat());
        json!({ "sequence": sequence, "issuer": issuer, "serial": serial, "status": "revoked", "reason": "superseded", "at": 5 })
    };
    let changes: Vec<_> = (from + 1..=to).map(change).collect();
    let lists = json!([{ "issuer": issuer, "part": 0, "parts": 1, "point": null, "number": "1", "to": 0 }]);
    let payload = json!({
        "v": 1, "feed": "f", "at": NOW.unix() * 1000, "from": from, "from_mark": from.to_string(), "to": to,
        "mark": to.to_string(), "head": to, "changes": changes, "lists": lists
    });
    Message::from_payload(&payload.to_string()).unwrap()
}

fn knows(view: &FeedView, sequence: u64) -> bool {
    let serial = SerialNumber::from_der_content(&[&[1][..], &sequence.to_be_bytes()].concat()).unwrap();
    matches!(view.told(&CA, &serial), Told::Revoked { reason: RevocationReason::Superseded, .. })
}

/// A folder with what was kept of messages up to these numbers, and the view then.
fn kept(folder: &Path, ends: &[u64]) -> FeedView {
    let (mut keeper, recalled) = Keeper::open(folder).unwrap();
    let mut view = beside(&recalled.view);
    let mut from = 0;
    for (place, to) in ends.iter().enumerate() {
        let step = if place == 0 { Step::Begin(Anew::Unknown) } else { Step::Continue };
        let message = message(from, *to);
        view = beside(&view.after(&message, step, NOW).unwrap());
        keeper.keep([(&message, step)], NOW, &view).unwrap();
        assert_eq!((keeper.to(), &**keeper.mark()), (*to, &*to.to_string()));
        from = *to;
    }
    view
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let view = kept(&path, &[2, 5, 450, 900]);
    let (keeper, recalled) = Keeper::open(&path).unwrap();
    assert_eq!((recalled.damage, keeper.to()), (None, 900));
    let recalled = beside(&recalled.view);
    assert_eq!(recalled.position(), view.position());
    assert_eq!((recalled.heard(), recalled.held()), (view.heard(), 900));
    assert!((1..=900).all(|sequence| knows(&recalled, sequence)) && !knows(&recalled, 901));
    assert_eq!(recalled.following(&CA, NOW), view.following(&CA, NOW));
    assert!(!recalled.must_begin_anew());
}

#[test]
fn a_folder_is_one_processes_and_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/feed");
    kept(&path, &[2]);
    let first = Keeper::open(&path).unwrap();
    assert!(matches!(Keeper::open(&path), Err(KeepError::InUse)));
    drop(first);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("feed"))), (0o700, 0o600));
    assert!(Keeper::open(&path).is_ok());
}

#[test]
fn a_file_cut_anywhere_never_says_more_than_it_has_and_never_less_than_was_kept_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    kept(&path, &[2, 5, 8]);
    let whole = fs::read(path.join("feed")).unwrap();
    let lines: Vec<usize> =
        whole.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1).collect();
    let [.., checkpoint, second, _] = lines[..] else { panic!("{lines:?}") };
    for length in 0..=whole.len() {
        fs::write(path.join("feed"), &whole[..length]).unwrap();
        let (keeper, recalled) = Keeper::open(&path).unwrap();
        let to = match length {
            _ if length < checkpoint => {
                assert!(recalled.damage.is_some() && recalled.view.position().is_none(), "{length}");
                continue;
            }
            _ if length < second => 2,
            _ if length < whole.len() => 5,
            _ => 8,
        };
        assert_eq!((recalled.damage, keeper.to()), (None, to), "{length}");
        // What is torn may have been acknowledged: it is told, and nobody is let in on what is left.
        assert_eq!(recalled.torn, !lines.contains(&length), "{length}");
        assert_eq!(recalled.view.heard().is_none(), recalled.torn, "{length}");
        assert!((1..=8).all(|sequence| knows(&beside(&recalled.view), sequence) == (sequence <= to)), "{length}");
    }
}

#[test]
fn a_flipped_bit_is_found_and_what_could_be_read_is_still_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    kept(&path, &[2, 5, 8]);
    let whole = fs::read(path.join("feed")).unwrap();
    for place in (0..whole.len() - 1).step_by(7) {
        let mut spoiled = whole.clone();
        spoiled[place] ^= 1;
        fs::write(path.join("feed"), &spoiled).unwrap();
        let (_, recalled) = Keeper::open(&path).unwrap();
        assert!(recalled.damage.is_some(), "{place}");
        let view = beside(&recalled.view);
        assert!(view.position().is_none() && view.must_begin_anew(), "{place}");
        assert!(matches!(view.following(&CA, NOW), Following::Lapsed(_)), "what is missing may have been a revocation");
    }
    let last_line = whole[..whole.len() - 1].iter().rposition(|octet| *octet == b'\n').unwrap();
    let mut spoiled = whole.clone();
    spoiled[last_line + 30] ^= 1;
    fs::write(path.join("feed"), &spoiled).unwrap();
    let view = beside(&Keeper::open(&path).unwrap().1.view);
    assert!((1..=5).all(|sequence| knows(&view, sequence)));
}

#[test]
fn what_was_signed_long_ago_is_not_heard_now_after_a_restart_either() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let view = kept(&path, &[2]);
    let (mut keeper, _) = Keeper::open(&path).unwrap();
    let (old, later) = (message(2, 2), NOW.plus_seconds(3_600));
    let view = beside(&view.after(&old, Step::Continue, later).unwrap());
    // The whole, and then a line of its own.
    for _ in 0..2 {
        keeper.keep([(&old, Step::Continue)], later, &view).unwrap();
    }
    drop(keeper);
    assert_eq!(Keeper::open(&path).unwrap().1.view.heard(), Some(NOW));
}

#[test]
fn after_a_failure_the_whole_is_written_and_nothing_is_appended_to_what_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let (mut keeper, recalled) = Keeper::open(&path).unwrap();
    let first = message(0, 2);
    let mut view = beside(&beside(&recalled.view).after(&first, Step::Begin(Anew::Unknown), NOW).unwrap());
    keeper.keep([(&first, Step::Begin(Anew::Unknown))], NOW, &view).unwrap();
    // A file that cannot be written to, as on a full disk.
    keeper.log = Some(File::open(path.join("feed")).unwrap());
    let second = message(2, 5);
    view = beside(&view.after(&second, Step::Continue, NOW).unwrap());
    assert!(keeper.keep([(&second, Step::Continue)], NOW, &view).is_err());
    assert_eq!(keeper.to(), 2, "not to be acknowledged");
    // Half a line, as a failure may leave it.
    let mut file = OpenOptions::new().write(true).open(path.join("feed")).unwrap();
    file.seek(io::SeekFrom::End(0)).unwrap();
    file.write_all(b"torn").unwrap();
    let third = message(5, 6);
    view = beside(&view.after(&third, Step::Continue, NOW).unwrap());
    keeper.keep([(&third, Step::Continue)], NOW, &view).unwrap();
    assert_eq!(keeper.to(), 6);
    drop(keeper);
    let (_, recalled) = Keeper::open(&path).unwrap();
    assert_eq!(recalled.damage, None);
    assert!((1..=6).all(|sequence| knows(&beside(&recalled.view), sequence)));
}

#[test]
fn a_message_that_came_in_force_and_was_not_handed_on_is_kept_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let (mut keeper, recalled) = Keeper::open(&path).unwrap();
    let messages = [message(0, 2), message(2, 5), message(5, 6)];
    let mut view = beside(&recalled.view);
    for (place, message) in messages.iter().enumerate() {
        let step = if place == 0 { Step::Begin(Anew::Unknown) } else { Step::Continue };
        view = beside(&view.after(message, step, NOW).unwrap());
        if place != 1 {
            keeper.keep([(message, step)], NOW, &view).unwrap();
        }
    }
    assert_eq!(keeper.to(), 6);
    drop(keeper);
    let (_, recalled) = Keeper::open(&path).unwrap();
    assert_eq!(recalled.damage, None);
    assert!((1..=6).all(|sequence| knows(&beside(&recalled.view), sequence)));
}

#[test]
fn a_log_that_has_grown_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed");
    let (mut keeper, recalled) = Keeper::open(&path).unwrap();
    let begin = message(0, 0);
    let view = beside(&beside(&recalled.view).after(&begin, Step::Begin(Anew::Unknown), NOW).unwrap());
    keeper.keep([(&begin, Step::Begin(Anew::Unknown))], NOW, &view).unwrap();
    let (mut view, mut longest, mut rewritten) = (view, 0, 0);
    for round in 0..40 {
        let more = message(round * 500, (round + 1) * 500);
        view = beside(&view.after(&more, Step::Continue, NOW).unwrap());
        let before = keeper.appended;
        keeper.keep([(&more, Step::Continue)], NOW, &view).unwrap();
        rewritten += u32::from(keeper.appended < before);
        longest = longest.max(keeper.appended);
    }
    assert!(rewritten > 0 && longest < 4 * LEAST_BEFORE_CHECKPOINT, "{rewritten} {longest}");
    drop(keeper);
    let (keeper, recalled) = Keeper::open(&path).unwrap();
    assert_eq!((recalled.damage, keeper.to(), recalled.view.held()), (None, 20_000, 20_000));
}
