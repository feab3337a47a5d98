//! What may be wrong beside a CRL, and must not keep it out of force.

use super::{Gateway, TestPki, wait_until};
use std::fs;

/// One thing that is wrong, made of the files of the demo's PKI.
pub struct Neighbour {
    pub what: &'static str,
    /// What `/readyz` names it by.
    pub named: &'static str,
    files: &'static [(&'static str, Broken)],
}

#[derive(Clone, Copy)]
enum Broken {
    /// Gone.
    Missing,
    /// No PEM.
    Garbage,
    /// Its first half.
    Half,
    /// With a key that nobody knows.
    Typo,
    /// Another file of the PKI.
    Other(&'static str),
}

pub const NEIGHBOURS: [Neighbour; 8] = [
    Neighbour {
        what: "a key of another certificate",
        named: "portal.localhost.key",
        files: &[("portal.localhost.key", Broken::Other("ib.localhost.key"))],
    },
    Neighbour {
        what: "half a server certificate",
        named: "portal.localhost.pem",
        files: &[("portal.localhost.pem", Broken::Half)],
    },
    Neighbour {
        what: "no server certificate",
        named: "portal.localhost.pem",
        files: &[("portal.localhost.pem", Broken::Missing)],
    },
    Neighbour { what: "a typo in the configuration", named: "sekisho.toml", files: &[("sekisho.toml", Broken::Typo)] },
    Neighbour { what: "half a configuration", named: "sekisho.toml", files: &[("sekisho.toml", Broken::Half)] },
    Neighbour { what: "no configuration", named: "sekisho.toml", files: &[("sekisho.toml", Broken::Missing)] },
    Neighbour { what: "garbage for a CA", named: "root-ca.pem", files: &[("root-ca.pem", Broken::Garbage)] },
    Neighbour {
        what: "another certificate of a CA, and a broken key",
        named: "portal.localhost.key",
        files: &[("portal.localhost.key", Broken::Garbage), ("issuing-ca.pem", Broken::Other("other-issuing-ca.pem"))],
    },
];

/// Breaks it, and waits until the gateway has seen that; then `check`s, repairs it, and waits until that is seen, too.
pub fn with_broken(neighbour: &Neighbour, pki: &TestPki, gateway: &Gateway, check: impl FnOnce()) {
    let what = neighbour.what;
    let before: Vec<_> = neighbour.files.iter().map(|(file, _)| fs::read(pki.path(file)).unwrap()).collect();
    for ((file, broken), content) in neighbour.files.iter().zip(&before) {
        let path = pki.path(file);
        match broken {
            Broken::Missing => fs::remove_file(path).unwrap(),
            Broken::Garbage => fs::write(path, "garbage").unwrap(),
            Broken::Half => fs::write(path, &content[..content.len() / 2]).unwrap(),
            Broken::Typo => fs::write(path, [content.as_slice(), b"\n[[site]]\nlissten = 1\n"].concat()).unwrap(),
            Broken::Other(other) => fs::write(path, fs::read(pki.path(other)).unwrap()).unwrap(),
        }
    }
    let readiness = || gateway.admin_get("/readyz");
    wait_until(&format!("the gateway has seen {what}"), || {
        let (status, told) = readiness();
        status == 503 && told.contains("reload refused since") && told.contains(neighbour.named)
    });
    assert!(gateway.metric("sekisho_config_last_reload_successful").abs() < f64::EPSILON, "{what}");
    assert!(gateway.metric("sekisho_config_reload_refused_since_timestamp_seconds") > 0.0, "{what}");
    check();
    for ((file, _), content) in neighbour.files.iter().zip(&before) {
        fs::write(pki.path(file), content).unwrap();
    }
    wait_until(&format!("{what} is repaired"), || readiness().0 == 200);
    assert!((gateway.metric("sekisho_config_last_reload_successful") - 1.0).abs() < f64::EPSILON, "{what}");
}
