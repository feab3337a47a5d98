//! The guides' two configurations fit: what the issuer of one issues, the gateway of the other reads.

use sekisho_testkit::harness as common;

use common::{PATIENCE, TestApp, binary, issuer_binary, wait_until};
use sekisho_testkit::process::{GatewayProcess, Output, ServerProcess};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const ISSUER: &str = "guide/issuer.md";
const QUICK_START: &str = "guide/quick-start.md";
const SITE: &str = "ib.example-bank.co.jp";
const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const CONTRACT: &str = "00009876543";

/// The first block of that language on a page.
fn block(page: &str, language: &str) -> String {
    let text = read(page);
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// The command on a page that begins so, its further lines joined.
#[track_caller]
fn command(page: &str, begin: &str) -> String {
    let text = read(page).replace("\\\n", "");
    let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{page}: no {begin}"));
    line.split_once(" #").map_or(line, |(command, _)| command).trim_end().to_owned()
}

fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap()
}

/// Replaces what differs from the page, which has to have it.
#[track_caller]
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from} in {text}");
    text.replace(from, to)
}

/// A folder in which the guide's lines for the issuer were run.
struct Example {
    folder: tempfile::TempDir,
}

impl Example {
    fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), around.path().join("sekisho")).unwrap();
        for made in ["bin", "issuer"] {
            std::fs::create_dir(around.path().join(made)).unwrap();
        }
        for (program, name) in [(binary(), "bin/sekisho"), (issuer_binary(), "bin/sekisho-issuer")] {
            std::os::unix::fs::symlink(program, around.path().join(name)).unwrap();
        }
        let example = Self { folder: around };
        let config = block(ISSUER, "toml");
        let config = config.replacen(":8445\"", ":0\"", 1).replacen(":8080\"", ":0\"", 1);
        let config = config.replacen("[issuer]\n", "[issuer]\nadmin = \"127.0.0.1:0\"\n", 1);
        std::fs::write(example.path("issuer.toml"), config).unwrap();
        let lines = block(ISSUER, "sh");
        example.run(lines.split_once("sekisho-issuer serve --config issuer.toml &\n").unwrap().0);
        example
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("issuer").join(name)
    }

    #[track_caller]
    fn run(&self, lines: &str) -> String {
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        let output = shell.args(["-ec", lines]).current_dir(self.path("")).env("PATH", path).output().unwrap();
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{lines}\n{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The gateway of the quick start, with the files that it says.
    fn gateway(&self, app: &TestApp) -> GatewayProcess {
        self.run(
            "mkdir -m 0700 state; (umask 077; openssl rand -hex 32 > admin.token)
            cp pki/root/root.pem bank-root-ca.pem; cp pki/issuing/issuing.pem bank-issuing-ca.pem
            cp published/bank-0.crl bank-issuing.crl
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ib \
                -CA services-ca.pem -CAkey services-ca.key -addext basicConstraints=critical,CA:false \
                -addext extendedKeyUsage=serverAuth -addext subjectAltName=DNS:ib.example-bank.co.jp \
                -keyout ib.key -out ib.pem",
        );
        let config = block(QUICK_START, "toml");
        let config = with(
            &config,
            "listen = [\"0.0.0.0:443\"]",
            "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n\
                state_folder = \"state\"\nadmin_token_file = \"admin.token\"\naccess_log = { file = \"access.log\" }",
        );
        let peers = format!("peers = [\"{}\"]", app.address().unwrap());
        let config = config.replacen("peers = [\"10.0.0.11:8080\", \"10.0.0.12:8080\"]", &peers, 1);
        std::fs::write(self.path("sekisho.toml"), config).unwrap();
        let gateway = GatewayProcess::start(binary(), &self.path("sekisho.toml"), Output::Keep, PATIENCE);
        gateway.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Calls of the bank's services.
struct Service<'a> {
    example: &'a Example,
    port: u16,
}

impl Service<'_> {
    #[track_caller]
    fn send(&self, by: &str, method: &str, path: &str, body: &Value) -> Value {
        std::fs::write(self.example.path("body.json"), body.to_string()).unwrap();
        let answer = self.example.run(&format!(
            "curl -sS --fail-with-body --cacert services-ca.pem --cert {by}-service.pem --key {by}-service.key -X {method} \
             -H 'Content-Type: application/json' -H \"Idempotency-Key: $(openssl rand -hex 16)\" \
             --data-binary @body.json https://localhost:{}{path}",
            self.port
        ));
        if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap() }
    }

    /// Registers and equips a user, and has them acquire; certificate, chain and key in files of that name.
    fn issue(&self, user: &str, role: &str) {
        let staff = json!({ "maker": "t0123", "checker": "t0456", "channel": "paper-form" });
        let desk = json!({ "maker": "t0123", "checker": "t0456", "channel": "staff-desk" });
        let users = format!("/v1/contracts/{CONTRACT}/users");
        self.send("desk", "POST", &users, &json!({ "id": user, "role": role, "staff": staff }));
        let credentials = json!({ "pin": "24681357", "one-time-password": SEED });
        self.send(
            "desk",
            "PUT",
            &format!("{users}/{user}/credentials"),
            &json!({ "credentials": credentials, "staff": desk }),
        );
        let csr = self.example.run(&format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -keyout {user}.key 2>/dev/null"
        ));
        let acquisition = json!({
            "acting_user": { "contract": CONTRACT, "user": user }, "client_address": "192.0.2.7",
            "factors": { "pin": "24681357", "one-time-password": one_time_password() }, "key": { "csr": csr },
        });
        let issued = self.send("ib", "POST", &format!("{users}/{user}/acquire"), &acquisition);
        let above = issued["chain"].as_array().unwrap().iter().map(|pem| pem.as_str().unwrap()).collect::<String>();
        std::fs::write(
            self.example.path(&format!("{user}.pem")),
            format!("{}{above}", issued["certificate"].as_str().unwrap()),
        )
        .unwrap();
    }
}

