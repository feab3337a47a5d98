//! What was revoked stays revoked over a stop and over changes of the configuration, whatever CRL is put in place meanwhile.

use crate::common::{Gateway, Setup, Signal, TestApp, TestPki, curl, verified, wait_for, wait_until};
use crate::in_force::with_next;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const HOST: &str = "ib.localhost";
const LEAVING: &str = "client-leaving";

/// The demo's configuration with a state folder.
fn configuration(app: &TestApp) -> String {
    Setup::configuration(app).replacen("[gateway]\n", "[gateway]\nstate_folder = \"state\"\n", 1)
}

fn is_served(gateway: &Gateway, pki: &TestPki, client: &str) -> bool {
    let answer = curl(gateway, pki, Some(client), &[&gateway.url(HOST, "/echo")]);
    answer.code == 0 && answer.status() == 200
}

/// Files of the CRLs that were in force.
fn kept(pki: &TestPki) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(pki.path("state/in_force")).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "crl")).collect()
}

/// As whoever publishes a CRL.
fn put(pki: &TestPki, crls: &[u8]) {
    fs::write(pki.path("crl.new"), crls).unwrap();
    fs::rename(pki.path("crl.new"), pki.path("crl.pem")).unwrap();
}

fn alarms(gateway: &Gateway, kind: &str) -> f64 {
    gateway.metric(&format!("sekisho_crl_problems_total{{ca=\"issuing\",kind=\"{kind}\"}}"))
}

/// A gateway that has seen a client revoked, and the CRLs of before.
struct World {
    gateway: Gateway,
    pki: TestPki,
    app: TestApp,
    older: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let (pki, app) = (TestPki::new(), TestApp::new());
        pki.client(LEAVING, "00009876543 leaving 1635");
        let older = fs::read(pki.path("crl.pem")).unwrap();
        let gateway = Gateway::start(&pki, &configuration(&app));
        wait_until("the first CRLs are kept", || kept(&pki).len() == 2);
        assert!(is_served(&gateway, &pki, LEAVING));
        let before = kept(&pki);
        put(&pki, &with_next(&pki, 1_000, &[LEAVING]));
        wait_until("the CRL is in force", || !is_served(&gateway, &pki, LEAVING));
        wait_until("it is kept in place of the one before", || kept(&pki) != before && kept(&pki).len() == 2);
        Self { gateway, pki, app, older }
    }

    /// Stops it, replaces the CRLs and starts it again, ready or not.
    fn restart_with(self, crls: &[u8]) -> Self {
        let Self { mut gateway, pki, app, older } = self;
        gateway.signal(Signal::Terminate);
        assert!(gateway.wait_for_end().success());
        put(&pki, crls);
        let gateway = Gateway::listening(&pki, &configuration(&app));
        Self { gateway, pki, app, older }
    }

    fn is_served(&self, client: &str) -> bool {
        is_served(&self.gateway, &self.pki, client)
    }

    /// Has it take up a configuration.
    fn reload(&self, config: &str) {
        self.gateway.write_config(config);
        self.gateway.signal(Signal::Reload);
    }

    /// The newer CRL stays in force, and everybody is told.
    fn goes_on_by_the_newer_crl(&self) {
        let told = wait_for("it is not ready", || {
            let (status, told) = self.gateway.admin_get("/readyz");
            (status == 503).then_some(told)
        });
        assert!(!self.is_served(LEAVING) && self.is_served("client-good"));
        assert!(told.contains("crl.pem") && told.contains("rolled-back") && told.contains("state/in_force/"), "{told}");
        assert!(alarms(&self.gateway, "rolled-back") > 0.0);
    }
}

/// The CRL of a backup, still fresh.
#[test]
fn an_older_crl_put_in_place_while_the_gateway_is_stopped_is_not_believed() {
    let world = World::new();
    let (newer, older) = (fs::read(world.pki.path("crl.pem")).unwrap(), world.older.clone());
    let world = world.restart_with(&older);
    world.goes_on_by_the_newer_crl();
    let (_, said) = verified(&world.gateway, &world.pki, HOST, LEAVING);
    assert!(said.contains("refused: revoked"), "{said}");
    // As often as one likes, and until the newer one is back.
    let world = world.restart_with(&older);
    world.goes_on_by_the_newer_crl();
    let files = kept(&world.pki);
    put(&world.pki, &newer);
    wait_until("it is ready", || world.gateway.admin_get("/readyz").0 == 200);
    assert!(!world.is_served(LEAVING) && kept(&world.pki) == files);
}

