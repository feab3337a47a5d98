//! The steps of a decision, told to whoever asks (`sekisho verify`); on the hot path nobody does.

use super::types::Refusal;
use std::fmt;

/// A step of the decision, in the order they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepName {
    /// Number and size of the presented certificates.
    Budget,
    /// Their encoding.
    Parse,
    /// Candidate paths to a configured CA, by name.
    Path,
    /// Keys, signature algorithms, critical extensions.
    Algorithms,
    /// Signatures, basic constraints and name constraints (RFC 5280 section 6.1).
    Signatures,
    /// Key usage and extended key usage.
    Usage,
    /// The site accepts the CA.
    Site,
    /// The CN.
    Identity,
    /// Validity and revocation now.
    Standing,
}

/// One step and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// How it went.
    pub outcome: Outcome,
}

/// How a step went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed; what was seen, in English.
    Passed(String),
    /// It did not.
    Refused(Refusal),
}

/// Where steps are told.
pub(super) struct Trace<'a> {
    sink: Option<&'a mut dyn FnMut(Step)>,
    reached: StepName,
}

impl<'a> Trace<'a> {
    pub(super) fn off() -> Self {
        Self { sink: None, reached: StepName::Budget }
    }

    pub(super) fn to(sink: &'a mut dyn FnMut(Step)) -> Self {
        Self { sink: Some(sink), reached: StepName::Budget }
    }

    /// The step last taken.
    pub(super) fn reached(&self) -> StepName {
        self.reached
    }

    /// Takes a step; `describe` runs only if somebody listens.
    pub(super) fn step<T, E: AsRef<Refusal>>(
        &mut self,
        name: StepName,
        work: impl FnOnce() -> Result<T, E>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<T, E> {
        self.reached = name;
        let result = work();
        if let Some(sink) = &mut self.sink {
            let outcome = match &result {
                Ok(value) => Outcome::Passed(describe(value)),
                Err(denial) => Outcome::Refused(denial.as_ref().clone()),
            };
            sink(Step { name, outcome });
        }
        result
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Budget => "budget",
            Self::Parse => "parse",
            Self::Path => "path",
            Self::Algorithms => "algorithms",
            Self::Signatures => "signatures",
            Self::Usage => "usage",
            Self::Site => "site",
            Self::Identity => "identity",
            Self::Standing => "standing",
        })
    }
}
