//! The curl lines of the demo as data: shown by `sekisho-demo`, run by `sekisho-demo --check`.

mod lines;
mod live;

pub use lines::{Expectation, Line, lines};
pub use live::check_live_revocation;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Where curl finds the gateway and the certificates.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The gateway's TLS address.
    pub gateway: SocketAddr,
    /// The PKI's folder.
    pub certificates: &'a Path,
}

/// What a line's run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Not so: what was seen.
    Fail(String),
}

/// curl's last line of output, by which status and version are told from the body.
const WRITE_OUT: &str = "\nHTTP/%{http_version} %{http_code}";

impl Line {
    /// The arguments of curl, without those that only the check needs.
    pub fn curl_arguments(&self, target: Target<'_>) -> Vec<String> {
        let file = |name: &str| target.certificates.join(name).display().to_string();
        let port = target.gateway.port();
        let mut arguments =
            vec!["--resolve".to_owned(), format!("*:{port}:{}", target.gateway.ip()), "--cacert".to_owned()];
        arguments.push(file("server-ca.pem"));
        if let Some(client) = self.client {
            arguments.extend(["--cert".to_owned(), file(&format!("{client}.pem"))]);
            arguments.extend(["--key".to_owned(), file(&format!("{client}.key"))]);
        }
        arguments.extend(self.arguments.iter().map(|argument| (*argument).to_owned()));
        arguments.push(format!("https://{}:{port}{}", self.site, self.path));
        arguments
    }

    /// The line as one types it in a shell.
    pub fn command(&self, target: Target<'_>) -> String {
        let arguments = self.curl_arguments(target);
        arguments.iter().fold("curl".to_owned(), |line, argument| line + " " + &quoted(argument))
    }

    /// Runs the line with the real curl.
    pub fn run(&self, target: Target<'_>) -> Verdict {
        let fixed = ["--silent", "--show-error", "--max-time", "20", "--write-out", WRITE_OUT];
        let output = Command::new("curl").args(fixed).args(self.curl_arguments(target)).output();
        match output {
            Ok(output) => self.expectation.judge(
                output.status.code(),
                &String::from_utf8_lossy(&output.stdout),
                &String::from_utf8_lossy(&output.stderr),
            ),
            Err(error) => Verdict::Fail(format!("curl cannot be run ({error}): apt-get install curl")),
        }
    }
}

impl Expectation {
    /// Whether curl's exit code, output and errors are what was expected.
    fn judge(&self, code: Option<i32>, output: &str, errors: &str) -> Verdict {
        let seen = || Verdict::Fail(format!("curl exited {code:?}: {} {}", errors.trim(), shortened(output)));
        match self {
            Self::Answer { status, contains, lacks } => {
                let (body, last_line) = output.rsplit_once('\n').unwrap_or(("", output));
                let right_status = last_line.ends_with(&format!(" {status}"));
                // The last line is searched too: some lines expect a version there.
                if code == Some(0)
                    && right_status
                    && contains.iter().all(|text| output.contains(text))
                    && !lacks.iter().any(|text| body.contains(text))
                {
                    Verdict::Pass
                } else {
                    seen()
                }
            }
            // No status: nothing of HTTP was answered.
            Self::Alert(alert) if code != Some(0) && output.trim() == "HTTP/0 000" && says_alert(errors, alert) => {
                Verdict::Pass
            }
            Self::Alert(_) => seen(),
        }
    }
}

/// `… alert certificate expired …`, as OpenSSL writes it.
fn says_alert(errors: &str, alert: &str) -> bool {
    errors.contains(&format!("alert {alert}"))
}

fn shortened(output: &str) -> String {
    output.trim().chars().take(400).collect()
}

/// Single quotes around what the shell would read otherwise.
fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@,%".contains(character);
    if argument.chars().all(plain) { argument.to_owned() } else { format!("'{}'", argument.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVOKED: &str =
        "curl: (56) OpenSSL SSL_read: error:0A000414:SSL routines::sslv3 alert certificate revoked, errno 0";

    #[test]
    fn an_alert_passes_only_when_it_is_the_true_one_and_nothing_was_answered() {
        let expected = Expectation::Alert("certificate revoked");
        assert_eq!(expected.judge(Some(56), "\nHTTP/0 000", REVOKED), Verdict::Pass);
        for (code, output, errors) in [
            (Some(0), "\nHTTP/0 000", REVOKED),
            (Some(56), "secret\nHTTP/1.1 200", REVOKED),
            (Some(56), "\nHTTP/0 000", "sslv3 alert certificate expired"),
            (Some(7), "\nHTTP/0 000", "curl: (7) Failed to connect"),
        ] {
            assert_ne!(expected.judge(code, output, errors), Verdict::Pass, "{output} {errors}");
        }
    }

    #[test]
    fn an_answer_passes_only_with_its_status_and_words_and_without_forged_ones() {
        let expected = Expectation::Answer { status: 200, contains: &["00009876543"], lacks: &["11111111111"] };
        assert_eq!(expected.judge(Some(0), "00009876543\nHTTP/1.1 200", ""), Verdict::Pass);
        for output in
            ["00009876543\nHTTP/1.1 403", "none\nHTTP/1.1 200", "00009876543 11111111111\nHTTP/1.1 200", "00009876543"]
        {
            assert_ne!(expected.judge(Some(0), output, ""), Verdict::Pass, "{output}");
        }
        assert_ne!(expected.judge(Some(18), "00009876543\nHTTP/1.1 200", ""), Verdict::Pass, "a body cut short");
    }

    #[test]
    fn a_line_can_be_pasted_into_a_shell() {
        let line = lines().into_iter().find(|line| line.arguments.contains(&"-H")).unwrap();
        let target = Target { gateway: ([127, 0, 0, 1], 8443).into(), certificates: Path::new("certs/dev") };
        let command = line.command(target).replacen("curl", "printf '%s\\n'", 1);
        let shell = Command::new("sh").args(["-c", &command]).output().unwrap();
        let words: Vec<_> = std::str::from_utf8(&shell.stdout).unwrap().lines().collect();
        assert_eq!(words, line.curl_arguments(target));
    }
}
