//! What a measurement says: a readable table, and the same as JSON.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Times, sizes.
    Lower,
    /// Rates, and ratios of rates.
    Higher,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// `attestation`, `sealed`, `seal`, `job`, `relay`, `memory`.
    pub group: &'static str,
    /// Name within the group.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// Unit of `value` and `against`.
    pub unit: &'static str,
    /// What it is compared with, if anything was measured beside it.
    pub against: Option<f64>,
    /// `value / against`, or the value itself where it is a ratio.
    pub ratio: Option<f64>,
    /// What was promised, in the unit of the value (of the ratio, where there is one).
    pub target: Option<f64>,
    /// Which way is better.
    pub better: Better,
    /// Whether the promise holds; `null` without one.
    pub holds: Option<bool>,
}

impl Measured {
    /// A bare value.
    pub fn value(group: &'static str, name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            group,
            name: name.to_owned(),
            value,
            unit,
            against: None,
            ratio: None,
            target: None,
            better: Better::Lower,
            holds: None,
        }
    }

    /// A ratio that was made of many pairs.
    pub fn ratio(group: &'static str, name: &str, ratio: f64) -> Self {
        Self {
            ratio: Some(ratio),
            ..Self::value(group, name, ratio, "ratio")
        }
    }

    /// Beside what it was measured.
    pub fn against(mut self, against: f64) -> Self {
        self.against = Some(against);
        self.ratio = Some(self.value / against);
        self
    }

    /// More is better.
    pub fn higher(mut self) -> Self {
        self.better = Better::Higher;
        self
    }

    /// What was promised.
    pub fn target(mut self, target: f64) -> Self {
        let judged = self.ratio.unwrap_or(self.value);
        self.target = Some(target);
        self.holds = Some(match self.better {
            Better::Lower => judged <= target,
            Better::Higher => judged >= target,
        });
        self
    }
}

/// All results of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order in which they were measured.
    pub results: Vec<Measured>,
}

impl Report {
    /// Adds a result and shows it at once.
    pub fn add(&mut self, measured: Measured) {
        let against = measured.against.zip(measured.ratio);
        eprintln!(
            "  {}/{} = {}{}",
            measured.group,
            measured.name,
            number(measured.value),
            against.map_or_else(String::new, |(against, ratio)| format!(
                " (against {}: {ratio:.3})",
                number(against)
            )),
        );
        self.results.push(measured);
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:<30} {:>12} {:<6} {:>12} {:>8} {:>12}  holds",
            "what", "value", "unit", "against", "ratio", "promised"
        );
        for m in &self.results {
            let sign = match m.better {
                Better::Lower => "≤",
                Better::Higher => "≥",
            };
            let _ = writeln!(
                text,
                "{:<30} {:>12} {:<6} {:>12} {:>8} {:>12}  {}",
                format!("{}/{}", m.group, m.name),
                number(m.value),
                m.unit,
                m.against.map(number).unwrap_or_default(),
                m.ratio.map(|r| format!("{r:.3}")).unwrap_or_default(),
                m.target
                    .map(|t| format!("{sign} {}", number(t)))
                    .unwrap_or_default(),
                m.holds.map_or("", |holds| if holds { "yes" } else { "NO" }),
            );
        }
        text
    }

    /// Writes the results as JSON.
    pub fn write_json(&self, file: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(std::fs::write(file, text)?)
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// The middle of some measurements.
///
/// # Panics
/// If there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// Measures two things in turn and gives the median of each.
pub fn in_turn(
    turns: usize,
    mut one: impl FnMut() -> Result<f64>,
    mut other: impl FnMut() -> Result<f64>,
) -> Result<(f64, f64)> {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        ones.push(one()?);
        others.push(other()?);
    }
    Ok((median(&ones), median(&others)))
}

/// The geometric mean of some ratios.
pub fn geometric_mean(values: &[f64]) -> f64 {
    let count = u32::try_from(values.len()).map_or(f64::NAN, f64::from);
    (values.iter().map(|v| v.ln()).sum::<f64>() / count).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_judged_in_their_direction() {
        let slow = Measured::value("job", "x", 9.0, "ms").target(8.0);
        assert_eq!(slow.holds, Some(false));
        let good = Measured::value("relay", "x", 80.0, "MB/s")
            .higher()
            .against(100.0)
            .target(0.7);
        assert_eq!((good.ratio, good.holds), (Some(0.8), Some(true)));
    }

    #[test]
    fn middles_and_means() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!((geometric_mean(&[2.0, 8.0]) - 4.0).abs() < 1e-12);
    }

    #[test]
    fn the_json_has_the_documented_keys() {
        let mut report = Report::default();
        report.add(Measured::ratio("sealed", "geomean", 1.1).target(1.15));
        let value = serde_json::to_value(&report).unwrap();
        let keys: Vec<_> = value["results"][0]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let mut expected = vec![
            "group", "name", "value", "unit", "against", "ratio", "target", "better", "holds",
        ];
        let mut keys: Vec<_> = keys.iter().map(String::as_str).collect();
        expected.sort_unstable();
        keys.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(value["results"][0]["better"], "lower");
    }
}
