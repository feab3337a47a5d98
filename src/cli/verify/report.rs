//! What `sekisho verify` prints.

use super::ground::Ground;
use crate::gateway::verify::{Outcome, Refusal, Step, VerifiedClient};
use sekisho_pki::time::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;

type Decision = Result<VerifiedClient, Refusal>;

/// Lines for people: each step, then the decision.
pub(super) fn text(decision: &Decision, steps: &[Step], ground: &Ground, now: Timestamp) -> String {
    let mut text = format!("at          {now}\n");
    for alarm in &ground.alarms {
        let _ = writeln!(text, "{:<11} {alarm}", "warning");
    }
    for unknown in &ground.unknown {
        let _ = writeln!(text, "{:<11} {unknown}", "unknown");
    }
    for step in steps {
        let _ = match &step.outcome {
            Outcome::Passed(seen) => writeln!(text, "{:<11} ok       {seen}", step.name.to_string()),
            Outcome::Refused(refusal) => writeln!(text, "{:<11} refused  {}", step.name.to_string(), refusal.evidence),
        };
    }
    let _ = match decision {
        Ok(client) => writeln!(text, "accepted: {}", client.subject()),
        Err(refusal) => writeln!(text, "refused: {}", refusal.reason.as_str()),
    };
    text
}

/// The same as one JSON object.
pub(super) fn json(decision: &Decision, steps: &[Step], ground: &Ground, now: Timestamp) -> Value {
    let step = |step: &Step| match &step.outcome {
        Outcome::Passed(seen) => json!({ "step": step.name.to_string(), "passed": true, "detail": seen }),
        Outcome::Refused(refusal) => {
            json!({ "step": step.name.to_string(), "passed": false, "detail": refusal.evidence })
        }
    };
    let mut report = json!({
        "accepted": decision.is_ok(),
        "at": now.to_string(),
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "warnings": ground.alarms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unknown": ground.unknown,
    });
    let more = match decision {
        Ok(client) => json!({ "client": accepted(client) }),
        Err(refusal) => {
            json!({ "reason": refusal.reason.as_str(), "evidence": refusal.evidence, "leaf": leaf(refusal) })
        }
    };
    if let (Value::Object(report), Value::Object(more)) = (&mut report, more) {
        report.extend(more);
    }
    report
}

fn accepted(client: &VerifiedClient) -> Value {
    let identity = client.identity();
    json!({
        "common_name": identity.common_name(),
        "captures": identity.captures().collect::<std::collections::BTreeMap<_, _>>(),
        "subject": client.subject(),
        "issuer": client.issuer(),
        "ca": &**client.ca(),
        "serial": client.serial().to_string(),
        "fingerprint": client.fingerprint().to_string(),
        "not_before": client.not_before().to_string(),
        "not_after": client.not_after().to_string(),
        "crl_number": client.crl_number(),
        "unenforced": client.unenforced().map(ToString::to_string),
    })
}

fn leaf(refusal: &Refusal) -> Value {
    refusal.subject.as_ref().map_or(Value::Null, |facts| {
        json!({
            "subject": facts.subject,
            "issuer": facts.issuer,
            "serial": facts.serial,
            "fingerprint": facts.fingerprint,
            "not_after": facts.not_after.map(|time| time.to_string()),
            "crl_number": facts.crl_number,
        })
    })
}
