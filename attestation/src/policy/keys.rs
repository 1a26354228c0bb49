//! What every key of a policy file means, in plain words: one line each. Explanations, comparisons
//! and remarks come from these tables, so that a new key needs a line here and nothing else.

mod snp;
mod tdx;

use toml::{Table, Value};

/// What a key's value does to what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// Says nothing about evidence.
    Neutral,
    /// A list of what is accepted, or `["any"]`.
    Accepts,
    /// A list of what is refused.
    Denies,
    /// A list, or bits, of what must be there.
    Requires,
    /// A switch that, when on, accepts more: what it says on and off.
    Allows(&'static str, &'static str),
    /// A switch that, when on, accepts less: what it says on and off.
    Demands(&'static str, &'static str),
    /// A number that must be reached.
    Floor,
    /// A number that must not be exceeded.
    Ceiling,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Dotted; `*` stands for any one part.
    pub(super) path: &'static str,
    /// A few words, to stand before a value.
    pub(super) meaning: &'static str,
    pub(super) sense: Sense,
}

const fn key(path: &'static str, meaning: &'static str, sense: Sense) -> Key {
    Key {
        path,
        meaning,
        sense,
    }
}

const GENERAL: &[Key] = &[
    key("version", "format of the file", Sense::Neutral),
    key("name", "name", Sense::Neutral),
    key(
        "development",
        "purpose",
        Sense::Allows(
            "development: simulated platforms may be listed",
            "production: simulated platforms are refused",
        ),
    ),
    key("tees", "kinds of platforms", Sense::Accepts),
    key("suites", "how jobs are sealed", Sense::Accepts),
    key("releases", "releases, by digest", Sense::Accepts),
];

const CONFIG: &[Key] = &[
    key(
        "config.walls",
        "walls around a job that must be up",
        Sense::Requires,
    ),
    key("config.backends", "what separates jobs", Sense::Accepts),
    key("config.engines", "query engines", Sense::Accepts),
    key(
        "config.egress",
        "hosts that the enclave may dial",
        Sense::Accepts,
    ),
    key("config.clocks", "clocks for time limits", Sense::Accepts),
    key(
        "config.clock_sources",
        "what may drive the clock",
        Sense::Accepts,
    ),
    key("config.providers", "where tables may lie", Sense::Accepts),
    key(
        "config.requesters",
        "requesters that may be served",
        Sense::Accepts,
    ),
    key(
        "config.max_spill_bytes",
        "encrypted temporary files, at most",
        Sense::Ceiling,
    ),
    key(
        "config.limits.max_jobs",
        "jobs at once, at most",
        Sense::Ceiling,
    ),
    key(
        "config.limits.standbys",
        "waiting processes, at most",
        Sense::Ceiling,
    ),
    key(
        "config.limits.wall_ms",
        "time of a job, at most",
        Sense::Ceiling,
    ),
    key(
        "config.limits.memory_bytes",
        "memory of a job, at most",
        Sense::Ceiling,
    ),
    key(
        "config.limits.result_bytes",
        "result of a job, at most",
        Sense::Ceiling,
    ),
    key(
        "config.limits.threads",
        "threads of a job, at most",
        Sense::Ceiling,
    ),
    key(
        "config.timeouts.ticket_ms",
        "a ticket waits for its job, at most",
        Sense::Ceiling,
    ),
    key(
        "config.timeouts.expiry_ms",
        "a job waits for its acceptance, at most",
        Sense::Ceiling,
    ),
    key(
        "config.timeouts.keepalive_ms",
        "a job lives without a sign of its requester, at most",
        Sense::Ceiling,
    ),
    key(
        "config.timeouts.progress_ms",
        "a job lives without progress, at most",
        Sense::Ceiling,
    ),
    key(
        "config.timeouts.epoch_ms",
        "a sealing key is used, at most",
        Sense::Ceiling,
    ),
    key(
        "config.timeouts.drain_ms",
        "jobs go on after the end was asked for, at most",
        Sense::Ceiling,
    ),
    key(
        "config.timeouts.standby_ms",
        "a process waits for its job, at most",
        Sense::Ceiling,
    ),
];

/// The parts of a policy: what their keys begin with, what they are about, and their keys.
pub(super) const SECTIONS: [(&str, &str, &[Key]); 4] = [
    ("", "in general", GENERAL),
    ("snp", "AMD SEV-SNP reports", snp::KEYS),
    ("tdx", "Intel TDX quotes", tdx::KEYS),
    ("config", "the enclave's configuration", CONFIG),
];

/// The description of a key, if it has one.
pub(super) fn described(path: &str) -> Option<&'static Key> {
    let mut keys = SECTIONS.iter().flat_map(|(_, _, keys)| keys.iter());
    keys.find(|key| key.is(path))
}

impl Key {
    pub(super) fn is(&self, path: &str) -> bool {
        let mut pattern = self.path.split('.');
        let mut parts = path.split('.');
        loop {
            match (pattern.next(), parts.next()) {
                (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    }

    /// Its meaning, with what `*` stands for.
    pub(super) fn meaning_of(&self, path: &str) -> String {
        match self.stands_for(path) {
            Some(stands) => format!("{stands}: {}", self.meaning),
            None => self.meaning.to_owned(),
        }
    }

    /// What `*` stands for.
    pub(super) fn stands_for<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut parts = self.path.split('.').zip(path.split('.'));
        let found = parts.find(|(pattern, _)| *pattern == "*");
        found.map(|(_, stands)| stands)
    }
}

/// Every key with a value that is no table, dotted. Lists, of tables too, are values.
pub(super) fn leaves(table: &Table) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    let mut open: Vec<(String, &Table)> = vec![(String::new(), table)];
    while let Some((path, table)) = open.pop() {
        for (key, value) in table {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            match value {
                Value::Table(inner) => open.push((path, inner)),
                value => found.push((path, value)),
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_key_of_the_shipped_policies_is_described() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let mut files = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let table: Table = text.parse().unwrap();
            for (key, _) in leaves(&table) {
                assert!(described(&key).is_some(), "{key} of {}", path.display());
            }
        }
        assert!(files > 0);
    }

    #[test]
    fn keys_are_there_once_and_in_their_section() {
        let mut seen = BTreeSet::new();
        for (section, _, keys) in SECTIONS {
            for key in keys {
                assert!(seen.insert(key.path), "{}", key.path);
                let own = key.path.split_once('.').map_or("", |(first, _)| first);
                assert_eq!(own, section, "{}", key.path);
            }
        }
    }

    #[test]
    fn patterns() {
        let floor = described("snp.tcb_floors.genoa.snp").unwrap();
        assert_eq!(floor.sense, Sense::Floor);
        assert_eq!(
            floor.meaning_of("snp.tcb_floors.genoa.snp"),
            "genoa: SNP firmware at least"
        );
        assert!(described("snp.tcb_floors.genoa").is_none());
        assert!(described("snp.tcb_floors.genoa.snp.x").is_none());
        assert!(described("").is_none());
    }
}