fn lock(pki: &TestPki, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(pki.path("state/in_force"), mode).unwrap();
}

fn not_kept(gateway: &Gateway) -> f64 {
    gateway.metric("sekisho_crls_not_stored")
}

#[test]
fn a_crl_that_cannot_be_kept_is_shown_and_tried_again_without_another_load() {
    let world = World::new();
    assert!(not_kept(&world.gateway) < 0.5);
    let before = kept(&world.pki);
    // No file that changes makes a load: only who asks for one.
    let unwatched = configuration(&world.app).replacen("watch_files = true", "watch_files = false", 1);
    let reloads = || world.gateway.metric("sekisho_reloads_total{outcome=\"published\"}");
    let at_first = reloads();
    world.reload(&unwatched);
    wait_until("files are not watched", || reloads() > at_first);
    // A folder that others may write to is not used.
    lock(&world.pki, 0o777);
    put(&world.pki, &with_next(&world.pki, 1_001, &[LEAVING]));
    world.gateway.signal(Signal::Reload);
    wait_until("it shows", || not_kept(&world.gateway) > 0.5);
    assert_eq!(kept(&world.pki), before);
    lock(&world.pki, 0o700);
    wait_until("it is kept", || not_kept(&world.gateway) < 0.5);
    assert!(kept(&world.pki) != before && kept(&world.pki).len() == 2);
    // And a start knows it.
    let older = world.older.clone();
    let world = world.restart_with(&older);
    world.goes_on_by_the_newer_crl();
}

/// What was withdrawn is on the disk before the CRLs go that had it; until it is, both are missing there.
#[test]
fn what_was_withdrawn_and_cannot_be_written_is_shown_and_forgotten_by_no_start() {
    let world = World::new();
    let before = kept(&world.pki);
    // In the place of the unfinished file.
    fs::create_dir(world.pki.path("state/.withdrawn.new")).unwrap();
    let without = with_next(&world.pki, 1_001, &[]);
    put(&world.pki, &without);
    wait_until("it shows", || not_kept(&world.gateway) > 0.5);
    assert!(!world.is_served(LEAVING));
    assert_eq!(kept(&world.pki), before);
    let world = world.restart_with(&without);
    assert!(!world.is_served(LEAVING) && world.is_served("client-good"));
    fs::remove_dir(world.pki.path("state/.withdrawn.new")).unwrap();
    world.gateway.signal(Signal::Reload);
    wait_until("it is kept", || not_kept(&world.gateway) < 0.5 && kept(&world.pki) != before);
    let world = world.restart_with(&without);
    assert!(!world.is_served(LEAVING) && world.is_served("client-good"));
}

/// Between the two a death would forget it, where its CRL is not put in place again.
#[test]
fn what_was_withdrawn_stays_on_the_disk_until_the_crl_that_has_it_again_is_kept() {
    let world = World::new();
    let withdrawn = || fs::read_to_string(world.pki.path("state/withdrawn")).unwrap_or_default();
    let count = || world.gateway.metric("sekisho_withdrawn_revocations{ca=\"issuing\"}");
    // The CRL of the start has others that its successors lack.
    let at_first = count();
    let serial: String =
        world.pki.serial(LEAVING).unwrap().as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    let before = kept(&world.pki);
    let without = with_next(&world.pki, 1_001, &[]);
    let next = with_next(&world.pki, 1_002, &[LEAVING]);
    put(&world.pki, &without);
    wait_until("it is on the disk", || withdrawn().contains(&serial) && kept(&world.pki) != before);
    wait_until("it is shown", || count() > at_first + 0.5);
    lock(&world.pki, 0o777);
    put(&world.pki, &next);
    wait_until("a CRL has it again", || count() < at_first + 0.5);
    // The load is over that could have taken the line out.
    let reloads = || world.gateway.metric("sekisho_reloads_total{outcome=\"published\"}");
    let reloaded = |before: f64| {
        world.gateway.signal(Signal::Reload);
        wait_until("it is reloaded", || reloads() > before);
    };
    reloaded(reloads());
    wait_until("it is not kept", || not_kept(&world.gateway) > 0.5);
    assert!(withdrawn().contains(&serial));
    lock(&world.pki, 0o700);
    wait_until("it is kept", || not_kept(&world.gateway) < 0.5);
    reloaded(reloads());
    wait_until("the line is gone", || !withdrawn().contains(&serial));
}

