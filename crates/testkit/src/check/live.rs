//! A certificate is revoked while its connections are open.

use super::super::pki::{ClientRequest, PkiDir};
use super::super::process::poll;
use super::{Target, says_alert};
use sekisho_runtime::clock;
use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The certificate that is revoked.
const LEAVING: &str = "client-leaving";

/// How long any one step may take: the file watch, the reload and a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Revokes a certificate with three connections open; each claim and whether it held.
pub fn check_live_revocation(pki: &mut PkiDir, target: Target<'_>) -> Vec<(String, Result<(), String>)> {
    match Live::open(pki, target) {
        Ok(live) => live.revoke(pki, target),
        Err(error) => vec![("a certificate is revoked while it is used".to_owned(), Err(error))],
    }
}

/// Connections open before the revocation.
struct Live {
    kept_alive: Conversation,
    streaming: Conversation,
    other_streaming: Conversation,
}

impl Live {
    fn open(pki: &PkiDir, target: Target<'_>) -> Result<Self, String> {
        let request = ClientRequest::good("00009876543 leaving 1635", clock::now());
        pki.issue_client(LEAVING, &request).map_err(|error| error.to_string())?;
        let mut kept_alive = Conversation::begin(&mut s_client(target))?;
        kept_alive.say(REQUEST)?;
        kept_alive.hear("leaving")?;
        let mut streaming = Conversation::begin(&mut curl(target, LEAVING, "/stream?seconds=120"))?;
        streaming.hear("line 1")?;
        let mut other_streaming = Conversation::begin(&mut curl(target, "client-good", "/stream?seconds=120"))?;
        other_streaming.hear("line 1")?;
        Ok(Self { kept_alive, streaming, other_streaming })
    }

    fn revoke(mut self, pki: &mut PkiDir, target: Target<'_>) -> Vec<(String, Result<(), String>)> {
        let revoked = pki.serial(LEAVING).and_then(|serial| pki.revoke(&[serial], clock::now()));
        if let Err(error) = revoked {
            return vec![("a certificate is revoked".to_owned(), Err(error.to_string()))];
        }
        let refused = poll(PATIENCE, || {
            let output = curl(target, LEAVING, "/").output().ok()?;
            says_alert(&String::from_utf8_lossy(&output.stderr), "certificate revoked").then_some(())
        });
        let claim = |text: &str, result| (text.to_owned(), result);
        vec![
            claim("revoked live: a new connection is refused", refused.ok_or_else(|| "still accepted".to_owned())),
            claim("revoked live: the next request of a kept-alive connection is refused", self.next_request()),
            claim("revoked live: an answer being streamed is cut", self.streaming.end().map(|_| ())),
            claim("another certificate's stream goes on", self.other_goes_on()),
        ]
    }

    fn next_request(&mut self) -> Result<(), String> {
        // Fails when the gateway has closed the connection already, which is a refusal.
        let _ = self.kept_alive.say(REQUEST);
        let heard = self.kept_alive.end()?;
        if heard.matches("HTTP/1.1 200").count() == 1 { Ok(()) } else { Err(format!("answered: {heard}")) }
    }

    fn other_goes_on(&mut self) -> Result<(), String> {
        // What was said before the revocation may still lie in the pipe: only what comes after it counts.
        while let Ok(heard) = self.other_streaming.hearing.try_recv() {
            self.other_streaming.heard.push_str(&String::from_utf8_lossy(&heard));
        }
        let lines = self.other_streaming.heard.matches("line").count();
        self.other_streaming.hear(&format!("line {}", lines + 5))
    }
}

const REQUEST: &str = "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\n\r\n";

fn s_client(target: Target<'_>) -> Command {
    let mut command = Command::new("openssl");
    let file = |name: &str| target.certificates.join(name);
    command.args(["s_client", "-quiet", "-servername", "ib.localhost", "-connect", &target.gateway.to_string()]);
    command.arg("-CAfile").arg(file("server-ca.pem"));
    command.arg("-cert").arg(file(&format!("{LEAVING}.pem")));
    command.arg("-key").arg(file(&format!("{LEAVING}.key")));
    command.arg("-cert_chain").arg(file(&format!("{LEAVING}.pem")));
    command
}

fn curl(target: Target<'_>, client: &str, path: &str) -> Command {
    let mut command = Command::new("curl");
    let file = |name: &str| target.certificates.join(name);
    let port = target.gateway.port();
    command.args(["-sS", "--no-buffer", "--resolve", &format!("*:{port}:{}", target.gateway.ip())]);
    command.arg("--cacert").arg(file("server-ca.pem"));
    command.arg("--cert").arg(file(&format!("{client}.pem"))).arg("--key").arg(file(&format!("{client}.key")));
    command.arg(format!("https://ib.localhost:{port}{path}"));
    command
}

/// A child that is spoken to and listened to; killed when dropped.
struct Conversation {
    child: Child,
    hearing: Receiver<Vec<u8>>,
    heard: String,
}

impl Conversation {
    fn begin(command: &mut Command) -> Result<Self, String> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let (heard, hearing) = channel();
        if let Some(mut output) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut buffer) {
                    if heard.send(buffer.iter().take(count).copied().collect()).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { child, hearing, heard: String::new() })
    }

    fn say(&mut self, text: &str) -> Result<(), String> {
        let stdin = self.child.stdin.as_mut().ok_or("no way to speak to it")?;
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).map_err(|error| error.to_string())
    }

    /// Listens until `text` was said.
    fn hear(&mut self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !self.heard.contains(text) {
            match self.listen(deadline) {
                Ok(()) => {}
                Err(error) => return Err(format!("{error:?} before \"{text}\"; heard: {}", self.heard)),
            }
        }
        Ok(())
    }

    /// Listens until the other end has no more to say: everything heard.
    fn end(&mut self) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.listen(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(std::mem::take(&mut self.heard)),
                Err(RecvTimeoutError::Timeout) => return Err("not cut".to_owned()),
            }
        }
    }

    fn listen(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let heard = self.hearing.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.heard.push_str(&String::from_utf8_lossy(&heard));
        // A peer that never stops talking must not outlast the deadline.
        if Instant::now() > deadline { Err(RecvTimeoutError::Timeout) } else { Ok(()) }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
