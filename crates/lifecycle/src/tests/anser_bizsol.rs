//! AnserBizSOL (seed 002).

use super::world::*;
use crate::profile::{Factor, NoticeEvent};
use crate::*;

fn world() -> World {
    let users = [("saburodt", "master"), ("hanakodt", "administrator"), ("logid031", "general")];
    let mut world = World::new("anser-bizsol", "20201234", &users);
    // 15:36:56 in Japan, as in the seed's 証明書発行結果.
    world.now = time("2020-03-04T06:36:56Z");
    world
}

#[test]
fn the_first_certificate_is_the_one_of_the_seeds_result_screen() {
    let mut world = world();
    assert_eq!(world.shown("logid031"), ("未発行".to_owned(), None));
    // 手順4-5 「証明書発行」: ログインID、ログインパスワード、ワンタイムパスワード
    let issuing = world.issuing();
    let acquire = Command::Acquire { issuing, secret: None };
    let proofs = [Factor::LoginPassword, Factor::OneTimePassword];
    let decision = world.proving(&proofs, "logid031", "logid031", acquire).unwrap();
    assert_eq!(decision.audit.screen.as_deref(), Some("CCHK001"));
    let intent = world.user("logid031").next.intent().unwrap().clone();
    // Organization, Organization Unit and Common Name of 手順5
    assert_eq!(intent.organization.as_deref(), Some("(9999)NTT DATA CORPORATION"));
    assert_eq!(intent.organizational_unit.as_deref(), Some("(9999)ANSER-WEB(BizSOL) TEST CA - G4"));
    assert_eq!(intent.common_name, "logid031 A001 20200304153656560435");
    let decision = world.service("logid031", Command::Complete { serial: issuing.serial }).unwrap();
    let notice = Notice { to: world.user("logid031").key.clone(), event: NoticeEvent::Issued };
    assert_eq!(decision.effects, [Effect::Notify(notice)]);
    // 電子証明書の有効期限は取得から1年です; lists show 08時59分59秒 in Japan.
    assert_eq!(world.shown("logid031"), ("発行済み".to_owned(), Some("2021-03-04T23:59:59Z".to_owned())));
    // 1つの利用者IDに対して1つの電子証明書
    assert_eq!(world.begin("logid031").unwrap_err(), Reason::AlreadyIssued);
}

#[test]
fn the_one_time_password_is_asked_for_where_the_contract_uses_it() {
    let mut world = world();
    // ※. ご利用のセキュリティ機能によって、ワンタイムパスワード等のセキュリティ認証を行っていただく必要がございます。
    let issuing = world.issuing();
    let acquire = Command::Acquire { issuing, secret: None };
    let password = [Factor::LoginPassword];
    let denied = world.proving(&password, "logid031", "logid031", acquire.clone()).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::OneTimePassword));
    world.contract.one_time_password = ContractOneTimePassword::NotUsed;
    world.proving(&password, "logid031", "logid031", acquire).unwrap();
}

#[test]
fn renewal_opens_forty_days_before_expiry_and_replaces_the_old_one_in_one_decision() {
    let mut world = world();
    let old = world.acquire("logid031").unwrap();
    let opens = old.not_after.plus_seconds(-40 * DAY);
    world.now = opens.plus_seconds(-1);
    let issuing = world.issuing();
    assert_eq!(world.by("logid031", "logid031", Command::Renew { issuing }).unwrap_err(), Reason::NotYetRenewable);
    assert_eq!(expiry_notice(&world.profile, world.user("logid031"), world.now), None);
    world.now = opens;
    // 有効期限切れの40日前にEメールでご案内
    let notice = expiry_notice(&world.profile, world.user("logid031"), world.now).unwrap();
    assert_eq!((notice.serial, notice.step_days), (old.serial, 40));
    assert_eq!(world.shown("logid031").0, "更新可");
    // 手順2-4 証明書の選択、ログインパスワード入力、ワンタイムパスワード入力
    let without = [Factor::LoginPassword, Factor::OneTimePassword];
    let denied = world.proving(&without, "logid031", "logid031", Command::Renew { issuing }).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::CurrentCertificate));
    let all = [Factor::CurrentCertificate, Factor::LoginPassword, Factor::OneTimePassword];
    world.proving(&all, "logid031", "logid031", Command::Renew { issuing }).unwrap();
    assert_eq!(world.live_serial("logid031"), Some(old.serial), "until the new one is complete");
    world.service("logid031", Command::Complete { serial: issuing.serial }).unwrap();
    assert_eq!(world.outside.live(&world.user("logid031").key, world.now), [issuing.serial]);
    assert!(world.outside.revoked.contains(&old.serial));
    assert_eq!(world.shown("logid031").0, "発行済み");
}

#[test]
fn after_expiry_it_is_acquisition_again() {
    let mut world = world();
    let old = world.acquire("logid031").unwrap();
    world.now = old.not_after;
    assert_eq!(world.shown("logid031").0, "更新可", "its last second counts");
    world.now = old.not_after.plus_seconds(1);
    assert_eq!(world.shown("logid031"), ("有効期限切れ".to_owned(), None));
    // 有効期限が切れてしまった場合は、…取得手順(P2)にしたがって、再度取得を行ってください。
    let issuing = world.issuing();
    let proofs = world.every_proof("logid031");
    let renew = Command::Renew { issuing };
    let denied = world.by_with("logid031", "logid031", renew, &proofs).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::CurrentCertificate));
    assert_eq!(world.acquire("logid031").unwrap().issue_number, 2);
}

