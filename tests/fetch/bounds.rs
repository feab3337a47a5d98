//! What is fetched for whom at once, how much of it, and for how long.

use crate::common::wait_until;
use crate::ground::{Ground, list};
use crate::server::{Answer, RawServer};
use sekisho_config::RevocationSource;
use sekisho_pki::serial::SerialNumber;
use sekisho_runtime::clock;
use sekisho_trust::sources::{Fetched, PointError};
use sekisho_trust::{Question, RevocationStatus, Subject};

/// Downloads at once for each CA.
const DOWNLOADS: usize = 8;
/// Distribution points of a CA.
const POINTS: usize = 256;

fn points_of(when_stale: &str) -> Ground {
    let revocation = format!("{{ distribution_points = [\"127.0.0.1:*\"], when_stale = \"{when_stale}\" }}");
    Ground::with("interval = \"1s\"", |_| revocation)
}

#[test]
fn slow_servers_of_one_ca_do_not_hold_up_another_s_list() {
    let good = RawServer::new(Answer::Close);
    let slow = |url: &str| {
        let urls: Vec<_> = (0..64).map(|number| format!("\"{url}?{number}\"")).collect();
        format!("{{ crl_urls = [{}] }}", urls.join(", "))
    };
    let of_other = format!("{{ crl_urls = [\"{}\"] }}", good.url());
    let mut ground = Ground::with_both("timeout = \"15s\"", slow, &of_other);
    good.answer(Answer::List(list(&ground.other, 5).sign()));
    ground.server.answer(Answer::Silence);
    let both = ground.config.clone();
    ground.config.cas[1].revocation = RevocationSource::None;
    ground.follow();
    wait_until("the slow one is asked", || ground.server.requests().len() >= DOWNLOADS);
    ground.config = both;
    ground.follow();
    let first = ground.next();
    assert_eq!((&*first.target.ca, first.outcome), ("b", Ok(Fetched::New)), "before the first gives up");
    assert_eq!(ground.server.requests().len(), DOWNLOADS, "a CA has no more at once");
}

#[test]
fn as_many_distribution_points_as_may_be_are_known_and_one_more_is_not() {
    let ground = points_of("closed");
    ground.server.answer(Answer::Silence);
    ground.follow();
    let url = |number: usize| format!("{}?{number}", ground.server.url());
    (0..POINTS).for_each(|number| ground.point(&url(number)).unwrap());
    assert_eq!(ground.point(&url(POINTS)), Err(PointError::TooMany));
    assert_eq!(ground.point(&url(0)), Ok(()), "one that is known already");
    assert_eq!(ground.fetcher.status().len(), POINTS);
}

#[test]
fn a_point_s_list_is_forgotten_a_month_after_its_end_where_it_lets_nobody_in_beside_whom_it_revokes() {
    for (when_stale, after, stays) in
        [("closed", -3_600, true), ("closed", 60, false), ("open", 60, true), ("report-only", 60, true)]
    {
        let ground = points_of(when_stale);
        let ended = clock::now().plus_seconds(-31 * 86_400 - after);
        let old = ground.ca.list().number(5).this_update(ended.plus_seconds(-60)).next_update(ended).revoke(&[7]);
        ground.server.answer(Answer::List(old.sign()));
        ground.follow();
        ground.point(&ground.server.url()).unwrap();
        assert_eq!(ground.next().outcome, Ok(Fetched::New));
        ground.server.answer(Answer::Close);
        // The second begins after what came of the first was looked at.
        for _ in 0..if stays { 2 } else { 1 } {
            assert!(ground.next().outcome.is_err());
        }
        wait_until("it is looked at", || ground.files().1.len() == usize::from(stays));
        let serial = SerialNumber::from_der_content(&[7]).unwrap();
        let issuer = ground.ca.certificate.authority_key();
        let question = Question { issuer: &issuer, serial: &serial, subject: Subject::EndEntity, points: Some(&[]) };
        // As after a restart.
        let status = ground.loaded().revocation(&question, clock::now());
        assert_eq!(matches!(status, RevocationStatus::Revoked { .. }), stays, "{when_stale} {after}: {status:?}");
    }
}
