//! What a policy accepts, in plain words, key by key in the order in which one would ask.

use serde::Serialize;
use toml::Value;

use super::draft::Draft;
use super::keys::{Key, SECTIONS, Sense, described, leaves};

/// One part of a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedSection {
    /// What it is about.
    pub title: &'static str,
    /// Its keys.
    pub lines: Vec<ExplainedKey>,
}

/// One key of a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedKey {
    /// Dotted.
    pub key: String,
    /// What it is about, in a few words.
    pub meaning: String,
    /// What its value says, in plain words; long values are shortened.
    pub says: String,
    /// The value as it stands in the file, for programs.
    pub value: Value,
}

/// All keys of the file, part by part. A key without a description is listed all the same.
pub fn explain(draft: &Draft) -> Vec<ExplainedSection> {
    let leaves = leaves(&draft.table);
    let mut sections = Vec::new();
    for (prefix, title, keys) in SECTIONS {
        let mut known: Vec<_> = keys
            .iter()
            .flat_map(|key| leaves.iter().filter(|(path, _)| key.is(path)))
            .collect();
        // Tables of the same form stay together, after all that stands alone.
        known.sort_by_key(|(path, _)| described(path).and_then(|key| key.stands_for(path)));
        let unknown = leaves.iter().filter(|(path, _)| {
            let own = path.split_once('.').map_or("", |(first, _)| first);
            own == prefix && described(path).is_none()
        });
        let lines: Vec<_> = known
            .into_iter()
            .chain(unknown)
            .map(|(path, value)| line(path, value))
            .collect();
        if !lines.is_empty() {
            sections.push(ExplainedSection { title, lines });
        }
    }
    sections
}

fn line(path: &str, value: &Value) -> ExplainedKey {
    let key = described(path);
    ExplainedKey {
        key: path.to_owned(),
        meaning: key.map_or_else(|| path.to_owned(), |key| key.meaning_of(path)),
        says: match (key, value) {
            (_, Value::Integer(number)) if path.ends_with("_ms") => duration(*number),
            (_, Value::Integer(number)) if path.ends_with("_bytes") => size(*number),
            (Some(key), value) => says(key, value),
            (None, value) => value.to_string(),
        },
        value: value.clone(),
    }
}

fn says(key: &Key, value: &Value) -> String {
    match (key.sense, value) {
        (Sense::Allows(on, off) | Sense::Demands(on, off), Value::Boolean(is_on)) => {
            (if *is_on { on } else { off }).to_owned()
        }
        (Sense::Requires, Value::Integer(0)) => "none asked for".into(),
        (Sense::Requires, Value::Integer(bits)) => format!("{bits:#x}"),
        (Sense::Requires, Value::Array(items)) if items.is_empty() => "none asked for".into(),
        (_, Value::Array(items)) if items.is_empty() => "none".into(),
        (_, Value::Array(items)) => items.iter().map(short).collect::<Vec<_>>().join(", "),
        (_, value) => short(value),
    }
}

/// `90 s`, `1 h`: in the largest unit that leaves no rest.
fn duration(ms: i64) -> String {
    largest(
        ms,
        &[(3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")],
    )
}

/// `1 TiB`: in the largest unit that leaves no rest.
fn size(bytes: i64) -> String {
    let units = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
        (1, "bytes"),
    ];
    largest(bytes, &units)
}

fn largest(amount: i64, units: &[(i64, &str)]) -> String {
    let mut fitting = units
        .iter()
        .filter(|(unit, _)| amount != 0 && amount % unit == 0);
    match fitting.next() {
        Some((unit, name)) => format!("{} {name}", amount / unit),
        None => amount.to_string(),
    }
}

/// A value without quotes; long digits shortened.
fn short(value: &Value) -> String {
    const SHOWN: usize = 16;
    const LONG: usize = 40;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Table(table) => {
            let fields = table
                .iter()
                .map(|(key, value)| format!("{key} {}", short(value)));
            return fields.collect::<Vec<_>>().join(" ");
        }
        value => value.to_string(),
    };
    if text.len() >= LONG && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        format!("{}…", text.get(..SHOWN).unwrap_or(&text))
    } else {
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../policies/development.toml");

    #[test]
    fn every_key_is_explained_once_and_in_words() {
        let draft = Draft::parse(TEXT).unwrap();
        let sections = explain(&draft);
        let lines: Vec<_> = sections.iter().flat_map(|section| &section.lines).collect();
        assert_eq!(lines.len(), leaves(&draft.table).len());
        let of = |key: &str| {
            let mut found = lines.iter().filter(|line| line.key == key);
            let line = found.next().unwrap();
            assert!(found.next().is_none());
            line.says.as_str()
        };
        assert_eq!(of("snp.vmpls"), "0");
        assert_eq!(of("config.egress"), "none");
        assert_eq!(of("snp.guest_policy.allow_cxl"), "guests must forbid them");
        assert_eq!(of("snp.tcb_floors.genoa.microcode"), "84");
    }

    #[test]
    fn amounts_in_units() {
        assert_eq!(duration(3_600_000), "1 h");
        assert_eq!(duration(90_000), "90 s");
        assert_eq!(duration(1), "1 ms");
        assert_eq!(size(1 << 40), "1 TiB");
        assert_eq!(size(1000), "1000 bytes");
        assert_eq!(size(0), "0");
    }

    #[test]
    fn long_digits_are_shortened_others_are_not() {
        let long = Value::String("ab".repeat(48));
        assert_eq!(short(&long), format!("{}…", "ab".repeat(8)));
        let words = "fresh-exec and a long name that is not a digest";
        assert_eq!(short(&Value::String(words.into())), words);
    }
}
