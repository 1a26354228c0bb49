//! Quotes and collateral of real platforms.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod alterations;
mod logs;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use duckblind_protocol::ids::UnixTime;
use serde::Deserialize;

use crate::appraise::crypto::{self, CryptoVerdict};
use crate::reason::Reason;
use crate::tdx::TdxCollateral;
use crate::vectors;

#[derive(Deserialize)]
struct Listed {
    name: String,
    quote: String,
    collateral: String,
    now: i64,
    expect: String,
    detail: String,
}

/// A quote, Intel's word on it, and when.
#[derive(Clone)]
struct Case {
    quote: Vec<u8>,
    collateral: TdxCollateral,
    now: UnixTime,
}

impl Case {
    fn judge(&self) -> CryptoVerdict {
        crypto::tdx(&self.quote, &self.collateral, self.now)
    }
}

fn listed(folder: &Path) -> Vec<Listed> {
    let listed = fs::read(folder.join("normalized/cases.json")).unwrap();
    let listed: Vec<Listed> = serde_json::from_slice(&listed).unwrap();
    assert!(listed.len() >= 22);
    listed
}

fn load(folder: &Path, listed: &Listed) -> Case {
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    Case {
        quote: read(&listed.quote),
        collateral: TdxCollateral::from_json(&read(&listed.collateral)).unwrap(),
        now: UnixTime(listed.now),
    }
}

/// The case of that name.
fn case(name: &str) -> Option<Case> {
    let folder = vectors::folder("tdx")?;
    let listed = listed(&folder);
    let listed = listed.iter().find(|listed| listed.name == name).unwrap();
    Some(load(&folder, listed))
}

/// The first of the two quotes that every byte is turned over of: version 4.
fn version_4() -> Option<Case> {
    case("v4-uptodate-phala")
}

/// The second: version 5, TDX 1.5.
fn version_5() -> Option<Case> {
    case("v5-td15-uptodate-go-tdx")
}

/// What refused cases must be refused for; all of it.
fn wanted(name: &str) -> &'static [Reason] {
    match name {
        "v4-uptodate-phala-collateral-expired" | "v4-uptodate-phala-tcbinfo-expired" => {
            &[Reason::CrlStale, Reason::Validity]
        }

        "v4-uptodate-phala-before-issue" => &[Reason::Validity],

        "v4-debug-td" | "v4-debug-td-2023-collateral" => &[Reason::Debug],
        "v4-azure-dcesv5-no-sept-ve-disable" => &[Reason::PolicyBit],
        "v4-wrong-platform-collateral" | "v4-foreign-pck-chain-in-collateral" => &[Reason::Chain],
        _ => &[Reason::TcbStatus],
    }
}

#[test]
fn every_listed_case() {
    let Some(folder) = vectors::folder("tdx") else {
        return;
    };
    let mut table = Vec::new();
    let mut wrong = Vec::new();
    let mut tally = BTreeMap::new();
    for listed in listed(&folder) {
        let verdict = load(&folder, &listed).judge();
        let ours = if verdict.is_accepted() { "ok" } else { "err" };
        let reasons = verdict.reasons();
        let status = verdict.tcb_status.as_deref().unwrap_or("-");
        let names: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
        table.push(format!(
            "{:42} {:4} {ours:4} {status:34} {}",
            listed.name,
            listed.expect,
            names.join(" ")
        ));
        let as_listed = if verdict.is_accepted() {
            listed.expect == "ok" && listed.detail == status
        } else {
            listed.expect == "err" && reasons == wanted(&listed.name)
        };
        if !as_listed {
            wrong.push(listed.name);
        }
        *tally.entry(ours).or_insert(0) += 1;
    }
    let table = table.join("\n");
    // Shown if the test fails, or with `--nocapture`.
    #[allow(clippy::print_stdout)]
    {
        println!("{table}");
    }
    assert!(wrong.is_empty(), "{wrong:?}\n{table}");
    assert!(tally["ok"] >= 9 && tally["err"] >= 12, "{tally:?}");
}