fn one_time_password() -> String {
    let secret = totp_rs::Secret::try_from_base32(SEED).unwrap();
    let totp = totp_rs::Builder::new()
        .with_algorithm(totp_rs::Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(30)
        .with_skew(0)
        .with_secret(secret.as_bytes().to_vec())
        .build()
        .unwrap();
    totp.generate(u64::try_from(sekisho_runtime::clock::now().unix()).unwrap()).to_string()
}

/// The issuance service of the guide, with an administrator and a user that have their certificates.
fn issue(example: &Example) -> ServerProcess {
    let mut command = Command::new(issuer_binary());
    command.args(["serve", "--config"]).arg(example.path("issuer.toml"));
    let issuer = ServerProcess::start(&mut command, &["api", "public", "admin"], Output::Keep, PATIENCE);
    let issuer = issuer.unwrap_or_else(|error| panic!("{error}"));
    let service = Service { example, port: issuer.address("api").port() };
    let staff = json!({ "maker": "t0123", "checker": "t0456", "channel": "paper-form" });
    service.send(
        "desk",
        "POST",
        "/v1/contracts",
        &json!({ "id": CONTRACT, "profile": "shinkin", "one_time_password": "used", "staff": staff }),
    );
    service.send("desk", "POST", &format!("/v1/contracts/{CONTRACT}/switch-on"), &json!({ "staff": staff }));
    service.issue("kanri", "administrator");
    service.issue("riyousya", "user");
    wait_until("the authority's list is there", || example.path("published/bank-0.crl").exists());
    issuer
}

#[test]
fn what_the_guides_issuer_issues_the_guides_gateway_reads() {
    let example = Example::new();
    let _issuer = issue(&example);
    let app = TestApp::new();
    let gateway = example.gateway(&app);
    for (user, expected) in [("kanri", None), ("riyousya", Some("riyousya"))] {
        let echoed = example.run(&format!(
            "curl -sS --fail-with-body --cacert services-ca.pem --cert {user}.pem --key {user}.key \
             --resolve {SITE}:{port}:127.0.0.1 https://{SITE}:{port}/echo",
            port = gateway.tls().port()
        ));
        let echoed: Value = serde_json::from_str(&echoed).unwrap_or_else(|error| panic!("{error}: {echoed}"));
        let header = |name: &str| {
            let all = echoed["headers"].as_array().unwrap().iter();
            all.clone().find(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned())
        };
        assert_eq!(header("x-sekisho-contract-id").as_deref(), Some(CONTRACT), "{echoed}");
        assert_eq!(header("x-sekisho-user-id").as_deref(), expected, "{echoed}");
    }
}

/// With the addresses and files of the example in the place of the pages'.
#[test]
fn the_commands_of_the_guides_do_what_the_guides_say() {
    let example = Example::new();
    let _issuer = issue(&example);
    let app = TestApp::new();
    let gateway = example.gateway(&app);
    example.run("cp riyousya.pem client.pem; cp riyousya.key client.key; cp services-ca.pem server-root.pem");

    assert!(example.run(&command(QUICK_START, "sekisho check ")).contains("sekisho.toml is right."));
    let decided = example.run(&command(QUICK_START, "sekisho verify "));
    assert!(decided.contains(&format!("accepted: CN={CONTRACT} riyousya 1635")), "{decided}");

    let port = gateway.tls().port();
    let request = command(QUICK_START, "curl ");
    let request = with(&request, SITE, &format!("{SITE}:{port}")) + &format!(" -sS --resolve {SITE}:{port}:127.0.0.1");
    example.run(&with(&request, "curl ", "curl --fail-with-body "));

    let ready = command(QUICK_START, "curl http://127.0.0.1:9443/readyz");
    let ready = example.run(&with(&ready, "127.0.0.1:9443", &gateway.admin().to_string()));
    assert_eq!(ready, "ready\n");

    example.run("cp sekisho.toml new.toml");
    wait_until("the authentication is in the log", || {
        std::fs::read_to_string(example.path("access.log")).is_ok_and(|log| log.contains("authentication"))
    });
    let plan = command("guide/rotation.md", "sekisho ca plan ");
    // It ends with 1 if a user is locked out and with 2 if nothing is known of any.
    example.run(&plan);
    example.run(&format!("{plan} --json"));

    let admin = format!("http://{}", gateway.admin());
    let add = command("revocation/block-list.md", "sekisho block add ");
    let add =
        with(&add, "--gateway http://10.0.0.11:9443 --gateway http://10.0.0.12:9443", &format!("--gateway {admin}"));
    example.run(&add);
    let list = with(&command("revocation/block-list.md", "sekisho block list "), "…", &admin);
    let listed = example.run(&list);
    assert!(listed.contains("laptop lost, ticket 4711"), "{listed}");
    let id = example.run(&format!("curl -sS -H \"Authorization: Bearer $(cat admin.token)\" {admin}/blocks"));
    let id: Value = serde_json::from_str(&id).unwrap();
    let id = id["blocks"][0]["id"].as_str().unwrap_or_else(|| panic!("{id}"));
    let remove = with(&command("revocation/block-list.md", "sekisho block remove "), "…", &admin);
    example.run(&with(&remove, "remove ID ", &format!("remove {id} ")));
    let listed = example.run(&list);
    assert!(!listed.contains("laptop lost, ticket 4711"), "{listed}");
}
