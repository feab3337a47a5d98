//! Hokugin Business IB and WebJr (seed 004).

use super::world::*;
use crate::profile::Factor;
use crate::*;

fn world() -> World {
    let users = [
        ("jirodt", "master"),
        ("hanakodt", "administrator"),
        ("tarodt", "administrator"),
        ("ichirodt", "general"),
        ("sachikodt", "general"),
    ];
    let mut world = World::new("hokugin", "1000123", &users);
    for (user, _) in users {
        world.acquire(user).unwrap();
    }
    world
}

#[test]
fn general_users_may_not_revoke() {
    let mut world = world();
    // ※一般ユーザには失効操作権限はありません
    for target in ["ichirodt", "sachikodt", "hanakodt", "jirodt"] {
        assert_eq!(world.revoke("ichirodt", target).unwrap_err(), Reason::NotPermitted, "{target}");
        assert!(world.live_serial(target).is_some());
    }
}

#[test]
fn masters_and_administrators_revoke_themselves_from_their_old_pc_and_general_users_on_request() {
    for (actor, target) in [
        // マスターユーザまたは管理者ユーザが入替前の自身のパソコンから失効操作をしてください
        ("jirodt", "jirodt"),
        ("hanakodt", "hanakodt"),
        // ＜入替するユーザが一般ユーザの場合＞マスターユーザまたは管理者ユーザに失効操作を依頼してください
        ("jirodt", "ichirodt"),
        ("hanakodt", "ichirodt"),
    ] {
        let mut world = world();
        let old = world.live_serial(target).unwrap();
        // 手順4 「確認パスワード」を入力し、「実行」
        let proofs = [Factor::CurrentCertificate, Factor::ConfirmationPassword];
        let decision = world.proving(&proofs, actor, target, revocation()).unwrap();
        assert_eq!(decision.audit.screen.as_deref(), Some("BRSK019"));
        assert!(world.outside.revoked.contains(&old));
        // 手順5 証明書状態 失効済
        assert_eq!(world.shown(target), ("失効済".to_owned(), None));
        // ③電子証明書発行アプリから電子証明書を発行: 「ログインID」「ログインパスワード」
        let issuing = world.issuing();
        let acquire = Command::Acquire { issuing, secret: None };
        world.proving(&[Factor::LoginPassword], target, target, acquire).unwrap();
        world.service(target, Command::Complete { serial: issuing.serial }).unwrap();
        assert_eq!(world.shown(target), ("発行済".to_owned(), Some("2023-10-01T03:00:00Z".to_owned())));
    }
}

#[test]
fn administrators_revoke_neither_masters_nor_each_other() {
    let mut world = world();
    for target in ["jirodt", "tarodt"] {
        assert_eq!(world.revoke("hanakodt", target).unwrap_err(), Reason::NotPermitted, "{target}");
    }
    world.revoke("jirodt", "hanakodt").unwrap();
}

#[test]
fn whoever_has_revoked_themselves_does_not_revoke_others_with_the_old_certificate() {
    let mut world = world();
    let old = world.live_serial("hanakodt").unwrap();
    world.revoke("hanakodt", "hanakodt").unwrap();
    let mut proofs = world.proofs("hanakodt", &[Factor::ConfirmationPassword]);
    proofs.push(Proof::certificate(old, &world.user("hanakodt").key, world.now));
    let denied = world.by_with("hanakodt", "ichirodt", revocation(), &proofs).unwrap_err();
    assert_eq!(denied, Reason::NotTheLiveCertificate);
}

#[test]
fn an_expired_certificate_is_acquired_again() {
    let mut world = world();
    world.now = world.now.plus_seconds(366 * DAY);
    // 電子証明書の再発行が必要になるケース: 電子証明書の有効期限が切れた場合
    assert_eq!(world.shown("ichirodt"), ("有効期限切れ".to_owned(), None));
    world.acquire("ichirodt").unwrap();
    assert_eq!(world.shown("ichirodt").0, "発行済");
}
