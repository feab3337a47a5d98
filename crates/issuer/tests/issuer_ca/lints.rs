use crate::python;
use crate::support::{Hierarchy, name, now, points, text, tool};
use sekisho_ca::KeyKind;
use sekisho_ca::crl::{
    Due, Hold, HoldState, Holds, NextBase, PartCount, PartIndex, Reason, RevocationRegister, Revoked,
};
use sekisho_ca::hierarchy;
use sekisho_ca::ocsp::{AnswerCache, CertificateStatus, Responder, Signer, StatusLookup, StatusUnavailable};
use sekisho_ca::p12::DeliveredKey;
use sekisho_ca::serial;
use sekisho_ca::validity::{Rounding, Validity};
use sekisho_pki::serial::SerialNumber;
use std::path::Path;

struct Revocation;

impl StatusLookup for Revocation {
    fn status(&self, _: &SerialNumber) -> Result<CertificateStatus, StatusUnavailable> {
        Ok(CertificateStatus::Revoked { at: now().plus_seconds(-60), reason: Reason::Superseded })
    }
}

/// Lints one file: no finding of an error, and the linter must see one in a file that is damaged.
fn lint(programs: &Path, folder: &Path, line: &str) {
    let output = tool(folder, &format!("{}/{line}", programs.display()));
    let found = text(&output);
    let is_error = |line: &&str| line.contains("(ERROR)") || line.contains("(FATAL)") || line.contains("Traceback");
    let errors: Vec<_> = found.lines().filter(is_error).collect();
    assert!(errors.is_empty() && output.status.code() == Some(0), "{line}\n{found}");
}

#[test]
fn pkilint_finds_no_error_in_certificates_lists_and_ocsp_answers() {
    let Some(programs) = python::programs("pkilint==0.13.3", "pkilint") else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (kind, parts) in [(KeyKind::EcdsaP256, 4), (KeyKind::EcdsaP384, 1)] {
        let hierarchy = Hierarchy::of(kind, points(parts, true));
        let validity = Validity::one_year(now(), Rounding::EndOfDay);
        let responder = hierarchy::ocsp_responder(&name("OCSP"), kind, validity, &hierarchy.issuing).unwrap();
        let (user, _) = hierarchy.user("logid031 A001 20200304153656560435", DeliveredKey::Rsa2048);
        hierarchy.write(folder);
        crate::support::write_pem(&folder.join("user.pem"), &user);
        crate::support::write_pem(&folder.join("responder.pem"), &responder.certificate);
        for file in ["root", "issuing", "user", "responder"] {
            lint(&programs, folder, &format!("lint_pkix_cert lint -s ERROR {file}.pem"));
        }
        for (issuer, subject) in [("root", "issuing"), ("issuing", "user"), ("issuing", "responder")] {
            let line = format!("lint_pkix_signer_signee_cert_chain lint -s ERROR {issuer}.pem {subject}.pem");
            lint(&programs, folder, &line);
        }

        let mut register = RevocationRegister::new(PartCount::new(parts).unwrap());
        let at = now();
        let due = Due { this_update: at, next_update: at.plus_seconds(86_400) };
        let part = PartIndex::all(PartCount::new(parts).unwrap()).last().unwrap();
        let revoke = |register: &mut RevocationRegister| {
            for reason in [Reason::Unspecified, Reason::KeyCompromise, Reason::Superseded, Reason::CessationOfOperation]
            {
                for _ in 0..8 {
                    let serial = serial::random().unwrap();
                    register.revoke(&Revoked { serial, at, reason, not_after: user.not_after() }).unwrap();
                }
            }
        };
        let empty = register.sign_full(&hierarchy.issuing, part, due).unwrap();
        revoke(&mut register);
        let full = register.sign_full(&hierarchy.issuing, part, due).unwrap();
        revoke(&mut register);
        let number = register.next_number(part).unwrap();
        let delta = register.delta(&hierarchy.issuing, part, number, due).unwrap().sign(&hierarchy.issuing).unwrap();
        // As they are published: a full list and its delta of one number, with a hold and one that is over.
        let held = Hold { serial: serial::random().unwrap(), at, state: HoldState::Held };
        let released = Hold { serial: serial::random().unwrap(), at, state: HoldState::Released };
        let mut published = RevocationRegister::new(PartCount::new(parts).unwrap());
        let lists = |register: &mut RevocationRegister, holds| {
            let number = register.next_number(part).unwrap();
            let lists = register.lists(&hierarchy.issuing, part, number, due, holds, NextBase::Same).unwrap();
            (lists.full.sign(&hierarchy.issuing).unwrap(), lists.delta.unwrap().sign(&hierarchy.issuing).unwrap())
        };
        let (first, of_first) = lists(&mut published, Holds::default());
        revoke(&mut published);
        let (second, of_second) = lists(&mut published, Holds { held: &[held], changed: &[held, released] });
        for list in [&empty, &full, &delta, &first, &of_first, &second, &of_second] {
            std::fs::write(folder.join("list.crl"), &list.der).unwrap();
            lint(&programs, folder, "lint_crl lint -s ERROR -t CRL -p PKIX list.crl");
        }

        let signer = Signer::Delegate { certificate: responder.certificate, key: Box::new(responder.key) };
        let authority = hierarchy.issuing.certificate();
        let responder = Responder::new(authority, signer, 3_600, AnswerCache::default()).unwrap();
        crate::support::succeeds(folder, "openssl ocsp -issuer issuing.pem -cert user.pem -reqout request.der");
        let body = std::fs::read(folder.join("request.der")).unwrap();
        let answer = responder.post(&body, &Revocation, now()).unwrap();
        std::fs::write(folder.join("answer.der"), &answer.der).unwrap();
        lint(&programs, folder, "lint_ocsp_response lint -s ERROR answer.der");
    }
    // The linter is not asleep: a certificate as its own list.
    let output = tool(folder, &format!("{}/lint_crl lint -s ERROR -t CRL -p PKIX user.pem", programs.display()));
    assert!(!output.status.success(), "{}", text(&output));
}
