//! A policy file read for people. Where [`Policy::parse`] stops at the first problem, this goes on;
//! and a template whose lists are still to be filled in can be explained and compared.

use duckblind_protocol::ids::Digest;
use toml::{Table, Value};

use super::{MAX_POLICY, Policy, PolicyError, VERSION, sections};
use crate::snp::Generation;

/// The policies that come with this build.
const SHIPPED: &[&str] = &[
    include_str!("../../../policies/development.toml"),
    include_str!("../../../policies/production-snp.toml"),
    include_str!("../../../policies/production-tdx.toml"),
];
/// Problems that are worth listing.
const MOST: usize = 100;

/// A policy file that is right, but for lists that may still be empty.
#[derive(Debug)]
pub struct Draft {
    id: Digest,
    pub(super) table: Table,
    gaps: Vec<PolicyError>,
}

impl Draft {
    /// From the text of a policy file. Any problem but an empty list is an error.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let (table, problems) = read(text);
        let is_gap = |problem: &PolicyError| matches!(problem, PolicyError::Empty { .. });
        match problems.iter().find(|problem| !is_gap(problem)) {
            Some(problem) => Err(problem.clone()),
            None => Ok(Self {
                id: Digest::of(text.as_bytes()),
                table,
                gaps: problems,
            }),
        }
    }

    /// SHA-256 of the file.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The name that the file gives itself.
    pub fn name(&self) -> &str {
        self.table
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Lists that must be filled in before it is a policy.
    pub fn gaps(&self) -> &[PolicyError] {
        &self.gaps
    }
}

/// Everything that is wrong with a policy file; empty if [`Policy::parse`] takes it.
pub fn problems(text: &str) -> Vec<PolicyError> {
    read(text).1
}

/// The file as it is, and what is wrong with it.
pub(super) fn read(text: &str) -> (Table, Vec<PolicyError>) {
    let whole = Policy::parse(text).err();
    // Caps and syntax come first, so that nothing else is looked at without them.
    let table: Table = match text.parse() {
        Ok(table) if text.len() <= MAX_POLICY => table,
        _ => return (Table::new(), whole.into_iter().collect()),
    };
    let mut problems = Vec::new();
    let mut mended = table.clone();
    let mut next = whole;
    while let Some(problem) = next {
        let goes_on = problems.len() < MOST && mend(&mut mended, &problem);
        problems.push(problem);
        if !goes_on {
            break;
        }
        next = sections::policy(text, mended.clone()).err();
    }
    (table, problems)
}

/// Puts something right in the place of what is wrong, to find what else is. Whether it could.
fn mend(table: &mut Table, problem: &PolicyError) -> bool {
    match problem {
        PolicyError::NotListed { path, .. } => take(table, path).is_some(),
        PolicyError::UnknownKey { path, .. } if !path.contains('[') => take(table, path).is_some(),
        PolicyError::UnknownKey { path, .. }
        | PolicyError::Missing { path }
        | PolicyError::Value { path, .. }
        | PolicyError::Empty { path, .. }
        | PolicyError::UnknownRoot { path, .. } => {
            // What is wrong with one table of a list is mended with the list.
            let path = path.split('[').next().unwrap_or_default();
            right(path).is_some_and(|value| put(table, path, value))
        }
        PolicyError::SimulatorInProduction => put(table, "development", Value::Boolean(true)),
        PolicyError::Version(_) => put(table, "version", Value::Integer(VERSION)),
        PolicyError::Syntax(_) | PolicyError::TooLong { .. } | PolicyError::Template(_) => false,
    }
}

