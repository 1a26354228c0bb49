//! One check of an appraisal, and the list of all of them.

use std::fmt::Display;

use duckblind_protocol::ids::UnixTime;
use serde::Serialize;

use crate::reason::Reason;

/// Whether a check passed. There is no third outcome: what could not be looked at did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
}

/// What was looked at, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable, dotted: `report.vmpl`, `config.walls`.
    pub name: &'static str,
    /// The kind of failure it would be.
    pub reason: Reason,
    /// Whether it passed.
    pub outcome: Outcome,
    /// What would be right.
    pub expected: String,
    /// What there was.
    pub got: String,
}

/// Collects checks. The only way to read them out is with the verdict that they make.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Check>);

impl Checks {
    /// Records one check and hands its outcome on.
    pub(crate) fn check(
        &mut self,
        name: &'static str,
        reason: Reason,
        pass: bool,
        expected: impl Display,
        got: impl Display,
    ) -> bool {
        self.0.push(Check {
            name,
            reason,
            outcome: if pass { Outcome::Pass } else { Outcome::Fail },
            expected: expected.to_string(),
            got: got.to_string(),
        });
        pass
    }

    /// Records whether a certificate's time has come and has not passed.
    pub(crate) fn valid(
        &mut self,
        name: &'static str,
        (from, to): (UnixTime, UnixTime),
        now: UnixTime,
    ) -> bool {
        self.check(
            name,
            Reason::Validity,
            from <= now && now <= to,
            format_args!("a time from {from} to {to}"),
            now,
        )
    }

    /// Records a step that yields something on success.
    pub(crate) fn step<T, E: Display>(
        &mut self,
        name: &'static str,
        reason: Reason,
        result: Result<T, E>,
        expected: impl Display,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.check(name, reason, true, &expected, &expected);
                Some(value)
            }
            Err(error) => {
                self.check(name, reason, false, expected, error);
                None
            }
        }
    }

    /// Whether nothing has failed.
    pub(crate) fn all_passed(&self) -> bool {
        self.0.iter().all(|check| check.outcome == Outcome::Pass)
    }

    /// The list.
    pub(crate) fn into_list(self) -> Vec<Check> {
        self.0
    }
}
