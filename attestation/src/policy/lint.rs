//! What is right in a policy and still worth a second thought.

use serde::Serialize;
use toml::{Table, Value};

use super::PolicyError;
use super::draft::{self, at, shipped};
use super::keys::{Sense, described, leaves};

/// What can be said of a policy file.
#[derive(Debug)]
pub struct Lint {
    /// Why it is no policy; empty if it is one.
    pub problems: Vec<PolicyError>,
    /// What to think about.
    pub remarks: Vec<Remark>,
}

/// Something that is allowed and may not be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Dotted.
    pub key: String,
    /// What is the matter.
    pub says: String,
    /// What to do about it.
    pub hint: String,
}

/// Looks at the text of a policy file.
pub fn lint(text: &str) -> Lint {
    let (table, problems) = draft::read(text);
    let mut remarks: Vec<Remark> = RULES.iter().filter_map(|rule| rule.apply(&table)).collect();
    remarks.extend(low_floors(&table));
    Lint { problems, remarks }
}

struct Rule {
    path: &'static str,
    when: fn(&Value) -> bool,
    says: &'static str,
    hint: &'static str,
}

impl Rule {
    fn apply(&self, table: &Table) -> Option<Remark> {
        let value = at(table, self.path)?;
        (self.when)(value).then(|| Remark {
            key: self.path.to_owned(),
            says: self.says.to_owned(),
            hint: self.hint.to_owned(),
        })
    }
}

