//! What happens while the load runs: a reload, a revocation, whatever a command can do.

use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// A command at a time: `10s=kill -HUP 1234`. It begins a phase of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// From the beginning of what counts.
    pub at: Duration,
    /// For `sh -c`.
    pub command: Arc<str>,
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at, command) = text.split_once('=').ok_or("write TIME=COMMAND: 10s='kill -HUP 1234'")?;
        let seconds: f64 = at
            .strip_suffix('s')
            .and_then(|seconds| seconds.parse().ok())
            .ok_or_else(|| format!("{at:?} is not a number of seconds such as 10s or 2.5s"))?;
        let at = Duration::try_from_secs_f64(seconds).map_err(|error| format!("{at:?}: {error}"))?;
        if command.trim().is_empty() {
            return Err("there is no command after the =".to_owned());
        }
        Ok(Self { at, command: command.into() })
    }
}

impl Mark {
    /// Runs the command to its end; its output goes to our standard error, so that ours stays readable by machines.
    pub(super) fn run(&self) -> Result<(), String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", &self.command]).stdin(Stdio::null()).stdout(std::io::stderr());
        match shell.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{:?} ended with {status}", self.command)),
            Err(error) => Err(format!("{:?} could not be run: {error}", self.command)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_time_and_a_command() {
        let mark: Mark = "2.5s=echo a=b".parse().unwrap();
        assert_eq!(mark, Mark { at: Duration::from_millis(2500), command: "echo a=b".into() });
        for wrong in ["10s", "10=x", "s=x", "-1s=x", "infs=x", "1s= ", "1m=x"] {
            assert!(wrong.parse::<Mark>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_that_fails_is_told() {
        let mark: Mark = "0s=exit 3".parse().unwrap();
        assert_eq!(mark.run(), Err("\"exit 3\" ended with exit status: 3".to_owned()));
    }
}
