//! Makes a development policy from its commented template.

use std::fmt::Display;

use duckblind_protocol::ids::Digest;

use super::{Policy, PolicyError};
use crate::measurement::Measurement;
use crate::simulator::Roots;

/// What a development policy is to accept.
#[derive(Clone, Copy, Debug)]
pub struct Development<'a> {
    /// Of the simulated platforms.
    pub roots: Roots,
    /// Of enclave programs.
    pub measurements: &'a [Measurement],
    /// What the boot of a simulated TDX guest leaves in its registers.
    pub rtmrs: [Measurement; 4],
    /// SHA-256 of release manifests.
    pub releases: &'a [Digest],
}

/// Fills the empty lists of `policies/development.toml`; comments stay. The result has been parsed
/// once, so it is a policy.
pub fn fill_development(template: &str, with: &Development<'_>) -> Result<String, PolicyError> {
    let measured: Vec<_> = with.measurements.iter().map(quoted).collect();
    let releases: Vec<_> = with.releases.iter().map(quoted).collect();
    let images: Vec<_> = with
        .measurements
        .iter()
        .map(|mrtd| image(mrtd, &with.rtmrs))
        .collect();
    let text = fill(template, "", "releases = []", &releases)?;
    let text = fill(&text, "[snp]", "measurements = []", &measured)?;
    let root = quoted(&with.roots.snp);
    let text = fill(&text, "[snp]", "simulator_roots = []", &[root])?;
    let text = fill(&text, "[tdx]", "images = []", &images)?;
    let root = quoted(&with.roots.tdx);
    let text = fill(&text, "[tdx]", "simulator_roots = []", &[root])?;
    Policy::parse(&text)?;
    Ok(text)
}

fn quoted(value: &impl Display) -> String {
    format!("\"{value}\"")
}

fn image(mrtd: &Measurement, rtmrs: &[Measurement; 4]) -> String {
    let [zero, one, two, three] = rtmrs;
    format!(
        "\n    {{ mrtd = \"{mrtd}\", rtmr0 = \"{zero}\", rtmr1 = \"{one}\", \
         rtmr2 = \"{two}\", rtmr3 = \"{three}\" }}"
    )
}

/// Replaces the empty list `line` of a table.
fn fill(
    text: &str,
    table: &str,
    line: &'static str,
    values: &[String],
) -> Result<String, PolicyError> {
    let filled = format!("{}{}]", line.trim_end_matches(']'), values.join(", "));
    let (mut current, mut found) = ("", false);
    let mut out = String::with_capacity(text.len() + filled.len());
    for old in text.lines() {
        if old.starts_with('[') {
            current = old;
        }
        if old == line && current == table {
            found = true;
            out.push_str(&filled);
        } else {
            out.push_str(old);
        }
        out.push('\n');
    }
    if found {
        Ok(out)
    } else {
        Err(PolicyError::Template(line))
    }
}