fn on(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

fn off(value: &Value) -> bool {
    value.as_bool() == Some(false)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn any(value: &Value) -> bool {
    items(value).iter().any(|item| item.as_str() == Some("any"))
}

fn not_empty(value: &Value) -> bool {
    !items(value).is_empty()
}

const RULES: &[Rule] = &[
    Rule {
        path: "development",
        when: on,
        says: "this is a policy for development",
        hint: "never use it with real data; production policies say development = false",
    },
    Rule {
        path: "snp.simulator_roots",
        when: not_empty,
        says: "simulated platforms are accepted: they protect nothing",
        hint: "leave the list empty for real data",
    },
    Rule {
        path: "tdx.simulator_roots",
        when: not_empty,
        says: "simulated platforms are accepted: they protect nothing",
        hint: "leave the list empty for real data",
    },
    Rule {
        path: "snp.generations",
        when: |value| {
            items(value)
                .iter()
                .any(|item| item.as_str() == Some("milan"))
        },
        says: "Milan's root secrets are said to be extractable: its reports can be forged, whatever the floors",
        hint: "remove \"milan\", or list the chips that you know in snp.platform.chips",
    },
    Rule {
        path: "snp.require_crl",
        when: off,
        says: "revoked keys are not noticed if no revocation list comes along",
        hint: "set it to true; `duckblind attest fetch-collateral` brings the list",
    },
    Rule {
        path: "snp.report_versions",
        when: |value| items(value).iter().any(|item| item.as_integer() == Some(2)),
        says: "reports of version 2 do not say which processor they are from",
        hint: "remove 2 unless a host that you need has old firmware",
    },
    Rule {
        path: "snp.vmpls",
        when: |value| items(value).iter().any(|item| item.as_integer() > Some(0)),
        says: "reports from less privileged levels are accepted: level 0 can see into them",
        hint: "list only 0, unless the image has a paravisor of your own that it measures",
    },
    Rule {
        path: "snp.platform.chips",
        when: any,
        says: "any chip is accepted: whoever opened one machine can make reports at home",
        hint: "for data that is worth such an effort, list the chips of hosts that you know",
    },
    Rule {
        path: "snp.platform.allow_provisional_firmware",
        when: on,
        says: "firmware that is not committed is accepted: the host can still go back behind it",
        hint: "set it to false and have hosts commit their firmware",
    },
    Rule {
        path: "snp.platform.require_alias_check",
        when: off,
        says: "memory modules that lie about their size are not noticed (BadRAM)",
        hint: "set it to true; hosts need firmware that checks for it",
    },
    Rule {
        path: "tdx.tcb.statuses",
        when: |value| {
            items(value)
                .iter()
                .any(|item| item.as_str() != Some("UpToDate"))
        },
        says: "platforms that Intel does not call up to date are accepted",
        hint: "list only UpToDate, or list the advisories that you accept one by one",
    },
    Rule {
        path: "tdx.tcb.accepted_advisories",
        when: any,
        says: "platforms are accepted whatever Intel's advisories say of them",
        hint: "list the advisories that you have read and accept",
    },
    Rule {
        path: "tdx.tcb.platform_grace_days",
        when: |value| value.as_integer() > Some(0),
        says: "out-of-date platforms are accepted for a while",
        hint: "0 accepts none",
    },
    Rule {
        path: "tdx.platform.ids",
        when: any,
        says: "any platform is accepted: whoever opened one machine can make quotes at home",
        hint: "for data that is worth such an effort, list the platforms of hosts that you know",
    },
    Rule {
        path: "tdx.guest.attributes",
        when: |value| {
            items(value)
                .iter()
                .any(|item| item.as_str() == Some("perfmon"))
        },
        says: "performance counters may be on: they tell the host about the guest's work",
        hint: "remove \"perfmon\"",
    },
    Rule {
        path: "config.egress",
        when: not_empty,
        says: "the enclave may dial hosts: data can leave through them",
        hint: "list only stores that your tables lie in",
    },
];

/// Floors below those of the policies that come with this build.
fn low_floors(table: &Table) -> Vec<Remark> {
    let floors = leaves(table)
        .into_iter()
        .filter(|(path, _)| described(path).is_some_and(|key| key.sense == Sense::Floor));
    floors
        .filter_map(|(path, value)| {
            let ours = value.as_integer()?;
            let theirs = shipped(&path)
                .filter_map(|value| value.as_integer())
                .max()?;
            (ours < theirs).then(|| Remark {
                says: format!(
                    "{ours} is below the floor of the policies that come with this build"
                ),
                hint: format!("set it to {theirs} or more"),
                key: path,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../policies/development.toml");

    fn keys(text: &str) -> Vec<String> {
        let remarks = lint(text).remarks.into_iter();
        remarks.map(|remark| remark.key).collect()
    }

    #[test]
    fn what_may_not_be_meant_is_said() {
        let before = keys(TEXT);
        assert!(before.contains(&"development".to_owned()), "{before:?}");
        for (from, to, key) in [
            ("[\"genoa\"]", "[\"genoa\", \"milan\"]", "snp.generations"),
            ("[3, 4, 5]", "[2, 3]", "snp.report_versions"),
            ("vmpls = [0]", "vmpls = [1]", "snp.vmpls"),
            ("egress = []", "egress = [\"a:1\"]", "config.egress"),
            (
                "microcode = 84",
                "microcode = 83",
                "snp.tcb_floors.genoa.microcode",
            ),
            (
                "simulator_roots = []",
                "simulator_roots = [\"00\"]",
                "snp.simulator_roots",
            ),
        ] {
            assert!(!before.contains(&key.to_owned()), "{key}");
            assert!(TEXT.contains(from), "{from}");
            let now = keys(&TEXT.replacen(from, to, 1));
            assert!(now.contains(&key.to_owned()), "{key} not in {now:?}");
        }
    }

    #[test]
    fn rules_are_about_keys_that_exist() {
        for rule in RULES {
            assert!(described(rule.path).is_some(), "{}", rule.path);
        }
    }

    #[test]
    fn problems_do_not_hide_remarks() {
        let found = lint(&TEXT.replacen("vmpls = [0]", "vmpls = [7]\nx = 1", 1));
        assert!(!found.problems.is_empty());
        assert!(found.remarks.iter().any(|remark| remark.key == "snp.vmpls"));
        assert_eq!(lint("= 1").remarks, []);
    }
}
