//! One line of the report, and what the lines come to.

use std::fmt::Write as _;

use duckblind_protocol::coded::Coded;
use serde::Serialize;

use crate::error::HostError;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// It works, with a doubt.
    Warn,
    /// It cannot work.
    Fail,
    /// Not looked at, because something before it failed or there is nothing to look at.
    Skip,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do about it; always there for a warning or a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    pub(super) fn pass(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Pass, detail.into(), None)
    }

    pub(super) fn skip(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skip, detail.into(), None)
    }

    pub(super) fn warn(
        check: &'static str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(check, Outcome::Warn, detail.into(), Some(hint.into()))
    }

    pub(super) fn fail(
        check: &'static str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(check, Outcome::Fail, detail.into(), Some(hint.into()))
    }

    /// A failure in the words of `error`; `hint` if it has none of its own.
    pub(super) fn failed(check: &'static str, error: &dyn Coded, hint: &str) -> Self {
        let expected = error.expected().map(|text| format!("; expected {text}"));
        let got = error.got().map(|text| format!("; got {text}"));
        let (expected, got) = (expected.unwrap_or_default(), got.unwrap_or_default());
        let detail = format!("{}: {error}{expected}{got}", error.code());
        Self::fail(
            check,
            detail,
            error.hint().unwrap_or_else(|| hint.to_owned()),
        )
    }

    /// With a word on what would be looked at.
    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    const fn new(
        check: &'static str,
        outcome: Outcome,
        detail: String,
        hint: Option<String>,
    ) -> Self {
        Self {
            check,
            outcome,
            detail,
            hint,
        }
    }
}

/// The report for people.
pub fn render(report: &[Finding]) -> String {
    let width = report.iter().map(|finding| finding.check.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    let mut rest = report.iter().peekable();
    while let Some(finding) = rest.next() {
        let word = match finding.outcome {
            Outcome::Pass => "PASS",
            Outcome::Warn => "WARN",
            Outcome::Fail => "FAIL",
            Outcome::Skip => "SKIP",
        };
        // Parsers of files speak in several lines; words from outside may hold anything.
        let detail = finding.detail.replace('\n', "\n      ");
        let detail = detail.replace(|c: char| c.is_control() && c != '\n', "?");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{word}  {:width$}  {detail}", finding.check);
        // What mends several in a row is said once, below them.
        let next = rest.peek().and_then(|next| next.hint.as_ref());
        if let Some(hint) = finding.hint.as_ref().filter(|hint| next != Some(hint)) {
            let _ = writeln!(text, "      hint: {hint}");
        }
    }
    text
}

/// The findings that are failures, as an error.
pub fn verdict(report: &[Finding]) -> Result<(), HostError> {
    match report
        .iter()
        .filter(|each| each.outcome == Outcome::Fail)
        .count()
    {
        0 => Ok(()),
        failures => Err(HostError::Doctor(failures)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_is_one() {
        let fine = [
            Finding::pass("a", ""),
            Finding::warn("b", "", ""),
            Finding::skip("c", ""),
        ];
        assert!(verdict(&fine).is_ok());
        let mut two = fine.to_vec();
        two.extend(["d", "e"].map(|check| Finding::fail(check, "", "")));
        let error = verdict(&two).unwrap_err();
        assert_eq!(error.to_string(), "2 of the checks failed");
        assert_eq!(error.exit().code(), 1);
    }

    #[test]
    fn lines_are_aligned_and_hints_said_once() {
        let report = [
            Finding::pass("clock", "fine"),
            Finding::fail("file modes", "one", "mend"),
            Finding::fail("file modes", "line\nand \x1b[32mPASS", "mend"),
            Finding::warn("x", "two", "mend more"),
        ];
        let expected = "\
PASS  clock       fine
FAIL  file modes  one
FAIL  file modes  line
      and ?[32mPASS
      hint: mend
WARN  x           two
      hint: mend more
";
        assert_eq!(render(&report), expected);
    }

    #[test]
    fn an_error_says_all_that_it_knows() {
        let error = HostError::KeyMode {
            path: "node.key".into(),
            mode: 0o644,
        };
        let finding = Finding::failed("node key", &error, "not this one");
        assert!(finding.detail.starts_with("DB-HST-011: "));
        assert!(finding.detail.ends_with("; got mode 0644"));
        assert_eq!(finding.hint.unwrap(), "chmod 600 node.key");
        let error = HostError::VerifierMalformed("no JSON".into());
        let finding = Finding::failed("verifier", &error, "the other one");
        assert_eq!(finding.hint.unwrap(), "the other one");
    }
}
