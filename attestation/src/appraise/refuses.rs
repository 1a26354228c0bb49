//! What is refused, and why: one case per check, each honest but for one thing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bindings;
mod chains;
mod clouds;
mod configurations;
mod firmware;
mod guests;
mod platforms;
mod reports;
mod revocations;

use super::Appraisal;
use crate::check::Outcome;
use crate::reason::Reason;

/// Exactly these checks failed, and so the evidence was refused, for these reasons.
#[track_caller]
fn refused_by(appraisal: &Appraisal, checks: &[&str], reason: Reason) {
    let failed: Vec<_> = appraisal
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::Fail)
        .map(|check| check.name)
        .collect();
    assert_eq!(failed, checks);
    let rejected = appraisal.result.as_ref().expect_err("refused");
    assert_eq!(rejected.reasons, [reason]);
}
