//! Counters in Prometheus' text format. Labels are codes and classes, never an id or an address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the appraisal histogram, in milliseconds.
const BUCKETS_MS: [u32; 8] = [1, 2, 5, 10, 25, 100, 500, 2_500];

/// What is counted, with its help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Appraisals by tee, result and first reason.
    Appraisals,
    /// Signed results by verdict.
    EarsIssued,
    /// Nonces refused, by kind.
    NoncesRejected,
    /// Vendors' documents by where they came from, or by why they did not.
    Collateral,
    /// Requests by route and status.
    Requests,
    /// Requests turned away, by cause.
    TurnedAway,
}

impl Counter {
    const fn name_and_help(self) -> (&'static str, &'static str) {
        match self {
            Self::Appraisals => (
                "duckblind_verifier_appraisals_total",
                "Appraisals by tee, result and first reason.",
            ),
            Self::EarsIssued => (
                "duckblind_verifier_ear_issued_total",
                "Signed attestation results by verdict.",
            ),
            Self::NoncesRejected => (
                "duckblind_verifier_nonce_rejected_total",
                "Challenges and server nonces that were unknown, used up or expired.",
            ),
            Self::Collateral => (
                "duckblind_verifier_collateral_total",
                "Vendors' documents looked up, by source or by error code.",
            ),
            Self::Requests => (
                "duckblind_verifier_http_requests_total",
                "HTTP requests by route and status.",
            ),
            Self::TurnedAway => (
                "duckblind_verifier_turned_away_total",
                "Requests and connections turned away by a limit.",
            ),
        }
    }
}

/// Label names with their values.
type Labels = Vec<(&'static str, String)>;

#[derive(Debug, Default)]
struct Counted {
    counters: BTreeMap<(Counter, Labels), u64>,
    buckets: [u64; BUCKETS_MS.len()],
    appraisals: u64,
    seconds: f64,
}

/// The registry of this process.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counted>);

impl Metrics {
    /// Counts one. Label values come from closed sets, so that the registry stays small.
    pub fn count<const N: usize>(&self, counter: Counter, labels: [(&'static str, &str); N]) {
        let labels = labels
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.counters.entry((counter, labels)).or_default();
        *count = count.saturating_add(1);
    }

    /// Notes how long an appraisal took.
    pub fn appraised_in(&self, took: Duration) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (bucket, bound) in counted.buckets.iter_mut().zip(BUCKETS_MS) {
            if took <= Duration::from_millis(bound.into()) {
                *bucket = bucket.saturating_add(1);
            }
        }
        counted.appraisals = counted.appraisals.saturating_add(1);
        counted.seconds += took.as_secs_f64();
    }

    /// The text to serve; `gauges` are read when asked for: name, help, label set, value.
    pub fn render(&self, gauges: &[(&str, &str, String, u64)]) -> String {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut last = None;
        for ((counter, labels), count) in &counted.counters {
            let (name, help) = counter.name_and_help();
            if last != Some(counter) {
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
                last = Some(counter);
            }
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
                .collect();
            let _ = writeln!(text, "{name}{{{}}} {count}", labels.join(","));
        }

        let name = "duckblind_verifier_appraisal_seconds";
        let _ = writeln!(
            text,
            "# HELP {name} Time of one appraisal.\n# TYPE {name} histogram"
        );
        for (count, bound) in counted.buckets.iter().zip(BUCKETS_MS) {
            let bound = f64::from(bound) / 1e3;
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {}", counted.appraisals);
        let _ = writeln!(text, "{name}_sum {}", counted.seconds);
        let _ = writeln!(text, "{name}_count {}", counted.appraisals);

        let mut last = "";
        for (name, help, labels, value) in gauges {
            if last != *name {
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
                last = name;
            }
            let _ = writeln!(text, "{name}{labels} {value}");
        }
        text
    }
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_format_has_each_type_line_once_and_cumulative_buckets() {
        let metrics = Metrics::default();
        metrics.count(Counter::Requests, [("route", "/a"), ("status", "200")]);
        metrics.count(Counter::Requests, [("route", "/a"), ("status", "200")]);
        metrics.count(Counter::Requests, [("route", "a\"b"), ("status", "404")]);
        metrics.appraised_in(Duration::from_millis(3));
        metrics.appraised_in(Duration::from_mins(1));
        let text = metrics.render(&[("nodes", "Nodes.", "{class=\"l2\"}".into(), 4)]);
        assert_eq!(
            text.matches("# TYPE duckblind_verifier_http_requests_total")
                .count(),
            1
        );
        assert!(text.contains("{route=\"/a\",status=\"200\"} 2\n"));
        assert!(text.contains("{route=\"a\\\"b\",status=\"404\"} 1\n"));
        assert!(text.contains("appraisal_seconds_bucket{le=\"0.002\"} 0\n"));
        assert!(text.contains("appraisal_seconds_bucket{le=\"0.005\"} 1\n"));
        assert!(text.contains("appraisal_seconds_bucket{le=\"+Inf\"} 2\n"));
        assert!(text.contains("# TYPE nodes gauge\nnodes{class=\"l2\"} 4\n"));
    }
}
