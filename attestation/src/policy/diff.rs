//! What changes between two policies, and whether it accepts more or less.

use serde::Serialize;
use toml::Value;

use super::draft::Draft;
use super::keys::{Key, Sense, described, leaves};

/// What a change does to what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// More is accepted.
    Loosens,
    /// Less is accepted.
    Tightens,
    /// Some more and some less is accepted.
    Both,
    /// Neither, or it depends on other keys.
    Neither,
}

impl Effect {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loosens => "loosens",
            Self::Tightens => "tightens",
            Self::Both => "both",
            Self::Neither => "neither",
        }
    }

    const fn opposite(self) -> Self {
        match self {
            Self::Loosens => Self::Tightens,
            Self::Tightens => Self::Loosens,
            other => other,
        }
    }
}

/// One key that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Dotted.
    pub key: String,
    /// What it is about.
    pub meaning: String,
    /// What it does to what is accepted.
    pub effect: Effect,
    /// Values that were there; for lists, only those that are there no more.
    pub removed: Vec<String>,
    /// Values that are there now; for lists, only those that were not.
    pub added: Vec<String>,
}

/// All keys that differ, in the order of their names.
pub fn diff(from: &Draft, to: &Draft) -> Vec<Difference> {
    let (old, new) = (leaves(&from.table), leaves(&to.table));
    let mut paths: Vec<&str> = old
        .iter()
        .chain(&new)
        .map(|(path, _)| path.as_str())
        .collect();
    paths.sort_unstable();
    paths.dedup();
    let value = |leaves: &[(String, &Value)], path: &str| {
        let found = leaves.iter().find(|(own, _)| own == path);
        found.map(|(_, value)| (*value).clone())
    };
    paths
        .into_iter()
        .filter_map(|path| difference(path, value(&old, path), value(&new, path)))
        .collect()
}

fn difference(path: &str, from: Option<Value>, to: Option<Value>) -> Option<Difference> {
    if from == to {
        return None;
    }
    let key = described(path);
    let (old, new) = (items(from.as_ref()), items(to.as_ref()));
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        let kept = these.iter().filter(|one| !those.contains(one));
        kept.cloned().collect()
    };
    let (removed, added) = (without(&old, &new), without(&new, &old));
    if removed.is_empty() && added.is_empty() {
        // The same values in another order.
        return None;
    }
    let effect = match (key, from, to) {
        (Some(key), Some(from), Some(to)) => effect(key, &from, &to, &removed, &added),
        // A table that comes or goes with what lists it: that key says what it does.
        _ => Effect::Neither,
    };
    Some(Difference {
        key: path.to_owned(),
        meaning: key.map_or_else(|| path.to_owned(), |key| key.meaning_of(path)),
        effect,
        removed,
        added,
    })
}

fn items(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(value) => vec![text(value)],
    }
}

fn effect(key: &Key, from: &Value, to: &Value, removed: &[String], added: &[String]) -> Effect {
    match key.sense {
        Sense::Neutral => Effect::Neither,
        Sense::Accepts => accepts(removed, added),
        Sense::Denies => accepts(removed, added).opposite(),
        Sense::Requires => match (from.as_integer(), to.as_integer()) {
            (Some(from), Some(to)) => match (to & !from != 0, from & !to != 0) {
                (true, true) => Effect::Both,
                (true, false) => Effect::Tightens,
                _ => Effect::Loosens,
            },
            _ => accepts(removed, added).opposite(),
        },
        Sense::Allows(..) => switch(to),
        Sense::Demands(..) => switch(to).opposite(),
        Sense::Floor => number(from, to).opposite(),
        Sense::Ceiling => number(from, to),
    }
}

/// Of a list of what is accepted; `any` is more than every list.
fn accepts(removed: &[String], added: &[String]) -> Effect {
    const ANY: &str = "any";
    let any = |list: &[String]| list.iter().any(|item| item == ANY);
    match (any(removed), any(added)) {
        (false, true) => Effect::Loosens,
        (true, false) => Effect::Tightens,
        _ => match (removed.is_empty(), added.is_empty()) {
            (true, _) => Effect::Loosens,
            (_, true) => Effect::Tightens,
            _ => Effect::Both,
        },
    }
}

