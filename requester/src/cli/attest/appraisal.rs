//! Verdicts as they are written: every check, the verdict, reasons with hints, warnings.

use std::fmt::Write as _;

use duckblind_attestation::check::{Check, Outcome};
use duckblind_attestation::reason::{Reason, Warning};
use duckblind_protocol::ids::UnixTime;
use serde_json::{Value, json};

use super::super::ui::Ui;
use crate::clock;

/// A verdict, whatever was judged.
pub(super) struct Verdict<'a> {
    /// In one word: `accepted`, `rejected`, `hardware-accepted`.
    pub(super) word: &'static str,
    /// The same for people.
    pub(super) says: &'static str,
    /// What does not follow from it; may be empty.
    pub(super) note: &'static str,
    /// When it was judged, or as of when.
    pub(super) at: UnixTime,
    pub(super) sim: bool,
    pub(super) checks: &'a [Check],
    pub(super) reasons: &'a [Reason],
    pub(super) warnings: &'a [Warning],
    /// Further members for programs.
    pub(super) more: Value,
}

impl Verdict<'_> {
    pub(super) fn show(&self, ui: &Ui) {
        ui.show(&self.value(), || self.text());
    }

    fn value(&self) -> Value {
        let reasons = self.reasons.iter().map(
            |reason| json!({ "reason": reason, "code": reason.code(), "hint": reason.hint() }),
        );
        let warnings = self.warnings.iter();
        let warnings = warnings.map(|one| json!({ "warning": one, "meaning": one.meaning() }));
        let mut value = json!({
            "schema": "duckblind/appraisal/v1",
            "verdict": self.word,
            "at": self.at,
            "sim": self.sim,
            "reasons": reasons.collect::<Vec<_>>(),
            "warnings": warnings.collect::<Vec<_>>(),
            "checks": self.checks,
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut value, &self.more) {
            all.extend(more.clone());
        }
        value
    }

    fn text(&self) -> String {
        let mut text = checks_text(self.checks);
        for warning in self.warnings {
            let _ = writeln!(text, "warning: {}: {}", warning.as_str(), warning.meaning());
        }
        let sim = if self.sim {
            ", SIMULATED PLATFORM: protects nothing,"
        } else {
            ""
        };
        let _ = writeln!(text, "{}{sim} at {}", self.says, clock::utc(self.at));
        if !self.note.is_empty() {
            let _ = writeln!(text, "{}", self.note);
        }
        for reason in self.reasons {
            let _ = writeln!(text, "  {:22} {}", reason.as_str(), reason.hint());
        }
        text
    }
}

/// One line per check; failed ones say what would have been right.
pub(super) fn checks_text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        match check.outcome {
            Outcome::Pass => {
                let _ = writeln!(text, "PASS {:28} {}", check.name, short(&check.got));
            }
            Outcome::Fail => {
                let _ = writeln!(text, "FAIL {:28} {}", check.name, check.reason);
                let _ = writeln!(text, "       expected {}", check.expected);
                let _ = writeln!(text, "       got      {}", check.got);
            }
        }
    }
    text
}

fn short(text: &str) -> String {
    const MOST: usize = 70;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(MOST).collect();
    cut.push('…');
    cut
}