/// A value that is right for this key.
fn right(path: &str) -> Option<Value> {
    let digits = |count: usize| Some(Value::Array(vec![Value::String("0".repeat(count))]));
    match path {
        "releases" => return digits(64),
        "snp.measurements" => return digits(96),
        "snp.csp_ids" => return Some(Value::Array(vec![Value::String("cloud".into())])),
        "snp.roots" => {
            let root = Generation::Genoa.root().to_string();
            return Some(Value::Array(vec![Value::String(root)]));
        }
        "tdx.images" => {
            let mut image = Table::new();
            image.insert("mrtd".into(), Value::String("0".repeat(96)));
            for register in ["rtmr0", "rtmr1", "rtmr2", "rtmr3"] {
                image.insert(register.into(), Value::String("zero".into()));
            }
            return Some(Value::Array(vec![Value::Table(image)]));
        }
        _ => {}
    }
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    shipped(path)
        .find(|value| !empty(value))
        .or_else(|| shipped(path).next())
}

/// What the shipped policies say there.
pub(super) fn shipped(path: &str) -> impl Iterator<Item = Value> {
    SHIPPED.iter().filter_map(move |text| {
        let table: Table = text.parse().ok()?;
        at(&table, path).cloned()
    })
}

pub(super) fn at<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((first, rest)) => at(table.get(first)?.as_table()?, rest),
    }
}

fn take(table: &mut Table, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => table.remove(path),
        Some((first, rest)) => take(table.get_mut(first)?.as_table_mut()?, rest),
    }
}

/// Whether anything changed.
fn put(table: &mut Table, path: &str, value: Value) -> bool {
    match path.split_once('.') {
        None => {
            let same = table.get(path) == Some(&value);
            table.insert(path.to_owned(), value);
            !same
        }
        Some((first, rest)) => table
            .get_mut(first)
            .and_then(Value::as_table_mut)
            .is_some_and(|inner| put(inner, rest, value)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use duckblind_protocol::coded::Coded as _;

    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        problems(text).iter().map(PolicyError::code).collect()
    }

    #[test]
    fn templates_have_gaps_and_nothing_else() {
        for text in SHIPPED {
            let draft = Draft::parse(text).unwrap();
            assert!(!draft.gaps().is_empty());
            assert!(!draft.name().is_empty());
            assert_eq!(draft.id(), Digest::of(text.as_bytes()));
        }
    }

    #[test]
    fn all_problems_are_listed_not_the_first_alone() {
        let text = SHIPPED[0]
            .replacen("vmpls = [0]", "vmpsl = [0]", 1)
            .replacen("allow_cxl = false", "allow_cxl = \"no\"", 1)
            .replacen("max_jobs = 256\n", "", 1)
            .replacen("\nversion = 2", "\nversion = 7", 1);
        let codes = codes(&text);
        for code in [
            "DB-ATT-042",
            "DB-ATT-043",
            "DB-ATT-044",
            "DB-ATT-045",
            "DB-ATT-048",
        ] {
            assert!(codes.contains(&code), "{code} not in {codes:?}");
        }
        assert!(Draft::parse(&text).is_err());
    }

    #[test]
    fn what_cannot_be_mended_ends_the_list() {
        assert_eq!(codes("= 1"), ["DB-ATT-040"]);
        assert_eq!(codes(&"#".repeat(MAX_POLICY + 1)), ["DB-ATT-041"]);
        // Every table is missing: each is named, none twice.
        let all = problems("");
        let mut seen = all.clone();
        seen.dedup();
        assert_eq!(seen.len(), all.len());
        assert!(all.len() > 4 && all.len() < MOST, "{all:?}");
    }

    #[test]
    fn a_policy_has_no_problems() {
        let text = include_str!("../../../policies/production-snp.toml");
        let codes = codes(text);
        assert_eq!(codes, ["DB-ATT-045"; 2]);
        let filled = text
            .replacen(
                "\nmeasurements = []",
                &format!("\nmeasurements = [\"{}\"]", "ab".repeat(48)),
                1,
            )
            .replacen(
                "\nreleases = []",
                &format!("\nreleases = [\"{}\"]", "ab".repeat(32)),
                1,
            );
        assert_eq!(problems(&filled), []);
        assert!(Policy::parse(&filled).is_ok());
        assert!(Draft::parse(&filled).unwrap().gaps().is_empty());
    }
}
