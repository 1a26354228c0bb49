//! How far a sealer is.

use std::time::{Duration, Instant};

use duckblind_lake::seal::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};

use super::ui::{self, Ui};

/// A bar on a terminal; elsewhere a line now and then.
pub(super) struct Meter {
    bar: ProgressBar,
    begun: Instant,
    last_line: Option<Instant>,
}

const FIRST_AFTER: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Meter {
    pub(super) fn new(ui: &Ui) -> Self {
        let bar = ui.spinner("sealing");
        Self {
            bar,
            begun: Instant::now(),
            last_line: None,
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn report(&mut self, ui: &Ui, progress: Progress) {
        let what = match progress.stage {
            Stage::Inspecting => "reading",
            Stage::Sealing => "sealing",
        };
        if self.bar.is_hidden() {
            let due = match self.last_line {
                Some(last) => last.elapsed() >= LINE_EVERY,
                None => self.begun.elapsed() >= LINE_EVERY,
            };
            if due {
                self.last_line = Some(Instant::now());
                ui.note(&format!(
                    "{what}: {} of {}, {}",
                    ui::size(progress.bytes),
                    ui::size(progress.total_bytes),
                    ui::rows(progress.rows)
                ));
            }
            return;
        }
        if self.bar.length().is_none() && self.begun.elapsed() >= FIRST_AFTER {
            let template =
                "{prefix} [{bar:30}] {binary_bytes} of {binary_total_bytes}, {msg}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.set_length(progress.total_bytes);
        }
        self.bar.set_prefix(what);
        self.bar.set_position(progress.bytes);
        self.bar.set_message(ui::rows(progress.rows));
    }
}
