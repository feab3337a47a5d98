//! BizSTATION (seeds 000 and 001).

use super::world::*;
use crate::profile::{Factor, SecretDelivery};
use crate::*;
use sekisho_pki::crl::RevocationReason;

fn world() -> World {
    let users = [("kanri", "service-manager"), ("saihakko", "reissuer"), ("010429003", "user")];
    World::new("bizstation", "1234567", &users)
}

fn shows(decision: &Decision) -> Option<(Showing, SecretDelivery)> {
    decision.effects.iter().find_map(|effect| match effect {
        Effect::ShowSecret { showing, to, .. } => Some((*showing, *to)),
        _ => None,
    })
}

#[test]
fn registration_shows_the_password_to_the_registrant_and_it_opens_the_first_acquisition() {
    let mut world = world();
    world.acquire("kanri").unwrap();
    // 証明書用取得用パスワードは、利用者登録の際、完了画面に表示されます。
    let register = world.register("tsuika", "user");
    let decision = world.by("kanri", "tsuika", register).unwrap();
    assert_eq!(shows(&decision), Some((Showing::First, SecretDelivery::OperatorScreen)));
    // ※利用者ID登録後、初めて電子証明書を取得される方は[Step2]は対応不要です。
    assert_eq!(world.shown("tsuika").0, "取得待ち");
    world.acquire("tsuika").unwrap();
    assert_eq!(world.shown("tsuika"), ("有効".to_owned(), Some("2023-10-01T03:00:00Z".to_owned())));
}

#[test]
fn a_holder_of_the_permission_reissues_for_themselves_with_an_expired_certificate() {
    let mut world = world();
    world.acquire("saihakko").unwrap();
    world.now = world.now.plus_seconds(400 * DAY);
    assert_eq!(world.shown("saihakko"), ("期限切れ".to_owned(), None));
    // 1-2 「電子証明書取得」: ご契約者番号、利用者ID、ログインパスワードを入力し、[ログイン]
    // 3-4 「証明書取得用パスワードの再発行はこちら」: ワンタイムパスワードを入力し
    let proofs = [Factor::LoginPassword, Factor::OneTimePassword];
    let offer = world.offer();
    let decision = world.proving(&proofs, "saihakko", "saihakko", Command::Reissue(offer)).unwrap();
    // 6 別ウィンドウに証明書取得用パスワードが表示されます。
    assert_eq!(shows(&decision), Some((Showing::First, SecretDelivery::OperatorScreen)));
    assert_eq!(decision.audit.screen.as_deref(), Some("one-time-password"));
    // 8 別ウインドウに表示されている証明書取得用パスワードを入力します。[取得]ボタン
    let secret = world.right_secret("saihakko");
    let issuing = world.issuing();
    let acquire = Command::Acquire { issuing, secret };
    world.proving(&[Factor::LoginPassword], "saihakko", "saihakko", acquire).unwrap();
    world.service("saihakko", Command::Complete { serial: issuing.serial }).unwrap();
    assert_eq!(world.shown("saihakko").0, "有効");
}

#[test]
fn self_reissue_needs_the_one_time_password_and_the_permission() {
    let mut world = world();
    // ワンタイムパスワードカードが使用できる状態にあること
    let offer = world.offer();
    let denied = world.proving(&[Factor::LoginPassword], "kanri", "kanri", Command::Reissue(offer));
    assert_eq!(denied.unwrap_err(), Reason::ProofMissing(Factor::OneTimePassword));
    // 実行権限をお持ちでないご利用者の方は、権限をお持ちの方に再発行を依頼してください。
    assert_eq!(world.reissue("010429003", "010429003").unwrap_err(), Reason::NotPermitted);
    assert_eq!(world.reissue("010429003", "kanri").unwrap_err(), Reason::NotPermitted);
}

#[test]
fn reissue_for_another_takes_the_operators_own_execution_password_and_kills_the_old_certificate_at_once() {
    let mut world = world();
    let old = world.acquire("010429003").unwrap().serial;
    world.acquire("kanri").unwrap();
    // 4 操作している方（再発行したい利用者ではない）の取引実行パスワードを入力し
    let others = Proof::secret(Factor::ExecutionPassword, &world.user("010429003").key, world.now).unwrap();
    let mut proofs = world.proofs("kanri", &[Factor::CurrentCertificate]);
    proofs.push(others);
    let offer = world.offer();
    let denied = world.by_with("kanri", "010429003", Command::Reissue(offer), &proofs).unwrap_err();
    assert_eq!(denied, Reason::ProofOfAnother(Factor::ExecutionPassword));
    assert_eq!(world.live_serial("010429003"), Some(old));

    let proofs = [Factor::CurrentCertificate, Factor::ExecutionPassword];
    let offer = world.offer();
    let decision = world.proving(&proofs, "kanri", "010429003", Command::Reissue(offer)).unwrap();
    // この時点で、すでにご利用のパソコンに取得されている電子証明書が無効となる
    let revoke = Effect::Revoke { serial: old, reason: RevocationReason::Superseded };
    assert_eq!(decision.effects.first(), Some(&revoke));
    assert_eq!(decision.user.unwrap().live(world.now), None);
    // 5 証明書取得用パスワードが表示されますので、電子証明書を再取得する利用者に連絡してください。
    assert_eq!(decision.audit.screen.as_deref(), Some("password-reissue"));
    let new = world.acquire("010429003").unwrap();
    assert_eq!((new.issue_number, new.common_name.as_str()), (2, "1234567 010429003"));
    assert_eq!(world.outside.live(&world.user("010429003").key, world.now), [new.serial]);
}