#[test]
fn an_expired_certificate_that_is_shown_is_no_proof() {
    let mut world = world();
    let old = world.acquire("logid031").unwrap();
    world.now = old.not_after.plus_seconds(1);
    let mut proofs = world.every_proof("logid031");
    proofs.push(Proof::certificate(old.serial, &world.user("logid031").key, world.now));
    let issuing = world.issuing();
    let denied = world.by_with("logid031", "logid031", Command::Renew { issuing }, &proofs).unwrap_err();
    assert_eq!(denied, Reason::NotTheLiveCertificate);
}

#[test]
fn the_master_revokes_and_the_result_is_shown_and_acquisition_follows() {
    let mut world = world();
    let old = world.acquire("hanakodt").unwrap().serial;
    world.acquire("saburodt").unwrap();
    // 手順4 確認用パスワードを入力のうえ「実行」
    let denied = world.proving(&[Factor::CurrentCertificate], "saburodt", "hanakodt", revocation()).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::ConfirmationPassword));
    let proofs = [Factor::CurrentCertificate, Factor::ConfirmationPassword];
    let decision = world.proving(&proofs, "saburodt", "hanakodt", revocation()).unwrap();
    assert_eq!(decision.audit.screen.as_deref(), Some("BRSK019"));
    assert!(world.outside.revoked.contains(&old));
    // 手順5 証明書状態 失効済み
    assert_eq!(world.shown("hanakodt"), ("失効済み".to_owned(), None));
    // 失効を行った場合でも、ID・パスワードによるログイン方式へは変更になりません。
    assert_eq!(world.contract.feature, Feature::On);
    assert_eq!(world.revoke("saburodt", "hanakodt").unwrap_err(), Reason::NothingToRevoke);
    // 新しいパソコンで再取得
    world.acquire("hanakodt").unwrap();
}

#[test]
fn only_masters_revoke_and_masters_themselves_go_by_form() {
    let mut world = world();
    for user in ["saburodt", "hanakodt", "logid031"] {
        world.acquire(user).unwrap();
    }
    for (actor, target) in [
        ("hanakodt", "logid031"),
        ("hanakodt", "hanakodt"),
        ("logid031", "logid031"),
        ("logid031", "saburodt"),
        // マスターユーザさま…は、必ず「クライアント証明書(電子証明書)機能申込書」を提出していただき
        ("saburodt", "saburodt"),
    ] {
        assert_eq!(world.revoke(actor, target).unwrap_err(), Reason::NotPermitted, "{actor} {target}");
    }
    let decision = world.on_paper("saburodt", revocation()).unwrap();
    assert_eq!(decision.audit.form.unwrap().ja, "クライアント証明書(電子証明書)機能申込書");
    assert_eq!(world.shown("saburodt").0, "失効済み");
}

#[test]
fn back_to_id_and_password_is_the_contracts_form_for_all_users_at_once() {
    let mut world = world();
    let serials: Vec<_> = ["saburodt", "hanakodt"].map(|user| world.acquire(user).unwrap().serial).into();
    // ID・パスワード方式によるログインへ変更する場合…「クライアント証明書(電子証明書)機能申込書」
    assert_eq!(world.by("saburodt", "", Command::SwitchOff).unwrap_err(), Reason::NotPermitted);
    world.on_paper("", Command::SwitchOff).unwrap();
    assert!(serials.iter().all(|serial| world.outside.revoked.contains(serial)));
    // ユーザごとに電子証明書の利用有無を決めることはできません。
    assert_eq!(world.begin("logid031").unwrap_err(), Reason::FeatureOff);
    world.on_paper("", Command::SwitchOn).unwrap();
    world.acquire("logid031").unwrap();
}

#[test]
fn suspension_blocks_and_resuming_unblocks_the_same_certificate() {
    let mut world = world();
    let serial = world.acquire("logid031").unwrap().serial;
    world.acquire("saburodt").unwrap();
    // 利用者停止・解除: 利用者のサービス停止、停止解除が可能です。
    let key = world.user("logid031").key.clone();
    let decision = world.by("saburodt", "logid031", Command::Suspend).unwrap();
    assert_eq!(decision.effects, [Effect::Block(key.clone())]);
    world.now = world.user("logid031").live(world.now).unwrap().not_after;
    let issuing = world.issuing();
    let denied = world.by("logid031", "logid031", Command::Renew { issuing }).unwrap_err();
    assert_eq!(denied, Reason::UserSuspended);
    assert_eq!(world.by("logid031", "logid031", Command::Resume).unwrap_err(), Reason::UserSuspended);
    let decision = world.by("saburodt", "logid031", Command::Resume).unwrap();
    assert_eq!(decision.effects, [Effect::Unblock(key)]);
    assert_eq!(world.live_serial("logid031"), Some(serial));
}