#[test]
fn a_newer_crl_put_in_place_while_the_gateway_is_stopped_undoes_no_revocation() {
    let world = World::new();
    let next = with_next(&world.pki, 1_001, &[]);
    let world = world.restart_with(&next);
    assert!(!world.is_served(LEAVING) && world.is_served("client-good"));
    assert!(alarms(&world.gateway, "withdrawn") > 0.0);
    assert_eq!(world.gateway.admin_get("/readyz").0, 200);
    let next = with_next(&world.pki, 1_002, &[]);
    let world = world.restart_with(&next);
    assert!(!world.is_served(LEAVING) && alarms(&world.gateway, "withdrawn") < 0.5, "told once");
}

#[test]
fn a_crl_that_was_in_force_and_is_damaged_stops_the_start_unless_its_source_has_it() {
    let world = World::new();
    let (newer, older) = (fs::read(world.pki.path("crl.pem")).unwrap(), world.older.clone());
    let files = kept(&world.pki);
    let spoil = || {
        for file in &files {
            let mut octets = fs::read(file).unwrap();
            let middle = octets.len() / 2;
            octets[middle] ^= 1;
            fs::write(file, octets).unwrap();
        }
    };
    spoil();
    let world = world.restart_with(&newer);
    assert!(!world.is_served(LEAVING) && world.is_served("client-good"), "nothing of it is needed");
    let World { gateway, pki, app, .. } = world;
    drop(gateway);
    put(&pki, &older);
    let (status, output) = Gateway::refused(&pki, &configuration(&app));
    assert!(!status.success() && output.contains("state/in_force/") && output.contains("it is damaged"), "{output}");
    assert!(output.contains("sekisho.toml:") && output.contains("or remove it"), "{output}");
    // A backup of it will do.
    spoil();
    let gateway = Gateway::listening(&pki, &configuration(&app));
    assert!(!is_served(&gateway, &pki, LEAVING));
    drop(gateway);
    // And who removes it believes the CRLs of the sources.
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    let gateway = Gateway::start(&pki, &configuration(&app));
    assert!(is_served(&gateway, &pki, LEAVING));
}

/// The configuration while a CA is not asked about, and while another CA has its place.
fn changes(config: &str) -> [(&'static str, String); 2] {
    let (root, issuing) = config.split_once("issued_by = \"root\"\n").unwrap();
    let source = "revocation = { crl = [\"crl.pem\"] }";
    let unchecked = issuing.replacen(source, "revocation = \"none\"", 1);
    let unchecked = format!("{root}issued_by = \"root\"\n{unchecked}");
    let other = config.replace(source, "revocation = \"none\"");
    let other = ["root-ca.pem", "issuing-ca.pem"]
        .iter()
        .fold(other, |config, name| config.replace(&format!("\"{name}\""), &format!("\"other-{name}\"")));
    [(LEAVING, unchecked), ("client-other-ca", other)]
}

#[test]
fn what_a_crl_withdrew_stays_revoked_when_its_ca_has_another_source_or_key_for_a_while() {
    let world = World::new();
    let config = configuration(&world.app);
    put(&world.pki, &with_next(&world.pki, 1_001, &[]));
    wait_until("it is withdrawn", || alarms(&world.gateway, "withdrawn") > 0.0);
    assert!(!world.is_served(LEAVING));
    for (served, changed) in changes(&config) {
        world.reload(&changed);
        wait_until(&format!("{served} is served"), || world.is_served(served));
        world.reload(&config);
        wait_until("the CA is as before", || world.is_served("client-good") && !world.is_served(LEAVING));
    }
}

#[test]
fn a_ca_that_comes_back_with_its_source_or_key_has_the_crl_that_it_had() {
    let mut world = World::new();
    let config = configuration(&world.app);
    let newer = fs::read(world.pki.path("crl.pem")).unwrap();
    for (served, changed) in changes(&config) {
        world.reload(&changed);
        wait_until(&format!("{served} is served"), || world.is_served(served));
        put(&world.pki, &world.older);
        world.reload(&config);
        world.goes_on_by_the_newer_crl();
        // While it is not there, its CRL stays for when it is.
        let older = world.older.clone();
        let files = kept(&world.pki);
        let World { mut gateway, pki, app, .. } = world;
        gateway.signal(Signal::Terminate);
        assert!(gateway.wait_for_end().success());
        gateway = Gateway::start(&pki, &changed);
        assert_eq!(kept(&pki), files);
        drop(gateway);
        gateway = Gateway::listening(&pki, &config);
        world = World { gateway, pki, app, older };
        world.goes_on_by_the_newer_crl();
        put(&world.pki, &newer);
        wait_until("the newer one is back", || world.gateway.admin_get("/readyz").0 == 200);
    }
}
