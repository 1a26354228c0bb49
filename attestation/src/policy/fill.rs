//! Makes a development policy from its commented template.

use duckblind_protocol::ids::Digest;

use super::{Policy, PolicyError};
use crate::measurement::Measurement;
use crate::simulator::Roots;

/// Fills the empty lists of `policies/development.toml` so that it takes the simulated platforms
/// with these roots, of both kinds, if they measure one of these binaries; comments stay. The result
/// has been parsed once, so it is a policy.
pub fn fill_development(
    template: &str,
    roots: &[Roots],
    measurements: &[Measurement],
    releases: &[Digest],
) -> Result<String, PolicyError> {
    let snp_roots = roots.iter().map(|roots| text(&roots.snp));
    let tdx_roots = roots.iter().map(|roots| text(&roots.tdx));
    let filled = fill(template, "", "releases = []", releases.iter().map(text))?;
    let filled = fill(&filled, "[snp]", "simulator_roots = []", snp_roots)?;
    let launched = measurements.iter().map(text);
    let filled = fill(&filled, "[snp]", "measurements = []", launched)?;
    let filled = fill(&filled, "[tdx]", "simulator_roots = []", tdx_roots)?;
    let filled = fill(
        &filled,
        "[tdx]",
        "images = []",
        measurements.iter().map(image),
    )?;
    Policy::parse(&filled)?;
    Ok(filled)
}

/// A string of TOML.
fn text(value: &impl std::fmt::Display) -> String {
    format!("\"{value}\"")
}

/// An image whose registers follow from its event log.
fn image(mrtd: &Measurement) -> String {
    format!(
        "{{ mrtd = \"{mrtd}\", rtmr0 = \"event-log\", rtmr1 = \"event-log\", \
         rtmr2 = \"event-log\", rtmr3 = \"zero\" }}"
    )
}

/// Fills the list that is `line`, in the section that begins with `section`.
fn fill(
    template: &str,
    section: &str,
    line: &'static str,
    values: impl Iterator<Item = String>,
) -> Result<String, PolicyError> {
    let key = line.trim_end_matches(']');
    let filled = format!("{key}{}]", values.collect::<Vec<_>>().join(", "));
    let (mut found, mut current) = (false, "");
    let mut out = String::with_capacity(template.len() + filled.len());
    for old in template.lines() {
        if old.starts_with('[') {
            current = old;
        }
        if old == line && current == section {
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