#[test]
fn the_password_is_shown_again_to_the_repeat_of_the_same_request_only() {
    let mut world = world();
    world.acquire("kanri").unwrap();
    let offer = world.offer();
    let reissue = Command::Reissue(offer.clone());
    world.by("kanri", "010429003", reissue.clone()).unwrap();
    let made = world.user("010429003").clone();
    // タイムアウトにより表示されない場合は、F5キー(更新)メニューで確認してください。
    let again = world.by("kanri", "010429003", reissue.clone()).unwrap();
    assert_eq!(shows(&again), Some((Showing::Repeat, SecretDelivery::OperatorScreen)));
    assert_eq!(again.user.as_ref(), Some(&made), "the repeat changes nothing");
    // By another operator, after ten minutes, or once it was used: no.
    world.acquire("saihakko").unwrap();
    assert_eq!(world.by("saihakko", "010429003", reissue.clone()).unwrap_err(), Reason::RequestAlreadyUsed);
    let mut later = world.clone();
    later.now = later.now.plus_seconds(601);
    assert_eq!(later.by("kanri", "010429003", reissue.clone()).unwrap_err(), Reason::RequestAlreadyUsed);
    world.begin("010429003").unwrap();
    assert_eq!(world.by("kanri", "010429003", reissue).unwrap_err(), Reason::RequestAlreadyUsed);
    // Another request makes another password; the first one opens nothing any more.
    let first = offer.secret;
    assert_eq!(shows(&world.reissue("kanri", "010429003").unwrap()).unwrap().0, Showing::First);
    assert_eq!(world.begin_with("010429003", first).unwrap_err(), Reason::WrongSecret);
}

#[test]
fn the_repeat_of_a_self_reissue_does_not_need_the_one_time_password_again_and_all_else() {
    let mut world = world();
    let offer = world.offer();
    world.by("kanri", "kanri", Command::Reissue(offer.clone())).unwrap();
    let again = world.proving(&[Factor::LoginPassword], "kanri", "kanri", Command::Reissue(offer.clone())).unwrap();
    assert_eq!(shows(&again).unwrap().0, Showing::Repeat);
    let denied = world.proving(&[Factor::OneTimePassword], "kanri", "kanri", Command::Reissue(offer)).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::LoginPassword));
}

#[test]
fn wrong_passwords_lock_and_the_way_out_is_an_unlocking_and_another_password() {
    let mut world = world();
    world.acquire("kanri").unwrap();
    let wrong = Some(SecretDigest([0; 32]));
    let right = world.right_secret("010429003");
    // 証明書取得用パスワードの入力を数回間違えるとロックがかかってサービスがご利用いただけなくなります
    for _ in 0..5 {
        assert_eq!(world.begin_with("010429003", wrong).unwrap_err(), Reason::WrongSecret);
    }
    assert_eq!(world.shown("010429003").0, "ロック");
    assert_eq!(world.begin_with("010429003", right).unwrap_err(), Reason::Locked, "the right one is too late");
    assert_eq!(world.reissue("kanri", "010429003").unwrap_err(), Reason::Locked, "no path past a lock");
    world.now = world.now.plus_seconds(300 * DAY);
    assert_eq!(world.begin_with("010429003", right).unwrap_err(), Reason::Locked, "waiting does not help");
    world.by("kanri", "010429003", Command::Unlock).unwrap();
    assert_eq!(world.begin_with("010429003", right).unwrap_err(), Reason::ReissueNeeded, "nor the guessed one");
    world.reissue("kanri", "010429003").unwrap();
    world.acquire("010429003").unwrap();
}

#[test]
fn without_anybody_who_can_log_in_it_goes_by_form_3_and_registered_mail() {
    let mut world = world();
    let old = world.acquire("kanri").unwrap().serial;
    let offer = world.offer();
    // (2) 『<書式3>パスワードに関する諸届』を当行にご提出ください。
    let decision = world.on_paper("kanri", Command::Reissue(offer.clone())).unwrap();
    assert_eq!(decision.audit.form.as_ref().unwrap().ja, "書式3 パスワードに関する諸届");
    // 当行でのお手続きが完了した時点で、…電子証明書が無効となる
    assert!(world.outside.revoked.contains(&old));
    // 証明書取得用パスワードがお手元に届きましたら(簡易書留)
    assert_eq!(shows(&decision), Some((Showing::First, SecretDelivery::RegisteredMail)));
    let again = world.on_paper("kanri", Command::Reissue(offer)).unwrap();
    assert_eq!(shows(&again), None, "one letter");
    world.acquire("kanri").unwrap();
}

#[test]
fn a_password_lapses_at_its_deadline() {
    let mut world = world();
    world.now = world.now.plus_seconds(30 * DAY);
    let mut late = world.clone();
    world.begin("010429003").unwrap();
    late.now = late.now.plus_seconds(1);
    assert_eq!(late.begin("010429003").unwrap_err(), Reason::OfferLapsed);
    assert_eq!(late.shown("010429003").0, "未発行");
}
