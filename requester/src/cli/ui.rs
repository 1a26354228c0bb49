//! Streams: data on stdout, everything else on stderr.

use std::io::{IsTerminal as _, Stderr, Stdout, Write as _};
use std::time::Duration;

use duckblind_protocol::coded;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;

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
        let _ = writeln!(self.out.lock(), "{text}");
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
            let _ = writeln!(self.err.lock(), "{text}");
        }
    }

    /// Data for a program, on stderr: stdout holds a result.
    pub(super) fn side_value(&self, value: &Value) {
        let _ = writeln!(self.err.lock(), "{value}");
    }

    /// Something that must not be overlooked; `--quiet` does not hide it.
    pub(super) fn warning(&self, text: &str) {
        let _ = if self.json {
            writeln!(self.err.lock(), "{}", json!({ "warning": text }))
        } else {
            writeln!(self.err.lock(), "warning: {text}")
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
        let text = if self.json {
            format!("{}\n", coded::render_json(failure.coded()))
        } else {
            coded::render(failure.coded())
        };
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
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(rows(1), "1 row");
        assert_eq!(rows(12_345), "12,345 rows");
        assert_eq!(duration(Duration::from_micros(8_140)), "8.1 ms");
        assert_eq!(duration(Duration::from_millis(2_340)), "2.3 s");
    }
}