const fn switch(to: &Value) -> Effect {
    match to {
        Value::Boolean(true) => Effect::Loosens,
        _ => Effect::Tightens,
    }
}

/// Of a number that, when higher, accepts more.
fn number(from: &Value, to: &Value) -> Effect {
    let (from, to) = (parts(from), parts(to));
    if to > from {
        Effect::Loosens
    } else {
        Effect::Tightens
    }
}

/// `1.55.40` as numbers; a plain number is one part.
fn parts(value: &Value) -> Vec<i64> {
    match value {
        Value::Integer(number) => vec![*number],
        Value::String(text) => text
            .split('.')
            .map(|part| part.parse().unwrap_or_default())
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../policies/development.toml");

    /// The one difference that the replacement makes.
    #[track_caller]
    fn one(from: &str, to: &str) -> Difference {
        assert!(TEXT.contains(from), "{from}");
        let new = TEXT.replacen(from, to, 1);
        let draft = |text: &str| Draft::parse(text).unwrap();
        let mut found = diff(&draft(TEXT), &draft(&new));
        assert_eq!(found.len(), 1, "{found:?}");
        let back = diff(&draft(&new), &draft(TEXT));
        assert_eq!(back[0].effect, found[0].effect.opposite());
        assert_eq!(back[0].added, found[0].removed);
        found.remove(0)
    }

    #[test]
    fn loosened_and_tightened() {
        use Effect::{Both, Loosens, Neither, Tightens};
        for (from, to, key, effect) in [
            ("vmpls = [0]", "vmpls = [0, 1]", "snp.vmpls", Loosens),
            ("vmpls = [0]", "vmpls = [1]", "snp.vmpls", Both),
            (
                "report_versions = [3, 4, 5]",
                "report_versions = [5]",
                "snp.report_versions",
                Tightens,
            ),
            (
                "allow_cxl = false",
                "allow_cxl = true",
                "snp.guest_policy.allow_cxl",
                Loosens,
            ),
            (
                "require_single_socket = false",
                "require_single_socket = true",
                "snp.guest_policy.require_single_socket",
                Tightens,
            ),
            (
                "microcode = 84",
                "microcode = 9",
                "snp.tcb_floors.genoa.microcode",
                Loosens,
            ),
            (
                "max_jobs = 256",
                "max_jobs = 9",
                "config.limits.max_jobs",
                Tightens,
            ),
            ("    \"fresh-exec\",\n", "", "config.walls", Loosens),
            (
                "requesters = [\"any\"]",
                &format!("requesters = [\"{}\"]", "ab".repeat(32)),
                "config.requesters",
                Tightens,
            ),
            ("name = \"development\"", "name = \"x\"", "name", Neither),
        ] {
            let found = one(from, to);
            assert_eq!(
                (found.key.as_str(), found.effect),
                (key, effect),
                "{found:?}"
            );
        }
    }

    #[test]
    fn order_and_comments_are_no_difference() {
        let draft = |text: &str| Draft::parse(text).unwrap();
        let other = TEXT.replacen("[3, 4, 5]", "[5, 4, 3] # all", 1);
        assert_eq!(diff(&draft(TEXT), &draft(&other)), []);
    }

    #[test]
    fn versions_are_compared_part_by_part() {
        let version = |text: &str| Value::String(text.into());
        assert_eq!(
            number(&version("1.9.0"), &version("1.55.0")),
            Effect::Loosens
        );
        assert_eq!(
            number(&version("2.0.0"), &version("1.55.9")),
            Effect::Tightens
        );
    }

    #[test]
    fn bits_are_compared_bit_by_bit() {
        let key = described("snp.tcb_floors.genoa.launch_mitigations").unwrap();
        for (from, to, wanted) in [
            (1, 3, Effect::Tightens),
            (3, 1, Effect::Loosens),
            (1, 2, Effect::Both),
        ] {
            let (from, to) = (Value::Integer(from), Value::Integer(to));
            assert_eq!(effect(key, &from, &to, &[], &[]), wanted);
        }
    }
}
