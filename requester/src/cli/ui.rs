//! Streams: data on stdout, everything else on stderr.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal as _, Stderr, Stdout, Write as _};
use std::time::Duration;

use duckblind_protocol::coded::{self, Coded, Exit};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::output::visible;

/// How this command speaks.
pub(super) struct Ui {
    json: bool,
    quiet: bool,
    out: Stdout,
    err: Stderr,
}

impl Ui {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            out: std::io::stdout(),
            err: std::io::stderr(),
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Data for a person. A closed stdout is noticed by whoever reads it.
    pub(super) fn line(&self, text: &str) {
        let _ = writeln!(self.out.lock(), "{}", visible::lines(text));
    }

    /// Data for a program, on stdout.
    pub(super) fn value(&self, value: &Value) {
        let _ = writeln!(self.out.lock(), "{value}");
    }

    /// One of both.
    pub(super) fn show(&self, value: &Value, text: impl FnOnce() -> String) {
        if self.json {
            self.value(value);
        } else {
            self.line(text().trim_end());
        }
    }

    /// Something good to know.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            let _ = writeln!(self.err.lock(), "{}", visible::lines(text));
        }
    }

    /// Data for a program, on stderr: stdout holds a result.
    pub(super) fn side_value(&self, value: &Value) {
        let _ = writeln!(self.err.lock(), "{value}");
    }

    /// What is to say of a result: where the result is not.
    pub(super) fn result_value(&self, value: &Value, result_in_file: bool) {
        if result_in_file {
            self.value(value);
        } else {
            self.side_value(value);
        }
    }

    /// Rows that a table left out.
    pub(super) fn hidden_rows(&self, rows: u64) {
        if rows > 0 {
            self.warning(&format!(
                "{} not shown; write them with -o FILE or --format csv",
                self::rows(rows)
            ));
        }
    }

    /// Something that must not be overlooked; `--quiet` does not hide it.
    pub(super) fn warning(&self, text: &str) {
        let _ = if self.json {
            writeln!(self.err.lock(), "{}", json!({ "warning": text }))
        } else {
            writeln!(self.err.lock(), "warning: {}", visible::lines(text))
        };
    }

    /// Says what protects a job and what does not.
    pub(super) fn banner(&self, sim: bool) {
        let what = if sim {
            "SIMULATED PLATFORM, UNLOGGED KEY. For development only: whoever runs the host can \
             read this job, and nothing proves later what was trusted."
        } else {
            "UNLOGGED KEY. For development only: nothing proves later what was trusted."
        };
        self.warning(what);
    }

    pub(super) fn failure(&self, failure: &Failure) {
        let text = rendered(failure.coded(), self.json);
        let _ = self.err.lock().write_all(text.as_bytes());
    }

    /// A spinner with a text, visible on a terminal only.
    pub(super) fn spinner(&self, text: &'static str) -> ProgressBar {
        if self.quiet || self.json || !self.err.is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(text);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// An error as it is written. Its texts may come from an enclave, a host or a file.
fn rendered(error: &dyn Coded, json: bool) -> String {
    if !json {
        return coded::render(&Visible(error));
    }
    // JSON escapes most control characters itself; the others can stand in its strings only.
    let mut text = String::new();
    for c in coded::render_json(error).chars() {
        if c.is_control() {
            // Into a string: cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    text
}

/// An error without control characters, whose further lines do not look like its own fields.
#[derive(Debug)]
struct Visible<'a>(&'a dyn Coded);

/// Further lines are indented below the first.
fn indented(text: &str) -> String {
    visible::lines(text).replace('\n', "\n    ")
}

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&indented(&self.0.to_string()))
    }
}

impl std::error::Error for Visible<'_> {}

impl Coded for Visible<'_> {
    fn code(&self) -> &'static str {
        self.0.code()
    }
    fn exit(&self) -> Exit {
        self.0.exit()
    }
    fn expected(&self) -> Option<String> {
        self.0.expected().as_deref().map(indented)
    }
    fn got(&self) -> Option<String> {
        self.0.got().as_deref().map(indented)
    }
    fn hint(&self) -> Option<String> {
        self.0.hint().as_deref().map(indented)
    }
}

/// `1.5 GiB`, `312 B`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// `1,234,567`.
pub(super) fn count(n: u64) -> String {
    indicatif::HumanCount(n).to_string()
}

/// `1 row`, `1,234 rows`.
pub(super) fn rows(n: u64) -> String {
    format!("{} row{}", count(n), if n == 1 { "" } else { "s" })
}

/// `8.1 ms`, `2.3 s`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.1} s")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::client::JobFailure;
    use duckblind_protocol::job_code::{JobCode, JobError};

    fn evil() -> JobFailure {
        JobFailure::Failed {
            error: JobError {
                message: "no\u{1b}[2J such\nhint: run this\r\u{9b}A".into(),
                expected: Some("a\u{7}\nerror[X]: b".into()),
                got: Some("\u{1b}]0;owned\u{7f}".into()),
                ..JobError::of(JobCode::SqlOther)
            },
            place: None,
        }
    }

    #[test]
    fn errors_do_not_command_the_terminal() {
        let text = rendered(&evil(), false);
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert!(text.contains(r"no\u{1b}[2J such"), "{text}");
        assert!(text.contains(r"\u{1b}]0;owned\u{7f}"), "{text}");
        // One line each may begin so, and it is ours.
        assert_eq!(text.lines().filter(|l| l.starts_with("error[")).count(), 1);
        assert!(!text.contains("\nhint: run this"), "{text}");
    }

    #[test]
    fn errors_as_json_say_the_same_without_control_characters() {
        let text = rendered(&evil(), true);
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["error"]["message"], evil().to_string());
        assert_eq!(value["error"]["got"], "\u{1b}]0;owned\u{7f}");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(rows(1), "1 row");
        assert_eq!(rows(12_345), "12,345 rows");
        assert_eq!(duration(Duration::from_micros(8_140)), "8.1 ms");
        assert_eq!(duration(Duration::from_millis(2_340)), "2.3 s");
    }
}
