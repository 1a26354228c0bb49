//! `duckblind attest policy`: what a policy accepts, what may be wrong with it, and what changes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckblind_attestation::policy::{
    Difference, Draft, Effect, ExplainedSection, Lint, PolicyError, diff, explain, lint,
};
use duckblind_protocol::coded::{self, Coded as _};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::ui::Ui;
use crate::error::RequesterError;
use crate::files;

/// Check, explain and compare appraisal policies.
#[derive(Debug, clap::Subcommand)]
pub(in super::super) enum PolicyCommand {
    /// Check policies: everything that is wrong, and what may not be meant
    Lint {
        /// Policy files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Say in plain words what a policy accepts
    Explain {
        /// A policy file, or a template whose lists are still empty
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say what changes from one policy to another, and whether it accepts more or less
    Diff {
        /// The old policy file
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The new policy file
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
}

pub(super) fn policy(ui: &Ui, command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Lint { files } => lint_all(ui, &files),
        PolicyCommand::Explain { file } => explain_one(ui, &file),
        PolicyCommand::Diff { old, new } => compare(ui, &old, &new),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    Ok(files::read_text(path).map_err(RequesterError::from)?)
}

/// Says all of every file before it ends with the first problem of the first wrong one.
fn lint_all(ui: &Ui, paths: &[PathBuf]) -> Result<(), Failure> {
    let mut first = None;
    let mut values = Vec::new();
    for path in paths {
        let found = lint(&read(path)?);
        if ui.is_json() {
            values.push(lint_value(path, &found));
        } else {
            ui.line(lint_text(path, &found).trim_end());
        }
        first = first.or(found.problems.into_iter().next());
    }
    if ui.is_json() {
        ui.value(&json!({
            "schema": "duckblind/policy-lint/v1",
            "ok": first.is_none(),
            "files": values,
        }));
    }
    first.map_or(Ok(()), |problem| Err(problem.into()))
}

fn lint_value(path: &Path, found: &Lint) -> Value {
    let problems: Vec<_> = found.problems.iter().map(problem_value).collect();
    json!({
        "path": path,
        "ok": found.problems.is_empty(),
        "problems": problems,
        "remarks": found.remarks,
    })
}

fn problem_value(problem: &PolicyError) -> Value {
    json!({
        "code": problem.code(),
        "message": problem.to_string(),
        "expected": problem.expected(),
        "got": problem.got(),
        "hint": problem.hint(),
    })
}

fn lint_text(path: &Path, found: &Lint) -> String {
    let mut text = format!("{}: ", path.display());
    text.push_str(match found.problems.len() {
        0 => "a policy",
        1 => "not a policy, 1 problem",
        _ => "not a policy",
    });
    if found.problems.len() > 1 {
        let _ = write!(text, ", {} problems", found.problems.len());
    }
    text.push('\n');
    for problem in &found.problems {
        text.push_str(&coded::render(problem));
    }
    for remark in &found.remarks {
        let _ = writeln!(text, "note: {}: {}", remark.key, remark.says);
        let _ = writeln!(text, "  {}", remark.hint);
    }
    text
}

fn explain_one(ui: &Ui, path: &Path) -> Result<(), Failure> {
    let draft = Draft::parse(&read(path)?)?;
    let sections = explain(&draft);
    let gaps: Vec<_> = draft.gaps().iter().map(ToString::to_string).collect();
    let value = json!({
        "schema": "duckblind/policy-explained/v1",
        "name": draft.name(),
        "sha256": draft.id(),
        "complete": gaps.is_empty(),
        "gaps": gaps,
        "sections": sections,
    });
    ui.show(&value, || {
        let mut text = format!("{} (sha256 {})\n", draft.name(), draft.id());
        text.push_str(
            "Accepts evidence only if all of this holds; what is not listed is refused.\n",
        );
        text.push_str("Guests that can be debugged or migrated are always refused.\n");
        text.push_str(&sections_text(&sections));
        text
    });
    for gap in draft.gaps() {
        ui.warning(&format!("not usable as it is: {gap}"));
    }
    Ok(())
}

fn sections_text(sections: &[ExplainedSection]) -> String {
    let mut text = String::new();
    for section in sections {
        let widths = section
            .lines
            .iter()
            .map(|line| line.meaning.chars().count());
        let width = widths.max().unwrap_or_default();
        let _ = writeln!(text, "\n{}", section.title);
        for line in &section.lines {
            let _ = writeln!(text, "  {:width$}  {}", line.meaning, line.says);
        }
    }
    text
}

fn compare(ui: &Ui, old: &Path, new: &Path) -> Result<(), Failure> {
    let from = Draft::parse(&read(old)?)?;
    let to = Draft::parse(&read(new)?)?;
    let differences = diff(&from, &to);
    let value = json!({
        "schema": "duckblind/policy-diff/v1",
        "from": { "path": old, "name": from.name(), "sha256": from.id() },
        "to": { "path": new, "name": to.name(), "sha256": to.id() },
        "differences": differences,
    });
    ui.show(&value, || differences_text(&differences));
    Ok(())
}

fn differences_text(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "no difference in what is accepted".into();
    }
    let mut text = String::new();
    for difference in differences {
        let _ = writeln!(
            text,
            "{:9} {} ({})",
            effect(difference.effect),
            difference.key,
            difference.meaning
        );
        for (sign, values) in [('-', &difference.removed), ('+', &difference.added)] {
            for value in values {
                let _ = writeln!(text, "          {sign} {value}");
            }
        }
    }
    let count = |wanted| {
        differences
            .iter()
            .filter(|one| one.effect == wanted)
            .count()
    };
    let _ = writeln!(
        text,
        "{} loosened, {} tightened, {} both or neither",
        count(Effect::Loosens),
        count(Effect::Tightens),
        count(Effect::Both) + count(Effect::Neither),
    );
    text
}

/// A word before a changed key.
const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Neither => "changes",
        Effect::Both => "both",
        other => other.as_str(),
    }
}
