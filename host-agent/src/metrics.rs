//! Counters, and the page that Prometheus reads. Numbers only: no peer, no job, no payload.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use duckblind_protocol::frames::HostCode;

use crate::says::CODES;

/// The agent's counters. All are relaxed: each stands for itself.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections open now.
    pub connections: Gauge,
    /// Connections accepted.
    pub connections_total: Counter,
    /// Handshakes that failed, were refused or ran out of time.
    pub handshakes_failed: Counter,
    /// Streams open now.
    pub streams: Gauge,
    /// Streams relayed.
    pub streams_total: Counter,
    /// Bytes from requesters to the enclave.
    pub bytes_to_enclave: Counter,
    /// Bytes from the enclave to requesters.
    pub bytes_from_enclave: Counter,
    /// Usage records received.
    pub usage_records: Counter,
    /// 1 while the enclave's watch connection stands.
    pub enclave_up: Gauge,
    /// The enclave's epoch.
    pub epoch: Gauge,
    /// Attestations that the verifier affirmed.
    pub attestations: Counter,
    /// Attestations that failed, for whatever reason.
    pub attestations_failed: Counter,
    /// Requests to the verifier that failed.
    pub verifier_errors: Counter,
    /// Unix seconds of the last affirmed attestation; 0: none yet.
    pub attested_at: Gauge,
    /// Unix seconds at which the attestation result ends; 0: none yet.
    pub attested_until: Gauge,
    refusals: [Counter; CODES.len()],
}

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Reads.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, until the returned guard is dropped.
    pub fn hold(&self) -> Held<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(self)
    }
}

/// One unit of a [`Gauge`].
#[derive(Debug)]
pub struct Held<'a>(&'a Gauge);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a refusal.
    pub fn refused(&self, code: HostCode) {
        if let Some(counter) = self.refusals_of(code) {
            counter.add(1);
        }
    }

    /// Refusals with this code.
    pub fn refusals(&self, code: HostCode) -> u64 {
        self.refusals_of(code).map_or(0, Counter::value)
    }

    fn refusals_of(&self, code: HostCode) -> Option<&Counter> {
        CODES
            .iter()
            .zip(&self.refusals)
            .find(|(each, _)| **each == code)
            .map(|(_, counter)| counter)
    }

    /// The page, in Prometheus' text format, version 0.0.4; `now` in Unix seconds.
    pub fn render(&self, now: i64) -> String {
        let mut page = String::new();
        gauge(
            &mut page,
            "connections",
            "Open connections.",
            self.connections.value(),
        );
        counter(
            &mut page,
            "connections_total",
            "Accepted connections.",
            &self.connections_total,
        );
        counter(
            &mut page,
            "handshakes_failed_total",
            "Handshakes failed, refused or timed out.",
            &self.handshakes_failed,
        );
        gauge(&mut page, "streams", "Open streams.", self.streams.value());
        counter(
            &mut page,
            "streams_total",
            "Relayed streams.",
            &self.streams_total,
        );
        labelled(
            &mut page,
            "bytes_total",
            "Relayed bytes.",
            "direction",
            [
                ("to-enclave", self.bytes_to_enclave.value()),
                ("from-enclave", self.bytes_from_enclave.value()),
            ],
        );
        labelled(
            &mut page,
            "refusals_total",
            "Streams and connections turned away.",
            "code",
            CODES.map(|code| (code.name(), self.refusals(code))),
        );
        counter(
            &mut page,
            "usage_records_total",
            "Usage records received.",
            &self.usage_records,
        );
        gauge(
            &mut page,
            "enclave_up",
            "1 while the enclave answers.",
            self.enclave_up.value(),
        );
        gauge(
            &mut page,
            "epoch",
            "The enclave's key epoch.",
            self.epoch.value(),
        );
        labelled(
            &mut page,
            "attestations_total",
            "Attestations by outcome.",
            "outcome",
            [
                ("affirmed", self.attestations.value()),
                ("failed", self.attestations_failed.value()),
            ],
        );
        counter(
            &mut page,
            "verifier_errors_total",
            "Failed requests to the verifier.",
            &self.verifier_errors,
        );
        let attested = self.attested_at.value();
        if attested != 0 {
            gauge(
                &mut page,
                "attestation_age_seconds",
                "Since the last affirmed attestation.",
                now.saturating_sub(attested).max(0),
            );
            gauge(
                &mut page,
                "attestation_remaining_seconds",
                "Until the attestation result ends.",
                self.attested_until.value().saturating_sub(now),
            );
        }
        page
    }
}

fn head(page: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "# HELP duckblind_host_{name} {help}");
    let _ = writeln!(page, "# TYPE duckblind_host_{name} {kind}");
}

fn gauge(page: &mut String, name: &str, help: &str, value: i64) {
    head(page, name, help, "gauge");
    let _ = writeln!(page, "duckblind_host_{name} {value}");
}

fn counter(page: &mut String, name: &str, help: &str, value: &Counter) {
    head(page, name, help, "counter");
    let _ = writeln!(page, "duckblind_host_{name} {}", value.value());
}

fn labelled<const N: usize>(
    page: &mut String,
    name: &str,
    help: &str,
    label: &str,
    values: [(&str, u64); N],
) {
    head(page, name, help, "counter");
    for (of, value) in values {
        let _ = writeln!(page, "duckblind_host_{name}{{{label}=\"{of}\"}} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_on_the_page() {
        let metrics = Metrics::default();
        metrics.refused(HostCode::TooLarge);
        metrics.refused(HostCode::TooLarge);
        metrics.bytes_from_enclave.add(7);
        metrics.attested_at.set(100);
        metrics.attested_until.set(700);
        let held = metrics.streams.hold();
        let page = metrics.render(160);
        for line in [
            "duckblind_host_refusals_total{code=\"too-large\"} 2",
            "duckblind_host_refusals_total{code=\"busy\"} 0",
            "duckblind_host_bytes_total{direction=\"from-enclave\"} 7",
            "duckblind_host_streams 1",
            "duckblind_host_attestation_age_seconds 60",
            "duckblind_host_attestation_remaining_seconds 540",
        ] {
            assert!(page.lines().any(|each| each == line), "{line} in\n{page}");
        }
        drop(held);
        assert_eq!(metrics.streams.value(), 0);
    }

    #[test]
    fn no_age_before_the_first_attestation() {
        assert!(!Metrics::default().render(5).contains("attestation_age"));
    }
}
