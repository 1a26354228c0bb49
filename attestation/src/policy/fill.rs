//! Makes a development policy from its commented template.

use std::fmt::Display;

use duckblind_protocol::ids::Digest;

use super::{Policy, PolicyError};
use crate::measurement::Measurement;

/// Fills the three empty lists of `policies/development.toml`; comments stay. The result has been
/// parsed once, so it is a policy.
pub fn fill_development(
    template: &str,
    roots: &[Digest],
    measurements: &[Measurement],
    releases: &[Digest],
) -> Result<String, PolicyError> {
    let text = fill(template, "simulator_roots = []", roots)?;
    let text = fill(&text, "measurements = []", measurements)?;
    let text = fill(&text, "releases = []", releases)?;
    Policy::parse(&text)?;
    Ok(text)
}

fn fill(text: &str, line: &'static str, values: &[impl Display]) -> Result<String, PolicyError> {
    let key = line.trim_end_matches(']');
    let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    let filled = format!("{key}{}]", values.join(", "));
    let mut found = false;
    let mut out = String::with_capacity(text.len() + filled.len());
    for old in text.lines() {
        if old == line {
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
