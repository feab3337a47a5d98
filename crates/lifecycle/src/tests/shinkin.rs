//! Shinkin banks (seed 003).

use super::world::*;
use crate::profile::{Factor, ShownState};
use crate::*;

fn world() -> World {
    World::new("shinkin", "00009876543", &[("kanri", "administrator"), ("riyousya", "user"), ("S0001", "user")])
}

#[test]
fn the_common_name_is_contract_user_and_1635_and_the_administrators_has_no_user() {
    let mut world = world();
    // 「00009876543 riyousya 1635」（契約者ID + 利用者ID + 1635）
    assert_eq!(world.acquire("riyousya").unwrap().common_name, "00009876543 riyousya 1635");
    // 利用者IDが含まれていない電子証明書（管理者の電子証明書等）
    assert_eq!(world.acquire("kanri").unwrap().common_name, "00009876543 1635");
}

#[test]
fn the_administrator_sees_number_dates_and_serial_and_chooses() {
    let mut world = world();
    let old = world.acquire("S0001").unwrap();
    world.acquire("kanri").unwrap();
    // 電子証明書発行番号 001、ステータス 有効、発行データ登録日、シリアル番号、有効期間終了日時
    let view = world.view("S0001");
    assert_eq!((view.issue_number, view.serial), (Some(1), Some(old.serial)));
    assert_eq!(view.registered_at, Some(time("2022-10-01T03:00:00Z")), "2022年10月01日");
    assert_eq!(view.expiry, Some(time("2023-10-01T23:59:59Z")), "2023年10月02日 08時59分59秒 in Japan");
    assert_eq!(world.shown("S0001").0, "有効");

    let proofs = [Factor::CurrentCertificate, Factor::ContractConfirmationPin];
    // ご契約先確認暗証番号を入力し
    let without = [Factor::CurrentCertificate];
    let denied = world.proving(&without, "kanri", "S0001", Command::Continue).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::ContractConfirmationPin));
    // 現在の電子証明書を継続する
    let before = world.user("S0001").clone();
    let decision = world.proving(&proofs, "kanri", "S0001", Command::Continue).unwrap();
    assert_eq!((world.user("S0001"), decision.effects.len()), (&before, 0));
    assert_eq!(decision.audit.screen.as_deref(), Some("user-certificate"));
    // 再発行
    let offer = world.offer();
    world.proving(&proofs, "kanri", "S0001", Command::Reissue(offer)).unwrap();
    assert!(world.outside.revoked.contains(&old.serial));
    assert_eq!(world.view("S0001").certificate, ShownState::AwaitingAcquisition);
    // 2. 利用者暗証番号, (3) ワンタイムパスワード
    let issuing = world.issuing();
    let acquire = Command::Acquire { issuing, secret: None };
    let denied = world.proving(&[Factor::Pin], "S0001", "S0001", acquire.clone()).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::OneTimePassword));
    world.proving(&[Factor::Pin, Factor::OneTimePassword], "S0001", "S0001", acquire).unwrap();
    world.service("S0001", Command::Complete { serial: issuing.serial }).unwrap();
    assert_eq!(world.view("S0001").issue_number, Some(2));
    // 失効
    world.proving(&proofs, "kanri", "S0001", revocation()).unwrap();
    assert_eq!(world.shown("S0001"), ("失効".to_owned(), None));
    assert_eq!(world.by("kanri", "S0001", Command::Continue).unwrap_err(), Reason::NothingLive);
}

#[test]
fn administrators_certificates_cannot_be_reissued_online() {
    let users = [("kanri", "administrator"), ("kanri2", "administrator"), ("riyousya", "user")];
    let mut world = World::new("shinkin", "00009876543", &users);
    let old = world.acquire("kanri").unwrap().serial;
    world.acquire("kanri2").unwrap();
    // 管理者の電子証明書はセキュリティ上の観点から、インターネットバンキングから再発行できません。
    for actor in ["kanri", "kanri2", "riyousya"] {
        assert_eq!(world.reissue(actor, "kanri").unwrap_err(), Reason::NotPermitted, "{actor}");
        assert_eq!(world.revoke(actor, "kanri").unwrap_err(), Reason::NotPermitted, "{actor}");
    }
    assert_eq!(world.live_serial("kanri"), Some(old));
    // 所定の依頼書をお取引店にご提出のうえ、お手続きください。
    let offer = world.offer();
    let decision = world.on_paper("kanri", Command::Reissue(offer)).unwrap();
    assert_eq!(decision.audit.form.unwrap().ja, "所定の依頼書");
    world.acquire("kanri").unwrap();
}

#[test]
fn users_do_nothing_to_others_and_nothing_but_acquire_to_themselves() {
    let mut world = world();
    world.acquire("riyousya").unwrap();
    for target in ["riyousya", "S0001"] {
        assert_eq!(world.reissue("riyousya", target).unwrap_err(), Reason::NotPermitted);
        assert_eq!(world.revoke("riyousya", target).unwrap_err(), Reason::NotPermitted);
    }
    let issuing = world.issuing();
    let acquire = Command::Acquire { issuing, secret: None };
    assert_eq!(world.by("riyousya", "S0001", acquire).unwrap_err(), Reason::NotPermitted);
}

#[test]
fn an_interrupted_acquisition_needs_the_administrators_reissue() {
    let mut world = world();
    world.acquire("kanri").unwrap();
    let begun = world.begin("riyousya").unwrap();
    // いいえ(N)またはキャンセルをクリックされると、電子証明書が正しくインストールされません。
    world.service("riyousya", Command::Interrupt).unwrap();
    assert!(world.outside.revoked.contains(&begun.serial), "signed or not, nobody may use it");
    let late = world.service("riyousya", Command::Complete { serial: begun.serial });
    assert_eq!(late.unwrap_err(), Reason::NotUnderWay);
    // 電子証明書が正しくインストールされなかった場合は、電子証明書の再発行手続きが必要です。
    assert_eq!(world.begin("riyousya").unwrap_err(), Reason::ReissueNeeded);
    let offer = world.offer();
    assert_eq!(world.by("kanri", "riyousya", Command::Offer(offer)).unwrap_err(), Reason::ReissueNeeded);
    world.reissue("kanri", "riyousya").unwrap();
    world.acquire("riyousya").unwrap();
}

#[test]
fn a_locked_user_is_unlocked_by_the_administrator() {
    let mut world = world();
    world.acquire("kanri").unwrap();
    for _ in 0..5 {
        let counted = world.service("riyousya", Command::WrongFactor(Against::User)).unwrap();
        assert_eq!(counted.refusal, Some(Reason::WrongFactor));
    }
    assert_eq!(world.begin("riyousya").unwrap_err(), Reason::Locked);
    assert_eq!(world.by("riyousya", "riyousya", Command::Unlock).unwrap_err(), Reason::NotPermitted);
    assert_eq!(world.by("S0001", "riyousya", Command::Unlock).unwrap_err(), Reason::NotPermitted);
    // 利用者のロック解除: 管理者ログイン内のメニュー
    world.by("kanri", "riyousya", Command::Unlock).unwrap();
    world.acquire("riyousya").unwrap();
}
